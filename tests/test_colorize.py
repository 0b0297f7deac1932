"""Photographs of every kind in, the same in color out: lightness, size and metadata kept, failures named."""

import io
import os
import re
import socket
import types
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from made_up import profile
from PIL import ExifTags, Image, ImageCms, PngImagePlugin
from skimage.color import rgb2lab

from colorlib import ColorlibError, __main__, colorize, lab, losses, models, prior, runs, settings
from colorlib.sources import photos, sample


@pytest.fixture(scope="session")
def model():
    """Colors that depend on the lightness: reddish where it is light, bluish where it is dark, and strong."""
    L = keras.Input((32, 32, 1))
    return keras.Model(L, keras.layers.Concatenate()([0.5 * L, 1.2 * L - 0.6]))


def gray_photo(size=(67, 45), seed=0):
    """A gray photo of all levels, with fine detail."""
    rng = np.random.default_rng(seed)
    ramp = np.linspace(0, 255, size[0])[None] + rng.normal(0, 12, (size[1], size[0]))
    return Image.fromarray(np.clip(ramp, 0, 255).astype(np.uint8))


def reference_L(image):
    return rgb2lab(np.asarray(image.convert("RGB")))[..., 0]


def assert_same_lightness(one, other, most=0.5):
    assert one.size == other.size
    assert np.abs(reference_L(one) - reference_L(other)).max() <= most


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 2), (32, 32), (257, 131), (1400, 900)])
def test_any_size_and_shape_keeps_every_detail(model, size):
    image = gray_photo(size)
    colored = colorize.colorize(image, model)
    assert colored.mode == "RGB"
    assert_same_lightness(image, colored)


def test_it_is_in_color_as_predicted(model):
    colored = np.asarray(colorize.colorize(Image.new("L", (40, 30), 150), model))
    L = reference_L(Image.new("L", (1, 1), 150))[0, 0] / 100
    expected = [100 * L, 64 * L, 128 * (1.2 * L - 0.6)]
    np.testing.assert_allclose(rgb2lab(colored)[15, 20], expected, atol=1.0)


def test_strength_multiplies_chroma(model):
    image = Image.new("L", (20, 20), 128)
    chroma = [np.hypot(*rgb2lab(np.asarray(colorize.colorize(image, model, s)))[9, 9, 1:]) for s in (0, 0.5, 1)]
    assert chroma[0] < 0.02 and chroma[1] == pytest.approx(chroma[2] / 2, rel=0.05)
    gray = np.asarray(colorize.colorize(image, model, 0))
    assert (gray == gray[..., :1]).all()
    for wrong in (-1, np.nan, 11):
        with pytest.raises(ColorlibError, match="strength"):
            colorize.colorize(image, model, wrong)


def test_a_photo_in_strips_has_no_seams(model, monkeypatch):
    image = gray_photo((300, 200))
    whole = np.asarray(colorize.colorize(image, model))
    monkeypatch.setattr(colorize, "STRIP_PIXELS", 300 * 7)
    np.testing.assert_allclose(np.asarray(colorize.colorize(image, model), int), whole, atol=1)


def test_out_of_gamut_colors_shrink_at_their_own_lightness_and_hue():
    rng = np.random.default_rng(0)
    color = np.stack([rng.uniform(0, 100, 4000), *rng.uniform(-128, 128, (2, 4000))], axis=-1).astype(np.float32)
    got = rgb2lab(colorize.in_gamut(color).astype(np.float64))
    np.testing.assert_allclose(got[:, 0], color[:, 0], atol=0.1)
    chroma, asked = np.hypot(*got[:, 1:].T), np.hypot(*color[:, 1:].T)
    assert (chroma <= asked + 0.1).all()
    turned = np.angle(got[:, 1] + 1j * got[:, 2]) - np.angle(color[:, 1] + 1j * color[:, 2])
    assert np.abs(np.sin(turned / 2) * 2 * chroma).max() < 0.5  # distance from the same hue, in ab units
    # And no further than needed: a little more chroma is out of gamut, or the color was inside.
    more = np.concatenate([got[:, :1], got[:, 1:] * (1.02 + 0.3 / np.maximum(chroma, 1e-6))[:, None]], axis=-1)
    linear = lab.lab_to_linear(more.astype(np.float32))
    at_the_edge = ((linear < 1e-3) | (linear > 1 - 1e-3)).any(-1)
    assert (at_the_edge | (chroma > asked - 0.3)).mean() > 0.995


