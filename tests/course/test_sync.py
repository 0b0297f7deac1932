"""Both halves of a notebook brought in step, and what changed executed, in a small project."""

import contextlib
import io
import os
import shutil
from pathlib import Path

import nbformat
import pytest

from colorlib import __main__, settings
from colorlib.course import notebooks

PYPROJECT = Path(notebooks.ROOT / "pyproject.toml")
SCRIPT = '# %% [markdown]\n# # One\n\n# %% tags=["nbval-check-output"]\nprint(1 + 1)\n'


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A project of two notebooks, `.py` halves alone."""
    folder = tmp_path / "project"
    (folder / "notebooks").mkdir(parents=True)
    shutil.copy(PYPROJECT, folder)
    for name in ("01_one", "02_two"):
        (folder / "notebooks" / f"{name}.py").write_text(SCRIPT)
    monkeypatch.setattr(notebooks, "ROOT", folder)
    monkeypatch.setattr(notebooks, "_run_one", run_one)
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


def edit(project, half, old, new, seconds=60):
    """Write a half anew, so many seconds from now: file systems and editors keep no finer times."""
    path = project / "notebooks" / half
    path.write_text(path.read_text().replace(old, new))
    written = path.stat().st_mtime + seconds
    os.utime(path, (written, written))


def test_what_changed_is_synced_and_executed_and_nothing_else(project, capsys):
    assert sync(project) == ["01_one", "02_two"]
    assert sync(project) == []
    assert book(project).cells[1].outputs[0].text == "2\n"
    ids = [cell.id for cell in book(project).cells]

    edit(project, "01_one.py", "1 + 1", "2 + 3")
    assert sync(project) == ["01_one"]
    assert book(project).cells[1].outputs[0].text == "5\n"

    edit(project, "01_one.py", "# # One", "# # The first")  # text has no output that could be stale
    assert sync(project) == []
    assert [cell.id for cell in book(project).cells] == ids
    assert book(project).cells[1].outputs[0].text == "5\n"
    assert sync(project, everything=True) == ["01_one", "02_two"]


def test_the_half_that_was_written_last_is_taken_and_named(project, capsys):
    sync(project)
    edit(project, "02_two.ipynb", "1 + 1", "4 + 4")
    assert sync(project) == ["02_two"]  # edited and saved, but perhaps not executed since: nobody can tell
    assert "02_two.py follows 02_two.ipynb" in capsys.readouterr().out
    assert "print(4 + 4)" in (project / "notebooks" / "02_two.py").read_text()
    assert book(project, "02_two").cells[1].outputs[0].text == "8\n"
    edit(project, "02_two.ipynb", "4 + 4", "5 + 5")
    edit(project, "02_two.py", "4 + 4", "6 + 6", seconds=120)
    assert sync(project) == ["02_two"]
    assert "02_two.ipynb follows 02_two.py" in capsys.readouterr().out
    assert book(project, "02_two").cells[1].outputs[0].text == "12\n"


def test_a_half_that_is_newer_without_an_edit_takes_nothing_away(project):
    """`jupytext --sync` goes by times alone; a checkout sets them as it likes."""
    sync(project)
    edit(project, "01_one.ipynb", "", "")
    assert sync(project) == []


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
