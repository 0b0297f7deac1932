"""The notebooks' own checks: both halves paired, executed in order, small, and with cells that nbval compares."""

import ast
import re
import runpy
from pathlib import Path
from types import SimpleNamespace

import jupytext
import nbformat
import numpy as np
import pytest

from colorlib import ColorlibError, __main__, settings
from colorlib.course import notebooks

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
LESSONS = sorted(FOLDER.glob("[0-9]*.py"))  # the halves that are edited
NAMES = [path.stem for path in LESSONS]
every_lesson = pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path):
    return [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code" and c.source.strip()]


def outline(notebook):
    return [(c.cell_type, c.source, sorted(c.metadata.get("tags", []))) for c in notebook.cells]


def test_the_series_is_complete():
    assert [path.stem for path in NOTEBOOKS] == NAMES
    assert [int(name[:2]) for name in NAMES] == list(range(1, len(NAMES) + 1)) and len(NAMES) >= 9


@every_notebook
def test_both_halves_carry_the_same_cells(path):
    assert outline(jupytext.read(path.with_suffix(".py"))) == outline(nbformat.read(path, as_version=4)), (
        f"{path.name} and its .py differ: run `make pair` after editing either half"
    )


@every_notebook
def test_executed_in_order_and_without_error(path):
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    assert not [output for cell in cells for output in cell.outputs if output.output_type == "error"]


@every_notebook
def test_small_and_free_of_machine_paths(path):
    text = path.read_text()
    assert path.stat().st_size < 1_500_000
    assert not re.findall(r"(?:/(?:home|root|work|Users|tmp)/|site-packages|ipykernel_\d)[^\"]{0,60}", text)


@every_notebook
def test_nbval_compares_at_least_three_cells(path):
    compared = [c for c in code_cells(path) if "nbval-check-output" in c.metadata.get("tags", [])]
    assert len(compared) >= 3
    for cell in compared:
        assert any(o.output_type in ("stream", "execute_result") for o in cell.outputs), cell.source


@every_lesson
def test_the_form_of_a_lesson(path):
    cells = jupytext.read(path).cells
    setup = next(cell for cell in cells if cell.cell_type == "code")
    first, last = cells[0].source, cells[-1].source
    assert f"/blob/main/notebooks/{path.stem}.ipynb)" in first.splitlines()[0], "the badge points to its own file"
    prose = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    parts = [r"\[!\[Open In Colab", "# ", r"\*\*What you will learn\*\*", r"\*\*What it needs\.\*\*", "## "]
    parts += ["## Exercises", "## What we saw"]
    places = [re.search(rf"^{part}", prose, re.MULTILINE) for part in parts]
    assert all(places), parts[places.index(None)]
    assert [place.start() for place in places] == sorted(place.start() for place in places), "in this order"
    assert len(re.findall(r"^# ", prose, re.MULTILINE)) == 1, "one H1"
    goals = re.search(r"\*\*What you will learn\*\*\s+((?:^- .*\n(?:^  .*\n)*)+)", first + "\n", re.MULTILINE)
    assert len(re.findall(r"^- ", goals.group(1), re.MULTILINE)) == 3, "three goals"
    assert "GPU" in first and all(word in first.lower() for word in ("sample", "classroom", "paper", "minute"))
    assert cells.index(setup) == 1, "the setup cell comes right after"
    other = next(cell.source for cell in jupytext.read(LESSONS[0]).cells if cell.cell_type == "code")
    assert setup.source == other and "USE_DRIVE = False" in other, "Drive is asked for only where it is ticked"
    assert setup.metadata["jupyter"]["source_hidden"] and setup.metadata["cellView"] == "form", "folded"
    index = LESSONS.index(path)
    following = NAMES[index + 1] if index + 1 < len(NAMES) else "04_train_baseline"  # the last leads back to training
    assert re.search(rf"Next:?(\*\*)?:? .*\({following}\.ipynb\)", last, re.DOTALL), "the next notebook"
    recap = next(i for i, cell in enumerate(cells) if "## What we saw" in cell.source)
    shown = [cell.source for cell in cells[recap:] if cell.cell_type == "code"]
    assert any("print(f" in source for source in shown), "a recap in numbers that the notebook computes"


@every_lesson
def test_code_cells_are_short(path):
    code = [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code"]
    for source in code[1:]:
        lines = source.splitlines()
        assert len(lines) <= 15, f"a code cell of {len(lines)} lines:\n{source}"
        assert max(map(len, lines)) <= 110, f"a line that Colab cuts off:\n{max(lines, key=len)}"


@every_lesson
def test_after_a_function_or_a_formula_comes_a_cell_that_runs_it(path):
    cells = jupytext.read(path).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    for i, cell in enumerate(code):
        for node in ast.parse(cell.source).body:
            if isinstance(node, ast.FunctionDef) and not node.decorator_list:
                near = "\n".join(after.source for after in code[i : i + 3])
                assert len(re.findall(rf"\b{node.name}\b", near)) > 1, f"{node.name} is defined and not run"
    for i, cell in enumerate(cells):
        if cell.cell_type == "markdown" and "$$" in cell.source:
            assert cells[i + 1].cell_type == "code", f"a formula without its code:\n{cell.source}"


@every_lesson
def test_the_minutes_of_each_section_are_those_of_its_words_and_cells(path):
    minutes = runpy.run_path(str(FOLDER.parent / "tests" / "tools" / "minutes.py"))
    assert minutes["timed"](path.read_text())[0] == path.read_text(), "run: python tests/tools/minutes.py"


@every_lesson
def test_it_says_where_it_reads_the_paper_differently(path):
    notes = re.findall(r"^.*What the paper says.*$", path.read_text(), re.MULTILINE)
    assert notes
    for note in notes:
        assert re.match(r"# > \*\*What the paper says, and what we do\.?\*\*", note), note


@every_notebook
def test_no_output_is_over_its_size(path):
    for cell in code_cells(path):
        for output in cell.outputs:
            data = output.get("data", {})
            assert len(str(data)) < 400_000, f"an output of {len(str(data)):,} characters:\n{cell.source}"
            text = output.get("text", "" if len(data) > 1 else data.get("text/plain", ""))
            assert len(text.splitlines()) <= 40, f"{len(text.splitlines())} lines of output:\n{cell.source}"


GLOSSARY = FOLDER / "GLOSSARY.md"


def anchors(page):
    """The anchors that GitHub gives a page's headings of the third level."""
    headings = re.findall(r"^### (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@every_lesson
def test_links_lead_somewhere(path):
    prose = "\n".join(cell.source for cell in jupytext.read(path).cells if cell.cell_type == "markdown")
    linked = re.findall(r"GLOSSARY\.md#([^)\s]*)\)", prose)
    assert len(linked) >= 2, "words of the course are linked to the glossary"
    assert len(linked) == len(set(linked)), "at the first use alone"
    for name in re.findall(r"\]\(([\w-]+\.ipynb)\)", prose):
        assert (FOLDER / name).exists(), name
    if not GLOSSARY.exists():
        pytest.skip("the glossary is not there yet")
    assert set(linked) <= anchors(GLOSSARY), set(linked) - anchors(GLOSSARY)


def test_every_word_of_the_glossary_is_met():
    if not GLOSSARY.exists():
        pytest.skip("the glossary is not there yet")
    text = "\n".join(path.read_text() for path in LESSONS)
    assert not [word for word in sorted(anchors(GLOSSARY)) if f"GLOSSARY.md#{word})" not in text]


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
    for part in ("02_bad.ipynb", "x / 0", "ZeroDivisionError", "division by zero"):
        assert part in str(caught.value)
    printed = capsys.readouterr().out
    assert re.search(r"01_good +done, after 0:00:\d\d\n +02_bad +$", printed)
    copy = nbformat.read(two_notebooks.results_folder / "notebooks" / "01_good.ipynb", as_version=4)
    assert copy.cells[1].outputs[0].text == "32\n"


def test_some_of_the_series(two_notebooks):
    assert [copy.name for copy in notebooks.run_all(two_notebooks, ["01"])] == ["01_good.ipynb"]
    with pytest.raises(ColorlibError, match=r"Unknown notebook '1'\. Valid: 01, 02"):
        notebooks.run_all(two_notebooks, ["1"])


def test_progress_bars_are_left_out():
    bar = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "0%"}
    outputs = [nbformat.v4.new_output("display_data", bar), nbformat.v4.new_output("stream", text="done\n")]
    cells = [nbformat.v4.new_code_cell("", outputs=outputs)]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"widgets": {}})
    notebooks._drop_widgets(notebook)
    assert [output.output_type for output in notebook.cells[0].outputs] == ["stream"]
    assert "widgets" not in notebook.metadata