def test_lightness_survives_eight_bits_for_every_color():
    rng = np.random.default_rng(1)
    rgb = rng.integers(0, 256, (300, 300, 3), dtype=np.uint8)
    photo = photos.read_whole(png(Image.fromarray(rgb)))
    ab = rng.uniform(-1, 1, (64, 64, 2)).astype(np.float32)
    assert_same_lightness(Image.fromarray(rgb), colorize.paint(photo, ab, strength=1.0))


def png(image, **options):
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


# Every kind of photograph.


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "BMP", "GIF", "PPM", "JPEG2000"])
def test_any_format_that_pillow_reads(model, kind, tmp_path):
    image = gray_photo()
    path = tmp_path / f"photo.{kind.lower()}"
    image.save(path, kind)
    assert_same_lightness(photos.read(path), colorize.colorize(path, model))


def test_sixteen_bit_scans_are_read_at_full_depth(model):
    deep = np.repeat(np.linspace(20000, 21000, 64)[None], 40, axis=0).astype(np.uint16)  # 5 levels of 8 bits
    colored = colorize.colorize(deep, model)
    L = rgb2lab(np.asarray(colored))[..., 0].mean(0)
    expected = rgb2lab(np.repeat(deep[0, :, None] / 65535, 3, axis=-1))[..., 0]
    assert np.abs(L - expected).max() <= 0.25
    assert len(np.unique(np.asarray(colored).reshape(-1, 3), axis=0)) > 5


def test_transparency_is_kept(model):
    alpha = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (48, 1))
    image = Image.merge("LA", (gray_photo((64, 48)), Image.fromarray(alpha)))
    colored = colorize.colorize(image, model)
    assert colored.mode == "RGBA"
    np.testing.assert_array_equal(np.asarray(colored)[..., 3], alpha)
    assert_same_lightness(image.getchannel("L"), colored.convert("RGB"))


def test_arrays_and_bytes(model):
    image = gray_photo()
    expected = np.asarray(colorize.colorize(image, model))
    np.testing.assert_array_equal(np.asarray(colorize.colorize(np.asarray(image), model)), expected)
    np.testing.assert_array_equal(np.asarray(colorize.colorize(png(image), model)), expected)


# Files.


@pytest.fixture
def chosen(tmp_path, model, monkeypatch):
    monkeypatch.setattr(colorize, "model_of", lambda settings, run="": model)
    return settings.load("sample", results_folder=tmp_path / "results")


def colorized(chosen, *sources, out, **options):
    return colorize.colorize_files(sources, out, chosen, progress=False, **options)


def test_orientation_is_applied_and_other_metadata_kept(tmp_path, chosen):
    image, exif = gray_photo((60, 40)), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Artist] = "Dorothea"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = "1936:03:06 12:00:00"
    image.save(tmp_path / "a.jpg", exif=exif, dpi=(300, 300), quality=95, comment=b"Nipomo")
    report = colorized(chosen, tmp_path / "a.jpg", out=tmp_path / "out")
    with Image.open(report.written[0]) as colored:
        assert colored.size == (40, 60)
        kept = colored.getexif()
        assert kept.get(ExifTags.Base.Orientation, 1) == 1
        assert kept[ExifTags.Base.Artist] == "Dorothea"
        assert kept.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] == "1936:03:06 12:00:00"
        assert colored.info["dpi"] == pytest.approx((300, 300), abs=0.1)
        assert "Nipomo" in colored.info["Comment"]
        assert_same_lightness(photos.read(tmp_path / "a.jpg"), colored)


def test_texts_of_a_png_are_kept(tmp_path, chosen):
    texts = PngImagePlugin.PngInfo()
    texts.add_text("Description", "the mill")
    gray_photo().save(tmp_path / "a.png", pnginfo=texts)
    report = colorized(chosen, tmp_path / "a.png", out=tmp_path / "out")
    with Image.open(report.written[0]) as colored:
        assert colored.info["Description"] == "the mill"


