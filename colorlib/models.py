"""The colorizers: a backbone, five taps of it, a ladder that climbs back, a head of two channels or of many colors.

    L (s, s, 1) ── prepared ──> backbone                e.g. VGG-16 at 224 pixels:
                                  tap 5, deepest  ── 1×1 convolution ─────────────┐    14² · 512
                                  tap 4           ── BN ──(+)<── upsample ×2 ─────┘    28² · 512, then 3×3 to 256
                                  …                                                    56², 112²: each to the next width
                                  tap 1           ── BN ──(+)<── upsample ×2 …        224² ·  64, then 3×3 to 64
                                  head: 3×3 convolution to two channels, tanh ──> ab (s, s, 2)

A head of colors gives a logit for each of `lab.NODES` in place of ab. After Dahl's residual encoder
(tinyclouds.org/colorize) and Cope's paper, which swaps VGG-16 for EfficientNetB7.
Keras alone, so that the models run on every backend of Keras.
"""

import contextlib
import functools
import json
import math
import random
import re
import warnings
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from colorlib import ColorlibError, lab
from colorlib.settings import check_choice

# The five taps of each family, finest first: the last activation before the image is halved (VGG-16, EfficientNet),
# or the last one at each size (MobileNet).
_EFFICIENTNET_TAPS = (*(f"block{i}a_expand_activation" for i in (2, 3, 4, 6)), "top_activation")
_TAPS = {
    "vgg16": ("block1_conv2", "block2_conv2", "block3_conv3", "block4_conv3", "block5_conv3"),
    **{f"efficientnetb{i}": _EFFICIENTNET_TAPS for i in range(8)},
    "efficientnetlite0": _EFFICIENTNET_TAPS,
    "mobilenet": ("conv_pw_1_relu", "conv_pw_3_relu", "conv_pw_5_relu", "conv_pw_11_relu", "conv_pw_13_relu"),
}

# The ladder's batch normalisation follows the last tens of steps. Keras' 0.99 forgets its start (mean 0, variance 1)
# only after some 500 steps, and a small run, with 15 steps an epoch, would be judged by statistics that it never had.
BATCH_NORM_MOMENTUM = 0.9

WHOLE_VERSION = 1  # of the file of a whole colorizer

# The standard deviations by which Keras' EfficientNets divide a second time, but only when weights == "imagenet".
_IMAGENET_STDDEV = (0.229, 0.224, 0.225)


def taps(backbone: str) -> tuple[str, ...]:
    """The names of the backbone's five tapped layers, finest first. Raises `ColorlibError` on an unknown backbone."""
    check_choice("backbone", backbone, _TAPS)
    return _TAPS[backbone]


