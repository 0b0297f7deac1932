"""The notebooks' own checks: both halves paired, executed in order, small, and with cells that nbval compares."""

import re
from pathlib import Path

import jupytext
import nbformat
import pytest

from colorlib import ColorlibError, notebooks, settings

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
NAMES = [
    "01_download_and_split",
    "02_lab_preprocessing",
    "03_color_prior",
    "04_train_baseline",
    "05_train_rebalanced",
    "06_train_efficientnet",
    "07_compare_models",
    "08_colorize_your_photos",
]
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code" and c.source.strip()]


def outline(notebook):
    return [(c.cell_type, c.source, sorted(c.metadata.get("tags", []))) for c in notebook.cells]


def test_the_series_is_complete():
    assert [path.stem for path in NOTEBOOKS] == NAMES


@every_notebook
def test_both_halves_carry_the_same_cells(path):
    assert outline(jupytext.read(path.with_suffix(".py"))) == outline(nbformat.read(path, as_version=4)), (
        f"{path.name} and its .py differ: run `make sync` after editing either half"
    )


@every_notebook
def test_executed_in_order_and_without_error(path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]


@every_notebook
def test_small_and_free_of_machine_paths(path):
    text = path.read_text()
    assert path.stat().st_size < 1_000_000
    assert not re.findall(r"(?:/(?:home|root|work|Users|tmp)/|site-packages|ipykernel_\d)[^\"]{0,60}", text)


@every_notebook
def test_nbval_compares_at_least_three_cells(path):
    compared = [c for c in code_cells(path) if "nbval-check-output" in c.metadata.get("tags", [])]
    assert len(compared) >= 3
    for cell in compared:
        assert any(o.output_type in ("stream", "execute_result") for o in cell.outputs), cell.source


@every_notebook
def test_the_form_of_a_lesson(path):
    cells = nbformat.read(path, as_version=4).cells
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    first = cells[0].source
    assert f"/blob/main/notebooks/{path.name})" in first, "the badge points to its own file"
    assert len(re.findall(r"^# ", prose, re.MULTILINE)) == 1, "one H1"
    for heading in ("What you will learn", "What it needs", "What we saw", "Exercise"):
        assert heading in prose, heading
    setup = next(cell for cell in cells if cell.cell_type == "code")
    assert setup.source == code_cells(NOTEBOOKS[0])[0].source, "the setup cell is the same in all eight"
    longest = max(len(cell.source.splitlines()) for cell in cells if cell.cell_type == "code" and cell is not setup)
    assert longest <= 15, f"a code cell of {longest} lines"


@pytest.fixture
def two_notebooks(tmp_path, monkeypatch):
    folder = tmp_path / "notebooks"
    folder.mkdir()

    def write(name, *cells):
        book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        nbformat.write(book, folder / name)

    monkeypatch.setattr(notebooks, "ROOT", tmp_path)
    write("01_good.ipynb", "import os", "print(os.environ['COLORLIB_IMAGE_SIZE'])")
    write("02_bad.ipynb", "x = 1", "x / 0", "print('never')")
    return settings.load("sample", image_size=32, results_folder=tmp_path / "results")


def test_a_failing_cell_stops_the_series_and_is_named(two_notebooks, capsys):
    with pytest.raises(ColorlibError) as caught:
        notebooks.run_all(two_notebooks)
    for part in ("02_bad.ipynb", "code cell 2", "x / 0", "ZeroDivisionError", "division by zero"):
        assert part in str(caught.value)
    printed = capsys.readouterr().out
    assert "01_good" in printed and "failed" in printed
    copy = nbformat.read(two_notebooks.results_folder / "notebooks" / "01_good.ipynb", as_version=4)
    assert copy.cells[1].outputs[0].text == "32\n"
