"""A sample by byte ranges: exact, fair, the same from the same seed, and it goes on where it stopped."""

import contextlib
import io
import itertools
import random
import tarfile
import time
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import made_up
import pytest
from server import Server

from colorlib import ColorlibError
from colorlib.sources import http, sampling, tar
from colorlib.sources.photos import PhotoError

COUNTS = {f"{chr(97 + i // 2)}/class_{i:02}": 90 + 17 * i % 60 for i in range(20)}
FILES = made_up.in_classes(COUNTS)
TOTAL = len(FILES)
ARCHIVE = made_up.tar(FILES)
GAPS = made_up.tar(made_up.in_classes(dict.fromkeys(COUNTS, 110), gaps=True))


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(http, "sleep", lambda seconds: None)
    monkeypatch.setattr("urllib3.util.retry.time", SimpleNamespace(sleep=lambda seconds: None, time=time.time))
    monkeypatch.setattr(http, "TIMEOUT", (2, 0.3))


def keep(member, data):
    """What comes of a photo; those whose bytes are none are left out, as `published` does it."""
    if data[:2] != b"\xff\xd8":
        raise PhotoError("no photo")
    return sampling.described(member, data)


def sample(tmp_path, number, archive=ARCHIVE, total=TOTAL, seed=1, name="done", keep=keep, **how):
    """What a sample took from a server that behaves as `how` says, and that server."""
    with Server({"a.tar": archive}, **how) as server:
        source = http.Source(server.url + "a.tar", len(archive))
        return sampling.sample(source, number, total, seed, keep, tmp_path / name, progress=False)[0], server


