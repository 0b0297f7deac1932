"""Photographs of any size in, the same photographs in color out: not one detail of the original is lost.

The model sees the photo's lightness at its own small size; the colors that it predicts are scaled up and joined with
the lightness of every pixel as it was. Where a color is not on any screen, its chroma shrinks and its lightness stays.
"""

import collections
import contextlib
import dataclasses
import datetime
import functools
import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image, ImageCms
from tqdm.auto import tqdm

from colorlib import ColorlibError, lab, runs
from colorlib.settings import MODELS
from colorlib.sources import files, photos

AT_A_TIME = min(4, os.cpu_count() or 1)  # photos in memory: a large one needs 12 bytes a pixel
STRIP_PIXELS = 1_000_000  # painted at a time
HALVINGS = 8  # of the interval that holds the largest chroma: found to 1/256
FEW_PHOTOS = 1000  # a model that has learned from fewer is told so
# How far linear light may lie outside [0, 1] and still count as inside: less than half an 8-bit level.
BELOW, ABOVE = -1e-4, 1 + 1e-3
NOTEBOOKS = dict(zip(MODELS, ("04_train_baseline", "05_train_rebalanced", "06_train_efficientnet"), strict=True))
OUT_OF_MEMORY = (MemoryError, tf.errors.ResourceExhaustedError)
NO_MEMORY = f"out of memory: nothing was written for it. {photos.FREE_MEMORY}"


def colorize(source, model: keras.Model, strength: float = 1.0) -> Image.Image:
    """One photograph in color: mode "RGB", or "RGBA" where it has transparency, upright, sRGB, of its own size.

    source: a path, a file's bytes, a `PIL.Image`, or an array (h, w), (h, w, 3) or (h, w, 4) of uint8, or (h, w) of
    uint16. strength: times the predicted chroma; 0 gives gray. Raises `photos.PhotoError` when it cannot be read,
    `ColorlibError` for a negative strength and when memory does not suffice.
    """
    _check(strength)
    photo = photos.read_whole(_encoded(source))
    try:
        return paint(photo, predict(photo, model), strength)
    except OUT_OF_MEMORY as error:
        raise ColorlibError(f"The photo of {photo.image.width} × {photo.image.height} is {NO_MEMORY}.") from error


def predict(photo: photos.Photograph, model) -> np.ndarray:
    """The ab / 128 that a model predicts for a photo, (size, size, 2), at the model's own size."""
    size = (model.input_shape[1],) * 2
    small = photo.image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(model(_lightness(np.asarray(small))[None, ..., None] / lab.L_SCALE, training=False))[0]


def paint(photo: photos.Photograph, ab: np.ndarray, strength: float = 1.0, threads: int = AT_A_TIME) -> Image.Image:
    """The photo's own lightness in the colors `ab` / 128, (s, s, 2), scaled to its size."""
    image, result = photo.image, np.empty((photo.image.height, photo.image.width, 3), np.uint8)
    planes = [Image.fromarray(np.ascontiguousarray(ab[..., i], np.float32)) for i in (0, 1)]
    rows = max(1, STRIP_PIXELS // image.width)

    def paint_strip(top):
        bottom = min(top + rows, image.height)
        # The box is in pixels of the small plane; Pillow looks past its edges, so that strips leave no seams.
        box = [0, top * ab.shape[0] / image.height, ab.shape[1], bottom * ab.shape[0] / image.height]
        scaled = [p.resize((image.width, bottom - top), Image.Resampling.BILINEAR, box) for p in planes]
        pixels = np.asarray(image.crop((0, top, image.width, bottom))) if photo.gray is None else photo.gray[top:bottom]
        color = np.stack([_lightness(pixels), *(np.asarray(p) * (strength * lab.AB_SCALE) for p in scaled)], axis=-1)
        result[top:bottom] = _codes().take((_linear_in_gamut(color) * 65535 + 0.5).astype(np.uint16))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(paint_strip, range(0, image.height, rows)))
    painted = Image.fromarray(result)
    if photo.alpha is not None:
        painted.putalpha(photo.alpha)
    return painted


