"""The color prior: how often each ab color occurs in the training split, and Eq. 3's weight of each.

Bins are squares of `bin_width` ab units, centred on multiples of it, so that neutral is the middle of a bin. Rows are a
and columns b. The histogram is made of integers, so that it can be counted in parts, by any number of workers, and
summed in any order to the same bits. p′ is a density on the square [-1, 1]² of ab / 128 (its integral is 1), because
Eq. 3 mixes it with the uniform density there, which is 1/4.
"""

import dataclasses
import functools
import io
import os
from pathlib import Path

import numpy as np
import tensorflow as tf
from tqdm.auto import tqdm

from colorlib import ColorlibError, batches, lab
from colorlib.sources import files

NEAR_GRAY = 5.0  # ab units: photos without any |a| or |b| above it are left out
_CHUNK = 2**22  # pixels looked up at once, so that a photo of 100 megapixels needs no gigabyte


def centers(bin_width: float) -> np.ndarray:
    """The bins' centres on either axis, in ab units: multiples of the width, as many as cover [-128, 128]."""
    half = int(np.ceil(lab.AB_SCALE / bin_width - 0.5))
    return bin_width * np.arange(-half, half + 1)


def bins_of(ab: np.ndarray, bin_width: float) -> np.ndarray:
    """Each color's bin along both axes: int (..., 2), of ab in ab units (..., 2). Colors beyond the last are in it."""
    half = len(centers(bin_width)) // 2
    return np.clip(np.floor(np.asarray(ab) / bin_width + 0.5).astype(np.int64) + half, 0, 2 * half)


def count(paths, bin_width=8.0, every=1, progress=False, near_gray: list | None = None) -> np.ndarray:
    """The ab histogram of photos as they are stored: int64 (n, n), n = len(centers(bin_width)); memory is constant.

    every: look only at each so-many-th pixel of each so-many-th row. near_gray: a list to which the paths of the photos
    are added that do not count, because no |a| or |b| in them is above 5.
    Raises `ColorlibError` naming the photo that cannot be decoded.
    """
    table, bins = _bin_of_color(float(bin_width)), len(centers(bin_width))
    total = np.zeros(bins * bins, np.int64)
    stream = tf.data.Dataset.from_tensor_slices(tf.constant(list(paths), tf.string))
    stream = stream.map(batches.pixels, num_parallel_calls=os.cpu_count()).prefetch(8).with_options(batches.options())
    photos = tqdm(stream.as_numpy_iterator(), "counting colors", len(paths), disable=not progress, delay=2)
    with batches.photo_errors(paths):
        for path, photo in zip(paths, photos, strict=True):
            by_color = _counts(photo[::every, ::every], table, 2 * bins * bins).reshape(2, -1)
            if by_color[1].any():
                total += by_color.sum(axis=0)
            elif near_gray is not None:
                near_gray.append(path)
    return total.reshape(bins, bins)


def density(counts: np.ndarray, bin_width: float, sigma: float) -> np.ndarray:
    """p′ of Eq. 3: the histogram as a density on [-1, 1]², smoothed; float64 (n, n), sum · Δ² = 1, Δ = bin_width / 128.

    The Gaussian has standard deviation `sigma` in ab units along both axes of the plane, and ends at 6 σ.
    """
    smooth = counts.astype(np.float64)
    if sigma > 0:
        away = centers(bin_width)[:, None] - centers(bin_width)
        kernel = np.exp(-0.5 * (away / sigma) ** 2) * (np.abs(away) <= 6 * sigma)
        smooth = kernel @ smooth @ kernel
    return smooth / (smooth.sum() * (bin_width / lab.AB_SCALE) ** 2)


def weights(density: np.ndarray, bin_width: float, lambda_: float) -> np.ndarray:
    """v of Eq. 3: float64 (n, n), inversely proportional to (1 - λ) p′ + λ / 4, with Σ p′ v Δ² = 1.

    Where p′ is 0 and so is λ, v is that of the smallest positive p′: no weight is ever infinite.
    """
    mixed = (1 - lambda_) * density + lambda_ / 4
    v = 1 / np.maximum(mixed, mixed[density > 0].min()) if lambda_ == 0 else 1 / mixed
    return v / (density * v).sum() / (bin_width / lab.AB_SCALE) ** 2


def node_counts(paths, progress=False) -> np.ndarray:
    """How often each of `lab.NODES` is the nearest one in photos, int64 (n,), by each second pixel of each second row.

    Raises `ColorlibError` where no photo has color, or one cannot be decoded.
    """
    counts = count(paths, lab.NODE_STEP, every=2, progress=progress)
    a, b = bins_of(lab.NODES, lab.NODE_STEP).T
    return Prior(counts, lab.NODE_STEP, sigma=0.0, lambda_=0.0, split_checksum="").counts[a, b]


def node_weights(counts: np.ndarray, lambda_: float, sigma: float = 5.0) -> np.ndarray:
    """v of Eq. 3 of `lab.NODES`, float64 (n,), of how often each of them occurs, (n,)."""
    a, b = bins_of(lab.NODES, lab.NODE_STEP).T
    grid = np.zeros((len(centers(lab.NODE_STEP)),) * 2)
    grid[a, b] = counts
    return weights(density(grid, lab.NODE_STEP, sigma), lab.NODE_STEP, lambda_)[a, b]


