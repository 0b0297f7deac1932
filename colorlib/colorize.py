"""Photographs of any size in, the same photographs in color out: not one detail of the original is lost.

The model sees the photo's lightness at its own small size; the colors that it predicts are scaled up and joined with
the lightness of every pixel as it was. Where a color is not on any screen, its chroma shrinks and its lightness stays.
"""

import dataclasses
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

BATCH = 8  # photos a forward pass
BATCH_PIXELS = 16_000_000  # and no more than this in memory at a time, but for a single larger photo
STRIP_PIXELS = 1_000_000  # painted at a time
HALVINGS = 8  # of the interval that holds the largest chroma: found to 1/256
# How far linear light may lie outside [0, 1] and still count as inside: less than half an 8-bit level.
BELOW, ABOVE = -1e-4, 1 + 1e-3
NOTEBOOKS = dict(zip(MODELS, ("04_train_baseline", "05_train_rebalanced", "06_train_efficientnet"), strict=True))
NO_MEMORY = (
    "out of memory: nothing was written for it. Close other programs or notebooks (Runtime > Manage sessions), "
    "choose a runtime with more memory, or make the photo smaller"
)


def colorize(source, model: keras.Model, strength: float = 1.0) -> Image.Image:
    """One photograph in color: mode "RGB", or "RGBA" where it has transparency, upright, sRGB, of its own size.

    source: a path, a file's bytes, a `PIL.Image`, or an array (h, w), (h, w, 3) or (h, w, 4) of uint8, or (h, w) of
    uint16. strength: times the predicted chroma; 0 gives gray. Raises `photos.PhotoError` when it cannot be read,
    `ColorlibError` for a negative strength and when memory does not suffice.
    """
    photo = photos.read_whole(_encoded(source))
    try:
        return paint(photo, predict([photo], model)[0], _checked(strength))
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise ColorlibError(f"The photo of {photo.image.width} × {photo.image.height} is {NO_MEMORY}.") from error


def predict(photographs: list, model: keras.Model, over=map) -> np.ndarray:
    """The ab / 128 that a model predicts, (photos, size, size, 2), at the model's own size, of `photos.Photograph`s.

    over: `map`, or a pool's.
    """
    size = (model.input_shape[1],) * 2

    def small(photo):
        return _lightness_of(np.asarray(photo.image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)))

    L = np.stack(list(over(small, photographs)))[..., None] / lab.L_SCALE
    if len(L) < BATCH:  # compiling for every size of a batch would take longer than it saves
        return np.asarray(model(L, training=False))
    return model.predict_on_batch(L)


