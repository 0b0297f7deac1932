"""Any photograph to upright sRGB, or a named reason. Ten thousand mutated files: see benchmarks/fuzz.py."""

import contextlib
import io
import itertools
import os
import re
import struct
import time
import zlib

import cv2
import numpy as np
import pytest
import tensorflow as tf
import tifffile
from made_up import profile
from PIL import ExifTags, Image, ImageCms, ImageOps, PngImagePlugin
from tiffs import DEFLATE, LZW, PACKBITS, tiff

from colorlib import ColorlibError
from colorlib.sources import photos

REASONS = (
    *("missing", "no permission", "empty", "not an image", "a raw file", "a HEIC photo"),
    *("a video", "cut short", "too many pixels", "no content", "not read: a TIFF", "damaged"),
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


# Which files of a folder are photographs.


@pytest.fixture
def without_heif(monkeypatch):
    monkeypatch.setattr(photos, "reads_heic", lambda: False)


def touched(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


def test_a_file_that_somebody_names_is_tried_whatever_its_ending(tmp_path, without_heif):
    for name, kind in (
        ("a.jpg", None),
        ("noending", None),
        ("a.txt", None),
        ("a.nef", photos.RAW),
        ("a.heic", photos.HEIC),
    ):
        path = touched(tmp_path, name) / name
        assert photos.find(path) == (photos.Found((), {kind: (path,)}) if kind else photos.Found((path,), {}))


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
        "videos": ["a.MOV", "b.mp4"],
        "notes of cameras and programs on photos": ["a.AAE", "a.thm", "a.xmp", "a.jpg.json"],
        photos.OTHER: ["letter.txt", "noending", "scan.pdf"],
    }
    found = photos.find(touched(tmp_path, *readable, *itertools.chain(*left_out.values())))
    assert told(found, tmp_path) == (sorted(readable), {kind: sorted(names) for kind, names in left_out.items()})
    printed = str(found)
    assert (
        "raw files of a camera, which must be developed first, as TIFF or JPEG: 8 (a.dng, b.CR2, c.nef, …)" in printed
    )
    assert re.search(r"HEIC photos, which need `pip install pillow-heif`.*: 3 \(a.heic, b.HEIF, c.hif\)\n", printed)
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
    assert found == (["nowhere.jpg"], {photos.SPECIAL: ["again", "null.jpg", "pipe.jpg"]})


def test_folders_that_cannot_be_read(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError):
        photos.find(touched(tmp_path, "a.jpg") / "nowhere")
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


@pytest.mark.parametrize(
    ("broken", "size", "note"),
    [
        ("tobytes", (30, 40), "its EXIF data are unreadable, and were dropped"),
        ("get", (40, 30), "its EXIF data are unreadable: they were dropped, and it was not turned"),
    ],
)
def test_broken_exif_is_dropped_and_noted(broken, size, note, monkeypatch):
    """Whatever a broken tag makes Pillow raise; where it is not the orientation, the picture is turned."""
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    data = encoded(picture(), "JPEG", exif=exif)
    monkeypatch.setattr(Image.Exif, broken, lambda *_: struct.unpack("<L", b""))
    found = photos.read_whole(data)
    assert (found.image.size, found.notes) == (size, (note,)) and "exif" not in found.metadata


def test_deep_gray_keeps_its_depth():
    levels = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    for kind in ("PNG", "TIFF"):
        found = photos.read_whole(encoded(Image.fromarray(levels), kind))
        assert np.array_equal(found.gray, levels)
        assert apart(found.image.getchannel("R"), np.rint(levels / 257)) <= 1
    with pytest.raises(photos.PhotoError, match="values outside"):
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
    assert again.text["XML:com.adobe.xmp"] == '<x  dc:rights="mine"/>'
    assert again.info["dpi"] == pytest.approx((300, 300), abs=0.1)
    kept = photos.read_whole(encoded(picture(), "JPEG", comment=b"from 1912")).metadata
    again = Image.open(io.BytesIO(encoded(picture(), "PNG", **kept)))
    assert again.text["Comment"] == "from 1912"
    assert photos.read_whole(encoded(picture(), "BMP")).metadata.keys() <= {"dpi", "pnginfo"}


def test_what_counts_as_plain():
    """What TensorFlow decodes to the pixels that `read` gives, and no other."""
    plain = [encoded(picture(), "PNG"), encoded(picture(), "JPEG"), encoded(picture((3, 2)), "PNG")]
    plain += [encoded(picture().convert("L"), kind) for kind in ("JPEG", "PNG")]
    plain += [encoded(picture(), "JPEG", progressive=True), encoded(picture(), "PNG", transparency=(1, 2, 3))]
    plain += [encoded(picture((400, 300)), "JPEG", subsampling=s) for s in (0, 1, 2)]
    for data in plain:
        assert photos.is_plain(data)
        decoded = tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE")
        assert apart(photos.read(data), decoded) == 0
    odd = [encoded(picture(), kind) for kind in ("WEBP", "TIFF", "GIF", "BMP")]
    odd += [encoded(picture().convert(mode), "PNG") for mode in ("P", "RGBA", "LA", "1")]
    odd += [encoded(picture().convert("CMYK"), "JPEG"), encoded(Image.fromarray(np.zeros((4, 4), np.uint16)), "PNG")]
    odd += [encoded(Image.fromarray(np.eye(9, dtype=np.uint8)), "PNG", transparency=0)]
    turned, exif = picture((400, 300)), Image.Exif()
    for turn in range(2, 9):
        exif[ExifTags.Base.Orientation] = turn
        odd += [encoded(turned, "JPEG", exif=exif), encoded(turned, "JPEG", exif=exif, progressive=True)]
    odd += [encoded(turned, kind, icc_profile=profile(gamma=1.8)) for kind in ("JPEG", "PNG")]
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
    cases = {"nowhere.jpg": "missing", "empty.jpg": "empty", "text.jpg": "not an image"}
    for name, reason in cases.items():
        for call in (photos.read, photos.read_whole, photos.is_plain):
            with pytest.raises(photos.PhotoError, match=f"^{reason}"):
                call(tmp_path / name)
    assert issubclass(photos.PhotoError, ColorlibError)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP", "AVIF", "JPEG2000", "TGA", "PPM"])
def test_files_cut_short_are_refused(kind):
    data = encoded(picture((200, 150)), kind)
    for share in (0.3, 0.6, 0.9):
        cut = data[: int(share * len(data))]
        assert not photos.is_plain(cut) if kind in ("JPEG", "PNG") else True
        with pytest.raises(photos.PhotoError, match=r"^(cut short|damaged)"):
            photos.read(cut)


JPEGS = {
    "color": {"quality": 85},
    "fewer colors": {"subsampling": 2, "optimize": True},
    "gray": {"mode": "L"},
    "progressive": {"progressive": True},
    "progressive gray": {"progressive": True, "mode": "L"},
    "with restarts": {"restart_marker_blocks": 4},
    "progressive with restarts": {"progressive": True, "restart_marker_blocks": 4},
    "inks": {"mode": "CMYK"},
    "a scan a color": {"apart": True},
}


def jpeg(image, mode="RGB", apart=False, **options):
    """The image as JPEG. apart: one color after the other, as `jpegtran -scans` writes it."""
    if not apart:
        return encoded(image.convert(mode), "JPEG", **options)
    planes = [encoded(plane, "JPEG") for plane in image.convert("YCbCr").split()]
    frame, pixels = planes[0].index(b"\xff\xc0"), [plane.index(b"\xff\xda") for plane in planes]
    height_and_width, tables = planes[0][frame + 5 : frame + 9], planes[0][frame + 13 : pixels[0]]
    components = b"".join(bytes([number, 0x11, 0]) for number in (1, 2, 3))
    data = planes[0][:frame] + b"\xff\xc0\0\x11\x08" + height_and_width + b"\3" + components + tables
    for number, plane, start in zip((1, 2, 3), planes, pixels, strict=True):
        data += b"\xff\xda\0\x08\1" + bytes([number, 0, 0, 63, 0]) + plane[start + 10 : -2]
    return data + b"\xff\xd9"


def tensorflow_decodes(data):
    try:
        return tf.io.decode_jpeg(data, channels=3, dct_method="INTEGER_ACCURATE").shape[0] > 0
    except tf.errors.InvalidArgumentError:
        return False


@pytest.mark.parametrize("kind", JPEGS)
def test_a_jpeg_that_lacks_its_end_alone_is_read(kind):
    image = picture((240, 180))
    data = jpeg(image, **JPEGS[kind])
    assert photos.read(data).size == photos.read(data + b"what cameras put behind" * 9).size == (240, 180)
    if kind == "a scan a color":
        assert apart(photos.read(data), image) < 16
    for cut in (data[:-2], data[:-1]):
        assert not tensorflow_decodes(cut) and not photos.is_plain(cut)
        assert np.array_equal(photos.read(cut), photos.read(data))  # every row is there


@pytest.mark.parametrize("end", [b"", b"\xff\xd9"], ids=["cut", "repaired"])
@pytest.mark.parametrize("kind", JPEGS)
def test_what_is_read_of_a_jpeg_cut_anywhere_is_all_but_its_last_block(kind, end):
    """Cut by a memory card, and given an end marker by the program that repaired it: gray rows, or a blurred picture.

    What decoders say of a cut in the last block of 16 × 16 pixels looks like any other: that much may be wrong.
    """
    data = jpeg(picture((80, 64), seed=1), **JPEGS[kind])
    whole, first, refused = photos.read(data), data.index(b"\xff\xda"), 0
    cuts = {*range(first, len(data) - 60, 5), *range(len(data) - 60, len(data) - 2)}
    for cut in sorted(cuts):
        try:
            seen = photos.read(data[:cut] + end)
        except photos.PhotoError as error:
            assert re.match("cut short|damaged", str(error))
            with contextlib.suppress(photos.PhotoError):
                assert not photos.is_plain(data[:cut] + end)
            refused += 1
            continue
        wrong = np.abs(np.subtract(seen, whole, dtype=int)).max(axis=-1) > 0
        wrong[-17:, -17:] = False  # a pixel more, since the colors of a block reach into the next
        assert not wrong.any()
    assert refused > len(cuts) - 40


@pytest.mark.parametrize("progressive", [False, True])
def test_a_picture_that_ends_in_mid_gray_or_black_is_whole(progressive):
    for color, kind in (((128, 128, 128), "JPEG"), ((0, 0, 0), "PNG")):
        for top in (0, 90):
            image = picture((240, 180))
            image.paste(color, (0, top, 240, 180))
            data = encoded(image, kind, **({"progressive": progressive} if kind == "JPEG" else {}))
            assert photos.is_plain(data) and photos.read(data).size == (240, 180)


def test_a_png_without_its_end_or_without_its_last_rows():
    image = picture((240, 180))
    data = encoded(image, "PNG")
    for cut in (data[:-12], data[:-5]):  # every pixel is there, and TensorFlow refuses it
        assert not tensorflow_decodes(cut) and not photos.is_plain(cut)
        assert np.array_equal(photos.read(cut), image)
    rows = b"".join(b"\0" + row.tobytes() for row in np.asarray(image)[:100])
    chunks = (
        (b"IHDR", struct.pack(">IIBBBBB", 240, 180, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    )
    short = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))
        for name, content in chunks
    )
    assert not photos.is_plain(short)
    with pytest.raises(photos.PhotoError, match=r"^cut short: the last rows"):
        photos.read(short)


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_training_decodes_whatever_counts_as_plain(kind):
    rng = np.random.default_rng(3)
    whole = [encoded(picture((60, 50)), kind), encoded(picture((60, 50)).convert("L"), kind)]
    plain = 0
    for i in range(400):
        data = bytearray(whole[i % 2])
        if i % 4 < 2:
            data[rng.integers(len(data))] = rng.integers(256)
        else:
            del data[-rng.integers(1, 60) :]
        try:
            is_plain = photos.is_plain(bytes(data))
        except photos.PhotoError:
            continue
        assert not is_plain or tensorflow_decodes(bytes(data))
        plain += is_plain
    assert plain < 400 and (kind == "PNG" or plain)  # a PNG's checksums find every flipped bit


