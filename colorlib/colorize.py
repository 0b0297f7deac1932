"""Photographs of any size in, the same photographs in color out: not one detail of the original is lost.

The model sees the photo's lightness, small; the colors that it predicts are scaled up and joined with the lightness of
every pixel as it was. Where a color is not on any screen, its chroma shrinks and its lightness stays. The model is the
colorizer in the box, unless a run of one's own is asked for.
"""

import collections
import contextlib
import dataclasses
import functools
import io
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import ExifTags, Image, ImageCms
from tqdm.auto import tqdm

from colorlib import ColorlibError, lab, losses, models, prior, runs
from colorlib.settings import ROOT
from colorlib.sources import files, photos

BOX = ROOT / "data" / "weights" / "colorizer.npz"
# How a distribution becomes colors where nothing is said: see `choose` of tests/benchmarks/vivid.py. A λ of 0 would
# trust the counts of colors that hardly occur, which few photos do not have.
VIVIDNESS, LAMBDA, TEMPERATURE = 0.5, 0.02, 1.0
LOOK = 128  # pixels: the longer side of what a model of any size sees, chosen likewise
AT_A_TIME = min(4, os.cpu_count() or 1)  # photos in memory: a large one needs 12 bytes a pixel
STRIP_PIXELS = 1_000_000  # painted at a time
HALVINGS = 8  # of the interval that holds the largest chroma: found to 1/256
# How far linear light may lie outside [0, 1] and still count as inside: less than half an 8-bit level.
BELOW, ABOVE = -1e-4, 1 + 1e-3
NOTEBOOKS = {
    "baseline": "04_train_baseline",
    "rebalanced": "05_train_rebalanced",
    "efficientnet": "06_train_efficientnet",
    "vivid": "09_beyond_the_mean",
}


def colorize(source, model: keras.Model, strength: float = 1.0, **choices) -> Image.Image:
    """One photograph in color: mode "RGB", or "RGBA" where it has transparency, upright, sRGB, of its own size.

    source: a path, a file's bytes, a `PIL.Image`, or an array (h, w), (h, w, 3) or (h, w, 4) of uint8, or (h, w) of
    uint16. strength: times the predicted chroma; 0 gives gray. choices: see `coloring`. Raises `photos.PhotoError` when
    it cannot be read, `ColorlibError` for a choice out of its range.
    """
    losses.check_choices(strength=strength)
    to_colors = coloring(model, **choices)
    photo = photos.read_whole(_encoded(source))
    return paint(photo, np.asarray(to_colors(predict(photo, model))), strength)


def coloring(model: keras.Model, vividness=VIVIDNESS, lambda_=LAMBDA, temperature=TEMPERATURE):
    """The function from what a model gives to ab / 128: it gives them already, or the logits of `lab.NODES`.

    vividness: γ of `losses.color_of`, in [0, 1]. 0 is the mean of all colors, pale and safe; the more, the more a rare
    color counts. lambda_: λ of the rarity's weights, Eq. 3, in [0, 1]. temperature: in [0.1, 2]; below 1, probable
    colors count more. Raises `ColorlibError` for values outside.
    """
    losses.check_choices(vividness, temperature, lambda_)
    if not is_vivid(model):
        return lambda ab: ab
    v = prior.node_weights(np.asarray(model.get_layer("head").counts), lambda_)
    return lambda logits: losses.color_of(logits, v, vividness, temperature)


def is_vivid(model) -> bool:
    """Whether a model gives a distribution of colors, and not one color."""
    return model.output_shape[-1] == len(lab.NODES)


