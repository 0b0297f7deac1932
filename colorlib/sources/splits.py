"""A split: which photographs of a data set are for training, validation and test, as a file that a class can share."""

import base64
import dataclasses
import hashlib
import io
import itertools
import json
from pathlib import Path

from colorlib import ColorlibError
from colorlib.sources import files, photos, tar
from colorlib.sources.sampling import largest_remainder

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

    `folder` holds the photos; `home`, data/<dataset>, holds split.json and what is computed from it. `skipped` are
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

    def photos(self, part: str) -> tuple[Photo, ...]:
        """The photos of "train", "validation" or "test"."""
        if part not in PARTS:
            raise ColorlibError(f"Unknown part {part!r} of a split. Valid: {', '.join(PARTS)}.")
        return getattr(self, part)

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

        Photos stand grouped by part, archive, folder and class, each a row [file name, bytes, SHA-256 in base64,
        offset, copy], so that 65,000 photos fit into about 6 MB.
        """
        inside = self.folder.is_relative_to(self.home)
        document = {
            "dataset": self.dataset,
            "folder": self.folder.relative_to(self.home).as_posix() if inside else str(self.folder),
            "made_with": self.made_with,
            "skipped": self.skipped,
            **{part: [_to_group(key, rows) for key, rows in _grouped(self.photos(part))] for part in PARTS},
        }
        files.put(self.home / "split.json", json.dumps(document, separators=(",", ":")).encode())
        return self.home / "split.json"

    @classmethod
    def load(cls, path: Path) -> "Split":
        """Read a split.json. Raises `ColorlibError` where it is not one."""
        path = Path(path)
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            parts = {part: tuple(itertools.chain.from_iterable(map(_from_group, document[part]))) for part in PARTS}
            skipped = tuple((name, reason) for name, reason in document["skipped"])
            folder = (path.parent / document["folder"]).resolve()
            return cls(
                document["dataset"], folder, path.parent, **parts, skipped=skipped, made_with=document["made_with"]
            )
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ColorlibError(
                f"{path.parent.name}/{path.name} is not a split that this version can read ({error!r}). "
                "Delete it to make a new one, or get it again from whoever shared it."
            ) from None


def describe(path: str, data: bytes, label: str = "") -> Photo:
    """The `Photo` of a file's bytes."""
    return Photo(path, len(data), hashlib.sha256(data).hexdigest(), label)


def plain_copy(home: Path, path: str, data: bytes) -> str:
    """Where a photo's plain RGB rewriting was written, relative to `home`; "" if it is a plain one as it stands.

    Raises `photos.PhotoError` if the bytes are no photo.
    """
    if photos.is_plain(data):
        return ""
    file = io.BytesIO()
    photos.read(data).save(file, "PNG")
    files.put(home / "rewritten" / f"{path}.png", file.getvalue())
    return f"rewritten/{path}.png"


def store(home: Path, name: str, data: bytes, archive: str) -> str:
    """Write a photo below `home`/photos. Returns the path of its plain copy, "" if it needs none.

    Raises `photos.PhotoError` if the bytes are no photo, `tar.ArchiveError` if its name could lead elsewhere.
    """
    path = tar.safe_path(home / "photos", name, archive)
    copy = plain_copy(home, name, data)
    files.put(path, data)
    return copy


def check_skipped(name: str, skipped: list[tuple[str, str]], total: int) -> None:
    """Raise `ColorlibError` if more than a tenth of the photos could not be read."""
    if len(skipped) > SKIPPED_AT_MOST * total:
        named = "; ".join(f"{path}: {reason}" for path, reason in skipped[:5])
        raise ColorlibError(
            f"{len(skipped):,} of the {total:,} photos of {name} cannot be read, more than a tenth. Repair or remove "
            f"them. The first: {named}."
        )


def divide(found: list[Photo], seed: int) -> dict[str, tuple[Photo, ...]]:
    """Photos by part: by train, val (or validation) and test subfolders where there are any.

    A part that is missing is cut from train, 5 % each, stratified by class, decided by the seed and the photos' paths
    alone. Photos outside these subfolders are left out. A photo's label becomes its subfolders, such as "a/abbey".
    """
    folders = [photo.path.split("/")[:-1] for photo in found]
    above = 0  # folders that all photos share, such as "miniplaces/train"
    while len({names[above] if len(names) > above else None for names in folders} - {None}) == 1 and all(
        len(names) > above for names in folders
    ):
        above += 1
    first = [names[above].lower() if len(names) > above else "" for names in folders]
    has_parts = "train" in first
    parts = {part: [] for part in PARTS}
    for photo, names, name in zip(found, folders, first, strict=True):
        part = PART_OF_FOLDER.get(name) if has_parts else "train"
        if part:
            label = "/".join(names[above + has_parts :])
            parts[part].append(dataclasses.replace(photo, label=label))
    missing = [part for part in PARTS if not parts[part]]
    whole = len(parts["train"])
    if whole < 1 + len(missing):
        raise ColorlibError(
            f"{whole} readable photos are too few to split into {', '.join(PARTS)}; some hundred are a start."
        )
    for part in missing:
        parts[part] = stratified(parts["train"], max(1, round(HELD_OUT * whole)), f"{seed} {part}")
        taken = {photo.path for photo in parts[part]}
        parts["train"] = [photo for photo in parts["train"] if photo.path not in taken]
    return {part: tuple(sorted(chosen, key=lambda photo: photo.path)) for part, chosen in parts.items()}


def stratified(candidates: list[Photo], number: int, seed: str) -> list[Photo]:
    """`number` of the photos, each class with its share by largest remainder, drawn by a hash of seed and path."""
    classes = {}
    for photo in sorted(candidates, key=lambda photo: hashlib.sha256(f"{seed} {photo.path}".encode()).digest()):
        classes.setdefault(photo.label, []).append(photo)
    labels = sorted(classes)
    shares = largest_remainder([len(classes[label]) for label in labels], number)
    return [photo for label, share in zip(labels, shares, strict=True) for photo in classes[label][:share]]


def in_turn(labels: dict[str, str], seed: str) -> list[str]:
    """The names (name -> class) in an order drawn by a hash of seed and name: its first n, for any n, hold of each
    class its share, to within one."""
    classes, place = {}, {}
    for name in sorted(labels, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest()):
        classes.setdefault(labels[name], []).append(name)
    for names in classes.values():
        place |= {name: (i + 0.5) / len(names) for i, name in enumerate(names)}
    return sorted(place, key=place.get)


def _grouped(part: tuple[Photo, ...]):
    return itertools.groupby(part, key=lambda photo: (photo.archive, photo.path.rpartition("/")[0], photo.label))


def _to_group(key, rows) -> dict:
    archive, folder, label = key
    packed = [
        [
            photo.path.rpartition("/")[2],
            photo.bytes,
            base64.b64encode(bytes.fromhex(photo.sha256)).decode().rstrip("="),
            *([photo.offset, photo.copy] if photo.copy else [photo.offset] if photo.archive else []),
        ]
        for photo in rows
    ]
    return {"archive": archive, "folder": folder, "label": label, "photos": packed}


def _from_group(group: dict):
    for name, size, digest, *rest in group["photos"]:
        sha256 = base64.b64decode(digest + "=").hex()
        path = f"{group['folder']}/{name}" if group["folder"] else name
        yield Photo(path, int(size), sha256, str(group["label"]), str(group["archive"]), *rest)