def test_no_memory_is_no_damage(monkeypatch):
    def full(*_, **__):
        raise MemoryError

    data = encoded(picture(), "PNG")
    for place, name in ((Image, "open"), (photos, "_metadata"), (ImageOps, "exif_transpose"), (Image.Image, "getexif")):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, full)
            with pytest.raises(MemoryError, match=r"no memory left .*smaller") as raised:
                photos.read(data)
            assert isinstance(raised.value, ColorlibError) and not isinstance(raised.value, photos.PhotoError)


# TIFF: a promise.

GRAY, RGB, TILE = 1, 3, (16, 32)
PROMISE = [  # what is written: photometric interpretation, colors, bits, numbers, and how it is laid out
    ("gray, 1 bit", 1, GRAY, 1, {}),
    ("gray, 1 bit, white is zero", 0, GRAY, 1, {}),
    ("gray, 2 bits", 1, GRAY, 2, {}),
    ("gray, 4 bits, white is zero", 0, GRAY, 4, {}),
    ("gray, 8 bits", 1, GRAY, 8, {}),
    ("gray, 8 bits, white is zero", 0, GRAY, 8, {}),
    ("gray, 8 bits, bits in reverse", 1, GRAY, 8, {"fill": 2}),
    ("gray, 10 bits", 1, GRAY, 10, {}),
    ("gray, 12 bits", 1, GRAY, 12, {}),
    ("gray, 12 bits, white is zero, LZW", 0, GRAY, 12, {"compression": LZW}),
    ("gray, 14 bits", 1, GRAY, 14, {}),
    ("gray, 16 bits", 1, GRAY, 16, {}),
    ("gray, 16 bits, white is zero", 0, GRAY, 16, {}),
    ("gray, 16 bits, white is zero, in tiles", 0, GRAY, 16, {"tile": TILE}),
    ("gray, 16 bits, LZW with predictor", 1, GRAY, 16, {"compression": LZW, "predictor": 2}),
    ("gray, 16 bits, deflate, predictor, tiles", 1, GRAY, 16, {"compression": DEFLATE, "predictor": 2, "tile": TILE}),
    ("gray, 16 bits, and infrared", 1, GRAY, 16, {"extra": [0]}),
    ("gray, half precision", 1, GRAY, 16, {"floats": True}),
    ("gray, floating point", 1, GRAY, 32, {"floats": True}),
    ("gray, floating point, white is zero", 0, GRAY, 32, {"floats": True}),
    ("gray, floating point, deflate, predictor", 1, GRAY, 32, {"floats": True, "compression": DEFLATE, "predictor": 3}),
    ("gray, double precision", 1, GRAY, 64, {"floats": True}),
    ("color, 8 bits", 2, RGB, 8, {}),
    ("color, 8 bits, a plane a color", 2, RGB, 8, {"planar": True}),
    ("color, 8 bits, PackBits", 2, RGB, 8, {"compression": PACKBITS}),
    ("color, 8 bits, LZW with predictor, in tiles", 2, RGB, 8, {"compression": LZW, "predictor": 2, "tile": (16, 16)}),
    ("color, 8 bits, and infrared, dust mask", 2, RGB, 8, {"extra": [0, 0]}),
    ("color, 4 bits", 2, RGB, 4, {}),
    ("color, 12 bits", 2, RGB, 12, {}),
    ("color, 16 bits", 2, RGB, 16, {}),
    ("color, 16 bits, a plane a color", 2, RGB, 16, {"planar": True}),
    ("color, 16 bits, LZW with predictor", 2, RGB, 16, {"compression": LZW, "predictor": 2}),
    ("color, 16 bits, deflate, planes in tiles", 2, RGB, 16, {"compression": DEFLATE, "planar": True, "tile": TILE}),
    ("color, 16 bits, and infrared", 2, RGB, 16, {"extra": [0]}),
    ("color, 16 bits, and infrared, a plane each", 2, RGB, 16, {"extra": [0], "planar": True, "compression": LZW}),
    ("color, 16 bits, and a channel not named", 2, RGB, 16, {"extra": [0], "t338": None}),
    ("color, floating point", 2, RGB, 32, {"floats": True}),
    ("color, floating point, LZW with predictor", 2, RGB, 32, {"floats": True, "compression": LZW, "predictor": 3}),
    ("color, no photometric interpretation", 2, RGB, 8, {"t262": None}),
    ("gray, no photometric interpretation", 1, GRAY, 16, {"t262": None}),
    ("color, no bytes of the strips", 2, RGB, 8, {"t279": None}),
]  # fmt: skip


