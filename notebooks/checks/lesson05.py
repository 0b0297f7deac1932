"""Notebook 05: the car without silver, the λ that is as colorful as the truth, and a milder Eq. 2."""

import keras
import numpy as np

from colorlib import evaluation, figures
from colorlib.course import exercises

STEPS = 12  # of training, in exercise 3


def exercise_1(prediction, best_answer):
    """best_answer: the notebook's, from the cars' weights to (a, b)."""
    exercises.check(
        prediction,
        "away",
        (lambda way: way in ("red", "green"), "There are still two red cars for a green one: neither gains."),
        otherwise='Write "red", "green" or "away".',
    )
    if prediction is not ...:
        usual = best_answer({"red": 1, "green": 1, "silver": 1})
        print("from", usual, "to", best_answer({"red": 1, "green": 1, "silver": 0}))


def exercise_2(my_lambda, at, price, L, ab):
    """at: λ -> ab / 128, (n, h, w, 2); price: ab -> plain MSE and colorfulness over the truth's. Returns a `Figure`."""

    def off(lambda_):
        return price(at(lambda_))[1] - 1

    if my_lambda is ...:
        return exercises.check(..., ...)
    is_inside = np.ndim(my_lambda) == 0 and 0 <= my_lambda <= 1
    is_right = is_inside and abs(off(my_lambda)) <= min(abs(off(x)) for x in np.linspace(0, 1, 21)) + 0.03
    exercises.check(
        my_lambda,
        lambda _: is_right,
        (lambda _: not is_inside, "λ lies between 0 and 1."),
        (lambda x: off(x) > 0, "That is more colorful than the truth: mix in more of the uniform density."),
        otherwise="That is paler than the truth: mix in less of the uniform density.",
    )
    if not is_right:
        return None
    most = int(np.argmax([evaluation.colorfulness(evaluation.to_rgb8(*pair)) for pair in zip(L, ab, strict=True)]))
    answers = {"λ = 1": at(1), f"your λ = {my_lambda:.2f}": at(my_lambda), "truth": ab}
    return figures.photo_row([evaluation.to_rgb8(L[most], each[most]) for each in answers.values()], [*answers])


def exercise_3(my_loss, rebalanced_mse, model, training, seen):
    """Train the model on with the reader's loss, then give it its weights back. Returns a `Figure`.

    training: batches of (L, ab) without augmentation; seen: (L, ab) of photos to show.
    """
    L, ab = seen
    pale = ab[:2] / 2  # an answer: the right hues, half as vivid
    given = my_loss(keras.ops.convert_to_tensor(ab[:2]), keras.ops.convert_to_tensor(pale))
    if given is ... or given is None:
        return exercises.check(..., ...)
    error = np.mean((ab[:2] - pale) ** 2, axis=-1)
    v, v_of_answer = (np.asarray(rebalanced_mse.weight_of(each)) for each in (ab[:2], pale))
    value, wanted = float(keras.ops.mean(given)), float(np.mean(np.sqrt(v) * error))
    exercises.check(
        value,
        wanted,
        (float(np.mean(v * error)), "This is Eq. 2 itself: take the root of v."),
        (2 * wanted, "Twice too large: the mean goes over both channels."),
        (float(np.mean(error)), "This is Eq. 1: the weights are missing."),
        (float(np.mean(np.sqrt(v_of_answer) * error)), "v is that of the *true* color, Y."),
        otherwise="√v · the mean over a and b of the squared error.",
        tolerance=1e-9,
    )
    if not np.isclose(value, wanted, rtol=1e-4, atol=1e-9):
        return None
    most = int(
        np.argmax([evaluation.colorfulness(evaluation.to_rgb8(*pair)) for pair in zip(L[:16], ab, strict=False)])
    )
    before, weights = np.asarray(model(L[:16], training=False)), model.get_weights()
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss=my_loss)
    model.fit(training.repeat(), steps_per_epoch=STEPS, epochs=1, shuffle=False, verbose=0)
    after = np.asarray(model(L[:16], training=False))
    model.set_weights(weights)
    answers = {"rebalanced": before, "trained on with √v": after, "truth": ab[:16]}
    for name, each in answers.items():
        colors = [evaluation.colorfulness(evaluation.to_rgb8(*pair)) for pair in zip(L[:16], each, strict=True)]
        print(f"{name:18} colorfulness {np.mean(colors):.1f}")
    return figures.photo_row([evaluation.to_rgb8(L[most], each[most]) for each in answers.values()], [*answers])