def paint(photo, ab, strength: float = 1.0, over=map) -> Image.Image:
    """The photo's own lightness in the colors `ab` / 128, (s, s, 2), scaled to its size. `over`: `map`, or a pool's."""
    image, result = photo.image, np.empty((photo.image.height, photo.image.width, 3), np.uint8)
    planes = [Image.fromarray(np.ascontiguousarray(ab[..., i], np.float32)) for i in (0, 1)]
    rows = max(1, STRIP_PIXELS // image.width)

    def strip(top):
        bottom = min(top + rows, image.height)
        # The box is in pixels of the small plane; Pillow looks past its edges, so that strips leave no seams.
        box = [0, top * ab.shape[0] / image.height, ab.shape[1], bottom * ab.shape[0] / image.height]
        scaled = [p.resize((image.width, bottom - top), Image.Resampling.BILINEAR, box) for p in planes]
        L = _lightness(photo, top, bottom)
        color = np.stack([L, *(np.asarray(plane) * (strength * lab.AB_SCALE) for plane in scaled)], axis=-1)
        result[top:bottom] = _codes().take((_linear_in_gamut(color) * 65535 + 0.5).astype(np.uint16))

    for _ in over(strip, range(0, image.height, rows)):
        pass
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
        there = color[outside]
        low, high = np.zeros((len(there), 1), np.float32), np.ones((len(there), 1), np.float32)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            beyond = _outside(lab.lab_to_linear(_shrunk(there, middle)))[:, None]
            low, high = np.where(beyond, low, middle), np.where(beyond, middle, high)
        linear[outside] = lab.lab_to_linear(_shrunk(there, low))
    return np.clip(linear, 0, 1)


def _outside(linear):
    """Where linear light lies outside sRGB: (..., 3) -> (...). Planes: faster than `any` of an axis of 3."""
    r, g, b = np.moveaxis(linear, -1, 0)
    return (np.minimum(np.minimum(r, g), b) < BELOW) | (np.maximum(np.maximum(r, g), b) > ABOVE)


def _shrunk(color, factor):
    return np.concatenate([color[:, :1], color[:, 1:] * factor], axis=-1)


def _lightness(photo, top, bottom):
    """L of some rows at the photo's full depth, (rows, width) in [0, 100]."""
    if photo.gray is not None:
        return _levels(65536)[photo.gray[top:bottom]]
    return _lightness_of(np.asarray(photo.image.crop((0, top, photo.image.width, bottom))))


def _lightness_of(rgb):
    """L of 8-bit RGB, (h, w, 3) -> (h, w) in [0, 100]; of a gray picture by a table, a tenth of the time."""
    red, green, blue = np.moveaxis(rgb, -1, 0)  # compared by planes: a quarter of the time
    if (red == green).all() and (green == blue).all():
        return _levels(256).take(red)
    return lab.lightness(rgb.astype(np.float32) / 255)


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


def _checked(strength):
    if not 0 <= strength < 10:
        raise ColorlibError(
            f"The strength is {strength!r}; it must be 0 (gray), 1 (as predicted) or between, up to 10."
        )
    return strength


# Files.


@dataclasses.dataclass
class Job:
    """One photo on its way: from `source` to `target`, or to the `reason` why not."""

    source: Path
    target: Path
    photo: photos.Photograph | None = None
    ab: np.ndarray | None = None
    reason: str = ""


@dataclasses.dataclass
class Report:
    """What became of the photos: paths, and (path, reason) of those that failed or have something to be said."""

    written: list = dataclasses.field(default_factory=list)
    kept: list = dataclasses.field(default_factory=list)
    failed: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)

    @property
    def exit_status(self) -> int:
        """0 when every photo is there in color, 1 otherwise."""
        return 1 if self.failed else 0

    def __str__(self) -> str:
        lines = [f"{len(self.written):,} colored, {len(self.kept):,} there already, {len(self.failed):,} skipped."]
        lines += [f"  {path}: {note}" for path, note in self.notes]
        lines += [f"  skipped {path}: {reason}" for path, reason in self.failed]
        return "\n".join(lines)


def colorize_files(sources, out, settings, run="", strength=1.0, overwrite=False, progress=True) -> Report:
    """Colorize photographs, and all in folders and their subfolders, into the folder `out`; say what became of each.

    The results are PNG files, since JPEG would lose detail: `<name>.png`, under the same subfolders. Metadata is kept,
    but for the orientation, which is applied; colors are sRGB and say so. A result that is there already is kept unless
    `overwrite`; no input is ever replaced. A photo that cannot be read is skipped, counted and named. run: see
    `trained_model`. Raises `ColorlibError` when there is no trained run, or nothing to colorize.
    """
    _checked(strength)
    report = Report()
    jobs = list(_jobs([Path(source) for source in sources], Path(out), report))
    if not jobs and not report.failed:
        raise ColorlibError(f"There is no file to colorize in {', '.join(map(str, sources))}.")
    # os.path, here and below: unlike Path's own methods it raises nothing where a folder above is locked.
    there = set() if overwrite else {job.target for job in jobs if os.path.exists(job.target)}  # noqa: PTH110
    report.kept = [job.target for job in jobs if job.target in there]
    jobs = [job for job in jobs if job.target not in there]
    if jobs:
        model = trained_model(settings, run)
        bar = tqdm(total=len(jobs), unit="photo", disable=not progress)
        with ThreadPoolExecutor(os.cpu_count()) as pool, bar:
            for chunk in _chunks(jobs):
                _colorize_chunk(chunk, model, strength, pool)
                for job in chunk:
                    if job.reason:
                        report.failed.append((job.source, job.reason))
                    else:
                        report.written.append(job.target)
                        report.notes += [(job.source, note) for note in job.photo.notes]
                    job.photo = job.ab = None
                bar.update(len(chunk))
    print(report)
    return report