def build_colorizer(
    backbone: str,
    weights: str | Path | None = None,
    image_size: int | tuple[int, int] | None = 224,
    dropout: float = 0.0,
    head_stride: int = 1,
    widths: tuple[int, ...] | None = None,
    backbone_dtype: str | None = None,
    seed: int | None = None,
    head: str = "ab",
    trained_backbone: bool = False,
) -> keras.Model:
    """A Functional model from L, (batch, size, size, 1) in [0, 1], to ab, (batch, size, size, 2) in [-1, 1], float32.

    backbone: "vgg16", "efficientnetb0" … "efficientnetb7", "efficientnetlite0" or "mobilenet" (α = 0.75). In the
        model it is the layer named "backbone". Its batch normalisation is always in inference mode.
    image_size: of a square, or (height, width); None takes photos of any size, but not in `fit`.
    weights: of the backbone, the path of a file: Keras' own .h5 (without the classifier) or an .npz as `data/weights`
        holds them; see `sources.weights.resolve`. None: random.
    dropout: rate of the one SpatialDropout2D after the 1×1 convolution; 0 leaves it out.
    head_stride: 1 is the paper's head at full size. 2 or 4 leaves out the rungs above half or quarter size; the head
        stands there, and its ab are upsampled.
    widths: the ladder's channels at the four upper taps, finest first, at most: wider taps go through a 1×1
        convolution first. None: as wide as the taps.
    backbone_dtype: a dtype policy of Keras for the frozen backbone alone, such as "mixed_bfloat16": no gradient passes
        through it, so that half precision there needs no loss scale. None: the policy in force.
    seed: of all random weights and of the dropout; None draws one.
    head: "ab", or "distribution": logits, (batch, size / head_stride, size / head_stride, n), of the n `lab.NODES`.
    trained_backbone: whether the backbone's kernels are trained on. Otherwise it is frozen, as in the paper.

    Raises `ColorlibError` for an unknown backbone, head or stride, an image size that cannot be halved down to the
    deepest tap, and weights that are missing, broken, or of another architecture.
    """
    names = taps(backbone)
    coarsest = 16 if backbone == "vgg16" else 32
    height, width = image_size if isinstance(image_size, tuple) else (image_size, image_size)
    for size in filter(None, (height, width)):
        if size < 32 or size % coarsest:
            near = max(32, size // coarsest * coarsest)
            raise ColorlibError(
                f"image_size {size} does not fit {backbone}: it halves the image down to 1/{coarsest} and the ladder "
                f"climbs back, so it must be a multiple of {coarsest}, at least 32. Take {near} or {near + coarsest}."
            )
    check_choice("head_stride", head_stride, (1, 2, 4))
    check_choice("head", head, ("ab", "distribution"))
    with _seeded(seed), dtype_policy(backbone_dtype):
        features = _backbone(backbone, weights, (height, width), names, trained_backbone)
    with _seeded(seed):  # anew, so that the ladder starts alike however the backbone got its weights
        lightness = keras.Input((height, width, 1), name="L")
        tapped = features(_prepared(lightness, backbone))
        if not trained_backbone:
            tapped = [ops.stop_gradient(tap) for tap in tapped]
        x = _ladder(tapped, dropout, coarsest, head_stride, widths)
        answer = ColorLogits(name="head", dtype="float32")(x) if head == "distribution" else _head(x, head_stride)
    return keras.Model(lightness, answer, name=f"{backbone}_colorizer")


@functools.cache
def half_precision(backbone: str) -> str | None:
    """The dtype policy in which this machine runs a frozen backbone fastest; None where float32 is as fast.

    Every GPU of the last years has float16; Colab's T4 has no bfloat16. A processor with bfloat16 instructions gains
    for VGG-16 alone: the others are full of depthwise convolutions.
    """
    if keras.distribution.list_devices("gpu"):
        return "mixed_float16"
    with contextlib.suppress(OSError):  # no Linux
        if backbone == "vgg16" and re.search("avx512_bf16|amx_bf16", Path("/proc/cpuinfo").read_text()):
            return "mixed_bfloat16"
    return None


def trained_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """All that training changes, by name ("rung0_conv/kernel"), in a fixed order: everything but what is frozen.

    The ladder's and head's weights, the batch normalisations' moving statistics, dropout's seed state, and of a
    backbone that is trained on its kernels. These, with the arguments of `build_colorizer` and the backbone's weights,
    are the model: a copy need not hold a frozen backbone.
    """
    backbone = {id(variable) for variable in model.get_layer("backbone").non_trainable_variables}
    return {name: variable for name, variable in all_variables(model).items() if id(variable) not in backbone}


def all_variables(model: keras.Model) -> dict[str, keras.Variable]:
    """Every variable of a model, the backbone's among them, by name, in a fixed order."""
    variables = {}
    for layer in model.layers:
        if isinstance(layer, keras.Model):
            variables |= all_variables(layer)
        else:  # not `variable.path`: a dropout's has a number that counts the dropouts of the process
            variables |= {f"{layer.name}/{variable.name}": variable for variable in layer.variables}
    return variables


def load_whole(path: str | Path) -> tuple[keras.Model, dict]:
    """A whole trained colorizer, for photos of any size, and what its file says besides.

    path: an .npz with every variable by its name, kernels as int8 with a scale for each channel, and "about": JSON with
    the version of this layout, the `arguments` of `build_colorizer`, and whatever its maker adds. It holds no pickle.
    Raises `ColorlibError` where the file is missing, damaged, or of another version.
    """
    with _reading(f"The colorizer {path} cannot be used: get it anew, with the rest of the project"):
        arrays = _arrays(path)
        about = json.loads(arrays.pop("about").item())
        if missing := {"version", "arguments", "photos"} - about.keys():
            raise ValueError(f"it does not say its {min(missing)}")
        if about["version"] != WHOLE_VERSION:
            raise ValueError(f"it is of version {about['version']}, and this colorlib reads version {WHOLE_VERSION}")
        model = build_colorizer(**about["arguments"], image_size=None)
        _assign(all_variables(model), arrays)
    return model, about


@contextlib.contextmanager
def _reading(problem: str):
    """A context in which whatever zipfile, h5py, NumPy, JSON and Keras raise ends as a `ColorlibError` of a problem."""
    try:
        yield
    except Exception as error:
        reason = (str(error).strip() or "no reason is given").splitlines()[0]
        raise ColorlibError(f"{problem}. {type(error).__name__}: {reason}") from error


def _arrays(path):
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


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
def dtype_policy(name: str | None):
    """A context in which Keras has this policy; None: the one in force."""
    before = keras.config.dtype_policy()
    try:
        keras.config.set_dtype_policy(name or before)
        yield
    finally:
        keras.config.set_dtype_policy(before)


# What each family of backbones was trained on, of L in [0, 1]: scale and offset.
_PREPARED = {
    "vgg16": (255.0, [-103.939, -116.779, -123.68]),  # 0 … 255 minus the mean color, blue first (Caffe)
    "mobilenet": (2.0, -1.0),  # -1 … 1
    "efficientnetlite0": (255 / 128, -127 / 128),  # (RGB - 127) / 128
}


def _prepared(lightness, backbone):
    """L in [0, 1], one channel -> what the backbone was trained on, three channels. In float32 under any policy."""
    x = layers.Concatenate(name="gray_as_rgb", dtype="float32")([lightness] * 3)
    scale, offset = _PREPARED.get(backbone, (255.0, 0.0))  # 0 … 255: EfficientNetB0 … B7 rescale by themselves
    return layers.Rescaling(scale, offset, name="prepared", dtype="float32")(x)


def _backbone(backbone, weights, size, names, trained):
    """The model from a prepared image, (*size, 3), to the list of the five tapped features, finest first."""
    net = _network(backbone, size)
    if weights is not None:
        _load(net, Path(weights), backbone)
    tapped = [net.get_layer(name).output for name in names]
    if backbone.startswith("efficientnetb"):
        # Keras inserts a second rescaling only for weights == "imagenet": with the same weights from a file the
        # network would be fed other numbers, and nothing would tell. So it is always ours, normalisation to stem.
        normalize = next(layer for layer in net.layers if isinstance(layer, layers.Normalization))
        body = keras.Model(net.get_layer("stem_conv_pad").input, tapped, name="body")
        scale = [1 / math.sqrt(deviation) for deviation in _IMAGENET_STDDEV]
        tapped = body(layers.Rescaling(scale, name="imagenet_rescaling")(normalize.output))
    features = keras.Model(net.input, tapped, name="backbone")
    # Keras runs the batch normalisation of what is not trainable in inference mode: the statistics of ImageNet serve
    # here too, and small batches of few photos make worse ones. Not so EfficientNet's stochastic depth: `fit` would
    # switch it on, even past a `training=False` in this model's graph.
    features.trainable = trained
    for layer in net.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = False
        if isinstance(layer, layers.Dropout):
            layer.rate = 0.0
    return features


def _network(backbone, size):
    """The backbone's network without its classifier, its weights random."""
    if backbone == "efficientnetlite0":
        return _efficientnet_lite0(size)
    create, options = {
        "vgg16": (keras.applications.VGG16, {}),
        "mobilenet": (keras.applications.MobileNet, {"alpha": 0.75}),
    }.get(backbone) or (getattr(keras.applications, backbone.replace("efficientnetb", "EfficientNetB")), {})
    return create(weights=None, include_top=False, input_shape=(*size, 3), **options)


# EfficientNet-Lite0 is B0 without squeeze-and-excitation, and with ReLU6 in place of swish. Its stages, after Google's
# efficientnet/lite (Apache 2.0): repeats, kernel, stride, expansion, filters.
_LITE0_STAGES = (
    *((1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80)),
    *((3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)),
)


def _efficientnet_lite0(size):
    """EfficientNet-Lite0 without its classifier, for images as (RGB - 127) / 128. Layers are named as in B0."""
    image = keras.Input((*size, 3))
    x = _convolved_relu6(layers.Conv2D(32, 3, 2, padding="same", use_bias=False, name="stem_conv"), image)
    for stage, (repeats, kernel, stride, expansion, filters) in enumerate(_LITE0_STAGES, 1):
        for i in range(repeats):
            x = _inverted_residual(x, f"block{stage}{'abcd'[i]}", kernel, 1 if i else stride, expansion, filters)
    x = _convolved_relu6(layers.Conv2D(1280, 1, use_bias=False, name="top_conv"), x)
    return keras.Model(image, x, name="efficientnetlite0")


def _inverted_residual(x, name, kernel, stride, expansion, filters):
    """Widened by a 1×1 convolution, filtered channel by channel, narrowed again; added to its input where both fit."""
    shortcut = x
    if expansion > 1:
        x = _convolved_relu6(layers.Conv2D(expansion * x.shape[-1], 1, use_bias=False, name=f"{name}_expand_conv"), x)
    depthwise = layers.DepthwiseConv2D(kernel, stride, padding="same", use_bias=False, name=f"{name}_dwconv")
    x = _convolved_relu6(depthwise, x)
    x = layers.Conv2D(filters, 1, use_bias=False, name=f"{name}_project_conv")(x)
    x = layers.BatchNormalization(name=f"{name}_project_bn")(x)
    return layers.Add(name=f"{name}_add")([x, shortcut]) if x.shape == shortcut.shape else x


def _convolved_relu6(convolution, x):
    """The convolution, batch normalisation and ReLU6, the three of one name."""
    name = convolution.name.removesuffix("dwconv").removesuffix("conv")
    return layers.ReLU(6.0, name=f"{name}activation")(layers.BatchNormalization(name=f"{name}bn")(convolution(x)))


def _load(net, path, backbone):
    """Weights into a network: of Keras' own .h5, or of an .npz as `data/weights` holds them."""
    problem = f"The weights file {str(path)!r} does not fit {backbone} without its classifier: it is missing, broken"
    with _reading(f"{problem}, or of another architecture"), warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)  # newer Keras skips a layer that is not in the file, and warns
        if path.suffix == ".npz":
            _assign(all_variables(net), _arrays(path))
        else:
            net.load_weights(path)


