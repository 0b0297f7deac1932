"""A folder of photographs, one's own or ImageNet's: listed, read once, and split."""

import dataclasses
import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm.auto import tqdm

from colorlib import ColorlibError
from colorlib.settings import Settings
from colorlib.sources import files, packs, photos, tar
from colorlib.sources.splits import PARTS, Photo, Split, check_skipped, describe, divide, plain_copy, store, stratified

PHOTO_SUFFIXES = {
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".avif", ".heic")
}
IMAGENET_COUNTS = {"train": 1_281_167, "val": 50_000}  # ILSVRC2012


def imagenet(settings: Settings) -> Path:
    """The folder that holds train and val: the mirror or data/imagenet, or the usual ILSVRC/Data/CLS-LOC below it."""
    given = Path(settings.mirror or settings.data_folder / "imagenet").expanduser()
    for folder in (given, given / "ILSVRC/Data/CLS-LOC", given / "Data/CLS-LOC", given / "ILSVRC2012"):
        if (folder / "train").is_dir() and (folder / "val").is_dir():
            return folder.resolve()
    raise ColorlibError(
        f"ImageNet is not at {given}. It is behind a registration (image-net.org) and never downloaded: give the "
        "folder that holds train/n01440764/….JPEG and val/….JPEG by the setting `mirror` (COLORLIB_MIRROR)."
    )


def prepare(settings: Settings, folder: Path, name: str, progress: bool) -> Split:
    """Photos in a folder: by its train/val/test subfolders, or 90/5/5 stratified by class folder.

    A folder of one's own is used whole, of ImageNet only `settings.fraction`. Photos are read where they are; only
    those of a folder on Drive are copied to the local disk, once, and kept as one packed file for the next machine.
    """
    listed, others = _list_photos(folder)
    if not listed:
        raise ColorlibError(
            f"The folder {folder} holds no photo ({others} other files). Give one with JPEG or PNG files."
        )
    home, on_drive = settings.data_folder / name, files.on_drive(folder)
    place = home / "photos" if on_drive else folder
    fraction = settings.fraction if name == "imagenet" else 1.0
    newest = max(time for _, time in listed.values())
    made_with = {
        "fraction": fraction,
        "seed": settings.seed,
        "listing": hashlib.sha256(json.dumps([list(listed), newest]).encode()).hexdigest(),
    }
    pack = packs.place(settings, name, fraction) if on_drive else None
    split = reusable(home, place, made_with)
    if split is None and pack and pack.exists():
        (home / "split.json").unlink(missing_ok=True)
        packs.restore(pack, home, progress)
        split = reusable(home, place, made_with)
        if split is None:  # packed before photos came, went or changed
            shutil.rmtree(place, ignore_errors=True)
    is_new = split is None
    if is_new:
        if on_drive:
            files.require_space(home, round(1.3 * fraction * sum(size for size, _ in listed.values())), name)
        split = _read_folder(name, folder, place, home, listed, made_with, progress)
        split.save()
    if pack and (is_new or not pack.exists()):
        packs.save(split, pack, progress)
    notes = _missing_of_imagenet(listed) if name == "imagenet" else []
    notes += ["copied from Drive to this machine's disk"] * (on_drive and is_new)
    notes += [f"{len(split.skipped)} skipped"] * bool(split.skipped) + [f"{others} other files"] * bool(others)
    print(f"Folder {name}: {split.counts()}" + "".join(f"; {note}" for note in notes) + ".")
    for path, reason in split.skipped:
        print(f"  skipped {path}: {reason}")
    return split


def _missing_of_imagenet(listed) -> list[str]:
    """What to tell where the folder holds other numbers of photos than were published."""
    found = {part: sum(path.startswith(f"{part}/") for path in listed) for part in IMAGENET_COUNTS}
    return [
        f"{found[part]:,} of the {number:,} published {part} photos are there"
        for part, number in IMAGENET_COUNTS.items()
        if found[part] != number
    ]


