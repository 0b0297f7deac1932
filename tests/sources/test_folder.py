"""The one door to the photos: the sample, a folder of one's own with all that such folders hold, ImageNet."""

import errno
import io
import os
import shutil
from pathlib import Path

import made_up
import numpy as np
import pytest
from PIL import Image

from colorlib import ColorlibError, settings
from colorlib.course import colab
from colorlib.sources import files, folder, sample
from colorlib.sources.splits import PARTS


def prepare(tmp_path, data, **changes):
    fields = {"data": str(data), "data_folder": tmp_path / "data"} | changes
    return folder.prepare(settings.load("sample", **fields), progress=False)


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


@pytest.fixture(scope="module")
def made_sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sample")
    return folder, prepare(folder, "sample")


def test_the_sample_is_of_real_photographs_that_no_part_shares(made_sample):
    _, split = made_sample
    assert [len(split.photos(part)) for part in PARTS] == [240, 40, 40]
    photographs = [{photo.label for photo in split.photos(part)} for part in PARTS]
    assert len(set.union(*photographs)) == sum(map(len, photographs)) == 8
    sizes = {Image.open(path).size for part in PARTS for path in split.paths(part)}
    assert sizes == {(sample.SIZE, sample.SIZE)}
    assert len({photo.sha256 for part in PARTS for photo in split.photos(part)}) == 320


def test_the_sample_is_colorful_and_varied(made_sample):
    _, split = made_sample
    pixels = np.stack([np.asarray(Image.open(path)) for path in split.paths("train")]).astype(float)
    spread = pixels.max(-1) - pixels.min(-1)
    assert spread.mean() > 30
    assert pixels.mean((1, 2)).std(0).min() > 20  # no two alike


def test_crops_are_windows_of_the_photograph_as_pillow_reads_it(made_sample):
    import skimage

    _, split = made_sample
    coffee = np.asarray(Image.open(Path(skimage.__file__).parent / "data/coffee.png").convert("RGB"))
    first, *_ = [path for path in split.paths("test") if "coffee" in path]
    np.testing.assert_array_equal(np.asarray(Image.open(first)), coffee[:128, :128])
    assert Path(first).read_bytes() == sample.png(Image.fromarray(coffee[:128, :128]))


def test_the_sample_is_the_same_anywhere_and_reused(made_sample, tmp_path, capsys):
    folder, split = made_sample
    times = {path: path.stat().st_mtime_ns for path in split.folder.rglob("*.png")}
    assert prepare(folder, "sample") == split
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert prepare(tmp_path, "sample").checksum == split.checksum
    out = capsys.readouterr().out
    assert "240 train, 40 validation and 40 test photos" in out
    assert str(folder) not in out


def test_a_sample_that_lost_a_photo_or_was_never_finished_is_made_again(made_sample, tmp_path):
    _, split = made_sample
    mine = prepare(tmp_path, "sample")
    Path(mine.paths("train")[7]).unlink()
    assert prepare(tmp_path, "sample").checksum == split.checksum
    assert Path(mine.paths("train")[7]).exists()
    (mine.home / "split.json").unlink()
    Path(mine.paths("test")[3]).write_bytes(b"half")
    assert prepare(tmp_path, "sample").checksum == split.checksum


# A folder of one's own.


def test_a_folder_is_used_whole_90_5_5(tmp_path, capsys):
    folder = put(tmp_path / "mine", [f"{label}/{i}.jpg" for label in ("cats", "dogs/big") for i in range(50)])
    split = prepare(tmp_path, folder, fraction=0.01)  # a share is for the published sets
    assert [len(split.photos(part)) for part in PARTS] == [90, 5, 5]
    assert {photo.label for photo in split.train} == {"cats", "dogs/big"}
    assert split.home == tmp_path / "data" / "mine"
    assert split.paths("train")[0] == str(folder / split.train[0].path)  # read where they are, never copied
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


