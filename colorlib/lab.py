"""sRGB to CIE Lab and back, and the scales in which the models see it: the only place where those numbers stand.

Every function takes NumPy arrays and TensorFlow tensors alike (eager, in a graph, on any device), computes in float32
and gives back the kind that it was given. The matrix, white point (D65, 2 degrees) and thresholds are scikit-image's
(`skimage.color.rgb2lab`); the largest difference from it in float64, over all 16.7 million sRGB colors, is below 0.001.
"""

import sys
import types

import numpy as np

from colorlib import ColorlibError

L_SCALE = 100.0  # the models see L / 100, in [0, 1]
AB_SCALE = 128.0  # and ab / 128, within [-1, 1]

XYZ_FROM_RGB = np.array(
    [[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]]
)
WHITE = np.array([0.95047, 1.0, 1.08883])
# The white point is divided out here once, not in every pixel.
_TO_XYZ = (XYZ_FROM_RGB / WHITE[:, None]).tolist()
_TO_RGB = (np.linalg.inv(XYZ_FROM_RGB) * WHITE).tolist()

_NUMPY = types.SimpleNamespace(
    exp=np.exp, log=np.log, maximum=np.maximum, where=np.where, stack=np.stack, concat=np.concatenate, clip=np.clip
)


def rgb_to_lab(rgb):
    """Lab of sRGB colors.

    rgb: floats in [0, 1], (..., 3). Returns float32 (..., 3): L in [0, 100]; a and b in CIELAB units, for sRGB within
    [-87, 99] and [-108, 95]. Raises `ColorlibError` for integers (divide 8-bit values by 255) and for other shapes.
    """
    xp, rgb = _prepared(rgb, "rgb")
    return xp.stack(_lab_planes(xp, _linear(xp, rgb)), axis=-1)


def lightness(rgb):
    """L alone, float32 (...) in [0, 100], of rgb (..., 3) as `rgb_to_lab` takes it, at a third of its cost."""
    xp, rgb = _prepared(rgb, "rgb")
    linear = _linear(xp, rgb)
    return 116.0 * _root(xp, sum(k * linear[..., i] for i, k in enumerate(_TO_XYZ[1]))) - 16.0


def lab_to_rgb(lab):
    """sRGB of Lab colors: float32 (..., 3) in [0, 1], of lab (..., 3) as `rgb_to_lab` gives it.

    Colors outside the sRGB gamut are clipped, channel by channel, in RGB. Raises as `rgb_to_lab` does.
    """
    return encode(lab_to_linear(lab))


def lab_to_linear(lab):
    """Linear light of Lab colors, float32 (..., 3), not clipped: within [0, 1] for the colors of sRGB's gamut."""
    xp, lab = _prepared(lab, "lab")
    fy = (lab[..., 0] + 16.0) / 116.0
    fx = fy + lab[..., 1] / 500.0
    fz = xp.maximum(fy - lab[..., 2] / 200.0, 0.0)  # as scikit-image does, far outside the gamut
    x, y, z = (xp.where(f > 0.2068966, f * f * f, (f - 16.0 / 116.0) / 7.787) for f in (fx, fy, fz))
    return xp.stack([row[0] * x + row[1] * y + row[2] * z for row in _TO_RGB], axis=-1)


def encode(linear):
    """sRGB values, float32 in [0, 1], of linear light (..., 3); what lies outside [0, 1] is clipped."""
    xp, linear = _prepared(linear, "linear")
    curved = 1.055 * xp.exp(xp.log(xp.maximum(linear, 0.0031308)) * (1.0 / 2.4)) - 0.055
    return xp.clip(xp.where(linear > 0.0031308, curved, linear * 12.92), 0.0, 1.0)


def split(lab):
    """What a model sees and what it predicts: (L / 100, shape (..., 1)) and (ab / 128, shape (..., 2))."""
    _, lab = _prepared(lab, "lab")
    return lab[..., :1] / L_SCALE, lab[..., 1:] / AB_SCALE


def join(L, ab):
    """The inverse of `split`: lab (..., 3) of L / 100, (..., 1), and ab / 128, (..., 2)."""
    xp = _namespace(ab)
    return xp.concat([L * L_SCALE, ab * AB_SCALE], axis=-1)


def _linear(xp, rgb):
    """Linear light of sRGB values. exp(log x · k) is 2.5 times as fast as a power, and as exact in float32."""
    curved = xp.exp(xp.log(xp.maximum(rgb, 0.04045) * (1 / 1.055) + 0.055 / 1.055) * 2.4)
    return xp.where(rgb > 0.04045, curved, rgb * (1 / 12.92))


def _lab_planes(xp, linear):
    """The planes L, a and b of linear light (..., 3). On planes, the matrix is nine products that vectorize."""
    r, g, b = linear[..., 0], linear[..., 1], linear[..., 2]
    fx, fy, fz = (_root(xp, row[0] * r + row[1] * g + row[2] * b) for row in _TO_XYZ)
    return 116.0 * fy - 16.0, 500.0 * (fx - fy), 200.0 * (fy - fz)


def _root(xp, t):
    """CIELAB's cube root with its straight piece near black."""
    return xp.where(t > 0.008856, xp.exp(xp.log(xp.maximum(t, 0.008856)) * (1 / 3)), 7.787 * t + 16 / 116)


def _namespace(array):
    """The functions for this kind of array. TensorFlow is looked for, not imported: no tensor exists without it."""
    tf = sys.modules.get("tensorflow")
    if tf is None or not tf.is_tensor(array):
        return _NUMPY
    return types.SimpleNamespace(
        exp=tf.exp,
        log=tf.math.log,
        maximum=tf.maximum,
        where=tf.where,
        stack=tf.stack,
        concat=tf.concat,
        clip=tf.clip_by_value,
        cast=tf.cast,
    )


def _prepared(colors, name: str):
    """The functions and the colors as float32. Raises `ColorlibError` for integers and for a last axis other than 3."""
    xp = _namespace(colors)
    if xp is _NUMPY:
        colors = np.asarray(colors)
        floating, rank = np.issubdtype(colors.dtype, np.floating), colors.ndim
    else:
        floating, rank = colors.dtype.is_floating, colors.shape.rank
    if not floating:
        raise ColorlibError(f"{name} must be floats, not {colors.dtype!r}: for 8-bit RGB, divide by 255 first.")
    if rank == 0 or (rank and colors.shape[-1] not in (3, None)):
        raise ColorlibError(f"{name} must have three channels in its last axis; its shape is {tuple(colors.shape)}.")
    return xp, colors.astype(np.float32, copy=False) if xp is _NUMPY else xp.cast(colors, "float32")
