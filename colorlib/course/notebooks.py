"""The notebooks as files, executed in order."""

import datetime
import os
import subprocess
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError

from colorlib import ColorlibError
from colorlib.settings import ROOT, Settings, check_choice, environment


def run_all(settings: Settings, numbers=()) -> list[Path]:
    """Execute the series in order, print a line for each notebook, and return the executed copies.

    numbers: of the notebooks to execute, such as "04"; none: all. The notebooks' kernels get these settings through the
    environment. The copies lie in `results_folder`/notebooks. Raises `ColorlibError` naming notebook, cell and error at
    the first cell that fails, the copy then holds everything up to it; and where there is no notebook of a number.
    """
    series = sorted((ROOT / "notebooks").glob("[0-9]*.ipynb"))
    for number in numbers:
        check_choice("notebook", number, [book.name[:2] for book in series])
    series = [book for book in series if not numbers or book.name[:2] in numbers]
    folder = settings.results_folder / "notebooks"
    folder.mkdir(parents=True, exist_ok=True)
    print(f"Executing {len(series)} notebooks on the {settings.profile} profile.", flush=True)
    # The debugger in Colab's ipykernel else says thrice for each notebook that it cannot debug frozen modules.
    variables = {name: value for name, value in os.environ.items() if not name.startswith("COLORLIB_")}
    variables |= {"PYDEVD_DISABLE_FILE_VALIDATION": "1", **environment(settings)}
    begin = time.monotonic()
    for book in series:
        print(f"  {book.stem:28}", end="", flush=True)
        _run_one(book, folder / book.name, variables)
        print(f"done, after {datetime.timedelta(seconds=round(time.monotonic() - begin))}", flush=True)
    return [folder / book.name for book in series]


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
