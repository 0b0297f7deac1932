"""The one door to the photos: the sample, a folder of one's own with all that such folders hold, ImageNet."""

import errno
import io
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from time import sleep

import made_up
import numpy as np
import pytest
from PIL import Image

from colorlib import ColorlibError, settings, sources
from colorlib.sources import files, photos, sample
from colorlib.sources.splits import PARTS, Split


def chosen(tmp_path, data, **changes):
    return settings.load("sample", **{"data": str(data), "data_folder": tmp_path / "data"} | changes)


def prepare(tmp_path, data, **changes):
    return sources.prepare(chosen(tmp_path, data, **changes), progress=False)


def files_in(folder: Path) -> dict[Path, tuple[int, int]]:
    return {path: (path.stat().st_size, path.stat().st_mtime_ns) for path in folder.rglob("*")}


def put(folder: Path, names, data=None):
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(made_up.jpeg(number, pixels=8) if data is None else data)
    return folder


def encoded(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


# The sample.


@pytest.fixture
def own_sample(tmp_path, monkeypatch):
    """A small folder in the place of data/sample, with a credits.csv that has the columns which splitting needs."""
    home = put(tmp_path / "project" / "data" / "sample", [f"photos/{i}.jpg" for i in range(20)])
    lines = ["file,part,class,sha256"]
    for i in range(20):
        part = "train" if i < 14 else "validation" if i < 17 else "test"
        sha256 = made_up.sha256((home / f"photos/{i}.jpg").read_bytes())
        lines.append(f"photos/{i}.jpg,{part},{'sky' if i % 2 else 'animal'},{sha256}")
    (home / "credits.csv").write_text("\n".join(lines))
    monkeypatch.setattr(sample, "FOLDER", home)
    return home


def test_the_sample_is_read_where_it_lies_and_never_written_to(own_sample, tmp_path, capsys):
    before = files_in(own_sample)
    split = prepare(tmp_path, "sample", data_folder=own_sample.parent)
    assert [len(split.photos(part)) for part in PARTS] == [14, 3, 3]
    assert {photo.label for photo in split.test} == {"animal", "sky"}
    assert split.path_of(split.train[0]) == own_sample / "photos" / "0.jpg"
    assert split.home == own_sample.parent / "sample-made"
    assert prepare(tmp_path, "sample").home == tmp_path / "data" / "sample"
    assert files_in(own_sample) == before
    assert "Sample: 14 train, 3 validation and 3 test photos" in capsys.readouterr().out


def test_the_sample_that_comes_with_the_project_is_the_one_that_is_prepared(tmp_path):
    split = prepare(tmp_path, "sample")
    assert [len(split.photos(part)) for part in PARTS] == [105, 15, 20]
    assert len({photo.sha256 for photo in split.photos(*PARTS)}) == 140
    assert all(split.is_there(photo) for photo in split.photos(*PARTS))


def test_a_sample_that_is_not_whole_says_which_file_and_how_to_get_it_back(own_sample, tmp_path):
    (own_sample / "photos/3.jpg").unlink()
    with pytest.raises(ColorlibError, match=r"photos/3\.jpg is missing.*git checkout data/sample"):
        prepare(tmp_path, "sample")


# A folder of one's own.


def test_a_folder_is_used_whole_90_5_5(tmp_path, capsys):
    folder = put(tmp_path / "mine", [f"{label}/{i}.jpg" for label in ("cats", "dogs/big") for i in range(50)])
    before = files_in(folder)
    split = prepare(tmp_path, folder, fraction=0.01)  # a share is for the published sets
    assert [len(split.photos(part)) for part in PARTS] == [90, 5, 5]
    assert {photo.label for photo in split.train} == {"cats", "dogs/big"}
    assert split.home == tmp_path / "data" / chosen(tmp_path, folder).data_name
    assert split.paths("train")[0] == str(folder / split.train[0].path)  # read where they are, never copied
    assert files_in(folder) == before
    assert [path.name for path in split.home.iterdir()] == ["split.json"]
    assert "Folder mine: 90 train, 5 validation and 5 test photos." in capsys.readouterr().out


def test_part_folders_are_taken_as_they_are(tmp_path):
    names = [f"{part}/{label}/{i}.JPG" for part, n in (("train", 20), ("val", 3)) for label in "ab" for i in range(n)]
    split = prepare(tmp_path, put(tmp_path / "mine", names))
    assert [len(split.photos(part)) for part in PARTS] == [38, 6, 2]


def test_the_same_photos_in_another_place_give_the_same_split(tmp_path):
    folder = put(tmp_path / "mine", [f"a/{i}.jpg" for i in range(40)])
    shutil.copytree(folder, tmp_path / "elsewhere" / "mine")
    here, there = prepare(tmp_path / "x", folder), prepare(tmp_path / "y", tmp_path / "elsewhere" / "mine")
    assert here.checksum == there.checksum


def test_a_folder_s_split_is_reused_until_a_photo_comes_or_goes_or_the_seed_changes(tmp_path, capsys):
    folder = put(tmp_path / "mine", [f"{i}.jpg" for i in range(40)])
    first = prepare(tmp_path, folder)
    written = files_in(first.home)
    assert prepare(tmp_path, folder) == first
    assert files_in(first.home) == written
    assert "anew" not in capsys.readouterr().out
    put(folder, ["new.jpg"], made_up.jpeg(99))
    second = prepare(tmp_path, folder)
    assert sum(len(second.photos(part)) for part in PARTS) == 41
    assert "made anew: photos came, went or changed" in capsys.readouterr().out
    third = prepare(tmp_path, folder, seed=2)
    assert third.checksum != second.checksum and third.made_with["seed"] == 2
    assert "or it was for another seed, fraction or folder" in capsys.readouterr().out


TURNED = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
ODD = {
    "cmyk.jpg": encoded(Image.new("CMYK", (9, 6), (10, 200, 30, 40)), "JPEG"),
    "turned.jpg": encoded(Image.new("RGB", (9, 6), "teal"), "JPEG", exif=TURNED),
    "deep.png": encoded(Image.fromarray(np.full((6, 9), 40_000, np.uint16)), "PNG"),
    "clear.png": encoded(Image.new("RGBA", (9, 6), (200, 10, 10, 128)), "PNG"),
    "palette.gif": encoded(Image.new("P", (9, 6), 3), "GIF"),
    "photo.webp": encoded(Image.new("RGB", (9, 6), "olive"), "WEBP"),
    "scan.tiff": encoded(Image.new("RGB", (9, 6), "navy"), "TIFF"),
}  # fmt: skip


def test_odd_photos_are_rewritten_once_and_everything_after_decodes_plain_ones(tmp_path):
    folder = put(tmp_path / "mine", [f"{i:02}.jpg" for i in range(20)])
    for name, data in ODD.items():
        (folder / name).write_bytes(data)
    split = prepare(tmp_path, folder)
    every = {photo.path: photo for part in PARTS for photo in split.photos(part)}
    assert {name for name, photo in every.items() if photo.copy} == set(ODD)
    for name in ODD:
        with Image.open(split.path_of(every[name])) as image:
            assert (image.format, image.mode) == ("PNG", "RGB")
            assert image.size == ((6, 9) if name == "turned.jpg" else (9, 6))
        assert (folder / name).read_bytes() == ODD[name]  # the original stays as it is
    Path(split.path_of(every["cmyk.jpg"])).unlink()
    assert Path(prepare(tmp_path, folder).path_of(every["cmyk.jpg"])).exists()


def test_unreadable_photos_are_named_with_their_reasons_and_left_out(tmp_path, capsys):
    folder = put(tmp_path / "mine", [f"{i:02}.jpg" for i in range(60)])
    put(folder, ["holiday.mov"], b"film")
    put(folder, ["empty.jpg"], b"")
    put(folder, ["text.png"], b"no image, just words")
    put(folder, ["cut.jpg"], made_up.jpeg(5, pixels=64)[:700])
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    put(folder, [".hidden.jpg", "__MACOSX/x.jpg", ".cache/y.jpg"])
    put(folder, ["notes.txt", "Thumbs.db"], b"x")
    split = prepare(tmp_path, folder)
    skipped = dict(split.skipped)
    assert set(skipped) == {"empty.jpg", "text.png", "cut.jpg", "gone.jpg"}
    assert skipped["empty.jpg"].startswith("empty")
    assert skipped["text.png"].startswith("not an image")
    assert skipped["cut.jpg"].startswith("cut short")
    assert sum(len(split.photos(part)) for part in PARTS) == 60
    out = capsys.readouterr().out
    assert "skipped cut.jpg: cut short" in out
    assert "left out, videos: 1 (holiday.mov)" in out


def test_more_than_a_tenth_unreadable_is_an_error_that_names_them(tmp_path):
    folder = put(tmp_path / "mine", [f"{i:02}.jpg" for i in range(30)])
    put(folder, [f"bad{i}.jpg" for i in range(4)], b"no photo")
    with pytest.raises(ColorlibError, match=r"4 of the 34 photos.*more than a tenth.*bad\d\.jpg: not an image"):
        prepare(tmp_path, folder)
    assert not list((tmp_path / "data").rglob("split.json"))
    put(folder, [f"more{i}.jpg" for i in range(10)])
    assert len(prepare(tmp_path, folder).skipped) == 4


def test_folders_that_cannot_serve_are_refused_with_advice(tmp_path):
    zipped = put(tmp_path, ["photos.zip"], b"PK") / "photos.zip"
    for data in (tmp_path / "absent", zipped, "places"):
        with pytest.raises(ColorlibError, match=r"no data set \(sample, places365.*unpack an archive.*Drive mounted"):
            prepare(tmp_path, data)
    assert not (tmp_path / "data").exists()
    with pytest.raises(ColorlibError, match=r"holds no photos, too few.*20 are the least"):
        prepare(tmp_path, put(tmp_path / "texts", ["a.txt"], b"x"))
    with pytest.raises(ColorlibError, match="too few"):
        prepare(tmp_path, put(tmp_path / "few", [f"{i}.jpg" for i in range(19)]))


def test_folders_of_one_name_share_nothing_with_each_other_or_with_a_data_set(tmp_path):
    one = prepare(tmp_path, put(tmp_path / "a" / "photos", [f"{i}.jpg" for i in range(20)]))
    two = prepare(tmp_path, put(tmp_path / "b" / "photos", [f"{i}.jpg" for i in range(21)]))
    assert one.home != two.home
    assert Split.load(one.home / "split.json") == one
    assert Split.load(two.home / "split.json") == two
    named = prepare(tmp_path, put(tmp_path / "sample", [f"{i}.jpg" for i in range(20)]))
    assert named.home != tmp_path / "data" / "sample"


# Nothing is written where photos are read from.


@pytest.mark.parametrize("where", ["mine", "imagenet", "imagenet/ILSVRC/Data/CLS-LOC"])
def test_photos_that_lie_in_the_data_folder_are_read_once_and_stay_alone(tmp_path, monkeypatch, where):
    mine = tmp_path / "data" / where
    names = [f"{part}/n0{i % 2}/{i}.jpg" for part, count in (("train", 30), ("val", 6)) for i in range(count)]
    put(mine, names)
    put(mine, [f"train/turned{i}.jpg" for i in range(10)], ODD["turned.jpg"])
    before = files_in(mine)
    data = mine if where == "mine" else "imagenet"
    first = prepare(tmp_path, data, fraction=1.0)
    assert sum(len(first.photos(part)) for part in PARTS) == 46
    assert files_in(mine) == before
    made = files_in(first.home)
    seen = opened(monkeypatch)
    assert prepare(tmp_path, data, fraction=1.0) == first
    assert files_in(mine) == before and files_in(first.home) == made
    assert not [path for path in seen if path.suffix != ".json"]
    for part in PARTS:
        assert all(split_path.exists() for split_path in map(Path, first.paths(part)))


@pytest.mark.parametrize("setting", ["data_folder", "results_folder", "keep_folder"])
@pytest.mark.parametrize("below", ["", "project/out"])
def test_a_folder_of_photos_that_holds_what_is_written_is_refused(tmp_path, setting, below):
    mine = put(tmp_path / "mine", [f"{i}.jpg" for i in range(20)])
    before = files_in(mine)
    with pytest.raises(ColorlibError, match=r"where this project writes.*data_folder"):
        prepare(tmp_path, mine, **{setting: mine / below})
    assert {path: state for path, state in files_in(mine).items() if path.is_file() and path.name[0] != "."} == before


def test_two_kernels_prepare_one_folder_and_the_second_waits_for_the_first(tmp_path, monkeypatch, capsys):
    mine, read = put(tmp_path / "mine", [f"{i}.jpg" for i in range(40)]), []
    monkeypatch.setattr(photos, "is_plain", lambda data: read.append(data) or sleep(0.02) or True)
    with ThreadPoolExecutor(2) as kernels:  # each with a lock of its own on one file, as two processes have
        splits = list(kernels.map(lambda _: prepare(tmp_path, mine), range(2)))
    assert splits[0] == splits[1]
    assert len(read) == 40  # by one of them alone
    assert "is being prepared by another program; waiting until it is done" in capsys.readouterr().out


# What is read is a color photo, or named.


def test_a_subfolder_called_train_is_a_class_unless_val_or_test_is_there(tmp_path, capsys):
    names = [f"{place}/{i}.jpg" for place, n in (("Train", 60), ("Rome", 120), ("Beach", 120)) for i in range(n)]
    holiday = put(tmp_path / "holiday", names)
    split = prepare(tmp_path, holiday)
    assert [len(split.photos(part)) for part in PARTS] == [270, 15, 15]
    assert {photo.label for photo in split.train} == {"Train", "Rome", "Beach"}
    put(holiday, ["Test/a.jpg"])
    split = prepare(tmp_path, holiday)
    assert [len(split.photos(part)) for part in PARTS] == [57, 3, 1]
    assert "its folders test, train are its parts; 240 photos elsewhere are left out" in capsys.readouterr().out


def test_names_that_are_no_utf_8_are_split_saved_and_shown(tmp_path, capsys):
    mine = put(tmp_path / "mine", [f"{i}.jpg" for i in range(30)])
    named = {b"caf\xe9.jpg": made_up.jpeg(50), b"caf\xe8/turned.jpg": ODD["turned.jpg"], b"broken\xff.jpg": b"no photo"}
    for name, data in named.items():
        path = mine / os.fsdecode(name)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    split = prepare(tmp_path, mine)
    assert Split.load(split.home / "split.json") == split
    paths = {os.fsencode(photo.path) for part in PARTS for photo in split.photos(part)}
    assert {b"caf\xe9.jpg", b"caf\xe8/turned.jpg"} < paths
    for path in (path for part in PARTS for path in split.paths(part)):
        path.encode()  # TensorFlow opens no others
        assert Path(path).exists()
    assert all(photo.label.encode() is not None for part in PARTS for photo in split.photos(part))
    (photo,) = [photo for part in PARTS for photo in split.photos(part) if photo.path == os.fsdecode(b"caf\xe9.jpg")]
    copy, original = (np.asarray(Image.open(path)) for path in (split.path_of(photo), mine / photo.path))
    np.testing.assert_array_equal(copy, original)
    capsys.readouterr().out.encode()  # can be printed anywhere
    assert prepare(tmp_path, mine) == split


def test_a_folder_whose_own_name_is_no_utf_8_can_be_learned_from(tmp_path, capsys):
    """TensorFlow opens no such path; the encoding of the home's name had failed in the middle of training."""
    mine = put(tmp_path / os.fsdecode(b"caf\xe9"), [f"{i}.jpg" for i in range(30)])
    put(mine, [os.fsdecode(b"\xff%d.jpg" % i) for i in range(2)], b"no photo")
    split = prepare(tmp_path, mine)
    for path in (path for part in PARTS for path in split.paths(part)):
        path.encode()
        assert Path(path).exists()
    capsys.readouterr().out.encode()
    assert prepare(tmp_path, mine) == split
    put(mine, [os.fsdecode(b"\xfe%d.jpg" % i) for i in range(4)], b"no photo")
    with pytest.raises(ColorlibError, match="more than a tenth") as caught:
        prepare(tmp_path, mine)
    str(caught.value).encode()


def test_long_names_get_plain_copies_too(tmp_path):
    mine = put(tmp_path / "mine", [f"{i}.jpg" for i in range(30)])
    long = "ä" * 120 + ".jpg"
    (mine / long).write_bytes(ODD["turned.jpg"])
    split = prepare(tmp_path, mine)
    (photo,) = [photo for part in PARTS for photo in split.photos(part) if photo.path == long]
    assert split.path_of(photo).exists() and not split.skipped


def gray(number: int, kind: str = "JPEG", mode: str = "RGB") -> bytes:
    levels = np.random.default_rng(number).integers(0, 256, (8, 8), dtype=np.uint8)
    return encoded(Image.fromarray(levels).resize((64, 64)).convert(mode), kind)


def test_gray_photos_are_counted_and_a_folder_of_them_teaches_nothing(tmp_path, capsys):
    mine = put(tmp_path / "mine", [f"{i}.jpg" for i in range(7)])
    for i in range(54):
        put(mine, [f"gray{i}"], None)
        (mine / f"gray{i}").rename(mine / f"gray{i}.jpg")
        (mine / f"gray{i}.jpg").write_bytes(gray(i, mode="RGB" if i % 2 else "L"))
    prepare(tmp_path, mine)
    assert "54 of 61 photos have no color" in capsys.readouterr().out
    for i in range(20):
        (mine / f"more{i}.png").write_bytes(gray(100 + i, "PNG"))
    with pytest.raises(ColorlibError, match=r"74 of 81 photos of .*mine have no color to learn from"):
        prepare(tmp_path, mine)


def test_too_little_memory_is_no_damage(tmp_path, monkeypatch):
    mine = put(tmp_path / "mine", [f"{i}.jpg" for i in range(30)])
    honest = photos.is_plain

    def is_plain(data):
        if data == (mine / "7.jpg").read_bytes():
            raise MemoryError
        return honest(data)

    monkeypatch.setattr(photos, "is_plain", is_plain)
    with pytest.raises(ColorlibError, match=r"7\.jpg: not enough memory.*smaller"):
        prepare(tmp_path, mine)
    assert not list((tmp_path / "data").rglob("split.json"))


def test_a_part_whose_only_photo_cannot_be_read_is_told_at_once(tmp_path):
    mine = put(tmp_path / "mine", [f"{i}.jpg" for i in range(20)])
    only = prepare(tmp_path, mine).validation[0].path
    (mine / only).write_bytes(b"no photo")
    with pytest.raises(ColorlibError, match="too few"):
        prepare(tmp_path, mine)


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "No space left"), (errno.EROFS, "Read-only")])
def test_a_disk_that_fails_leaves_no_split(tmp_path, monkeypatch, number, words):
    folder = put(tmp_path / "mine", [f"{i}.jpg" for i in range(20)])

    def fail(self, data):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(ColorlibError, match=words):
        prepare(tmp_path, folder)
    monkeypatch.undo()
    assert not list((tmp_path / "data").rglob("split.json*"))
    assert len(prepare(tmp_path, folder).train) == 18


