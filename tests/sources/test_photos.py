"""Any photograph to upright sRGB, or a named reason. Ten thousand mutated files: see benchmarks/fuzz.py."""

import io
import itertools
import os
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from colorlib import ColorlibError
from colorlib.sources import photos

REASONS = (
    *("missing", "no permission", "a folder", "empty", "not an image"),
    *("cut short", "too many pixels", "no content", "damaged"),
)


def picture(size=(40, 30), seed=0):
    corners = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    return Image.fromarray(corners).resize(size, Image.Resampling.BICUBIC)


def encoded(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def apart(one, other):
    return np.abs(np.asarray(one, int) - np.asarray(other, int)).max()


def profile(red=(0.4361, 0.2225, 0.0139), green=(0.3851, 0.7169, 0.0971), blue=(0.1431, 0.0606, 0.7141), gamma=2.2):
    """A color profile by hand (ICC.1, version 2): primaries as XYZ under D50, and one exponent for all channels."""

    def fixed(*values):
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    xyz = {name: b"XYZ " + bytes(4) + fixed(*values) for name, values in (("r", red), ("g", green), ("b", blue))}
    tags = {b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1, 0.8249), b"desc": b"desc" + bytes(7) + b"\2x" + bytes(80)}
    tags |= {f"{name}XYZ".encode(): data for name, data in xyz.items()}
    tags |= {f"{name}TRC".encode(): curve for name in "rgb"}
    table, data, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content
    header = struct.pack(">I4sI", 128 + len(table + data), bytes(4), 0x02100000) + b"mntrRGB XYZ "
    header += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.8249)
    return header.ljust(128, b"\0") + table + data


# Which files of a folder are photographs.


@pytest.fixture
def without_heif(monkeypatch):
    monkeypatch.setattr(photos, "reads_heic", lambda: False)


