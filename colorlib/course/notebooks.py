"""The notebooks as files: executed in order, both halves kept in step."""

import datetime
import os
import subprocess
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from colorlib import ColorlibError
from colorlib.settings import ROOT, Settings, environment


def run_all(settings: Settings) -> list[Path]:
    """Execute the series in order, print a line for each notebook, and return the executed copies.

    The notebooks' kernels get these settings through the environment. The copies lie in `results_folder`/notebooks.
    Raises `ColorlibError` naming notebook, cell and error at the first cell that fails; the copy then holds
    everything up to it.
    """
    folder = settings.results_folder / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    return _execute({book: folder / book.name for book in sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))}, settings)


def sync(settings: Settings, everything: bool = False) -> list[Path]:
    """Bring the two halves of each notebook in step, then execute in place what has no outputs of its code, and
    return it.

    Where the halves differ, the one that was written last is taken, and it is said which. What changed in its text
    alone is not executed; everything: all are. Raises `ColorlibError` where a cell fails.
    """
    stale = []
    for path in sorted({half.with_suffix("") for half in (ROOT / "notebooks").glob("[0-9]*.*")}):
        py, book = path.with_suffix(".py"), path.with_suffix(".ipynb")  # of which one may be missing
        outlines = [_outline(half) for half in (py, book)]
        if outlines[0] != outlines[1]:
            newer = max((half for half in (py, book) if half.exists()), key=lambda half: half.stat().st_mtime)
            # In a process of its own: called in this one, it leaves the standard streams other than it found them.
            subprocess.run([sys.executable, "-m", "jupytext", "--quiet", "--sync", str(newer)], check=True)
            print(f"{(book if newer == py else py).name} follows {newer.name}")
        code = [[source for kind, source, _ in outline if kind == "code"] for outline in outlines]
        if everything or code[0] != code[1] or not _executed(book):
            stale.append(book)
    return _execute({book: book for book in stale}, settings)


def _outline(half: Path) -> list[tuple]:
    """Type, source and tags of each cell; nothing of a half that is missing."""
    import jupytext  # for contributors; running the series needs none

    cells = jupytext.read(half).cells if half.exists() else []
    return [(cell.cell_type, cell.source, sorted(cell.metadata.get("tags", []))) for cell in cells]


def _executed(book: Path) -> bool:
    """Whether every code cell was executed, in order, in one run, without an error."""
    cells = [c for c in nbformat.read(book, as_version=4).cells if c.cell_type == "code" and c.source.strip()]
    failed = any(output.output_type == "error" for cell in cells for output in cell.outputs)
    return not failed and [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))


def _execute(copies: dict[Path, Path], settings: Settings) -> list[Path]:
    """Execute each notebook and write it, with its outputs, to the path named. Stops at the first that fails."""
    print(f"Executing {len(copies)} notebooks on the {settings.profile} profile.", flush=True)
    # The debugger in Colab's ipykernel else says thrice for each notebook that it cannot debug frozen modules.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("COLORLIB_")}
    variables |= {"PYDEVD_DISABLE_FILE_VALIDATION": "1", **environment(settings)}
    begin = time.monotonic()
    for source, copy in copies.items():
        print(f"  {source.stem:28}", end="", flush=True)
        _run_one(source, copy, variables)
        print(f"done, after {datetime.timedelta(seconds=round(time.monotonic() - begin))}", flush=True)
    return list(copies.values())


def _run_one(source: Path, copy: Path, variables: dict[str, str]) -> None:
    notebook = nbformat.read(source, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=None,  # a notebook trains for hours on the paper profile: no cell is ever cut off for being slow
        kernel_name="python3",
        coalesce_streams=True,  # otherwise a line's text and its end come as two outputs, now and then
        resources={"metadata": {"path": str(source.parent)}},
    )
    try:
        client.execute(env=variables, stderr=subprocess.DEVNULL)  # the kernel's own chatter; cells keep theirs
    except (CellExecutionError, DeadKernelError) as error:
        advice = f"The copy up to there is {copy}. A kernel that dies without a word is most often out of memory."
        raise ColorlibError(f"{source.name}: {error}\n{advice}") from error  # nbclient's text has the cell's source
    except AssertionError as error:
        if client.km is None:  # Ctrl-C: nbclient stops the kernel, then stumbles over its not being there
            raise KeyboardInterrupt from error
        raise
    finally:
        _drop_widgets(notebook)
        nbformat.write(notebook, copy)


def _drop_widgets(notebook) -> None:
    """Leave out progress bars and sliders: without a kernel they show nothing but that they once were there."""
    notebook.metadata.pop("widgets", None)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            widget = "application/vnd.jupyter.widget-view+json"
            cell.outputs = [output for output in cell.outputs if widget not in output.get("data", {})]
