"""Data sets that were published as archives: Places365 and Food-101, their addresses, sizes, counts and checksums.

Of Places365's large archives only stretches are read. The small one and Food-101 come whole and are verified; what was
drawn is unpacked straight from the compressed file, which is deleted at once. At its fullest, the disk holds one such
archive and the photos that are kept.
"""

import contextlib
import dataclasses
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from colorlib import ColorlibError
from colorlib.settings import Settings
from colorlib.sources import files, http, packs, photos, sampling, tar
from colorlib.sources.journal import Journal
from colorlib.sources.splits import HELD_OUT, PARTS, Photo, Split, check_skipped, in_turn, store, stratified


@dataclasses.dataclass(frozen=True)
class Archive:
    """An archive as it was published. `sha256` is needed where it is read whole; `by_ranges`: only stretches are."""

    name: str
    base: str  # the address of its folder
    bytes: int
    photos: int
    sha256: str
    by_ranges: bool = False
    lists: tuple = ()  # in place of photos: text files that are wanted of it, each (name, md5)
    classes: "Archive | None" = None  # where the lists of its photos' classes are, if they lie in no class folders


PLACES = "http://data.csail.mit.edu/places/places365/"
TRAIN_256 = Archive(
    "train_256_places365standard.tar",
    PLACES,
    26_103_685_120,
    1_803_460,
    "0ade5d7d38c682aa0203014a2b99ad3bf608bf1de0f151dc0d80efba54660a0a",
    by_ranges=True,
)
FILELIST = Archive(
    "filelist_places365-standard.tar",
    PLACES,
    67_498_496,
    0,
    "520699e00d69b63ddc29fac54645aa00ce1c10ca42e288960aa1cf791d6e9aa9",
    by_ranges=True,
    lists=(  # their md5 sums are those that torchvision's Places365 publishes
        ("categories_places365.txt", "06c963b85866bd0649f97cb43dd16673"),
        ("places365_val.txt", "e9f2fd57bfd9d07630173f4e8708e4b1"),
    ),
)
VAL_256 = Archive(
    "val_256.tar",
    PLACES,
    525_158_400,
    36_500,
    "24b4e639ef12a0012af525bc4cb443e4ab4aaea8369a1fb009b70e4a4aad5d48",
    classes=FILELIST,
)
TEST_256 = Archive(
    "test_256.tar",
    PLACES,
    4_736_829_440,
    328_500,
    "037ee8180369bdde46636341b92900d4bcb8ea000c026a1fd3e0e9827a8702a1",
    by_ranges=True,
)
FOOD_101 = Archive(
    "food-101.tar.gz",
    "http://data.vision.ee.ethz.ch/cvl/",
    4_996_278_331,
    101_000,
    "d97d15e438b7f4498f96086a4f7e2fa42a32f2712e87d3295441b2b6314053a4",
)

# Data set -> its tar, and the share of each archive's photos that goes to each part (before `Settings.fraction`).
# Food-101 publishes which photo is for training (its share here) and which for testing.
DATA_SETS = {
    "places365": ((TRAIN_256, {"train": 1}), (VAL_256, {"validation": 1}), (TEST_256, {"test": 1})),
    "places365-val": ((VAL_256, {"train": 0.2, "validation": 0.01, "test": 0.02}),),
    "food101": ((FOOD_101, {"train": 0.75, "test": 0.25}),),
}


def prepare(settings: Settings, progress: bool = True) -> Split:
    """The split of a published data set: reused, unpacked from the packed file, or made. See `datasets.prepare`."""
    home = settings.data_folder / settings.data
    pack = packs.place(settings, settings.data, settings.fraction)
    if pack and pack.exists() and not (home / "split.json").exists():
        packs.restore(pack, home, progress)
    if (home / "split.json").exists():
        split = Split.load(home / "split.json")
        fraction = split.made_with.get("fraction")
        if fraction != settings.fraction:
            raise ColorlibError(
                f"data/{settings.data}/split.json was made with the fraction {fraction}, and the settings have "
                f"{settings.fraction}. Delete that file to make a new split, or set `fraction` to the old one."
            )
        how = _complete(split, settings, pack, progress)
    else:
        split, how = _make(settings, progress)
        if _absent(split):  # the disk lost some that the journal remembers
            _complete(split, settings, pack, progress)
    for pattern in ("*.partial", ".*.part", "*.journal", "*.unpacked"):  # only now: a rerun would have needed them
        for left_over in home.rglob(pattern):
            left_over.unlink()
    if pack and not pack.exists():
        packs.save(split, pack, progress)
    print(f"{settings.data}: {split.counts()}; {how}.")
    return split


