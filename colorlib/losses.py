"""The paper's two losses; colors as a distribution, and the answers from it; the metrics that train alongside.

Keras alone, so that they run on all its backends.
"""

import keras
import numpy as np
from keras import ops

from colorlib import ColorlibError, lab

# Eq. 1, (1 / 2hw) Σ ‖Y - Y'‖²: the mean over pixels and the two channels, which is exactly Keras' own.
mean_squared_error = keras.losses.mean_squared_error


def argmax_agreement(y_true, y_pred):
    """Whether the larger of (a, b) is the same one in both: (..., 2), (..., 2) -> (...), 0.0 or 1.0.

    It is `keras.metrics.categorical_accuracy`, which Keras picks when a two-channel regression asks for "accuracy", as
    the paper's does. Of two channels the arg max is one comparison: Keras' own ArgMax over so short an axis takes as
    long on a CPU as the training step around it.
    """
    y_true, y_pred = ops.convert_to_tensor(y_true), ops.convert_to_tensor(y_pred)
    return ops.cast(ops.equal(y_true[..., 1] > y_true[..., 0], y_pred[..., 1] > y_pred[..., 0]), "float32")


@keras.saving.register_keras_serializable("colorlib")
class RebalancedMSE(keras.losses.Loss):
    """Eq. 2: the squared error of each pixel times v, the weight of its true color; the mean over pixels and channels.

    weights: (n, n), n odd, v of the bins of (a, b), rows a; bin (n // 2, n // 2) is centred on neutral.
    bin_width: side of a bin in ab units.
    y_true, y_pred: (batch, h, w, 2), ab / 128 in [-1, 1]; colors beyond the table take its nearest bin.

    v is looked up from y_true and never differentiated.
    """

    def __init__(self, weights, bin_width=8.0, name="rebalanced_mse", **kwargs):
        super().__init__(name=name, **kwargs)
        self.weights = np.asarray(weights, dtype="float32")
        self.bin_width = float(bin_width)

    def weight_of(self, ab):
        """v of each color: (..., 2) -> (...)."""
        side = len(self.weights)
        bins = ops.floor(ab * (lab.AB_SCALE / self.bin_width) + 0.5) + side // 2
        bins = ops.cast(ops.clip(bins, 0, side - 1), "int32")
        table = ops.convert_to_tensor(self.weights.reshape(-1), dtype="float32")
        return ops.stop_gradient(ops.take(table, bins[..., 0] * side + bins[..., 1], axis=0))

    def call(self, y_true, y_pred):
        y_pred = ops.convert_to_tensor(y_pred)
        y_true = ops.cast(y_true, y_pred.dtype)
        return self.weight_of(y_true) * ops.mean(ops.square(y_pred - y_true), axis=-1)

    def get_config(self):
        return {**super().get_config(), "weights": self.weights.tolist(), "bin_width": self.bin_width}


# Colors as a distribution (after Zhang et al., 2016): how probable each node of `lab.NODES` is, for every pixel.


def shares(ab):
    """What each node has of each color, so that the nodes' mean by these shares is the color itself.

    ab: (..., 2), ab / 128 of sRGB colors. Returns float32 (..., n), n = len(lab.NODES), with sum 1: a color is shared
    out over the four corners of its cell of the grid, bilinearly.
    """
    grid = _along_both(ab)
    return _of_nodes(grid[0][..., :, None] * grid[1][..., None, :])


def soft_target(ab, stride: int):
    """The distribution of the colors in each block of stride × stride pixels: the mean of their `shares`.

    ab: (batch, h, w, 2), ab / 128; h and w multiples of the stride. Returns (batch, h / stride, w / stride, n). It is
    what one pixel of the block, taken at random, would give on average.
    """
    height, width = ab.shape[1] // stride, ab.shape[2] // stride
    blocks = ops.transpose(ops.reshape(ab, (-1, height, stride, width, stride, 2)), (0, 1, 3, 2, 4, 5))
    by_a, by_b = _along_both(ops.reshape(blocks, (-1, height, width, stride * stride, 2)))
    return _of_nodes(ops.matmul(ops.swapaxes(by_a, -1, -2), by_b)) / stride**2  # summed over the block's pixels


