"""The sample: 140 freely licensed photographs that come with the project, in `data/sample`. No network.

The folder is part of the repository and never written to by running. Its credits.csv has a row a photo: the file, its
part, its class, author, licence, source and sha256 (`data/README.md` explains).
"""

import csv
import hashlib

from colorlib import ColorlibError
from colorlib.settings import ROOT, Settings
from colorlib.sources.splits import PARTS, Photo, Split, home_of

FOLDER = ROOT / "data" / "sample"  # photos/ and credits.csv
FREE = ("public domain", "CC0 1.0")  # licences without conditions


def prepare(settings: Settings) -> Split:
    """The sample's split, its home outside of the sample's own folder. Prints one line.

    Raises `ColorlibError` naming the first file that is missing or is not as it was published.
    """
    parts = {part: [] for part in PARTS}
    for row in credits():
        parts[row["part"]].append(_verified(row))
    split = Split("sample", FOLDER, home_of(settings, FOLDER), *(tuple(photos) for photos in parts.values()))
    print(f"Sample: {split.counts()}, which come with the project.")
    return split


def credits() -> list[dict[str, str]]:
    """The rows of data/sample/credits.csv. Raises `ColorlibError` where it cannot be read."""
    try:
        return list(csv.DictReader((FOLDER / "credits.csv").read_text(encoding="utf-8").splitlines()))
    except OSError as error:
        raise _broken(f"credits.csv cannot be read ({error.strerror})") from error


def credit(paths) -> str:
    """Whose photos these are, where their licence wants it said: the line below a picture that shows them.

    paths: of photos of the sample; others are passed over. A picture made of a photo under CC BY-SA is under that
    licence, too.
    """
    rows = {str(FOLDER / row["file"]): row for row in credits()}
    shown = [rows[str(path)] for path in paths if str(path) in rows]
    named = [f"{row['subject']}: {row['author']}, {row['licence']}" for row in shown if row["licence"] not in FREE]
    return f"In the picture: {'; '.join(named)}." if named else ""


def _verified(row) -> Photo:
    try:
        data = (FOLDER / row["file"]).read_bytes()
    except OSError as error:
        raise _broken(f"{row['file']} cannot be read ({error.strerror})") from error
    if hashlib.sha256(data).hexdigest() != row["sha256"]:
        raise _broken(f"{row['file']} has been changed")
    return Photo(row["file"], len(data), row["sha256"], row["class"])


def _broken(what: str) -> ColorlibError:
    return ColorlibError(f"data/sample: {what}. Get it back by `git checkout data/sample`, or clone the project anew.")