def written(colors, bits, extra=(), floats=False):
    """Samples in all levels, (37, 53, channels), white and black among them; and the same in [0, 1]."""
    rng, shape = np.random.default_rng(bits + colors), (37, 53, colors + len(extra))
    if floats:
        samples = rng.random(shape).astype(f"f{bits // 8}")
        return samples, samples[..., :colors].astype(float)
    samples = rng.integers(0, 2**bits, shape).astype(np.uint8 if bits <= 8 else np.uint16)
    samples[0, 0], samples[-1, -1] = 0, 2**bits - 1
    return samples, samples[..., :colors] / (2**bits - 1)


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True), (">", True)])
@pytest.mark.parametrize(("name", "photometric", "colors", "bits", "layout"), PROMISE, ids=[row[0] for row in PROMISE])
def test_every_tiff_comes_out_as_it_was_written(name, photometric, colors, bits, layout, order, big):
    layout = dict(layout)
    extra = layout.pop("extra", [])
    samples, light = written(colors, bits, extra, layout.pop("floats", False))
    more = {"t338": extra or None} | layout
    data = tiff({"samples": samples, "bits": bits, "photometric": photometric, **more}, order=order, big=big)
    light = 1 - light if photometric == 0 else light
    found = photos.read_whole(data)
    assert np.abs(np.asarray(found.image) - 255 * light).max() <= 0.51
    assert (found.alpha, found.notes) == (None, ())
    if colors == GRAY and bits > 8:
        assert np.abs(found.gray - 65535 * light[..., 0]).max() <= 0.51
    if "t279" not in more:
        agrees_with_others(data, samples, photometric, layout)


