"""A fair sample of a tar archive by byte ranges: probes find where its classes lie, stretches give the photos.

An archive of 26 GB has no index, but a header can be found from any byte on, by its magic and its checksum, and each
header tells where the next one is. The archive and the seed alone decide what is kept; what is done is written to a
journal, so that an interrupted sample goes on where it stopped.
"""

import dataclasses
import fractions
import hashlib
import itertools
import math
import random
import re
import statistics
import tarfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm.auto import tqdm

from colorlib import ColorlibError
from colorlib.sources import http, tar
from colorlib.sources.journal import Journal
from colorlib.sources.tar import BLOCK

FIRST_PROBES = (8, 64)  # at least, at most: one for 200 photos
NEAR = 16 << 10  # bytes between two photos that are read rather than asked around
STRETCHES = 4  # of each class, at least
TOGETHER = 40  # photos of one stretch, at most
PHOTO = (".jpg", ".jpeg", ".jpe", ".jfif", ".png")  # how the names of photos end in published archives


@dataclasses.dataclass(frozen=True)
class Extent:
    """A class: the bytes [start, stop) of the archive, and how many photos they hold, exactly or as estimated."""

    label: str
    start: int
    stop: int
    count: float


@dataclasses.dataclass(frozen=True)
class Taken:
    """A photo out of an archive, its content at byte `offset`. `copy` is the path of its plain rewriting, where it
    needs one; `left_out` the reason why it is not kept, where it is not."""

    name: str
    size: int
    sha256: str
    offset: int
    copy: str = ""
    left_out: str = ""

    @classmethod
    def of(cls, member: tarfile.TarInfo, data: bytes, **what_came_of_it: str) -> "Taken":
        return cls(member.name, member.size, hashlib.sha256(data).hexdigest(), member.offset_data, **what_came_of_it)


@dataclasses.dataclass(frozen=True)
class Sample:
    """What was taken, kept or left out, in the archive's order; where its classes lie, and the bytes at which they were
    looked for; and how many bytes all runs read together."""

    taken: list[Taken]
    extents: list[Extent]
    probes: list[int]
    bytes_read: int


@dataclasses.dataclass(frozen=True)
class _Segment:
    """A part of a class that gives one stretch of `number` photos, of about `mean` bytes each in the archive."""

    start: int
    stop: int
    number: int
    mean: float


@dataclasses.dataclass(frozen=True)
class _Member:
    """A plain file of the archive: the bytes at which its header begins and the next one does."""

    name: str
    start: int
    end: int


Keep = Callable[[tarfile.TarInfo, bytes], Taken]


def sample(
    source: http.Source, number: int, total: int, seed: int, keep: Keep, journal_file: Path, progress: bool = True
) -> Sample:
    """`number` of an archive's `total` photos, exactly; each class with its share, from several stretches of it.

    keep: called with (member, content) of each photo, from several threads, such as `Taken.of`. Where what it gives is
    left out, the next photo takes its place. Raises `ColorlibError` where the source knows no byte ranges or the
    archive has too few photos, `tar.ArchiveError` where it is damaged.
    """
    require_ranges(source)
    task = {"archive": source.name, "bytes": source.size, "number": number, "total": total, "seed": seed}
    journal = Journal(journal_file, source, task)
    classes, probes = journal.once("classes", lambda: find_classes(source, total, progress))
    extents = [Extent(**extent) for extent in classes]
    segments = _segments(extents, number)
    with http.bar(total=round(sum(s.number * s.mean for s in segments)), desc=source.name, disable=not progress) as bar:

        def take(segment):
            name = f"{segment.number} from {segment.start}"
            taken = [Taken(**photo) for photo in journal.once(name, lambda: _take(source, segment, seed, keep))]
            bar.update(sum(BLOCK + tar.padded(photo.size) for photo in taken))
            return taken

        taken = _in_parallel(take, segments)
        missing = number - sum(map(_kept, taken))
        for i, segment in enumerate(segments):  # a class that has fewer than was thought leaves some to the others
            if missing:
                had = _kept(taken[i])
                taken[i] = take(dataclasses.replace(segment, number=had + missing))
                missing -= _kept(taken[i]) - had
    if missing:
        raise ColorlibError(
            f"{source.name} gave {number - missing:,} photos instead of {number:,} of {total:,}: not the published one."
        )
    in_order = sorted(itertools.chain(*taken), key=lambda photo: photo.offset)
    return Sample(in_order, extents, probes, journal.bytes_read)


