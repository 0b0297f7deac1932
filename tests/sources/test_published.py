"""Places365 and Food-101 from a local server: exact, resumed, shared, packed for Drive, never outside their folder."""

import dataclasses
import errno
import io
import itertools
import json
import re
import shutil
import tarfile
import threading
from pathlib import Path

import made_up
import pytest
from server import Server

from colorlib import ColorlibError, settings, sources
from colorlib.sources import files, http, photos, published, splits, tar
from colorlib.sources.splits import PARTS, Split

PUBLISHED = published.DATA_SETS
FILES, RECIPES = made_up.published_sets()
TRAIN, VAL, TEST, FOOD = (
    archive.name for archive in (published.TRAIN_256, published.VAL_256, published.TEST_256, published.FOOD_101)
)
LISTS = published.FILELIST.name
TOTALS = {"train": 460, "validation": 60, "test": 150}


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Archives of some hundred photos stand in for the published ones, and nobody waits."""
    monkeypatch.setattr(published, "DATA_SETS", RECIPES)
    for name, value in made_up.small_lists(FILES[LISTS]).items():
        monkeypatch.setattr(published, name, value)
    monkeypatch.setattr(http, "sleep", lambda seconds: None)


@pytest.fixture
def server():
    with Server(FILES) as server:
        yield server


def chosen(folder, mirror, data="places365", **changes):
    address = mirror if isinstance(mirror, str | Path) else mirror.url
    return settings.load(
        "paper", **{"data": data, "fraction": 0.2, "mirror": str(address), "data_folder": folder} | changes
    )


def prepare(folder, mirror, **changes):
    return sources.prepare(chosen(folder, mirror, **changes), progress=False)


def contents(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}


ORIGINALS = {name: contents(FILES[name]) for name in (TRAIN, VAL, TEST, FOOD)}


def assert_whole(split, data="places365"):
    """Every photo is there, once, byte for byte as tarfile unpacks it, and nothing else is left in the folder."""
    every = [photo for part in PARTS for photo in split.photos(part)]
    assert len({(photo.archive, photo.path) for photo in every}) == len(every)
    for photo in every:
        assert split.path_of(photo).read_bytes() == ORIGINALS[photo.archive][photo.path]
    assert {path.name for path in split.home.iterdir()} == {"photos", "split.json"}
    assert len([path for path in split.folder.rglob("*") if path.is_file()]) == len(every)


def test_places365_exactly_as_many_photos_as_the_share_says(tmp_path, capsys):
    with Server(FILES) as server:
        split = prepare(tmp_path, server)
        assert {part: len(split.photos(part)) for part in PARTS} == {p: round(0.2 * n) for p, n in TOTALS.items()}
        assert {photo.label for photo in split.train} == {f"{'abcd'[i // 2]}/class_{i}" for i in range(8)}
        assert_whole(split)
        asked = len(server.log)
        again = prepare(tmp_path, server)
        assert len(server.log) == asked  # a finished split needs no network
        assert again == split
    out = capsys.readouterr().out
    assert "92 train, 12 validation and 30 test photos" in out
    assert str(tmp_path) not in out


def test_the_paper_s_numbers_come_out_exactly():
    totals = {part: archive.photos for archive, shares in PUBLISHED["places365"] for part in shares}
    assert [round(0.03 * totals[part]) for part in PARTS] == [54_104, 1_095, 9_855]
    ((archive, shares),) = PUBLISHED["places365-val"]
    assert [round(shares[part] * archive.photos) for part in PARTS] == [7_300, 365, 730]


def test_the_classroom_s_parts_come_from_one_archive(tmp_path, server):
    split = prepare(tmp_path, server, data="places365-val", fraction=1.0)
    assert [len(split.photos(part)) for part in PARTS] == [12, 1, 1]
    assert_whole(split)


def test_food_101_follows_its_published_lists(tmp_path, server):
    split = prepare(tmp_path, server, data="food101", fraction=1.0)
    assert [len(split.photos(part)) for part in PARTS] == [86, 4, 30]  # 5 % of the 90 for training validate
    lists = {part: json.loads(ORIGINALS[FOOD][f"food-101/meta/{part}.json"]) for part in ("train", "test")}
    named = {part: {f"food-101/images/{n}.jpg" for names in lists[part].values() for n in names} for part in lists}
    assert {photo.path for photo in split.test} == named["test"]
    assert {photo.path for photo in split.train + split.validation} == named["train"]
    assert {photo.label for photo in split.test} == {"apple_pie", "baklava", "churros"}
    assert_whole(split)
    tenth = prepare(tmp_path / "tenth", server, data="food101", fraction=0.1)
    assert [len(tenth.photos(part)) for part in PARTS] == [9, 0, 3]


@pytest.mark.parametrize("data", ["places365", "places365-val", "food101"])
def test_the_disk_never_holds_more_than_one_archive_and_what_is_kept(tmp_path, server, monkeypatch, data):
    honest, heights, calls = files.put, [], itertools.count()

    def watched(path, content):
        honest(path, content)
        if next(calls) % 10 == 0:
            heights.append(sum(size(p) for p in tmp_path.rglob("*") if p.suffix != ".json"))

    def size(path):
        try:
            return path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # another thread has just put it in its place
            return 0

    monkeypatch.setattr(files, "put", watched)
    split = prepare(tmp_path, server, data=data, fraction=1.0)
    kept = sum(photo.bytes for part in PARTS for photo in split.photos(part))
    whole = len(FILES[FOOD if data == "food101" else VAL])
    lists = 400 * sum(len(split.photos(part)) for part in PARTS)  # split.json, and what is remembered until then
    assert whole < max(heights) < whole + kept + lists


def test_an_archive_that_was_fetched_is_not_fetched_again_after_a_failure(tmp_path):
    def broken(number, name, start, stop):  # the last archive cannot be had
        return {"status": 404} if name == TEST else None

    with Server(FILES, fault=broken) as server, pytest.raises(ColorlibError, match="404"):
        prepare(tmp_path, server)
    with Server(FILES) as server:
        split = prepare(tmp_path, server)
        assert sum(stop - start > 1 for name, start, stop in server.log if name == VAL) == 0
        assert split.checksum == prepare(tmp_path / "clean", server).checksum
    assert_whole(split)


# Two at once.


def test_a_second_process_waits_for_the_first_and_finds_what_it_made(tmp_path, capsys):
    """The second one begins while the first is in the middle of its download."""
    seconds, made = [], []

    def begin_another(number, name, start, stop):
        if stop - start > 1 and not seconds:
            seconds.append(threading.Thread(target=lambda: made.append(prepare_classroom())))
            seconds[0].start()
            seconds[0].join(0.5)  # time enough to end, were it not waiting
        return {"cut": 5000} if len(server.log) < 4 else None

    def prepare_classroom():
        return prepare(tmp_path, server, data="places365-val", fraction=1.0)

    with Server(FILES, fault=begin_another) as server:
        first = prepare_classroom()
        seconds[0].join()
        assert made == [first]
        assert sum(stop - start > 5000 for name, start, stop in server.log if name == VAL) <= 3
    out = capsys.readouterr().out
    assert "places365-val is being prepared by another program; waiting" in out
    assert out.count("1 test photos") == 2
    assert_whole(first)


def test_a_split_of_another_seed_is_named_and_not_kept_under_this_one_s(tmp_path, server, capsys):
    mine = prepare(tmp_path, server)
    assert "used as it is" not in capsys.readouterr().out
    assert prepare(tmp_path, server, seed=2, keep_folder=tmp_path / "drive").checksum == mine.checksum
    said = r"data/places365/split.json is used as it is, made with .*'seed': 1}, not .*'seed': 2}. Delete it"
    assert re.search(said, capsys.readouterr().out)
    assert not (tmp_path / "drive").exists()
    (tmp_path / "places365/split.json").unlink()
    assert prepare(tmp_path, server, seed=2).checksum != mine.checksum


def test_too_little_memory_is_no_damaged_photo(tmp_path, server, monkeypatch):
    def exhausted(*arguments):
        raise MemoryError

    monkeypatch.setattr(photos, "is_plain", exhausted)
    for data in ("places365", "places365-val"):
        with pytest.raises(MemoryError):
            prepare(tmp_path, server, data=data)


def test_validation_photos_have_the_classes_of_the_published_list(tmp_path):
    names = [f"{'abcd'[i // 2]}/class_{i}" for i in range(8)]
    numbers = {f"val_256/Places365_val_{i + 1:08}.jpg": names[3 * i % 8] for i in range(60)}
    with Server(FILES) as server:
        split = prepare(tmp_path, server, fraction=16 / 60)
        of_list = sum(stop - start for name, start, stop in server.log if name == LISTS)
        assert of_list < len(FILES[LISTS]) / 4  # the longest list is jumped over
        room = prepare(tmp_path / "room", server, data="places365-val", fraction=1.0)
    assert {photo.path: photo.label for photo in split.validation}.items() <= numbers.items()
    assert [photo.label for photo in split.validation] == sorted(names * 2)  # of each class its share
    assert {photo.label for photo in split.test} == {""}  # those of the test photos were never published
    assert len({photo.label for photo in room.train}) == 8
    assert Split.load(split.home / "split.json") == split


@pytest.mark.parametrize("damage", ["absent", "changed", "without the list"])
def test_without_the_list_of_classes_nothing_is_drawn(tmp_path, damage):
    """A split that depends on what could be had that day would be another one for each student."""
    broken = {
        "absent": b"",
        "changed": FILES[LISTS].replace(b"class_3 3", b"class_3 4"),
        "without the list": made_up.tar({"other.txt": b"x"}).ljust(len(FILES[LISTS]), b"\0"),
    }[damage]
    files = {name: broken if name == LISTS else data for name, data in FILES.items()}
    served = files if damage != "absent" else {n: files[n] for n in FILES if n != LISTS}
    with Server(served) as server, pytest.raises(ColorlibError, match=r"404|a list of classes is missing or damaged"):
        prepare(tmp_path, server, data="places365-val", fraction=1.0)
    assert not (tmp_path / "places365-val" / "split.json").exists()


def test_archives_that_are_on_disk_are_read_there_and_stay(tmp_path, server):
    mine = tmp_path / "mine"
    mine.mkdir()
    for name, data in FILES.items():
        (mine / name).write_bytes(data)
    here = prepare(tmp_path / "here", mine)
    assert here.checksum == prepare(tmp_path / "there", server).checksum
    assert_whole(here)
    assert {path.name for path in mine.iterdir()} == set(FILES)
    home = tmp_path / "same" / "places365-val"  # the mirror is where the data set lies
    home.mkdir(parents=True)
    for name in (VAL, LISTS):
        (home / name).write_bytes(FILES[name])
    prepare(tmp_path / "same", home, data="places365-val", fraction=1.0)
    assert (home / VAL).read_bytes() == FILES[VAL]
    (mine / VAL).write_bytes(FILES[VAL][:50_000] + b"?" + FILES[VAL][50_001:])
    with pytest.raises(ColorlibError, match=r"val_256\.tar is damaged: its SHA-256"):
        prepare(tmp_path / "damaged", mine)
    assert (mine / VAL).exists()
    (mine / TRAIN).write_bytes(FILES[TRAIN][:-512])
    with pytest.raises(ColorlibError, match=r"were published"):
        prepare(tmp_path / "short", mine)


def test_a_mirror_without_the_archives_is_named(tmp_path):
    with pytest.raises(ColorlibError, match=r"no file .*train_256"):
        prepare(tmp_path, tmp_path / "empty")
    with Server({}) as empty, pytest.raises(ColorlibError, match=r"404.*mirror"):
        prepare(tmp_path, empty)


# A split that is shared.


@pytest.mark.parametrize("data", ["places365", "food101"])
def test_a_shared_split_gets_the_same_photos(tmp_path, server, data):
    mine = prepare(tmp_path / "mine", server, data=data)
    home = tmp_path / "yours" / data
    home.mkdir(parents=True)
    shutil.copy(mine.home / "split.json", home)

    def cut(number, name, start, stop):
        return {"cut": 3000} if number % 7 == 3 else None

    with Server(FILES, fault=cut) as other:
        yours = prepare(tmp_path / "yours", other, data=data, seed=99)  # whatever the seed: the file decides
    assert yours.checksum == mine.checksum
    for part in PARTS:
        assert [Path(p).read_bytes() for p in yours.paths(part)] == [Path(p).read_bytes() for p in mine.paths(part)]


def test_the_same_few_ranges_every_time(tmp_path, server):
    mine = prepare(tmp_path / "mine", server)
    logs = []
    for name in ("a", "b"):
        (tmp_path / name / "places365").mkdir(parents=True)
        shutil.copy(mine.home / "split.json", tmp_path / name / "places365")
        with Server(FILES) as other:
            prepare(tmp_path / name, other)
            logs.append(sorted(other.log))
            whole = {name for name, start, stop in other.log if stop - start == len(FILES[name])}
            assert whole == {VAL}
    assert logs[0] == logs[1]


def test_a_lost_photo_is_fetched_again(tmp_path, server):
    split = prepare(tmp_path, server)
    lost = split.path_of(split.train[3])
    lost.unlink()
    assert prepare(tmp_path, server) == split
    assert_whole(split)


def test_a_split_json_cannot_lead_elsewhere(tmp_path, server):
    split = prepare(tmp_path / "mine", server)
    home = tmp_path / "yours" / "places365"
    home.mkdir(parents=True)
    hostile = dataclasses.replace(split.train[0], path="data_256/../../../../evil.jpg")
    dataclasses.replace(split, home=home, folder=home / "photos", train=(hostile, *split.train[1:])).save()
    with pytest.raises(ColorlibError, match="names photos that cannot be had"):
        prepare(tmp_path / "yours", server)
    dataclasses.replace(split, home=home, folder=tmp_path / "elsewhere").save()
    assert prepare(tmp_path / "yours", server).folder == home / "photos"
    assert not list(tmp_path.rglob("evil*"))
    assert not (tmp_path / "elsewhere").exists()


def test_another_fraction_than_that_of_the_split_is_told(tmp_path, server, capsys):
    mine = prepare(tmp_path, server)
    assert prepare(tmp_path, server, fraction=0.5) == mine
    assert re.search(r"made with .*0\.2, .*, not .*0\.5, .*Delete it", capsys.readouterr().out)


# The packed file that outlasts the session.


def test_a_packed_file_serves_a_new_machine_without_any_network(tmp_path, server, capsys):
    drive = tmp_path / "drive"
    split = prepare(tmp_path / "first", server, keep_folder=drive)
    assert [path.name for path in drive.iterdir()] == ["places365-0.2-seed1.tar"]  # one file, never one by one
    asked = len(server.log)
    other = prepare(tmp_path / "second", server, keep_folder=drive)
    assert len(server.log) == asked
    assert other.checksum == split.checksum
    assert "Unpacking places365" in capsys.readouterr().out
    assert {p.name for p in other.home.iterdir()} == {"photos", "split.json"}
    for part in PARTS:
        assert [Path(p).read_bytes() for p in other.paths(part)] == [Path(p).read_bytes() for p in split.paths(part)]


def test_a_kill_while_unpacking_leaves_no_split_and_the_next_run_unpacks_again(tmp_path, server, monkeypatch):
    drive, second = tmp_path / "drive", tmp_path / "second"
    split = prepare(tmp_path / "first", server, keep_folder=drive)
    honest, left = tarfile.TarFile.makefile, itertools.count(20, -1)

    def killed(archive, *arguments):
        honest(archive, *arguments)
        if not next(left):
            (second / "places365/photos" / split.train[0].path).write_bytes(b"half")
            raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(tarfile.TarFile, "makefile", killed)
        prepare(second, server, keep_folder=drive)
    assert not (second / "places365/split.json").exists()
    asked = len(server.log)
    other = prepare(second, server, keep_folder=drive)
    assert (other.checksum, len(server.log)) == (split.checksum, asked)
    assert_whole(other)


@pytest.mark.parametrize("damage", ["cut", "empty", "no split", "foreign"])
def test_a_damaged_packed_file_is_told_of_and_made_again(tmp_path, server, capsys, damage):
    drive = tmp_path / "drive"
    split = prepare(tmp_path / "first", server, keep_folder=drive)
    (pack,) = drive.iterdir()
    good = pack.read_bytes()
    pack.write_bytes(
        {
            "cut": good[: len(good) // 2],
            "empty": b"",
            "no split": good[512:],
            "foreign": made_up.tar({"../evil.jpg": b"x", "b": b"y"}),
        }[damage]
    )
    other = prepare(tmp_path / "second", server, keep_folder=drive)
    assert other.checksum == split.checksum
    assert "is damaged" in capsys.readouterr().out
    assert contents(pack.read_bytes()).keys() == contents(good).keys()
    for part in PARTS:
        assert all(other.is_there(photo) for photo in other.photos(part))
    asked = len(server.log)
    prepare(tmp_path / "third", server, keep_folder=drive)
    assert len(server.log) == asked
    assert "is damaged" not in capsys.readouterr().out


# Disks.


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.ENOTCONN])
def test_a_disk_that_fails_in_the_middle_leaves_what_was_finished(tmp_path, server, monkeypatch, number):
    expected = prepare(tmp_path / "clean", server)
    honest, written = Path.write_bytes, []

    def fail(path, data):
        written.append(path)
        if len(written) > 60:
            raise OSError(number, "as the system says it")
        return honest(path, data)

    with monkeypatch.context() as patch, pytest.raises(ColorlibError, match="What was finished is intact"):
        patch.setattr(Path, "write_bytes", fail)
        prepare(tmp_path / "full", server)
    finished = {p: p.stat().st_mtime_ns for p in (tmp_path / "full").rglob("*.jpg")}
    assert len(finished) >= 30
    assert not (tmp_path / "full" / "places365" / "split.json").exists()
    split = prepare(tmp_path / "full", server)
    assert split.checksum == expected.checksum
    kept = sum(path.stat().st_mtime_ns == before for path, before in finished.items())
    assert kept >= len(finished) / 2  # the stretches that were in the works come once more
    assert_whole(split)


def test_a_disk_that_is_really_full_leaves_whole_photos_and_the_rest_comes_when_there_is_room(
    small_disk, tmp_path, server
):
    with pytest.raises(ColorlibError, match=r"No space left on device. What was finished is intact"):
        prepare(small_disk, server)
    written = list((small_disk / "places365" / "photos").rglob("*.jpg"))
    assert len(written) > 20
    for path in written:
        assert path.read_bytes() == ORIGINALS[TRAIN][path.relative_to(small_disk / "places365/photos").as_posix()]
    shutil.copytree(small_disk, tmp_path / "larger")
    asked = server.asked
    assert_whole(split := prepare(tmp_path / "larger", server))
    again = server.asked - asked
    assert split.checksum == prepare(tmp_path / "clean", server).checksum
    assert again < server.asked - asked - again  # what was finished did not come again


def test_a_file_in_the_way_of_a_folder(tmp_path, server):
    (tmp_path / "data").write_text("no folder")
    with pytest.raises(ColorlibError, match="File exists"):
        prepare(tmp_path / "data", server)


# Bad photos and hostile tar.


def test_bad_photos_are_replaced_and_named(tmp_path, monkeypatch):
    files, recipes = made_up.published_sets(bad=range(3, 460, 25))
    monkeypatch.setattr(published, "DATA_SETS", recipes)
    with Server(files) as server:
        split = prepare(tmp_path, server)
    assert [len(split.photos(part)) for part in PARTS] == [92, 12, 30]
    assert split.skipped
    assert all(reason.startswith("not an image") for _, reason in split.skipped)
    assert Split.load(split.home / "split.json") == split


def test_too_many_bad_photos_are_an_error(tmp_path, monkeypatch):
    files, recipes = made_up.published_sets(bad=range(0, 460, 3))
    monkeypatch.setattr(published, "DATA_SETS", recipes)
    with Server(files) as server, pytest.raises(ColorlibError, match=r"more than a tenth.*not an image"):
        prepare(tmp_path, server)
    assert not (tmp_path / "places365" / "split.json").exists()


HOSTILE = {
    "up": "val_256/../../../Places365_val_00000001.jpg",
    "absolute": "/Places365_val_00000001.jpg",
}


@pytest.mark.parametrize("case", HOSTILE)
def test_nothing_of_a_hostile_archive_is_written_outside(tmp_path, monkeypatch, case):
    data = made_up.tar({HOSTILE[case]: made_up.jpeg(1)})
    archive = dataclasses.replace(published.VAL_256, bytes=len(data), photos=1, sha256=made_up.sha256(data))
    monkeypatch.setattr(published, "DATA_SETS", {"places365-val": ((archive, {"train": 1}),)})
    with Server(FILES | {VAL: data}) as server, pytest.raises(tar.ArchiveError, match=r"00000001\.jpg.*refused"):
        prepare(tmp_path / "data", server, data="places365-val", fraction=1.0)
    assert not list(tmp_path.rglob("*.jpg"))
    assert not Path(HOSTILE["absolute"]).exists()


def test_odd_photos_are_rewritten_in_flight(tmp_path, monkeypatch):
    from PIL import Image

    file = io.BytesIO()
    Image.new("CMYK", (16, 16), (10, 200, 30, 40)).save(file, "JPEG")
    data = made_up.tar({f"val_256/Places365_val_{i + 1:08}.jpg": file.getvalue() for i in range(20)})
    archive = dataclasses.replace(published.VAL_256, bytes=len(data), photos=20, sha256=made_up.sha256(data))
    recipe = ((archive, {"train": 0.5, "validation": 0.2, "test": 0.3}),)
    monkeypatch.setattr(published, "DATA_SETS", {"places365-val": recipe})
    with Server(FILES | {VAL: data}) as server:
        split = prepare(tmp_path / "a", server, data="places365-val", fraction=1.0)
        assert {Image.open(path).mode for path in split.paths("train")} == {"RGB"}
        (tmp_path / "b" / "places365-val").mkdir(parents=True)
        shutil.copy(split.home / "split.json", tmp_path / "b" / "places365-val")
        shared = prepare(tmp_path / "b", server, data="places365-val", fraction=1.0)
        prepare(tmp_path / "b", server, data="places365-val", fraction=1.0, keep_folder=tmp_path / "drive")
        asked = len(server.log)
        unpacked = prepare(tmp_path / "c", server, data="places365-val", fraction=1.0, keep_folder=tmp_path / "drive")
        assert len(server.log) == asked  # the rewritten photos are packed, too
    assert {Image.open(path).mode for path in shared.paths("test") + unpacked.paths("test")} == {"RGB"}
    assert splits.Split.load(shared.home / "split.json").checksum == split.checksum