def _assign(variables, arrays):
    """Arrays named "<layer>/<variable>", of any float type, or int8 with a scale for each channel in "<…>/scale"."""
    scales = {name for name in arrays if name.endswith("/scale")}
    if missing := variables.keys() ^ (arrays.keys() - scales):
        raise ValueError(f"the file and the network differ in {min(missing)}")
    for name, variable in variables.items():
        variable.assign(arrays[name].astype(np.float32) * arrays.get(f"{name}/scale", np.float32(1)))


def _ladder(tapped, dropout, stride, finest, limits):
    """From the deepest tap, at 1/`stride` of the image's size, up to 1/`finest` of it."""
    *upper, x = tapped
    widths = [tap.shape[-1] for tap in upper]
    if limits:
        widths = [min(pair) for pair in zip(widths, limits, strict=True)]
    x = _convolved(x, widths[-1], 1, "rung0")
    if dropout:
        x = layers.SpatialDropout2D(dropout, name="rung0_dropout")(x)
    for rung in range(1, len(upper) + 1):
        tap = upper[-rung]
        if stride == finest:
            return x
        stride //= 2
        # To the next tap's width; after the last tap, to its own.
        width = widths[-rung - 1] if rung < len(upper) else widths[0]
        x = layers.UpSampling2D(interpolation="bilinear", name=f"rung{rung}_up")(x)
        if tap.shape[-1] != x.shape[-1]:
            tap = layers.Conv2D(x.shape[-1], 1, use_bias=False, name=f"rung{rung}_tap_conv")(tap)
        x = layers.Add(name=f"rung{rung}_add")([x, _normalized(tap, f"rung{rung}_tap_bn")])
        x = _convolved(x, width, 3, f"rung{rung}")
    if stride > finest:
        x = layers.UpSampling2D(interpolation="bilinear", name="last_up")(x)
    return x


