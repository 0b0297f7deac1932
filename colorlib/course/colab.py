"""Google Colab and the setup of every notebook: what lasts, which accelerator. Nothing else uses `google.colab`."""

import contextlib
import importlib.metadata
import importlib.util
import os
import sys
import zipfile
from pathlib import Path

from packaging.requirements import Requirement

from colorlib import ColorlibError
from colorlib.settings import DATA_SETS, ROOT, Settings, is_colab, load

FIGURE_DPI = 80  # of figures inside notebooks, which stay under 1 MB

ANOTHER_RUNTIME = (
    "Choose Runtime > Change runtime type, the latest runtime version and T4 GPU (or CPU for the sample profile: "
    "TPU runtimes come without TensorFlow), then run this cell again."
)
NOTHING_LASTS = (
    "NOTHING outlasts this session: when it ends, trained models are gone. "
    "Tick USE_DRIVE and run this cell again to keep them on Google Drive."
)


def upload(folder: Path) -> list[Path]:
    """Files that the reader picks from their own computer, written into `folder`. Returns their paths.

    Outside Colab a button appears, and the list fills as photos are picked.
    """
    folder.mkdir(parents=True, exist_ok=True)
    if not is_colab():
        return _upload_by_button(folder)
    from google.colab import files as colab_files

    with contextlib.chdir(folder):  # Colab writes what it gets into the current folder as well
        picked = {folder / Path(name).name: data for name, data in colab_files.upload().items()}
    for path, data in picked.items():
        path.write_bytes(data)
    return list(picked)


def _upload_by_button(folder):
    import ipywidgets
    from IPython.display import display

    button, paths = ipywidgets.FileUpload(accept="image/*", multiple=True, description="Choose photos"), []

    def take(change):
        picked = change["new"].values() if isinstance(change["new"], dict) else change["new"]  # ipywidgets 7, or 8
        for file in picked:
            path = folder / Path(file.get("name") or file["metadata"]["name"]).name
            path.write_bytes(file["content"])
            paths.append(path)

    button.observe(take, "value")
    display(button)
    return paths


def download(paths: list[Path], folder: Path) -> None:
    """On Colab, hand files in a folder to the reader's browser, several as one zip; elsewhere say where they are."""
    if not is_colab():
        return print(f"Your photos in color lie in {_shown_results(folder)}")
    from google.colab import files as colab_files

    if not paths:
        print("Nothing was put into color, so there is nothing to download.")
    if len(paths) > 1:
        with zipfile.ZipFile(folder.with_suffix(".zip"), "w") as archive:
            for path in paths:
                archive.write(path, path.relative_to(folder))
        paths = [folder.with_suffix(".zip")]
    for path in paths:
        colab_files.download(str(path))


def accelerator() -> str:
    """The name of the GPU that TensorFlow will use, "" when there is none."""
    with quiet():
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
    return ", ".join(tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus)


def check_packages() -> None:
    """Raise `ColorlibError` naming what is missing or too old, by requirements.txt, and what to do about it."""
    lines = [line.partition("#")[0].strip() for line in (ROOT / "requirements.txt").read_text().splitlines()]
    if wrong := [problem for line in lines if line and (problem := _problem(Requirement(line)))]:
        here = "Install what the notebooks need, then restart the kernel: pip install -r requirements.txt"
        advice = ANOTHER_RUNTIME if is_colab() else here
        raise ColorlibError(f"Packages are missing or too old: {'; '.join(wrong)}. {advice}")


def _problem(needed: Requirement) -> str:
    """What is wrong with a package that is needed: "" when nothing is."""
    try:
        version = importlib.metadata.version(needed.name)
    except importlib.metadata.PackageNotFoundError:
        # tensorflow-cpu is a tensorflow, too
        return "" if importlib.util.find_spec(needed.name) else f"{needed} is missing"
    return "" if needed.specifier.contains(version, prereleases=True) else f"{needed} is needed, {version} is there"