def in_gamut(color) -> np.ndarray:
    """sRGB (..., 3) in [0, 1] of Lab colors. Those that sRGB does not have shrink in chroma, at their own L and hue."""
    return lab.encode(_linear_in_gamut(color))


@functools.cache
def _codes():
    """The 8-bit sRGB of 65,536 equally spaced levels of linear light: near black, 20 of them share one.

    A look-up takes a third of the time of the power in `lab.encode`, which is most of painting a photo.
    """
    levels = np.linspace(0, 1, 65536, dtype=np.float32)
    return np.rint(lab.encode(np.stack([levels] * 3, axis=-1))[:, 0] * 255).astype(np.uint8)


def _linear_in_gamut(color):
    linear = lab.lab_to_linear(color)
    outside = _outside(linear)
    if outside.any():
        L, ab = np.split(color[outside], [1], axis=-1)
        share = np.zeros_like(L)  # of the chroma that fits, found bit by bit
        for bit in range(1, HALVINGS + 1):
            more = share + 0.5**bit
            fits = ~_outside(lab.lab_to_linear(np.concatenate([L, ab * more], axis=-1)))
            share = np.where(fits[:, None], more, share)
        linear[outside] = lab.lab_to_linear(np.concatenate([L, ab * share], axis=-1))
    return np.clip(linear, 0, 1)


def _outside(linear):
    """Where linear light lies outside sRGB: (..., 3) -> (...). Planes: faster than `any` of an axis of 3."""
    r, g, b = np.moveaxis(linear, -1, 0)
    return (np.minimum(np.minimum(r, g), b) < BELOW) | (np.maximum(np.maximum(r, g), b) > ABOVE)


def _lightness(pixels):
    """L in [0, 100], (h, w), of 8-bit RGB, (h, w, 3), or of gray at its full depth, (h, w).

    That of gray is looked up, in a tenth of the time.
    """
    if pixels.ndim == 3:
        red, green, blue = np.moveaxis(pixels, -1, 0)  # compared by planes: a quarter of the time
        if (red != green).any() or (green != blue).any():
            return lab.lightness(pixels.astype(np.float32) / 255)
        pixels = red
    return _levels(np.iinfo(pixels.dtype).max + 1).take(pixels)


@functools.cache
def _levels(count):
    """L of `count` equally spaced levels of gray."""
    return lab.lightness(np.repeat(np.linspace(0, 1, count, dtype=np.float32)[:, None], 3, axis=1))


def _encoded(source):
    """A path or bytes as they are; an image or array as the bytes of a file, so that all are read alike."""
    if isinstance(source, (bytes, str, os.PathLike)):
        return source
    image = source if isinstance(source, Image.Image) else Image.fromarray(np.asarray(source))
    buffer = io.BytesIO()
    image.save(buffer, "TIFF", exif=image.getexif(), icc_profile=image.info.get("icc_profile"))
    return buffer.getvalue()


def _check(strength):
    if not 0 <= strength < 10:
        raise ColorlibError(f"The strength is {strength!r}; it must be 0 (gray), 1 (as predicted) or another below 10.")


# Files.