def touched(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def told(found, folder):
    """(photos, left out) as relative names."""
    names = {kind: [path.relative_to(folder).as_posix() for path in paths] for kind, paths in found.left_out.items()}
    return [path.relative_to(folder).as_posix() for path in found.photos], names


def test_photos_are_told_by_their_endings_and_all_else_by_its_kind(tmp_path, without_heif):
    readable = [
        "a.jpg",
        "b.JPG",
        "c.jpeg",
        "d.tif",
        "e.PNG",
        "f.webp",
        "g.mpo",
        "h.jp2",
        "i.avif",
        "j.psd",
        "Rome/k.bmp",
    ]
    left_out = {
        photos.RAW: ["a.dng", "b.CR2", "c.nef", "d.ARW", "e.raf", "f.rw2", "g.orf", "h.cr3"],
        photos.HEIC: ["a.heic", "b.HEIF", "c.hif"],
        photos.VIDEOS: ["a.MOV", "b.mp4"],
        photos.SIDECARS: ["a.AAE", "a.thm", "a.xmp", "a.jpg.json"],
        photos.OTHER: ["letter.txt", "noending", "scan.pdf"],
    }
    found = photos.find(touched(tmp_path, *readable, *itertools.chain(*left_out.values())))
    assert told(found, tmp_path) == (sorted(readable), {kind: sorted(names) for kind, names in left_out.items()})
    printed = str(found)
    assert "raw files of a camera: 8 (a.dng, b.CR2, c.nef, …). Develop them first, as TIFF or JPEG.\n" in printed
    assert "HEIC photos: 3 (a.heic, b.HEIF, c.hif). Install the package pillow-heif" in printed
    assert str(photos.find(touched(tmp_path / "Rome"))) == ""


def test_previews_and_system_files_of_other_programs_are_left_out(tmp_path):
    theirs = ["@eaDir/a.jpg/SYNOPHOTO_THUMB_M.jpg", ".thumbnails/a.jpg", "x/__MACOSX/a.jpg", "$RECYCLE.BIN/a.jpg"]
    theirs += [".@__thumb/a.jpg", "Previews.lrdata/a.jpg", "Thumbs.db", "x/desktop.ini", "._a.jpg", ".DS_Store"]
    found = photos.find(touched(tmp_path, "a.jpg", "x/b.jpg", "derivatives/c.jpg", *theirs))
    read, left_out = told(found, tmp_path)
    assert read == ["a.jpg", "derivatives/c.jpg", "x/b.jpg"]
    assert (
        left_out
        == {
            photos.SYSTEM: sorted(  # a folder of them counts as one
                ["@eaDir", ".thumbnails", "x/__MACOSX", "$RECYCLE.BIN", ".@__thumb", "Previews.lrdata", *theirs[6:]]
            )
        }
    )
    assert len(photos.find(tmp_path / ".thumbnails").photos) == 1  # one that was asked for


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs named pipes")
def test_special_files_are_never_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")  # to open it would wait forever
    (tmp_path / "null.jpg").symlink_to(os.devnull)
    (tmp_path / "nowhere.jpg").symlink_to(tmp_path / "gone.jpg")
    (tmp_path / "again").symlink_to(tmp_path)
    found = told(photos.find(tmp_path), tmp_path)
    assert found == (["nowhere.jpg"], {photos.SPECIAL: ["null.jpg", "pipe.jpg"], photos.LINKS: ["again"]})


def test_folders_that_cannot_be_read(tmp_path, monkeypatch):
    for missing in (tmp_path / "nowhere", touched(tmp_path, "a.jpg") / "a.jpg"):
        with pytest.raises(OSError):
            photos.find(missing)
    real, error = os.scandir, PermissionError(13, "Permission denied")

    def scandir(path):
        if os.fspath(path).endswith("locked"):
            error.filename = path
            raise error
        return real(path)

    touched(tmp_path, "locked/b.jpg")
    monkeypatch.setattr(os, "scandir", scandir)
    assert told(photos.find(tmp_path), tmp_path) == (["a.jpg"], {photos.LOCKED: ["locked"]})
    with pytest.raises(PermissionError):
        photos.find(tmp_path / "locked")
    error = OSError(107, "Transport endpoint is not connected")  # a mount that vanished is no empty folder
    with pytest.raises(OSError, match="not connected"):
        photos.find(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="names are not bytes on Windows")
def test_names_that_are_no_utf8(tmp_path):
    latin = os.fsdecode(b"caf\xe9.jpg")
    try:
        touched(tmp_path, latin, "ça.jpg")
    except OSError:
        pytest.skip("this file system knows UTF-8 alone")
    names = [path.name for path in photos.find(tmp_path).photos]
    assert sorted(names) == sorted([latin, "ça.jpg"])
    assert sorted(map(photos.shown, names)) == ["caf\N{REPLACEMENT CHARACTER}.jpg", "ça.jpg"]


# Kinds of images.


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF", "GIF", "BMP", "PPM", "TGA", "JPEG2000"])
def test_every_kind_gives_rgb(kind, tmp_path):
    image = picture()
    data = encoded(image, kind, **({"lossless": True} if kind == "WEBP" else {}))
    (tmp_path / "photo.any").write_bytes(data)
    for source in (data, tmp_path / "photo.any", str(tmp_path / "photo.any")):
        found = photos.read(source)
        assert found.mode == "RGB" and found.size == image.size
        assert apart(found, Image.open(io.BytesIO(data)).convert("RGB")) == 0


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGB", "RGBA", "CMYK", "LAB", "I;16", "I", "F"])
def test_every_mode_gives_the_same_picture(mode):
    gray = picture().convert("L")
    if mode in ("I;16", "I"):
        image = Image.fromarray(np.asarray(gray).astype(np.uint16 if mode == "I;16" else np.int32) * 257)
    elif mode == "F":
        image = Image.fromarray(np.asarray(gray).astype(np.float32) / 255)
    elif mode == "LAB":
        image = ImageCms.profileToProfile(picture(), photos._SRGB, ImageCms.createProfile("LAB"), outputMode="LAB")
    else:
        image = picture().convert(mode)
    found = photos.read_whole(encoded(image, "TIFF"))
    assert found.image.mode == "RGB"
    if mode in ("I;16", "I", "F"):
        assert apart(found.image.convert("L"), gray) <= 0 and found.gray.dtype == np.uint16
        assert np.array_equal(found.gray, np.asarray(gray).astype(np.uint16) * 257)
    elif mode == "LAB":  # whole units of a and b are coarse in dark blue
        assert apart(found.image, picture()) <= 24 and np.abs(np.subtract(found.image, picture(), dtype=int)).mean() < 2
    else:
        assert found.gray is None
        assert apart(found.image, image.convert("RGB")) == 0


@pytest.mark.parametrize("turn", range(1, 9))
def test_upright_whatever_the_orientation(turn):
    pixels = np.asarray(picture())
    # What a camera held that way stored (EXIF 2.3): the inverse of what a viewer does.
    stored = {
        **{1: pixels, 2: pixels[:, ::-1], 3: pixels[::-1, ::-1], 4: pixels[::-1], 5: pixels.swapaxes(0, 1)},
        **{6: np.rot90(pixels), 7: np.rot90(pixels, 2).swapaxes(0, 1), 8: np.rot90(pixels, -1)},
    }[turn]
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = turn
    exif[ExifTags.Base.Artist] = "somebody"
    data = encoded(Image.fromarray(stored), "PNG", exif=exif)
    assert np.array_equal(photos.read(data), pixels)
    assert photos.is_plain(data) == (turn == 1)
    kept = Image.Exif()
    kept.load(photos.read_whole(data).metadata["exif"])
    assert kept[ExifTags.Base.Artist] == "somebody" and ExifTags.Base.Orientation not in kept


def test_an_orientation_that_makes_no_sense_is_none():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 77
    assert np.array_equal(photos.read(encoded(picture(), "PNG", exif=exif)), picture())


def test_deep_gray_keeps_its_depth():
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for kind in ("PNG", "TIFF"):
        found = photos.read_whole(encoded(Image.fromarray(levels), kind))
        assert np.array_equal(found.gray, levels)
        assert apart(found.image.getchannel("R"), np.rint(levels / 257)) <= 1
    with pytest.raises(photos.PhotoError, match="gray values outside"):
        photos.read(encoded(Image.fromarray(np.full((4, 4), np.nan, np.float32)), "TIFF"))


def test_transparency():
    clear = np.zeros((30, 40), np.uint8)
    clear[:, 20:] = 255
    image = picture()
    image.putalpha(Image.fromarray(clear))
    data = encoded(image, "PNG")
    found = np.asarray(photos.read(data))
    assert np.all(found[:, :20] == 255) and np.array_equal(found[:, 20:], np.asarray(picture())[:, 20:])
    whole = photos.read_whole(data)
    assert np.array_equal(whole.alpha, clear) and np.array_equal(whole.image, picture())
    assert photos.read_whole(encoded(picture(), "PNG")).alpha is None
    image.putalpha(0)
    with pytest.raises(photos.PhotoError, match="no content"):
        photos.read(encoded(image, "PNG"))


def test_palette_and_gray_with_a_transparent_color():
    palette = picture().quantize(8)
    data = encoded(palette, "PNG", transparency=3)
    expected = np.asarray(palette) != 3
    assert np.array_equal(np.asarray(photos.read_whole(data).alpha) > 0, expected)
    gray = np.tile(np.arange(40, dtype=np.uint16) * 1000, (30, 1))
    data = encoded(Image.fromarray(gray), "PNG", transparency=5000)
    assert np.array_equal(np.asarray(photos.read_whole(data).alpha) == 0, gray == 5000)


def test_the_first_frame_of_an_animation():
    frames = [picture(seed=i).quantize(64) for i in range(3)]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    found = photos.read_whole(data)
    assert apart(found.image, frames[0].convert("RGB")) == 0
    assert found.notes == ("the first of several frames",)
    assert not photos.is_plain(encoded(picture(), "PNG", save_all=True, append_images=[picture(seed=1)]))


# Color profiles.


def test_a_profile_is_applied():
    swapped = profile(red=(0.3851, 0.7169, 0.0971), green=(0.4361, 0.2225, 0.0139))
    data = encoded(Image.new("RGB", (8, 8), (255, 0, 0)), "PNG", icc_profile=swapped)
    assert apart(photos.read(data), Image.new("RGB", (8, 8), (0, 255, 0))) <= 2  # its red is sRGB's green
    assert not photos.is_plain(data)
    data = encoded(Image.new("RGB", (8, 8), (128, 128, 128)), "JPEG", icc_profile=profile(gamma=1.0))
    assert apart(photos.read(data), np.full((8, 8, 3), 188)) <= 2  # linear light of 0.5


def test_srgb_profiles_change_nothing():
    for icc in (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), None):
        data = encoded(picture(), "PNG", **({"icc_profile": icc} if icc else {}))
        assert np.array_equal(photos.read(data), picture()) and photos.is_plain(data)