def _head(x, stride):
    """Two channels, tanh, in float32: half precision would round colors. Upsampled where it stands below full size."""
    # Small first weights: the training starts from gray, not from random colors that it would have to unlearn first.
    small = keras.initializers.RandomNormal(stddev=1e-3)
    head = {"padding": "same", "activation": "tanh", "kernel_initializer": small, "name": "head", "dtype": "float32"}
    ab = layers.Conv2D(2, 3, **head)(x)
    if stride > 1:
        ab = layers.UpSampling2D(stride, interpolation="bilinear", name="ab_up", dtype="float32")(ab)
    return ab


@keras.saving.register_keras_serializable("colorlib")
class ColorLogits(layers.Layer):
    """The logits of `lab.NODES`, (..., n), by a 1×1 convolution.

    counts: (n,), how often each node occurs in the training photos. It takes no part in the logits: what makes colors
    of them wants to know which are rare, and the model carries it along.
    """

    def build(self, shape):
        count = len(lab.NODES)
        self.kernel = self.add_weight(name="kernel", shape=(shape[-1], count), initializer="glorot_uniform")
        self.bias = self.add_weight(name="bias", shape=(count,), initializer="zeros")
        self.counts = self.add_weight(name="counts", shape=(count,), initializer="ones", trainable=False)

    def call(self, x):
        return ops.matmul(x, self.kernel) + self.bias


def _convolved(x, width, kernel, name):
    x = layers.Conv2D(width, kernel, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return layers.ReLU(name=f"{name}_relu")(_normalized(x, f"{name}_bn"))


def _normalized(x, name):
    return layers.BatchNormalization(momentum=BATCH_NORM_MOMENTUM, name=name)(x)
