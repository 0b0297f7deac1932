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
    "time_bars": lambda: figures.time_bars(
        {"paper": {"seeing": 2.0, "ladder": 6.0}, "fast": {"seeing": 2, "ladder": 1}}
    ),
    "loss_curves": lambda: figures.loss_curves({"baseline": history(1), "rebalanced": history(2), "other": history(3)}),
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
    MAKE["loss_curves"]()
    assert dict(matplotlib.rcParams) == before


def test_saved_under_its_name(tmp_path):
    chosen = settings.load("sample", results_folder=tmp_path)
    path = figures.save(MAKE["photo_table"](), "triptychs", chosen)
    assert path == tmp_path / "figures" / "triptychs.png"
    with Image.open(path) as image:
        assert image.format == "PNG" and image.width > 300


def test_lines_can_be_told_apart_without_color():
    lines = MAKE["loss_curves"]().axes[0].get_lines()
    curves = [line for line in lines if not line.get_label().startswith("_")]
    assert len({line.get_linestyle() for line in curves}) == len(curves) == 3
    points = MAKE["colorfulness_of_photos"]().axes[0].get_lines()
    assert len({line.get_marker() for line in points[1:]}) == 2


def test_the_error_map_is_readable_in_gray():
    shown = MAKE["ab_planes"]().axes[0].get_images()[0]
    lightness = rgb2gray(shown.cmap(np.linspace(0, 1, 64))[:, :3])
    assert (np.diff(lightness) > 0).all()


def test_the_ring_is_at_the_epoch_whose_weights_are_kept():
    rows = history(1)
    ring = next(line for line in figures.loss_curves({"x": rows}).axes[0].get_lines() if line.get_marker() == "o")
    best = min(rows, key=lambda row: row["val_loss"])
    assert (ring.get_xdata(), ring.get_ydata()) == ([best["epoch"]], [best["val_mse"]])


def test_the_slider_holds_both_photos():
    html = figures.before_after(Image.fromarray(PHOTO[..., 0]), Image.fromarray(PHOTO), width=100).data
    assert html.count("data:image/jpeg;base64,") == 2 and 'type="range"' in html


def test_tap_maps_of_a_half_precision_backbone_are_no_flat_pictures():
    from colorlib import models

    model = models.build_colorizer("mobilenet", "none", 64, backbone_dtype="bfloat16", seed=1)
    maps = [axes.images[0].get_array() for axes in figures.tap_maps(model, RNG.random((1, 64, 64, 1))).axes[1:]]
    assert len(maps) == 5 and all(plane.dtype == np.float32 and np.ptp(plane) > 0 for plane in maps)
