"""A fair sample of a tar archive by byte ranges: probes find where its classes lie, stretches give the photos.

An archive of 26 GB has no index, but a header can be found from any byte on, by its magic and its checksum, and each
header tells where the next one is. The archive and the seed alone decide what is kept. What is done is written to a
folder, so that an interrupted sample goes on where it stopped.
"""

import contextlib
import dataclasses
import itertools
import json
import math
import random
import re
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm.auto import tqdm

from colorlib import ColorlibError
from colorlib.sources import files, http, tar
from colorlib.sources.photos import PhotoError
from colorlib.sources.splits import Photo, describe, largest_remainder

STRETCHES = 4  # of each class, at least
TOGETHER = 40  # photos of one stretch, at most


@dataclasses.dataclass(frozen=True)
class Extent:
    """A class: the bytes [start, stop) of the archive, and how many photos they hold, exactly or as estimated."""

    label: str
    start: int
    stop: int
    count: float


def described(member: tarfile.TarInfo, data: bytes) -> Photo:
    """A member as it lies in the archive, which is all that some want to know."""
    return describe(member.name, data, offset=member.offset_data)


def sample(
    source: http.Source, number: int, total: int, seed: int, keep: Callable, done: Path, progress: bool = True
) -> tuple[list[Photo], list[tuple[str, str]]]:
    """`number` of an archive's `total` photos, exactly; each class with its share, from several stretches of it.

    keep: called with (`tarfile.TarInfo`, content) of each photo, from several threads; gives a `Photo`, as `described`
    does. Where it raises `PhotoError`, the next photo takes the place. done: a folder for what is done, of this
    archive, number and seed alone. Returns the photos in the archive's order, and (name, reason) of those left out.
    Raises `ColorlibError` where the archive has too few photos, `tar.ArchiveError` where it is damaged.
    """
    classes = _once(done / "classes.json", lambda: find_classes(source, total, progress)[0])
    pieces = _pieces([Extent(**extent) for extent in classes], number)

    def take(piece: Extent, number: int) -> list[list]:
        path = done / f"{number}-photos-from-{piece.start}.json"
        return _once(path, lambda: _take(source, piece, number, seed, keep))

    taken = _in_parallel(source, lambda piece: take(*piece), pieces, progress)
    missing = number - sum(len(kept) for kept, _ in taken)
    for i, (piece, _) in enumerate(pieces):  # one that has fewer than was thought leaves some to the others
        if missing:
            before = len(taken[i][0])
            taken[i] = take(piece, before + missing)
            missing -= len(taken[i][0]) - before
    if missing:
        raise ColorlibError(f"{source.name} has {number - missing:,} photos that can be read, not {number:,}.")
    photos = [Photo(**photo) for kept, _ in taken for photo in kept]
    skipped = [tuple(pair) for _, left_out in taken for pair in left_out]
    return sorted(photos, key=lambda photo: photo.offset), skipped


