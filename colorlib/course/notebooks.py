"""The notebooks as files: executed in order, both halves kept in step."""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from colorlib import ColorlibError
from colorlib.settings import ROOT, Settings, environment

# A notebook trains for hours on the paper profile: no cell is ever cut off for being slow.
NO_TIMEOUT = None


def run_all(settings: Settings) -> list[Path]:
    """Execute `notebooks/0*.ipynb` in order, print a line for each, and return the executed copies.

    The notebooks' kernels get these settings through the environment. The copies lie in `results/notebooks/`.
    Raises `ColorlibError` naming notebook, cell and error at the first cell that fails; the copy then holds
    everything up to it.
    """
    out = settings.results_folder / "notebooks"
    out.mkdir(parents=True, exist_ok=True)
    books = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    return _execute({book: out / book.name for book in books}, settings)


def sync(settings: Settings, everything: bool = False) -> list[Path]:
    """Bring the two halves of each notebook in step, then execute in place what changed, and return it.

    The .py half is the source, but for a notebook of which only the .ipynb was edited since the last sync. What
    changed in its text alone is not executed; everything: all are. Raises `ColorlibError` where both halves were
    edited, and differ, and where a cell fails.
    """
    books = [_in_step(name) for name in _names()]
    stale = [book for book, changed in books if everything or changed or not _executed(book)]
    return _execute({book: book for book in stale}, settings)


def _in_step(name: str) -> tuple[Path, bool]:
    """The .ipynb of a notebook after both halves were brought in step, and whether its code changed by that.

    Its metadata hold a checksum of its cells as they were then: a half of another one has been edited since.
    """
    source, book = _halves(name)
    there = [half for half in (source, book) if half.exists()]
    outlines = [_outline(half) for half in there]
    if len(there) == 1 or outlines[0] != outlines[1]:
        edited = [_checksum(outline) != _mark(book) for outline in outlines] if _mark(book) else [True, False]
        if edited == [True, True]:
            raise ColorlibError(
                f"Both halves of {name} were edited since the last sync, and differ. Keep one: "
                f"`git checkout notebooks/{book.name}` or `git checkout notebooks/{source.name}`, then sync again."
            )
        if there == [book] or edited[0] is False:
            _jupytext("--to", "py:percent", str(book))
            print(f"{source.name} follows {book.name}")
        else:
            _jupytext("--update", "--to", "ipynb", str(source))
            print(f"{book.name} follows {source.name}")
    if _mark(book) != (checksum := _checksum(_outline(source))):
        notebook = nbformat.read(book, as_version=4)
        notebook.metadata["synced"] = checksum
        nbformat.write(notebook, book)
    return book, len(there) == 1 or _code(outlines[0]) != _code(outlines[1])


def out_of_step() -> list[str]:
    """The names of the notebooks whose two halves do not carry the same cells."""
    return [name for name in _names() if not in_step(name)]


def in_step(name: str) -> bool:
    """Whether both halves of a notebook are there and carry the same cells, with the same tags."""
    halves = _halves(name)
    return all(half.exists() for half in halves) and _outline(halves[0]) == _outline(halves[1])


def _names() -> list[str]:
    return sorted({path.stem for path in (ROOT / "notebooks").glob("[0-9]*.*") if path.suffix in (".py", ".ipynb")})


def _halves(name: str) -> tuple[Path, Path]:
    return ROOT / "notebooks" / f"{name}.py", ROOT / "notebooks" / f"{name}.ipynb"


def _outline(half: Path) -> list[tuple]:
    """Type, source and tags of each cell."""
    import jupytext  # for contributors; running the series needs none

    return [(cell.cell_type, cell.source, sorted(cell.metadata.get("tags", []))) for cell in jupytext.read(half).cells]


def _code(outline: list[tuple]) -> list[str]:
    return [source for kind, source, _ in outline if kind == "code"]


def _checksum(outline: list[tuple]) -> str:
    return hashlib.sha256(repr(outline).encode()).hexdigest()[:16]


def _mark(book: Path) -> str:
    return nbformat.read(book, as_version=4).metadata.get("synced", "") if book.exists() else ""


def _executed(book: Path) -> bool:
    """Whether every code cell was executed, in order, in one run, without an error."""
    cells = [c for c in nbformat.read(book, as_version=4).cells if c.cell_type == "code" and c.source.strip()]
    failed = any(output.output_type == "error" for cell in cells for output in cell.outputs)
    return not failed and [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


def _jupytext(*arguments: str) -> None:
    # In a process of its own: called in this one, it leaves the standard streams other than it found them.
    subprocess.run([sys.executable, "-m", "jupytext", "--quiet", *arguments], check=True)


def _execute(copies: dict[Path, Path], settings: Settings) -> list[Path]:
    """Execute each notebook and write it, with its outputs, to the place named. Stops at the first that fails."""
    print(f"Executing {len(copies)} notebooks on the {settings.profile} profile.", flush=True)
    begin = time.monotonic()
    # The debugger in Colab's ipykernel else says thrice for each notebook that it cannot debug frozen modules.
    variables = {**os.environ, "PYDEVD_DISABLE_FILE_VALIDATION": "1", **environment(settings)}
    for source, copy in copies.items():
        _run_one(source, copy, variables)
    print(f"All {len(copies)} in {_clock(time.monotonic() - begin)}.", flush=True)
    return list(copies.values())


def _run_one(source: Path, copy: Path, variables: dict[str, str]) -> None:
    notebook = nbformat.read(source, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=NO_TIMEOUT,
        kernel_name="python3",
        coalesce_streams=True,  # otherwise a line's text and its end come as two outputs, now and then
        resources={"metadata": {"path": str(source.parent)}},
    )
    print(f"  {source.stem:28}", end="", flush=True)
    begin = time.monotonic()
    try:
        client.execute(env=variables, stderr=subprocess.DEVNULL)  # the kernel's own chatter; cells keep theirs
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print("failed", flush=True)
        raise ColorlibError(_describe(source, notebook, error, copy)) from error
    except AssertionError as error:
        if client.km is None:  # Ctrl-C: nbclient stops the kernel, then stumbles over its not being there
            raise KeyboardInterrupt from error
        raise
    finally:
        _drop_widgets(notebook)
        nbformat.write(notebook, copy)
    print(_clock(time.monotonic() - begin), flush=True)


def _drop_widgets(notebook) -> None:
    """Leave out progress bars and sliders: without a kernel they show nothing but that they once were there."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = [
                o for o in cell.outputs if "application/vnd.jupyter.widget-view+json" not in o.get("data", {})
            ]


def _describe(source: Path, notebook, error: Exception, copy: Path) -> str:
    """Notebook, cell and error in a few lines."""
    number, cell = _failed_cell(notebook)
    if isinstance(error, CellExecutionError):
        what = f"{error.ename}: {error.evalue}"
    else:
        what = f"{type(error).__name__}: {error} (out of memory, if the kernel died without a word)"
    first_lines = "\n".join(f"    {line}" for line in cell.splitlines()[:5])
    return f"{source.name}, code cell {number}:\n{first_lines}\n{what}\nThe copy up to there is {copy}."


def _failed_cell(notebook) -> tuple[int, str]:
    """Number, counted from 1, and source of the code cell that failed: the one with an error, else the last begun."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    failed = [i for i, cell in enumerate(code) if any(o.output_type == "error" for o in cell.outputs)]
    begun = [i for i, cell in enumerate(code) if cell.execution_count or cell.outputs]
    index = (failed or begun or [0])[-1]
    return index + 1, code[index].source if code else ""


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d} min"
