"""Where photos come from. One door: `prepare(settings)` gives the `Split` of any data set."""

from pathlib import Path

import filelock

from colorlib import ColorlibError
from colorlib.settings import DATA_SETS, Settings
from colorlib.sources import files, folder, published, sample
from colorlib.sources.splits import PARTS, Photo, Split, describe

__all__ = ["PARTS", "Photo", "Split", "describe", "prepare"]


def prepare(settings: Settings, progress: bool = True) -> Split:
    """The split of `settings.data`, made or reused: the one door to every data set.

    `settings.data` is "sample", "places365", "places365-val", "food101", "imagenet", or a folder of photos. Prints
    what was done. Another process that prepares the same data set is waited for. Raises `ColorlibError` for an unknown
    name, a folder without photos, too many photos that cannot be read, a disk that is full, and for bytes that
    cannot be had or are not the published ones.
    """
    source = {"sample": sample, **dict.fromkeys(published.DATA_SETS, published)}.get(settings.data, folder)
    with files.disk_errors(settings.data):
        if settings.data not in DATA_SETS and not Path(settings.data).expanduser().is_dir():
            raise ColorlibError(
                f"{settings.data!r} is no data set ({', '.join(DATA_SETS)}) and no folder of photos. Check the path; "
                "unpack an archive first; on Colab, is Drive mounted?"
            )
        with _locked(settings):
            return source.prepare(settings, progress)


def _locked(settings: Settings):
    """A context that has the data set's home alone: a second process waits, and then finds what the first one made."""
    settings.data_folder.mkdir(parents=True, exist_ok=True)
    lock = filelock.FileLock(settings.data_folder / f".{settings.data_name}.lock")
    try:
        return lock.acquire(timeout=0)
    except filelock.Timeout:
        print(f"{settings.data_name} is being prepared by another program; waiting until it is done.")
        return lock.acquire()
