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
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tqdm.auto import tqdm

from colorlib import ColorlibError
from colorlib.sources import http, tar
from colorlib.sources.journal import Journal
from colorlib.sources.tar import BLOCK, Member

FIRST_PROBES = (8, 64)  # at least, at most: one for 200 photos
NEAR = 16 << 10  # bytes between two photos that are read rather than asked around
STRETCHES = 4  # of each class, at least
TOGETHER = 40  # photos of one stretch, at most
TRIES = 3  # readings of a stretch or photo that comes damaged


@dataclasses.dataclass(frozen=True)
class Extent:
    """A class: the bytes [start, stop) of the archive, and how many photos they hold, exactly or as estimated."""

    label: str
    start: int
    stop: int
    count: float


@dataclasses.dataclass(frozen=True)
class _Segment:
    """A part of a class that gives one stretch of `number` photos, of about `mean` bytes each in the archive."""

    start: int
    stop: int
    number: int
    mean: float


def sample(source, number: int, total: int, seed: int, keep: Callable, journal: Journal, progress=True) -> list[dict]:
    """`number` of an archive's `total` photos, exactly; each class with its share, from several stretches of it.

    keep: called with (member, content) of each photo, from several threads. It gives a dict that is remembered; if that
    has "skipped", a reason why it is no photo, the next one takes its place. Returns the kept and the skipped in the
    archive's order: dicts of name, size, start, offset and what `keep` gave.
    """
    if source.ranges:
        taken = _by_ranges(source, number, total, seed, keep, journal, progress)
    else:
        whole = f"{source.size / 1e9:.2f} GB"
        print(f"{source.name}: the server ignores byte ranges, so all {whole} pass by once, to keep {number:,} photos.")
        taken = _in_one_pass(source, number, total, seed, keep, journal, progress)
    kept = sum("skipped" not in entry for entry in taken)
    if kept != number:
        raise ColorlibError(
            f"{source.name} gave {kept:,} photos instead of {number:,} of {total:,}: not the published one."
        )
    return sorted(taken, key=lambda entry: entry["start"])


def refetch(source, wanted: list, keep: Callable, progress=True) -> None:
    """Read photos whose place is known (each with path, bytes, sha256, offset) by few ranges, or in one pass.

    keep: called with (photo, content), verified by its SHA-256. Raises `ColorlibError` for one that comes wrong thrice.
    """
    runs = []
    for photo in sorted(wanted, key=lambda photo: photo.offset):
        if not 0 <= photo.bytes <= tar.LARGEST or photo.offset < 0:
            raise ColorlibError(f"{source.name}: {photo.path} cannot be at byte {photo.offset:,} of split.json.")
        near = runs and photo.offset - runs[-1][-1].offset - runs[-1][-1].bytes <= NEAR
        if near or (runs and not source.ranges):
            runs[-1].append(photo)
        else:
            runs.append([photo])

    def read(run):
        first, last = run[0].offset, run[-1].offset + run[-1].bytes
        reader = tar.Reader(source.chunks(first, last), first)
        for photo in run:
            reader.skip(photo.offset - reader.position)
            data, tries = reader.read(photo.bytes), 1
            while hashlib.sha256(data).hexdigest() != photo.sha256:
                if tries == TRIES:
                    raise ColorlibError(
                        f"{source.name}: {photo.path} is not the photo that split.json names. Try a mirror."
                    )
                data, tries = source.read(photo.offset, photo.offset + photo.bytes), tries + 1
            keep(photo, data)
            bar.update(len(data))

    with http.bar(sum(photo.bytes for photo in wanted), 0, source.name, progress) as bar:
        _in_parallel(read, runs)


