"""A sample by byte ranges: exact, fair, the same from the same seed, and it goes on where it stopped."""

import dataclasses
import hashlib
import itertools
import random
from collections import Counter
from pathlib import Path

import made_up
import pytest
from server import Server

from colorlib import ColorlibError
from colorlib.sources import http, journal, sampling, tar

COUNTS = {f"{chr(97 + i // 2)}/class_{i:02}": 90 + 17 * i % 60 for i in range(20)}
FILES = made_up.in_classes(COUNTS)
TOTAL = len(FILES)
ARCHIVE = made_up.tar(FILES)
GAPS = made_up.tar(made_up.in_classes(dict.fromkeys(COUNTS, 110), gaps=True))


@pytest.fixture(autouse=True)
def no_waits(monkeypatch):
    monkeypatch.setattr(http, "sleep", lambda seconds: None)
    monkeypatch.setattr(http, "TIMEOUT", (2, 0.3))


def keep(member, data):
    """What is remembered of a photo; those whose bytes are none are refused, as `published` does it."""
    return {"sha256": hashlib.sha256(data).hexdigest()} if data[:2] == b"\xff\xd8" else {"skipped": "no photo"}


def sample(tmp_path, number, archive=ARCHIVE, total=TOTAL, seed=1, name="journal", keep=keep, **how):
    """A sample from a server that behaves as `how` says, and that server."""
    with Server({"a.tar": archive}, **how) as server:
        source = http.Source(server.url + "a.tar", len(archive))
        journal = sampling.Journal(tmp_path / name, source, {"number": number, "seed": seed})
        try:
            return sampling.sample(source, number, total, seed, keep, journal, progress=False), server
        finally:
            journal.close()


def per_class(taken):
    return Counter(entry["name"].split("/", 1)[1].rpartition("/")[0] for entry in taken if "skipped" not in entry)


def assert_true_members(taken, archive=ARCHIVE):
    """Each is a member of the archive, with its place and its bytes, and none comes twice."""
    members = {member.start: (member, data) for member, data in tar.read([archive], "a.tar")}
    for entry in taken:
        member, data = members.pop(entry["start"])
        assert dataclasses.asdict(member).items() <= entry.items()
        assert entry["sha256"] == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("fraction", [0.01, 0.03, 0.2, 0.75, 1.0])
@pytest.mark.parametrize("how", ["honored", "ignored", "refused"])
def test_exact_in_number_and_within_one_photo_of_each_class_share(tmp_path, fraction, how):
    number = round(fraction * TOTAL)
    taken, server = sample(tmp_path, number, ranges=how)
    assert len(taken) == number
    assert_true_members(taken)
    found = per_class(taken)
    assert all(abs(found[label] - fraction * count) <= 1 for label, count in COUNTS.items())
    assert server.most_at_once <= http.AT_ONCE


def test_a_server_without_ranges_is_told_of(tmp_path, capsys):
    sample(tmp_path, 10, ranges="ignored")
    assert "ignores byte sampling, so all 0.01 GB pass by once, to keep 10 photos" in capsys.readouterr().out


def test_numbers_with_gaps_and_equal_classes_give_equal_shares(tmp_path):
    taken, _ = sample(tmp_path, 220, archive=GAPS, total=2200)
    assert set(per_class(taken).values()) <= {10, 11, 12}
    assert len(per_class(taken)) == len(COUNTS)


def test_classes_are_found_to_the_byte_and_counted_exactly(tmp_path):
    source = http.Source(write(tmp_path / "a.tar", ARCHIVE))
    journal = sampling.Journal(tmp_path / "journal", source, {})
    extents = sampling.find_classes(source, TOTAL, journal, progress=False)
    members = [member for member, _ in tar.read([ARCHIVE], "a.tar")]
    expected = [list(group) for _, group in itertools.groupby(members, key=lambda m: m.name.rpartition("/")[0])]
    assert [(e.start, e.stop, e.count) for e in extents] == [(g[0].start, g[-1].end, len(g)) for g in expected]


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def test_the_same_seed_gives_the_same_photos_and_another_one_others(tmp_path):
    first, _ = sample(tmp_path, 100, seed=1, name="1")
    again, _ = sample(tmp_path, 100, seed=1, name="2", delay=0.001)
    other, _ = sample(tmp_path, 100, seed=2, name="3")
    assert first == again
    assert len({entry["start"] for entry in first} & {entry["start"] for entry in other}) < 30


def test_several_stretches_of_each_class(tmp_path):
    taken, _ = sample(tmp_path, round(0.2 * TOTAL))
    order = {member.start: i for i, (member, _) in enumerate(tar.read([ARCHIVE], "a.tar", ()))}
    for label in COUNTS:
        places = sorted(order[entry["start"]] for entry in taken if f"/{label}/" in entry["name"])
        stretches = 1 + sum(after - before > 1 for before, after in itertools.pairwise(places))
        assert stretches >= sampling.STRETCHES - 1  # two may meet by chance


