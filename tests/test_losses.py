"""Eq. 1, Eq. 2 and the metrics, against plain loops and Keras' own."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from colorlib import ColorlibError, losses


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
    prior = pytest.importorskip("colorlib.prior")
    lab = pytest.importorskip("colorlib.lab")
    counts = np.random.default_rng(0).integers(0, 1000, (33, 33))
    real = prior.Prior(counts=counts, bin_width=8.0, sigma=5.0, lambda_=0.5, split_checksum="")
    ab = np.random.default_rng(1).uniform(-1, 1, (1000, 2)).astype("float32")
    loss = losses.for_model("rebalanced", real)
    assert loss.ab_scale == lab.AB_SCALE
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


def test_what_does_not_fit():
    for weights in (np.ones((32, 32)), np.ones((33, 31)), np.ones(33)):
        with pytest.raises(ColorlibError, match="square table of odd side"):
            losses.RebalancedMSE(weights)
    with pytest.raises(ColorlibError, match="color prior"):
        losses.for_model("rebalanced")