def test_profiles_are_converted_to_srgb_and_written_so(tmp_path, chosen):
    wide = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    image = Image.new("LAB", (30, 20), (160, 128, 128))
    image.save(tmp_path / "a.tif", icc_profile=wide.tobytes())
    report = colorized(chosen, tmp_path / "a.tif", out=tmp_path / "out")
    with Image.open(report.written[0]) as colored:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(colored.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
        assert reference_L(colored).mean() == pytest.approx(160 / 255 * 100, abs=0.5)


def test_whole_folders_keep_their_form_and_failures_are_named(tmp_path, chosen, capsys):
    inside = tmp_path / "album" / "1936"
    inside.mkdir(parents=True)
    for i in range(11):  # more than one batch
        gray_photo((40 + i, 30), seed=i).save(inside / f"{i}.jpg")
    gray_photo().save(tmp_path / "album" / "cover.png")
    (inside / "letter.txt").write_text("no photo")
    (inside / "cut.jpg").write_bytes((inside / "0.jpg").read_bytes()[:300])
    Image.new("LA", (9, 9), (5, 0)).save(inside / "invisible.png")
    (inside / ".hidden").write_text("not looked at")
    frames = [gray_photo(seed=i) for i in (1, 2)]
    frames[0].save(inside / "moving.gif", save_all=True, append_images=frames[1:])
    report = colorized(chosen, tmp_path / "album", out=tmp_path / "out")
    written = sorted(str(path.relative_to(tmp_path / "out")) for path in report.written)
    assert written == sorted(["cover.png", "1936/moving.png", *(f"1936/{i}.png" for i in range(11))])
    assert {path.name for path, _ in report.failed} == {"cut.jpg", "invisible.png"}
    assert report.exit_status == 1
    printed = capsys.readouterr().out
    for words in (
        "in color now: 13.\n",
        "Not colored: 2.\n",
        "cut.jpg: cut short",
        "invisible.png: no content",
        "moving.gif, which is colored: the first of several frames",
        r"left out, other files: 1 \(letter.txt\)",
        r"left out, previews and hidden files of other programs: 1 \(.hidden\)",
    ):
        assert re.search(words, printed), words
    for i in range(11):  # each its own, not its neighbor's
        with Image.open(tmp_path / "out" / "1936" / f"{i}.png") as colored:
            assert_same_lightness(photos.read(inside / f"{i}.jpg"), colored)


def test_a_photo_of_another_color_space_keeps_the_lightness_it_has_there(tmp_path, chosen):
    linear = profile(gamma=1.0)
    levels = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (30, 1))
    Image.fromarray(levels).convert("RGB").save(tmp_path / "a.jpg", icc_profile=linear, quality=100)
    report = colorized(chosen, tmp_path / "a.jpg", out=tmp_path / "out")
    with Image.open(report.written[0]) as colored, Image.open(tmp_path / "a.jpg") as stored:
        light = np.asarray(stored.convert("L"))[0] / 255
        expected = np.where(light > (6 / 29) ** 3, 116 * np.cbrt(light) - 16, light * (29 / 3) ** 3)  # L* of CIE Y
        np.testing.assert_allclose(reference_L(colored)[0], expected, atol=0.7)  # 0.5, and 8 bits in between
        written = ImageCms.ImageCmsProfile(io.BytesIO(colored.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(written)


def test_progress_is_shown(tmp_path, chosen, capsys):
    gray_photo().save(tmp_path / "a.png")
    colorize.colorize_files([tmp_path / "a.png"], tmp_path / "out", chosen)
    assert "1/1" in capsys.readouterr().err


def test_existing_results_are_kept_unless_asked(tmp_path, chosen, model, monkeypatch):
    gray_photo().save(tmp_path / "a.png")
    out = tmp_path / "out"
    first = colorized(chosen, tmp_path / "a.png", out=out)
    before = first.written[0].read_bytes()
    first.written[0].write_bytes(b"mine")
    monkeypatch.setattr(colorize, "model_of", lambda *_: pytest.fail("loaded a model for nothing"))
    second = colorized(chosen, tmp_path / "a.png", out=out)
    assert (second.written, second.kept, second.exit_status) == ([], [out / "a.png"], 0)
    monkeypatch.setattr(colorize, "model_of", lambda *_: model)
    assert colorized(chosen, tmp_path / "a.png", out=out, overwrite=True).written == [out / "a.png"]
    assert (out / "a.png").read_bytes() == before
    assert [path.name for path in out.iterdir()] == ["a.png"]


def test_no_input_is_ever_overwritten(tmp_path, chosen):
    gray_photo(seed=1).save(tmp_path / "a.png")
    gray_photo(seed=2).save(tmp_path / "b.jpg")
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.*")}
    report = colorized(chosen, tmp_path, out=tmp_path, overwrite=True)
    assert [path.name for path, _ in report.failed] == ["a.png"] and "replace an input" in report.failed[0][1]
    assert [path.name for path in report.written] == ["b.png"]
    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    # A link to an input is an input.
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / "a.png").symlink_to(tmp_path / "a.png")
    report = colorized(chosen, tmp_path / "a.png", out=tmp_path / "links", overwrite=True)
    assert report.failed and (tmp_path / "a.png").read_bytes() == before["a.png"]


def test_photos_of_one_name_keep_their_endings(tmp_path, chosen):
    """What cannot be read claims no name: a phone's folder, and what a shell makes of phone/*."""
    album, image = tmp_path / "album", gray_photo()
    album.mkdir()
    for name in ("IMG_1.JPG", "img_2.jpg", "IMG_5.jpg", "a.jpg", "A.bmp", "b.tif", "only.PNG"):
        image.save(album / name)
    for name in ("IMG_1.AAE", "IMG_1.THM", "img_2.MOV", "IMG_5.DNG", "b.txt", "Thumbs.db", "desktop.ini"):
        (album / name).write_bytes(b"no photo")
    expected = {"IMG_1.png", "img_2.png", "IMG_5.png", "a.jpg.png", "A.bmp.png", "b.png", "only.png"}
    report = colorized(chosen, album, out=tmp_path / "folder")
    assert {path.name for path in report.written} == expected and not report.failed
    assert {kind: len(paths) for kind, paths in report.left_out.items()} == {
        **{photos.RAW: 1, "videos": 1, "notes of cameras and programs on photos": 2, photos.SYSTEM: 2, photos.OTHER: 1}
    }
    report = colorized(chosen, *sorted(album.iterdir()), out=tmp_path / "each")
    assert {path.name for path in report.written} == expected
    assert [path.name for path, _ in report.failed] == ["b.txt"]  # named by the user, and so tried
    (tmp_path / "other").mkdir()
    image.save(tmp_path / "other" / "only.png")
    report = colorized(chosen, album / "only.PNG", tmp_path / "other" / "only.png", out=tmp_path / "both")
    assert [path.name for path in report.written] == ["only.PNG.png"] and "another result" in report.failed[0][1]


def test_what_is_no_photo_does_not_fail_a_folder_and_what_could_be_had_does(tmp_path, chosen, monkeypatch, capsys):
    monkeypatch.setattr(photos, "reads_heic", lambda: False)
    gray_photo().save(tmp_path / "a.jpg")
    for name in ("Thumbs.db", "a.mov", "notes.txt", ".nomedia"):
        (tmp_path / name).write_bytes(b"x")
    assert colorized(chosen, tmp_path, out=tmp_path / "out").exit_status == 0
    for name, advice in (("b.heic", "pip install pillow-heif"), ("c.nef", "as TIFF or JPEG")):
        (tmp_path / name).write_bytes(b"x")
        assert colorized(chosen, tmp_path, out=tmp_path / "out").exit_status == 1
        assert advice in capsys.readouterr().out
        with pytest.raises(ColorlibError, match=f"(?s)no photo to colorize in .*{name}.*{advice}"):
            colorized(chosen, tmp_path / name, out=tmp_path / "out")
        (tmp_path / name).unlink()


def test_out_may_be_a_file_for_one_photo(tmp_path, chosen):
    gray_photo().save(tmp_path / "a.jpg")
    gray_photo().save(tmp_path / "b.jpg")
    report = colorized(chosen, tmp_path / "a.jpg", out=tmp_path / "x.png")
    assert report.written == [tmp_path / "x.png"] and (tmp_path / "x.png").is_file()
    for sources, out in (((tmp_path / "a.jpg", tmp_path / "b.jpg"), "y.png"), ((tmp_path / "a.jpg",), "y.jpg")):
        with pytest.raises(ColorlibError, match=r"--out .*y.* is a file. Give a folder, or for one photo a .png file"):
            colorized(chosen, *sources, out=tmp_path / out)
    before = (tmp_path / "b.jpg").read_bytes()
    gray_photo().save(tmp_path / "c.png")
    assert "replace an input" in colorized(chosen, tmp_path / "c.png", out=tmp_path / "c.png").failed[0][1]
    (tmp_path / "folder.png").mkdir()
    assert colorized(chosen, tmp_path / "a.jpg", out=tmp_path / "folder.png").written[0].parent.name == "folder.png"
    assert (tmp_path / "b.jpg").read_bytes() == before


@pytest.mark.skipif(os.name == "nt", reason="names are not bytes on Windows")
def test_long_names_and_names_that_are_no_utf8(tmp_path, chosen, capsys):
    latin, long = os.fsdecode(b"caf\xe9.jpg"), "ж" * 120 + ".jpg"
    try:
        for name in (latin, long, os.fsdecode(b"\xe9.gif")):
            gray_photo().save(tmp_path / name, "JPEG")
    except OSError:
        pytest.skip("this file system knows UTF-8 alone")
    (tmp_path / os.fsdecode(b"cut\xe9.jpg")).write_bytes(b"\xff\xd8\xff")
    report = colorized(chosen, tmp_path, out=tmp_path / "out")
    names = {path.name for path in report.written}
    assert names == {os.fsdecode(b"caf\xe9.png"), "ж" * 120 + ".png", os.fsdecode(b"\xe9.png")}
    assert "cut\N{REPLACEMENT CHARACTER}.jpg: " in capsys.readouterr().out.encode().decode()


def test_an_output_folder_inside_the_album_is_not_colorized_again(tmp_path, chosen):
    gray_photo().save(tmp_path / "a.jpg")
    for _ in range(2):
        report = colorized(chosen, tmp_path, out=tmp_path / "in_color")
    assert [path.name for path in report.kept] == ["a.png"] and not report.written


def test_what_cannot_be_read_or_written_is_named(tmp_path, chosen, monkeypatch):
    gray_photo().save(tmp_path / "a.jpg")
    (tmp_path / "file").write_text("in the way")
    report = colorized(chosen, tmp_path / "a.jpg", tmp_path / "nowhere.jpg", out=tmp_path / "file")
    reasons = {path.name: reason for path, reason in report.failed}
    assert reasons["nowhere.jpg"] == "No such file or directory" and reasons["a.jpg"] and report.exit_status == 1

    def forbidden(folder):
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", forbidden)
    report = colorized(chosen, tmp_path, out=tmp_path / "out")
    assert report.failed == [(tmp_path, "Permission denied")]


def test_locked_folders_are_named_and_stop_nothing(tmp_path, chosen, monkeypatch):
    for folder, name in (("open", "a.jpg"), ("locked", "b.jpg"), ("locked", "c.png")):
        (tmp_path / folder).mkdir(exist_ok=True)
        gray_photo().save(tmp_path / folder / name)
    real = os.stat

    def stat(path, *arguments, **options):  # the superuser, as whom containers run tests, may enter any folder
        if str(path).startswith(str(tmp_path / "locked" / "x")[:-1]):
            raise PermissionError(13, "Permission denied", str(path))
        return real(path, *arguments, **options)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(Path, "read_bytes", lambda path: path.stat() and path.open("rb").read())
    report = colorized(chosen, tmp_path / "open" / "a.jpg", tmp_path / "locked" / "b.jpg", out=tmp_path / "out")
    assert report.written == [tmp_path / "out" / "a.png"] and report.exit_status == 1
    assert report.failed == [(tmp_path / "locked" / "b.jpg", "no permission to read the file")]
    monkeypatch.setattr(colorize, "paint", lambda *_: types.SimpleNamespace(save=lambda path, *_, **__: path.stat()))
    report = colorized(chosen, tmp_path / "open" / "a.jpg", out=tmp_path / "locked")
    assert "Permission denied" in report.failed[0][1] and str(tmp_path / "locked") in report.failed[0][1]


def test_a_folder_inside_that_of_the_results_is_colorized(tmp_path, chosen):
    (tmp_path / "1936").mkdir()
    gray_photo().save(tmp_path / "1936" / "a.jpg")
    for source in (tmp_path / "1936", tmp_path / "1936" / "a.jpg"):
        report = colorized(chosen, source, out=tmp_path, overwrite=True)
        assert report.written == [tmp_path / "a.png"]


def test_an_empty_folder_says_so(tmp_path, chosen):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ColorlibError, match=r"no photo to colorize in .*empty"):
        colorized(chosen, tmp_path / "empty", out=tmp_path / "out")