def source_of(archive: Archive, settings: Settings) -> http.Source:
    """Where the archive's bytes are: at its published address, at a mirror's, or in a folder on disk."""
    base = re.sub(r"[^/]+\.tar(\.gz)?$", "", settings.mirror or archive.base)  # an archive itself may be named, too
    is_web = base.startswith(("http://", "https://"))
    address = f"{base.rstrip('/')}/{archive.name}" if is_web else Path(base).expanduser() / archive.name
    return http.Source(address, archive.bytes)


def _make(settings: Settings, progress: bool) -> tuple[Split, str]:
    home, recipe = settings.data_folder / settings.data, DATA_SETS[settings.data]
    parts, skipped, read = {part: [] for part in PARTS}, [], 0
    _announce(settings, recipe)
    for archive, shares in recipe:
        numbers = {part: round(settings.fraction * share * archive.photos) for part, share in shares.items()}
        select = _by_ranges if archive.by_ranges else _from_whole
        entries, bytes_read = select(archive, numbers, settings, progress)
        read += bytes_read
        for entry in entries:
            if "skipped" in entry:
                skipped.append((entry["name"], entry["skipped"]))
            else:
                of_file = (entry["name"], entry["size"], entry["sha256"], entry["label"])
                parts[entry["part"]].append(Photo(*of_file, archive.name, entry["offset"], entry["copy"]))
    check_skipped(settings.data, skipped, len(skipped) + sum(map(len, parts.values())))
    in_order = {part: tuple(sorted(parts[part], key=lambda photo: (photo.label, photo.path))) for part in PARTS}
    made_with = {"fraction": settings.fraction, "seed": settings.seed}
    split = Split(settings.data, home / "photos", home, **in_order, skipped=tuple(skipped), made_with=made_with)
    kept = sum(photo.bytes for part in PARTS for photo in split.photos(part))
    report = {"bytes_read": read, "bytes_kept": kept, "bytes_of_archives": sum(archive.bytes for archive, _ in recipe)}
    files.put(home / "download.json", json.dumps(report).encode())
    split.save()
    return split, f"{read / 1e9:.2f} GB read, {kept / 1e9:.2f} GB kept"


def _announce(settings: Settings, recipe) -> None:
    """Say what is coming, and refuse what the disk cannot hold, before the first photo is read."""
    home = settings.data_folder / settings.data
    kept = sum(settings.fraction * sum(shares.values()) * archive.bytes for archive, shares in recipe)
    whole = [archive for archive, _ in recipe if not archive.by_ranges]
    fetched = max([archive.bytes for archive in whole if source_of(archive, settings).is_remote], default=0)
    with files.disk_errors(home):
        there = sum(path.stat().st_size for path in home.rglob("*") if path.is_file())  # of an interrupted run
    files.require_space(settings.data_folder, round(max(0, 1.3 * kept + fetched - there)), settings.data)
    stretches = sum(1.3 * settings.fraction * archive.bytes for archive, _ in recipe if archive.by_ranges)
    read = sum(archive.bytes for archive in whole) + stretches
    print(f"{settings.data}: about {read / 1e9:.2f} GB to read, {read / 600e6:.0f} minutes at 10 MB a second.")


def _by_ranges(archive: Archive, numbers: dict, settings: Settings, progress: bool) -> tuple[list[dict], int]:
    """A fair sample of an archive for one part, and how many bytes were read for it."""
    ((part, number),) = numbers.items()
    home, source = settings.data_folder / settings.data, source_of(archive, settings)
    task = {"archive": archive.name, "bytes": source.size, "number": number, "seed": settings.seed}
    journal = Journal(home / f"{archive.name}.journal", source, task)
    keep = _keeper(home, archive)
    try:
        entries = sampling.sample(source, number, archive.photos, settings.seed, keep, journal, progress)
    finally:
        journal.close()
    return [entry | {"part": part, "label": _folder_of(entry["name"])} for entry in entries], journal.bytes_read


