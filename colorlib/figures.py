"""The course's figures, in one quiet style. Each function returns a matplotlib `Figure` and never shows it.

An opaque white ground reads the same in print and in dark mode; lines differ in dash and lightness as well as in hue
(Okabe and Ito's colors), so that no figure needs its reader to tell red from green.
"""

import base64
import functools
import io
import itertools
from pathlib import Path

import keras
import matplotlib.style
import numpy as np
from matplotlib.colors import ListedColormap, LogNorm, Normalize
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch

from colorlib import lab, models

PHOTO = 2.75  # inches of a photo's height with its margins: at least 250 pixels

STYLE = {  # beyond matplotlib's defaults
    "figure.constrained_layout.use": True,
    "figure.titlesize": "medium",
    "axes.titlesize": "medium",
    "axes.edgecolor": "0.4",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00"]),
    "legend.frameon": False,
    "lines.linewidth": 2,
    "image.cmap": "cividis",
}


# Decorates a function that makes a figure: it draws in `STYLE`, whatever the notebook's own settings are.
quiet = matplotlib.style.context(STYLE, after_reset=True)


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


# Photos, in all notebooks


@quiet
def photo_row(images, titles=(), columns=4, size=PHOTO):
    """Photos in rows of `columns`, each with its title. size: inches of height, and of width unless they are wide."""
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height, width = np.transpose([np.shape(image)[:2] for image in images if image is not None])
    across = size * np.clip(np.median(width / height), 1, 2)
    figure, axes = panels(rows, columns, across * columns, (size + 0.25 * bool(titles)) * rows)
    for axis, image, title in itertools.zip_longest(axes.flat, images, titles):
        axis.set_axis_off()
        if image is not None:
            show_photo(axis, image, title or "")
    return figure


@quiet
def photo_table(rows, labels, size=PHOTO):
    """A table of photos. rows: list of dictionaries, heading -> image, with the same headings; labels: one a row."""
    headings = list(rows[0])
    figure = photo_row([row[heading] for row in rows for heading in headings], headings, len(headings), size)
    for axis, label in zip(figure.axes[:: len(headings)], labels, strict=True):
        axis.text(-0.03, 0.5, label, transform=axis.transAxes, rotation=90, va="center", ha="right")
    return figure


# 01_download_and_split


