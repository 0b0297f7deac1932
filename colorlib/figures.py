"""The course's figures, in one quiet style. Each function returns a matplotlib `Figure` and never shows it.

An opaque white ground reads the same in print and in dark mode; lines differ in dash and lightness as well as in hue
(Okabe and Ito's colors), so that no figure needs its reader to tell red from green.
"""

import functools
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure

STYLE = {
    "figure.facecolor": "white",
    "figure.dpi": 80,
    "figure.constrained_layout.use": True,
    "axes.facecolor": "white",
    "axes.edgecolor": "0.4",
    "axes.labelcolor": "0.15",
    "axes.titlesize": 10,
    "axes.titlecolor": "0.15",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"]),
    "font.size": 10,
    "legend.frameon": False,
    "lines.linewidth": 2,
    "text.color": "0.15",
    "xtick.color": "0.3",
    "ytick.color": "0.3",
    "image.cmap": "cividis",
}


def quiet(make):
    """Decorate a function that makes a figure: it draws in `STYLE`, whatever the notebook's own settings are."""

    @functools.wraps(make)
    def styled(*args, **kwargs):
        with matplotlib.rc_context(STYLE):
            return make(*args, **kwargs)

    return styled


def panels(rows=1, columns=1, width=6.4, height=None, **subplots):
    """A new `Figure` of `width` × `height` inches and its axes, a (rows, columns) array; for use under `quiet`."""
    figure = Figure(figsize=(width, height or width * 0.62 * rows / columns))
    return figure, figure.subplots(rows, columns, squeeze=False, **subplots)


def show_photo(axes, image, title=""):
    """Draw a photo, (h, w, 3) or gray (h, w), 8 bits or floats in [0, 1], without ticks or frame."""
    axes.imshow(image, cmap="gray", vmin=0, vmax=255 if np.asarray(image).dtype == np.uint8 else 1)
    axes.set_title(title)
    axes.set_axis_off()


def save(figure, name, settings) -> Path:
    """Write a figure to `results/figures/<name>.png` at 150 dots an inch, and return its path."""
    path = settings.results_folder / "figures" / f"{name}.png"
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150)
    return path
