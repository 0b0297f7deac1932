"""The photos that a reader names in notebook 08."""

import types

import pytest

from colorlib import ColorlibError, settings
from colorlib.course import yours


def test_gather(tmp_path, monkeypatch):
    chosen = settings.load("sample", data_folder=tmp_path)
    assert [path.name for path in yours.gather("", chosen)] == ["hawa_mahal.jpg", "mont_saint_michel.jpg"]
    assert all(path.is_file() for path in yours.gather("", chosen))
    (tmp_path / "mine.dng").touch()
    with pytest.raises(ColorlibError, match=r"(?s)no photo in .*raw files of a camera, .*developed.*: 1 .mine.dng"):
        yours.gather(str(tmp_path), chosen)
    (tmp_path / "mine.jpg").touch()
    assert yours.gather(str(tmp_path), chosen) == [tmp_path]
    assert yours.first([tmp_path]) == yours.first([tmp_path / "mine.jpg", tmp_path]) == tmp_path / "mine.jpg"
    with pytest.raises(ColorlibError, match=r"no photo or folder.*MyDrive"):
        yours.gather(str(tmp_path / "nowhere.jpg"), chosen)
    asked = []

    def get(address, **options):
        asked.append(options["headers"]["User-Agent"])
        return types.SimpleNamespace(content=b"bytes", raise_for_status=lambda: None)

    monkeypatch.setattr(yours.requests, "get", get)
    (path,) = yours.gather("https://example.org/a%20b.jpg?size=9", chosen)
    assert path.name == "a b.jpg" and path.read_bytes() == b"bytes" and "colorlib" in asked[0]

    def refuse(*_, **__):
        raise yours.requests.ConnectionError("no route")

    monkeypatch.setattr(yours.requests, "get", refuse)
    with pytest.raises(ColorlibError, match=r"example.org/b.jpg could not be downloaded: no route"):
        yours.gather("https://example.org/b.jpg", chosen)