def require_ranges(source: http.Source) -> None:
    """Raise `ColorlibError` where the server would send everything for any small part."""
    if not source.ranges:
        raise ColorlibError(
            f"{source.address}: the server ignores byte ranges, so that all {source.size / 1e9:.2f} GB would have to "
            "come for a small part. Take another mirror, or a folder that holds the archive (the setting `mirror`)."
        )


def refetch(source: http.Source, wanted: list, keep: Callable, progress: bool = True) -> None:
    """Read photos whose place is known (each with path, bytes, sha256, offset) by few ranges.

    keep: called with (photo, content), verified by its SHA-256. Raises `ColorlibError` for one that is another.
    """
    require_ranges(source)
    stretches = []
    for photo in sorted(wanted, key=lambda photo: photo.offset):
        near = stretches[-1] if stretches else []
        if 0 < len(near) < 2 * TOGETHER and photo.offset - near[-1].offset - near[-1].bytes <= NEAR:
            near.append(photo)
        else:
            stretches.append([photo])
    with http.bar(total=sum(p.bytes for p in wanted), desc=source.name, disable=not progress) as bar:

        def read(stretch):
            first = stretch[0].offset
            data = source.read(first, stretch[-1].offset + stretch[-1].bytes)
            for photo in stretch:
                content = data[photo.offset - first :][: photo.bytes]
                if hashlib.sha256(content).hexdigest() != photo.sha256:
                    raise ColorlibError(f"{source.address}: {photo.path} is not what split.json says. {http.ADVICE}")
                keep(photo, content)
                bar.update(photo.bytes)

        _in_parallel(read, stretches)