@dataclasses.dataclass
class Report:
    """What became of the photos: paths, and (path, reason) of those that failed or have something to be said."""

    written: list = dataclasses.field(default_factory=list)
    kept: list = dataclasses.field(default_factory=list)
    failed: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)
    left_out: dict = dataclasses.field(default_factory=dict)  # see `photos.Found`

    @contextlib.contextmanager
    def taking_down_failures(self, source: Path):
        """A context in which an error that concerns one photo alone is taken down, and does not stop the others."""
        try:
            yield
        except OUT_OF_MEMORY:
            self.failed.append((source, NO_MEMORY))
        except OSError as error:
            elsewhere = error.filename and str(error.filename) != str(source)  # where its result should go, say
            reason = error.strerror or str(error)
            self.failed.append((source, f"{reason}: {photos.shown(error.filename)}" if elsewhere else reason))
        except ColorlibError as error:
            self.failed.append((source, str(error)))

    @property
    def exit_status(self) -> int:
        """0 when every photo is there in color, 1 otherwise: also when one was left out that could be had."""
        return 1 if self.failed or self.left_out.keys() & {photos.RAW, photos.HEIC, photos.LOCKED} else 0

    def __str__(self) -> str:
        lines = [f"Photos that are in color now: {len(self.written):,}."]
        if self.kept:
            lines += [f"There already, and left as they are: {len(self.kept):,}. With --overwrite they are made anew."]
        if self.failed:
            lines += [f"Not colored: {len(self.failed):,}."]
        lines += [f"  {photos.shown(path)}: {reason}" for path, reason in sorted(self.failed)]
        lines += [f"  {photos.shown(path)}, which is colored: {note}" for path, note in sorted(self.notes)]
        return "\n".join([*lines, str(photos.Found((), self.left_out))]).rstrip()