def test_a_folder_s_split_is_reused_until_a_photo_comes_or_goes_or_the_seed_changes(tmp_path):
    folder = put(tmp_path / "mine", [f"{i}.jpg" for i in range(40)])
    first = prepare(tmp_path, folder)
    written = (first.home / "split.json").stat().st_mtime_ns
    assert prepare(tmp_path, folder) == first
    assert (first.home / "split.json").stat().st_mtime_ns == written
    put(folder, ["new.jpg"], made_up.jpeg(99))
    second = prepare(tmp_path, folder)
    assert sum(len(second.photos(part)) for part in PARTS) == 41
    assert prepare(tmp_path, folder, seed=2).checksum != second.checksum


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
    assert "4 skipped; " in out
    assert "skipped cut.jpg: cut short" in out


def test_more_than_a_tenth_unreadable_is_an_error_that_names_them(tmp_path):
    folder = put(tmp_path / "mine", [f"{i:02}.jpg" for i in range(30)])
    put(folder, [f"bad{i}.jpg" for i in range(4)], b"no photo")
    with pytest.raises(ColorlibError, match=r"4 of the 34 photos.*more than a tenth.*bad\d\.jpg: not an image"):
        prepare(tmp_path, folder)
    assert not (tmp_path / "data" / "mine" / "split.json").exists()
    put(folder, [f"more{i}.jpg" for i in range(10)])
    assert len(prepare(tmp_path, folder).skipped) == 4


def test_folders_that_cannot_serve_are_refused_with_advice(tmp_path):
    with pytest.raises(ColorlibError, match=r"does not exist.*Drive mounted"):
        prepare(tmp_path, tmp_path / "absent")
    with pytest.raises(ColorlibError, match="holds no photo"):
        prepare(tmp_path, put(tmp_path / "texts", ["a.txt"], b"x"))
    with pytest.raises(ColorlibError, match=r"is a file.*unpack an archive"):
        prepare(tmp_path, put(tmp_path, ["photos.zip"], b"PK") / "photos.zip")
    with pytest.raises(ColorlibError, match="too few"):
        prepare(tmp_path, put(tmp_path / "two", ["a.jpg", "b.jpg"]))
    with pytest.raises(ColorlibError, match=r"Unknown data set 'places'.*places365.*or the path of a folder"):
        prepare(tmp_path, "places")


def test_a_folder_named_like_a_data_set_does_not_take_its_place(tmp_path):
    split = prepare(tmp_path, put(tmp_path / "sample", [f"{i}.jpg" for i in range(20)]))
    assert split.dataset == "folder-sample"
    assert split.home == tmp_path / "data" / "folder-sample"


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "disk is full"), (errno.EROFS, "read-only")])
def test_a_disk_that_fails_leaves_no_split(tmp_path, monkeypatch, number, words):
    folder = put(tmp_path / "mine", [f"{i}.jpg" for i in range(20)])

    def fail(self, data):
        raise OSError(number, "as the system says it")

    monkeypatch.setattr(Path, "write_bytes", fail)
    for data in (folder, "sample"):
        with pytest.raises(ColorlibError, match=words):
            prepare(tmp_path, data)
    monkeypatch.undo()
    assert not list((tmp_path / "data").rglob("split.json*"))
    assert len(prepare(tmp_path, folder).train) == 18


# A folder on Drive.


@pytest.fixture
def drive(tmp_path, monkeypatch):
    """A Drive with 40 photos, two of them odd, one unreadable; and the folder that outlasts the session."""
    monkeypatch.setattr(colab, "DRIVE", tmp_path / "drive")
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
    return folder.prepare(settings.load("sample", **fields | changes), progress=False)


def contents(split):
    return {part: [Path(path).read_bytes() for path in split.paths(part)] for part in PARTS}


def test_photos_on_drive_are_copied_once_and_packed_and_a_new_machine_unpacks_them(tmp_path, drive, monkeypatch):
    first = on_machine(tmp_path, "first", drive)
    assert sum(len(first.photos(part)) for part in PARTS) == 39
    assert [path for path, _ in first.skipped] == ["b/broken.jpg"]
    assert first.checksum == on_machine(tmp_path, "local", shutil.copytree(drive, tmp_path / "mine")).checksum
    everything = [Path(path) for part in PARTS for path in first.paths(part)]
    assert all(path.is_relative_to(tmp_path / "first") for path in everything)
    kept = [path.name for path in (tmp_path / "drive/MyDrive/colorlib").iterdir()]
    assert kept == ["mine-1-seed1.tar"]  # one file, never one by one
    seen = opened(monkeypatch)
    again, second = on_machine(tmp_path, "first", drive), on_machine(tmp_path, "second", drive)
    assert not [path for path in seen if path.is_relative_to(drive)]
    assert first == again and first.checksum == second.checksum
    assert contents(first) == contents(second)
    assert second.folder == tmp_path / "second" / "mine" / "photos"


