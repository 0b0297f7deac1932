"""Photographs of any size in, the same photographs in color out: not one detail of the original is lost.

The model sees the photo's lightness at its own small size; the colors that it predicts are scaled up and joined with
the lightness of every pixel as it was. Where a color is not on any screen, its chroma shrinks and its lightness stays.
"""

import collections
import dataclasses
import datetime
import functools
import io
import os
import time
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
        return paint(photo, predict(photo, model), _checked(strength))
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise ColorlibError(f"The photo of {photo.image.width} × {photo.image.height} is {NO_MEMORY}.") from error


def predict(photo: photos.Photograph, model) -> np.ndarray:
    """The ab / 128 that a model predicts for a photo, (size, size, 2), at the model's own size."""
    size = (model.input_shape[1],) * 2
    small = photo.image.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0)
    return np.asarray(model(_lightness_of(np.asarray(small))[None, ..., None] / lab.L_SCALE, training=False))[0]


def paint(photo: photos.Photograph, ab: np.ndarray, strength: float = 1.0, threads: int = AT_A_TIME) -> Image.Image:
    """The photo's own lightness in the colors `ab` / 128, (s, s, 2), scaled to its size."""
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

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(strip, range(0, image.height, rows)))
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
    notes: tuple[str, ...] = ()
    reason: str = ""