# Memory.


@pytest.mark.parametrize("error", [MemoryError(), tf.errors.ResourceExhaustedError(None, None, "OOM")])
@pytest.mark.parametrize("step", ["predict", "paint"])
def test_out_of_memory_is_said_and_never_answered_with_gray(tmp_path, chosen, model, monkeypatch, error, step):
    def full(*_, **__):
        raise error

    monkeypatch.setattr(colorize, step, full)
    gray_photo().save(tmp_path / "a.jpg")
    report = colorized(chosen, tmp_path / "a.jpg", out=tmp_path / "out")
    assert "out of memory" in report.failed[0][1] and report.exit_status == 1
    assert not list((tmp_path / "out").glob("*"))


# The command line.


def test_the_command_hands_on_all_that_it_is_told(tmp_path, model, monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(colorize, "model_of", lambda settings, run="": asked.append(run) or model)
    gray_photo().save(tmp_path / "a.png")
    out = tmp_path / "out"
    command = ["colorize", str(tmp_path / "a.png"), "--out", str(out), "--run", "rebalanced", "--strength"]
    assert __main__.main([*command, "0"]) == 0 and asked == ["rebalanced"]
    colored = np.asarray(Image.open(out / "a.png"))
    assert (colored == colored[..., :1]).all()
    assert __main__.main([*command, "1"]) == 0
    assert "There already, and left as they are: 1. With --overwrite they are made anew." in capsys.readouterr().out
    assert __main__.main([*command, "1", "--overwrite"]) == 0
    assert not np.array_equal(np.asarray(Image.open(out / "a.png")), colored)
    (tmp_path / "b.txt").write_text("no photo")
    assert __main__.main(["colorize", str(tmp_path / "b.txt"), "--out", str(out)]) == 1


# Which model.


def test_without_a_name_the_box_colors_and_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(models, "load_whole", lambda path: (f"that of {path.name}", {"photos": "44 photos of cats"}))
    chosen = settings.load("sample", results_folder=tmp_path / "results")
    assert colorize.model_of(chosen) == "that of colorizer.npz"
    assert capsys.readouterr().out == "Colors by the colorizer in the box, which has learned from 44 photos of cats.\n"


def test_a_run_colors_by_its_name_and_says_so(tmp_path, monkeypatch, capsys):
    def run(chosen, name):
        known = {"history": [{}] * 3, "settings": chosen.replace(data="sample")}
        return types.SimpleNamespace(best_epoch=2, build_model=lambda: f"model of {name}", **known)

    monkeypatch.setattr(runs, "Run", run)
    chosen = settings.load("sample", results_folder=tmp_path / "results")
    assert colorize.model_of(chosen, "my-loss") == "model of my-loss"
    assert capsys.readouterr().out == "Colors by the run my-loss, trained on sample: epoch 2 of 3, its best.\n"


@pytest.mark.parametrize(("name", "make"), [("vivid", "vivid"), ("begun", "baseline")])
def test_a_missing_run_names_what_makes_one(tmp_path, name, make):
    chosen = settings.load("sample", results_folder=tmp_path / "results")
    with pytest.raises(ColorlibError, match=rf"no trained {name} in .*results.*python -m colorlib train {make}"):
        colorize.model_of(chosen, name)


# A distribution of colors, and the box.


@pytest.fixture(scope="session")
def vivid():
    """A tiny colorizer of many colors that knows nothing, but that most are near gray; of another kind each pixel."""
    model = models.build_colorizer("mobilenet", None, None, 0, 4, (8, 8, 16, 16), seed=1, head="distribution")
    head, rng = model.get_layer("head"), np.random.default_rng(0)
    counts = np.exp(-np.abs(lab.NODES - [0, 8]).sum(axis=-1) / 12)
    head.kernel.assign(rng.normal(0, 0.5, head.kernel.shape))
    head.bias.assign(np.log(counts))
    head.counts.assign(1e6 * counts)
    return model


@pytest.fixture(scope="module")
def box():
    """The colorizer that comes with the project."""
    if not colorize.BOX.is_file():
        pytest.skip(f"needs {colorize.BOX}, the colorizer in the box, which is not there")
    return colorize.box()


@pytest.fixture
def no_network(monkeypatch):
    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, lambda *_, **__: pytest.fail("it looks for the network"))