def agrees_with_others(data, samples, photometric, layout):
    """Independent readers, where they know the layout: a file is not only what its writer and ours take it for."""
    with contextlib.suppress(ValueError, NotImplementedError):  # LZW and odd bits, without imagecodecs
        seen = tifffile.imread(io.BytesIO(data)).ravel()
        stored = np.moveaxis(samples, -1, 0) if layout.get("planar") else samples
        assert np.array_equal(seen, stored.ravel())
    if samples.shape[2] not in (1, 3) or layout.get("planar") or "t262" in layout:
        return
    seen = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if seen is not None and seen.dtype == samples.dtype and seen.max() == samples.max():
        seen = seen[..., None] if seen.ndim == 2 else seen[..., ::-1]
        assert np.array_equal(seen, 255 - samples if photometric == 0 and samples.dtype == np.uint8 else samples)


def test_opencv_knows_most_of_the_layouts():
    """Else the test above would compare nothing."""
    samples, _ = written(RGB, 16)
    for more in ({}, {"compression": LZW, "predictor": 2}, {"compression": DEFLATE, "tile": (16, 16)}):
        data = tiff({"samples": samples, "bits": 16, "photometric": 2, **more}, order=">")
        seen = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(seen[..., ::-1], samples)


@pytest.mark.parametrize("compression", ["jpeg", "group3", "group4", "tiff_lzw", "zstd"])
def test_compressions_of_pictures_are_those_of_libtiff(compression):
    image = picture((64, 48)).convert("1" if compression.startswith("group") else "RGB")
    data = encoded(image, "TIFF", compression=compression)
    seen = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    if seen is not None:
        assert apart(photos.read(data), seen[..., ::-1]) <= (2 if compression == "jpeg" else 0)
    if compression != "jpeg":
        assert apart(photos.read(data), image.convert("RGB")) == 0