@dataclasses.dataclass
class Report:
    """What became of the photos: paths, and (path, reason) of those that failed or have something to be said."""

    written: list = dataclasses.field(default_factory=list)
    kept: list = dataclasses.field(default_factory=list)
    failed: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)
    left_out: dict = dataclasses.field(default_factory=dict)  # see `photos.Found`

    def add(self, job: Job) -> None:
        """Take down what became of a job."""
        if job.reason:
            self.failed.append((job.source, job.reason))
        else:
            self.written.append(job.target)
            self.notes += [(job.source, note) for note in job.notes]

    @property
    def exit_status(self) -> int:
        """0 when every photo is there in color, 1 otherwise: also when one was left out that could be had."""
        return 1 if self.failed or self.left_out.keys() & photos.ADVICE.keys() else 0

    def __str__(self) -> str:
        lines = [f"Photos that are in color now: {len(self.written):,}."]
        if self.kept:
            lines.append(
                f"There already, and left as they are: {len(self.kept):,}. With --overwrite they are made anew."
            )
        if self.failed:
            lines.append(f"Not colored: {len(self.failed):,}.")
        lines += [f"  {photos.shown(path)}: {reason}" for path, reason in self.failed]
        lines += [f"  {photos.shown(path)}, which is colored: {note}" for path, note in self.notes]
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
    _checked(strength)
    report, waiting = Report(), []
    for job in _jobs([Path(source) for source in sources], Path(out), report):
        # os.path, here and below: unlike Path's own methods it raises nothing where a folder above is locked.
        if overwrite or not os.path.exists(job.target):  # noqa: PTH110
            waiting.append(job)
        else:
            report.kept.append(job.target)
    if not (waiting or report.kept or report.failed):
        raise ColorlibError(f"There is no photo to colorize in {', '.join(map(photos.shown, sources))}.\n{report}")
    if waiting:
        model = trained_model(settings, run)
        model = _compiled(model) if len(waiting) > 1 else model
        with ThreadPoolExecutor(AT_A_TIME) as pool:
            threads = max(1, AT_A_TIME // len(waiting))  # of each photo: a single one is painted by all of them
            done = pool.map(lambda job: _carry_out(job, model, strength, threads), waiting)
            for job in tqdm(done, total=len(waiting), unit="photo", disable=not progress):
                report.add(job)
    print(report)
    return report


def _jobs(sources, out, report) -> list[Job]:
    """A job for every photo; what cannot become one goes into the report."""
    folders = {}  # photo -> the folder of its result
    for source in sources:
        is_folder = os.path.isdir(source)  # noqa: PTH112
        try:
            found = photos.find(source) if is_folder else photos.look(source)
        except OSError as error:
            report.failed.append((source, error.strerror))
            continue
        report.left_out |= {kind: report.left_out.get(kind, ()) + paths for kind, paths in found.left_out.items()}
        for path in found.photos:
            if not is_folder or source.resolve() == out.resolve() or not path.resolve().is_relative_to(out.resolve()):
                folders[path] = out / path.parent.relative_to(source) if is_folder else out
    inputs, jobs = {path.resolve() for path in folders}, {}
    for path, target in _targets(folders, out).items():
        other, reason = jobs.get(_key(target)), ""
        if target.resolve() in inputs:
            reason = "its result would replace an input; choose another folder for the results"
        elif other:
            reason = f"its result would have the same name as that of {photos.shown(other.source)}"
        if reason:
            report.failed.append((path, reason))
        else:
            jobs[_key(target)] = Job(path, target)
    return list(jobs.values())


def _targets(folders, out) -> dict[Path, Path]:
    """The file of each photo's result. Photos that share a name keep their endings: a.jpg.png."""
    if photos.kind_of(out) is None:  # it is named like a photo, and is no folder
        if len(folders) != 1 or out.suffix.lower() != ".png":
            raise ColorlibError(f"--out {photos.shown(out)} is a file. Give a folder, or for one photo a .png file.")
        return dict.fromkeys(folders, out)
    stems = {path: _key(folder / path.stem) for path, folder in folders.items() if photos.kind_of(path) is None}
    sharing = collections.Counter(stems.values())
    names = {path: path.stem if sharing[stems.get(path)] == 1 else path.name for path in folders}
    return {path: folder / f"{names[path]}.png" for path, folder in folders.items()}


def _key(path: Path) -> str:
    return str(path).casefold()  # Windows and macOS take A.png for a.png


@functools.lru_cache(maxsize=1)
def _compiled(model):
    """A model's forward pass as a graph: a third of the time of one operation after the other."""
    forward = tf.function(model)
    forward.input_shape = model.input_shape
    return forward


def _carry_out(job: Job, model, strength: float, threads: int) -> Job:
    """Read a photo, paint it and write it, whole or not at all. The job gets its notes, or the reason why not."""
    try:
        photo = photos.read_whole(job.source)
        painted = paint(photo, predict(photo, model), strength, threads)
        job.target.parent.mkdir(parents=True, exist_ok=True)
        with files.aside(job.target) as part:
            painted.save(part, "PNG", icc_profile=_srgb_profile(), compress_level=2, **photo.metadata)
        job.notes = photo.notes
    except (MemoryError, tf.errors.ResourceExhaustedError):
        job.reason = NO_MEMORY
    except OSError as error:
        job.reason = f"{error.strerror}: {photos.shown(error.filename)}" if error.filename else str(error)
    except ColorlibError as error:
        job.reason = str(error)
    return job


@functools.cache
def _srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


# Which model.


def trained_model(settings, run="") -> keras.Model:
    """The model of a trained run: by its name, by its folder, or, for "", of the one of `MODELS` with the lowest plain
    validation MSE. Says which, and whether a newer one was trained on other photos. Raises `ColorlibError` naming what
    is there, and what makes the missing one.
    """
    folder = Path(run).expanduser()
    if len(folder.parts) > 1:
        folder = folder.resolve()
        if folder.parent.name != "runs":
            raise ColorlibError(f"{run} is no run: give its folder, such as results/sample/runs/baseline, or its name.")
        settings = settings.replace(results_folder=folder.parent.parent, keep_folder=None)
    names = [*MODELS, *({folder.name} - {"", *MODELS})]
    trained = {name: each for name in names if (each := runs.Run(settings, name)).best_epoch}
    wanted = folder.name or min(trained, key=lambda name: _validation_mse(trained[name]), default="model")
    last = _last_epoch(trained[wanted].folder) if wanted in trained else 0
    results = settings.results_folder
    newer = [path.parent for path in results.parent.glob("*/runs/*/history.csv") if not path.is_relative_to(results)]
    newer = [] if run else [each for each in newer if _last_epoch(each) > last]
    hints = [f"\nA newer run was trained on other photos. To take it: --run {photos.shown(each)}" for each in newer]
    if wanted not in trained:
        name = wanted if wanted in MODELS else "baseline"
        there = f" (but there is: {', '.join(trained)})" if trained else ""
        raise ColorlibError(
            f"There is no trained {wanted} in {results}{there}. Notebook {NOTEBOOKS[name]} makes one, or: "
            f"python -m colorlib train {name}{''.join(hints)}"
        )
    print(_described(trained[wanted]), *hints, sep="")
    return trained[wanted].build_model()


def _described(run) -> str:
    """A run for a reader: its photos, its age and how much it has learned."""
    day = datetime.date.fromtimestamp(_last_epoch(run.folder) or time.time())
    text = f"Colors by the run {run.folder.name}, trained on {Path(run.settings.data).name} until {day:%d %B %Y}: "
    text += f"epoch {run.best_epoch} of {len(run.history)}, its best."
    seen = run.history[0]["steps"] * run.settings.batch_size  # the last step of an epoch may have fewer
    text += f" It has learned from {seen:,} photos at the most: expect few colors." * (seen < FEW_PHOTOS)
    return text + " It began with random weights: expect little." * (run.settings.weights == "none")


def _validation_mse(run) -> float:
    return run.history[run.best_epoch - 1]["val_mse"]


def _last_epoch(folder: Path) -> float:
    """When a run's last epoch was done, in seconds as of `time.time`; 0 where only a copy elsewhere holds the run."""
    path = folder / "history.csv"
    return path.stat().st_mtime if path.exists() else 0.0