def _along_both(ab):
    """Each color's shares of the grid's lines, along a and along b: two (..., 22)."""
    ab = ops.cast(ab, "float32") * (lab.AB_SCALE / lab.NODE_STEP)
    return [ops.relu(1.0 - ops.abs(ab[..., i, None] - _LINES)) for i in (0, 1)]


def _of_nodes(grid):
    """Of the whole grid, (..., 22, 22), the nodes, (..., n)."""
    return ops.take(ops.reshape(grid, (*ops.shape(grid)[:-2], len(_LINES) ** 2)), _PLACES, axis=-1)


_LINES = np.arange(-11, 11, dtype=np.float32)  # of the grid, in steps of it
_PLACES = np.rint((lab.NODES / lab.NODE_STEP + 11) @ [len(_LINES), 1]).astype(np.int32)


@keras.saving.register_keras_serializable("colorlib")
class ColorCrossEntropy(keras.losses.Loss):
    """The cross-entropy of the colors of each block of pixels, in nats; the mean over blocks.

    y_true: (batch, h, w, 2), ab / 128. y_pred: logits of the nodes, (batch, h / s, w / s, n), for any stride s.
    """

    def call(self, y_true, y_pred):
        logits = ops.cast(y_pred, "float32")
        target = soft_target(y_true, y_true.shape[1] // y_pred.shape[1])
        return ops.logsumexp(logits, axis=-1) - ops.sum(target * logits, axis=-1)


def color_of(logits, v=None, gamma: float = 0.0, temperature: float = 1.0):
    """The color that is best under Eq. 1, under Eq. 2 or in between, of a distribution of colors.

    logits: (..., n), of the nodes. Each node weighs softmax(logits / temperature) · v^gamma, and the color is their
    mean, ab / 128, float32 (..., 2). v: (n,), the weights of Eq. 3, as `prior.node_weights` gives them.
    gamma: 0 is the mean, Eq. 1's answer; 1 is Eq. 2's: Σ p v c / Σ p v is where the derivative of Σ p v ‖c - x‖² is 0.
    Raises `ColorlibError` for a gamma outside [0, 1] and a temperature outside [0.1, 2].
    """
    check_choices(gamma, temperature)
    logits = ops.cast(logits, "float32") / temperature
    if gamma:
        logits = logits + gamma * np.log(np.asarray(v, np.float32))
    return ops.matmul(ops.softmax(logits, axis=-1), lab.NODES / lab.AB_SCALE)


def check_choices(vividness=0.0, temperature=1.0, lambda_=0.0, strength=1.0) -> None:
    """Raise `ColorlibError` for a choice of how colors are made of an answer that is out of its range."""
    ranges = {"vividness": (vividness, 0, 1), "temperature": (temperature, 0.1, 2), "λ": (lambda_, 0, 1)}
    for name, (value, low, high) in {**ranges, "strength": (strength, 0, 10)}.items():
        if not low <= value <= high:
            raise ColorlibError(f"The {name} is {value!r}; it must be in [{low}, {high}].")


def for_model(name: str, prior=None) -> keras.losses.Loss:
    """The loss of one of `settings.MODELS`: Eq. 2 with the prior's weights for "rebalanced", the cross-entropy of
    colors for "vivid", Eq. 1 for the others."""
    if name == "vivid":
        return ColorCrossEntropy()
    if name == "rebalanced":
        return RebalancedMSE(prior.weights, prior.bin_width)
    return keras.losses.MeanSquaredError()


def metrics(name: str = "baseline") -> list[keras.metrics.Metric]:
    """What every model logs beside its loss: "mse", the plain Eq. 1, and "argmax_agreement". Those of "vivid" are of
    its mean color."""

    def of_answer(measure):
        if name != "vivid":
            return measure
        return lambda y_true, y_pred: measure(
            y_true, ops.image.resize(color_of(y_pred), y_true.shape[1:3], interpolation="bilinear")
        )

    return [
        keras.metrics.MeanMetricWrapper(of_answer(mean_squared_error), "mse"),
        keras.metrics.MeanMetricWrapper(of_answer(argmax_agreement), "argmax_agreement"),
    ]
