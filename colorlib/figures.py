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


# 07_compare_models


@quiet
def photo_table(rows, labels, size=1.7):
    """A table of photos. rows: list of dictionaries, heading -> image, with the same headings; labels: one a row."""
    headings = list(rows[0])
    figure, axes = panels(len(rows), len(headings), size * len(headings) + 0.6, size * len(rows) + 0.3)
    for i, (row, label) in enumerate(zip(rows, labels, strict=True)):
        for j, heading in enumerate(headings):
            show_photo(axes[i, j], row[heading], heading if i == 0 else "")
        axes[i, 0].text(-0.06, 0.5, label, transform=axes[i, 0].transAxes, rotation=90, va="center", ha="right")
    return figure


@quiet
def error_over_ab(planes, bin_width=10):
    """Root mean squared error by true color, one panel an answer, on one scale. planes: name -> (n, n) mean squared
    error in ab units², rows a, the middle bin neutral; NaN, left white, where no photo has the color."""
    reach = (len(next(iter(planes.values()))) // 2 + 0.5) * bin_width
    errors = {name: np.sqrt(plane) for name, plane in planes.items()}
    top = max(np.nanmax(error) for error in errors.values())
    figure, axes = panels(1, len(planes), 2.6 * len(planes) + 1, 3, sharey=True)
    for axis, (name, error) in zip(axes[0], errors.items(), strict=True):
        shown = axis.imshow(error, origin="lower", extent=(-reach, reach) * 2, vmin=0, vmax=top)
        axis.set(title=name, xlabel="blue  ←  b  →  yellow", xlim=(-115, 105), ylim=(-95, 105))
        axis.plot(0, 0, "+", color="white")
    axes[0, 0].set_ylabel("green  ←  a  →  red")
    figure.colorbar(shown, ax=axes, label="error, ab units", shrink=0.85)
    return figure


@quiet
def colorfulness_of_photos(truth, predicted):
    """Predicted colorfulness against the truth's, a point a photo. predicted: name -> (photos,); truth: (photos,)."""
    figure, axes = panels(1, 1, 4.2, 4)
    axis, top = axes[0, 0], 1.05 * max(np.max(truth), *(np.max(values) for values in predicted.values()))
    axis.plot([0, top], [0, top], color="0.5", linewidth=1)
    axis.text(
        top, top, "as colorful as the truth ", rotation=45, rotation_mode="anchor", ha="right", va="bottom", size=8
    )
    for (name, values), marker in zip(predicted.items(), "o^s", strict=False):
        axis.plot(truth, values, marker, markersize=5, alpha=0.6, markeredgewidth=0, label=name)
    axis.set(xlabel="colorfulness of the truth", ylabel="colorfulness predicted", xlim=(0, top), ylim=(0, top))
    axis.legend(loc="upper left")
    return figure


@quiet
def loss_curves(histories):
    """The plain MSE of each run, by epoch and by minutes. histories: name -> rows of history.csv. The weighted loss of
    `rebalanced` is another quantity, and so not drawn; a ring marks the epoch with the lowest validation MSE."""
    figure, axes = panels(1, 2, 7.6, 3, sharey=True)
    for (name, rows), dashes, color in zip(
        histories.items(), ("-", "--", "-."), STYLE["axes.prop_cycle"].by_key()["color"], strict=False
    ):
        minutes = np.cumsum([row["seconds"] for row in rows]) / 60
        best = int(np.argmin([row["val_mse"] for row in rows]))
        for axis, x in zip(axes[0], ([row["epoch"] for row in rows], minutes), strict=True):
            axis.plot(x, [row["val_mse"] for row in rows], dashes, color=color, label=name)
            axis.plot(x, [row["mse"] for row in rows], dashes, color=color, linewidth=0.8, alpha=0.7)
            axis.plot(x[best], rows[best]["val_mse"], "o", color=color, fillstyle="none", markersize=9)
    axes[0, 0].set(xlabel="epoch", ylabel="plain MSE (thin: training)")
    axes[0, 0].xaxis.get_major_locator().set_params(integer=True)
    axes[0, 1].set(xlabel="minutes of training")
    axes[0, 1].legend()
    return figure