def test_an_interrupted_copy_from_drive_goes_on(tmp_path, drive, monkeypatch):
    honest, written = files.put, []

    def fail(path, data):
        written.append(path)
        if len(written) > 15:
            raise KeyboardInterrupt
        honest(path, data)

    with monkeypatch.context() as patch:
        patch.setattr(files, "put", fail)
        with pytest.raises(KeyboardInterrupt):
            on_machine(tmp_path, "first", drive)
    seen = opened(monkeypatch)
    split = on_machine(tmp_path, "first", drive)
    assert 20 <= len([path for path in seen if path.is_relative_to(drive)]) <= 27
    assert contents(split) == contents(on_machine(tmp_path, "second", drive))


def test_photos_that_change_on_drive_are_read_and_packed_again(tmp_path, drive):
    first = on_machine(tmp_path, "first", drive)
    name = first.train[0].path
    data = bytearray((drive / name).read_bytes())
    data[-3] ^= 1  # as many bytes as before
    (drive / name).write_bytes(data)
    put(drive, ["a/new.jpg"])
    later = 10 + max(path.stat().st_mtime for path in drive.rglob("*.jpg"))
    os.utime(drive / name, (later, later))
    second, third = (on_machine(tmp_path, machine, drive) for machine in ("second", "third"))
    assert second.checksum == third.checksum != first.checksum
    assert sum(len(second.photos(part)) for part in PARTS) == 40
    assert (second.folder / name).read_bytes() == data


def test_a_drive_that_is_full_or_gone_is_told_of(tmp_path, drive, monkeypatch, capsys):
    def full(pack, *arguments):
        raise ColorlibError("the quota is used up")

    with monkeypatch.context() as patch:
        patch.setattr(folder.packs.files, "require_space", lambda place, *rest: place.name != "mine" and full(place))
        split = on_machine(tmp_path, "first", drive)
    assert len(split.train) > 30
    assert "mine-1-seed1.tar could not be kept, and another machine will have to get" in capsys.readouterr().out
    gone = OSError(errno.ENOTCONN, "Transport endpoint is not connected")

    def vanish(*arguments, **more):
        raise gone

    for place in ((Path, "read_bytes"), (os, "scandir"), (Path, "mkdir")):
        with monkeypatch.context() as patch, pytest.raises(ColorlibError, match="mount has vanished"):
            patch.setattr(*place, vanish)
            on_machine(tmp_path, "second", drive)
    assert on_machine(tmp_path, "second", drive).checksum == split.checksum


def test_the_data_folder_itself_is_never_on_drive(tmp_path, drive):
    with pytest.raises(ColorlibError, match=r"lies on Google Drive.*data_folder"):
        on_machine(tmp_path, "drive/MyDrive/data", drive)


# ImageNet.


@pytest.mark.parametrize("below", ["", "ILSVRC/Data/CLS-LOC"])
def test_imagenet_comes_from_its_usual_layout_and_a_share_of_each_part(tmp_path, capsys, below):
    names = [f"train/n0{i % 4}/n0{i % 4}_{i}.JPEG" for i in range(400)]
    put(tmp_path / "given" / below, names + [f"val/ILSVRC2012_val_{i:08}.JPEG" for i in range(70)])
    split = prepare(tmp_path, "imagenet", mirror=str(tmp_path / "given"), fraction=0.25)
    assert [len(split.photos(part)) for part in PARTS] == [
        95,
        18,
        5,
    ]  # 100 and round(17.5); 5 % of train are for testing
    assert {photo.label for photo in split.train} == {f"n0{i}" for i in range(4)}
    assert "400 of the 1,281,167 published train photos are there" in capsys.readouterr().out


def test_imagenet_is_never_downloaded(tmp_path):
    with pytest.raises(ColorlibError, match=r"behind a registration.*mirror"):
        prepare(tmp_path, "imagenet")