@pytest.mark.parametrize("broken", [b"no profile", profile()[:100], profile()[:60] + bytes(300)])
def test_an_unusable_profile_is_noted(broken):
    found = photos.read_whole(encoded(picture(), "PNG", icc_profile=broken))
    assert np.array_equal(found.image, picture())
    assert found.notes == ("its color profile is unusable, so sRGB was assumed",)


# What else a file tells.


def test_metadata_is_kept():
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("Title", "a cat — née Böhm")
    xmp = '<x tiff:Orientation="6" dc:rights="mine"/>'
    texts.add_itxt("XML:com.adobe.xmp", xmp)
    kept = photos.read_whole(encoded(picture(), "PNG", pnginfo=texts, dpi=(300, 300))).metadata
    again = Image.open(io.BytesIO(encoded(picture(), "PNG", **{k: kept[k] for k in ("pnginfo", "dpi")})))
    assert again.text["Title"] == "a cat — née Böhm"
    assert again.text["XML:com.adobe.xmp"] == '<x dc:rights="mine"/>'
    assert again.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    kept = photos.read_whole(encoded(picture(), "JPEG", comment=b"from 1912")).metadata
    assert kept["comment"] == b"from 1912"
    assert photos.read_whole(encoded(picture(), "BMP")).metadata.keys() <= {"dpi"}


