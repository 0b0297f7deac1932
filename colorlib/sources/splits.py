"""A split: which photographs of a data set are for training, validation and test, as a file that a class can share."""

import dataclasses
import fractions
import hashlib
import io
import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from colorlib import ColorlibError
from colorlib.settings import Settings, check_choice
from colorlib.sources import files, photos

PARTS = ("train", "validation", "test")
PART_OF_FOLDER = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
SKIPPED_AT_MOST = 0.10
HELD_OUT = 0.05  # share of the photos for validation, and for test, where nobody published other shares


@dataclasses.dataclass(frozen=True, slots=True)
class Photo:
    """One photograph of a split.

    `path` is relative to the split's folder, with forward slashes; `bytes` and `sha256` are those of that file;
    `label` is its class; `archive` and `offset` tell where its bytes lay. `copy`, where it is set, is a plain RGB
    rewriting of an odd file (CMYK, rotated, 16-bit, transparent), relative to the split's home: read that one.
    """

    path: str
    bytes: int
    sha256: str
    label: str
    archive: str = ""
    offset: int = -1
    copy: str = ""


@dataclasses.dataclass(frozen=True)
class Split:
    """The train, validation and test photographs of a data set.

    `folder` holds the photos; `home` holds what is made from them: split.json, plain copies, the prior. `skipped` are
    (path, reason) of files that could not be read. `made_with` are the choices behind the split, such as its seed.
    """

    dataset: str
    folder: Path
    home: Path
    train: tuple[Photo, ...]
    validation: tuple[Photo, ...]
    test: tuple[Photo, ...]
    skipped: tuple[tuple[str, str], ...] = ()
    made_with: dict = dataclasses.field(default_factory=dict)

    def photos(self, *parts: str) -> tuple[Photo, ...]:
        """The photos of "train", "validation" or "test", or of several of these in turn."""
        for part in parts:
            check_choice("part of a split", part, PARTS)
        return tuple(photo for part in parts for photo in getattr(self, part))

    def path_of(self, photo: Photo) -> Path:
        """Where to read a photo: an 8-bit RGB or gray, upright JPEG or PNG file."""
        return self.home / photo.copy if photo.copy else self.folder / photo.path

    def paths(self, part: str) -> list[str]:
        """Absolute paths of a part's photos, in the split's order."""
        return [str(self.path_of(photo)) for photo in self.photos(part)]

    def is_there(self, photo: Photo) -> bool:
        """Whether the photo is on the disk, with its size: files are written whole or not at all."""
        try:
            return (self.folder / photo.path).stat().st_size == photo.bytes and self.path_of(photo).exists()
        except OSError:
            return False

    def is_whole(self) -> bool:
        """Whether all of its photos are on the disk."""
        return all(map(self.is_there, self.photos(*PARTS)))

    @property
    def checksum(self) -> str:
        """SHA-256 of which photos are in which part: the same on any machine that has the same photos."""
        content = {part: [[photo.path, photo.sha256] for photo in self.photos(part)] for part in PARTS}
        return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()

    def counts(self) -> str:
        """For a reader: "240 train, 40 validation and 40 test photos"."""
        train, validation, test = (f"{len(self.photos(part)):,}" for part in PARTS)
        return f"{train} train, {validation} validation and {test} test photos"

    def save(self) -> Path:
        """Write split.json into the split's home, whole or not at all. Returns its path.

        JSON in ASCII, a photo a row in the order of `columns`: about 180 bytes each, 12 MB for 65,000 photos. Bytes
        of a file name that are no UTF-8 survive as Python's surrogate escapes.
        """
        inside = self.folder.is_relative_to(self.home)
        folder = self.folder.relative_to(self.home).as_posix() if inside else str(self.folder)
        columns = [field.name for field in dataclasses.fields(Photo)]
        document = {"dataset": self.dataset, "folder": folder, "made_with": self.made_with, "skipped": self.skipped}
        document["columns"] = columns
        for part in PARTS:
            document[part] = [[getattr(photo, column) for column in columns] for photo in self.photos(part)]
        files.put(self.home / "split.json", json.dumps(document).encode("ascii"))
        return self.home / "split.json"

    @classmethod
    def load(cls, path: Path) -> "Split":
        """Read a split.json. Raises `ColorlibError` where it is not one, or one of another version."""
        path = Path(path)
        try:
            document = json.loads(path.read_bytes())
            columns = document.pop("columns")
            for part in PARTS:
                document[part] = tuple(Photo(**dict(zip(columns, row, strict=True))) for row in document[part])
            document["skipped"] = tuple(map(tuple, document["skipped"]))
            document["folder"] = (path.parent / document["folder"]).resolve()
            return cls(home=path.parent, **document)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ColorlibError(
                f"{path.parent.name}/{path.name} is not a split that this version can read ({error!r}). "
                "Delete it to make a new one, or get it again from whoever shared it."
            ) from None


def home_of(settings: Settings, folder: Path) -> Path:
    """Where what is made from the photos in `folder` lies: `data_folder`/`data_name`, and never among the photos.

    Raises `ColorlibError` where `folder` holds a folder that is written to: what stands there would be read as photos.
    """
    for written in (settings.data_folder, settings.results_folder, settings.keep_folder):
        if written and written.is_relative_to(folder):
            raise ColorlibError(
                f"The folder of photos {folder} holds {written}, where this project writes: that would be read as "
                "photos. Give a folder that holds photos alone, or set `data_folder` and `results_folder` elsewhere."
            )
    home = settings.data_folder / settings.data_name
    return home.with_name(f"{home.name}-made") if home.is_relative_to(folder) else home