def test_palettes_inks_and_planes_of_ink():
    rng = np.random.default_rng(0)
    levels, colors = rng.integers(0, 256, (37, 53, 1), np.uint8), rng.integers(0, 256, (3, 256))
    data = tiff({"samples": levels, "bits": 8, "photometric": 3, "t320": [int(c) * 257 for c in colors.ravel()]})
    assert apart(photos.read(data), colors.T[levels[..., 0]]) == 0
    inks = rng.integers(0, 256, (37, 53, 4), np.uint8)
    expected = Image.frombytes("CMYK", (53, 37), inks.tobytes()).convert("RGB")
    for bits, more in ((8, {}), (16, {"compression": LZW, "predictor": 2}), (8, {"planar": True})):
        samples = inks if bits == 8 else inks.astype(np.uint16) * 257
        assert apart(photos.read(tiff({"samples": samples, "bits": bits, "photometric": 5, **more})), expected) == 0


@pytest.mark.parametrize("meaning", [1, 2])
@pytest.mark.parametrize("channels", [2, 4])
@pytest.mark.parametrize("bits", [8, 16])
def test_transparency_in_a_tiff(meaning, channels, bits):
    """1: the colors are multiplied by it; 2: they are not. Infrared may lie in between."""
    rng = np.random.default_rng(0)
    clear = rng.integers(128, 256, (37, 53, 1))
    color = rng.integers(0, 256, (37, 53, channels - 1))
    stored = np.rint(color * clear / 255).astype(int) if meaning == 1 else color
    samples = np.concatenate([stored, 255 - color[..., :1], clear], -1).astype(np.uint8)
    samples = samples.astype(np.uint16) * 257 if bits == 16 else samples
    data = tiff({"samples": samples, "bits": bits, "photometric": 1 if channels == 2 else 2, "t338": [0, meaning]})
    found = photos.read_whole(data)
    assert np.array_equal(found.alpha, clear[..., 0])
    assert np.abs(np.asarray(found.image) - color).max() <= (2 if meaning == 1 else 0)


