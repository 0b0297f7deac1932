"""A folder of photographs, one's own or ImageNet's: listed, each photo read once, and split."""

import dataclasses
import hashlib
import json
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from colorlib import ColorlibError, lab
from colorlib.settings import Settings
from colorlib.sources import files, packs, photos, splits, tar
from colorlib.sources.splits import PARTS, Photo, Split

FEWEST = 20  # photos: then validation and test have one each
NEAR_GRAY = 5.0  # ab units: the prior, too, leaves photos out in which no |a| and no |b| is above it
GRAY_AT_MOST = 0.9  # share of the photos


@dataclasses.dataclass(frozen=True)
class Reading:
    """What came of reading one file: a photo for the split, or the reason why it is none."""

    photo: Photo | None = None
    has_color: bool = False
    reason: str = ""


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


def prepare(settings: Settings, progress: bool = True) -> Split:
    """Photos in a folder: by its train and val or test subfolders, or 90/5/5 stratified by class folder.

    A folder of one's own is used whole, of ImageNet only `settings.fraction`. Photos are read where they are, and
    nothing is written there; only those of a folder on Drive are copied to the local disk, once, and kept as one packed
    file for the next machine. Prints what was done and what was left out. Raises `ColorlibError` as `sources.prepare`.
    """
    is_imagenet = settings.data == "imagenet"
    folder = imagenet(settings) if is_imagenet else Path(settings.data).expanduser().resolve()
    fraction = settings.fraction if is_imagenet else 1.0
    home, on_drive = splits.home_of(settings, folder), files.on_drive(folder)
    found, states = _listed(folder)
    read_at = home / "photos" if on_drive else folder
    listing = json.dumps([list(states), max(time for _, time in states.values())])
    made_with = {"fraction": fraction, "seed": settings.seed, "listing": hashlib.sha256(listing.encode()).hexdigest()}
    pack = packs.path_of(settings, settings.data_name, fraction) if on_drive else None
    split = _reusable(home, read_at, made_with)
    if split is None and pack and pack.exists():
        (home / "split.json").unlink(missing_ok=True)
        packs.restore(pack, home, progress)
        split = _reusable(home, read_at, made_with)
        if split is None:  # packed before photos came, went or changed
            shutil.rmtree(read_at, ignore_errors=True)
    if is_new := split is None:
        if on_drive:
            files.require_space(home, round(1.3 * fraction * sum(size for size, _ in states.values())), folder.name)
        name = settings.data if is_imagenet else photos.shown(folder.name)
        split = _made(name, folder, read_at, home, states, made_with, progress)
        split.save()
    if pack and (is_new or not pack.exists()):
        packs.save(split, pack, progress)
    print(f"Folder {split.dataset}: {split.counts()}" + "; copied from Drive" * (is_new and on_drive) + ".")
    _report(split, list(states), found)
    return split


def _report(split: Split, listed: list[str], found: photos.Found) -> None:
    """Say which of a folder's photos and files are not in its split, and why."""
    named = splits.part_folders(listed)[1]
    if named and split.made_with["fraction"] == 1:
        outside = len(listed) - len(split.skipped) - sum(len(split.photos(part)) for part in PARTS)
        print(f"  its folders {', '.join(sorted(named))} are its parts; {outside:,} photos elsewhere are left out")
    for path, reason in split.skipped:
        print(f"  skipped {photos.shown(path)}: {reason}")
    if found.left_out:
        print(found)


def _listed(folder: Path) -> tuple[photos.Found, dict[str, tuple[int, float]]]:
    """What the folder holds; and of its photos, by their relative paths, the bytes and when they were last written."""
    with files.disk_errors(folder):
        found = photos.find(folder)
        states = {path.relative_to(folder).as_posix(): _size_and_time(path) for path in found.photos}
    if len(states) < FEWEST:
        raise ColorlibError(
            f"The folder {photos.shown(folder)} holds {len(states) or 'no'} photos, too few to learn from, to validate "
            f"and to test: {FEWEST} are the least, some hundred are a start. {found}"
        )
    return found, states


def _size_and_time(path: Path) -> tuple[int, float]:
    """A file's bytes, and when it was last written; zeros for one that cannot be had, such as a link to nowhere."""
    try:
        state = path.stat()
        return state.st_size, state.st_mtime
    except OSError:
        return 0, 0.0