def find_classes(source: http.Source, total: int, progress: bool = True) -> tuple[list[Extent], list[int]]:
    """Where each class (= folder) lies, and the bytes at which was looked for that.

    Between two neighbouring known members of different classes, the middle is probed, until no byte is unknown. An
    archive that is not in the order of its classes is one extent, without a label.
    """
    archive_end = tarfile.TarInfo("//")  # a member of no class
    archive_end.offset = source.size
    known, probed = {source.size: archive_end}, []
    ceilings = {}  # from here on, there is no header up to the next known member
    window = tar.padded(source.size // total)  # about one photo
    step = tar.padded(max(window, source.size // min(64, max(8, total // 200))))  # at first, a probe for 200 photos
    gaps = [(start, start + step) for start in range(0, source.size, step)]
    while gaps:
        for members in _in_parallel(source, lambda gap: _probe(source, *gap, window), gaps, progress):
            known |= {member.offset: member for member in members}
        probed += [start for start, _ in gaps]
        order = [known[start] for start in sorted(known)]
        classes = [list(group) for _, group in itertools.groupby(order, key=_label)]
        if len({_label(members[0]) for members in classes}) < len(classes):
            return [Extent("", 0, source.size, total)], probed
        gaps = []
        for left, right in itertools.pairwise(order):
            low, high = tar.end(left), ceilings.get(tar.end(left), right.offset)
            if low < high and _label(left) != _label(right):
                middle = low if high - low <= 2 * window else (low + high) // 2 // tar.BLOCK * tar.BLOCK
                ceilings[low] = middle
                gaps.append((middle, high))
    bounds = [(_label(members[0]), members[0].offset, tar.end(members[-1])) for members in classes[:-1]]
    return [Extent(*bound, count) for bound, count in zip(bounds, _counts(classes[:-1], total), strict=True)], probed


def _pieces(extents: list[Extent], number: int) -> list[tuple[Extent, int]]:
    """The classes cut into pieces of equal length, and how many photos in a row each piece is to give."""
    pieces = []
    for extent, share in zip(extents, largest_remainder([extent.count for extent in extents], number), strict=True):
        parts, length = min(share, max(STRETCHES, math.ceil(share / TOGETHER))), extent.stop - extent.start
        for i, photos in enumerate(largest_remainder([1] * parts, share)):
            start, stop = (extent.start + length * n // parts // tar.BLOCK * tar.BLOCK for n in (i, i + 1))
            pieces.append((Extent(extent.label, start, stop, extent.count / parts), photos))
    return pieces


def _take(source: http.Source, piece: Extent, number: int, seed: int, keep: Callable) -> tuple[list, list]:
    """`number` photos of a piece, from a seeded byte on and around its end, and what was left out on the way.

    About as many bytes as are still missing come at once.
    """
    length, photos, skipped = piece.stop - piece.start, [], []
    begin = piece.start + int(random.Random(f"{seed} {piece.start}").random() * length) // tar.BLOCK * tar.BLOCK
    mean = length / piece.count
    for start, stop in ((begin, piece.stop), (piece.start, begin)):
        expected = mean * (1.03 * (number - len(photos)) + 1)
        reader = tar.Reader(source, tar.padded(round(expected)), tar.padded(round(mean)))
        for member in reader.members(start, stop):
            if member.name.endswith(".jpg"):
                try:
                    photos.append(keep(member, reader.read(member.offset_data, member.size)))
                except PhotoError as error:
                    skipped.append((member.name, str(error)))
                if len(photos) == number:
                    return photos, skipped
    return photos, skipped


def _probe(source: http.Source, start: int, stop: int, window: int) -> list[tarfile.TarInfo]:
    """The members whose headers lie in a window at `start`, or if none does, the first one before `stop`."""
    behind = stop if stop - start <= 2 * window else start + window
    reader = tar.Reader(source, behind - start + tar.BLOCK, window)
    members = list(reader.members(start, behind))
    return members or list(itertools.islice(reader.members(behind, stop), 1))


def _label(member: tarfile.TarInfo) -> str:
    return member.name.rpartition("/")[0]


def _counts(classes: list[list[tarfile.TarInfo]], total: int) -> list[float]:
    """How many photos each class has, by their numbers; as many as any other, where these do not add up to `total`."""
    numbers = [[int(re.search(r"(\d*)(\.\w+)?$", member.name)[1] or 0) for member in group] for group in classes]
    counts = [group[-1] - group[0] + 1 for group in numbers]
    return counts if sum(counts) == total else [total / len(classes)] * len(classes)


def _once(path: Path, make: Callable[[], list]) -> list:
    """What `make` gives, as JSON has it; written down at the first time, read later."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        return json.loads(path.read_bytes())
    files.put(path, json.dumps(make(), default=dataclasses.asdict).encode())
    return json.loads(path.read_bytes())


def _in_parallel(source: http.Source, function: Callable, items: list, progress: bool) -> list:
    """`function` of each item, which reads some of `source`: `AT_ONCE` at a time. The first error ends it."""
    with ThreadPoolExecutor(http.AT_ONCE) as pool:
        return list(tqdm(pool.map(function, items), source.name, len(items), leave=False, disable=not progress))
