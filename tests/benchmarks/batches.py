"""Batches of 256×256 JPEGs at 224×224 over bare decoding, and over a loop of Pillow and scikit-image.

Ratios of speeds, measured in turn on the same files and all cores. One JSON object a line; about a minute.
"""

import multiprocessing.pool
import os
import tempfile
from pathlib import Path

import _measure
import numpy as np
from PIL import Image
from skimage import color

from colorlib import batches, settings
from colorlib.sources import splits

SIZE, BATCH, ROUNDS, PHOTOS = 224, 32, 5, 3072


def loop(paths) -> int:
    """What is simple: each photo through Pillow, NumPy and scikit-image; in as many threads as there are cores."""

    def photo(path):
        image = Image.open(path).convert("RGB").resize((SIZE, SIZE), Image.Resampling.BILINEAR)
        lab = color.rgb2lab(np.asarray(image)).astype(np.float32)
        return lab[..., :1] / 100, lab[..., 1:] / 128

    with multiprocessing.pool.ThreadPool(os.cpu_count()) as pool:
        for _ in pool.imap(photo, paths, chunksize=8):
            pass
    return len(paths)


def ours(split, rgb, **changes):
    chosen = settings.load("sample", **{"image_size": SIZE, "batch_size": BATCH, "crop": 1.0} | changes)

    # The graph is built once, as in a training.
    stream = batches.training(split, chosen, rgb=rgb).take(PHOTOS // BATCH)
    return lambda: BATCH * _measure.drained(stream)


def main(folder: Path):
    paths = _measure.photos("photos256.tar", folder, 256, 1024)
    # A whole number of batches, so that every batch has as many photos.
    found = [splits.Photo(str(Path(path).relative_to(folder)), 0, path, "") for path in paths]
    split = splits.Split("benchmark", folder, folder, tuple(found[: len(found) // BATCH * BATCH]), (), ())
    actions = {
        "decoding": lambda: _measure.decoded(paths, PHOTOS),
        "rgb": ours(split, True, rotation=0.0),
        "rotated": ours(split, True, rotation=20.0),
        "lab": ours(split, False, rotation=0.0),
        "loop": lambda: loop(paths[:: max(1, len(paths) // 600)]),
    }
    rates = _measure.rates(actions, ROUNDS)
    _measure.tell_ratio("RGB batches with flips over bare decoding", rates, "rgb", "decoding", at_least=0.6)
    _measure.tell_ratio(
        "RGB batches with flips and rotation over bare decoding", rates, "rotated", "decoding", at_least=0.2
    )
    _measure.tell_ratio("(L, ab) batches on the CPU over bare decoding", rates, "lab", "decoding", at_least=0.28)
    _measure.tell_ratio("(L, ab) batches over a loop of Pillow and scikit-image", rates, "lab", "loop", at_least=2.5)
    for name in actions:
        _measure.tell_rate(f"photos a second: {name}", rates, name)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        main(Path(folder))
