"""The command line: what it answers, and with which exit status."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from colorlib import __main__, settings
from colorlib.course import notebooks

ROOT = Path(__file__).resolve().parent.parent
COMMANDS = ("train", "evaluate", "colorize", "runs", "notebooks")


@pytest.fixture(autouse=True)
def own_folders(clean_environment, monkeypatch, tmp_path):
    monkeypatch.setenv("COLORLIB_RESULTS", str(tmp_path / "results"))
    monkeypatch.setenv("COLORLIB_DATA_FOLDER", str(tmp_path / "data"))


def help_of(capsys, *command) -> str:
    with pytest.raises(SystemExit) as left:
        __main__.main([*command, "--help"])
    assert left.value.code == 0
    return capsys.readouterr().out


def test_help_names_every_command(capsys):
    printed = help_of(capsys)
    assert all(re.search(rf"^    {command}\b", printed, re.MULTILINE) for command in COMMANDS)


def test_every_setting_is_a_flag_of_the_commands_that_it_concerns(capsys):
    pages = {command: help_of(capsys, command) for command in COMMANDS}
    for name, field in settings.FIELDS.items():
        flag = f"^  {settings.flag(name)} {name.strip('_').upper()}\\b"  # colorize has a --lambda of its own
        concerned = [command for command in COMMANDS if re.search(flag, pages[command], re.M)]
        assert set(concerned) == set(field.metadata["commands"]), name
    assert "--epochs" not in pages["colorize"] and "--learning-rate" not in pages["runs"]
    assert set(settings.FIELDS) == {
        name for name, field in settings.FIELDS.items() if "notebooks" in field.metadata["commands"]
    }, "every setting can be given to the whole series"


@pytest.mark.parametrize("name", settings.FIELDS)
def test_help_says_what_a_setting_is_and_what_it_is_by_default(name, capsys):
    page = "".join(help_of(capsys, "notebooks").split())
    assert "".join(settings.description(name).split()) in page


def test_a_flag_beats_a_variable_and_reaches_the_kernels(monkeypatch):
    """The variable had won in the kernels; batch size and learning rate had been dropped."""
    asked = []
    monkeypatch.setenv("COLORLIB_IMAGE_SIZE", "128")
    monkeypatch.setattr(notebooks, "_run_one", lambda source, copy, variables: asked.append(variables))
    flags = ["--image-size", "224", "--batch-size", "3", "--learning-rate", "0.01", "--flip", "false"]
    assert __main__.main(["notebooks", "--profile", "paper", *flags]) == 0
    for variable, value in asked[0].items():
        monkeypatch.setenv(variable, value)
    kernel = settings.load()
    assert (kernel.profile, kernel.image_size, kernel.batch_size) == ("paper", 224, 3)
    assert (kernel.learning_rate, kernel.flip) == (0.01, False)
    assert len(asked) == len(list((ROOT / "notebooks").glob("*.ipynb")))


def test_the_command_line_on_colab_takes_the_profile_of_the_notebooks(tmp_path):
    """It had taken `sample`; help and README said classroom."""
    (tmp_path / "google" / "colab").mkdir(parents=True)
    (tmp_path / "google" / "colab" / "__init__.py").touch()
    code = """if True:
        import types
        from colorlib import __main__
        __main__._import = lambda module: types.SimpleNamespace(table=lambda chosen: chosen.profile)  # no TensorFlow
        __main__.main(["runs"])
        """
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COLORLIB_")}
    for extra, profile in (({}, "sample"), ({"PYTHONPATH": str(tmp_path)}, "classroom")):
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env=environment | extra, capture_output=True, text=True
        )
        assert done.stdout.split() == [profile], done.stderr


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
        (["train", "baseline", "--profile", "papper"], ["papper", "sample, classroom or paper"]),
        (["train", "baseline", "--epochs", "many"], ["epochs", "'many'", "a whole number", "--epochs"]),
        (["train", "baseline", "--data", "no/such/folder"], ["no/such/folder", "no data set", "Check the path"]),
        (["train", "baseline", "--data", "flickr"], ["flickr", "places365", "food101"]),
        (["evaluate"], ["notebook 04", "train"]),
        (["colorize", str(ROOT / "data/sample"), "--out", "x", "--lambda", "2"], ["λ is 2.0", "[0, 1]"]),
        (["colorize", str(ROOT / "data/sample"), "--out", "x", "--temperature", "5"], ["temperature", "[0.1, 2]"]),
        (
            ["colorize", str(ROOT / "data/sample"), "--out", "x", "--run", "vivid"],
            ["no trained vivid", "colorlib train vivid"],
        ),
    ],
)
def test_a_failure_is_a_sentence_and_status_1(arguments, named, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    Path("photo.jpg").touch()
    assert __main__.main(arguments) == 1
    message = capsys.readouterr().err
    assert "Traceback" not in message
    for part in named:
        assert part in message


def run(*command, **options):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, **options)


def test_a_command_prints_nothing_of_tensorflows():
    """Five lines of its start had stood around every command."""
    environment = {name: value for name, value in os.environ.items() if name != "TF_CPP_MIN_LOG_LEVEL"}
    done = run(sys.executable, "-m", "colorlib", "runs", env=environment)
    assert done.returncode == 0 and done.stderr == ""
    assert done.stdout.startswith("No model has been trained yet")


def test_quiet_holds_back_what_is_said_within_alone():
    code = """if True:
        import os
        from colorlib.course import colab
        with colab.quiet():
            os.write(2, b"chatter")
        os.write(2, b"the reason")
        raise SystemExit(3)
        """
    done = run(sys.executable, "-c", code)
    assert (done.returncode, done.stderr) == (3, "the reason")


def test_without_packages_a_sentence_says_what_to_install():
    """A traceback had."""
    done = run(sys.executable, "-S", "-m", "colorlib", "notebooks")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert re.search(r"The package \w+ is missing.*pip install -r", done.stderr)
    assert run(sys.executable, "-S", "-m", "colorlib", "--help").returncode == 0, "help needs no package"


PYENV = sorted((Path.home() / ".pyenv" / "versions").glob("3.*/bin/python"))
OLD = [path for path in PYENV if path.parts[-3].split(".")[1] in ("8", "9", "10")]
OLD += [Path(path) for name in ("python3.8", "python3.9", "python3.10") if (path := shutil.which(name))]


@pytest.mark.parametrize("python", OLD, ids=str)
def test_an_old_python_gets_a_sentence(python):
    """A traceback had."""
    if run(python, "--version").returncode:
        pytest.skip("not installed")
    done = run(python, "-m", "colorlib", "runs")
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "needs Python 3.11 or newer; this is 3." in done.stderr


@pytest.mark.parametrize("module", ["__init__", "__main__"])
def test_what_an_old_python_reads_it_can_read(module):
    """`python3 -m colorlib` reads these two before it can say that it is too old."""
    ast.parse((ROOT / "colorlib" / f"{module}.py").read_text(), feature_version=(3, 8))