@pytest.mark.parametrize(("most", "said", "white"), [(4095, 65535, 4095), (3000, 4095, 4095), (9000, 16383, 16383)])
def test_fewer_bits_in_sixteen(most, said, white):
    """A scanner's 12 bits, by its tag MaxSampleValue or because no sample is higher."""
    gray = np.random.default_rng(0).integers(0, most, (37, 53, 1)).astype(np.uint16)
    gray[0, 0] = most
    for samples, photometric in ((gray, 1), (np.repeat(gray, 3, -1), 2)):
        found = photos.read(tiff({"samples": samples, "bits": 16, "photometric": photometric, "t281": said}))
        assert np.abs(np.asarray(found) - 255.0 * gray / white).max() <= 0.51
    dark = photos.read_whole(tiff({"samples": gray + 8000, "bits": 16, "photometric": 1, "t281": 8000 + most}))
    assert np.array_equal(dark.gray, gray[..., 0] + 8000)  # what statistics say of a dark photo changes nothing


def test_the_full_size_page_is_taken():
    whole = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    large, small = ({"samples": samples, "bits": 8, "photometric": 2} for samples in (whole, whole[::4, ::4]))
    mask = {"samples": whole[..., :1] >> 7, "bits": 1, "photometric": 4, "t254": 4}
    other = {"samples": whole[::-1, :20], "bits": 8, "photometric": 2}
    reduced = small | {"t254": 1}
    for pages, notes in (
        ([reduced, large], ()),
        ([large, reduced, mask], ()),
        ([reduced | {"below": [large]}], ()),
        ([large | {"below": [reduced]}], ()),
        ([small, large], ("page 2 of 2",)),
        ([large, other], ("page 1 of 2",)),
    ):
        found = photos.read_whole(tiff(*pages))
        assert np.array_equal(found.image, whole) and found.notes == notes
    palette = large | {"samples": whole[..., :1], "photometric": 3, "t320": [i * 257 for i in range(256)] * 3}
    assert apart(photos.read(tiff(reduced, palette)), np.repeat(whole[..., :1], 3, -1)) == 0  # by Pillow


@pytest.mark.parametrize("name", ["a.dng", "a.NEF", "a.tif"])
def test_a_raw_file_is_named_and_its_preview_never_taken(name, tmp_path):
    preview = {"samples": np.zeros((20, 30, 3), np.uint8), "bits": 8, "photometric": 2, "t254": 1}
    sensor = {"samples": np.zeros((40, 60, 1), np.uint16), "bits": 16, "photometric": 32803}
    for pages in ([preview | {"below": [sensor]}], [preview, sensor], [preview | {"t50706": b"\1\4\0\0"}]):
        (tmp_path / name).write_bytes(tiff(*pages))
        for call in (photos.read, photos.is_plain):
            with pytest.raises(photos.PhotoError, match=r"^a raw file of a camera: develop it first, as TIFF or JPEG"):
                call(tmp_path / name)


