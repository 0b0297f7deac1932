"""A folder of photographs, one's own or ImageNet's: listed, each photo read once, and split."""

import dataclasses
import hashlib
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm.auto import tqdm

from colorlib import ColorlibError, lab
from colorlib.settings import Settings
from colorlib.sources import files, photos, splits
from colorlib.sources.splits import PARTS, Photo, Split

FEWEST = 20  # photos: then validation and test have one each
NEAR_GRAY = 5.0  # ab units: the prior, too, leaves photos out in which no |a| and no |b| is above it
GRAY_AT_MOST = 0.9  # share of the photos


def prepare(settings: Settings, progress: bool = True) -> Split:
    """Photos in a folder: by its train and val or test subfolders, or 90/5/5 stratified by class folder.

    A folder of one's own is used whole, of ImageNet only `settings.fraction`. Photos are read where they are, and
    nothing is written there. Prints what was done and what was left out. Raises `ColorlibError` as `sources.prepare`.
    """
    if settings.data == "imagenet":
        folder, name, fraction = imagenet(settings), settings.data, settings.fraction
    else:
        folder, fraction = Path(settings.data).expanduser().resolve(), 1.0
        name = photos.shown(folder.name)
    home, contents = splits.home_of(settings, folder), _contents(folder)
    paths = [path.relative_to(folder).as_posix() for path in contents.photos]
    newest = max(path.lstat().st_mtime for path in contents.photos)  # of a link itself, for it may lead nowhere
    listing = json.dumps([paths, newest])
    made_with = {"fraction": fraction, "seed": settings.seed, "listing": hashlib.sha256(listing.encode()).hexdigest()}
    split = _reusable(home / "split.json", folder, made_with)
    if split is None:
        if files.on_drive(folder):
            print("Photos on Drive are slow to read: a copy of the folder on this machine's own disk is much faster.")
        listed = [Photo(path, 0, "", path.rpartition("/")[0]) for path in paths]
        chosen = splits.stratified(listed, round(fraction * len(listed)), f"{settings.seed}")
        drawn = Split(name, folder, home, **splits.divide(chosen, settings.seed), made_with=made_with)
        split = _read(drawn, progress)
        split.save()
    print(f"Folder {name}: {split.counts()}.")
    _report(split, paths, contents)
    return split


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


def _contents(folder: Path) -> photos.Found:
    """What the folder holds. Raises `ColorlibError` where that is too little."""
    contents = photos.find(folder)
    if len(contents.photos) < FEWEST:
        raise ColorlibError(
            f"The folder {photos.shown(folder)} holds {len(contents.photos) or 'no'} photos, too few to learn from, to "
            f"validate and to test: {FEWEST} are the least, some hundred are a start. {contents}"
        )
    return contents


def _reusable(file: Path, folder: Path, made_with: dict) -> Split | None:
    """The split in `file`, if it was made of these photos with these choices, and all of them are there."""
    split = Split.load(file) if file.exists() else None
    if split and (split.folder, split.made_with) != (folder, made_with):
        print("The split is made anew: photos came, went or changed, or it was for another seed, fraction or folder.")
        return None
    return split if split and split.is_whole() else None


def _read(drawn: Split, progress: bool) -> Split:
    """A split that was drawn by paths alone, with all of its photos read, once each, and those left out that are none.

    Raises `ColorlibError` if too many cannot be read or have no color, and if a part is left without any.
    """
    folder, gray, reasons = drawn.folder, set(), {}  # paths of photos without color; path -> why a file is no photo

    def read(photo: Photo) -> Photo | None:
        try:
            data = (folder / photo.path).read_bytes()
            copy = splits.plain_copy(drawn.home, folder, photo.path, data)
            photo = splits.describe(photo.path, data, photo.label, copy=copy)
            if not _has_color(drawn.path_of(photo)):
                gray.add(photo.path)
            return photo
        except MemoryError:
            shown = photos.shown(folder / photo.path)
            raise ColorlibError(f"{shown}: not enough memory. Restart the session, or make it smaller.") from None
        except (photos.PhotoError, OSError) as error:
            if getattr(error, "errno", None) in files.VANISHED:
                raise
            reasons[photo.path] = str(error)

    wanted = drawn.photos(*PARTS)
    with ThreadPoolExecutor(min(16, 4 * (os.cpu_count() or 1))) as pool:
        bar = tqdm(pool.map(read, wanted), "Reading photos", len(wanted), False, unit=" photos", disable=not progress)
        described = {photo.path: described for photo, described in zip(wanted, bar, strict=True)}
    skipped = tuple(sorted(reasons.items()))
    splits.check_skipped(f"the folder {photos.shown(folder)}", skipped, len(wanted))
    total = len(wanted) - len(skipped)
    if gray:
        print(f"  {len(gray):,} of {total:,} photos have no color")
    if len(gray) > GRAY_AT_MOST * total:
        raise ColorlibError(f"{len(gray):,} of {total:,} photos of {photos.shown(folder)} have no color to learn from.")
    parts = {part: tuple(filter(None, (described[p.path] for p in drawn.photos(part)))) for part in PARTS}
    if empty := [part for part in PARTS if not parts[part]]:
        raise ColorlibError(f"{photos.shown(folder)} has too few photos: none that can be read is left for {empty[0]}.")
    return dataclasses.replace(drawn, **parts, skipped=skipped)


def _has_color(path: Path) -> bool:
    """Whether a plain photo has any color that can be seen in it at 64 pixels."""
    with Image.open(path) as image:
        image.thumbnail((64, 64))
        rgb = np.asarray(image.convert("RGB"), np.float32) / 255
    return bool(np.abs(lab.rgb_to_lab(rgb)[..., 1:]).max() > NEAR_GRAY)


def _report(split: Split, listed: list[str], contents: photos.Found) -> None:
    """Say which of a folder's photos and files are not in its split, and why."""
    named = splits.part_folders(listed)[1]
    if named and split.made_with["fraction"] == 1:
        outside = len(listed) - len(split.skipped) - len(split.photos(*PARTS))
        print(f"  its folders {', '.join(sorted(named))} are its parts; {outside:,} photos elsewhere are left out")
    for path, reason in split.skipped:
        print(f"  skipped {photos.shown(path)}: {reason}")
    if contents.left_out:
        print(contents)
