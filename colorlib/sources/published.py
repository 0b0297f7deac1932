"""Data sets that were published as archives: Places365 and Food-101, their addresses, sizes, counts and checksums.

Of Places365's large archives only stretches are read. The small one and Food-101 come whole and are verified; what was
drawn is unpacked straight from the compressed file, which is deleted when the split is made.
"""

import dataclasses
import functools
import gzip
import hashlib
import io
import itertools
import json
import re
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from tqdm.auto import tqdm

from colorlib import ColorlibError
from colorlib.settings import Settings
from colorlib.sources import files, http, packs, photos, sampling, tar
from colorlib.sources.sampling import Taken
from colorlib.sources.splits import HELD_OUT, PARTS, Photo, Split, check_skipped, in_turn, store, stratified


@dataclasses.dataclass(frozen=True)
class Archive:
    """An archive as it was published: with a `sha256` it is read whole, without one only by stretches."""

    name: str
    base: str  # the address of its folder
    bytes: int
    photos: int
    sha256: str = ""
    lists: tuple = ()  # in place of photos: text files that are wanted of it, each (name, md5)
    classes: "Archive | None" = None  # where the lists of its photos' classes are, if they lie in no class folders


PLACES = "http://data.csail.mit.edu/places/places365/"
TRAIN_256 = Archive("train_256_places365standard.tar", PLACES, 26_103_685_120, 1_803_460)
FILELIST = Archive(
    *("filelist_places365-standard.tar", PLACES, 67_498_496, 0),
    lists=(  # their md5 sums are those that torchvision's Places365 publishes
        ("categories_places365.txt", "06c963b85866bd0649f97cb43dd16673"),
        ("places365_val.txt", "e9f2fd57bfd9d07630173f4e8708e4b1"),
    ),
)
VAL_256 = Archive(
    *("val_256.tar", PLACES, 525_158_400, 36_500),
    sha256="24b4e639ef12a0012af525bc4cb443e4ab4aaea8369a1fb009b70e4a4aad5d48",
    classes=FILELIST,
)
TEST_256 = Archive("test_256.tar", PLACES, 4_736_829_440, 328_500)
FOOD_101 = Archive(
    *("food-101.tar.gz", "http://data.vision.ee.ethz.ch/cvl/", 4_996_278_331, 101_000),
    sha256="d97d15e438b7f4498f96086a4f7e2fa42a32f2712e87d3295441b2b6314053a4",
)

# Data set -> its archives, and the share of each one's photos that goes to each part (before `Settings.fraction`).
# Food-101 publishes which photo is for training (its share here) and which for testing.
DATA_SETS = {
    "places365": ((TRAIN_256, {"train": 1}), (VAL_256, {"validation": 1}), (TEST_256, {"test": 1})),
    "places365-val": ((VAL_256, {"train": 0.2, "validation": 0.01, "test": 0.02}),),
    "food101": ((FOOD_101, {"train": 0.75, "test": 0.25}),),
}


def prepare(settings: Settings, progress: bool = True) -> Split:
    """The split of a published data set: reused, unpacked from the packed file, or made. See `sources.prepare`."""
    home, how = settings.data_folder / settings.data, "reused"
    pack = packs.place(settings, settings.data, settings.fraction)
    if pack and pack.exists() and not (home / "split.json").exists():
        packs.restore(pack, home, progress)
    if (home / "split.json").exists():
        split = Split.load(home / "split.json")
        if not _is_drawn_as_asked(split, settings):
            pack = None  # it would be kept under the name of another one
    else:
        split, how = _make(settings, home, progress)
    if _absent(split) and pack and pack.exists():
        packs.restore(pack, home, progress)
    if _absent(split):  # a split.json that somebody shared, or photos that the disk lost
        how = _complete(split, settings, progress)
    is_own = settings.mirror and Path(settings.mirror).expanduser().exists()  # such archives stay
    archives = [] if is_own else [archive.name for archive, _ in DATA_SETS[settings.data]]
    for path in itertools.chain(*map(home.rglob, (*archives, "*.partial", ".*.part", "*.journal"))):
        path.unlink()  # only now: a rerun would have needed them
    if pack and not pack.exists():
        packs.save(split, pack, progress)
    print(f"{settings.data}: {split.counts()}; {how}.")
    return split


def source_of(archive: Archive, settings: Settings) -> http.Source:
    """Where the archive's bytes are: at its published address, at a mirror's, or in a folder on disk."""
    base = re.sub(r"[^/\\]+\.tar(\.gz)?$", "", settings.mirror or archive.base)  # an archive itself may be named, too
    is_web = base.startswith(("http://", "https://"))
    address = f"{base.rstrip('/')}/{archive.name}" if is_web else Path(base).expanduser() / archive.name
    return http.Source(address, archive.bytes)