def find_classes(source, total: int, journal: Journal, progress=True) -> list[Extent] | None:
    """Where each class (= folder) lies, or None if the archive is not in the order of its classes.

    Between two neighbouring known members of different classes, the middle is probed, until no byte is unknown.
    """
    known = {source.size: Member("//", 0, source.size, source.size)}  # the end, as a member of no class
    ceilings = {}  # from here on, there is no header up to the next known member
    window = tar.padded(source.size // total)  # about one photo
    least, most = FIRST_PROBES
    step = tar.padded(max(window, source.size // min(most, max(least, total // 200))))
    asked = [(start, start + step) for start in range(0, source.size, step)]
    with tqdm(desc=f"{source.name}: looking for classes", unit=" probes", disable=not progress, leave=False) as bar:
        while asked:
            for found in _in_parallel(lambda gap: _probe(source, journal, *gap, window), asked):
                known |= {member.start: member for member in found}
                bar.update()
            order = [known[start] for start in sorted(known)]
            labels = [label for label, _ in itertools.groupby(order, key=_label)]
            if len(set(labels)) < len(labels):
                journal.add(in_order=False)
                return None
            asked = []
            for left, right in itertools.pairwise(order):
                low, high = left.end, ceilings.get(left.end, right.start)
                if low >= high or _label(left) == _label(right):
                    continue
                middle = low if high - low <= 2 * window else (low + high) // 2 // BLOCK * BLOCK
                ceilings[low] = middle
                asked.append((middle, high))
    classes = [list(group) for _, group in itertools.groupby(order, key=_label)][:-1]
    return [
        Extent(_label(group[0]), group[0].start, group[-1].end, count)
        for group, count in zip(classes, _counts(classes, total), strict=True)
    ]


def largest_remainder(sizes: list[float], number: int) -> list[int]:
    """`number` shared over groups in proportion to their sizes, in integers that sum to it (Hamilton's method)."""
    total = sum(map(fractions.Fraction, sizes))
    ideal = [fractions.Fraction(size) * number / total for size in sizes]
    shares = [math.floor(share) for share in ideal]
    by_remainder = sorted(range(len(sizes)), key=lambda i: (shares[i] - ideal[i], i))
    for i in by_remainder[: number - sum(shares)]:
        shares[i] += 1
    return shares


def _by_ranges(source, number, total, seed, keep, journal, progress):
    extents = find_classes(source, total, journal, progress) if journal.in_order else None
    if extents is None:
        print(f"{source.name} is not in the order of its classes: evenly spaced stretches are read.")
        extents = [Extent("", 0, source.size, total)]
    segments = _segments(extents, number)
    expected = round(sum(segment.number * segment.mean for segment in segments))
    with http.bar(expected, 0, source.name, progress) as bar:

        def take(segment):
            return _take(source, segment, seed, keep, journal, bar)

        missing = number - sum(_in_parallel(take, segments))
        for segment in segments:  # a class that has fewer than was thought leaves some to the others
            had = _kept(journal, segment)
            if missing:
                missing -= take(dataclasses.replace(segment, number=had + missing)) - had
    return [entry for segment in segments for entry in journal.taken.get(segment.start, [])]


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


def _take(source, segment: _Segment, seed: int, keep, journal: Journal, bar) -> int:
    """Keep the segment's number of photos, from a seeded byte on and around its end. Returns how many it has then."""
    begin = segment.start + int(random.Random(f"{seed} {segment.start}").random() * (segment.stop - segment.start))
    begin = max(segment.start, begin // BLOCK * BLOCK)
    for tries in itertools.count(1):
        try:
            for low, high in ((begin, segment.stop), (segment.start, begin)):
                _take_between(source, low, high, segment, keep, journal, bar)
            return _kept(journal, segment)
        except tar.ArchiveError:
            if tries == TRIES:  # it came damaged every time, so it is
                raise


def _take_between(source, low, high, segment, keep, journal, bar):
    done = [entry for entry in journal.taken.get(segment.start, []) if low <= entry["start"] < high]
    missing = segment.number - _kept(journal, segment)
    position = done[-1]["offset"] + tar.padded(done[-1]["size"]) if done else low
    if missing <= 0 or position >= high:
        return
    first, more = round(segment.mean * (1.03 * missing + 1)), round(segment.mean)
    reader = tar.Reader(source.ahead(position, tar.padded(first), tar.padded(more)), position)
    if not done and not _synchronize(reader, high):
        return
    for member in tar.members(reader, source.name, source.size):
        if member.start >= high:
            return
        if not is_photo(member):
            continue
        entry = _keep(source, member, tar.content(reader, member, source.name), keep)
        journal.add(segment=segment.start, **entry)
        bar.update(member.end - member.start)
        missing -= "skipped" not in entry
        if not missing:
            return


def _in_one_pass(source, number, total, seed, keep, journal, progress):
    """Every so many-th member of the archive as it passes by: exact, and within one photo of every class's share."""
    known = {entry["start"]: entry for entry in journal.taken.get("pass", [])}
    phase, owed = random.Random(seed).randrange(total), 0
    with http.bar(source.size, 0, source.name, progress) as bar:
        reader = tar.Reader(source.chunks(0, source.size))
        for i, member in enumerate(filter(is_photo, tar.members(reader, source.name, source.size))):
            bar.update(member.start - bar.n)
            owed += ((i + 1) * number + phase) // total - (i * number + phase) // total
            if owed and member.start not in known:
                entry = _keep(source, member, tar.content(reader, member, source.name), keep)
                known[member.start] = journal.add(segment="pass", **entry)
            if owed and "skipped" not in known[member.start]:
                owed -= 1
    return list(known.values())


def _keep(source, member: Member, data: bytes, keep) -> dict:
    """What `keep` says of a photo; one that it refuses is read once more, in case it came damaged."""
    entry = dataclasses.asdict(member) | keep(member, data)
    if "skipped" in entry and source.ranges:
        again = source.read(member.offset, member.offset + member.size)
        return dataclasses.asdict(member) | keep(member, again)
    return entry


def _kept(journal: Journal, segment: _Segment) -> int:
    return sum("skipped" not in entry for entry in journal.taken.get(segment.start, []))


def _synchronize(reader: tar.Reader, high: int) -> bool:
    """Go on to the first header, if there is one before byte `high`. Returns whether there is."""
    data = b""
    while (at := tar.find_header(data)) is None and reader.position + len(data) < high + BLOCK:
        before, data = len(data), reader.peek(len(data) + 8 * BLOCK)
        if len(data) == before:
            return False
    if tar.has_damaged_header(data[:at]):
        raise tar.ArchiveError(f"The header of a member after byte {reader.position:,} has a wrong checksum.")
    reader.skip(at or 0)
    return at is not None and reader.position < high


def _probe(source, journal: Journal, start: int, stop: int, window: int) -> list[Member]:
    """The members whose headers lie in a window at `start`, or if none does, the first one before `stop`."""
    key = f"{start} {stop}"
    if key not in journal.probes:
        found, last = [], min(stop, source.size)  # no header that starts there or later is looked for
        window = last - start if last - start <= 2 * window else window
        for _ in range(TRIES):
            data = b""
            while (at := tar.find_header(data)) is None and start + len(data) < last:
                data += source.read(start + len(data), min(start + len(data) + window, last) + BLOCK)
            if not tar.has_damaged_header(data):
                break
        while at is not None and (info := tar.parse(data[at : at + BLOCK])):
            if info.isreg():
                found.append([info.name, info.size, start + at, start + at + BLOCK])
            at += BLOCK + tar.padded(0 if info.isdir() else info.size)
        journal.add(probe=key, members=found)
    return journal.probes[key]


def is_photo(member: Member) -> bool:
    """Whether a member is named like a JPEG or PNG file."""
    return member.name.lower().endswith((".jpg", ".jpeg", ".jpe", ".jfif", ".png"))


def _label(member: Member) -> str:
    return member.name.rpartition("/")[0]


def _counts(classes: list[list[Member]], total: int) -> list[float]:
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
    rough = [
        (group[-1].end - group[0].start) / statistics.mean(size) for group, size in zip(classes, sizes, strict=True)
    ]
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