def chroma(image):
    return np.hypot(*np.moveaxis(rgb2lab(np.asarray(image.convert("RGB")))[..., 1:], -1, 0)).mean()


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (900, 2), (32, 32), (257, 131), (1400, 900)])
def test_any_size_and_shape_by_a_distribution(vivid, size):
    image = gray_photo(size)
    colored = colorize.colorize(image, vivid)
    assert colored.mode == "RGB" and chroma(colored) > 0.1
    assert_same_lightness(image, colored)


@pytest.mark.parametrize("size", [(1, 1), (1, 900), (257, 131)])
def test_any_size_and_shape_by_the_box_without_a_network(box, no_network, size):
    image = gray_photo(size)
    assert_same_lightness(image, colorize.colorize(image, box))


def test_an_image_whose_exif_has_the_layout_of_another_file_is_colored(model):
    image = Image.new("RGB", (40, 30), "gray")
    exif = image.getexif()  # as Photoshop leaves it in a JPEG: width, height, bits, compression, samples
    exif.update({256: 6849, 257: 8539, 258: 8, 259: 1, 262: 1, 274: 6, 277: 1})
    assert colorize.colorize(image, model).size == (30, 40), "upright, and of its own size"


def test_the_box_colors_a_photo_and_vividness_0_is_paler(box, no_network, tmp_path, monkeypatch, capsys):
    path = sample.FOLDER / next(row["file"] for row in sample.credits() if row["part"] == "test")
    chromas = [chroma(colorize.colorize(path, box, vividness=v)) for v in (0, colorize.VIVIDNESS, 1)]
    assert 1 < chromas[0] < chromas[1] < chromas[2]
    monkeypatch.setenv("COLORLIB_RESULTS", str(tmp_path))
    assert __main__.main(["colorize", str(path), "--out", str(tmp_path / "a.png")]) == 0
    assert "Colors by the colorizer in the box, which has learned from " in capsys.readouterr().out
    with Image.open(tmp_path / "a.png") as colored:
        assert np.array_equal(colored, colorize.colorize(path, box))


