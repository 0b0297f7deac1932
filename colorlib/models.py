"""The colorizers: a frozen backbone, five taps of it, a ladder that climbs back to full size, a head of two channels.

    L (s, s, 1) ── prepared ──> backbone, frozen        e.g. VGG-16 at 224 pixels:
                                  tap 5, deepest  ── 1×1 convolution ─────────────┐    14² · 512
                                  tap 4           ── BN ──(+)<── upsample ×2 ─────┘    28² · 512, then 3×3 to 256
                                  …                                                    56², 112²: each to the next width
                                  tap 1           ── BN ──(+)<── upsample ×2 …        224² ·  64, then 3×3 to 64
                                  head: 3×3 convolution to two channels, tanh ──> ab (s, s, 2)

After Dahl's residual encoder (tinyclouds.org/colorize) and Cope's paper, which swaps VGG-16 for EfficientNetB7.
Keras alone, so that the models run on every backend of Keras.
"""

import contextlib
import math
import os
import random
import warnings
from pathlib import Path

import keras
from keras import layers, ops

from colorlib import ColorlibError

# The five taps of each family, finest first: the last activation before the image is halved (VGG-16, EfficientNet),
# or the last one at each size (MobileNet).
_EFFICIENTNET_TAPS = (*(f"block{i}a_expand_activation" for i in (2, 3, 4, 6)), "top_activation")
_TAPS = {
    "vgg16": ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"),
    **{f"efficientnetb{i}": _EFFICIENTNET_TAPS for i in range(8)},
    "mobilenet": ("conv_pw_1_relu", "conv_pw_3_relu", "conv_pw_5_relu", "conv_pw_11_relu", "conv_pw_13_relu"),
}

# The ladder's batch normalisation follows the last tens of steps. Keras' 0.99 forgets its start (mean 0, variance 1)
# only after some 500 steps, and a small run, with 15 steps an epoch, would be judged by statistics that it never had.
BATCH_NORM_MOMENTUM = 0.9

# The light ladder: at most so many channels at each tap, finest first. A ladder as wide as its taps takes longer than
# the backbone under it, most of that at the finest sizes, where a color needs few channels.
LIGHT_WIDTHS = (16, 32, 64, 128)

# The standard deviations by which Keras' EfficientNets divide a second time, but only when weights == "imagenet".
_IMAGENET_STDDEV = (0.229, 0.224, 0.225)


def taps(backbone: str) -> tuple[str, ...]:
    """The names of the backbone's five tapped layers, finest first. Raises `ColorlibError` on an unknown backbone."""
    if backbone not in _TAPS:
        raise ColorlibError(f"Unknown backbone {backbone!r}. Valid: {', '.join(_TAPS)}.")
    return _TAPS[backbone]