def _is_drawn_as_asked(split: Split, settings: Settings) -> bool:
    """Whether a split has the settings' seed; if not, that is said. One of another fraction is refused."""
    file, made_with = f"data/{settings.data}/split.json", split.made_with
    if made_with.get("fraction") != settings.fraction:
        raise ColorlibError(
            f"{file} was made with the fraction {made_with.get('fraction')}, and the settings have "
            f"{settings.fraction}. Delete that file to make a new split, or set `fraction` to the old one."
        )
    if is_another := made_with.get("seed") != settings.seed:
        print(
            f"{file} was drawn with the seed {made_with.get('seed')}, not {settings.seed}, and is used as it is. "
            "Delete it to draw anew."
        )
    return not is_another


def _make(settings: Settings, home: Path, progress: bool) -> tuple[Split, str]:
    """A new split, its photos written into `home`, and what to tell of it."""
    recipe = DATA_SETS[settings.data]
    _announce(settings, home, recipe)
    parts, skipped, read = {part: [] for part in PARTS}, [], 0
    for archive, shares in recipe:
        numbers = {part: round(settings.fraction * share * archive.photos) for part, share in shares.items()}
        drawn, more_read = (_from_whole if archive.sha256 else _by_ranges)(archive, numbers, settings, home, progress)
        read += more_read
        for photo, label, part in drawn:
            if photo.left_out:
                skipped.append((photo.name, photo.left_out))
            else:
                of_file = (photo.name, photo.size, photo.sha256, label)
                parts[part].append(Photo(*of_file, archive.name, photo.offset, photo.copy))
    check_skipped(settings.data, skipped, len(skipped) + sum(map(len, parts.values())))
    in_order = {part: tuple(sorted(parts[part], key=lambda photo: (photo.label, photo.path))) for part in PARTS}
    made_with = {"fraction": settings.fraction, "seed": settings.seed}
    split = Split(settings.data, home / "photos", home, **in_order, skipped=tuple(skipped), made_with=made_with)
    kept = sum(photo.bytes for part in PARTS for photo in split.photos(part))
    report = {"bytes_read": read, "bytes_kept": kept, "bytes_of_archives": sum(archive.bytes for archive, _ in recipe)}
    files.put(home / "download.json", json.dumps(report).encode())
    split.save()
    return split, f"{read / 1e9:.2f} GB read, {kept / 1e9:.2f} GB kept"


def _announce(settings: Settings, home: Path, recipe) -> None:
    """Say what is coming, and refuse what the disk cannot hold, before the first photo is read."""
    kept = {archive: settings.fraction * sum(shares.values()) * archive.bytes for archive, shares in recipe}
    read = sum(archive.bytes if archive.sha256 else 1.3 * part for archive, part in kept.items())
    fetched = sum(a.bytes for a in kept if a.sha256 and source_of(a, settings).is_remote)
    with files.disk_errors(home):
        left_over = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())  # of an interrupted run
    files.require_space(home, round(max(0, 1.3 * sum(kept.values()) + fetched - left_over)), settings.data)
    print(f"{settings.data}: about {read / 1e9:.2f} GB to read, {read / 600e6:.0f} minutes at 10 MB a second.")


def _by_ranges(archive: Archive, numbers: dict, settings: Settings, home: Path, progress: bool):
    """A fair sample of an archive for one part: (photo, class, part) of each, and how many bytes were read for it."""
    ((part, number),) = numbers.items()
    journal, keep = home / f"{archive.name}.journal", functools.partial(_keep, home, archive)
    source = source_of(archive, settings)
    sample = sampling.sample(source, number, archive.photos, settings.seed, keep, journal, progress)
    return [(taken, _folder_of(taken.name), part) for taken in sample.taken], sample.bytes_read


def _from_whole(archive: Archive, numbers: dict, settings: Settings, home: Path, progress: bool):
    """What is drawn from a whole archive: (photo, class, part) of each, and how many bytes were read for it."""
    path = http.fetch(source_of(archive, settings), home / archive.name, archive.sha256, progress)

    def read(wanted):
        return _members(path, archive, wanted, progress)

    def unpack(wanted):
        unpacked = {
            member.name: _keep(home, archive, member, data) for member, data in read(wanted) if data is not None
        }
        if len(unpacked) < len(wanted):
            raise ColorlibError(f"{archive.name}: {len(wanted) - len(unpacked):,} of its listed photos are missing.")
        return unpacked

    draw = _food_101 if settings.data == "food101" else _in_turn
    return draw(archive, numbers, settings, read, unpack), archive.bytes


def _in_turn(archive: Archive, numbers: dict, settings: Settings, read: Callable, unpack: Callable) -> list[tuple]:
    """Exactly so many photos for each part, of each class its share; a refused one is replaced by the next drawn."""
    names = [member.name for member, _ in read(()) if sampling.is_photo(member.name)]
    classes = _listed_classes(archive, settings)
    labels = {name: classes.get(name.rpartition("/")[2], _folder_of(name)) for name in names}
    order, missing = iter(in_turn(labels, f"{settings.seed}")), [part for part in numbers for _ in range(numbers[part])]
    drawn = []
    while missing:
        wanted = list(itertools.islice(order, len(missing)))
        if len(wanted) < len(missing):
            raise ColorlibError(f"{archive.name} holds only {len(names):,} photos, {archive.photos:,} were published.")
        unpacked = unpack(set(wanted))
        for name in wanted:
            drawn.append((unpacked[name], labels[name], "" if unpacked[name].left_out else missing.pop(0)))
    return drawn