@pytest.mark.parametrize("order", ["shuffled", "flat"])
def test_an_archive_that_is_not_in_class_order(tmp_path, capsys, order):
    names = list(FILES)
    random.Random(0).shuffle(names)
    files = {name if order == "shuffled" else f"test_256/{i:08}.jpg": FILES[name] for i, name in enumerate(names)}
    archive = made_up.tar(files)
    taken, _ = sample(tmp_path, 200, archive=archive)
    assert len(taken) == 200
    assert_true_members(taken, archive)
    assert ("not in the order of its classes" in capsys.readouterr().out) == (order == "shuffled")
    starts = [entry["start"] / len(archive) for entry in taken]
    assert all(any(i / 4 <= start < (i + 1) / 4 for start in starts) for i in range(4))  # from all over it


FAULTS = {
    "cuts": lambda n, name, start, stop: {"cut": n * 97 % 5000} if n % 3 == 1 else None,
    "errors": lambda n, name, start, stop: (
        {"status": (429, 500, 504)[n % 3], "headers": {"Retry-After": "1"}} if n % 4 == 1 else None
    ),
    "too few bytes": lambda n, name, start, stop: {"short": n * 37 % 900} if n % 3 == 1 else None,
    "too many bytes": lambda n, name, start, stop: {"extra": 700} if n % 5 == 1 else None,
    "a stall": lambda n, name, start, stop: {"cut": 100, "stall": 0.5} if n == 40 else None,
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_fails_gives_the_same_photos_in_the_end(tmp_path, fault):
    expected, _ = sample(tmp_path, 60, name="clean")
    taken, _ = sample(tmp_path, 60, name="faulty", fault=FAULTS[fault])
    assert taken == expected


def test_flipped_bytes_in_headers_and_photos_are_read_again(tmp_path):
    expected, server = sample(tmp_path, 60, name="clean")
    stretches = [(start, stop) for _, start, stop in server.log if stop - start > 4000]
    flipped = set()

    def fault(number, name, start, stop):
        if (start, stop) in stretches and (start, stop) not in flipped:
            flipped.add((start, stop))
            return {"flip": start + 5} if len(flipped) % 2 else {"flip": (start + stop) // 2}
        return None

    taken, _ = sample(tmp_path, 60, name="faulty", fault=fault)
    assert flipped
    assert [entry["start"] for entry in taken] == [entry["start"] for entry in expected]


def test_photos_that_are_none_are_replaced_and_named(tmp_path):
    bad = set(list(FILES)[::20])
    archive = made_up.tar({name: b"no photo" * 100 if name in bad else data for name, data in FILES.items()})
    taken, _ = sample(tmp_path, 300, archive=archive)
    kept = [entry for entry in taken if "skipped" not in entry]
    skipped = {entry["name"] for entry in taken if "skipped" in entry}
    assert len(kept) == 300
    assert skipped
    assert skipped <= bad
    assert not {entry["name"] for entry in kept} & bad


def test_an_archive_full_of_empty_members_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "NO_PHOTOS", 50)
    archive = made_up.tar(FILES | {f"data_256/z/empty/{i:08}.jpg": b"" for i in range(4000)})
    for how in ("honored", "ignored"):
        with pytest.raises(tar.ArchiveError, match=r"a\.tar: \d\d photos are none, the last one .*empty"):
            sample(tmp_path, 1500, archive=archive, total=TOTAL + 4000, ranges=how, name=how)


class Stop(Exception):
    pass


@pytest.mark.parametrize("how", ["honored", "ignored"])
def test_an_interruption_at_any_photo_ends_in_the_same_photos_and_reads_little_twice(tmp_path, how):
    expected, clean = sample(tmp_path, 80, name="clean", ranges=how)
    sent = came = 0
    for limit in (0, 3, 20, 50, 79, 999):
        left = itertools.count(limit, -1)

        def keep_some(member, data, left=left):
            if next(left) <= 0:
                raise Stop
            return keep(member, data)

        try:
            with Server({"a.tar": ARCHIVE}, ranges=how) as server:
                source = http.Source(server.url + "a.tar", len(ARCHIVE))
                journal = sampling.Journal(tmp_path / "journal", source, {})
                taken = sampling.sample(source, 80, TOTAL, 1, keep_some, journal, progress=False)
                came += 1
        except Stop:
            pass
        finally:
            journal.close()
            sent += server.sent
    assert came
    assert taken == expected
    assert how == "ignored" or sent < 2 * clean.sent


@pytest.mark.parametrize("step", [1, 7, 40])
def test_all_photos_of_an_archive_interrupted_again_and_again(tmp_path, step):
    files = made_up.in_classes({f"a/class_{i}": 20 + 7 * i for i in range(6)}, sizes=(700, 6000))
    source, total = http.Source(write(tmp_path / "a.tar", made_up.tar(files))), len(files)
    taken = None
    for _ in range(total + 50):
        left = itertools.count(step, -1)

        def keep_some(member, data, left=left):
            if next(left) <= 0:
                raise Stop
            return keep(member, data)

        journal = sampling.Journal(tmp_path / "journal", source, {})
        try:
            taken = sampling.sample(source, total, total, 1, keep_some, journal, progress=False)
            break
        except Stop:
            pass
        finally:
            journal.close()
    assert [entry["name"] for entry in taken] == list(files)


def test_a_torn_journal_loses_its_last_line_only(tmp_path):
    expected, _ = sample(tmp_path, 50)
    lines = (tmp_path / "journal").read_bytes()
    (tmp_path / "journal").write_bytes(lines[: len(lines) * 2 // 3])
    assert sample(tmp_path, 50)[0] == expected
    (tmp_path / "journal").write_bytes(b"{no journal at all\n")
    assert sample(tmp_path, 50)[0] == expected


def test_a_finished_journal_needs_no_more_photos(tmp_path):
    expected, _ = sample(tmp_path, 50)
    taken, server = sample(tmp_path, 50)
    assert taken == expected
    assert server.sent <= 1


def test_too_few_photos_are_an_error(tmp_path):
    with pytest.raises(ColorlibError, match=r"a\.tar gave .* instead of 5,000"):
        sample(tmp_path, 5000, total=6000)


def test_links_in_the_archive_are_refused_by_name(tmp_path):
    import tarfile

    link = tarfile.TarInfo("data_256/a/class_00/link.jpg")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    block = link.tobuf(tarfile.USTAR_FORMAT)
    members = [member for member, _ in tar.read([ARCHIVE], "a.tar", ())]
    pieces = [ARCHIVE[m.start : m.end] for m in members]
    archive = b"".join(block + piece for piece in pieces) + bytes(10_240)
    with pytest.raises(tar.ArchiveError, match=r"link\.jpg.*symbolic link"):
        sample(tmp_path, 60, archive=archive)


@dataclasses.dataclass
class Known:
    path: str
    bytes: int
    sha256: str
    offset: int


@pytest.mark.parametrize("how", ["honored", "ignored"])
@pytest.mark.parametrize(
    "fault", [None, FAULTS["cuts"], lambda n, name, start, stop: {"flip": start + 9} if n == 2 else None]
)
def test_photos_of_known_places_are_fetched_by_few_ranges(tmp_path, how, fault):
    taken, _ = sample(tmp_path, 200)
    wanted = [Known(entry["name"], entry["size"], entry["sha256"], entry["offset"]) for entry in taken]
    came = {}
    with Server({"a.tar": ARCHIVE}, ranges=how, fault=fault) as server:
        source = http.Source(server.url + "a.tar", len(ARCHIVE))
        sampling.refetch(source, wanted, lambda photo, data: came.update({photo.path: data}), progress=False)
    assert came == {photo.path: FILES[photo.path] for photo in wanted}
    if how == "honored" and fault is None:
        ends = [(photo.offset, photo.offset + photo.bytes) for photo in wanted]
        gaps = sum(after[0] - before[1] > sampling.NEAR for before, after in itertools.pairwise(ends))
        assert len(server.log) == 1 + 1 + gaps  # for the size, and one for each stretch of neighbors
        assert server.sent < 1.6 * sum(photo.bytes for photo in wanted)


def test_a_photo_that_is_not_the_one_named_is_refused(tmp_path):
    wrong = Known("data_256/a/x.jpg", 1000, "0" * 64, 512)
    huge, before = dataclasses.replace(wrong, bytes=1 << 40), dataclasses.replace(wrong, offset=-5)
    with Server({"a.tar": ARCHIVE}) as server:
        for photo, words in ((wrong, "is not the photo"), (huge, "cannot be at byte"), (before, "cannot be at byte")):
            with pytest.raises(ColorlibError, match=rf"x\.jpg {words}"):
                sampling.refetch(http.Source(server.url + "a.tar"), [photo], print, progress=False)


def test_photos_of_known_places_that_overlap_come_right_too(tmp_path):
    taken, _ = sample(tmp_path, 30)
    wanted = [Known(entry["name"], entry["size"], entry["sha256"], entry["offset"]) for entry in taken]
    inner = Known("inside", 100, hashlib.sha256(ARCHIVE[wanted[0].offset :][:100]).hexdigest(), wanted[0].offset)
    came = {}
    source = http.Source(write(tmp_path / "a.tar", ARCHIVE))
    sampling.refetch(source, [*wanted, inner], lambda photo, data: came.update({photo.path: data}), progress=False)
    assert came == {photo.path: FILES[photo.path] for photo in wanted} | {"inside": FILES[wanted[0].path][:100]}


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
