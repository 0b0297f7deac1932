"""Lab over all 16.7 million colors: errors and the round trip; its speed over OpenCV's and scikit-image's.

The speeds are measured in turn, on one batch and one thread each. One JSON object a line; about a minute.
"""

import _measure
import cv2
import numpy as np
import tensorflow as tf
from skimage import color

from colorlib import lab

KINDS = {
    "NumPy": (lab.rgb_to_lab, lab.lab_to_rgb, np.asarray),
    "eager": (lab.rgb_to_lab, lab.lab_to_rgb, tf.constant),
    "graph": (tf.function(lab.rgb_to_lab), tf.function(lab.lab_to_rgb), tf.constant),
    "compiled": (
        tf.function(lab.rgb_to_lab, jit_compile=True),
        tf.function(lab.lab_to_rgb, jit_compile=True),
        tf.constant,
    ),
}


def exactness():
    """The largest error of each channel, and how many colors do not come back, for each way of calling."""
    green, blue = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    errors, lost = {kind: np.zeros(3) for kind in KINDS}, dict.fromkeys(KINDS, 0)
    for red in range(256):
        levels = np.stack([np.full_like(green, red), green, blue], axis=-1)
        expected = color.rgb2lab(levels / 255.0)
        for kind, (forth, back, array) in KINDS.items():
            found = forth(array((levels / 255.0).astype(np.float32)))
            errors[kind] = np.maximum(errors[kind], np.abs(np.asarray(found) - expected).max(axis=(0, 1)))
            lost[kind] += int((np.rint(np.asarray(back(found)) * 255) != levels).any(axis=-1).sum())
    for kind in KINDS:
        for channel, error in zip("Lab", errors[kind], strict=True):
            _measure.tell(f"largest error of {channel}, {kind}", error, at_most=0.001)
        _measure.tell(f"colors that do not come back, {kind}", lost[kind], at_most=0)


def speed():
    batch = np.random.default_rng(0).uniform(size=(32, 224, 224, 3)).astype(np.float32)
    tensor, rows = tf.constant(batch), batch.reshape(-1, 224, 3)
    compiled = KINDS["compiled"][0]
    cv2.setNumThreads(1)

    def repeated(function, argument, times):
        def action():
            for _ in range(times):
                np.asarray(function(argument))
            return times * len(batch)

        return action

    rates = _measure.rates(
        {
            "compiled": repeated(compiled, tensor, 10),
            "opencv": repeated(lambda image: cv2.cvtColor(image, cv2.COLOR_RGB2LAB), rows, 10),
            "numpy": repeated(lab.rgb_to_lab, batch, 4),
            "scikit-image": repeated(color.rgb2lab, batch, 1),
        },
        rounds=9,
    )
    _measure.tell_ratio("compiled over OpenCV's float32", rates, "compiled", "opencv", at_least=0.6)
    _measure.tell_ratio("compiled over scikit-image's", rates, "compiled", "scikit-image", at_least=4)
    _measure.tell_ratio("NumPy over OpenCV's float32", rates, "numpy", "opencv")
    _measure.tell_ratio("NumPy over scikit-image's", rates, "numpy", "scikit-image")
    for name in rates:
        _measure.tell_rate(f"images of 224×224 a second: {name}", rates, name)


if __name__ == "__main__":
    # One thread for each of them: set before TensorFlow starts its own.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    speed()
    exactness()
