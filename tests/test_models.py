"""The colorizers: what they are made of, what the backbone is fed, what training may change, what goes wrong aloud."""

import json
import os
import pickle
import random
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from colorlib import ColorlibError, lab, losses, models
from colorlib.sources import weights

ROOT = Path(__file__).resolve().parent.parent

# Without their classifiers, as published on keras.io/api/applications (MobileNet's: α = 0.75).
BACKBONE_PARAMETERS = {
    "vgg16": 14_714_688,
    "efficientnetb0": 4_049_571,
    "efficientnetb7": 64_097_687,
    "mobilenet": 1_832_976,
    "efficientnetlite0": 4_652_008 - 1_281_000 + 42_016,  # as published, less the classifier; moving statistics
}

VIVID = {"head": "distribution", "head_stride": 4, "widths": (8, 8, 16, 16), "seed": 1}


def lightness(size, batch=2, seed=0):
    return np.random.default_rng(seed).random((batch, size, size, 1), dtype="float32")


def tapped(model):
    """A model from L to the five taps as the ladder gets them, finest first."""
    first = [f"rung{i}_tap_bn" for i in (4, 3, 2, 1)] + ["rung0_conv"]
    return keras.Model(model.input, [model.get_layer(name).input for name in first])


def ladder_parameters(widths, head_from):
    """Trainable and moving numbers of the ladder by hand: widths of the taps, finest first; width before the head."""
    convolutions, norms = [widths[4] * widths[3]], [widths[3]]
    for i in (3, 2, 1, 0):
        out = widths[max(i - 1, 0)]
        convolutions.append(9 * widths[i] * out)
        norms += [widths[i], out]
    head = 9 * head_from * 2 + 2
    return sum(convolutions) + 2 * sum(norms) + head, 2 * sum(norms)


@pytest.mark.parametrize(
    ("backbone", "size", "taps"),
    [
        ("vgg16", 224, [(224, 64), (112, 128), (56, 256), (28, 512), (14, 512)]),
        ("efficientnetb0", 64, [(32, 96), (16, 144), (8, 240), (4, 672), (2, 1280)]),
        ("efficientnetb7", 224, [(112, 192), (56, 288), (28, 480), (14, 1344), (7, 2560)]),
        ("efficientnetlite0", 224, [(112, 96), (56, 144), (28, 240), (14, 672), (7, 1280)]),
        ("mobilenet", 128, [(64, 48), (32, 96), (16, 192), (8, 384), (4, 768)]),
    ],
)
def test_taps_ladder_and_parameters(backbone, size, taps):
    model = models.build_colorizer(backbone, None, size)
    assert model.input_shape == (None, size, size, 1)
    assert model.output_shape == (None, size, size, 2)
    assert [shape[1:] for shape in tapped(model).output_shape] == [(side, side, width) for side, width in taps]
    # Rung 0 has the width of the tap it is added to: for B7, the paper's "7 × 7 × 1334", misprinted.
    sides, widths = zip(*taps, strict=True)
    assert model.get_layer("rung0_conv").output.shape[1:] == (sides[4], sides[4], widths[3])
    for rung in (1, 2, 3, 4):
        convolution = model.get_layer(f"rung{rung}_conv")
        assert convolution.output.shape[1:] == (sides[4 - rung], sides[4 - rung], widths[max(3 - rung, 0)])
        assert convolution.kernel.shape[:2] == (3, 3) and not convolution.use_bias
    trained, moving = ladder_parameters(widths, head_from=widths[0])
    assert sum(int(np.prod(v.shape)) for v in model.trainable_variables) == trained
    assert model.count_params() == trained + moving + BACKBONE_PARAMETERS[backbone]


@pytest.mark.parametrize("number", [1, 4, 6])
def test_the_other_efficientnets_have_the_taps(number):
    create = getattr(keras.applications, f"EfficientNetB{number}")
    net = create(include_top=False, weights=None, input_shape=(32, 32, 3))
    for name, side in zip(models.taps(f"efficientnetb{number}"), (16, 8, 4, 2, 1), strict=True):
        assert net.get_layer(name).output.shape[1:3] == (side, side)