def _list_photos(folder: Path) -> tuple[dict[str, tuple[int, float]], int]:
    """The files that are named like photos, sorted by their relative paths, with bytes and time; how many are not."""
    with files.disk_errors(folder):
        if not folder.exists():
            raise ColorlibError(f"The folder {folder} does not exist. Check the path; on Colab, is Drive mounted?")
        if not folder.is_dir():
            raise ColorlibError(f"{folder} is a file. Give the folder of photos; unpack an archive first.")
        found, others = {}, 0
        for root, folders, names in os.walk(folder, onerror=_raise):  # else a mount that vanishes is an empty folder
            folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
            for name in names:
                path = Path(root, name)
                if path.suffix.lower() in PHOTO_SUFFIXES and not name.startswith("."):
                    found[path.relative_to(folder).as_posix()] = _size_and_time(path)
                else:
                    others += 1
    return dict(sorted(found.items())), others


def _raise(error: OSError):
    raise error


def _size_and_time(path: Path) -> tuple[int, float]:
    """A file's bytes, and when it was last written; zeros for one that cannot be had, such as a link to nowhere."""
    try:
        state = path.stat()
        return state.st_size, state.st_mtime
    except OSError:
        return 0, 0.0


def _read_folder(name: str, folder: Path, place: Path, home: Path, listed: dict, made_with, progress: bool) -> Split:
    """Split the photos, read each chosen one once, write plain copies of the odd ones, and leave out the unreadable.

    Where `place` is another folder than `folder`, they are copied there; one that an interrupted run copied is not
    read again.
    """
    chosen = [Photo(path, 0, "", path.rpartition("/")[0]) for path in listed]
    if made_with["fraction"] < 1:
        groups = {}
        for photo in chosen:
            groups.setdefault(photo.path.partition("/")[0], []).append(photo)
        shares = {key: round(made_with["fraction"] * len(group)) for key, group in groups.items()}
        chosen = [p for key, group in groups.items() for p in stratified(group, shares[key], f"{made_with['seed']}")]
    parts = divide(chosen, made_with["seed"])

    def read(photo):
        size, time = _size_and_time(place / photo.path)
        is_copied = place != folder and size == listed[photo.path][0] and time > listed[photo.path][1]
        return _read_photo(photo, place if is_copied else folder, home, place != folder and not is_copied)

    every = [photo for part in PARTS for photo in parts[part]]
    with ThreadPoolExecutor(min(16, 4 * (os.cpu_count() or 1))) as pool:
        bar = tqdm(pool.map(read, every), f"Reading {name}", len(every), False, unit=" photos", disable=not progress)
        done = {photo.path: photo for photo in bar}
    skipped = [(photo.path, photo.copy) for photo in done.values() if not photo.sha256]
    check_skipped(f"the folder {folder}", skipped, len(every))
    readable = {part: tuple(done[p.path] for p in parts[part] if done[p.path].sha256) for part in PARTS}
    return Split(name, place, home, **readable, skipped=tuple(skipped), made_with=made_with)


def _read_photo(photo: Photo, folder: Path, home: Path, is_to_copy: bool) -> Photo:
    """The photo described, and copied to the local disk if it is to be; without a SHA-256, and the reason as its copy,
    where it cannot be read."""
    try:
        data = (folder / photo.path).read_bytes()
        copy = store(home, photo.path, data, folder.name) if is_to_copy else plain_copy(home, photo.path, data)
    except (photos.PhotoError, tar.ArchiveError, OSError) as error:
        if getattr(error, "errno", None) in files.VANISHED:
            with files.disk_errors(folder):
                raise
        return dataclasses.replace(photo, copy=str(error))
    return dataclasses.replace(describe(photo.path, data, photo.label), copy=copy)


def reusable(home: Path, folder: Path, made_with: dict) -> Split | None:
    """The split in `home`, if it was made of this folder, with these choices, and all its photos are there."""
    if not (home / "split.json").exists():
        return None
    split = Split.load(home / "split.json")
    if (split.folder, split.made_with) != (folder, made_with):
        return None
    return split if all(split.is_there(photo) for part in PARTS for photo in split.photos(part)) else None