def colorize_files(sources, out, settings, run="", strength=1.0, overwrite=False, progress=True) -> Report:
    """Colorize photographs, and all in folders and their subfolders, into the folder `out`; say what became of each.

    The results are PNG files, since JPEG would lose detail: `<name>.png`, under the same subfolders, and
    `<name>.jpg.png` where several photos share a name. For one photo, `out` may be a PNG file. Metadata is kept, but
    for the orientation, which is applied; colors are sRGB and say so. A result that is there already is kept unless
    `overwrite`; no input is ever replaced. A photo that cannot be read is skipped, counted and named; what is no photo
    is left out and listed. run: see `trained_model`. Raises `ColorlibError` when there is no trained run, or nothing
    to colorize.
    """
    _check(strength)
    report = Report()
    waiting = _targets([Path(source) for source in sources], Path(out), overwrite, report)
    if not (waiting or report.kept or report.failed):
        raise ColorlibError(f"There is no photo to colorize in {', '.join(map(photos.shown, sources))}.\n{report}")
    if waiting:
        model = trained_model(settings, run)
        model = _compiled(model) if len(waiting) > 1 else model
        threads = max(1, AT_A_TIME // len(waiting))  # of each photo: a single one is painted by all of them
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            done = pool.map(lambda path: _carry_out(path, waiting[path], model, strength, threads, report), waiting)
            list(tqdm(done, total=len(waiting), unit="photo", disable=not progress))
    print(report)
    return report


def _carry_out(source: Path, target: Path, model, strength: float, threads: int, report: Report) -> None:
    """Read a photo, paint it and write it, whole or not at all."""
    with report.taking_down_failures(source):
        photo = photos.read_whole(source)
        painted = paint(photo, predict(photo, model), strength, threads)
        target.parent.mkdir(parents=True, exist_ok=True)
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        with files.aside(target) as part:
            painted.save(part, "PNG", icc_profile=profile, compress_level=2, **photo.metadata)
        report.written.append(target)
        report.notes.extend((source, note) for note in photo.notes)


def _targets(sources: list[Path], out: Path, overwrite: bool, report: Report) -> dict[Path, Path]:
    """The photos to colorize, each with the file of its result. Those that share a name keep their endings: a.jpg.png.

    The others go into the report. Raises `ColorlibError` where `out` is a file that cannot hold the results.
    """
    folders, targets = {}, {}
    for source in sources:
        with report.taking_down_failures(source):
            folders |= _folders_of_results(source, out, report)
    is_file = photos.kind_of(out) == photos.PHOTOS  # it is named like a photo, and is no folder
    if is_file and (len(folders) != 1 or out.suffix.lower() != ".png"):
        raise ColorlibError(f"--out {photos.shown(out)} is a file. Give a folder, or for one photo a .png file.")
    taken = {_key(path) for path in folders}
    stems = {
        path: _key(folder / path.stem) for path, folder in folders.items() if photos.kind_of(path) == photos.PHOTOS
    }
    sharing = collections.Counter(stems.values())
    for path, folder in folders.items():
        target = out if is_file else folder / f"{path.stem if sharing[stems.get(path)] == 1 else path.name}.png"
        with report.taking_down_failures(path):
            if _key(target) in taken:
                raise ColorlibError("its result would replace an input or another result; choose another folder")
            taken.add(_key(target))
            # os.path: unlike Path's own methods it raises nothing where a folder above is locked.
            if not overwrite and os.path.exists(target):  # noqa: PTH110
                report.kept.append(target)
            else:
                targets[path] = target
    return targets


def _folders_of_results(source: Path, out: Path, report: Report) -> dict[Path, Path]:
    """The photos that `source` names or holds, each with the folder of its result. Results in it are none of them."""
    found, results = photos.find(source), out.resolve()
    for kind, paths in found.left_out.items():
        report.left_out[kind] = report.left_out.get(kind, ()) + paths
    root = source.parent if source in found.photos else source
    is_inside = root.resolve() in results.parents
    own = [path for path in found.photos if not (is_inside and results in path.resolve().parents)]
    return {path: out / path.parent.relative_to(root) for path in own}


def _key(path: Path) -> str:
    return str(path.resolve()).casefold()  # Windows and macOS take A.png for a.png


@functools.lru_cache(maxsize=1)
def _compiled(model):
    """A model's forward pass as a graph: a third of the time of one operation after the other."""
    forward = tf.function(model)
    forward.input_shape = model.input_shape
    return forward


# Which model.


def trained_model(settings, run="") -> keras.Model:
    """The model of a trained run: by its name, by its folder, or, for "", the one with the lowest plain validation MSE.

    Says which, and whether a newer one was trained on other photos. Raises `ColorlibError` naming what is there, and
    what makes the missing one.
    """
    folder = Path(run).expanduser()
    if len(folder.parts) > 1:
        folder = folder.resolve()
        if folder.parent.name != "runs":
            raise ColorlibError(f"{run} is no run: give its folder, such as results/sample/runs/baseline, or its name.")
        settings = settings.replace(results_folder=folder.parent.parent, keep_folder=None)
    trained = {each.name: each for each in runs.list_runs(settings) if each.best_epoch}
    errors = {name: each.history[each.best_epoch - 1]["val_mse"] for name, each in trained.items()}
    name, results = folder.name or min(errors, key=errors.get, default="model"), settings.results_folder
    newest = max(results.parent.glob("*/runs/*/history.csv"), key=lambda path: path.stat().st_mtime, default=results)
    hint = f"\nA newer run was trained on other photos. To take it: --run {photos.shown(newest.parent)}"
    hint *= not run and not newest.is_relative_to(results)
    if name not in trained:
        make = f"python -m colorlib train {name if name in MODELS else 'baseline'}"
        text = f"There is no trained {name} in {results}; trained are: {', '.join(trained) or 'none'}."
        raise ColorlibError(f"{text} Notebooks 04 to 06 make such runs, or: {make}{hint}")
    print(f"{_described(trained[name])}{hint}")
    return trained[name].build_model()


def _described(run) -> str:
    """A run for a reader: its photos, its age and how much it has learned."""
    history = run.folder / "history.csv"  # not there where only a copy elsewhere holds the run
    day = f" until {datetime.date.fromtimestamp(history.stat().st_mtime):%d %B %Y}" if history.exists() else ""
    text = f"Colors by the run {run.name}, trained on {Path(run.settings.data).name}{day}: "
    text += f"epoch {run.best_epoch} of {len(run.history)}, its best."
    seen = run.history[0]["steps"] * run.settings.batch_size  # the last step of an epoch may have fewer
    text += f" It has learned from {seen:,} photos at the most: expect few colors." * (seen < FEW_PHOTOS)
    return text + " It began with random weights: expect little." * (run.settings.weights == "none")