def members_of(archive):
    """Of each photo of the archive, in its order: a `TarInfo`, and its bytes."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return [(member, opened.extractfile(member).read()) for member in opened]


def per_class(taken):
    return Counter(photo.path.split("/", 1)[1].rpartition("/")[0] for photo in taken)


def assert_true_members(taken, archive=ARCHIVE):
    """Each is a member of the archive, with its place and its bytes, and none comes twice."""
    members = {member.offset_data: (member, data) for member, data in members_of(archive)}
    for photo in taken:
        member, data = members.pop(photo.offset)
        assert photo == sampling.described(member, data)


@pytest.mark.parametrize("fraction", [0.01, 0.03, 0.2, 0.75, 1.0])
def test_exact_in_number_and_within_one_photo_of_each_class_share(tmp_path, fraction):
    number = round(fraction * TOTAL)
    taken, server = sample(tmp_path, number)
    assert len(taken) == number
    assert_true_members(taken)
    found = per_class(taken)
    assert all(abs(found[label] - fraction * count) <= 1 for label, count in COUNTS.items())
    assert server.most_at_once <= http.AT_ONCE


def test_numbers_with_gaps_and_equal_classes_give_equal_shares(tmp_path):
    taken, _ = sample(tmp_path, 220, archive=GAPS, total=2200)
    assert set(per_class(taken).values()) <= {10, 11, 12}
    assert len(per_class(taken)) == len(COUNTS)


def test_classes_are_found_to_the_byte_and_counted_exactly(tmp_path):
    source = http.Source(write(tmp_path / "a.tar", ARCHIVE))
    extents, probes = sampling.find_classes(source, TOTAL, progress=False)
    members = [member for member, _ in members_of(ARCHIVE)]
    expected = [list(group) for _, group in itertools.groupby(members, key=lambda m: m.name.rpartition("/")[0])]
    stops = [after[0].offset for after in expected[1:]] + [members[-1].offset_data + tar.padded(members[-1].size)]
    starts_and_counts = [(group[0].offset, len(group)) for group in expected]
    assert [(extent.start, extent.count) for extent in extents] == starts_and_counts
    assert [extent.stop for extent in extents] == stops
    assert len(set(probes)) > len(COUNTS)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_the_same_seed_gives_the_same_photos_and_another_one_others(tmp_path):
    first, _ = sample(tmp_path, 100, seed=1, name="1")
    again, _ = sample(tmp_path, 100, seed=1, name="2", delay=0.001)
    other, _ = sample(tmp_path, 100, seed=2, name="3")
    assert first == again
    assert len({*first} & {*other}) < 30


def test_several_stretches_of_each_class(tmp_path):
    taken, _ = sample(tmp_path, round(0.2 * TOTAL))
    order = {member.offset_data: i for i, (member, _) in enumerate(members_of(ARCHIVE))}
    for label in COUNTS:
        places = sorted(order[photo.offset] for photo in taken if f"/{label}/" in photo.path)
        stretches = 1 + sum(after - before > 1 for before, after in itertools.pairwise(places))
        assert stretches >= sampling.STRETCHES - 1  # two may meet by chance


@pytest.mark.parametrize("order", ["shuffled", "flat"])
def test_an_archive_that_is_not_in_class_order(tmp_path, order):
    names = list(FILES)
    random.Random(0).shuffle(names)
    files = {name if order == "shuffled" else f"test_256/{i:08}.jpg": FILES[name] for i, name in enumerate(names)}
    archive = made_up.tar(files)
    taken, _ = sample(tmp_path, 200, archive=archive)
    assert len(taken) == 200
    assert_true_members(taken, archive)
    starts = [photo.offset / len(archive) for photo in taken]
    assert all(any(i / 4 <= start < (i + 1) / 4 for start in starts) for i in range(4))  # from all over it


FAULTS = {
    "cuts": lambda n, name, start, stop: {"cut": n * 97 % 5000} if n % 3 == 1 else None,
    "errors": lambda n, name, start, stop: {"status": (429, 500, 504)[n % 3]} if n % 4 == 1 else None,
    "too few bytes": lambda n, name, start, stop: {"short": n * 37 % 900} if n % 3 == 1 else None,
    "too many bytes": lambda n, name, start, stop: {"extra": 700} if n % 5 == 1 else None,
    "a stall": lambda n, name, start, stop: {"cut": 100, "stall": 0.5} if n == 40 else None,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_fails_gives_the_same_photos_in_the_end(tmp_path, fault):
    expected, _ = sample(tmp_path, 60, name="clean")
    taken, _ = sample(tmp_path, 60, name="faulty", fault=FAULTS[fault])
    assert taken == expected


def test_a_header_that_comes_damaged_is_told_and_the_next_run_takes_the_same_photos(tmp_path):
    expected, _ = sample(tmp_path, 300, name="clean")
    second = expected[1].offset - 300  # within the header of a photo that is not the first of its stretch

    def fault(number, name, start, stop):
        return {"flip": second} if stop - start > 4000 and start < second < stop else None

    with pytest.raises(tar.ArchiveError, match=r"a\.tar has no tar header at byte .*Run it again"):
        sample(tmp_path, 300, name="faulty", fault=fault)
    assert sample(tmp_path, 300, name="faulty")[0] == expected


def test_photos_that_are_none_are_replaced_and_named(tmp_path):
    bad = set(list(FILES)[::20])
    archive = made_up.tar({name: b"no photo" * 100 if name in bad else data for name, data in FILES.items()})
    source = http.Source(write(tmp_path / "a.tar", archive))
    kept, skipped = sampling.sample(source, 300, TOTAL, 1, keep, tmp_path / "done", progress=False)
    assert len(kept) == 300 and not {photo.path for photo in kept} & bad
    assert skipped and {name for name, _ in skipped} <= bad
    assert {reason for _, reason in skipped} == {"no photo"}


def test_what_keep_raises_ends_the_sample(tmp_path):
    def exhausted(member, data):
        raise MemoryError

    with pytest.raises(MemoryError):
        sample(tmp_path, 10, keep=exhausted)


class Stop(Exception):
    pass


def stopping(after):
    """Keeps so many photos, and stops then."""
    left = itertools.count(after, -1)

    def keep_some(member, data):
        if next(left) <= 0:
            raise Stop
        return keep(member, data)

    return keep_some


def test_an_interruption_at_any_photo_ends_in_the_same_photos_and_reads_little_twice(tmp_path):
    expected, clean = sample(tmp_path, 80, name="clean")
    sent, drawn = 0, None
    for limit in (0, 3, 20, 50, 79, 999):
        with Server({"a.tar": ARCHIVE}) as server, contextlib.suppress(Stop):
            source = http.Source(server.url + "a.tar", len(ARCHIVE))
            drawn, _ = sampling.sample(source, 80, TOTAL, 1, stopping(limit), tmp_path / "done", progress=False)
        sent += server.sent
    assert drawn == expected
    assert sent < 2 * clean.sent


@pytest.mark.parametrize("step", [40, 100])
def test_all_photos_of_an_archive_interrupted_again_and_again(tmp_path, step):
    files = made_up.in_classes({f"a/class_{i}": 20 + 7 * i for i in range(6)}, sizes=(700, 6000))
    source, total = http.Source(write(tmp_path / "a.tar", made_up.tar(files))), len(files)
    drawn = None
    for _ in range(total):
        with contextlib.suppress(Stop):
            drawn, _ = sampling.sample(source, total, total, 1, stopping(step), tmp_path / "done", progress=False)
            break
    assert [photo.path for photo in drawn] == list(files)


def test_what_a_power_cut_left_empty_is_done_again(tmp_path):
    expected, _ = sample(tmp_path, 50)
    done = sorted((tmp_path / "done").iterdir())
    assert len(done) > 20
    for path in done[::2]:
        path.write_bytes(b"")
    assert sample(tmp_path, 50)[0] == expected


def test_a_finished_sample_needs_no_more_photos(tmp_path):
    expected, _ = sample(tmp_path, 50)
    taken, server = sample(tmp_path, 50)
    assert taken == expected
    assert server.sent <= 1


def test_too_few_photos_are_an_error(tmp_path):
    with pytest.raises(ColorlibError, match=r"a\.tar has 2,\d\d\d photos that can be read, not 5,000"):
        sample(tmp_path, 5000, total=6000)


@pytest.mark.parametrize("number", [0, 1, 7, 100, 12_345])
def test_largest_remainder(number):
    rng = random.Random(number)
    sizes = [rng.randrange(1, 5000) for _ in range(100)]
    shares = sampling.largest_remainder(sizes, number)
    assert sum(shares) == number
    ideal = [size * number / sum(sizes) for size in sizes]
    assert all(abs(share - part) < 1 for share, part in zip(shares, ideal, strict=True))
    assert sampling.largest_remainder([5000, 4000, 3100], 100) == [41, 33, 26]
    assert sampling.largest_remainder([1, 1, 1], 2) == [1, 1, 0]