def _from_whole(archive: Archive, numbers: dict, settings: Settings, progress: bool) -> tuple[list[dict], int]:
    """What is drawn from an archive that comes whole, and how many bytes were read for it.

    It is remembered in a file, so that the archive can go as soon as its photos are unpacked.
    """
    home = settings.data_folder / settings.data
    remembered, found = home / f"{archive.name}.unpacked", {}
    task = {"archive": archive.sha256, "numbers": numbers, "seed": settings.seed}
    with contextlib.suppress(FileNotFoundError, ValueError):
        found = json.loads(remembered.read_bytes())
    if found.get("task") != task:
        draw = _food_101 if settings.data == "food101" else _in_turn
        source = _whole(archive, settings, progress)
        entries, more_read = draw(archive, source, numbers, settings, progress)
        found = {"task": task, "entries": entries, "read": archive.bytes + more_read}
        files.put(remembered, json.dumps(found).encode())
    (home / archive.name).unlink(missing_ok=True)
    return found["entries"], found["read"]


def _in_turn(archive: Archive, source, numbers: dict, settings: Settings, progress: bool) -> tuple[list[dict], int]:
    """Exactly so many photos for each part, of each class its share; a refused one is replaced by the next drawn."""
    names = [member.name for member, _ in _members(source, archive.name, (), progress) if sampling.is_photo(member)]
    classes, read = _listed_classes(archive, settings)
    labels = {name: classes.get(name.rpartition("/")[2], _folder_of(name)) for name in names}
    drawn, parts = iter(in_turn(labels, f"{settings.seed}")), [part for part in numbers for _ in range(numbers[part])]
    entries, part = [], iter(parts)
    while missing := len(parts) - sum("part" in entry for entry in entries):
        wanted = list(itertools.islice(drawn, missing))
        if len(wanted) < missing:
            raise ColorlibError(f"{archive.name} holds only {len(names):,} photos, {archive.photos:,} were published.")
        came = _keep_named(source, archive, settings, set(wanted), progress)
        for entry in (came[name] | {"label": labels[name]} for name in wanted):
            entries.append(entry if "skipped" in entry else entry | {"part": next(part)})
    return entries, read


def _food_101(archive: Archive, source, numbers: dict, settings: Settings, progress: bool) -> tuple[list[dict], int]:
    """The published training and test photos, or a fraction of each class; 5 % of those for training validate."""
    lists = {f"food-101/meta/{part}.json": part for part in ("train", "test")}
    drawn = {}
    for member, data in _members(source, archive.name, lists, progress):
        if data is not None:
            named = [(name, label) for label, names in json.loads(data).items() for name in names]
            listed = [Photo(f"food-101/images/{name}.jpg", 0, "", label) for name, label in named]
            drawn[lists[member.name]] = stratified(listed, numbers[lists[member.name]], f"{settings.seed}")
        if len(drawn) == len(lists):
            break
    else:
        raise tar.ArchiveError(f"{archive.name}: the lists of training and test photos are missing.")
    drawn["validation"] = stratified(
        drawn["train"], round(HELD_OUT * len(drawn["train"])), f"{settings.seed} validation"
    )
    of_photo = {
        photo.path: {"part": part, "label": photo.label}
        for part in ("test", "train", "validation")  # validation last: its photos are of train, too
        for photo in drawn[part]
    }
    came = _keep_named(source, archive, settings, of_photo, progress)
    if len(came) < len(of_photo):
        raise tar.ArchiveError(f"{archive.name}: {len(of_photo) - len(came):,} of its listed photos are missing.")
    return [entry | of_photo[name] for name, entry in came.items()], 0


def _listed_classes(archive: Archive, settings: Settings) -> tuple[dict[str, str], int]:
    """File name -> class, such as "a/abbey", by the published lists, and how many bytes were read for them.

    Nothing where there are no lists, or none can be had: then that is said, and no photo is refused for it.
    """
    if archive.classes is None:
        return {}, 0
    source = source_of(archive.classes, settings)
    try:
        texts = tar.named(source, [name for name, _ in archive.classes.lists])
        for name, md5 in archive.classes.lists:
            if hashlib.md5(texts.get(name, b""), usedforsecurity=False).hexdigest() != md5:
                raise ColorlibError(f"{source.address}: {name} is missing or damaged.")
    except ColorlibError as error:
        print(f"{archive.name}: the photos' classes are not known, and all count as one. {error}")
        return {}, source.bytes_read
    categories, listed = (
        [line.split() for line in texts[name].decode().splitlines()] for name, _ in archive.classes.lists
    )
    names = {number: category.lstrip("/") for category, number in categories}
    return {name: names[number] for name, number in listed}, source.bytes_read


