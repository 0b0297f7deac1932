"""The command line: what it answers, and with which exit status."""

import pytest

from colorlib import __main__, settings


@pytest.fixture(autouse=True)
def own_folders(clean_environment, monkeypatch, tmp_path):
    monkeypatch.setenv("COLORLIB_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("COLORLIB_DATA_FOLDER", str(tmp_path / "data"))


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as left:
        __main__.main(["--help"])
    assert left.value.code == 0
    printed = capsys.readouterr().out
    for command in ("train", "evaluate", "colorize", "runs", "notebooks"):
        assert command in printed


@pytest.mark.parametrize("arguments", [[], ["train"], ["train", "resnet"], ["colorize", "photo.jpg"], ["paint"]])
def test_what_is_not_understood_exits_with_2(arguments, capsys):
    with pytest.raises(SystemExit) as left:
        __main__.main(arguments)
    assert left.value.code == 2
    assert "usage" in capsys.readouterr().err


def test_an_unknown_model_names_the_valid_ones(capsys):
    with pytest.raises(SystemExit):
        __main__.main(["train", "resnet"])
    message = capsys.readouterr().err
    assert all(model in message for model in settings.MODELS)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["train", "baseline", "--profile", "papper"], ["papper", "sample, classroom, paper"]),
        (["train", "baseline", "--data", "no/such/folder"], ["no/such/folder", "does not exist"]),
        (["train", "baseline", "--data", "flickr"], ["flickr", "places365", "food101"]),
        (["evaluate"], ["baseline", "train"]),
        (["colorize", "photo.jpg", "--out", "colored"], ["train"]),
    ],
)
def test_a_failure_is_a_sentence_and_status_1(arguments, named, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert __main__.main(arguments) == 1
    message = capsys.readouterr().err
    assert "Traceback" not in message
    for part in named:
        assert part in message
