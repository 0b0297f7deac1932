"""Figures: drawn, quiet, readable without color, saved. What others draw for their notebooks is tested alike."""

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from PIL import Image
from skimage.color import rgb2gray

from colorlib import figures, settings

RNG = np.random.default_rng(0)
PHOTO = RNG.integers(0, 256, (12, 12, 3), dtype=np.uint8)
PLANE = np.where(RNG.random((27, 27)) < 0.5, np.nan, RNG.uniform(1, 30, (27, 27)))


def history(seed):
    errors = np.random.default_rng(seed).uniform(0.01, 0.02, (4, 3))
    return [
        {"epoch": i + 1, "mse": a, "val_mse": b, "val_loss": c, "seconds": 60.0} for i, (a, b, c) in enumerate(errors)
    ]


MAKE = {
    "photo_table": lambda: figures.photo_table([{"gray": PHOTO[..., 0], "truth": PHOTO}] * 3, ["5 %", "50 %", "95 %"]),
    "ab_planes": lambda: figures.ab_planes({"a": PLANE, "b": PLANE**2}, 10, "error, ab units", logarithmic=False),
    "colorfulness_of_photos": lambda: figures.colorfulness_of_photos([10, 30], {"x": [5, 9], "y": [8, 12]}),
    "intervals": lambda: figures.intervals({"MSE": {"x": (2, 1, 3), "gray": (5, 4, 6)}}, ["gray"], {"MSE": 0}),
    "learning_curves": lambda: figures.learning_curves(
        {"baseline": history(1), "rebalanced": history(2), "other": history(3)}, floors={"all gray": 0.02}
    ),
    "archive_map": lambda: figures.archive_map(
        6e6, [("a", 0, 1e6), ("b", 1e6, 5.5e6)], [10, 3e6], [(2e6, 2.1e6), (5.4e6, 5.5e6)]
    ),
    "photos_per_class": lambda: figures.photos_per_class({"train": {"a": 3, "b": 2}, "test": {"a": 1}}),
    "color_planes": lambda: figures.color_planes(PHOTO / 255),
    "weights_on_photo": lambda: figures.weights_on_photo([PHOTO / 255], [np.full((12, 12), 0.5)], ["x"]),
    "distributions": lambda: figures.distributions(
        {"x": (50, [(0, 0), (10, 60)], [0.7, 0.3])}, [{"mean": (3, 18), "truth": (20, 70)}]
    ),
    "swatches": lambda: figures.swatches({"red": (50, 80, 60), "blue": (30, 70, -100)}),
}
every_figure = pytest.mark.parametrize("make", MAKE.values(), ids=MAKE)


def drawn_pixels(figure):
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())


@every_figure
def test_drawn_on_opaque_white_whatever_the_surroundings(make):
    with plt.style.context("dark_background"):
        drawn = drawn_pixels(make())
    assert (drawn[..., 3] == 255).all() and (drawn[0, 0, :3] == 255).all()
    assert (drawn[..., :3] < 100).all(-1).any(), "text and lines are dark"


@every_figure
def test_returned_and_never_shown(make):
    make()
    assert plt.get_fignums() == []


def test_settings_of_the_reader_are_left_alone():
    before = dict(matplotlib.rcParams)
    MAKE["learning_curves"]()
    assert dict(matplotlib.rcParams) == before


def test_saved_under_its_name(tmp_path):
    chosen = settings.load("sample", results_folder=tmp_path)
    path = figures.save(MAKE["photo_table"](), "triptychs", chosen)
    assert path == tmp_path / "figures" / "triptychs.png"
    with Image.open(path) as image:
        assert image.format == "PNG" and image.width > 300


def test_lines_can_be_told_apart_without_color():
    lines = MAKE["learning_curves"]().axes[0].get_lines()
    curves = [line for line in lines if not line.get_label().startswith("_")]
    assert len({line.get_linestyle() for line in curves}) == len(curves) == 3  # the floor is named beside the minutes
    points = MAKE["colorfulness_of_photos"]().axes[0].get_lines()
    assert len({line.get_marker() for line in points[1:]}) == 2
    points = [line for line in MAKE["intervals"]().axes[0].get_lines() if line.get_marker() == "o"]
    assert [point.get_fillstyle() for point in points] == ["full", "none"], "a model, and what learns nothing"


