"""Data sets that were published as archives: Places365 and Food-101, their addresses, sizes, counts and checksums.

Of Places365's large archives only stretches are read. The small one and Food-101 come whole and are verified; what was
drawn is read from the file, which is deleted when the split is made.
"""

import dataclasses
import hashlib
import itertools
import json
import shutil
import tarfile
from pathlib import Path

from tqdm.auto import tqdm

from colorlib import ColorlibError
from colorlib.settings import Settings
from colorlib.sources import files, http, packs, photos, sampling, splits, tar
from colorlib.sources.splits import PARTS, Photo, Split


@dataclasses.dataclass(frozen=True)
class Archive:
    """An archive as it was published: with a `sha256` it is read whole, without one only by stretches."""

    name: str
    base: str  # the address of its folder
    bytes: int
    photos: int
    sha256: str = ""


PLACES = "http://data.csail.mit.edu/places/places365"
TRAIN_256 = Archive("train_256_places365standard.tar", PLACES, 26_103_685_120, 1_803_460)
VAL_256 = Archive(
    "val_256.tar", PLACES, 525_158_400, 36_500, "24b4e639ef12a0012af525bc4cb443e4ab4aaea8369a1fb009b70e4a4aad5d48"
)
TEST_256 = Archive("test_256.tar", PLACES, 4_736_829_440, 328_500)
FOOD = "http://data.vision.ee.ethz.ch/cvl"
FOOD_101 = Archive(
    "food-101.tar.gz", FOOD, 4_996_278_331, 101_000, "d97d15e438b7f4498f96086a4f7e2fa42a32f2712e87d3295441b2b6314053a4"
)

# The classes of val_256's photos: two lists in an archive of their own, with torchvision's md5 sums of them.
FILELIST = Archive("filelist_places365-standard.tar", PLACES, 67_498_496, 0)
CLASS_LISTS = {
    "categories_places365.txt": "06c963b85866bd0649f97cb43dd16673",
    "places365_val.txt": "e9f2fd57bfd9d07630173f4e8708e4b1",
}

# Data set -> its archives, and the share of each one's photos that goes to each part (before `Settings.fraction`).
# Food-101 publishes which photo is for training (its share here) and which for testing.
DATA_SETS = {
    "places365": ((TRAIN_256, {"train": 1}), (VAL_256, {"validation": 1}), (TEST_256, {"test": 1})),
    "places365-val": ((VAL_256, {"train": 0.2, "validation": 0.01, "test": 0.02}),),
    "food101": ((FOOD_101, {"train": 0.75, "test": 0.25}),),
}


def prepare(settings: Settings, progress: bool = True) -> Split:
    """The split of a published data set: reused, unpacked from the packed file, or made. See `sources.prepare`.

    A split.json that is there decides which photos, and those that are missing are drawn again as it was: it may be
    another's. What is needed only until then lies in the folder `download`: a rerun after an interruption goes on from
    there.
    """
    home, file = settings.data_folder / settings.data, f"data/{settings.data}/split.json"
    made_with = {"fraction": settings.fraction, "seed": settings.seed}
    pack = packs.path_of(settings, settings.fraction)
    split = packs.split_in(home, pack)
    if split and split.made_with != made_with:
        print(f"{file} is used as it is, made with {split.made_with}, not {made_with}. Delete it to draw anew.")
        settings, made_with, pack = settings.replace(**split.made_with), split.made_with, None
    if not (split and split.is_whole()):
        made = _make(settings, made_with, home, progress)
        if split and split.checksum != made.checksum:
            raise ColorlibError(f"{file} names photos that cannot be had. Delete it to draw anew.")
        split = made
        split.save()
    shutil.rmtree(home / "download", ignore_errors=True)
    if pack and not pack.exists():
        packs.save(split, pack)
    print(f"{settings.data}: {split.counts()}.")
    return split


def source_of(archive: Archive, settings: Settings) -> http.Source:
    """Where the archive's bytes are: at its published address, at a mirror's, or in a folder on disk."""
    return http.Source(f"{(settings.mirror or archive.base).rstrip('/')}/{archive.name}", archive.bytes)


def _make(settings: Settings, made_with: dict, home: Path, progress: bool) -> Split:
    """A new split, not saved yet, its photos written into `home`."""
    parts, skipped = {part: [] for part in PARTS}, []
    for archive, shares in DATA_SETS[settings.data]:
        numbers = {part: round(settings.fraction * share * archive.photos) for part, share in shares.items()}
        draw = _from_whole if archive.sha256 else _by_ranges
        drawn, left_out = draw(archive, numbers, settings, home, progress)
        skipped += left_out
        for part in drawn:
            parts[part] += drawn[part]
    splits.check_skipped(settings.data, skipped, len(skipped) + sum(map(len, parts.values())))
    in_order = {part: tuple(sorted(parts[part], key=lambda photo: (photo.label, photo.path))) for part in PARTS}
    return Split(settings.data, home / "photos", home, **in_order, skipped=tuple(skipped), made_with=made_with)


