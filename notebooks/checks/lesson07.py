"""The checks of 07_compare_models' exercises."""

import numpy as np

from colorlib import evaluation, figures
from colorlib.course import exercises


def exercise_1(prediction, L, ab):
    """Whether pale or bold colors have the larger squared error; both are painted."""
    exercises.check(
        prediction,
        "same",
        ("bold", "How far is 1.5 c from c? And 0.5 c?"),
        ("pale", "Pale *looks* safer or worse, but the squared error measures distance alone."),
        otherwise='Write "pale", "bold" or "same".',
    )
    if prediction is ...:
        return None
    shown = {}
    for name, factor in {"truth": 1, "times 0.5": 0.5, "times 1.5": 1.5}.items():
        rgb = evaluation.to_rgb8(L, factor * ab)
        error, colorful = np.mean((factor * ab - ab) ** 2), evaluation.colorfulness(rgb)
        shown[f"{name}: MSE {error:.4f}\ncolorfulness {colorful:.0f}"] = rgb
    return figures.photo_row([*shown.values()], [*shown], columns=3)


def exercise_2(mended, L, ab):
    """Argmax agreement over colored pixels alone; the photo with the others in gray."""
    truth, answer = np.random.default_rng(0).normal(0, 12 / 128, (2, 16, 16, 2))
    agreeing = answer.argmax(-1) == truth.argmax(-1)
    colored = 128 * np.linalg.norm(truth, axis=-1) >= 10
    given = mended(truth, answer)
    exercises.check(
        given,
        agreeing[colored].mean(),
        (agreeing.mean(), "All pixels still count."),
        (agreeing[128 * np.linalg.norm(answer, axis=-1) >= 10].mean(), "By the chroma of the *truth*."),
        (agreeing[128 * np.abs(truth).max(-1) >= 10].mean(), "Chroma is the length of (a, b), not the larger of them."),
        ((agreeing & colored).mean(), "Divide by the number of pixels that count, not by all."),
        (lambda x: np.isnan(x), "No pixel is left: a and b are divided by 128 here."),
        otherwise="Choose the pixels by the chroma of `truth`, then take the mean of the agreement there.",
    )
    if given is ...:
        return None
    counted = 128 * np.linalg.norm(ab, axis=-1) >= 10
    always_b = np.zeros_like(ab) + np.array([0, 0.1], ab.dtype)
    for name, each in (("all gray", np.zeros_like(ab)), ("always b > a", always_b)):
        before = np.mean(each.argmax(-1) == ab.argmax(-1))
        print(f"{name:12} {before:.1%} of all pixels, {mended(ab, each):.1%} of those that count")
    shown = [evaluation.to_rgb8(L, ab), evaluation.to_rgb8(L, ab * counted[..., None])]
    return figures.photo_row(shown, ["the photo", "the pixels that count"], columns=2)


def exercise_3(paired):
    """The paired interval of the difference of two means, on made-up errors of photos that are hard for both."""
    rng = np.random.default_rng(0)
    hardness = rng.gamma(2, 0.01, size=30)
    one, other = hardness + rng.normal(0, 0.001, 30), hardness + rng.normal(0.001, 0.001, 30)
    draws = rng.integers(30, size=(1000, 30))

    def ends(values, percentiles=(2.5, 97.5)):
        return np.percentile(values, percentiles)

    means = [each[draws].mean(axis=1) for each in (one, other)]
    right, given = ends(means[0] - means[1]), paired(one, other, draws)
    unpaired = ends(means[0] - means[1][::-1])
    exercises.check(
        given if given is ... else np.asarray(given),
        right,
        (ends(means[0]) - ends(means[1]), "That subtracts two intervals. Subtract the models first, draw by draw."),
        (unpaired, "Other photos are drawn for the other model: use the same draw for both."),
        (ends(means[1] - means[0]), "The sign: it is `one` less `other`."),
        (ends(means[0] - means[1], (5, 95)), "That is the middle 90 %."),
        (ends((one - other)[draws].mean(axis=0)), "The mean over photos, one a draw: `axis=1`."),
        otherwise="For each draw, take the mean difference over its photos; then the percentiles 2.5 and 97.5.",
        tolerance=1e-9,
    )
    if given is not ...:
        print(f"Width, paired: {np.ptp(right):.4f}. With other photos for each model: {np.ptp(unpaired):.4f}.")