def find_classes(source: http.Source, total: int, progress: bool = True) -> tuple[list[Extent], list[int]]:
    """Where each class (= folder) lies, and the bytes at which was looked for that.

    Between two neighbouring known members of different classes, the middle is probed, until no byte is unknown. An
    archive that is not in the order of its classes is one extent, without a label.
    """
    known, probed = {source.size: _Member("//", source.size, source.size)}, []  # the end, as a member of no class
    ceilings = {}  # from here on, there is no header up to the next known member
    window = tar.padded(source.size // total)  # about one photo
    least, most = FIRST_PROBES
    step = tar.padded(max(window, source.size // min(most, max(least, total // 200))))
    asked = [(start, start + step) for start in range(0, source.size, step)]
    with tqdm(desc=f"{source.name}: looking for classes", unit=" probes", disable=not progress, leave=False) as bar:
        while asked:
            for members in _in_parallel(lambda gap: _probe(source, *gap, window), asked):
                known |= {member.start: member for member in members}
                bar.update()
            probed += [start for start, _ in asked]
            order = [known[start] for start in sorted(known)]
            labels = [label for label, _ in itertools.groupby(order, key=_label)]
            if len(set(labels)) < len(labels):
                print(f"{source.name} is not in the order of its classes: evenly spaced stretches are read.")
                return [Extent("", 0, source.size, total)], probed
            asked = []
            for left, right in itertools.pairwise(order):
                low, high = left.end, ceilings.get(left.end, right.start)
                if low < high and _label(left) != _label(right):
                    middle = low if high - low <= 2 * window else (low + high) // 2 // BLOCK * BLOCK
                    ceilings[low] = middle
                    asked.append((middle, high))
    classes = [list(group) for _, group in itertools.groupby(order, key=_label)][:-1]
    counts = _counts(classes, total)
    bounds = [(_label(group[0]), group[0].start, group[-1].end) for group in classes]
    return [Extent(*bound, count) for bound, count in zip(bounds, counts, strict=True)], probed


def largest_remainder(sizes: list[float], number: int) -> list[int]:
    """`number` shared over groups in proportion to their sizes, in integers that sum to it (Hamilton's method)."""
    total = sum(map(fractions.Fraction, sizes))
    ideal = [fractions.Fraction(size) * number / total for size in sizes]
    shares = [math.floor(share) for share in ideal]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (shares[i] - ideal[i], i))
    for i in by_remainder[: number - sum(shares)]:
        shares[i] += 1
    return shares


def is_photo(name: str) -> bool:
    """Whether a member is named like a JPEG or PNG file."""
    return name.lower().endswith(PHOTO)


def _segments(extents: list[Extent], number: int) -> list[_Segment]:
    segments = []
    for extent, share in zip(extents, largest_remainder([extent.count for extent in extents], number), strict=True):
        parts = min(share, max(STRETCHES, math.ceil(share / TOGETHER)))
        length = extent.stop - extent.start
        cuts = [extent.start + length * i // max(parts, 1) // BLOCK * BLOCK for i in range(parts)] + [extent.stop]
        shares = largest_remainder([1] * parts, share) if parts else []
        for (start, stop), part in zip(itertools.pairwise(cuts), shares, strict=True):
            segments.append(_Segment(start, stop, part, length / extent.count))
    return segments


def _take(source: http.Source, segment: _Segment, seed: int, keep: Keep) -> list[Taken]:
    """The segment's number of photos, from a seeded byte on and around its end, and those left out on the way."""
    begin = segment.start + int(random.Random(f"{seed} {segment.start}").random() * (segment.stop - segment.start))
    begin = max(segment.start, begin // BLOCK * BLOCK)
    taken = []
    for start, stop in ((begin, segment.stop), (segment.start, begin)):
        if missing := segment.number - _kept(taken):
            for member, data in _stretch(source, start, stop, segment.mean, missing):
                taken.append(keep(member, data))
                if _kept(taken) == segment.number:
                    break
    return taken


def _stretch(source: http.Source, start: int, stop: int, mean: float, number: int):
    """Photos whose headers lie in [start, stop), and their contents; about `number` of `mean` bytes come at once."""
    file = tar.RangeFile(source, start, tar.padded(round(mean * (1.03 * number + 1))), tar.padded(round(mean)))
    while start < stop and not tar.parse(file.read(BLOCK)):
        start += BLOCK
    if start < stop:
        file.seek(start)
        for member, data in tar.members(file, source.name, lambda member: member.offset < stop):
            if member.offset >= stop:
                return
            if is_photo(member.name):
                yield member, data


def _kept(taken: list[Taken]) -> int:
    return sum(not photo.left_out for photo in taken)


def _probe(source: http.Source, start: int, stop: int, window: int) -> list[_Member]:
    """The members whose headers lie in a window at `start`, or if none does, the first one before `stop`."""
    members, data, last = [], b"", min(stop, source.size)  # no header that starts there or later is looked for
    window = last - start if last - start <= 2 * window else window
    while (at := tar.find_header(data)) is None and start + len(data) < last:
        data += source.read(start + len(data), min(start + len(data) + window, last) + BLOCK)
    while at is not None and (header := tar.parse(data[at : at + BLOCK])):
        end = at + BLOCK + tar.padded(header.size)
        if header.isreg():
            members.append(_Member(header.name, start + at, start + end))
        at = end
    return members


def _label(member: _Member) -> str:
    return member.name.rpartition("/")[0]


def _counts(classes: list[list[_Member]], total: int) -> list[float]:
    """How many photos each class has: exactly by their numbers, if these add up to `total`; otherwise by their bytes.

    A class's bytes over the mean size of its known members is a rough count. What the rough counts differ by more than
    such means do by chance is believed, the rest is taken for noise (shrinkage, after James and Stein).
    """
    ends = [[re.search(r"(\d+)\.\w+$", member.name) for member in (group[0], group[-1])] for group in classes]
    if all(first and last for first, last in ends):
        exact = [int(last[1]) - int(first[1]) + 1 for first, last in ends]
        if sum(exact) == total:
            return exact
    sizes = [[member.end - member.start for member in group] for group in classes]
    lengths = [group[-1].end - group[0].start for group in classes]
    rough = [length / statistics.mean(size) for length, size in zip(lengths, sizes, strict=True)]
    mean = statistics.mean(rough)
    noise = statistics.mean(
        (count * statistics.pstdev(size) / statistics.mean(size)) ** 2 / len(size)
        for count, size in zip(rough, sizes, strict=True)
    )
    trust = max(0.0, 1 - noise / max(statistics.pvariance(rough), 1e-9))
    believed = [mean + trust * (count - mean) for count in rough]
    return [count * total / sum(believed) for count in believed]


def _in_parallel(function, items) -> list:
    """`function` of each item, `AT_ONCE` at a time. The first error ends it."""
    pool = ThreadPoolExecutor(http.AT_ONCE)
    try:
        return list(pool.map(function, items))
    finally:
        pool.shutdown(cancel_futures=True)