@pytest.mark.parametrize("backbone", ["vgg16", "efficientnetb0", "mobilenet"])
@pytest.mark.parametrize("stride", [1, 2, 4])
def test_head_stride(backbone, stride):
    model = models.build_colorizer(backbone, None, 64, head_stride=stride)
    assert model.output_shape == (None, 64, 64, 2)
    assert model.get_layer("head").output.shape[1:] == (64 // stride, 64 // stride, 2)
    rungs = {layer.name for layer in model.layers if layer.name.endswith("_add")}
    sizes = {"vgg16": [64, 32, 16, 8]}.get(backbone, [32, 16, 8, 4])  # of the four upper taps
    assert len(rungs) == sum(side <= 64 // stride for side in sizes)


@pytest.mark.parametrize("backbone", ["vgg16", "efficientnetb0", "mobilenet"])
def test_light_ladder(backbone):
    limits = (16, 32, 64, 128)
    light, wide = (models.build_colorizer(backbone, None, 64, head_stride=2, widths=w) for w in (limits, None))
    assert light.output_shape == (None, 64, 64, 2)
    widths = [tap.shape[-1] for tap in light.get_layer("backbone").outputs[:4]]
    narrow = [min(pair) for pair in zip(widths, limits, strict=True)]
    names = {layer.name for layer in light.layers}
    assert light.get_layer("rung0_conv").output.shape[-1] == narrow[3]
    for rung in range(1, 4 if backbone == "vgg16" else 5):  # VGG-16's first tap is above the head
        assert light.get_layer(f"rung{rung}_add").output.shape[-1] == narrow[4 - rung]
        assert light.get_layer(f"rung{rung}_conv").output.shape[-1] == narrow[max(3 - rung, 0)]
        assert (f"rung{rung}_tap_conv" in names) == (widths[4 - rung] != narrow[4 - rung])
    few, many = (sum(int(np.prod(v.shape)) for v in model.trainable_variables) for model in (light, wide))
    assert few < 0.4 * many


def test_half_precision_in_the_backbone_alone():
    one, other = (
        models.build_colorizer("mobilenet", None, 32, backbone_dtype=dtype, seed=1)
        for dtype in (None, "mixed_bfloat16")
    )
    assert keras.config.dtype_policy().name == "float32"
    backbone = other.get_layer("backbone")
    convolutions = [layer for layer in backbone.layers if isinstance(layer, keras.layers.Conv2D)]
    assert {layer.compute_dtype for layer in convolutions} == {"bfloat16"}
    outside = [layer for layer in other.layers if layer.name != "backbone"]
    assert {layer.compute_dtype for layer in outside} == {"float32"}
    assert {v.dtype for v in other.variables if "seed" not in v.path} == {"float32"}
    for a, b in zip(one.weights, other.weights, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(one(lightness(32)), other(lightness(32)), atol=1e-3)
    assert not np.array_equal(one(lightness(32)), other(lightness(32)))


@pytest.mark.parametrize(
    ("backbone", "black", "gray", "white"),
    [
        # 0 … 255 less ImageNet's mean color, blue first (Caffe's convention)
        ("vgg16", (-103.939, -116.779, -123.68), (23.561, 10.721, 3.82), (151.061, 138.221, 131.32)),
        ("efficientnetb0", (0, 0, 0), (127.5, 127.5, 127.5), (255, 255, 255)),
        ("mobilenet", (-1, -1, -1), (0, 0, 0), (1, 1, 1)),
        ("efficientnetlite0", (-127 / 128,) * 3, (0.5 / 128,) * 3, (1, 1, 1)),
    ],
)
def test_what_the_backbone_is_fed(backbone, black, gray, white):
    L = np.zeros((1, 32, 32, 1), "float32")
    L[0, 0, :3, 0] = 0, 0.5, 1
    model = models.build_colorizer(backbone, None, 32)
    fed = keras.Model(model.input, model.get_layer("prepared").output)(L)
    np.testing.assert_allclose(fed[0, 0, :3], [black, gray, white], atol=2e-5)
    if backbone == "efficientnetlite0":
        return  # not one of Keras' own
    module = getattr(keras.applications, {"efficientnetb0": "efficientnet"}.get(backbone, backbone))
    np.testing.assert_allclose(fed, module.preprocess_input(np.repeat(L * 255, 3, axis=-1)), atol=2e-5)


@pytest.mark.parametrize("backbone", ["vgg16", "efficientnetb0", "efficientnetlite0", "mobilenet"])
def test_the_backbone_is_frozen(backbone):
    model = models.build_colorizer(backbone, None, 32, dropout=0.2, seed=1)
    frozen = model.get_layer("backbone")
    inside = {id(v) for v in frozen.variables}
    assert inside and not frozen.trainable_variables
    assert not any(id(v) in inside for v in model.trainable_variables)
    L, ab = lightness(32, 4), np.random.default_rng(1).uniform(-0.5, 0.5, (4, 32, 32, 2)).astype("float32")
    with tf.GradientTape(persistent=True) as tape:
        loss = tf.reduce_mean((model(L, training=True) - ab) ** 2)
    assert all(g is None for g in tape.gradient(loss, frozen.variables))
    assert all(g is not None for g in tape.gradient(loss, model.trainable_variables))
    # Inference mode: neither batch statistics nor EfficientNet's stochastic depth, even when the whole model trains.
    features = tapped(model)
    for training, inference in zip(features(L, training=True), features(L, training=False), strict=True):
        np.testing.assert_array_equal(training, inference)
    before = [np.array(v) for v in frozen.variables]
    trained = {name: np.array(v) for name, v in models.trained_variables(model).items()}
    model.compile(keras.optimizers.Adam(1e-2), "mse")
    model.fit(L, ab, batch_size=2, verbose=0)
    for old, variable in zip(before, frozen.variables, strict=True):
        np.testing.assert_array_equal(old, variable)
    unchanged = [n for n, v in models.trained_variables(model).items() if np.array_equal(trained[n], v)]
    if backbone != "vgg16":  # with random weights their deepest taps are near 0, and so are their gradients
        unchanged = [name for name in unchanged if not name.startswith(("rung0", "rung1"))]
    assert not unchanged


def test_stem_takes_three_channels():
    model = models.build_colorizer("efficientnetb0", None, 32)
    body = model.get_layer("backbone").get_layer("body")
    assert body.get_layer("stem_conv").kernel.shape == (3, 3, 3, 32)


def test_a_file_s_efficientnet_is_fed_as_the_downloaded_one(tmp_path, monkeypatch):
    """The trap: Keras rescales a second time only for weights == "imagenet". A file stands in for the download."""
    net = keras.applications.EfficientNetB0(include_top=False, weights=None, input_shape=(32, 32, 3))
    normalize = next(layer for layer in net.layers if isinstance(layer, keras.layers.Normalization))
    mean, deviation = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
    normalize.set_weights([np.array(mean), np.array(deviation), np.array(0)])
    file = str(tmp_path / "random.weights.h5")
    net.save_weights(file)
    monkeypatch.setattr("keras.src.utils.file_utils.get_file", lambda name, *args, **kw: file)
    L = lightness(32)
    reference = keras.applications.EfficientNetB0(include_top=False, weights="imagenet", input_shape=(32, 32, 3))
    outputs = [reference.get_layer(name).output for name in models.taps("efficientnetb0")]
    expected = keras.Model(reference.input, outputs)(np.repeat(L * 255, 3, axis=-1))
    for ours, keras_own in zip(tapped(models.build_colorizer("efficientnetb0", file, 32))(L), expected, strict=True):
        np.testing.assert_array_equal(ours, keras_own)
    # The stem itself sees (x - mean) / deviation: the check that the reference is what ImageNet's networks want.
    stem = keras.Model(reference.input, reference.get_layer("stem_conv_pad").input)(np.repeat(L * 255, 3, axis=-1))
    np.testing.assert_allclose(stem, (L - mean) / deviation, atol=1e-4)


@pytest.mark.parametrize("backbone", ["vgg16", "efficientnetb0", "efficientnetlite0", "mobilenet"])
def test_save_rebuild_predict(backbone, tmp_path):
    L = lightness(32)
    settings = {"image_size": 32, "dropout": 0.2, "head_stride": 2, "seed": 3}
    model = models.build_colorizer(backbone, None, **settings)
    for name, variable in models.trained_variables(model).items():  # as if trained
        if "seed_generator" not in name:
            variable.assign(variable + 0.01)
    expected = model(L)
    kept = {name: np.array(variable) for name, variable in models.trained_variables(model).items()}

    rebuilt = models.build_colorizer(backbone, None, **settings)
    assert list(models.trained_variables(rebuilt)) == list(kept) and len(set(kept)) == len(kept)
    assert not np.array_equal(rebuilt(L), expected)
    for name, variable in models.trained_variables(rebuilt).items():
        variable.assign(kept[name])
    np.testing.assert_array_equal(rebuilt(L), expected)

    if backbone == "mobilenet":  # Keras' whole-model file too: every layer is one of Keras' own
        model.save(tmp_path / "whole.keras")
        np.testing.assert_array_equal(keras.models.load_model(tmp_path / "whole.keras")(L), expected)
    model.save_weights(tmp_path / "all.weights.h5")
    other = models.build_colorizer(backbone, None, **{**settings, "seed": 4})
    other.load_weights(tmp_path / "all.weights.h5")
    np.testing.assert_array_equal(other(L), expected)


def test_mobilenet_s_one_file_serves_every_size(shared):
    real = shared / "weights/mobilenet_7_5_224_tf_no_top.h5"
    L = lightness(128)
    reference = keras.applications.MobileNet(
        include_top=False, alpha=0.75, weights=str(real), input_shape=(128, 128, 3)
    )
    expected = reference(np.repeat(L * 2 - 1, 3, axis=-1))
    np.testing.assert_array_equal(tapped(models.build_colorizer("mobilenet", real, 128))(L)[-1], expected)


def test_lite0_gives_the_published_network_s_features(shared):
    """Against the published PyTorch network's own output for scikit-image's astronaut, at the box's half precision."""
    published = np.load(shared / "reference/efficientnet_lite0_outputs.npz")
    net = models.build_colorizer("efficientnetlite0", weights.resolve("box", "efficientnetlite0").path, 128)
    rgb = (published["rgb"].astype("float32").reshape(1, 128, 128, 3) - 127) / 128
    top = net.get_layer("backbone")(rgb)[-1]
    error = np.sqrt(np.mean((top - published["top"]) ** 2) / np.mean(published["top"] ** 2))
    assert error < 0.006


def test_weights_files_that_do_not_fit(tmp_path):
    net = keras.applications.MobileNet(include_top=False, alpha=0.5, weights=None, input_shape=(32, 32, 3))
    net.save_weights(tmp_path / "narrow.weights.h5")
    (tmp_path / "broken.weights.h5").write_bytes(b"<html>404 Not Found</html>")
    for name in ("narrow", "broken"):
        with pytest.raises(ColorlibError, match=r"does not fit mobilenet.*broken, or of another architecture"):
            models.build_colorizer("mobilenet", tmp_path / f"{name}.weights.h5", 32)
    with pytest.raises(ColorlibError, match="does not fit vgg16"):
        models.build_colorizer("vgg16", tmp_path / "narrow.weights.h5", 32)
    np.savez(tmp_path / "part.npz", **{"stem_conv/kernel": np.zeros((3, 3, 3, 32), "float16")})
    (tmp_path / "cut.npz").write_bytes((tmp_path / "part.npz").read_bytes()[:99])
    for name in ("part", "cut"):
        with pytest.raises(ColorlibError, match="does not fit efficientnetlite0"):
            models.build_colorizer("efficientnetlite0", tmp_path / f"{name}.npz", 32)
    with pytest.raises(ColorlibError, match=r"weights file 'nowhere.h5' does not fit.*missing"):
        models.build_colorizer("mobilenet", "nowhere.h5", 32)


def test_arguments_that_do_not_fit():
    with pytest.raises(ColorlibError, match=r"Unknown backbone 'resnet'. Valid: vgg16, efficientnetb0,"):
        models.build_colorizer("resnet")
    with pytest.raises(ColorlibError, match=r"multiple of 32.*Take 96 or 128"):
        models.build_colorizer("efficientnetb0", None, 100)
    with pytest.raises(ColorlibError, match=r"multiple of 16.*Take 96 or 112"):
        models.build_colorizer("vgg16", None, 100)
    with pytest.raises(ColorlibError, match="Take 32 or 48"):
        models.build_colorizer("vgg16", None, 16)
    with pytest.raises(ColorlibError, match=r"Unknown head_stride 3. Valid: 1, 2, 4"):
        models.build_colorizer("vgg16", None, 32, head_stride=3)
    with pytest.raises(ColorlibError, match=r"Unknown head 'colors'. Valid: ab, distribution"):
        models.build_colorizer("vgg16", None, 32, head="colors")


def test_seed_decides_and_leaves_the_callers_random_numbers():
    random.seed(5)
    expected = [random.random() for _ in range(2)]
    random.seed(5)
    first = random.random()
    a, b, c = (models.build_colorizer("efficientnetb0", None, 32, dropout=0.1, seed=s) for s in (1, 1, 2))
    assert [first, random.random()] == expected
    same = [np.array_equal(x, y) for x, y in zip(a.get_weights(), b.get_weights(), strict=True)]
    assert all(same)
    assert not np.array_equal(a.get_layer("rung0_conv").kernel, c.get_layer("rung0_conv").kernel)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_head_is_float32_under_mixed_precision(policy):
    L = lightness(32)
    expected = models.build_colorizer("efficientnetb0", None, 32, seed=1)(L)
    keras.mixed_precision.set_dtype_policy(policy)
    try:
        model = models.build_colorizer("efficientnetb0", None, 32, seed=1)
    finally:
        keras.mixed_precision.set_dtype_policy("float32")
    assert model.get_layer("prepared").output.dtype == "float32"
    assert model.get_layer("rung4_conv").output.dtype == policy.removeprefix("mixed_")
    assert model.get_layer("head").compute_dtype == "float32" and model.output.dtype == "float32"
    assert all(variable.dtype == "float32" for variable in model.trainable_variables)
    np.testing.assert_allclose(model(L), expected, atol=2e-3)


# A head of many colors, photos of any size, a backbone that is trained on.


@pytest.mark.parametrize("backbone", ["vgg16", "efficientnetb0", "efficientnetlite0", "mobilenet"])
def test_photos_of_any_size(backbone):
    anything = models.build_colorizer(backbone, None, None, **VIVID)
    assert anything.input_shape == (None, None, None, 1)
    assert anything.output_shape == (None, None, None, len(lab.NODES)) and anything.output.dtype == "float32"
    for height, width in ((32, 96), (96, 64)):
        model = models.build_colorizer(backbone, None, (height, width), **VIVID)
        assert model.output_shape == (None, height // 4, width // 4, len(lab.NODES))
        L = np.random.default_rng(0).random((1, height, width, 1), dtype="float32")
        np.testing.assert_allclose(anything(L), model(L), atol=1e-5)
    colors = models.build_colorizer(backbone, None, (32, 64), head_stride=2)
    assert colors.output_shape == (None, 32, 64, 2)
    with pytest.raises(ColorlibError, match=r"image_size 100 does not fit"):
        models.build_colorizer(backbone, None, (64, 100))


@pytest.mark.parametrize("backbone", ["vgg16", "efficientnetb0", "mobilenet"])
def test_a_backbone_that_is_trained_on(backbone):
    """Its kernels change, its batch normalisation does not; and all that changes is what a checkpoint holds."""
    model = models.build_colorizer(backbone, None, 32, **VIVID, trained_backbone=True)
    inside = model.get_layer("backbone")
    kernels = {id(v) for v in inside.trainable_variables}
    norms = [layer for layer in inside._flatten_layers() if isinstance(layer, keras.layers.BatchNormalization)]
    assert kernels and not {id(v) for norm in norms for v in norm.variables} & kernels
    assert {v.name for v in inside.trainable_variables} <= {"kernel", "bias"}
    held = models.trained_variables(model)
    assert {id(v) for v in held.values()} >= kernels | {id(v) for v in model.get_layer("head").variables}
    L, ab = lightness(32, 4), np.random.default_rng(1).uniform(-0.3, 0.3, (4, 32, 32, 2)).astype("float32")
    image = np.repeat(L * 255, 3, axis=-1)
    for training, inference in zip(inside(image, training=True), inside(image, training=False), strict=True):
        np.testing.assert_array_equal(training, inference)  # no stochastic depth, no statistics of the batch
    before = {name: np.array(v) for name, v in models.all_variables(model).items()}
    model.compile(keras.optimizers.Adam(1e-2), losses.ColorCrossEntropy())
    model.fit(L, ab, batch_size=2, verbose=0)
    changed = {name for name, v in models.all_variables(model).items() if not np.array_equal(before[name], v)}
    assert changed <= held.keys()
    assert changed & {name for name, v in held.items() if id(v) in kernels}
    frozen = models.build_colorizer(backbone, None, 32, **VIVID)
    assert not frozen.get_layer("backbone").trainable_variables
    names = {name for name, v in held.items() if id(v) not in kernels}
    assert set(models.trained_variables(frozen)) == names


# A whole colorizer in one file.


@pytest.fixture
def whole(tmp_path, monkeypatch):
    """A whole colorizer with random weights, and a function that writes it as the box is written, with changes."""
    monkeypatch.syspath_prepend(ROOT / "tests/tools")
    import make_weights

    arguments = {"backbone": "mobilenet", **VIVID}
    model = models.build_colorizer(**arguments, image_size=None)
    model.get_layer("head").counts.assign(np.arange(len(lab.NODES)))
    variables = {name: np.asarray(variable) for name, variable in models.all_variables(model).items()}

    def written(bits=8, about=(), without=(), **arrays):
        about = {"version": models.WHOLE_VERSION, "arguments": arguments, "photos": "made-up photos", **dict(about)}
        about = {name: value for name, value in about.items() if value is not None}
        arrays = make_weights.packed(variables, bits) | {"about": np.array(json.dumps(about))} | arrays
        path = tmp_path / "whole.npz"
        make_weights.save(path, {name: array for name, array in arrays.items() if name not in without})
        return path

    return model, written


def test_a_whole_colorizer_comes_back_from_its_file(whole):
    model, written = whole
    L = np.random.default_rng(0).random((1, 64, 96, 1), dtype="float32")
    same, about = models.load_whole(written(bits=32))
    np.testing.assert_array_equal(same(L), model(L))
    assert about["photos"] == "made-up photos" and same.input_shape == (None, None, None, 1)
    near, _ = models.load_whole(written())
    np.testing.assert_array_equal(near.get_layer("head").counts, np.arange(len(lab.NODES)))
    error = np.asarray(near(L)) - model(L)
    assert 0 < np.sqrt(np.mean(error**2)) < 0.05 * np.std(model(L))
    assert np.abs(losses.color_of(near(L)) - losses.color_of(model(L))).max() < 0.02


def test_a_whole_colorizer_that_cannot_be_used_names_its_file(whole, tmp_path):
    _, written = whole
    with pytest.raises(ColorlibError, match=r"colorizer .*nowhere.npz cannot be used: get it anew.*No such file"):
        models.load_whole(tmp_path / "nowhere.npz")
    for changes, reason in (
        ({"about": {"version": 99}}, "of version 99, and this colorlib reads version 1"),
        ({"without": ["about"]}, "about"),
        ({"about": {"photos": None}}, "does not say its photos"),
        ({"about": {"arguments": {"backbone": "resnet"}}}, "Unknown backbone 'resnet'"),
        ({"without": ["head/bias"]}, "differ in head/bias"),
        ({"head/counts": np.ones(7, "float32")}, "shape"),
        ({"surplus": np.ones(7, "float32")}, "differ in surplus"),
    ):
        with pytest.raises(ColorlibError, match=rf"colorizer .*whole.npz cannot be used: get it anew.*{reason}"):
            models.load_whole(written(**changes))
    path = written()
    data = path.read_bytes()
    for broken in (b"", data[:1000], data[: len(data) // 2], data[:-30], b"<html>404 Not Found</html>"):
        path.write_bytes(broken)
        with pytest.raises(ColorlibError, match=r"whole.npz cannot be used: get it anew"):
            models.load_whole(path)


class Pickled:
    """What would run a program, if it were unpickled."""

    def __reduce__(self):
        return pytest.fail, ("it was unpickled",)


def test_a_whole_colorizer_is_never_a_pickle(whole, tmp_path):
    _, written = whole
    path = written()
    with np.load(path) as file:
        arrays = dict(file)
    for name in ("about", "head/bias"):
        np.savez(path, **arrays | {name: np.array([Pickled()], dtype=object)})
        with pytest.raises(ColorlibError, match=r"whole.npz cannot be used: get it anew.*allow_pickle"):
            models.load_whole(path)
    path.write_bytes(pickle.dumps(Pickled()))
    with pytest.raises(ColorlibError, match=r"whole.npz cannot be used"):
        models.load_whole(path)


ON_JAX = """
import json, sys
import keras, numpy as np
from colorlib import losses, models
keras.mixed_precision.set_dtype_policy("float32")
assert keras.backend.backend() == "jax" and "tensorflow" not in sys.modules
model = models.build_colorizer("mobilenet", None, 32, dropout=0.2, head_stride=2, seed=1)
model.load_weights(sys.argv[1])
data = np.load(sys.argv[2])
predicted = model.predict(data["L"], verbose=0)
loss = losses.RebalancedMSE(data["weights"], 8.0)
value = float(loss(data["ab"], predicted))
frozen = [np.array(v) for v in model.get_layer("backbone").variables]
model.compile(keras.optimizers.Adam(1e-3), loss, metrics=losses.metrics())
history = model.fit(data["L"], data["ab"], epochs=2, verbose=0).history
assert all(np.array_equal(old, new) for old, new in zip(frozen, model.get_layer("backbone").variables))
vivid = models.build_colorizer("mobilenet", None, 32, **json.loads(sys.argv[3]))
vivid.load_weights(sys.argv[4])
logits = vivid.predict(data["L"], verbose=0)
entropy = losses.ColorCrossEntropy()
told = {"entropy": float(entropy(data["ab"] / 2, logits)), "logits": logits.tolist()}
told["color"] = np.asarray(losses.color_of(logits, data["v"], 0.6, 0.8)).tolist()
vivid.compile(keras.optimizers.Adam(1e-3), entropy, metrics=losses.metrics("vivid"))
told["vivid"] = vivid.fit(data["L"], data["ab"] / 2, epochs=1, verbose=0).history
print(json.dumps({"predicted": predicted.tolist(), "loss": value, "history": history, **told}))
"""


def test_jax_backend_agrees(tmp_path):
    """Keras alone: without TensorFlow loaded, on JAX, the same weights give the same colors and the same losses."""
    pytest.importorskip("jax")
    rng = np.random.default_rng(0)
    data = {"L": lightness(32), "ab": rng.uniform(-0.7, 0.7, (2, 32, 32, 2)).astype("float32")}
    data |= {"weights": rng.uniform(0.1, 5, (33, 33)), "v": rng.uniform(0.1, 5, len(lab.NODES))}
    model = models.build_colorizer("mobilenet", None, 32, dropout=0.2, head_stride=2, seed=1)
    model.get_layer("head").kernel.assign(rng.normal(0, 0.1, model.get_layer("head").kernel.shape))
    model.save_weights(tmp_path / "all.weights.h5")
    np.savez(tmp_path / "data.npz", **data)
    vivid = models.build_colorizer("mobilenet", None, 32, **VIVID, trained_backbone=True)
    vivid.save_weights(tmp_path / "vivid.weights.h5")
    files = [str(tmp_path / name) for name in ("all.weights.h5", "data.npz", "vivid.weights.h5")]
    about = json.dumps(VIVID | {"trained_backbone": True})
    arguments = [sys.executable, "-c", ON_JAX, *files[:2], about, files[2]]
    environment = {**os.environ, "KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(arguments, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    got = json.loads(done.stdout.splitlines()[-1])
    predicted = model.predict(data["L"], verbose=0)
    np.testing.assert_allclose(got["predicted"], predicted, atol=1e-4)
    assert got["loss"] == pytest.approx(
        float(losses.RebalancedMSE(data["weights"], 8.0)(data["ab"], predicted)), rel=1e-4
    )
    assert np.isfinite(got["history"]["loss"]).all() and np.isfinite(got["history"]["mse"]).all()
    logits = vivid.predict(data["L"], verbose=0)
    np.testing.assert_allclose(got["logits"], logits, atol=1e-4)
    np.testing.assert_allclose(got["color"], losses.color_of(logits, data["v"], 0.6, 0.8), atol=1e-5)
    assert got["entropy"] == pytest.approx(float(losses.ColorCrossEntropy()(data["ab"] / 2, logits)), rel=1e-4)
    assert np.isfinite(got["vivid"]["loss"] + got["vivid"]["mse"]).all()
