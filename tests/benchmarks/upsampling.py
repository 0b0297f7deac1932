"""Does upsampling the predicted ab along the edges of L help? The guided filter against plain bilinear.

    python tests/benchmarks/upsampling.py [RUN]

On the true ab made small (what an ideal model would predict), and, where the folder of a trained run is given, on its
predictions: mean squared error of ab / 128 against the truth at the photo's own size. One JSON object a line; a ratio
below 1 would speak for the guided filter.
"""

import io
import sys
import tempfile
from pathlib import Path

import _measure
import numpy as np
from PIL import Image
from scipy.ndimage import uniform_filter

from colorlib import colorize, lab, settings
from colorlib.sources import photos

COUNT = 200


def scaled(planes, size):
    """(h, w, 2) to (size[1], size[0], 2), bilinear."""
    resized = [Image.fromarray(np.ascontiguousarray(planes[..., i])).resize(size, 2) for i in (0, 1)]
    return np.stack([np.asarray(plane) for plane in resized], axis=-1)


def guided(L, ab_small, L_small, radius=2, epsilon=1e-4):
    """Fast guided filter (He and Sun 2015): in each small window ab = slope · L + offset; both upsampled."""
    box = lambda x: uniform_filter(x, 2 * radius + 1)  # noqa: E731
    mean, variance = box(L_small), box(L_small**2) - box(L_small) ** 2
    planes = []
    for i in (0, 1):
        plane = ab_small[..., i]
        slope = (box(L_small * plane) - mean * box(plane)) / (variance + epsilon)
        both = np.stack([box(slope), box(box(plane) - slope * mean)], axis=-1).astype(np.float32)
        slope, offset = np.moveaxis(scaled(both, L.shape[::-1]), -1, 0)
        planes.append(slope * L + offset)
    return np.stack(planes, axis=-1)


def images(folder):
    paths = _measure.photos("photos256.tar", Path(folder), 256, COUNT)
    return [Image.open(path).convert("RGB") for path in paths[:: -(-len(paths) // COUNT)]]


def errors(image, factor, model=None):
    """Squared error of (bilinear, guided), of the true ab made small or of a model's."""
    truth = lab.rgb_to_lab(np.asarray(image, np.float32) / 255)
    L, ab = truth[..., 0] / lab.L_SCALE, truth[..., 1:] / lab.AB_SCALE
    size = model.input_shape[1:3] if model else (image.width // factor, image.height // factor)
    small = lab.rgb_to_lab(np.asarray(image.resize(size, Image.Resampling.BOX), np.float32) / 255)
    ab_small = small[..., 1:] / lab.AB_SCALE
    if model:
        file = io.BytesIO()
        image.save(file, "PNG")
        ab_small = colorize.predict(photos.read_whole(file.getvalue()), model)
    answers = scaled(ab_small, image.size), guided(L, ab_small, small[..., 0] / lab.L_SCALE)
    return [float(np.mean((answer - ab) ** 2)) for answer in answers]


def tell(figure, pairs):
    plain, along_edges = np.mean(pairs, axis=0)
    _measure.tell(f"{figure}: MSE, bilinear", plain)
    _measure.tell(f"{figure}: guided over bilinear", along_edges / plain)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        found = images(folder)
    for factor in (2, 4, 8):
        tell(f"true ab at 1/{factor}", [errors(image, factor) for image in found])
    if sys.argv[1:]:
        model = colorize.model_of(settings.load("sample"), sys.argv[1])
        tell(f"ab predicted at {model.input_shape[1]} pixels", [errors(image, 1, model) for image in found])