@pytest.mark.parametrize("number", ["04", "05", "06"])
def test_colab_opens_the_trainings_with_a_gpu(number):
    (path,) = FOLDER.glob(f"{number}*.ipynb")
    metadata = nbformat.read(path, as_version=4).metadata
    assert metadata.accelerator == "GPU" and metadata.colab.gpuType == "T4"


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


def row(loss, seconds=1.0):
    return {"val_loss": loss, "seconds": seconds}


RUN = SimpleNamespace(history=[row(0.02), row(0.03)], best_epoch=1)
# What a recap says when its run has come out the other way: notebook -> the names that it needs, and the words.
CONTRARY = {
    "01": (
        {
            "split": SimpleNamespace(counts=lambda: "9 train photos"),
            "torn": ["castle"],
            "off": {"drawn by shares": 5.0, "drawn blindly": 2.0},
            "bytes_read": 120,
            "source": SimpleNamespace(size=100),
            "wanted": 2,
            "few": range(20),
        },
        ("two sides: castle.", "no nearer to", "does not pay"),
    ),
    "02": (
        {
            "error": 0.5,
            "survived": {"float32": 97.0, "8-bit": 13.0},
            "same_step": False,
            "pace": 4.2,
        },
        ("are not the same", "only 97 %", "is not the same as in the stream", "no more than the 9.7"),
    ),
    "03": (
        {
            "settings": SimpleNamespace(lambda_=0.5),
            "share": np.array([[0.9, 0.1]]),
            "near": 0.2,
            "gray": 0.1,
            "middle": 0,
            "v": np.array([[1.0, 0.5]]),
            "raw": 1.3,
            "wrong": np.array([[1.0, 9.0]]),
        },
        ("fewer than half", "not the most common", "no more.", "1.30 over the raw counts: higher", "no weaker"),
    ),
    "04": (
        {
            "run": RUN,
            "gray_validation": 0.01,
            "own": 0.02,
            "floor": 0.01,
            "mine": SimpleNamespace(trainable_variables=[]),
            "network": SimpleNamespace(trainable_variables=[]),
            "few_L": range(48),
            "count": len,
            "verdict": "not lower",
        },
        ("was not lower than with random", "0.0200, no better than all gray", "photos: 0.0200, no better than"),
    ),
    "05": (
        {
            "own": (0.03, 0.02),
            "gray_train": (0.02, 0.01),
            "colorful": {"baseline": np.array([9.0, 8.0]), "rebalanced": np.array([7.0, 6.0])},
            "mse": {"baseline": 0.03, "rebalanced": 0.02},
            "truth": np.array([5.0]),
            "price_of": {1: (0.03, 1), 0.8: (0.02, 1), 0.5: (0.01, 1), 0: (0.01, 1)},
            "bargain": "not the cheaper",
        },
        (
            "not below all gray's",
            "not more colorful than",
            "MSE is not higher",
            "no paler",
            "does not always rise",
            "not the cheaper",
        ),
    ),
    "06": (
        {
            "run": RUN,
            "losses_seen": [0.02, 0.03],
            "gray_validation": 0.01,
            "own": 0.02,
            "floor": 0.01,
            "histories": {"baseline": [row(0.01)], "efficientnet": [row(0.02)]},
            "backbones": {"baseline": "vgg16", "efficientnet": "lite"},
            "seconds": {"baseline": 1.0, "efficientnet": 2.0},
            "colorful": {"vgg16": np.array([9.0]), "lite": np.array([8.0])},
        },
        ("0.0200, no better than all gray", "no better than VGG-16", "no faster", "no more colorful"),
    ),
    "07": (
        {
            "leads": {"a lower loss": (-3, -2, -1), "more color": (-1, 1, 2)},
            "hours_ratio": 0.8,
            "unbeaten": {"box": ["all gray"], "baseline": []},
        },
        ("Held: none of the claims", "The contrary: a lower loss", "Not settled: more color", "no less time")
        + ("in one of three measures: box.",),
    ),
    "08": (
        {
            "photo": SimpleNamespace(image=SimpleNamespace(size=(3, 2))),
            "report": SimpleNamespace(written=[]),
            "change": 4.0,
            "outside": 0.5,
            "chroma_at": {0: 9.0, 1: 8.0},
            "difference": 3.0,
            "worst_name": "a",
            "hue": "a wrong hue",
            "size": "too bold",
        },
        ("did not keep its own lightness", "colors did not grow", "not the same gray", "a, got a wrong hue, too bold"),
    ),
    "09": (
        {
            "nats": {"small": 4.0, "prior alone": 3.5, "the box": 4.5},
            "cost_of": {0: (0.03, 0.5), 1: (0.02, 0.9)},
            "gray": (0.01, 0.0),
            "part": 0.2,
            "apart": {"sky": 9.0, "skin": 1.0},
            "tint": {"truth": 5.0, "mean": 5.0, "vividness 1": 1.0},
            "cheapest": 0.4,
            "reason": "these photos are more vivid",
            "ratio": {"animal": 1.2, "plant": 0.5},
        },
        ("no more than the prior", "does not know more", "no less than all gray", "does not know when", "no yellower")
        + ("at vividness 0.4", "mean does not beat: animal."),
    ),
}


@pytest.mark.parametrize("number", CONTRARY)
def test_a_recap_says_what_did_not_hold_in_its_run(number, capsys):
    (path,) = FOLDER.glob(f"{number}*.py")
    names, words = CONTRARY[number]
    cells = jupytext.read(path).cells
    begin = next(i for i, cell in enumerate(cells) if "## What we saw" in cell.source)
    exec(next(cell.source for cell in cells[begin:] if cell.cell_type == "code"), dict(names))
    said = capsys.readouterr().out
    for each in words:
        assert each in said
