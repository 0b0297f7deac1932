"""The paper's two losses, and the metrics that train alongside. Keras alone, so that they run on all its backends."""

import keras
import numpy as np
from keras import ops

from colorlib import ColorlibError

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
    bin_width: side of a bin in ab units. ab_scale: ab units in 1.0 of y_true (`lab.AB_SCALE`).
    y_true, y_pred: (batch, h, w, 2), ab / ab_scale in [-1, 1]; colors beyond the table take its nearest bin.

    v is looked up from y_true and never differentiated. Raises `ColorlibError` on a table that is not square and odd.
    """

    def __init__(self, weights, bin_width=8.0, ab_scale=128.0, name="rebalanced_mse", **kwargs):
        super().__init__(name=name, **kwargs)
        self.weights = np.asarray(weights, dtype="float32")
        if self.weights.ndim != 2 or len(set(self.weights.shape)) != 1 or len(self.weights) % 2 == 0:
            raise ColorlibError(f"The weights of Eq. 2 must be a square table of odd side, not {self.weights.shape}.")
        self.bin_width = float(bin_width)
        self.ab_scale = float(ab_scale)

    def weight_of(self, ab):
        """v of each color: (..., 2) -> (...)."""
        side = len(self.weights)
        bins = ops.floor(ab * (self.ab_scale / self.bin_width) + 0.5) + side // 2
        bins = ops.cast(ops.clip(bins, 0, side - 1), "int32")
        table = ops.convert_to_tensor(self.weights.reshape(-1), dtype="float32")
        return ops.stop_gradient(ops.take(table, bins[..., 0] * side + bins[..., 1], axis=0))

    def call(self, y_true, y_pred):
        y_pred = ops.convert_to_tensor(y_pred)
        y_true = ops.cast(y_true, y_pred.dtype)
        return self.weight_of(y_true) * ops.mean(ops.square(y_pred - y_true), axis=-1)

    def get_config(self):
        table = {"weights": self.weights.tolist(), "bin_width": self.bin_width, "ab_scale": self.ab_scale}
        return {**super().get_config(), **table}


def for_model(name: str, prior=None) -> keras.losses.Loss:
    """The loss of one of `settings.MODELS`: Eq. 2 with the prior's weights for "rebalanced", Eq. 1 for the others."""
    if name != "rebalanced":
        return keras.losses.MeanSquaredError()
    if prior is None:
        raise ColorlibError("The rebalanced model needs the color prior of its training photos: see prior.prepare.")
    return RebalancedMSE(prior.weights, prior.bin_width)


def metrics() -> list[keras.metrics.Metric]:
    """What every model logs beside its loss: "mse", the plain Eq. 1, and "argmax_agreement"."""
    return [
        keras.metrics.MeanSquaredError(name="mse"),
        keras.metrics.MeanMetricWrapper(argmax_agreement, "argmax_agreement"),
    ]
