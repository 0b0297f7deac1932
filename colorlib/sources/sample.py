"""The sample: 140 freely licensed photographs that come with the project, in `data/sample`. No network.

The folder is part of the repository and never written to by running. Its credits.csv has a row a photo: the file, its
part, its class, author, licence, source and sha256 (`data/README.md` explains).
"""

import csv

from colorlib import ColorlibError
from colorlib.settings import ROOT, Settings
from colorlib.sources.splits import PARTS, Photo, Split, home_of

FOLDER = ROOT / "data" / "sample"  # photos/ and credits.csv
FREE = ("public domain", "CC0 1.0")  # licences without conditions


def prepare(settings: Settings, progress: bool = True) -> Split:
    """The sample's split, its home outside of the sample's own folder. Prints one line.

    Raises `ColorlibError` naming the first photo that is missing.
    """
    parts = {part: [] for part in PARTS}
    for row in credits():
        file = FOLDER / row["file"]
        if not file.is_file():
            restore = "Get it back by `git checkout data/sample`, or clone the project anew."
            raise ColorlibError(f"data/sample: {row['file']} is missing. {restore}")
        parts[row["part"]].append(Photo(row["file"], file.stat().st_size, row["sha256"], row["class"]))
    split = Split("sample", FOLDER, home_of(settings, FOLDER), **{part: tuple(parts[part]) for part in PARTS})
    print(f"Sample: {split.counts()}, which come with the project.")
    return split


def credits() -> list[dict[str, str]]:
    """The rows of data/sample/credits.csv."""
    return list(csv.DictReader((FOLDER / "credits.csv").read_text(encoding="utf-8").splitlines()))


def credit(paths) -> str:
    """Whose photos these are, where their licence wants it said: the line below a picture that shows them.

    paths: of photos of the sample; others are passed over. A picture made of a photo under CC BY-SA is under that
    licence, too.
    """
    rows = {str(FOLDER / row["file"]): row for row in credits()}
    shown = [rows[str(path)] for path in paths if str(path) in rows]
    named = [f"{row['subject']}: {row['author']}, {row['licence']}" for row in shown if row["licence"] not in FREE]
    return f"In the picture: {'; '.join(named)}." if named else ""