DEEP = {"bits": 16, "samples": np.zeros((9, 9, 3), np.uint16)}
NOT_READ = [
    ("compression 34661 .tag 259", {"compression": 34661}),
    ("YCbCr of fewer colors than pixels", {"photometric": 6}),
    ("format 2 .tag 339", {"samples": np.zeros((9, 9, 3), np.int16), "bits": 16}),
    ("format 6 .tag 339", DEEP | {"t339": [6] * 3}),
    ("16 bits .tag 258. of photometric interpretation 8 .tag 262", DEEP | {"photometric": 8}),
    ("8 bits .tag 258. of photometric interpretation 9 .tag 262", {"photometric": 9}),
    (r"\(5, 6, 5\) bits .tag 258", {"t258": [5, 6, 5]}),
    ("3 inks .tags 277 and 332", {"photometric": 5}),
    ("4 inks .tags 277 and 332", {"photometric": 5, "samples": np.zeros((9, 9, 4), np.uint8), "t332": 2}),
    ("predictor 2 .tag 317. of 4 bits", {"bits": 4, "t317": 2}),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "layout"), NOT_READ, ids=[row[0] for row in NOT_READ])
def test_a_tiff_that_is_not_read_names_the_tag(reason, layout):
    page = {"samples": np.zeros((9, 9, 3), np.uint8), "bits": 8, "photometric": 2} | layout
    with pytest.raises(photos.PhotoError, match=f"^not read: a TIFF with .*{reason}.*Save it anew as"):
        photos.read(tiff(page))


def test_a_tiff_that_ends_too_soon_or_is_too_large():
    page = {"samples": np.zeros((40, 60, 3), np.uint8), "bits": 8, "photometric": 2}
    for cut in (tiff(page)[:8], tiff(page | {"t273": [8]}), tiff(page | {"t273": [10**6] * 6})):
        with pytest.raises(photos.PhotoError, match=r"^cut short"):
            photos.read(cut)
    for tags in ({"t256": 100_000, "t257": 100_000}, {"t256": 12_000, "t257": 12_000, "t277": 7, "t258": [8] * 7}):
        with pytest.raises(photos.PhotoError, match=r"^too many pixels"):
            photos.read(tiff(page | tags))


def test_what_a_tiff_tells_is_kept():
    exif = Image.Exif()
    exif[ExifTags.Base.Artist], exif[ExifTags.Base.Orientation] = "Dorothea", 6
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "1936:03:06 12:00:00"
    exif = Image.open(io.BytesIO(encoded(picture(), "JPEG", exif=exif))).getexif()
    for compression in ("raw", "jpeg"):  # ours and Pillow's
        if compression == "jpeg":  # with which Pillow writes no EXIF proper
            del exif[ExifTags.IFD.Exif]
        data = encoded(
            picture(), "TIFF", compression=compression, exif=exif, dpi=(300, 300), icc_profile=profile(gamma=1)
        )
        found = photos.read_whole(data)
        assert found.image.size == (30, 40) and found.metadata["dpi"] == pytest.approx((300, 300))
        kept = Image.Exif()
        kept.load(found.metadata["exif"])
        assert kept[ExifTags.Base.Artist] == "Dorothea" and ExifTags.Base.Orientation not in kept
        if compression == "raw":
            assert kept.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "1936:03:06 12:00:00"
        assert np.mean(found.image) > np.mean(picture()) + 20  # linear light looks dark where it is not converted


# What is no picture to Pillow.


@pytest.mark.parametrize(
    ("head", "reason"),
    [
        (b"\0\0\0\x18ftypheic", "a HEIC photo: .*pillow-heif.* JPEG"),
        (b"\0\0\0\x18ftypmif1", "a HEIC photo"),
        (b"\0\0\0\x18ftypcrx ", "a raw file of a camera: develop it first, as TIFF or JPEG"),
        (b"FUJIFILMCCD-RAW ", "a raw file"),
        (b"IIRO\x08\0\0\0", "a raw file"),
        (b"\0\0\0\x18ftypqt  ", "a video"),
        (b"\xff\xd8\xff\xe0", "(cut short|damaged)"),
    ],
)
def test_files_of_other_kinds_are_named(head, reason):
    with pytest.raises(photos.PhotoError, match=f"^{reason}"):
        photos.read(head + bytes(200))


def test_heic_is_read_where_pillow_heif_is_installed(tmp_path):
    heif = pytest.importorskip("pillow_heif")
    photos.reads_heic.cache_clear()
    heif.from_pillow(picture((64, 48))).save(tmp_path / "a.heic", quality=90)
    assert photos.find(tmp_path).photos == (tmp_path / "a.heic",)
    assert apart(photos.read(tmp_path / "a.heic"), picture((64, 48))) < 40


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