def build_colorizer(
    backbone: str,
    weights: str | Path | None = "imagenet",
    image_size: int = 224,
    dropout: float = 0.0,
    head_stride: int = 1,
    light: bool = False,
    backbone_dtype: str | None = None,
    seed: int | None = None,
) -> keras.Model:
    """A Functional model from L, (batch, size, size, 1) in [0, 1], to ab, (batch, size, size, 2) in [-1, 1], float32.

    backbone: "vgg16", "efficientnetb0" … "efficientnetb7" or "mobilenet" (α = 0.75). It is frozen: not trainable, and
        its batch normalisation always in inference mode. In the model it is the layer named "backbone".
    weights: of the backbone. "imagenet" (downloaded once to Keras' folder), None or "none" (random), or the path of a
        weights file for `keras.applications`, which is used exactly as the downloaded one would be.
    dropout: rate of the one SpatialDropout2D after the 1×1 convolution; 0 leaves it out.
    head_stride: 1 is the paper's head at full size. 2 or 4 leaves out the rungs above half or quarter size; the head
        stands there, and its ab are upsampled.
    light: a ladder of at most `LIGHT_WIDTHS` channels; wider taps go through a 1×1 convolution first.
    backbone_dtype: a dtype policy of Keras for the frozen backbone alone, such as "mixed_bfloat16": no gradient passes
        through it, so that half precision there needs no loss scale. None: the policy in force.
    seed: of all random weights and of the dropout; None draws one.

    Raises `ColorlibError` for an unknown backbone, an image size that cannot be halved down to the deepest tap, and
    weights that are missing, broken, or of another architecture.
    """
    names = taps(backbone)
    coarsest = 16 if backbone == "vgg16" else 32
    if image_size < 32 or image_size % coarsest:
        near = max(32, image_size // coarsest * coarsest)
        raise ColorlibError(
            f"image_size {image_size} does not fit {backbone}: it halves the image down to 1/{coarsest} and the ladder "
            f"climbs back, so the size must be a multiple of {coarsest}, at least 32. Take {near} or {near + coarsest}."
        )
    if head_stride not in (1, 2, 4):
        raise ColorlibError(f"head_stride {head_stride!r} is not known. Valid: 1 (full size), 2 (half), 4 (quarter).")
    with _seeded(seed), _policy(backbone_dtype):
        features = _frozen_backbone(backbone, weights, image_size, names)
    with _seeded(seed):  # anew, so that the ladder starts alike however the backbone got its weights
        lightness = keras.Input((image_size, image_size, 1), name="L")
        tapped = [ops.stop_gradient(tap) for tap in features(_prepared(lightness, backbone))]
        x = _ladder(tapped, dropout, finest=image_size // head_stride, light=light)
        ab = _head(x, image_size // head_stride, head_stride)
    return keras.Model(lightness, ab, name=f"{backbone}_colorizer")


def trained_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """All that training changes, by name ("rung0_conv/kernel"), in a fixed order: everything but the frozen backbone.

    The ladder's and head's weights, the batch normalisations' moving statistics, and dropout's seed state. These, with
    the arguments of `build_colorizer`, are the model: a copy need not hold the backbone.
    """
    outside = (layer for layer in model.layers if layer.name != "backbone")
    # Not `variable.path`: a dropout's has a number that counts the dropouts of the process.
    return {f"{layer.name}/{variable.name}": variable for layer in outside for variable in layer.variables}


@contextlib.contextmanager
def _seeded(seed):
    # Every initializer and dropout of Keras without a seed of its own draws one from Python's `random`; the
    # applications' offer no argument for it. The caller's own random numbers go on as if nothing had been drawn.
    state = random.getstate()
    try:
        if seed is not None:
            random.seed(seed)
        yield
    finally:
        if seed is not None:
            random.setstate(state)


@contextlib.contextmanager
def _policy(name):
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(name or before)
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _prepared(lightness, backbone):
    """L in [0, 1], one channel -> what the backbone was trained on, three channels. In float32 under any policy."""
    x = layers.Concatenate(name="gray_as_rgb", dtype="float32")([lightness] * 3)
    if backbone == "vgg16":  # 0 … 255 minus the mean color, blue first (Caffe)
        return layers.Rescaling(255.0, [-103.939, -116.779, -123.68], name="prepared", dtype="float32")(x)
    if backbone == "mobilenet":  # -1 … 1
        return layers.Rescaling(2.0, -1.0, name="prepared", dtype="float32")(x)
    return layers.Rescaling(255.0, name="prepared", dtype="float32")(x)  # 0 … 255: EfficientNet rescales by itself


def _frozen_backbone(backbone, weights, size, names):
    """The model from a prepared image (size, size, 3) to the list of the five tapped features, finest first."""
    net = _application(backbone, weights, size)
    tapped = [net.get_layer(name).output for name in names]
    if backbone.startswith("efficientnet"):
        # Keras inserts a second rescaling only for weights == "imagenet": with the same weights from a file the
        # network would be fed other numbers, and nothing would tell. So it is always ours, normalisation to stem.
        normalize = next(layer for layer in net.layers if isinstance(layer, layers.Normalization))
        body = keras.Model(net.get_layer("stem_conv_pad").input, tapped, name="body")
        scale = [1 / math.sqrt(deviation) for deviation in _IMAGENET_STDDEV]
        tapped = body(layers.Rescaling(scale, name="imagenet_rescaling")(normalize.output))
    features = keras.Model(net.input, tapped, name="backbone")
    # Keras runs the batch normalisation of what is not trainable in inference mode. Not so EfficientNet's stochastic
    # depth: `fit` would switch it on, even past a `training=False` in this model's graph.
    features.trainable = False
    for layer in net.layers:
        if isinstance(layer, layers.Dropout):
            layer.rate = 0.0
    return features


def _application(backbone, weights, size):
    """The network of `keras.applications`, without its classifier, the weights in it."""
    create, changes = _creator(backbone)
    arguments = dict(include_top=False, input_shape=(size, size, 3), **changes)
    if weights == "imagenet" and backbone == "mobilenet" and size != 224:
        # Keras would ask for one of four files, by the size; we take the one of 224 for every size, so that a model
        # rebuilt at another size has the same backbone.
        net = create(weights=None, **arguments)
        net.set_weights(_application(backbone, weights, 224).get_weights())
        return net
    if weights == "imagenet":
        try:
            return create(weights="imagenet", **arguments)
        except (
            Exception
        ) as error:  # Keras raises plain Exception where a download fails, and ValueError or OSError else
            raise ColorlibError(_missing(backbone, error)) from error
    net = create(weights=None, **arguments)
    if weights not in (None, "none"):
        if not Path(weights).is_file():
            raise ColorlibError(
                f'No weights file {str(weights)!r}. Give the path of a file, "imagenet", or "none" for random weights.'
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter(
                    "error", UserWarning
                )  # newer Keras skips a layer that is not in the file, and warns
                net.load_weights(weights)
        except Exception as error:
            raise ColorlibError(
                f"The weights file {str(weights)!r} does not fit {backbone} without its classifier: it is of another "
                f"architecture, or broken. Keras says: {_first_line(error)}"
            ) from error
    return net


def _creator(backbone):
    if backbone == "vgg16":
        return keras.applications.VGG16, {}
    if backbone == "mobilenet":
        return keras.applications.MobileNet, {"alpha": 0.75}
    return getattr(keras.applications, backbone.replace("efficientnetb", "EfficientNetB")), {}


def _missing(backbone, error):
    file = {
        "vgg16": "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5",
        "mobilenet": "mobilenet_7_5_224_tf_no_top.h5",
    }.get(backbone, f"{backbone}_notop.h5")
    folder = Path(os.environ.get("KERAS_HOME", "~/.keras")) / "models"
    return (
        f"The ImageNet weights of {backbone} could not be had: {_first_line(error)} Keras looks for {folder / file} "
        "and downloads it when it is not there, or not whole. Connect to the network and try again, or bring the file "
        'there from another machine. To go on with random weights, which learn far less, ask for weights="none" '
        "(COLORLIB_WEIGHTS=none)."
    )


def _first_line(error):
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0] if text else ''}".rstrip(".") + "."


def _ladder(tapped, dropout, finest, light=False):
    """From the deepest tap up to the finest one, or to the size `finest` where the ladder ends below it."""
    *upper, x = tapped
    widths = [tap.shape[-1] for tap in upper]
    if light:
        widths = [min(pair) for pair in zip(widths, LIGHT_WIDTHS, strict=True)]
    x = _convolved(x, widths[-1], 1, "rung0")
    if dropout:
        x = layers.SpatialDropout2D(dropout, name="rung0_dropout")(x)
    for rung in range(1, len(upper) + 1):
        tap = upper[-rung]
        if tap.shape[1] > finest:
            break
        # To the next tap's width; after the last tap, to its own.
        width = widths[-rung - 1] if rung < len(upper) else widths[0]
        x = layers.UpSampling2D(interpolation="bilinear", name=f"rung{rung}_up")(x)
        if tap.shape[-1] != x.shape[-1]:
            tap = layers.Conv2D(x.shape[-1], 1, use_bias=False, name=f"rung{rung}_tap_conv")(tap)
        x = layers.Add(name=f"rung{rung}_add")([x, _normalized(tap, f"rung{rung}_tap_bn")])
        x = _convolved(x, width, 3, f"rung{rung}")
    if x.shape[1] < finest:
        x = layers.UpSampling2D(interpolation="bilinear", name="last_up")(x)
    return x


def _head(x, size, stride):
    """Two channels, tanh, in float32: half precision would round colors. Upsampled where it stands below full size."""
    # Small first weights: the training starts from gray, not from random colors that it would have to unlearn first.
    small = keras.initializers.RandomNormal(stddev=1e-3)
    ab = layers.Conv2D(2, 3, padding="same", activation="tanh", kernel_initializer=small, name="head", dtype="float32")(
        x
    )
    if stride > 1:
        ab = layers.UpSampling2D(stride, interpolation="bilinear", name="ab_up", dtype="float32")(ab)
    return ab


def _convolved(x, width, kernel, name):
    x = layers.Conv2D(width, kernel, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return layers.ReLU(name=f"{name}_relu")(_normalized(x, f"{name}_bn"))


def _normalized(x, name):
    return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=name)(x)
