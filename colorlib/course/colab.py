"""Google Colab and the setup of every notebook: what lasts, which accelerator. Nothing else names `google.colab`."""

import contextlib
import importlib.metadata
import importlib.util
import os
import sys
from pathlib import Path

from packaging.requirements import Requirement

from colorlib import ColorlibError
from colorlib import settings as settings_module
from colorlib.settings import Settings, is_colab
from colorlib.sources import files as local_files

FIGURE_DPI = 80  # of figures inside notebooks, which stay under 1 MB

NO_TENSORFLOW_ON_COLAB = (
    "This runtime has no TensorFlow: Colab's TPU runtimes come without it. "
    "Choose Runtime > Change runtime type > T4 GPU (or CPU for the sample profile), then run this cell again."
)
# One training: with Colab's T4 (an estimate), and on two cores (from seconds a step, measured on such a machine).
TRAINING_TAKES = {
    "classroom": ("about 12 minutes", "half an hour to two hours"),
    "paper": ("about 3 hours", "a day to a day and a half"),
}


def mount_drive() -> Path:
    """Mount Google Drive, or use the mount that is there. Returns the folder of one's own files.

    Raises `ColorlibError` with Colab's reason when it cannot be mounted: declined, signed out, timed out.
    """
    mine = local_files.DRIVE / "MyDrive"
    dropped = False
    try:
        there = mine.is_dir()
    except OSError:  # errno 107: a mount that was there, and was dropped
        there, dropped = False, True
    if not there:
        from google.colab import drive

        try:
            drive.mount(str(local_files.DRIVE), force_remount=dropped)
            there = mine.is_dir()
        except Exception as error:  # ValueError, and Colab's own MessageError when access is declined
            raise ColorlibError(f"Google Drive could not be mounted: {error}") from error
    if not there:
        raise ColorlibError(
            "Google Drive is mounted, but has no folder MyDrive. Disconnect it in Colab's file view, try again."
        )
    return mine


def lasting_folder(name: str = "") -> Path:
    """The folder colorlib/<name> on Google Drive, made if need be: what lies there outlasts the session."""
    folder = mount_drive() / "colorlib" / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ColorlibError(f"Google Drive cannot be written to: {error.strerror}") from error
    return folder


def upload(folder: Path) -> list[Path]:
    """Files that the reader picks from their own computer, on Colab, written into `folder`. Returns their paths.

    Raises `ColorlibError` outside Colab, and when nothing was picked.
    """
    if not is_colab():
        raise ColorlibError("Photos are uploaded on Colab alone. On your own computer, give the photo's path instead.")
    from google.colab import files

    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.chdir(folder):  # Colab writes what it gets into the current folder as well
        picked = {folder / Path(name).name: data for name, data in files.upload().items()}
    for path, data in picked.items():
        path.write_bytes(data)
    if not picked:
        raise ColorlibError("No photo was uploaded. Run the cell again and pick at least one file.")
    return list(picked)


def accelerator() -> str:
    """The name of the GPU that TensorFlow will use, "" when there is none."""
    with _quiet():
        import tensorflow as tf

        gpus = tf.config.list_physical_devices("GPU")
    return ", ".join(tf.config.experimental.get_device_details(gpu).get("device_name", "GPU") for gpu in gpus)


def check_packages() -> None:
    """Raise `ColorlibError` naming what is missing or too old, by requirements.txt, and what to do about it."""
    wrong = []
    for line in (settings_module.ROOT / "requirements.txt").read_text().splitlines():
        if not (needed := line.partition("#")[0].strip()):
            continue
        needed = Requirement(needed)
        try:
            found = importlib.metadata.version(needed.name)
        except importlib.metadata.PackageNotFoundError:
            found = None
        if found is None and importlib.util.find_spec(needed.name) is None:  # tensorflow-cpu is a tensorflow, too
            wrong.append(f"{needed} is missing")
        elif found is not None and not needed.specifier.contains(found, prereleases=True):
            wrong.append(f"{needed} is needed, {found} is there")
    if not wrong:
        return
    if is_colab() and importlib.util.find_spec("tensorflow") is None:
        raise ColorlibError(NO_TENSORFLOW_ON_COLAB)
    what = (
        "Choose Runtime > Change runtime type, and the latest runtime version, then run this cell again."
        if is_colab()
        else "Install what the notebooks need, then restart the kernel: pip install -r requirements.txt"
    )
    raise ColorlibError(f"Packages are missing or too old: {'; '.join(wrong)}. {what}")


