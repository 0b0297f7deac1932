"""The sample: some 140 freely licensed photographs that come with the project, in `data/sample`. No network.

The folder is part of the repository (`data/README.md` says whose photos they are) and never written to by running. Its
split.json is a `Split` like any other: Split("sample", FOLDER / "photos", FOLDER, train, validation, test).save(), each
part a tuple of describe(file name, its bytes, class).
"""

import dataclasses
import hashlib

from colorlib import ColorlibError
from colorlib.settings import ROOT, Settings
from colorlib.sources.splits import PARTS, Split, home_of

FOLDER = ROOT / "data" / "sample"  # photos/, split.json, credits.csv


def prepare(settings: Settings) -> Split:
    """The sample's split, its home outside of the sample's own folder. Prints one line.

    Raises `ColorlibError` naming the first file that is missing or is not as it was published.
    """
    split = dataclasses.replace(load(), home=home_of(settings, FOLDER))
    print(f"Sample: {split.counts()}, which come with the project.")
    return split


def load() -> Split:
    """The split of `data/sample`, each of its photos verified. Raises `ColorlibError` as `prepare` does."""
    try:
        split = Split.load(FOLDER / "split.json")
    except (OSError, ColorlibError) as error:
        raise _broken(f"split.json is missing or has been changed ({error})") from error
    for photo in (photo for part in PARTS for photo in split.photos(part)):
        try:
            data = split.path_of(photo).read_bytes()
        except OSError as error:
            raise _broken(f"{photo.path} cannot be read ({error.strerror})") from error
        if hashlib.sha256(data).hexdigest() != photo.sha256:
            raise _broken(f"{photo.path} has been changed")
    return split


def _broken(what: str) -> ColorlibError:
    return ColorlibError(f"data/sample: {what}. Get it back by `git checkout data/sample`, or clone the project anew.")
