"""Data sets that were published as archives: Places365 and Food-101, their addresses, sizes, counts and checksums.

Of Places365's large archives only stretches are read; the small one and Food-101 come whole, are verified, and deleted
when their photos are unpacked. What was prepared can be kept as one packed file in `Settings.keep_folder` (on Drive).
"""

import dataclasses
import hashlib
import io
import itertools
import json
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from colorlib import ColorlibError, archives, download, photos, ranges
from colorlib.settings import Settings
from colorlib.splits import HELD_OUT, PARTS, Photo, Split, check_skipped, plain_copy, stratified


@dataclasses.dataclass(frozen=True)
class Archive:
    """An archive as it was published. `sha256` is needed where it is read whole; `by_ranges`: only stretches are."""

    name: str
    base: str  # the address of its folder
    bytes: int
    photos: int
    sha256: str
    by_ranges: bool = False


PLACES = "http://data.csail.mit.edu/places/places365/"
TRAIN_256 = Archive(
    "train_256_places365standard.tar",
    PLACES,
    26_103_685_120,
    1_803_460,
    "0ade5d7d38c682aa0203014a2b99ad3bf608bf1de0f151dc0d80efba54660a0a",
    by_ranges=True,
)
VAL_256 = Archive(
    "val_256.tar", PLACES, 525_158_400, 36_500, "24b4e639ef12a0012af525bc4cb443e4ab4aaea8369a1fb009b70e4a4aad5d48"
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

# Data set -> its archives, and the share of each archive's photos that goes to each part (before `Settings.fraction`).
# Food-101 publishes which photo is for training (its share here) and which for testing.
DATA_SETS = {
    "places365": ((TRAIN_256, {"train": 1}), (VAL_256, {"validation": 1}), (TEST_256, {"test": 1})),
    "places365-val": ((VAL_256, {"train": 0.2, "validation": 0.01, "test": 0.02}),),
    "food101": ((FOOD_101, {"train": 0.75, "test": 0.25}),),
}


def prepare(settings: Settings, progress: bool = True) -> Split:
    """The split of a published data set: reused, unpacked from the packed file, or made. See `datasets.prepare`."""
    home = settings.data_folder / settings.data
    pack = None
    if settings.keep_folder:
        pack = settings.keep_folder / f"{settings.data}-{settings.fraction:g}-seed{settings.seed}.tar"
        if pack.exists() and not (home / "split.json").exists():
            _unpack(pack, home, progress)
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
    for archive, _ in DATA_SETS[settings.data]:  # only now: until here, an interruption would have needed them again
        for name in (archive.name, f"{archive.name}.journal"):
            (home / name).unlink(missing_ok=True)
    for left_over in home.rglob("*.partial"):
        left_over.unlink()
    if pack and not pack.exists():
        _pack(split, pack, progress)
    print(f"{settings.data}: {split.counts()}; {how}.")
    return split


def source_of(archive: Archive, settings: Settings) -> download.Source:
    """Where the archive's bytes are: at its published address, at a mirror's, or in a folder on disk."""
    base = (settings.mirror or archive.base).removesuffix(archive.name)  # the archive itself may be named, too
    is_web = base.startswith(("http://", "https://"))
    address = f"{base.rstrip('/')}/{archive.name}" if is_web else Path(base).expanduser() / archive.name
    return download.Source(address, archive.bytes)


def _make(settings: Settings, progress: bool) -> tuple[Split, str]:
    home, recipe = settings.data_folder / settings.data, DATA_SETS[settings.data]
    parts, skipped, read = {}, [], 0
    _announce(settings, recipe)
    for archive, shares in recipe:
        numbers = {part: round(settings.fraction * share * archive.photos) for part, share in shares.items()}
        select = _by_ranges if archive.by_ranges else _food_101 if settings.data == "food101" else _from_whole
        found, refused, bytes_read = select(archive, numbers, settings, home, progress)
        parts, skipped, read = parts | found, skipped + refused, read + bytes_read
    check_skipped(settings.data, skipped, len(skipped) + sum(map(len, parts.values())))
    in_order = {part: tuple(sorted(parts.get(part, ()), key=lambda photo: photo.path)) for part in PARTS}
    made_with = {"fraction": settings.fraction, "seed": settings.seed}
    split = Split(settings.data, home / "photos", home, **in_order, skipped=tuple(skipped), made_with=made_with)
    kept = sum(photo.bytes for part in PARTS for photo in split.photos(part))
    report = {"bytes_read": read, "bytes_kept": kept, "bytes_of_archives": sum(archive.bytes for archive, _ in recipe)}
    download.write(home / "download.json", json.dumps(report).encode())
    split.save()
    return split, f"{read / 1e9:.2f} GB read, {kept / 1e9:.2f} GB kept"


def _announce(settings: Settings, recipe) -> None:
    """Say what is coming, and refuse what the disk cannot hold, before the first photo is read."""
    kept = sum(settings.fraction * sum(shares.values()) * archive.bytes for archive, shares in recipe)
    whole = sum(archive.bytes for archive, _ in recipe if not archive.by_ranges)
    stretches = sum(1.3 * settings.fraction * archive.bytes for archive, _ in recipe if archive.by_ranges)
    fetched = whole if source_of(recipe[0][0], settings).is_remote else 0
    download.require_space(settings.data_folder, round(1.3 * kept + fetched), settings.data)
    read = whole + stretches
    print(f"{settings.data}: about {read / 1e9:.2f} GB to read, {read / 600e6:.0f} minutes at 10 MB a second.")


def _by_ranges(archive: Archive, numbers: dict, settings: Settings, home: Path, progress: bool):
    ((part, number),) = numbers.items()
    source = source_of(archive, settings)
    task = {"archive": archive.name, "bytes": source.size, "number": number, "seed": settings.seed}
    journal = ranges.Journal(home / f"{archive.name}.journal", source, task)
    keep = _keeper(home, archive)
    try:
        entries = ranges.sample(source, number, archive.photos, settings.seed, keep, journal, progress)
    finally:
        journal.close()
    found, refused = _sorted_out(entries, archive)
    return {part: found}, refused, journal.bytes_read


def _from_whole(archive: Archive, numbers: dict, settings: Settings, home: Path, progress: bool):
    """Exactly so many photos for each part, drawn by a hash of seed and name; a refused one is replaced by the next."""
    source = _whole(archive, settings, home, progress)
    names = [member.name for member, _ in _members(source, archive.name, (), progress) if ranges.is_photo(member)]
    drawn = iter(sorted(set(names), key=lambda name: hashlib.sha256(f"{settings.seed} {name}".encode()).digest()))
    entries, missing = {}, sum(numbers.values())
    while missing:
        wanted = dict.fromkeys(itertools.islice(drawn, missing))
        if len(wanted) < missing:
            raise ColorlibError(f"{archive.name} holds only {len(names):,} photos, {archive.photos:,} were published.")
        entries |= wanted | _keep_named(source, archive, home, wanted, progress)  # in the order of the draw
        missing = sum("skipped" in entries[name] for name in wanted)
    found, refused = _sorted_out(entries.values(), archive)
    found = iter(found)
    return {part: list(itertools.islice(found, number)) for part, number in numbers.items()}, refused, archive.bytes


def _food_101(archive: Archive, numbers: dict, settings: Settings, home: Path, progress: bool):
    """The published training and test photos, or a fraction of each class; 5 % of those for training validate."""
    source = _whole(archive, settings, home, progress)
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
        raise archives.ArchiveError(f"{archive.name}: the lists of training and test photos are missing.")
    drawn["validation"] = stratified(
        drawn["train"], round(HELD_OUT * len(drawn["train"])), f"{settings.seed} validation"
    )
    part_of = {photo.path: part for part in ("test", "train", "validation") for photo in drawn[part]}
    entries = _keep_named(source, archive, home, part_of, progress)
    if len(entries) < len(part_of):
        raise archives.ArchiveError(
            f"{archive.name}: {len(part_of) - len(entries):,} of its listed photos are missing."
        )
    found, refused = _sorted_out(entries.values(), archive)
    return {part: [p for p in found if part_of[p.path] == part] for part in PARTS}, refused, archive.bytes


def _whole(archive: Archive, settings: Settings, home: Path, progress: bool) -> download.Source:
    """The whole archive on disk, verified: downloaded into `home`, or where the user has it."""
    source = source_of(archive, settings)
    if source.is_remote:
        return download.Source(download.fetch(source, home / archive.name, archive.sha256, progress))
    download.verify(source, archive.sha256, progress)
    return source


def _members(source: download.Source, name: str, wanted, progress: bool) -> Iterator[tuple[archives.Member, bytes]]:
    """The members of a whole archive; the wanted ones, by name, with their contents, the others with None."""
    with download.bar(source.size, 0, f"reading {name}", progress) as bar:
        chunks = download.watched(source.chunks(0, source.size), bar)
        yield from archives.read(archives.gunzip(chunks, name) if ".gz" in name else chunks, name, wanted)


def _keep_named(source: download.Source, archive: Archive, home: Path, names, progress: bool) -> dict[str, dict]:
    keep = _keeper(home, archive)
    unpacked = ((member, data) for member, data in _members(source, archive.name, names, progress) if data is not None)
    return {member.name: dataclasses.asdict(member) | keep(member, data) for member, data in unpacked}


def _keeper(home: Path, archive: Archive) -> Callable[[archives.Member, bytes], dict]:
    """What writes a member into `home` if it is a photo, and says what is to be remembered of it."""

    def keep(member, data):
        try:
            copy = _store(home, member.name, data, archive.name)
        except photos.PhotoError as error:
            return {"skipped": str(error)}
        return {"sha256": hashlib.sha256(data).hexdigest(), "copy": copy}

    return keep


def _sorted_out(entries, archive: Archive) -> tuple[list[Photo], list[tuple[str, str]]]:
    """The kept photos, and (name, reason) of the refused ones."""
    refused = [(entry["name"], entry["skipped"]) for entry in entries if "skipped" in entry]
    found = [
        Photo(
            *(entry["name"], entry["size"], entry["sha256"], _label(entry["name"]), archive.name, entry["offset"]),
            copy=entry["copy"],
        )
        for entry in entries
        if "skipped" not in entry
    ]
    return found, refused


def _label(name: str) -> str:
    """A member's class, its folders below the archive's own: "a/abbey" of data_256/a/abbey/00000001.jpg."""
    return "/".join(name.split("/")[1:-1]).removeprefix("images/")


def _complete(split: Split, settings: Settings, pack: Path | None, progress: bool) -> str:
    """Get the photos of a split that are not on this disk: from the packed file, or from where it says they lay."""
    absent = _absent(split)
    if absent and pack and pack.exists():
        _unpack(pack, split.home, progress)
        absent = _absent(split)
    if not absent:
        return "reused"
    if split.folder != (split.home / "photos").resolve():
        raise ColorlibError(f"data/{split.dataset}/split.json names a folder of its own. Get another one.")

    def keep(photo, data):
        _store(split.home, photo.path, data, "split.json")

    read, needed = 0, sum(photo.bytes for photo in absent)
    for archive in {archive for archive, _ in DATA_SETS[split.dataset] if not archive.by_ranges}:
        if source_of(archive, settings).is_remote and any(photo.archive == archive.name for photo in absent):
            needed += archive.bytes
    download.require_space(split.home, needed, split.dataset)
    for archive, _ in DATA_SETS[split.dataset]:
        wanted = {photo.path: photo for photo in absent if photo.archive == archive.name}
        if wanted and archive.by_ranges:
            source = source_of(archive, settings)
            ranges.refetch(source, list(wanted.values()), keep, progress)
            read += source.bytes_read
        elif wanted:
            read += archive.bytes
            whole = _whole(archive, settings, split.home, progress)
            for member, data in _members(whole, archive.name, wanted, progress):
                if data is not None and hashlib.sha256(data).hexdigest() == wanted[member.name].sha256:
                    keep(wanted[member.name], data)
    if still := _absent(split):
        raise ColorlibError(
            f"{len(still)} photos of data/{split.dataset}/split.json cannot be had, such as {still[0].path}."
        )
    return f"{len(absent):,} photos fetched as split.json says, {read / 1e9:.2f} GB read"


def _absent(split: Split) -> list[Photo]:
    every = itertools.chain.from_iterable(split.photos(part) for part in PARTS)
    return [photo for photo in every if not split.is_there(photo)]


def _pack(split: Split, pack: Path, progress: bool) -> None:
    """Keep split.json and its photos as one file, in the order of the split. Written whole or not at all."""
    every = [photo for part in PARTS for photo in split.photos(part)]
    size = sum(photo.bytes + 1024 for photo in every)
    download.require_space(pack.parent, size, pack.name)
    partial = pack.with_name(pack.name + ".partial")
    with download.disk_errors(pack.parent):
        pack.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(partial, "w") as tar, download.bar(size, 0, f"packing {pack.name}", progress) as bar:
            for name, path in [("split.json", split.home / "split.json")] + [
                (f"photos/{photo.path}", split.folder / photo.path) for photo in every
            ]:
                data = path.read_bytes()
                member = tarfile.TarInfo(name)
                member.size = len(data)
                tar.addfile(member, io.BytesIO(data))
                bar.update(len(data))
        partial.replace(pack)


def _unpack(pack: Path, home: Path, progress: bool) -> None:
    """What a packed file holds, each photo verified by the split.json in it. A damaged one is told of and deleted."""
    source, expected, split = download.Source(pack), {}, None
    print(f"Unpacking {pack.name}, {source.size / 1e9:.2f} GB.")
    download.require_space(home, source.size, pack.name)
    try:
        for member, data in _members(source, pack.name, None, progress):
            if split is None:
                split = _packed_split(home, data)
                expected = {f"photos/{photo.path}": photo for part in PARTS for photo in split.photos(part)}
            elif (photo := expected.pop(member.name, None)) and hashlib.sha256(data).hexdigest() == photo.sha256:
                _store(split.home, photo.path, data, pack.name)
            else:
                raise archives.ArchiveError(f"{member.name!r} is not what its split.json says")
        if split is None or expected:
            raise archives.ArchiveError(f"{len(expected) or 'all'} photos are missing")
    except archives.ArchiveError as error:
        print(f"{pack.name} is damaged ({error}): what is whole is used, the rest is fetched, and it is packed again.")
        pack.unlink()
    if split is not None and not (home / "split.json").exists():
        (home / "split.json.partial").replace(home / "split.json")


def _packed_split(home: Path, data: bytes) -> Split:
    """The split.json of a packed file, kept as a partial file until its photos are there."""
    download.write(home / "split.json.partial", data)
    try:
        return Split.load(home / "split.json.partial")
    except ColorlibError as error:
        raise archives.ArchiveError(str(error)) from None


def _store(home: Path, name: str, data: bytes, archive: str) -> str:
    """Write a photo below `home`. Returns the path of its plain copy, "" if it needs none. Raises `PhotoError`."""
    path = archives.safe_path(home / "photos", name, archive)
    copy = plain_copy(home, name, data)
    download.write(path, data)
    return copy
