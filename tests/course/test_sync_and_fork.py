"""Both halves of a notebook brought in step, what changed executed, and a fork's badges, in a small project."""

import contextlib
import io
import shutil
import subprocess
from pathlib import Path

import jupytext
import nbformat
import pytest

from colorlib import ColorlibError, __main__, settings
from colorlib.course import badges, notebooks

PYPROJECT = Path(notebooks.ROOT / "pyproject.toml")
SCRIPT = '# %% [markdown]\n# # One\n\n# %% tags=["nbval-check-output"]\nprint(1 + 1)\n'


def git(folder, *arguments):
    name = ["-c", "user.name=test", "-c", "user.email=test@example.org", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", *name, *arguments], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of two notebooks, `.py` halves alone."""
    folder = tmp_path / "project"
    (folder / "notebooks").mkdir(parents=True)
    shutil.copy(PYPROJECT, folder)
    for name in ("01_one", "02_two"):
        (folder / "notebooks" / f"{name}.py").write_text(SCRIPT)
    monkeypatch.setattr(notebooks, "ROOT", folder)
    monkeypatch.setattr(badges, "ROOT", folder)
    monkeypatch.setattr(notebooks, "_run_one", run_one)
    git(folder, "init", "-q")
    return folder


def run_one(source, copy, variables):
    """Cells executed in this process: what starts a kernel is tested elsewhere."""
    notebook = nbformat.read(source, as_version=4)
    for number, cell in enumerate((c for c in notebook.cells if c.cell_type == "code"), 1):
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            exec(cell.source, {})
        cell.execution_count, cell.outputs = number, [nbformat.v4.new_output("stream", text=printed.getvalue())]
    nbformat.write(notebook, copy)


def sync(project, **options):
    chosen = settings.load("sample", results_folder=project / "results")
    return [book.stem for book in notebooks.sync(chosen, **options)]


def book(project, name="01_one"):
    return nbformat.read(project / "notebooks" / f"{name}.ipynb", as_version=4)


def edit(project, half, old, new):
    path = project / "notebooks" / half
    path.write_text(path.read_text().replace(old, new))


def test_what_changed_is_synced_and_executed_and_nothing_else(project, capsys):
    assert notebooks.out_of_step() == ["01_one", "02_two"]
    assert sync(project) == ["01_one", "02_two"]
    assert notebooks.out_of_step() == [] and sync(project) == []
    assert book(project).cells[1].outputs[0].text == "2\n"
    ids = [cell.id for cell in book(project).cells]

    edit(project, "01_one.py", "1 + 1", "2 + 3")
    assert sync(project) == ["01_one"]
    assert book(project).cells[1].outputs[0].text == "5\n"

    edit(project, "01_one.py", "# # One", "# # The first")  # text has no output that could be stale
    assert sync(project) == [] and notebooks.in_step("01_one")
    assert [cell.id for cell in book(project).cells] == ids
    assert book(project).cells[1].outputs[0].text == "5\n"
    assert sync(project, everything=True) == ["01_one", "02_two"]


def test_an_edited_ipynb_is_taken_over_and_two_edited_halves_are_refused(project, capsys):
    sync(project)
    edit(project, "02_two.ipynb", "1 + 1", "4 + 4")
    assert sync(project) == ["02_two"]  # edited and saved, but perhaps not executed since: nobody can tell
    assert "print(4 + 4)" in (project / "notebooks" / "02_two.py").read_text()
    assert book(project, "02_two").cells[1].outputs[0].text == "8\n"
    edit(project, "02_two.ipynb", "4 + 4", "5 + 5")
    edit(project, "02_two.py", "4 + 4", "6 + 6")
    with pytest.raises(ColorlibError, match="Both halves of 02_two were edited"):
        sync(project)


def test_a_notebook_never_synced_before_follows_its_py(project):
    jupytext.write(jupytext.reads(SCRIPT, "py:percent"), project / "notebooks" / "01_one.ipynb")
    edit(project, "01_one.py", "1 + 1", "7 + 7")
    assert "01_one" in sync(project)
    assert book(project).cells[1].outputs[0].text == "14\n"


def test_the_check_for_commits_names_what_differs(project, capsys):
    assert __main__.main(["sync", "--check"]) == 1
    assert "01_one, 02_two" in capsys.readouterr().err
    sync(project)
    assert __main__.main(["sync", "--check"]) == 0


def test_progress_bars_are_left_out(project):
    bar = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "0%"}
    outputs = [nbformat.v4.new_output("display_data", bar), nbformat.v4.new_output("stream", text="done\n")]
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell("", outputs=outputs)], metadata={"widgets": {}}
    )
    notebooks._drop_widgets(notebook)
    assert [output.output_type for output in notebook.cells[0].outputs] == ["stream"]
    assert "widgets" not in notebook.metadata