def start(profile: str = "auto", data: str = "", drive: bool = True) -> Settings:
    """What each notebook's setup cell calls: choose the settings, look around, and say what was found.

    profile: "auto", "sample", "classroom" or "paper". data: a data set's name or a folder of photos; "" leaves
    the profile's. drive: on Colab, keep checkpoints on Google Drive. Prints five lines, the same from run to run.
    Raises `ColorlibError` where a package is missing or too old.
    """
    check_packages()
    from colorlib.sources import files  # needs packages

    settings, refusal = load(profile, data=data), ""
    if drive and is_colab():
        try:
            settings = _on_drive(settings)
        except Exception as error:  # OSError, ValueError, and Colab's own MessageError when access is declined
            refusal = f"Google Drive cannot be used: {error}. "
    if files.on_drive(settings.data_folder):  # a project cloned onto Drive: photos go to the machine's own disk
        settings = settings.replace(data_folder=files.DRIVE.parent / "colorlib-data")
    kept = NOTHING_LASTS if is_colab() else "results stay on this machine's disk"
    if folder := settings.keep_folder:
        name = f"MyDrive/colorlib/{folder.name} on Google Drive" if is_colab() else f"the folder {folder.name}"
        kept = f"checkpoints are copied to {name}: training goes on from there in a later session"
    _small_figures()
    print(f"Profile      {settings.profile}")
    print(f"Data         {settings.data if settings.data in DATA_SETS else f'your folder {Path(settings.data).name}'}")
    print(f"Results      {_shown_results(settings.results_folder)}")
    print(f"Accelerator  {accelerator() or _without_gpu(settings)}")
    print(f"Kept         {refusal}{kept}")
    return settings


def _on_drive(settings: Settings) -> Settings:
    """The settings with a folder on Google Drive to keep checkpoints in, unless they have one. Drive is mounted first.

    Raises what Colab raises where it cannot be: declined, signed out, timed out, dropped.
    """
    from google.colab import drive

    from colorlib.sources import files

    own_files = files.DRIVE / "MyDrive"
    if not os.path.isdir(own_files):  # noqa: PTH112  (False, too, of a mount that was dropped; it is mounted again)
        drive.mount(str(files.DRIVE), force_remount=True)
    if not own_files.is_dir():
        raise ColorlibError("it has no folder MyDrive. Disconnect it in Colab's file view, then try again")
    # Trainings of another profile or of other photos could not go on from each other's checkpoints.
    name = settings.profile if settings.own_data else f"{settings.profile}-{settings.data_name}"
    folder = settings.keep_folder or own_files / "colorlib" / name
    folder.mkdir(parents=True, exist_ok=True)
    return settings.replace(keep_folder=folder)


@contextlib.contextmanager
def quiet():
    """Hold back TensorFlow's start-up lines: they tell a reader nothing and differ from run to run.

    They come from C++, some of them before any log level is read, so that only the file descriptor stops them.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    stderr = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(stderr, 2)
            os.close(stderr)


def _shown_results(folder: Path) -> str:
    """Where results lie, from `results` on: a notebook's output holds no path of a machine."""
    if "results" in folder.parts:
        return "/".join(folder.parts[folder.parts.index("results") :]) + "/"
    return f"{folder.name}/, the folder chosen by COLORLIB_RESULTS"


def _without_gpu(settings: Settings) -> str:
    if settings.profile == "sample":
        return "none; the sample profile needs none"
    menu = " For that, choose Runtime > Change runtime type > T4 GPU." if is_colab() else ""
    return f"none. Only training needs one, or much patience.{menu}"


def _small_figures() -> None:
    """In a notebook, figures become JPEG of modest size, with all their colors."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if hasattr(shell, "kernel"):
        import matplotlib
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        matplotlib.rcParams["figure.dpi"] = FIGURE_DPI
        set_matplotlib_formats("jpeg", pil_kwargs={"quality": 85, "subsampling": 0})
