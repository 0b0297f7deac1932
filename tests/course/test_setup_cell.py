"""The notebooks' setup cell on a fresh machine: it fetches the project, starts it, and changes no package.

It runs as a script in an empty folder, with a `google.colab` that is made up. Git's own `insteadOf` lets a repository
on this disk stand in for GitHub.
"""

import os
import subprocess
import sys
from pathlib import Path

import jupytext
import pytest

ROOT = Path(__file__).resolve().parents[2]
DRIVE = """
from pathlib import Path

def mount(place, force_remount=False):
    print("mounting", place)
    raise ValueError("mount failed")  # declined
"""


def setup_cell() -> str:
    notebook = jupytext.read(ROOT / "notebooks" / "01_download_and_split.py")
    return next(cell.source for cell in notebook.cells if cell.cell_type == "code")


def git(folder, *arguments):
    name = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *name, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """What the setup cell needs of the project, as a repository of its own: the files as they are now."""
    folder = tmp_path_factory.mktemp("project")
    for path in (*(ROOT / "colorlib").rglob("*.py"), ROOT / "requirements.txt"):
        copy = folder / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    git(folder, "init", "-q")
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "the project")
    return folder


@pytest.fixture
def machine(tmp_path, project):
    """A fresh Colab: `machine(cell)` runs a cell in its folder `content` and returns the finished process."""
    content, fake = tmp_path / "content", tmp_path / "fake" / "google" / "colab"
    content.mkdir()
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("")
    (fake / "drive.py").write_text(DRIVE)
    cell = setup_cell()
    url = next(line.split('"')[1] for line in cell.splitlines() if line.startswith("url = "))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COLORLIB_")}
    environment |= {
        "PYTHONPATH": str(fake.parent.parent),
        "GIT_CONFIG_COUNT": "2",
        "GIT_CONFIG_KEY_0": f"url.{project.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": url,
        "GIT_CONFIG_KEY_1": "safe.directory",
        "GIT_CONFIG_VALUE_1": "*",
        "GIT_TERMINAL_PROMPT": "0",
    }

    def run(cell=cell, **changes):
        cell = cell.replace("/content/drive", str(content / "drive"))
        cell += "\nimport colorlib; print('from', colorlib.__path__[0])"
        return subprocess.run(
            [sys.executable, "-c", cell], cwd=content, env=environment | changes, capture_output=True, text=True
        )

    run.content, run.url, run.name = content, url, url.rpartition("/")[2]
    return run


def packages() -> str:
    done = subprocess.run([sys.executable, "-m", "pip", "freeze", "--all"], capture_output=True, text=True, check=True)
    assert "tensorflow" in done.stdout
    return done.stdout


def test_a_fresh_machine_gets_the_project_from_github_and_no_package_changes(machine):
    before = packages()
    done = machine()
    assert done.returncode == 0, done.stderr
    assert packages() == before
    root = machine.content / machine.name
    assert f"from {root / 'colorlib'}" in done.stdout
    lines = [line.split()[0] for line in done.stdout.splitlines()]
    assert lines == ["Profile", "Data", "Results", "Accelerator", "Kept", "from"]
    assert "classroom" in done.stdout and "NOTHING outlasts this session" in done.stdout
    ticked = machine(setup_cell().replace("USE_DRIVE = False", "USE_DRIVE = True"))
    assert ticked.stdout.startswith("mounting"), "Drive is asked for where it is ticked, and nowhere else"

    (root / "mine.txt").write_text("not fetched again")
    quick = setup_cell().partition("settings = ")[0]
    again = machine(quick, GIT_CONFIG_VALUE_0="https://example.org/none")
    assert again.returncode == 0, again.stderr
    assert (root / "mine.txt").exists()


def test_a_copy_on_a_mounted_drive_is_taken_in_place_of_github(machine, project):
    mine = machine.content / "drive" / "MyDrive"
    (mine / "colorlib").mkdir(parents=True)  # where checkpoints are kept: not the project
    subprocess.run(["cp", "-r", project, mine / machine.name], check=True)
    (mine / machine.name / "from_the_teacher.txt").write_text("a copy")
    done = machine(setup_cell().partition("settings = ")[0], GIT_CONFIG_KEY_0="url.file:///nowhere/.insteadOf")
    assert done.returncode == 0, done.stderr
    assert f"from {machine.content / machine.name / 'colorlib'}" in done.stdout, "worked on this disk"
    assert (machine.content / machine.name / "from_the_teacher.txt").exists()


def test_without_network_the_failed_command_is_named_and_nothing_is_left(machine, project):
    quick = setup_cell().partition("settings = ")[0]
    done = machine(quick, GIT_CONFIG_KEY_0="url.file:///nowhere/.insteadOf", GIT_CONFIG_VALUE_0="https://github.com/")
    assert done.returncode != 0
    assert "git" in done.stderr and machine.url in done.stderr
    assert not (machine.content / machine.name).exists()


@pytest.mark.parametrize("place", [".", "notebooks"])
def test_inside_the_project_nothing_is_fetched(machine, project, place):
    folder = machine.content / "checkout"
    subprocess.run(["cp", "-r", project, folder], check=True)
    (folder / "notebooks").mkdir()
    quick = f"import os; os.chdir({str(folder / place)!r})\n" + setup_cell().partition("settings = ")[0]
    done = machine(quick, GIT_CONFIG_KEY_0="url.file:///nowhere/.insteadOf")
    assert done.returncode == 0, done.stderr
    assert f"from {folder / 'colorlib'}" in done.stdout