@pytest.mark.parametrize(("size", "seen"), [((300, 200), (84, 128)), ((900, 2), (4, 128)), ((100, 90), (116, 128))])
def test_a_photo_is_seen_at_its_own_proportions_and_continued_as_in_a_mirror(vivid, size, seen, monkeypatch):
    looks, photo = [], photos.read_whole(png(gray_photo(size)))
    monkeypatch.setattr(colorize, "traced", lambda model, size: lambda L: looks.append(L) or model(L))
    given = colorize.predict(photo, vivid)
    (look,) = looks
    height, width = seen
    assert look.shape == (1, -(-height // 32) * 32, -(-width // 32) * 32, 1)
    assert given.shape == (height // 4, width // 4, len(lab.NODES))
    np.testing.assert_array_equal(given, np.asarray(vivid(look))[0, : height // 4, : width // 4])
    np.testing.assert_array_equal(look[0, height : 2 * height], look[0, :height][::-1][: look.shape[1] - height])
    small = photo.image.resize((width, height), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(100 * look[0, :height, :width, 0], reference_L(small), atol=2)


def test_vividness_lambda_and_temperature_make_the_colors(vivid):
    """As `losses.color_of` does, with Eq. 3's weights of the counts that the model carries along."""
    logits = np.random.default_rng(0).normal(0, 2, (3, 4, len(lab.NODES))).astype(np.float32)
    v = prior.node_weights(np.asarray(vivid.get_layer("head").counts), 0.3)
    got = colorize.coloring(vivid, vividness=0.7, lambda_=0.3, temperature=0.5)(logits)
    np.testing.assert_array_equal(got, losses.color_of(logits, v, 0.7, 0.5))
    image = gray_photo()
    pale, plain, bold = (chroma(colorize.colorize(image, vivid, vividness=each)) for each in (0, 0.5, 1))
    assert pale < plain < bold
    # λ = 1 weighs all colors the same.
    apart = np.asarray(colorize.colorize(image, vivid, lambda_=1), int) - colorize.colorize(image, vivid, vividness=0)
    assert np.abs(apart).max() <= 1
    assert chroma(colorize.colorize(image, vivid, vividness=0, temperature=0.3)) != pytest.approx(pale, rel=0.05)


def test_choices_for_a_model_of_one_color_change_nothing_but_are_checked(model):
    image = gray_photo()
    assert colorize.colorize(image, model, vividness=0) == colorize.colorize(image, model)
    with pytest.raises(ColorlibError, match=r"vividness is 3; it must be in \[0, 1\]"):
        colorize.colorize(image, model, vividness=3)


@pytest.fixture
def command(tmp_path, vivid, model, monkeypatch):
    """A call of the command, with a box that knows nothing and one run, baseline: its exit status."""
    monkeypatch.setenv("COLORLIB_RESULTS", str(tmp_path))
    monkeypatch.setattr(colorize, "model_of", lambda settings, run="": model if run else vivid)
    gray_photo().save(tmp_path / "a.png")
    arguments = ["colorize", str(tmp_path / "a.png"), "--out", str(tmp_path / "out.png"), "--overwrite"]
    return lambda *more: __main__.main([*arguments, *more])


@pytest.mark.parametrize(
    ("flag", "value", "told"),
    [
        ("--vividness", "1.5", "vividness is 1.5; it must be in [0, 1]"),
        ("--vividness", "-0.1", "vividness is -0.1; it must be in [0, 1]"),
        ("--vividness", "nan", "vividness is nan; it must be in [0, 1]"),
        ("--strength", "-1", "strength is -1.0; it must be in [0, 10]"),
    ],
)
def test_a_choice_out_of_range_names_the_range(command, tmp_path, capsys, flag, value, told):
    assert command(flag, value) == 1
    assert told in capsys.readouterr().err and not (tmp_path / "out.png").exists()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").touch()  # so that nothing is left to do
    arguments = ["colorize", str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]
    assert __main__.main(arguments) == 0
    assert __main__.main([*arguments, flag, value]) == 1 and told in capsys.readouterr().err


def test_the_command_hands_on_how_colors_are_made(command, tmp_path, vivid):
    for flags, choices in (
        ((), {}),
        (("--vividness", "0"), {"vividness": 0}),
        (("--vividness", "1"), {"vividness": 1}),
    ):
        assert command(*flags) == 0
        with Image.open(tmp_path / "out.png") as colored:
            assert np.array_equal(colored, colorize.colorize(tmp_path / "a.png", vivid, **choices))


def test_a_run_that_gives_one_color_has_no_vividness(command, tmp_path, capsys):
    assert command("--run", "baseline", "--vividness", "0.5") == 1
    assert "baseline gives one color" in capsys.readouterr().err and not (tmp_path / "out.png").exists()
    assert command("--run", "baseline") == 0


def test_a_box_that_is_missing_or_cut_is_named(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("COLORLIB_RESULTS", str(tmp_path))
    path = tmp_path / "colorizer.npz"
    monkeypatch.setattr(colorize, "BOX", path)
    gray_photo().save(tmp_path / "a.png")
    np.savez(whole := tmp_path / "whole.npz", about=np.zeros(500))
    for data, told in ((None, "No such file"), (whole.read_bytes()[:700], "cannot be used")):
        if data:
            path.write_bytes(data)
        assert __main__.main(["colorize", str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]) == 1
        message = capsys.readouterr().err
        assert told in message and str(path) in message and "anew" in message and "Traceback" not in message
