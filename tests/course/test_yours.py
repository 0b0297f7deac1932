"""The photos that a reader names in notebook 08."""

import types

import pytest
from PIL import Image

from colorlib import ColorlibError, settings
from colorlib.course import yours


def test_gather(tmp_path, monkeypatch, capsys):
    chosen = settings.load("sample", data_folder=tmp_path)
    examples = ["camera.png", "hawa_mahal.jpg", "mont_saint_michel.jpg"]
    assert [path.name for path in yours.gather("", chosen)] == examples
    assert all(path.is_file() for path in yours.gather("", chosen))
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "mine.dng").touch()
    with pytest.raises(ColorlibError, match=r"(?s)no photo in .*raw files of a camera, .*developed.*: 1 .mine.dng"):
        yours.gather(str(mine), chosen)
    (mine / "mine.jpg").touch()
    assert yours.gather(str(mine), chosen) == [mine]
    with pytest.raises(ColorlibError, match="button above"):
        yours.first([])
    with pytest.raises(ColorlibError, match=r"No photo of these can be read"):
        yours.first([mine])
    printed = capsys.readouterr().out
    assert "raw files of a camera" in printed and "mine.jpg is passed over: empty: the file has no bytes." in printed
    Image.new("RGB", (8, 6)).save(mine / "mine2.png")
    assert yours.first([mine]).image.size == yours.first([mine / "mine.jpg", mine]).image.size == (8, 6)
    assert "mine.jpg is passed over" in capsys.readouterr().out
    with pytest.raises(ColorlibError, match=r"no photo or folder.*nowhere.jpg\.$"):
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
