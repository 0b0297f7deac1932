"""Eq. 1, Eq. 2, colors as a distribution and the metrics, against plain loops and Keras' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from colorlib import ColorlibError, lab, losses, prior


def colors(seed=0, shape=(2, 4, 5, 2)):
    rng = np.random.default_rng(seed)
    return rng.uniform(-0.9, 0.9, shape).astype("float32"), rng.uniform(-0.9, 0.9, shape).astype("float32")


def table(side=33, seed=1):
    return np.random.default_rng(seed).uniform(0.1, 10, (side, side)).astype("float32")


def test_eq1_is_keras_own():
    truth, predicted = colors()
    h, w = truth.shape[1:3]
    eq1 = [np.sum((y - p) ** 2) / (2 * h * w) for y, p in zip(truth, predicted, strict=True)]
    assert float(keras.losses.MeanSquaredError()(truth, predicted)) == pytest.approx(np.mean(eq1), rel=1e-6)
    assert float(losses.for_model("baseline")(truth, predicted)) == pytest.approx(np.mean(eq1), rel=1e-6)
    assert isinstance(losses.for_model("efficientnet"), keras.losses.MeanSquaredError)


def test_eq2_by_hand():
    truth, predicted = colors()
    weights = table()
    total = 0.0
    for y, p in zip(truth.reshape(-1, 2), predicted.reshape(-1, 2), strict=True):
        a, b = (int(np.floor(c * 128 / 8 + 0.5)) + 16 for c in y)
        total += weights[a, b] * ((y - p) ** 2).sum()
    expected = total / truth.size  # 2hw numbers in each photo
    assert float(losses.RebalancedMSE(weights, 8.0)(truth, predicted)) == pytest.approx(expected, rel=1e-5)
    assert float(losses.RebalancedMSE(np.ones((33, 33)))(truth, predicted)) == pytest.approx(
        float(keras.losses.MeanSquaredError()(truth, predicted)), rel=1e-6
    )


def test_bins_are_centred_on_neutral():
    weights = np.arange(33 * 33, dtype="float32").reshape(33, 33)
    loss = losses.RebalancedMSE(weights, 8.0)
    for ab, (row, column) in [
        ((0, 0), (16, 16)),
        ((3.9, -3.9), (16, 16)),
        ((4.1, -4.1), (17, 15)),
        ((80, 67), (26, 24)),  # red: b / 8 = 8.4
        ((128, -128), (32, 0)),
        ((500, -500), (32, 0)),  # beyond the table: its nearest bin
    ]:
        assert float(loss.weight_of(np.float32(ab) / 128)) == weights[row, column]


def test_v_is_looked_up_from_the_truth_and_never_differentiated():
    truth, predicted = colors()
    weights = table()
    loss = losses.RebalancedMSE(weights, 8.0)
    truth, predicted = tf.Variable(truth), tf.Variable(predicted)
    with tf.GradientTape() as tape:
        value = loss(truth, predicted)
    by_truth, by_prediction = tape.gradient(value, [truth, predicted])
    v = loss.weight_of(truth.numpy()).numpy()[..., None]
    expected = 2 * v * (predicted.numpy() - truth.numpy()) / v.size / 2
    np.testing.assert_allclose(by_prediction, expected, rtol=1e-5)
    np.testing.assert_allclose(by_truth, -expected, rtol=1e-5)  # nothing comes through v
    far = predicted.numpy() + 0.3  # other predictions, the same weights
    ratio = (loss.call(truth.numpy(), far) / ((far - truth.numpy()) ** 2).mean(-1)).numpy()
    np.testing.assert_allclose(ratio, v[..., 0], rtol=1e-4)


def test_agrees_with_the_prior():
    from types import SimpleNamespace

    weights = table()
    loss = losses.for_model("rebalanced", SimpleNamespace(weights=weights, bin_width=8.0))
    assert isinstance(loss, losses.RebalancedMSE)
    counts = np.random.default_rng(0).integers(0, 1000, (33, 33))
    real = prior.Prior(counts=counts, bin_width=8.0, sigma=5.0, lambda_=0.5, split_checksum="")
    ab = np.random.default_rng(1).uniform(-1, 1, (1000, 2)).astype("float32")
    loss = losses.for_model("rebalanced", real)
    np.testing.assert_allclose(loss.weight_of(ab), real.weight_of(ab), rtol=1e-6)


def test_argmax_agreement_is_categorical_accuracy():
    truth, predicted = colors(shape=(3, 8, 8, 2))
    truth[0, 0, :3], predicted[0, 0, 2:5] = 0.25, -0.5  # ties, in the one, in the other, in both
    agree = np.asarray(keras.metrics.categorical_accuracy(truth, predicted))
    np.testing.assert_array_equal(losses.argmax_agreement(truth, predicted), agree)
    mse, agreement = losses.metrics()
    mse.update_state(truth, predicted)
    agreement.update_state(truth, predicted)
    assert (mse.name, agreement.name) == ("mse", "argmax_agreement")
    assert float(agreement.result()) == pytest.approx(agree.mean())
    assert float(mse.result()) == pytest.approx(((truth - predicted) ** 2).mean(), rel=1e-6)
    # An all-gray answer ties everywhere; arg max takes a.
    gray = losses.argmax_agreement(truth, np.zeros_like(truth))
    assert float(np.mean(gray)) == pytest.approx((truth[..., 0] >= truth[..., 1]).mean())


def test_saved_with_a_model(tmp_path):
    loss = losses.RebalancedMSE(table(), 8.0)
    model = keras.Sequential([keras.Input((4, 5, 2)), keras.layers.Conv2D(2, 1)])
    model.compile("adam", loss)
    model.save(tmp_path / "model.keras")
    again = keras.models.load_model(tmp_path / "model.keras").loss
    truth, predicted = colors()
    assert float(again(truth, predicted)) == float(loss(truth, predicted))


# Colors as a distribution.


def lab_colors(shape, seed=0):
    """ab / 128 of random sRGB colors, (*shape, 2)."""
    rgb = np.random.default_rng(seed).integers(0, 256, (*shape, 3))
    return lab.rgb_to_lab(rgb / np.float32(255))[..., 1:] / np.float32(lab.AB_SCALE)


def distributions(count=20, seed=0, spread=3.0):
    """Logits of the nodes, (count, n): from nearly flat to nearly certain."""
    rng = np.random.default_rng(seed)
    sharpness = np.linspace(0.2, spread, count)[:, None]
    return (sharpness * rng.normal(0, 1, (count, len(lab.NODES)))).astype("float32")


def softmax(logits):
    e = np.exp(logits - logits.max(axis=-1, keepdims=True).astype(float))
    return e / e.sum(axis=-1, keepdims=True)


def made_prior(lambda_, seed=5):
    """A prior of bins as wide as the nodes' steps, which counted nodes alone, mostly near gray; and its counts."""
    far = np.abs(lab.NODES).sum(axis=-1)
    counts = np.random.default_rng(seed).poisson(1e6 * np.exp(-far / 12))
    grid = np.zeros((27, 27), np.int64)
    grid[tuple(prior.bins_of(lab.NODES, lab.NODE_STEP).T)] = counts
    return prior.Prior(grid, lab.NODE_STEP, 5.0, lambda_, ""), counts


