"""sRGB to CIE Lab and back, and the scales in which the models see it: the only place where those numbers stand.

Every function takes NumPy arrays and TensorFlow tensors alike (eager, in a graph, on any device), computes in float32
and gives back the kind that it was given. The matrix, white point (D65, 2 degrees) and thresholds are scikit-image's
(`skimage.color.rgb2lab`); the largest difference from it in float64, over all 16.7 million sRGB colors, is below 0.001.

The formula comes first; how its two powers, 2.4 and 1/3, are computed fast stands below it.
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

# The nodes: the corners of the cells of the 10-unit grid on the ab plane that some color of sRGB touches. Each row of
# `a` holds those from the first to the last b; all 16.7 million colors were looked at.
NODE_STEP = 10.0
_ROWS_OF_NODES = {
    **{-90: (50, 90), -80: (20, 90), -70: (0, 90), -60: (-20, 90), -50: (-30, 100), -40: (-40, 100), -30: (-50, 100)},
    **{-20: (-50, 100), -10: (-60, 100), 0: (-70, 100), 10: (-80, 90), 20: (-80, 90), 30: (-90, 90), 40: (-100, 80)},
    **{50: (-100, 80), 60: (-110, 80), 70: (-110, 80), 80: (-110, 70), 90: (-110, 70), 100: (-80, -20)},
}
# (309, 2), in ab units, float32. Every color of sRGB lies between four of them.
NODES = np.array(
    [(a, b) for a, (first, last) in _ROWS_OF_NODES.items() for b in range(first, last + 1, 10)], np.float32
)

_BLOCK = 2**15  # pixels that NumPy converts at once: what is in between stays in the processor's cache


# The formula.


def rgb_to_lab(rgb):
    """Lab of sRGB colors.

    rgb: floats in [0, 1], (..., 3). Returns float32 (..., 3): L in [0, 100]; a and b in CIELAB units, for sRGB within
    [-87, 99] and [-108, 95]. Raises `ColorlibError` for integers (divide 8-bit values by 255) and for other shapes.
    """
    xp, rgb = _prepared(rgb, "rgb")
    if xp is not _NUMPY:
        return xp.stack(_lab_planes(xp, rgb), axis=-1)
    pixels, lab = rgb.reshape(-1, 3), np.empty((rgb.size // 3, 3), np.float32)
    for i in range(0, len(pixels), _BLOCK):
        for channel, plane in enumerate(_lab_planes(xp, pixels[i : i + _BLOCK])):
            lab[i : i + _BLOCK, channel] = plane
    return lab.reshape(rgb.shape)


def _lab_planes(xp, rgb):
    """L, a and b of colors (..., 3), a plane each: on planes, the matrix is nine products that vectorize."""
    linear = _linear(xp, xp.stack([rgb[..., i] for i in range(3)]))
    roots = _root(xp, xp.stack([_product(row, linear) for row in _TO_XYZ]))
    fx, fy, fz = roots[0], roots[1], roots[2]
    return 116.0 * fy - 16.0, 500.0 * (fx - fy), 200.0 * (fy - fz)


def lightness(rgb):
    """L alone, float32 (...) in [0, 100], of rgb (..., 3) as `rgb_to_lab` takes it, at a third of its cost."""
    xp, rgb = _prepared(rgb, "rgb")
    linear = _linear(xp, rgb)
    return 116.0 * _root(xp, _product(_TO_XYZ[1], [linear[..., i] for i in range(3)])) - 16.0


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
    fz = xp.math.maximum(fy - lab[..., 2] / 200.0, 0.0)  # as scikit-image does, far outside the gamut
    xyz = [xp.where(f > 0.2068966, f * f * f, (f - 16.0 / 116.0) / 7.787) for f in (fx, fy, fz)]
    return xp.stack([_product(row, xyz) for row in _TO_RGB], axis=-1)


def encode(linear):
    """sRGB values, float32 in [0, 1], of linear light (..., 3); what lies outside [0, 1] is clipped."""
    xp, linear = _prepared(linear, "linear")
    curved = 1.055 * xp.math.exp(xp.math.log(xp.math.maximum(linear, 0.0031308)) * (1.0 / 2.4)) - 0.055
    return xp.clip_by_value(xp.where(linear > 0.0031308, curved, linear * 12.92), 0.0, 1.0)


def split(lab):
    """What a model sees and what it predicts: (L / 100, shape (..., 1)) and (ab / 128, shape (..., 2))."""
    _, lab = _prepared(lab, "lab")
    return lab[..., :1] / L_SCALE, lab[..., 1:] / AB_SCALE


def join(L, ab):
    """The inverse of `split`: lab (..., 3) of L / 100, (..., 1), and ab / 128, (..., 2)."""
    return _namespace(ab).concat([L * L_SCALE, ab * AB_SCALE], axis=-1)


def _product(row, planes):
    return row[0] * planes[0] + row[1] * planes[1] + row[2] * planes[2]


# Its two powers, fast.

# ((x + 0.055) / 1.055) to the power of 2.4 as a polynomial of degree 10 on the curved piece, [0.04045, 1].
_CURVE = np.polynomial.Chebyshev.interpolate(lambda x: ((x + 0.055) / 1.055) ** 2.4, 10, domain=[0.04045, 1])
_CURVE = _CURVE.convert(kind=np.polynomial.Polynomial).coef.tolist()


def _linear(xp, rgb):
    """Linear light of sRGB values: ((x + 0.055) / 1.055) ** 2.4, and x / 12.92 up to 0.04045.

    NumPy: exp(log x · k), 2.5 times as fast as a power. A compiled graph has every step in registers, so that there a
    polynomial, with errors below 4e-7, is faster still; it ends where the curve is straight anyway.
    """
    if xp is _NUMPY:
        curved = np.exp(np.log(np.maximum(rgb, 0.04045) * (1 / 1.055) + 0.055 / 1.055) * 2.4)
    else:
        curved = _CURVE[-1]
        for coefficient in _CURVE[-2::-1]:
            curved = curved * rgb + coefficient
    return xp.where(rgb > 0.04045, curved, rgb * (1 / 12.92))


def _root(xp, t):
    """CIELAB's cube root with its straight piece near black: t ** (1/3), and 7.787 t + 16/116 up to 0.008856."""
    large = xp.math.maximum(t, 0.008856)
    root = np.exp(np.log(large) * (1 / 3)) if xp is _NUMPY else _cube_root(xp, large)
    return xp.where(t > 0.008856, root, 7.787 * t + 16 / 116)


def _cube_root(tf, t):
    """A tensor's cube root: a third of the float's bits, read as a whole number, is a third of its exponent and so a
    guess within 4 %; each of Halley's steps makes of an error e one below e³."""
    bits = tf.cast(tf.cast(tf.bitcast(t, "int32"), "float32") * (1 / 3), "int32") + 709958130
    root = tf.bitcast(bits, "float32")
    for _ in range(2):
        cube = root * root * root
        root = root * (cube + 2.0 * t) / (2.0 * cube + t)
    return root


# Arrays and tensors.

# NumPy under those names of TensorFlow that are used here.
_NUMPY = types.SimpleNamespace(math=np, where=np.where, stack=np.stack, concat=np.concatenate, clip_by_value=np.clip)


def _namespace(array):
    """The functions for this kind of array. TensorFlow is looked for, not imported: no tensor exists without it."""
    tf = sys.modules.get("tensorflow")
    return tf if tf is not None and tf.is_tensor(array) else _NUMPY


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