def test_the_error_map_is_readable_in_gray():
    shown = MAKE["ab_planes"]().axes[0].get_images()[0]
    lightness = rgb2gray(shown.cmap(np.linspace(0, 1, 64))[:, :3])
    assert (np.diff(lightness) > 0).all()


def test_the_ring_is_at_the_epoch_whose_weights_are_kept():
    rows = history(1)
    ring = next(line for line in figures.learning_curves({"x": rows}).axes[0].get_lines() if line.get_marker() == "o")
    best = min(rows, key=lambda row: row["val_loss"])
    assert (ring.get_xdata(), ring.get_ydata()) == ([best["epoch"]], [best["val_mse"]])


def test_colors_lie_with_a_to_the_right_and_b_upwards():
    plane = np.full((27, 27), np.nan)
    plane[13 + 5, 13 - 2] = 1  # a = 50, b = -20
    axes = figures.ab_planes({"one": plane}, 10, "x").axes[0]
    image = axes.get_images()[0]
    left, right, bottom, top = image.get_extent()
    row, column = np.argwhere(~np.ma.getmaskarray(np.ma.masked_invalid(image.get_array())))[0]
    at = left + (column + 0.5) * (right - left) / 27, bottom + (row + 0.5) * (top - bottom) / 27
    assert at == pytest.approx((50, -20)) and "red" in axes.get_xlabel() and "yellow" in axes.get_ylabel()
    outline = axes.collections[0].get_paths()[0].vertices
    assert outline.min(axis=0) == pytest.approx((-88, -108), abs=4) and outline.max(axis=0) == pytest.approx(
        (99, 95), abs=4
    )
    disks = MAKE["distributions"]().axes[0].collections[0]
    assert disks.get_offsets().tolist() == [[0, 0], [10, 60]] and disks.get_sizes() == pytest.approx([1050, 450])
    slice_of_60 = figures.distributions({"x": (60, np.zeros((0, 2)), [])}, paleness=0).axes[0].get_images()[0]
    colors, (left, _, bottom, _) = slice_of_60.get_array(), slice_of_60.get_extent()
    red, blue = colors[int(0 - bottom), int(60 - left)], colors[int(-50 - bottom), int(0 - left)]
    assert red.argmax() == 0 and blue.argmax() == 2


@pytest.mark.parametrize("name", ["photo_table", "color_planes", "weights_on_photo"])
def test_photos_are_at_least_250_pixels_high(name):
    figure = MAKE[name]()
    drawn_pixels(figure)  # lays it out
    heights = [axes.get_window_extent().height for axes in figure.axes if axes.images and not axes.axison]
    assert min(heights) >= 250


def test_wide_photos_are_as_high_as_square_ones():
    figure = figures.photo_row([np.repeat(PHOTO, 2, axis=1)] * 3, "abc")
    drawn_pixels(figure)
    assert min(axes.get_window_extent().height for axes in figure.axes) >= 250


def test_a_row_with_room_left_leaves_it_empty():
    axes = figures.photo_row([PHOTO] * 5, list("abcde"), columns=3).axes
    assert [len(axis.images) for axis in axes] == [1, 1, 1, 1, 1, 0] and axes[4].get_title() == "e"


def test_the_slider_holds_both_photos():
    html = figures.before_after(Image.fromarray(PHOTO[..., 0]), Image.fromarray(PHOTO), width=100).data
    assert html.count("data:image/jpeg;base64,") == 2 and 'type="range"' in html


def test_the_slider_shows_one_of_many_photos():
    html = figures.slider([Image.fromarray(PHOTO)] * 5, list("abcde"), width=100).data
    assert html.count("data:image/jpeg;base64,") == 5 and html.count("<div hidden>") == 4 and 'max="4"' in html


def test_tap_maps_of_a_half_precision_backbone_are_no_flat_pictures():
    from colorlib import models

    model = models.build_colorizer("mobilenet", None, 64, backbone_dtype="bfloat16", seed=1)
    maps = [axes.images[0].get_array() for axes in figures.tap_maps(model, RNG.random((1, 64, 64, 1))).axes[1:]]
    assert len(maps) == 5 and all(plane.dtype == np.float32 and np.ptp(plane) > 0 for plane in maps)