def test_what_counts_as_plain():
    plain = [encoded(picture(), "PNG"), encoded(picture(), "JPEG"), encoded(picture().convert("L"), "PNG")]
    plain += [encoded(picture().convert("L"), "JPEG"), encoded(picture(), "JPEG", progressive=True)]
    assert all(map(photos.is_plain, plain))
    odd = [encoded(picture(), kind) for kind in ("WEBP", "TIFF", "GIF", "BMP")]
    odd += [encoded(picture().convert(mode), "PNG") for mode in ("P", "RGBA", "LA", "1")]
    odd += [encoded(picture().convert("CMYK"), "JPEG"), encoded(picture(), "PNG", transparency=(1, 2, 3))]
    odd += [encoded(Image.fromarray(np.zeros((4, 4), np.uint16)), "PNG")]
    assert not any(map(photos.is_plain, odd))


# Sizes and faults.


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1)])
def test_extreme_shapes(size):
    for kind in ("PNG", "JPEG", "WEBP", "TIFF", "BMP"):
        assert apart(photos.read(encoded(Image.new("RGB", size, (9, 9, 9)), kind)), np.full((*size[::-1], 3), 9)) <= 1


def png_header(width, height):
    data = encoded(picture(), "PNG")
    header = b"IHDR" + struct.pack(">II", width, height) + data[24:29]
    return data[:12] + header + struct.pack(">I", zlib.crc32(header)) + data[33:]


@pytest.mark.parametrize("size", [(100_000, 100_000), (12_001, 12_000), (2**31 - 1, 1)])
def test_too_many_pixels_are_refused_by_the_header(size):
    begin = time.process_time()
    with pytest.raises(photos.PhotoError, match="too many pixels"):
        photos.read(png_header(*size))
    assert time.process_time() - begin < 1  # nothing was decoded


def test_faults_are_named(tmp_path):
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "text.jpg").write_bytes(b"no photo at all, but a text of some length")
    cases = {"nowhere.jpg": "missing", "": "a folder", "empty.jpg": "empty", "text.jpg": "not an image"}
    for name, reason in cases.items():
        for call in (photos.read, photos.read_whole, photos.is_plain):
            with pytest.raises(photos.PhotoError, match=f"^{reason}"):
                call(tmp_path / name)
    assert issubclass(photos.PhotoError, ColorlibError)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_files_cut_short_are_refused(kind):
    data = encoded(picture((200, 150)), kind)
    for share in (0.3, 0.6, 0.9):
        for call in (photos.read, photos.is_plain):
            with pytest.raises(photos.PhotoError) as refused:
                call(data[: int(share * len(data))])
            assert str(refused.value).startswith(("cut short", "damaged", "not an image"))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP"])
def test_mutated_files_are_read_or_refused_with_a_reason(kind):
    rng, whole = np.random.default_rng(ord(kind[0])), encoded(picture((24, 20)), kind)
    refused = 0
    for _ in range(150):
        data = np.frombuffer(whole, np.uint8).copy()
        places = rng.integers(0, len(data) if rng.random() < 0.5 else 60, rng.integers(1, 6))
        data[places] = rng.integers(0, 256, len(places))
        try:
            assert photos.read(data.tobytes()).mode == "RGB"
        except photos.PhotoError as error:
            assert str(error).startswith(REASONS)
            refused += 1
    assert 0 < refused < 150