def predict(photo: photos.Photograph, model) -> np.ndarray:
    """What a model gives for a photo, (height, width, 2 or n), at its own scale.

    A model of any size sees the photo with a longer side of `LOOK` pixels, continued as in a mirror up to multiples of
    32, which are cut off again. Another sees it squeezed to a square, as it was trained.
    """
    height, width = model.input_shape[1:3]
    is_any_size = height is None
    if is_any_size:
        scale = LOOK / max(photo.image.size)
        width, height = (max(4, round(side * scale / 4) * 4) for side in photo.image.size)
    small = photo.image.resize((width, height), Image.Resampling.BILINEAR, reducing_gap=3.0)
    L = _lightness(np.asarray(small)) / lab.L_SCALE
    if is_any_size:
        L = np.pad(L, [(0, -height % 32), (0, -width % 32)], mode="symmetric")
    L = L[None, ..., None]
    given = np.asarray(traced(model, L.shape[1:3])(L))[0]
    stride = L.shape[1] // len(given)
    return given[: height // stride, : width // stride]


@functools.lru_cache(maxsize=16)  # a model of any size sees at most 15 of them
def traced(model, size):
    """A model's forward pass over photos of (height, width) as a graph: a third of the time of one step at a time."""
    forward = tf.function(lambda L: model(L, training=False), input_signature=[tf.TensorSpec((None, *size, 1))])
    return forward.get_concrete_function()  # traced now: TensorFlow warns where several models are traced by a call


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
    # Of its EXIF the orientation alone: a photo editor leaves the size and layout of another file in there.
    buffer, exif = io.BytesIO(), Image.Exif()
    exif[ExifTags.Base.Orientation] = image.getexif().get(ExifTags.Base.Orientation, 1)
    image.save(buffer, "TIFF", exif=exif, icc_profile=image.info.get("icc_profile"))
    return buffer.getvalue()


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
        except (MemoryError, tf.errors.ResourceExhaustedError):
            self.failed.append((source, f"out of memory: nothing was written for it. {photos.FREE_MEMORY}"))
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


def colorize_files(sources, out, settings, run="", strength=1.0, overwrite=False, progress=True, **choices) -> Report:
    """Colorize photographs, and all in folders and their subfolders, into the folder `out`; say what became of each.

    The results are PNG files, since JPEG would lose detail: `<name>.png`, under the same subfolders, and
    `<name>.jpg.png` where several photos share a name. For one photo, `out` may be a PNG file. Metadata is kept, but
    for the orientation, which is applied; colors are sRGB and say so. A result that is there already is kept unless
    `overwrite`; no input is ever replaced. A photo that cannot be read is skipped, counted and named; what is no photo
    is left out and listed. run: see `model_of`; choices: see `coloring`. Raises `ColorlibError` when there is no such
    run, nothing to colorize, or a choice is out of its range.
    """
    losses.check_choices(strength=strength, **choices)
    report = Report()
    waiting = _targets([Path(source) for source in sources], Path(out), overwrite, report)
    if not (waiting or report.kept or report.failed):
        raise ColorlibError(f"There is no photo to colorize in {', '.join(map(photos.shown, sources))}.\n{report}")
    if waiting:
        model = model_of(settings, run)
        if choices and not is_vivid(model):
            raise ColorlibError(f"{run} gives one color, not many: --vividness does not apply; --strength does.")
        to_colors = coloring(model, **choices)
        threads = max(1, AT_A_TIME // len(waiting))  # of each photo: a single one is painted by all of them

        def painted(photo):
            return paint(photo, np.asarray(to_colors(predict(photo, model))), strength, threads)

        with ThreadPoolExecutor(AT_A_TIME) as pool:
            done = pool.map(lambda path: _carry_out(path, waiting[path], painted, report), waiting)
            list(tqdm(done, total=len(waiting), unit="photo", disable=not progress))
    print(report)
    return report


def _carry_out(source: Path, target: Path, painted, report: Report) -> None:
    """Read a photo, paint it and write it, whole or not at all."""
    with report.taking_down_failures(source):
        photo = photos.read_whole(source)
        result = painted(photo)
        target.parent.mkdir(parents=True, exist_ok=True)
        profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
        with files.aside(target) as part:
            result.save(part, "PNG", icc_profile=profile, compress_level=2, **photo.metadata)
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


# Which model.


def model_of(settings, run="") -> keras.Model:
    """The colorizer in the box, or the model of a trained run, by its name. Says which.

    Raises `ColorlibError` naming what makes a missing one.
    """
    if not run:
        return box()
    trained = runs.Run(settings, run)
    model, epochs = trained.build_model(), f"epoch {trained.best_epoch} of {len(trained.history)}, its best"
    print(f"Colors by the run {run}, trained on {Path(trained.settings.data).name}: {epochs}.")
    return model


def box() -> keras.Model:
    """The colorizer that comes with the project, data/weights/colorizer.npz, for photos of any size. Says so."""
    model, about = models.load_whole(BOX)
    print(f"Colors by the colorizer in the box, which has learned from {about['photos']}.")
    return model