@quiet
def archive_map(size, classes, probes=(), kept=(), rows=6):
    """A tar archive as a ribbon of bytes, cut into rows: classes in two grays, what was probed, what was kept.

    size: bytes of the archive; classes: (name, start, stop) in bytes; probes: the bytes where they began; kept: (start,
    stop) of each kept photo.
    """
    figure, ((axes,),) = panels(width=8, height=0.55 * rows + 0.9)
    length, pixels = size / rows, 800  # of a row, in bytes and in pixels
    colors = ListedColormap(["white", "0.78", "0.9", "#D55E00"])
    ribbon = np.zeros(rows * pixels, int)
    stretches = [(i % 2 + 1, *extent) for i, (_, *extent) in enumerate(classes)]
    for color, start, stop in stretches + [(3, *extent) for extent in kept]:
        first = int(start / length * pixels)
        ribbon[first : max(int(stop / length * pixels), first + 1)] = color
    for row, part in enumerate(ribbon.reshape(rows, pixels)):
        axes.imshow(part[None], colors, vmin=0, vmax=3, extent=(0, length, row + 0.72, row + 0.12))
    for name, start, stop in classes:
        row = int(start // length)
        if min(stop, (row + 1) * length) - start > length / 6:  # room for its name
            axes.text(start % length + length / 150, row + 0.05, name, fontsize=8, color="0.35")
    axes.plot(np.mod(probes, length), np.floor_divide(probes, length) + 0.8, "^", color="#0072B2", markersize=4)
    axes.set(xlim=(0, length), ylim=(rows, -0.15), yticks=[], aspect="auto", frame_on=False, xlabel="MB of its row")
    axes.xaxis.set_major_formatter(lambda at, _: f"{at / 1e6:g}")
    figure.suptitle(f"{len(classes)} classes (gray), {len(probes)} probes (triangles), {len(kept)} photos kept")
    return figure


@quiet
def photos_per_class(counts, side_by_side=False):
    """Bars of how many photos each class has in each part, or side by side, of which share of it, in percent.
    counts: {part: {class: number}}. Photos without a class (its name is "") are left out, unless none has one."""
    labels = sorted(set().union(*counts.values()) - {""}) or [""]
    figure, ((axes,),) = panels(width=8, height=2.6)
    bottom, width = np.zeros(len(labels)), 0.8 / (len(counts) if side_by_side else 1)
    for i, (hatch, (part, numbers)) in enumerate(zip(("", "//", "xx"), counts.items(), strict=False)):
        heights = np.array([numbers.get(label, 0) for label in labels])
        at = np.arange(len(labels))
        if side_by_side:
            at = at + width * (i - (len(counts) - 1) / 2)
        axes.bar(at, heights, bottom=bottom, label=part, hatch=hatch, width=width, edgecolor="white")
        if not side_by_side:
            bottom += heights
    named = labels if len(labels) <= 30 else []  # more names have no room
    axes.set_xticks(range(len(named)), named, rotation=30, ha="right")
    axes.set(ylabel="share, in %" if side_by_side else "photos", xlabel=f"{len(labels)} classes")
    axes.legend(ncols=3, loc="lower center", bbox_to_anchor=(0.5, 1))
    return figure


# 02_lab_preprocessing


def color_planes(image):
    """A photo, (h, w, 3) floats in [0, 1], as its planes R, G, B, each a gray photo, and as a and b, L, a, b."""
    L, a, b = np.moveaxis(lab.rgb_to_lab(image), -1, 0)

    def at_one_lightness(a, b):  # so that nothing but the color differs
        return lab.lab_to_rgb(np.stack(np.broadcast_arrays(np.float32(65), a, b), axis=-1))

    red, green, blue = np.moveaxis(image, -1, 0)
    shown = {"the photo": image, "R plane": red, "G plane": green, "B plane": blue}
    shown |= {"a and b, L = 65 everywhere": at_one_lightness(a, b), "L: light alone": L / 100}
    shown |= {"a: green to red": at_one_lightness(a, 0 * a), "b: blue to yellow": at_one_lightness(0 * b, b)}
    return photo_row([*shown.values()], [*shown])


def _show_plane(axis, lightness, paleness):
    """The ab plane at one lightness, in its own colors, white where sRGB has none. paleness: their share of white."""
    a, b = np.meshgrid(np.arange(-95.0, 105), np.arange(-115.0, 105))
    linear = lab.lab_to_linear(np.stack([np.full_like(a, lightness), a, b], axis=-1))
    inside = ((linear > -1e-4) & (linear < 1 + 1e-4)).all(axis=-1, keepdims=True)
    shown = np.where(inside, paleness + (1 - paleness) * lab.encode(linear), 1)
    axis.imshow(shown, origin="lower", extent=(-95, 105, -115, 105))


# 03_color_prior


@quiet
def ab_planes(planes, bin_width, label, logarithmic=True):
    """Tables over the ab plane, a panel each on one scale, with the outline of sRGB's gamut, in its own colors.

    planes: title -> (n, n), rows a, columns b, the middle bin neutral; NaN and what is below 1e-7 of the largest
    value (1e-3 on a linear scale) stay white. label: what the values are, with their unit.
    """
    columns = min(3, len(planes))
    rows, side = -(-len(planes) // columns), 3.6 if len(planes) == 1 else 2.5
    figure, axes = panels(rows, columns, side * columns + 0.9, side * rows + 0.5, sharex=True, sharey=True)
    tables = np.stack([*planes.values()]).astype(float)
    tables[tables < (1e-7 if logarithmic else 1e-3) * np.nanmax(tables)] = np.nan
    low, high = np.nanmin(tables), np.nanmax(tables)
    norm = LogNorm(low, max(high, low * 1.001)) if logarithmic else Normalize(low, high)
    reach = (tables.shape[1] // 2 + 0.5) * bin_width
    for axis in axes.flat[len(planes) :]:
        axis.set_axis_off()
    for axis, title, table in zip(axes.flat, planes, tables, strict=False):
        shown = axis.imshow(table.T, origin="lower", extent=(-reach, reach) * 2, norm=norm, cmap="viridis")
        rim = np.concatenate(axis.contour(*_gamut(), levels=[0.5], colors="0.25", linewidths=1).allsegs[0])
        axis.scatter(*rim.T, 12, lab.lab_to_rgb(np.insert(rim, 0, 65, axis=1)))
        axis.plot(0, 0, "+", color="white", markersize=7)
        axis.set(title=title, xlim=(-98, 112), ylim=(-118, 108), aspect="equal")
    for axis in axes[-1]:
        axis.set_xlabel("green  ←  a  →  red")
    for axis in axes[:, 0]:
        axis.set_ylabel("blue  ←  b  →  yellow")
    figure.colorbar(shown, ax=axes, label=label, shrink=0.85)
    return figure


@functools.lru_cache(maxsize=1)
def _gamut():
    """Where sRGB has colors: a, b, and 1.0 where some lightness shows that color, rows b, on a grid of 4 ab units."""
    levels = np.linspace(0, 1, 65)
    _, a, b = np.moveaxis(lab.rgb_to_lab(np.stack(np.meshgrid(levels, levels, levels), axis=-1)), -1, 0)
    edges = np.arange(-121, 122, 4.0)
    inside = np.histogram2d(b.ravel(), a.ravel(), [edges, edges])[0] > 0
    middle = (edges[1:] + edges[:-1]) / 2
    return middle, middle, inside.astype(float)


@quiet
def weights_on_photo(images, weights, titles, label="weight v"):
    """Photos above, and below each the weight v of its every pixel, or another number above 0: (h, w), of any size."""
    figure, axes = panels(2, len(images), PHOTO * len(images) + 1.1, 2 * PHOTO + 0.3)
    norm = LogNorm(min(w.min() for w in weights), max(w.max() for w in weights))
    for column, (image, weight, title) in enumerate(zip(images, weights, titles, strict=True)):
        show_photo(axes[0, column], image, title)
        shown = axes[1, column].imshow(weight, norm=norm, cmap="viridis")
        axes[1, column].set_axis_off()
    ticks = np.outer(10.0 ** np.arange(-3, 4), (1, 2, 5)).ravel()
    figure.colorbar(shown, ax=axes[1], label=label, shrink=0.9, ticks=ticks, format="{x:g}").minorticks_off()
    return figure


# 04_train_baseline, 05_train_rebalanced, 06_train_efficientnet


@quiet
def ladder(model):
    """A colorizer drawn from itself: left the frozen backbone's taps, right the ladder from the deepest up to ab."""
    layers = {layer.name: layer for layer in model.layers}
    names = models.taps(model.name.removesuffix("_colorizer"))
    rungs = [name for name in (f"rung{i}_conv" for i in range(len(names))) if name in layers]
    figure, ((axes,),) = panels(width=7.6, height=5.4)
    _box(axes, 0, len(names), "L", model.input_shape, "0.9")
    for level, (name, shape) in enumerate(zip(names[::-1], layers["backbone"].output_shape[::-1], strict=True)):
        _box(axes, 0, level, name, shape, "#CFE5F3")
        _arrow(axes, (0, level + 0.7), (0, level + 0.3))
    steps = [("1×1, BN, ReLU", "rung0_conv", "#FBE3CF")]
    steps += [("add, 3×3, BN, ReLU", name, "#FBE3CF") for name in rungs[1:]]
    steps += [("head: 3×3, tanh", "head", "#D5EDE3")] + [("ab", "ab_up", "0.9")] * ("ab_up" in layers)
    below = None
    for level, (title, name, color) in enumerate(steps):
        shape = layers[name].output.shape
        _box(axes, 1, level, title, shape, color)
        if level < len(rungs):
            narrowed = "1×1, " * (f"rung{level}_tap_conv" in layers)
            _arrow(axes, (0.31, level), (0.69, level), f"{narrowed}BN" if level else "")
        if below:
            _arrow(axes, (1, level - 0.7), (1, level - 0.3), f"×{shape[1] // below}" * (shape[1] > below))
        below = shape[1]
    axes.text(0, -0.5, "backbone, frozen", ha="center")
    axes.text(1, -0.5, "ladder and head, trained", ha="center")
    axes.set(xlim=(-0.4, 1.4), ylim=(-0.6, max(len(names), len(steps) - 1) + 0.4))
    axes.set_axis_off()
    return figure


def _box(axes, x, y, title, shape, color):
    style = {"boxstyle": "round,pad=0.02", "facecolor": color, "edgecolor": "0.4"}
    axes.add_patch(FancyBboxPatch((x - 0.28, y - 0.25), 0.56, 0.5, **style))
    axes.text(x, y + 0.03, title, ha="center", va="bottom", size=9)
    axes.text(x, y - 0.03, f"{shape[1]}² · {shape[3]}", ha="center", va="top", size=9, color="0.35")


def _arrow(axes, start, stop, text=""):
    axes.annotate("", stop, start, arrowprops={"arrowstyle": "-|>", "color": "0.3", "linewidth": 1.2})
    upwards = start[0] == stop[0]
    at = np.add(start, stop) / 2 + ((0.02, 0) if upwards else (0, 0.12))
    axes.text(*at, text, ha="left" if upwards else "center", va="center", size=9)


@quiet
def tap_maps(model, L, title="from fine edges to a coarse map"):
    """One photo, L (1, s, s, 1), and what each tap says of it: the mean over the tap's channels, finest first."""
    names = models.taps(model.name.removesuffix("_colorizer"))
    inputs = keras.Model(model.input, model.get_layer("prepared").output)(L)
    maps = [np.asarray(tap, np.float32)[0].mean(-1) for tap in model.get_layer("backbone")(inputs)]
    titles = ["L", *(f"{name}, {len(plane)}²" for name, plane in zip(names, maps, strict=True))]
    figure = photo_row([L[0, ..., 0], *((plane - plane.min()) / (np.ptp(plane) or 1) for plane in maps)], titles, 3)
    figure.suptitle(f"What five taps see: {title}")
    return figure


@quiet
def learning_curves(histories, column="mse", floors=()):
    """The losses of runs by epoch and by minutes: on validation photos, and thin on training photos, augmented and in
    training mode. A ring is on the epoch whose weights are kept.

    histories: name -> rows of history.csv. column: "mse", the plain one, or "loss", which runs minimize and which only
    compares between runs of one loss. floors: name -> what an answer that learns nothing scores, as dotted lines.
    """
    figure, ((by_epoch, by_minutes),) = panels(1, 2, 9, 3, sharey=True)
    colors = STYLE["axes.prop_cycle"].by_key()["color"]
    for (name, rows), dashes, color in zip(histories.items(), ("-", "--", "-."), colors, strict=False):
        best = int(np.argmin([row["val_loss"] for row in rows]))
        minutes = np.cumsum([row["seconds"] for row in rows]) / 60
        for axis, x in ((by_epoch, [row["epoch"] for row in rows]), (by_minutes, minutes)):
            axis.plot(x, [row[f"val_{column}"] for row in rows], dashes, color=color, label=name)
            axis.plot(x, [row[column] for row in rows], dashes, color=color, linewidth=0.8)
            axis.plot(x[best], rows[best][f"val_{column}"], "o", color=color, fillstyle="none", markersize=9)
    by_minutes.plot([], [], color="0.4", linewidth=0.8, label="in training")
    by_minutes.plot([], [], "o", color="0.4", fillstyle="none", markersize=9, label="the best epoch")
    for name, value in dict(floors).items():
        by_epoch.axhline(value, color="0.4", linestyle=":")
        by_minutes.axhline(value, color="0.4", linestyle=":", label=name)
    by_epoch.set(xlabel="epoch", ylabel=column)
    by_epoch.xaxis.get_major_locator().set_params(integer=True)
    by_minutes.set(xlabel="minutes of training", xlim=(0, None))
    by_minutes.legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.suptitle("Thick: validation photos. Thin: training photos. By epoch, and by the clock")
    return figure


def swatches(colors):
    """Named colors as squares. colors: name -> (L, a, b), L in [0, 100], a and b in ab units."""
    squares = [np.tile(lab.lab_to_rgb(np.array(color, np.float32)), (8, 8, 1)) for color in colors.values()]
    return photo_row(squares, [*colors], len(colors), size=1.7)


# 05_train_rebalanced, 07_compare_models


@quiet
def colorfulness_of_photos(truth, predicted):
    """Predicted colorfulness against the truth's, a point a photo. predicted: name -> (photos,); truth: (photos,)."""
    figure, ((axis,),) = panels(1, 1, 6.2, 3.9)
    top = 1.05 * max(np.max(truth), *(np.max(values) for values in predicted.values()))
    axis.plot([0, top], [0, top], color="0.5", linewidth=1, label="as colorful as the truth")
    for (name, values), marker in zip(predicted.items(), "o^sDv", strict=False):
        axis.plot(truth, values, marker, markersize=5, alpha=0.6, markeredgewidth=0, label=name)
    axis.set(xlabel="colorfulness of the truth", ylabel="colorfulness predicted", xlim=(0, top), ylim=(0, top))
    axis.set_title("Below the line: paler than the truth")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure


@quiet
def intervals(measures, floors=(), wanted=()):
    """Values with their 95 % intervals: a panel a measure, a row an answer.

    measures: heading -> {answer: (value, low, high)}, with the same answers; floors: those of them that learn nothing,
    drawn hollow; wanted: heading -> the value that is best, as a dotted line.
    """
    names = list(next(iter(measures.values())))
    figure, axes = panels(1, len(measures), 9, 0.28 * len(names) + 0.7, sharey=True)
    for axis, (heading, values) in zip(axes[0], measures.items(), strict=True):
        for row, name in enumerate(names):
            value, *interval = values[name]
            look = {"color": "0.5", "fillstyle": "none"} if name in floors else {"color": "#0072B2"}
            axis.plot(interval, [row, row], color=look["color"], linewidth=1.5)
            axis.plot(value, row, "o", **look, markerfacecoloralt="white", markersize=8)
        if heading in wanted:
            axis.axvline(wanted[heading], color="#D55E00", linestyle=":")
        axis.set(title=heading, yticks=range(len(names)), yticklabels=names)
        axis.tick_params("y", length=0)
    axes[0, 0].invert_yaxis()
    return figure


# 08_colorize_your_photos, 09_beyond_the_mean


def before_after(before, after, width=640):
    """Two photos of one size, the second to the right of a slider: `IPython.display.HTML`, without ipywidgets.

    before, after: PIL images, of any size; shown at most `width` pixels wide.
    """
    from IPython.display import HTML

    over = "position:absolute;top:0;left:0;clip-path:inset(0 0 0 50%)"
    move = "this.previousElementSibling.lastElementChild.style.clipPath=`inset(0 0 0 ${this.value}%)`"
    return HTML(
        f'<div style="max-width:{width}px"><div style="position:relative">{_tag(before, width)}'
        f"{_tag(after, width, over)}</div>"
        f'<input type="range" value="50" style="width:100%" aria-label="before and after" oninput="{move}"></div>'
    )


def slider(images, labels, width=400):
    """Photos of one size, PIL images, of which a slider shows one with its label: `IPython.display.HTML`."""
    from IPython.display import HTML

    shown = [f"<div hidden>{label}{_tag(image, width)}</div>" for image, label in zip(images, labels, strict=True)]
    move = "[...this.previousElementSibling.children].forEach((each, i) => each.hidden = i != this.value)"
    return HTML(
        f'<div style="max-width:{width}px"><div>{"".join(shown).replace(" hidden", "", 1)}</div>'
        f'<input type="range" value="0" max="{len(shown) - 1}" style="width:100%" aria-label="which" oninput="{move}">'
        "</div>"
    )


def _tag(image, width, style=""):
    """A photo as HTML, a JPEG inside it."""
    shown, buffer = image.convert("RGB"), io.BytesIO()
    shown.thumbnail((width, width))
    shown.save(buffer, "JPEG", quality=85, subsampling=0)
    data = base64.b64encode(buffer.getvalue()).decode()
    return f'<img src="data:image/jpeg;base64,{data}" style="display:block;width:100%;{style}">'


@quiet
def distributions(planes, marks=(), paleness=0.75):
    """Colors on the ab plane, each a disk in its own color whose area says how probable it is; none below 1 in 1,000.
    Behind them, all that a screen can show at that lightness, mixed with a share of white.

    planes: title -> (L, colors, p), L from 0 to 100, colors (n, 2) in ab units, p (n,). marks: a dictionary for each
    plane, name -> (a, b), of answers to point out.
    """
    side = PHOTO + (len(planes) == 1)
    figure, axes = panels(1, len(planes), side * len(planes) + 1.2, side + 0.7, sharey=True)
    for axis, title, marked in itertools.zip_longest(axes[0], planes, marks, fillvalue={}):
        lightness, colors, p = planes[title]
        _show_plane(axis, lightness, paleness)
        colors, p = (np.asarray(each, np.float32)[np.asarray(p) > 1e-3] for each in (colors, p))
        own = lab.lab_to_rgb(np.insert(colors, 0, lightness, axis=1))
        axis.scatter(*colors.T, 1500 * p, own, edgecolors="0.3", linewidths=0.5)
        for (name, color), marker in zip(marked.items(), "oD*^", strict=False):
            axis.plot(*color, marker, color="white", markeredgecolor="black", markersize=9, label=name)
        axis.set(title=title, xlabel="green  ←  a  →  red", xlim=(-95, 105), ylim=(-115, 105))
    axes[0, 0].set_ylabel("blue  ←  b  →  yellow")
    if marks:
        axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