def _made(name: str, folder: Path, read_at: Path, home: Path, states: dict, made_with: dict, progress: bool) -> Split:
    """The photos of a folder divided into parts and read. Raises `ColorlibError` if one is left without any."""
    listed = [Photo(path, 0, "", path.rpartition("/")[0]) for path in states]
    chosen = splits.stratified(listed, round(made_with["fraction"] * len(listed)), f"{made_with['seed']}")
    parts = splits.divide(chosen, made_with["seed"])
    wanted = [photo for part in PARTS for photo in parts[part]]
    readings = _read_all(wanted, folder, read_at, home, states, progress)
    _check(folder, readings)
    skipped = tuple((path, reading.reason) for path, reading in readings.items() if not reading.photo)
    parts = {part: tuple(filter(None, (readings[p.path].photo for p in parts[part]))) for part in PARTS}
    if empty := [part for part in PARTS if not parts[part]]:
        raise ColorlibError(f"{photos.shown(folder)} has too few photos: none that can be read is left for {empty[0]}.")
    return Split(name, read_at, home, **parts, skipped=skipped, made_with=made_with)


def _read_all(wanted: list[Photo], folder: Path, read_at: Path, home: Path, states: dict, progress: bool):
    """{path: `Reading`} of photos, each read once; copied to `read_at` if that is another folder and no interrupted run
    copied it."""

    def read(photo: Photo) -> Reading:
        path, local = photo.path, read_at / photo.path
        size, time = _size_and_time(local)
        is_to_copy = read_at != folder and not (size == states[path][0] and time > states[path][1])
        try:
            data = (folder / path if is_to_copy else local).read_bytes()
            copy = splits.store(home, path, data, folder.name) if is_to_copy else splits.plain_copy(home, path, data)
            has_color = _has_color(home / copy if copy else local)
        except MemoryError:
            shown = photos.shown(folder / path)
            raise ColorlibError(f"{shown}: not enough memory. Restart the session, or make it smaller.") from None
        except (photos.PhotoError, tar.ArchiveError, OSError) as error:
            if getattr(error, "errno", None) in files.VANISHED:
                with files.disk_errors(folder):
                    raise
            return Reading(reason=str(error))
        return Reading(dataclasses.replace(splits.describe(path, data, photo.label), copy=copy), has_color)

    with ThreadPoolExecutor(min(16, 4 * (os.cpu_count() or 1))) as pool:
        results = pool.map(read, wanted)
        bar = tqdm(results, "Reading photos", len(wanted), False, unit=" photos", disable=not progress)
        return {photo.path: reading for photo, reading in zip(wanted, bar, strict=True)}


def _check(folder: Path, readings: dict[str, Reading]) -> None:
    """Say how many photos have no color. Raises `ColorlibError` if nine tenths have none, or a tenth cannot be read."""
    skipped = [(photos.shown(path), reading.reason) for path, reading in readings.items() if not reading.photo]
    splits.check_skipped(f"the folder {photos.shown(folder)}", skipped, len(readings))
    total = len(readings) - len(skipped)
    if gray := sum(not reading.has_color for reading in readings.values() if reading.photo):
        print(f"  {gray:,} of {total:,} photos have no color")
    if gray > GRAY_AT_MOST * total:
        raise ColorlibError(f"{gray:,} of {total:,} photos of {photos.shown(folder)} have no color to learn from.")


def _has_color(path: Path) -> bool:
    """Whether a plain photo has any color that can be seen in it at 64 pixels."""
    with Image.open(path) as image:
        image.thumbnail((64, 64))
        rgb = np.asarray(image.convert("RGB"), np.float32) / 255
    return bool(np.abs(lab.rgb_to_lab(rgb)[..., 1:]).max() > NEAR_GRAY)


def _reusable(home: Path, read_at: Path, made_with: dict) -> Split | None:
    """The split in `home`, if it was made of these photos with these choices, and all of them are there."""
    split = Split.load(home / "split.json") if (home / "split.json").exists() else None
    if split and (split.folder, split.made_with) != (read_at, made_with):
        seeds = f"seed {split.made_with.get('seed')} became {made_with['seed']}"
        is_other = split.made_with.get("seed") != made_with["seed"]
        print(f"The split is made anew: {seeds if is_other else 'photos came, went or changed'}.")
        return None
    return split if split and all(split.is_there(photo) for part in PARTS for photo in split.photos(part)) else None
