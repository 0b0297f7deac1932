"""sRGB to Lab and back, against scikit-image in float64. All 16.7 million colors: see benchmarks/lab.py."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from skimage import color

from colorlib import ColorlibError, lab

# Every kind of caller: arrays, tensors, tensors of unknown shape in a graph, a compiled graph.
KINDS = ("numpy", "eager", "graph", "compiled")


def called(function, colors, kind):
    """A function of `lab` on colors, float32 (..., 3), called in one of `KINDS`; the result as an array."""
    if kind == "numpy":
        result = function(colors)
        assert isinstance(result, np.ndarray | np.float32)
        return result
    if kind == "graph":
        function = tf.function(function, input_signature=[tf.TensorSpec([None] * colors.ndim, tf.float32)])
    if kind == "compiled":
        function = tf.function(function, jit_compile=True)
    result = function(tf.constant(colors))
    assert tf.is_tensor(result)
    return result.numpy()


def dense():
    """8-bit colors, int (3 · 6 · 256 · 256, 3): all pairs of two channels, each with 6 levels of the third."""
    few, all_levels = np.arange(0, 256, 51), np.arange(256)
    cube = np.stack(np.meshgrid(few, all_levels, all_levels, indexing="ij"), axis=-1).reshape(-1, 3)
    return np.concatenate([np.roll(cube, shift, axis=1) for shift in range(3)])


@pytest.fixture(scope="module")
def reference():
    levels = dense()
    return levels, color.rgb2lab(levels / 255.0)


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_scikit_image_and_returns_every_color(reference, kind):
    levels, expected = reference
    found = called(lab.rgb_to_lab, (levels / 255.0).astype(np.float32), kind)
    assert found.dtype == np.float32
    assert np.abs(found - expected).max() <= 0.001
    back = called(lab.lab_to_rgb, found, kind)
    assert back.dtype == np.float32
    assert np.array_equal(np.rint(back * 255), levels)
    assert np.abs(called(lab.lightness, (levels / 255.0).astype(np.float32), kind) - expected[:, 0]).max() <= 0.001


@pytest.mark.parametrize("kind", KINDS)
def test_known_colors(kind):
    # Published values for sRGB under D65, 2 degrees.
    rgb = [[1, 1, 1], [0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]
    expected = [[100, 0, 0], [0, 0, 0], [53.24, 80.09, 67.20], [87.73, -86.18, 83.18], [32.30, 79.19, -107.86]]
    assert called(lab.rgb_to_lab, np.float32(rgb), kind) == pytest.approx(np.array(expected), abs=0.02)


@pytest.mark.parametrize("kind", KINDS)
def test_colors_outside_the_gamut_are_clipped_in_rgb(kind):
    rng = np.random.default_rng(0)
    colors = rng.uniform([0, -128, -128], [100, 128, 128], (20_000, 3))
    found = called(lab.lab_to_rgb, colors.astype(np.float32), kind)
    linear = called(lab.lab_to_linear, colors.astype(np.float32), kind)
    outside = ((linear < 0) | (linear > 1)).any(axis=-1)
    assert 0.5 < outside.mean() < 0.95  # most of that box is no sRGB color
    assert found.min() == 0 and found.max() == 1
    assert np.all(found[linear <= 0] == 0) and np.all(found[linear >= 1] == 1)  # clipped, not wrapped
    with np.testing.suppress_warnings() as quiet:
        quiet.filter(UserWarning)  # scikit-image tells of negative Z values, which both set to 0
        expected = color.lab2rgb(colors)
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize("kind", KINDS)
def test_linear_light_and_its_encoding_make_the_way_back(kind):
    colors = np.float32([[50, 20, -30], [97, -10, 90], [1, 0, 0], [60, 120, 0]])
    linear = called(lab.lab_to_linear, colors, kind)
    assert np.array_equal(called(lab.encode, linear, kind), called(lab.lab_to_rgb, colors, kind))
    assert linear[3].max() > 1 and linear[3].min() < 0  # not clipped


def test_extreme_values_stay_finite():
    far = np.float32([[0, 0, 0], [100, 0, 0], [0, 128, -128], [100, -128, 128], [-50, 500, 500], [150, -500, -500]])
    for kind in KINDS:
        assert np.isfinite(called(lab.lab_to_rgb, far, kind)).all()
        assert np.isfinite(called(lab.rgb_to_lab, np.float32([[-1, 0, 2], [1e-30, 0, 1]]), kind)).all()


@pytest.mark.parametrize("shape", [(3,), (0, 3), (1, 1, 3), (2, 3, 4, 5, 3)])
def test_any_shape(shape):
    colors = np.random.default_rng(1).uniform(size=shape).astype(np.float32)
    for kind in KINDS:
        assert called(lab.rgb_to_lab, colors, kind).shape == shape
        assert called(lab.lightness, colors, kind).shape == shape[:-1]


def test_other_floats_are_computed_in_float32():
    colors = np.random.default_rng(2).uniform(size=(5, 3))
    for dtype in ("float16", "float64", ">f4"):
        assert lab.rgb_to_lab(colors.astype(dtype)).dtype == np.float32
    assert lab.rgb_to_lab(tf.constant(colors)).dtype == tf.float32
    assert lab.rgb_to_lab(colors.tolist()).shape == (5, 3)


def test_split_and_join_are_inverse():
    colors = np.random.default_rng(3).uniform([0, -86, -107], [100, 98, 94], (2, 4, 5, 3)).astype(np.float32)
    for convert in (np.asarray, tf.constant):
        L, ab = lab.split(convert(colors))
        assert L.shape == (2, 4, 5, 1) and ab.shape == (2, 4, 5, 2)
        assert np.array_equal(L[..., 0], colors[..., 0] / np.float32(100))
        assert np.array_equal(ab, colors[..., 1:] / np.float32(128))
        assert np.abs(np.asarray(lab.join(L, ab)) - colors).max() < 1e-4


def test_integers_and_wrong_shapes_are_refused():
    for colors in (np.zeros((2, 3), np.uint8), tf.zeros((2, 3), tf.uint8), [[1, 2, 3]]):
        with pytest.raises(ColorlibError, match="divide by 255"):
            lab.rgb_to_lab(colors)
    for shape in ((), (2, 4), (3, 1)):
        for colors in (np.zeros(shape), tf.zeros(shape)):
            with pytest.raises(ColorlibError, match="three channels"):
                lab.lab_to_rgb(colors)


def test_arrays_need_no_tensorflow():
    code = (
        "import sys, numpy; from colorlib import lab; lab.rgb_to_lab(numpy.ones(3)); print('tensorflow' in sys.modules)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


# The nodes of a distribution of colors.


def corners_touched(cells):
    """The corners of cells, (..., 2) in steps of the grid from -20 on, as a table (40, 40)."""
    table = np.zeros((40, 40), bool)
    a, b = np.unique(cells.reshape(-1, 2).astype(int), axis=0).T + 20
    for down, right in ((0, 0), (0, 1), (1, 0), (1, 1)):
        table[a + down, b + right] = True
    return table


def test_the_nodes_are_the_corners_of_the_cells_that_srgb_touches_and_no_others():
    """All 16.7 million colors."""
    green, red = np.meshgrid(np.arange(256), np.arange(256), indexing="ij")
    touched = np.zeros((40, 40), bool)
    for blue in range(256):
        ab = lab.rgb_to_lab(np.stack([red, green, np.full_like(red, blue)], axis=-1) / np.float32(255))[..., 1:]
        touched |= corners_touched(np.floor(ab / lab.NODE_STEP))
    nodes = np.argwhere(touched) - 20
    assert lab.NODES.shape == (309, 2) and lab.NODES.dtype == np.float32
    np.testing.assert_array_equal(lab.NODES, nodes * lab.NODE_STEP)  # in this order, too


def test_the_nodes_are_those_of_scikit_image(reference):
    _, expected = reference
    is_node = np.zeros((40, 40), bool)
    is_node[tuple((lab.NODES / 10 + 20).astype(int).T)] = True
    near = corners_touched(np.floor(expected[:, 1:] / 10 + 1e-6)) | corners_touched(
        np.floor(expected[:, 1:] / 10 - 1e-6)
    )
    assert (is_node | ~near).all()
    assert near.sum() > 0.97 * len(lab.NODES)