def describe(path: str, data: bytes, label: str = "", **origin) -> Photo:
    """The `Photo` of a file's bytes. origin: its further fields."""
    return Photo(path, len(data), hashlib.sha256(data).hexdigest(), label, **origin)


def plain_copy(home: Path, folder: Path, name: str, data: bytes) -> str:
    """Where the plain RGB rewriting of the photo `folder / name` was written, relative to `home`; "" if it needs none.

    A path that is no UTF-8 is none that TensorFlow could open, so that such a photo gets a copy, too. Copies are named
    by a hash of the photo's name: short, ASCII, and nowhere else. Raises `photos.PhotoError` if the bytes are no photo.
    """
    if photos.is_plain(data) and photos.shown(folder / name) == str(folder / name):
        return ""
    file = io.BytesIO()
    photos.read(data).save(file, "PNG")
    copy = f"rewritten/{_hash(name).hex()[:32]}.png"
    files.put(home / copy, file.getvalue())
    return copy


def check_skipped(name: str, skipped: Sequence[tuple[str, str]], total: int) -> None:
    """Raise `ColorlibError` if more than a tenth of the photos could not be read."""
    if len(skipped) > SKIPPED_AT_MOST * total:
        named = "; ".join(f"{photos.shown(path)}: {reason}" for path, reason in skipped[:5])
        raise ColorlibError(
            f"{len(skipped):,} of the {total:,} photos of {name} cannot be read, more than a tenth. Repair or remove "
            f"them. The first: {named}."
        )


def part_folders(paths: Iterable[str]) -> tuple[int, set[str]]:
    """How many folders all paths share, and which of those below are parts: "train", "val" or "validation", "test".

    None are, unless train is there *and* one of the others: "Train" beside "Rome" and "Beach" is a class like them.
    """
    folders = [path.split("/")[:-1] for path in paths]
    shared = len(os.path.commonprefix(folders))  # such as "miniplaces"; of lists, not of letters  # noqa: RUF071
    below = {names[shared].lower() for names in folders if len(names) > shared} & PART_OF_FOLDER.keys()
    return shared, below if "train" in below and len(below) > 1 else set()


def divide(candidates: list[Photo], seed: int) -> dict[str, tuple[Photo, ...]]:
    """Photos by part: by train, val (or validation) and test subfolders where they are `part_folders`.

    A part that is missing is cut from train, 5 % each, stratified by class, decided by the seed and the photos' paths
    alone; of too few photos, a part stays empty. Photos outside these subfolders are left out. A photo's label becomes
    its subfolders, such as "a/abbey".
    """
    shared, named = part_folders(photo.path for photo in candidates)
    parts = {part: [] for part in PARTS}
    for photo in candidates:
        below = photo.path.split("/")[shared:-1]
        part = PART_OF_FOLDER.get("".join(below[:1]).lower()) if named else "train"
        if part:
            label = photos.shown("/".join(below[1:] if named else below))
            parts[part].append(dataclasses.replace(photo, label=label))
    number = max(1, round(HELD_OUT * len(parts["train"])))
    for part in [part for part in PARTS if not parts[part]]:
        parts[part] = stratified(parts["train"], number, f"{seed} {part}")
        taken = {photo.path for photo in parts[part]}
        parts["train"] = [photo for photo in parts["train"] if photo.path not in taken]
    return {part: tuple(sorted(chosen, key=lambda photo: photo.path)) for part, chosen in parts.items()}


def stratified(candidates: list[Photo], number: int, seed: str) -> list[Photo]:
    """`number` of the photos, each class with its share by largest remainder, drawn by a hash of seed and path."""
    classes = {}
    for photo in sorted(candidates, key=lambda photo: _hash(f"{seed} {photo.path}")):
        classes.setdefault(photo.label, []).append(photo)
    labels = sorted(classes)
    shares = largest_remainder([len(classes[label]) for label in labels], number)
    return [photo for label, share in zip(labels, shares, strict=True) for photo in classes[label][:share]]


def largest_remainder(sizes: list[float], number: int) -> list[int]:
    """`number` shared over groups in proportion to their sizes, in integers that sum to it (Hamilton's method)."""
    total = sum(map(fractions.Fraction, sizes))
    shares = [divmod(fractions.Fraction(size) * number, total) for size in sizes]  # whole photos, and what remains
    largest = sorted(range(len(sizes)), key=lambda i: -shares[i][1])[: number - sum(whole for whole, _ in shares)]
    return [whole + (i in largest) for i, (whole, _) in enumerate(shares)]


def in_turn(labels: dict[str, str], seed: str) -> list[str]:
    """The names (name -> class) in an order drawn by a hash of seed and name: its first n, for any n, hold of each
    class its share, to within one."""
    classes, rank = {}, {}
    for name in sorted(labels, key=lambda name: _hash(f"{seed} {name}")):
        classes.setdefault(labels[name], []).append(name)
    for names in classes.values():
        rank |= {name: (i + 0.5) / len(names) for i, name in enumerate(names)}
    return sorted(rank, key=rank.get)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode(errors="surrogateescape")).digest()