def trained_model(settings, run="") -> keras.Model:
    """The model of a trained run: of one of `MODELS`, of a run's folder, or, for "", of the one with the lowest plain
    validation MSE. Says which. Raises `ColorlibError` naming what is there, and what makes the missing one.
    """
    if run not in ("", *MODELS):
        folder = Path(run).expanduser().resolve()
        if folder.name not in MODELS or folder.parent.name != "runs":
            raise ColorlibError(
                f"{run} is no run. Valid: {', '.join(MODELS)}, or a run's folder such as results/runs/baseline."
            )
        settings, run = settings.replace(results_folder=folder.parent.parent, keep_folder=None), folder.name
    trained = {name: each for name in MODELS if (each := runs.Run(settings, name)).best_epoch}
    wanted = run or min(trained, key=lambda name: _validation_mse(trained[name]), default="")
    if wanted not in trained:
        name = wanted or "baseline"
        raise ColorlibError(
            f"There is no trained {wanted or 'model'} yet"
            + (f" (but there is: {', '.join(trained)})" if trained else "")
            + f". Notebook {NOTEBOOKS[name]} makes one, or: python -m colorlib train {name}"
        )
    print(f"Colors by the run {wanted}, epoch {trained[wanted].best_epoch}.")
    return trained[wanted].build_model()


def photos_in(paths) -> list[Path]:
    """The files among `paths`, and in its folders those whose names end as a photo's does."""
    endings, found = Image.registered_extensions(), []
    for path in paths:
        found += [path] if path.is_file() else [p for p in sorted(path.rglob("*.*")) if p.suffix.lower() in endings]
    return found


def _validation_mse(run):
    return next(row["val_mse"] for row in run.history if row["epoch"] == run.best_epoch)


def _jobs(sources, out, report):
    """A job for every file; what cannot become one goes into the report."""
    found = {}
    for source in sources:
        if not os.path.isdir(source):  # noqa: PTH112
            found[source] = out / f"{source.stem}.png"
            continue
        walk = os.walk(source, onerror=lambda error: report.failed.append((Path(error.filename), error.strerror)))
        for path in sorted(Path(folder) / name for folder, _, names in walk for name in names if name[0] != "."):
            if not path.resolve().is_relative_to(out.resolve()) or source.resolve() == out.resolve():
                found[path] = out / path.relative_to(source).with_suffix(".png")
    inputs, taken = {source.resolve() for source in found}, {}
    for source, target in found.items():
        if target.resolve() in inputs:
            report.failed.append((source, "its result would replace an input; choose another folder for the results"))
        elif target in taken:
            report.failed.append((source, f"its result would have the same name as that of {taken[target]}"))
        else:
            taken[target] = source
            yield Job(source, target)


def _chunks(jobs):
    """Jobs in lists of at most `BATCH` photos and about `BATCH_PIXELS`."""
    chunk, held = [], 0
    for job in jobs:
        try:
            with Image.open(job.source) as image:
                pixels = image.width * image.height
        except Exception:  # it will be read, and its reason told, in its turn
            pixels = 0
        if chunk and (len(chunk) == BATCH or held + pixels > BATCH_PIXELS):
            yield chunk
            chunk, held = [], 0
        chunk.append(job)
        held += pixels
    if chunk:
        yield chunk


def _colorize_chunk(chunk, model, strength, pool):
    """Bring each job to its target or to its reason."""
    list(pool.map(lambda job: _attempt([job], _read), chunk))
    good = [job for job in chunk if not job.reason]
    if good:
        _attempt(good, _color, good, model, pool.map)
    good = [job for job in good if not job.reason]
    if len(good) == 1:  # one large photo: its strips side by side, else the photos
        _attempt(good, _write, good[0], strength, pool.map)
    else:
        list(pool.map(lambda job: _attempt([job], _write, job, strength), good))


def _attempt(jobs, step, *arguments):
    """Do a step for some jobs; if it fails they get the reason."""
    try:
        step(*(arguments or jobs))
    except (ColorlibError, OSError, MemoryError, tf.errors.ResourceExhaustedError) as error:
        for job in jobs:
            job.reason = _told(error)


def _told(error):
    if isinstance(error, (MemoryError, tf.errors.ResourceExhaustedError)):
        return NO_MEMORY
    return f"{error.strerror}: {error.filename}" if isinstance(error, OSError) and error.filename else str(error)


def _read(job):
    job.photo = photos.read_whole(job.source)


def _color(jobs, model, over):
    for job, ab in zip(jobs, predict([job.photo for job in jobs], model, over), strict=True):
        job.ab = ab


def _write(job, strength, over=map):
    """Paint the photo and write it, whole or not at all."""
    job.target.parent.mkdir(parents=True, exist_ok=True)
    painted = paint(job.photo, job.ab, strength, over)
    with files.aside(job.target) as part:
        painted.save(part, "PNG", icc_profile=_srgb_profile(), compress_level=2, **job.photo.metadata)


@functools.cache
def _srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
