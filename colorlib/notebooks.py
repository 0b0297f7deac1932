"""Execute the series of notebooks in order, each into the results folder, and stop at the first failing cell."""

import os
import subprocess
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from colorlib import ColorlibError
from colorlib.settings import ROOT, Settings, environment

# A notebook trains for hours on the paper profile: no cell is ever cut off for being slow.
NO_TIMEOUT = None


def run_all(settings: Settings, in_place: bool = False) -> list[Path]:
    """Execute `notebooks/0*.ipynb` in order, print a line for each, and return the executed copies.

    `in_place` writes the outputs into the notebooks themselves, as a contributor wants them.

    The notebooks' kernels get these settings through the environment. The copies lie in `results/notebooks/`.
    Raises `ColorlibError` naming notebook, cell and error at the first cell that fails; the copy then holds
    everything up to it.
    """
    out = settings.results_folder / "notebooks"
    out.mkdir(parents=True, exist_ok=True)
    sources = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    print(f"Executing {len(sources)} notebooks on the {settings.profile} profile.", flush=True)
    begin = time.monotonic()
    variables = {**os.environ, **environment(settings)}
    copies = [_run_one(source, source if in_place else out / source.name, variables) for source in sources]
    print(f"All {len(copies)} in {_clock(time.monotonic() - begin)}.", flush=True)
    return copies


def _run_one(source: Path, copy: Path, variables: dict[str, str]) -> Path:
    notebook = nbformat.read(source, as_version=4)
    client = NotebookClient(
        notebook, timeout=NO_TIMEOUT, kernel_name="python3", resources={"metadata": {"path": str(source.parent)}}
    )
    print(f"  {source.stem:28}", end="", flush=True)
    begin = time.monotonic()
    try:
        client.execute(env=variables, stderr=subprocess.DEVNULL)  # the kernel's own chatter; cells keep theirs
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print("failed", flush=True)
        raise ColorlibError(_describe(source, notebook, error, copy)) from error
    finally:
        nbformat.write(notebook, copy)
    print(_clock(time.monotonic() - begin), flush=True)
    return copy


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