# A folder on Drive.


@pytest.fixture
def drive(tmp_path, monkeypatch):
    """A Drive with 40 photos, two of them odd, one unreadable; and the folder that outlasts the session."""
    monkeypatch.setattr(files, "DRIVE", tmp_path / "drive")
    mine = put(tmp_path / "drive" / "MyDrive" / "mine", [f"{label}/{i:02}.jpg" for label in "ab" for i in range(18)])
    put(mine, ["a/größe: 1.jpg", "b/broken.jpg"], made_up.jpeg(77))
    (mine / "a/cmyk.jpg").write_bytes(ODD["cmyk.jpg"])
    (mine / "b/clear.png").write_bytes(ODD["clear.png"])
    (mine / "b/broken.jpg").write_bytes(made_up.jpeg(5, pixels=64)[:700])
    return mine


def opened(monkeypatch) -> list[Path]:
    """The files whose bytes are read from now on."""
    seen, honest = [], Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda path: seen.append(path) or honest(path))
    return seen


def on_machine(tmp_path, name, drive, **changes):
    fields = {"data": str(drive), "data_folder": tmp_path / name, "keep_folder": tmp_path / "drive/MyDrive/colorlib"}
    return sources.prepare(settings.load("sample", **fields | changes), progress=False)


def test_photos_on_drive_are_read_there_with_advice_and_nothing_is_written_beside_them(tmp_path, drive, capsys):
    names = sorted(drive.rglob("*"))
    split = on_machine(tmp_path, "first", drive)
    assert "slow to read: a copy of the folder on this machine's own disk" in capsys.readouterr().out
    assert sum(len(split.photos(part)) for part in PARTS) == 39 and split.folder == drive
    assert [path for path, _ in split.skipped] == ["b/broken.jpg"]
    assert split.checksum == on_machine(tmp_path, "local", shutil.copytree(drive, tmp_path / "mine")).checksum
    assert split == on_machine(tmp_path, "first", drive) and sorted(drive.rglob("*")) == names
    assert not (tmp_path / "drive/MyDrive/colorlib").exists()