def test_colab_opens_the_trainings_with_a_gpu(project):
    text = "# ---\n# jupyter:\n#   accelerator: GPU\n#   colab:\n#     gpuType: T4\n# ---\n\n" + SCRIPT
    (project / "notebooks" / "01_one.py").write_text(text)
    sync(project)
    assert book(project).metadata.accelerator == "GPU" and book(project).metadata.colab.gpuType == "T4"


def test_ctrl_c_in_the_series_is_an_interruption_and_no_traceback(tmp_path, monkeypatch, capsys):
    class Client:  # as nbclient leaves itself after Ctrl-C
        km = None

        def __init__(self, *arguments, **options):
            pass

        def execute(self, **options):
            raise AssertionError

    monkeypatch.setattr(notebooks, "NotebookClient", Client)
    monkeypatch.setenv("COLORLIB_RESULTS", str(tmp_path))
    assert __main__.main(["notebooks", "--profile", "sample"]) == 130
    assert "goes on from the last checkpoint" in capsys.readouterr().err


@pytest.fixture
def pages(project):
    old = badges.repository()
    badge = f"https://colab.research.google.com/github/{old}/blob/main/notebooks/01_one.ipynb"
    other = f"https://github.com/{old}-of-others"
    (project / "README.md").write_text(f"[badge]({badge}) <https://github.com/{old}.git> {other}\r\n")
    (project / ".github").mkdir()
    (project / ".github" / "picture.jpg").write_bytes(bytes(range(256)))
    (project / "notebooks" / "01_one.py").write_text(SCRIPT + f'url = "https://github.com/{old}"\n')
    jupytext.write(jupytext.read(project / "notebooks" / "01_one.py"), project / "notebooks" / "01_one.ipynb")
    return project


@pytest.mark.parametrize(
    ("remote", "argument"),
    [
        ("", "someone/their-course"),
        ("https://github.com/someone/their-course.git", ""),
        ("git@github.com:someone/their-course.git", ""),
        ("ssh://git@github.com/someone/their-course", ""),
    ],
)
def test_a_fork_rewrites_every_badge_page_and_setup_cell(pages, remote, argument, capsys):
    old = badges.repository()
    if remote:
        git(pages, "remote", "add", "origin", remote)
    assert __main__.main(["fork", *([argument] if argument else [])]) == 0
    assert "4 files rewritten" in capsys.readouterr().out
    assert badges.repository() == "someone/their-course"
    readme = (pages / "README.md").read_bytes().decode()
    assert (
        "github/someone/their-course/blob/main" in readme and "<https://github.com/someone/their-course.git>" in readme
    )
    assert f"https://github.com/{old}-of-others\r\n" in readme, "another repository stays as it is"
    assert (pages / ".github" / "picture.jpg").read_bytes() == bytes(range(256))
    for half in ("01_one.py", "01_one.ipynb"):
        assert "https://github.com/someone/their-course" in (pages / "notebooks" / half).read_text()
    assert notebooks.in_step("01_one")
    assert badges.fork("someone/their-course") == [], "a second time there is nothing to do"


@pytest.mark.parametrize("remote", ["", "https://gitlab.com/someone/course"])
def test_without_a_remote_on_github_the_repository_must_be_named(pages, remote, capsys):
    if remote:
        git(pages, "remote", "add", "origin", remote)
    assert __main__.main(["fork"]) == 1
    assert "colorlib fork OWNER/REPO" in capsys.readouterr().err
    assert __main__.main(["fork", "only-a-name"]) == 1
    assert "Give OWNER/REPO" in capsys.readouterr().err
