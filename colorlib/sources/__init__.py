"""Where photos come from. One door: `prepare(settings)` gives the `Split` of any data set."""

import os
from pathlib import Path

import filelock

from colorlib import ColorlibError
from colorlib.settings import DATA_SETS, Settings
from colorlib.sources import files, folder, published, sample
from colorlib.sources.splits import PARTS, Photo, Split

__all__ = ["PARTS", "Photo", "Split", "prepare"]


def prepare(settings: Settings, progress: bool = True) -> Split:
    """The split of `settings.data`, made or reused: the one door to every data set.

    `settings.data` is "sample", "places365", "places365-val", "food101", "imagenet", or a folder of photos. Prints one
    line of what was done. Raises `ColorlibError` for an unknown name, a folder without photos, too many photos that
    cannot be read, a disk that is too small, and for bytes that cannot be had or are not the published ones.
    """
    path = Path(settings.data).expanduser()
    if files.on_drive(settings.data_folder):
        raise ColorlibError(
            f"{settings.data_folder} lies on Google Drive, where thousands of single photos take hours to write and to "
            "read. Choose a folder of the machine's own disk (the setting `data_folder`, COLORLIB_DATA_FOLDER)."
        )
    if settings.data == "sample":
        return sample.prepare(settings)
    if settings.data == "imagenet":
        return folder.prepare(settings, folder.imagenet(settings), "imagenet", progress)
    if settings.data in published.DATA_SETS:
        with _locked(settings):
            return published.prepare(settings, progress)
    if path.exists() or os.sep in settings.data or settings.data.startswith((".", "~")):
        name = f"folder-{path.name}" if path.name in DATA_SETS else path.resolve().name
        return folder.prepare(settings, path.resolve(), name, progress)
    raise ColorlibError(
        f"Unknown data set {settings.data!r}. Valid: {', '.join(DATA_SETS)}, or the path of a folder of photos."
    )


def _locked(settings: Settings):
    """A context that has the data set's home alone: a second process waits, and then finds what the first one made."""
    with files.disk_errors(settings.data_folder):
        settings.data_folder.mkdir(parents=True, exist_ok=True)
        lock = filelock.FileLock(settings.data_folder / f".{settings.data}.lock")
        try:
            return lock.acquire(timeout=0)
        except filelock.Timeout:
            print(f"{settings.data} is being prepared by another program; waiting until it is done.")
            return lock.acquire()
