"""Data sets: each gives a `Split` of train, validation and test photographs. Pixels are none of its business."""

import base64
import dataclasses
import hashlib
import itertools
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm.auto import tqdm

from colorlib import ColorlibError, photos, sample
from colorlib.settings import Settings

PARTS = ("train", "validation", "test")
NAMES = ("sample", "places365", "places365-val", "food101", "imagenet")
PHOTO_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".avif", ".heic")
}
PART_OF_FOLDER = {"train": "train", "val": "validation", "validation": "validation", "test": "test"}
HELD_OUT = 0.05  # share of the photos for validation, and for test, where nobody published other shares
SKIPPED_AT_MOST = 0.10


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
        self.home.mkdir(parents=True, exist_ok=True)
        target = self.home / "split.json"
        partial = target.with_name(f"split.json.{os.getpid()}.partial")
        partial.write_text(json.dumps(document, separators=(",", ":")), encoding="utf-8")
        partial.replace(target)
        return target

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


def prepare(settings: Settings, progress: bool = True) -> Split:
    """The split of `settings.data`, made or reused: the one door to every data set.

    `settings.data` is "sample", "places365", "places365-val", "food101", "imagenet", or a folder of photos. Prints one
    line of what was done. Raises `ColorlibError` for an unknown name, a folder without photos, or too many that cannot
    be read.
    """
    if settings.data == "sample":
        return _sample(settings)
    folder = Path(settings.data).expanduser()
    if settings.data not in NAMES and (
        folder.exists() or os.sep in settings.data or settings.data.startswith((".", "~"))
    ):
        return _folder(settings, folder.resolve(), progress)
    raise ColorlibError(
        f"Unknown data set {settings.data!r}. Valid: {', '.join(NAMES)}, or the path of a folder of photos."
    )


def _sample(settings: Settings) -> Split:
    home = settings.data_folder / "sample"
    made_with = {"version": sample.VERSION}
    split = _reusable(home, made_with)
    if split is None:
        shutil.rmtree(home / "photos", ignore_errors=True)
        parts = sample.make(home / "photos")
        described = {
            part: tuple(_describe(path, (home / "photos" / path).read_bytes(), path.split("/")[1]) for path in paths)
            for part, paths in parts.items()
        }
        split = Split("sample", home / "photos", home, **described, made_with=made_with)
        split.save()
    photographs = {photo.label for part in PARTS for photo in split.photos(part)}
    print(f"Sample: {split.counts()}, crops of {len(photographs)} photographs that come inside installed packages.")
    return split


def _folder(settings: Settings, folder: Path, progress: bool) -> Split:
    """A folder of one's own, used whole: by its train/val/test subfolders, or 90/5/5 stratified by class folder."""
    files, others = _list_photos(folder)
    if not files:
        raise ColorlibError(
            f"The folder {folder} holds no photo ({others} other files). Give one with JPEG or PNG files."
        )
    name = f"folder-{folder.name}" if folder.name in NAMES else folder.name
    home = settings.data_folder / name
    newest = max((folder / file).stat().st_mtime for file in files)
    listing = hashlib.sha256(json.dumps([files, newest]).encode()).hexdigest()
    made_with = {"seed": settings.seed, "listing": listing}
    split = _reusable(home, made_with)
    if split is None or split.folder != folder:
        split = _read_folder(name, folder, home, files, made_with, progress)
        split.save()
    notes = [f"{len(split.skipped)} files skipped"] * bool(split.skipped) + [f"{others} other files"] * bool(others)
    print(f"Folder {name}: {split.counts()}" + "".join(f"; {note}" for note in notes) + ".")
    for path, reason in split.skipped:
        print(f"  skipped {path}: {reason}")
    return split


def _list_photos(folder: Path) -> tuple[list[str], int]:
    """Relative paths of the files that are named like photos, sorted, and the number of other files."""
    if not folder.exists():
        raise ColorlibError(
            f"The folder {folder} does not exist. Check the path, or on Colab whether Drive is mounted."
        )
    if not folder.is_dir():
        raise ColorlibError(f"{folder} is a file. Give the folder of photos; unpack an archive first.")
    files, others = [], 0
    for root, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        for name in names:
            path = Path(root, name)
            if path.suffix.lower() in PHOTO_SUFFIXES and not name.startswith("."):
                files.append(path.relative_to(folder).as_posix())
            else:
                others += 1
    return sorted(files), others


def _read_folder(name, folder, home, files, made_with, progress) -> Split:
    """Read every file once, rewrite the odd ones, skip the unreadable, and split the rest."""

    def read(path):
        try:
            data = (folder / path).read_bytes()
            photo = _describe(path, data)
            if photos.is_plain(data):
                return photo
            copy = home / "rewritten" / f"{path}.png"
            copy.parent.mkdir(parents=True, exist_ok=True)
            photos.read(data).save(copy)
            return dataclasses.replace(photo, copy=copy.relative_to(home).as_posix())
        except (photos.PhotoError, OSError) as error:
            return path, str(error)

    with ThreadPoolExecutor(min(16, 4 * (os.cpu_count() or 1))) as pool:
        bar = tqdm(total=len(files), unit=" photos", desc=f"Reading {name}", disable=not progress, leave=False)
        results = []
        for result in pool.map(read, files):
            results.append(result)
            bar.update()
        bar.close()
    readable = [result for result in results if isinstance(result, Photo)]
    skipped = [result for result in results if not isinstance(result, Photo)]
    if len(skipped) > SKIPPED_AT_MOST * len(files):
        named = "; ".join(f"{path}: {reason}" for path, reason in skipped[:5])
        raise ColorlibError(
            f"{len(skipped)} of the {len(files)} photos in {folder} cannot be read, more than a tenth. "
            f"Repair or remove them. The first: {named}."
        )
    return Split(name, folder, home, **divide(readable, made_with["seed"]), skipped=tuple(skipped), made_with=made_with)


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


def largest_remainder(sizes: list[int], number: int) -> list[int]:
    """`number` shared over groups in proportion to their sizes, in integers that sum to it (Hamilton's method)."""
    total = sum(sizes)
    shares = [size * number // total for size in sizes]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (-(sizes[i] * number % total), i))
    for i in by_remainder[: number - sum(shares)]:
        shares[i] += 1
    return shares


def _describe(path: str, data: bytes, label: str = "") -> Photo:
    return Photo(path, len(data), hashlib.sha256(data).hexdigest(), label)


def _reusable(home: Path, made_with: dict) -> Split | None:
    """The split in `home`, if it was made with these choices and its photos are there with their sizes."""
    if not (home / "split.json").exists():
        return None
    split = Split.load(home / "split.json")
    if split.made_with != made_with:
        return None
    try:
        for photo in itertools.chain(split.train, split.validation, split.test):
            size = (split.folder / photo.path).stat().st_size
            if size != photo.bytes or (photo.copy and not split.path_of(photo).exists()):
                return None
    except OSError:
        return None
    return split


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
        yield Photo(path, size, sha256, group["label"], group["archive"], *rest)