def _by_ranges(archive: Archive, numbers: dict, settings: Settings, home: Path, progress: bool) -> tuple[dict, list]:
    """A fair sample of an archive for one part: part -> its photos, and (name, reason) of those left out.

    The class of data_256/a/abbey/00000001.jpg is "a/abbey".
    """
    ((part, number),) = numbers.items()
    source, done = source_of(archive, settings), home / "download" / f"{archive.name}-{number}-seed{settings.seed}"

    def keep(member: tarfile.TarInfo, data: bytes) -> Photo:
        return _keep(home, archive, member, data, "/".join(member.name.split("/")[1:-1]))

    drawn, skipped = sampling.sample(source, number, archive.photos, settings.seed, keep, done, progress)
    return {part: drawn}, skipped


def _from_whole(archive: Archive, numbers: dict, settings: Settings, home: Path, progress: bool) -> tuple[dict, list]:
    """What is drawn from an archive that comes whole, as `_by_ranges` gives it."""
    path = http.fetch(source_of(archive, settings), home / "download" / archive.name, archive.sha256, progress)
    parts, skipped = {part: [] for part in PARTS}, []
    with tarfile.open(path) as opened:
        drawn = (_draw_food_101 if settings.data == "food101" else _draw_validation)(opened, numbers, settings)
        members = [member for member in opened if member.name in drawn]
        for member in tqdm(members, f"unpacking {archive.name}", leave=False, disable=not progress):
            label, part = drawn[member.name]
            try:
                parts[part].append(_keep(home, archive, member, opened.extractfile(member).read(), label))
            except photos.PhotoError as error:
                skipped.append((member.name, str(error)))
    return parts, skipped


def _draw_validation(opened: tarfile.TarFile, numbers: dict, settings: Settings) -> dict[str, tuple[str, str]]:
    """So many photos of val_256 for each part, of each class its share. Returns name in the archive -> (class, part).

    The classes lie in an archive of their own, of which about a megabyte is read.
    """
    source, texts = source_of(FILELIST, settings), {}
    reader = tar.Reader(source)
    for member in reader.members(0, source.size):
        if (name := Path(member.name).name) in CLASS_LISTS:
            texts[name] = reader.read(member.offset_data, member.size)
    if {name: hashlib.md5(text, usedforsecurity=False).hexdigest() for name, text in texts.items()} != CLASS_LISTS:
        raise ColorlibError(f"{source.address}: a list of classes is missing or damaged. {http.ADVICE}")
    categories, listed = (texts[name].decode().split() for name in CLASS_LISTS)
    label_of = dict(zip(categories[1::2], categories[::2], strict=True))
    classes = {name: label_of[number].lstrip("/") for name, number in zip(listed[::2], listed[1::2], strict=True)}
    labels = {name: classes[Path(name).name] for name in opened.getnames() if Path(name).name in classes}
    order = iter(splits.in_turn(labels, f"{settings.seed}"))
    return {name: (labels[name], part) for part, number in numbers.items() for name in itertools.islice(order, number)}


def _draw_food_101(opened: tarfile.TarFile, numbers: dict, settings: Settings) -> dict[str, tuple[str, str]]:
    """The published training and test photos, or a fraction of each class; 5 % of those for training validate.

    Returns name in the archive -> (class, part).
    """
    drawn, seed = {}, f"{settings.seed}"
    for part, number in numbers.items():
        names_of = json.load(opened.extractfile(f"food-101/meta/{part}.json"))
        listed = [Photo(f"food-101/images/{name}.jpg", 0, "", label) for label in names_of for name in names_of[label]]
        drawn[part] = splits.stratified(listed, number, seed)
    drawn["validation"] = splits.stratified(
        drawn["train"], round(splits.HELD_OUT * len(drawn["train"])), f"{seed} validation"
    )
    # Validation comes last: its photos are of train, too.
    return {photo.path: (photo.label, part) for part in drawn for photo in drawn[part]}


def _keep(home: Path, archive: Archive, member: tarfile.TarInfo, data: bytes, label: str) -> Photo:
    """Write a member below `home`/photos. Raises `photos.PhotoError` if it is no photo, `tar.ArchiveError` if its name
    could lead elsewhere."""
    path = tar.safe_path(home / "photos", member.name, archive.name)
    copy = splits.plain_copy(home, home / "photos", member.name, data)
    files.put(path, data)
    return splits.describe(member.name, data, label, archive=archive.name, offset=member.offset_data, copy=copy)