def _food_101(archive: Archive, numbers: dict, settings: Settings, read: Callable, unpack: Callable) -> list[tuple]:
    """The published training and test photos, or a fraction of each class; 5 % of those for training validate."""
    drawn, lists = {}, {f"food-101/meta/{part}.json": part for part in ("train", "test")}
    for member, data in read(lists):
        if data is not None:
            rows = [(label, photo) for label, photos_of_it in json.loads(data).items() for photo in photos_of_it]
            listed = [Photo(f"food-101/images/{photo}.jpg", 0, "", label) for label, photo in rows]
            part = lists[member.name]
            drawn[part] = stratified(listed, numbers[part], f"{settings.seed}")
        if len(drawn) == len(lists):
            break
    number = round(HELD_OUT * len(drawn["train"]))
    drawn["validation"] = stratified(drawn["train"], number, f"{settings.seed} validation")
    of_photo = {  # validation last: its photos are of train, too
        photo.path: (photo.label, part) for part in ("test", "train", "validation") for photo in drawn[part]
    }
    return [(taken, *of_photo[name]) for name, taken in unpack(of_photo).items()]


def _listed_classes(archive: Archive, settings: Settings) -> dict[str, str]:
    """File name -> class, such as "a/abbey", by the published lists, about a megabyte of a larger archive.

    Nothing where there are no lists, or none can be had: then that is said, and no photo is refused for it.
    """
    if archive.classes is None:
        return {}
    md5_of = dict(archive.classes.lists)
    try:
        source = source_of(archive.classes, settings)
        file = tar.RangeFile(source) if source.ranges else io.BytesIO(source.read(0, source.size))
        members = tar.members(file, source.name, lambda member: Path(member.name).name in md5_of)
        texts = {Path(member.name).name: data for member, data in members if data is not None}
        if {name: hashlib.md5(text, usedforsecurity=False).hexdigest() for name, text in texts.items()} != md5_of:
            raise ColorlibError(f"{source.address}: a list of classes is missing or damaged.")
    except ColorlibError as error:
        print(f"{archive.name}: the photos' classes are not known, and all count as one. {error}")
        return {}
    categories, listed = ([line.split() for line in texts[name].decode().splitlines()] for name in md5_of)
    names = {number: category.lstrip("/") for category, number in categories}
    return {name: names[number] for name, number in listed}


def _members(path: Path, archive: Archive, wanted, progress: bool) -> Iterator:
    """The members of a whole archive, those named in `wanted` with their contents, the others with None."""
    with (gzip.open if path.suffix == ".gz" else open)(path, "rb") as file:
        members = tar.members(file, archive.name, lambda member: member.name in wanted)
        yield from tqdm(members, f"reading {archive.name}", archive.photos, False, disable=not progress)


def _keep(home: Path, archive: Archive, member: tarfile.TarInfo, data: bytes) -> Taken:
    """Write a member into `home` if it is a photo."""
    try:
        return Taken.of(member, data, copy=store(home, member.name, data, archive.name))
    except photos.PhotoError as error:
        return Taken.of(member, data, left_out=str(error))


def _folder_of(name: str) -> str:
    """A member's class, its folders below the archive's own: "a/abbey" of data_256/a/abbey/00000001.jpg."""
    return "/".join(name.split("/")[1:-1])


def _complete(split: Split, settings: Settings, progress: bool) -> str:
    """Get the photos of a split that are not on this disk from where it says that they lay."""
    absent = _absent(split)
    if split.folder != (split.home / "photos").resolve():
        raise ColorlibError(f"data/{split.dataset}/split.json names a folder of its own. Get another one.")
    files.require_space(split.home, sum(photo.bytes for photo in absent), split.dataset)

    def keep(photo, data):
        store(split.home, photo.path, data, "split.json")

    for archive, _ in DATA_SETS[split.dataset]:
        wanted = {photo.path: photo for photo in absent if photo.archive == archive.name}
        if not wanted:
            continue
        source = source_of(archive, settings)
        if archive.sha256:
            path = http.fetch(source, split.home / archive.name, archive.sha256, progress)
            for member, data in _members(path, archive, wanted, progress):
                if data is not None and hashlib.sha256(data).hexdigest() == wanted[member.name].sha256:
                    keep(wanted[member.name], data)
        else:
            sampling.refetch(source, list(wanted.values()), keep, progress)
    if still := _absent(split):
        raise ColorlibError(
            f"{len(still)} photos of data/{split.dataset}/split.json cannot be had, such as {still[0].path}."
        )
    return f"{len(absent):,} photos fetched as split.json says"


def _absent(split: Split) -> list[Photo]:
    return [photo for part in PARTS for photo in split.photos(part) if not split.is_there(photo)]