def test_a_drive_that_is_gone_is_told_of(tmp_path, drive, monkeypatch):
    split = on_machine(tmp_path, "first", drive)
    gone = OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    def vanish(*arguments, **more):
        raise gone

    for place in ((Path, "read_bytes"), (os, "scandir"), (Path, "mkdir")):
        with monkeypatch.context() as patch, pytest.raises(ColorlibError, match="Transport endpoint is not connected"):
            patch.setattr(*place, vanish)
            on_machine(tmp_path, "second", drive)
    assert on_machine(tmp_path, "second", drive).checksum == split.checksum


# ImageNet.


@pytest.mark.parametrize("below", ["", "ILSVRC/Data/CLS-LOC"])
def test_imagenet_comes_from_its_usual_layout_and_a_share_of_each_part(tmp_path, below):
    names = [f"train/n0{i % 4}/n0{i % 4}_{i}.JPEG" for i in range(400)]
    put(tmp_path / "given" / below, names + [f"val/ILSVRC2012_val_{i:08}.JPEG" for i in range(70)])
    split = prepare(tmp_path, "imagenet", mirror=str(tmp_path / "given"), fraction=0.25)
    assert [len(split.photos(part)) for part in PARTS] == [
        95,
        18,
        5,
    ]  # 100 and round(17.5); 5 % of train are for testing
    assert {photo.label for photo in split.train} == {f"n0{i}" for i in range(4)}


def test_a_share_that_leaves_a_part_empty_is_told(tmp_path):
    put(tmp_path / "given", [f"{part}/n0/{i}.JPEG" for part in ("train", "val") for i in range(30)])
    for fraction in (0.001, 0.03):
        with pytest.raises(ColorlibError, match="given has too few photos: none that can be read is left for"):
            prepare(tmp_path, "imagenet", mirror=str(tmp_path / "given"), fraction=fraction)


def test_imagenet_is_never_downloaded(tmp_path):
    with pytest.raises(ColorlibError, match=r"behind a registration.*mirror"):
        prepare(tmp_path, "imagenet")