@dataclasses.dataclass(frozen=True, eq=False)
class Prior:
    """A histogram and the settings that make p′ and v of it. Raises `ColorlibError` where nothing was counted."""

    counts: np.ndarray  # int64 (n, n), rows a, columns b
    bin_width: float  # ab units
    sigma: float  # ab units
    lambda_: float
    split_checksum: str  # of the split whose training photos were counted

    def __post_init__(self):
        if not self.counts.any():
            nothing = f"There is no photo with color: all a and b are within {NEAR_GRAY:g} units of gray."
            raise ColorlibError(f"{nothing} A colorizer cannot learn from them; choose color photographs.")

    @functools.cached_property
    def density(self) -> np.ndarray:
        """p′, float64 (n, n)."""
        return density(self.counts, self.bin_width, self.sigma)

    @functools.cached_property
    def weights(self) -> np.ndarray:
        """v, float64 (n, n)."""
        return weights(self.density, self.bin_width, self.lambda_)

    def weight_of(self, ab: np.ndarray) -> np.ndarray:
        """v of colors, float64 (...), of ab / 128, (..., 2). The training loss looks up the same in the graph."""
        a, b = np.moveaxis(bins_of(np.asarray(ab, np.float64) * lab.AB_SCALE, self.bin_width), -1, 0)
        return self.weights[a, b]

    def save(self, path: Path) -> None:
        """Write the fields as a plain npz file, whole or not at all. Raises `ColorlibError` where the disk fails."""
        content = io.BytesIO()
        np.savez_compressed(content, **dataclasses.asdict(self))
        files.put(path, content.getvalue())

    @classmethod
    def load(cls, path: Path) -> "Prior":
        """A saved prior. Raises `ColorlibError` for a file that is damaged or holds something else."""
        content = io.BytesIO(Path(path).read_bytes())
        try:
            with np.load(content, allow_pickle=False) as arrays:
                fields = {field.name: arrays[field.name] for field in dataclasses.fields(cls)}
            return cls(fields.pop("counts"), **{name: array.item() for name, array in fields.items()})
        except Exception as error:  # whatever a damaged zip file raises: BadZipFile, zlib.error, ValueError, KeyError …
            advice = "delete it, and prior.prepare(split, settings) makes it anew"
            raise ColorlibError(f"The prior {path} is damaged or no prior: {advice}.") from error


def prepare(split, settings, progress: bool = True) -> Prior:
    """The prior of a split's training photos: the saved one (prior.npz beside split.json), or counted and saved now.

    The counts of a saved prior serve for any σ and λ; those of another split or bin width are counted anew. Raises
    `ColorlibError` when not one training photo has color, and when the saved file is damaged.
    """
    path = split.home / "prior.npz"
    saved = Prior.load(path) if path.exists() else None
    if saved and (saved.split_checksum, saved.bin_width) == (split.checksum, settings.bin_width):
        counts = saved.counts
        print(f"Prior: the saved counts of {split.dataset}.")
    else:
        paths, near_gray = split.paths("train"), []
        counts = count(paths, settings.bin_width, progress=progress, near_gray=near_gray)
        print(f"Prior: {len(paths) - len(near_gray):,} photos counted, {len(near_gray):,} near-gray ones left out.")
    prior = Prior(counts, settings.bin_width, settings.sigma, settings.lambda_, split.checksum)
    prior.save(path)
    return prior


def _counts(photo: np.ndarray, table: np.ndarray, size: int) -> np.ndarray:
    """How many pixels of a photo, uint8 (height, width, 3), have each code of the table: int64 (size,)."""
    padded = np.append(photo, np.uint8(0))
    # Four bytes read from every third one on, less the fourth: a seventh of the time of padding each color to four.
    colors = np.ndarray(photo.size // 3, "<u4", padded, strides=(3,))
    parts = (colors[i : i + _CHUNK] & 0xFFFFFF for i in range(0, len(colors), _CHUNK))
    return sum(np.bincount(table.take(part, mode="clip"), minlength=size) for part in parts)


@functools.lru_cache(maxsize=2)
def _bin_of_color(bin_width: float) -> np.ndarray:
    """The flat bin of each of the 2²⁴ colors r + 256 g + 65536 b, plus n² where |a| or |b| is above `NEAR_GRAY`.

    Lab is computed here once, in float, for every color that a photo can have, and not once a photo.
    """
    bins = len(centers(bin_width))
    table = np.empty((256, 256, 256), np.min_scalar_type(2 * bins * bins))
    green, red = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    for blue in range(256):
        ab = lab.rgb_to_lab(np.stack([red, green, np.full_like(red, blue)], axis=-1) / 255.0)[..., 1:]
        a, b = np.moveaxis(bins_of(ab, bin_width), -1, 0)
        table[blue] = a * bins + b + bins * bins * (np.abs(ab).max(axis=-1) > NEAR_GRAY)
    return table.ravel()