def start(profile: str = "auto", data: str = "", drive: bool = True) -> Settings:
    """What each notebook's setup cell calls: choose the settings, look around, and say what was found.

    profile: "auto", "sample", "classroom" or "paper". data: a data set's name or a folder of photos; "" leaves
    the profile's. drive: on Colab, keep checkpoints on Google Drive. Prints five lines, the same from run to run, and
    a sixth where Drive is refused. Raises `ColorlibError` where a package is missing or too old.
    """
    check_packages()
    on_colab, refused = is_colab(), ""
    if on_colab and drive:  # first of all: the photos may lie there
        try:
            mount_drive()
        except ColorlibError as error:
            refused = str(error)
    settings = settings_module.load(profile, data=data)
    gpu = accelerator()
    _small_figures()
    if local_files.on_drive(settings.data_folder):  # a project cloned onto Drive: photos go to the machine's own disk
        settings = settings.replace(data_folder=local_files.DRIVE.parent / "colorlib-data")
    print(f"Profile      {settings.profile}")
    print(f"Data         {_data_name(settings)}")
    print(f"Results      {_results_name(settings)}")
    print(f"Accelerator  {gpu or _without_gpu(settings, on_colab)}")
    if on_colab and drive and not refused:
        try:
            settings = settings.replace(keep_folder=lasting_folder(_name_on_drive(settings)))
        except ColorlibError as error:
            refused = str(error)
    if refused:
        print(f"Drive        {refused}")
    print(f"Kept         {_what_lasts(settings, on_colab)}")
    return settings


@contextlib.contextmanager
def _quiet():
    """Hold back TensorFlow's start-up lines: they tell a reader nothing and differ from run to run.

    They come from C++, some of them before any log level is read, so that only the file descriptor stops them.
    What fails, still fails: as an exception.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _data_name(settings: Settings) -> str:
    folder = Path(settings.data).expanduser()
    if folder.is_dir():
        return f"your folder {folder.resolve().name}"
    return settings.data


def _name_on_drive(settings: Settings) -> str:
    """Trainings of another profile or of other photos get a folder of their own: each could not go on from the other's
    checkpoints, and would be refused."""
    return settings.profile if settings.own_data else f"{settings.profile}-{settings.data_name}"


def _results_name(settings: Settings) -> str:
    """Where results lie, from `results` on: a notebook's output holds no path of a machine."""
    folder = settings.results_folder
    if "results" in folder.parts:
        return "/".join(folder.parts[folder.parts.index("results") :]) + "/"
    return f"{folder.name}/, the folder chosen by COLORLIB_RESULTS"


def _without_gpu(settings: Settings, on_colab: bool) -> str:
    if settings.profile == "sample":
        return "none; the sample profile needs none"
    menu = "Choose Runtime > Change runtime type > T4 GPU. " if on_colab else ""
    with_gpu, without = TRAINING_TAKES[settings.profile]
    return f"none. {menu}Without a GPU, each training takes {without} instead of {with_gpu}."


def _what_lasts(settings: Settings, on_colab: bool) -> str:
    if settings.keep_folder is not None:
        name = settings.keep_folder.name
        where = f"MyDrive/colorlib/{name} on Google Drive" if on_colab else f"the folder {name}"
        return f"checkpoints are copied to {where}: training goes on from there in a later session"
    if on_colab:
        return (
            "NOTHING outlasts this session: when it ends, trained models are gone. "
            "Tick USE_DRIVE and run this cell again to keep them on Google Drive."
        )
    return "results stay on this machine's disk"


def _small_figures() -> None:
    """In a notebook, figures become JPEG of modest size."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is None or not hasattr(shell, "kernel"):
        return
    import matplotlib
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    matplotlib.rcParams["figure.dpi"] = FIGURE_DPI
    set_matplotlib_formats("jpeg", pil_kwargs={"quality": 88})