def test_shares_have_the_color_as_their_mean():
    """A grid of sRGB with its surface, on which the most colorful lie; that all colors have four nodes: test_lab."""
    levels = np.unique([*range(0, 256, 9), 255])
    rgb = np.stack(np.meshgrid(levels, levels, levels), axis=-1).reshape(-1, 3)
    ab = lab.rgb_to_lab(rgb / np.float32(255))[:, 1:]
    got = np.asarray(losses.shares(ab / 128))
    assert got.shape == (len(ab), len(lab.NODES)) and got.dtype == np.float32
    assert got.min() >= 0 and (got > 0).sum(axis=-1).max() == 4
    np.testing.assert_allclose(got.sum(axis=-1), 1, atol=1e-5)
    assert np.abs(got.astype(float) @ lab.NODES - ab).max() <= 1e-3


def test_shares_are_bilinear():
    for ab, expected in {
        (20, -30): {(20, -30): 1},
        (23, -36): {(20, -30): 0.7 * 0.4, (20, -40): 0.7 * 0.6, (30, -30): 0.3 * 0.4, (30, -40): 0.3 * 0.6},
        (-1, 0): {(0, 0): 0.9, (-10, 0): 0.1},
    }.items():
        got = np.asarray(losses.shares(np.float32(ab) / 128))
        assert {tuple(map(int, lab.NODES[i])): got[i] for i in np.flatnonzero(got > 1e-5)} == pytest.approx(
            expected, abs=1e-5
        )


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_the_soft_target_is_the_mean_of_the_shares_in_each_block(stride):
    ab = lab_colors((2, 8, 12))
    got = np.asarray(losses.soft_target(ab, stride))
    assert got.shape == (2, 8 // stride, 12 // stride, len(lab.NODES))
    for photo, row, column in np.ndindex(got.shape[:3]):
        block = ab[photo, row * stride : (row + 1) * stride, column * stride : (column + 1) * stride].reshape(-1, 2)
        expected = sum(np.asarray(losses.shares(color)) for color in block) / stride**2
        np.testing.assert_allclose(got[photo, row, column], expected, atol=1e-6)
        np.testing.assert_allclose(got[photo, row, column] @ lab.NODES / 128, block.mean(axis=0), atol=1e-3 / 128)


def test_the_cross_entropy_of_colors():
    ab, logits = lab_colors((2, 8, 12)), distributions(2 * 2 * 3).reshape(2, 2, 3, -1)
    target = np.asarray(losses.soft_target(ab, 4))
    expected = -(target * np.log(softmax(logits))).sum(axis=-1).mean()
    loss = losses.for_model("vivid")
    assert isinstance(loss, losses.ColorCrossEntropy)
    assert float(loss(ab, logits)) == pytest.approx(expected, rel=1e-5)
    kerass = keras.losses.CategoricalCrossentropy(from_logits=True)(target, logits)
    assert float(loss(ab, logits)) == pytest.approx(float(kerass), rel=1e-5)


@pytest.mark.parametrize("size", [1.0, 1e4])
def test_the_gradient_of_the_cross_entropy_is_finite_and_p_less_the_target(size):
    ab, logits = lab_colors((1, 4, 4)), tf.Variable(size * distributions(4).reshape(1, 2, 2, -1))
    with tf.GradientTape() as tape:
        value = losses.ColorCrossEntropy()(ab, logits)
    got = tape.gradient(value, logits).numpy()
    assert np.isfinite(float(value)) and np.isfinite(got).all()
    expected = (softmax(logits.numpy()) - np.asarray(losses.soft_target(ab, 2))) / 4
    np.testing.assert_allclose(got, expected, atol=1e-6)


def minimum(loss, p):
    """Where the mean loss over colors of probability p, (count, n), is least: by gradient descent, (count, 2)."""
    y_true = np.broadcast_to(lab.NODES / lab.AB_SCALE, (*p.shape, 2))
    x = tf.Variable(tf.zeros((len(p), 2)))
    step = 0.7 / (p * loss.call(y_true, y_true + 1).numpy()).sum(axis=-1, keepdims=True)  # of each: they curve unlike
    for _ in range(60):
        with tf.GradientTape() as tape:
            total = tf.reduce_sum(p * loss.call(y_true, tf.repeat(x[:, None], p.shape[1], axis=1)))
        x.assign_sub(step * tape.gradient(total, x))
    return x.numpy()


@pytest.mark.parametrize("lambda_", [0.0, 0.1, 0.5, 1.0])
def test_one_distribution_holds_the_answer_of_eq_2_for_every_lambda(lambda_):
    """The identity: nothing of `color_of` is used but its answer, and nothing of Eq. 2 but its value and gradient."""
    real, counts = made_prior(lambda_)
    logits, v = distributions(), prior.node_weights(counts, lambda_)
    eq2 = losses.for_model("rebalanced", real)
    np.testing.assert_allclose(eq2.weight_of(lab.NODES / lab.AB_SCALE), v, rtol=1e-5)
    answer = np.asarray(losses.color_of(logits, v, gamma=1.0))
    np.testing.assert_allclose(answer, minimum(eq2, softmax(logits).astype("float32")), atol=2e-5)
    mean = np.asarray(losses.color_of(logits))
    assert (np.abs(answer - mean).max() < 1e-5) == (lambda_ == 1)  # then, and only then, every color weighs the same


def test_without_vividness_the_answer_is_the_mean_and_the_minimum_of_eq_1():
    logits = distributions()
    answer = np.asarray(losses.color_of(logits))
    np.testing.assert_allclose(answer, softmax(logits) @ lab.NODES / 128, atol=1e-6)
    eq1 = losses.RebalancedMSE(np.ones((27, 27)), lab.NODE_STEP)  # which is Eq. 1, see above
    np.testing.assert_allclose(answer, minimum(eq1, softmax(logits).astype("float32")), atol=2e-5)
    np.testing.assert_array_equal(answer, losses.color_of(logits, made_prior(0.1)[0].weight_of(lab.NODES / 128)))


@pytest.mark.parametrize(("gamma", "temperature"), [(0.6, 1.0), (0.0, 0.1), (0.3, 0.4), (1.0, 2.0)])
def test_in_between_by_hand(gamma, temperature):
    logits = distributions().reshape(4, 5, -1)
    v = prior.node_weights(made_prior(0.2)[1], 0.2)
    weights = softmax(logits / temperature) * v**gamma
    expected = (weights[..., None] * lab.NODES).sum(axis=-2) / weights.sum(axis=-1, keepdims=True) / 128
    got = np.asarray(losses.color_of(logits, v, gamma, temperature))
    assert got.shape == (4, 5, 2) and got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        ({"gamma": -0.01}, r"vividness is -0.01; it must be in \[0, 1\]"),
        ({"gamma": 1.5}, r"vividness is 1.5; it must be in \[0, 1\]"),
        ({"gamma": np.nan}, r"vividness is nan; it must be in \[0, 1\]"),
        ({"temperature": 0.0}, r"temperature is 0.0; it must be in \[0.1, 2\]"),
        ({"temperature": 2.1}, r"temperature is 2.1; it must be in \[0.1, 2\]"),
    ],
)
def test_choices_out_of_range_are_refused(choices, words):
    with pytest.raises(ColorlibError, match=words):
        losses.color_of(distributions(1), **choices)
    for wrong in (-0.1, 1.1, np.nan):
        with pytest.raises(ColorlibError, match=rf"λ is {wrong}; it must be in \[0, 1\]"):
            losses.check_choices(lambda_=wrong)


def test_the_metrics_of_vivid_are_those_of_its_mean_color():
    ab, logits = lab_colors((2, 8, 8)), distributions(2 * 2 * 2).reshape(2, 2, 2, -1)
    mean = tf.image.resize(softmax(logits) @ lab.NODES / 128, (8, 8))
    for ours, plain in zip(losses.metrics("vivid"), losses.metrics(), strict=True):
        assert ours.name == plain.name
        ours.update_state(ab, logits)
        plain.update_state(ab, tf.cast(mean, "float32"))
        assert float(ours.result()) == pytest.approx(float(plain.result()), rel=1e-5)