def _whole(archive: Archive, settings: Settings, progress: bool) -> http.Source:
    """The whole archive on disk, verified: downloaded into the data set's home, or where the user has it."""
    source = source_of(archive, settings)
    if source.is_remote:
        target = settings.data_folder / settings.data / archive.name
        return http.Source(http.fetch(source, target, archive.sha256, progress))
    http.verify(source, archive.sha256, progress)
    return source


def _members(source: http.Source, name: str, wanted, progress: bool) -> Iterator[tuple[tar.Member, bytes]]:
    """The members of a whole archive; the wanted ones, by name, with their contents, the others with None."""
    with http.bar(source.size, 0, f"reading {name}", progress) as bar:
        chunks = http.watched(source.chunks(0, source.size), bar)
        yield from tar.read(tar.gunzip(chunks, name) if name.endswith(".gz") else chunks, name, wanted)


def _keep_named(source: http.Source, archive: Archive, settings: Settings, names, progress) -> dict[str, dict]:
    keep = _keeper(settings.data_folder / settings.data, archive)
    unpacked = ((member, data) for member, data in _members(source, archive.name, names, progress) if data is not None)
    return {member.name: dataclasses.asdict(member) | keep(member, data) for member, data in unpacked}


def _keeper(home: Path, archive: Archive) -> Callable[[tar.Member, bytes], dict]:
    """What writes a member into `home` if it is a photo, and says what is to be remembered of it."""

    def keep(member, data):
        try:
            copy = store(home, member.name, data, archive.name)
        except photos.PhotoError as error:
            return {"skipped": str(error)}
        return {"sha256": hashlib.sha256(data).hexdigest(), "copy": copy}

    return keep


def _folder_of(name: str) -> str:
    """A member's class, its folders below the archive's own: "a/abbey" of data_256/a/abbey/00000001.jpg."""
    return "/".join(name.split("/")[1:-1])


def _complete(split: Split, settings: Settings, pack: Path | None, progress: bool) -> str:
    """Get the photos of a split that are not on this disk: from the packed file, or from where it says they lay."""
    if _absent(split) and pack and pack.exists():
        packs.restore(pack, split.home, progress)
    absent = _absent(split)
    if not absent:
        return "reused"
    if split.folder != (split.home / "photos").resolve():
        raise ColorlibError(f"data/{split.dataset}/split.json names a folder of its own. Get another one.")
    wanted = [
        (archive, {p.path: p for p in absent if p.archive == archive.name}) for archive, _ in DATA_SETS[split.dataset]
    ]
    fetched = [a.bytes for a, some in wanted if some and not a.by_ranges and source_of(a, settings).is_remote]
    needed = sum(photo.bytes for photo in absent) + max(fetched, default=0)
    files.require_space(split.home, needed, split.dataset)
    read = sum(_fetch(some, archive, split, settings, progress) for archive, some in wanted if some)
    if still := _absent(split):
        raise ColorlibError(
            f"{len(still)} photos of data/{split.dataset}/split.json cannot be had, such as {still[0].path}."
        )
    return f"{len(absent):,} photos fetched as split.json says, {read / 1e9:.2f} GB read"


def _fetch(wanted: dict[str, Photo], archive: Archive, split: Split, settings: Settings, progress: bool) -> int:
    """Get photos, by their paths, from an archive as split.json says. Returns how many bytes were read."""

    def keep(photo, data):
        store(split.home, photo.path, data, "split.json")

    if archive.by_ranges:
        source = source_of(archive, settings)
        sampling.refetch(source, list(wanted.values()), keep, progress)
        return source.bytes_read
    for member, data in _members(_whole(archive, settings, progress), archive.name, wanted, progress):
        if data is not None and hashlib.sha256(data).hexdigest() == wanted[member.name].sha256:
            keep(wanted[member.name], data)
    (split.home / archive.name).unlink(missing_ok=True)
    return archive.bytes


def _absent(split: Split) -> list[Photo]:
    every = itertools.chain.from_iterable(split.photos(part) for part in PARTS)
    return [photo for photo in every if not split.is_there(photo)]
