"""What the exercises of lesson 03, and its quiz on 01 to 03, are compared with."""

from collections import Counter

import numpy as np
from colorlib import figures, lab, prior
from colorlib.course import exercises
from colorlib.sources import sampling
from IPython.display import display


def exercise_1(prediction, color_prior):
    """What happens to gray's weight when each photo is there twice."""
    width, middle = color_prior.bin_width, len(color_prior.counts) // 2
    twice = prior.density(2 * color_prior.counts, width, color_prior.sigma)
    factor = prior.weights(twice, width, color_prior.lambda_)[middle, middle] / color_prior.weights[middle, middle]
    exercises.check(
        prediction,
        {0.5: "half", 1: "the same", 2: "double"}[round(float(factor), 3)],
        ("half", "Gray is twice as often there, but so is everything else: p′ is a *share*."),
        ("double", "More pixels do not make a color rarer or more common: p′ is a *share*."),
        otherwise='Write "half", "the same" or "double".',
    )


def exercise_2(my_lambda, why, color_prior, image):
    """The λ of a ratio of ten, and why its map is flat; the map and a photo painted with it."""
    width = color_prior.bin_width

    def ratio(x):
        table = prior.weights(color_prior.density, width, x)
        return table.max() / table.min()

    exercises.check(
        my_lambda,
        lambda x: 0 <= x <= 1 and abs(ratio(x) - 10) < 0.1,
        (lambda x: not 0 <= x <= 1, "λ lies between 0 and 1."),
        (lambda x: ratio(x) > 10, "Too strong: a larger λ mixes in more of the uniform density."),
        otherwise="Too even: a smaller λ leaves more of p′.",
    )
    exercises.check(
        why,
        "b",
        ("a", "σ has not changed: p′ is the same in all these maps."),
        ("c", "How common a color is comes from the photos. λ only says how much that counts."),
        otherwise='Write "a", "b" or "c".',
    )
    if my_lambda is not ... and 0 <= my_lambda <= 1:
        tables = {
            f"λ = {x:.3g}": prior.weights(color_prior.density, width, x) for x in (color_prior.lambda_, my_lambda)
        }
        display(figures.ab_planes(tables, width, "weight v"))
        bins = tuple(np.moveaxis(prior.bins_of(lab.rgb_to_lab(image)[..., 1:], width), -1, 0))
        display(figures.weights_on_photo([image] * 2, [table[bins] for table in tables.values()], [*tables]))


def exercise_3(weights_of):
    """Eq. 3 for three colors that have probabilities."""
    q, x = np.array([0.7, 0.2, 0.1]), 0.25
    raw, wrong_4, swapped = (1 / (k * q + rest) for k, rest in ((0.75, x / 3), (0.75, x / 4), (x, 0.25)))
    exercises.check(
        weights_of(q, x),
        raw / (q * raw).sum(),
        (raw, "The second equation is missing: divide by Σ q v."),
        (raw / raw.mean(), "Every color counts once in your mean. A pixel's mean weight is Σ q v."),
        (raw / raw.sum(), "Your weights sum to 1. It is Σ q v that must be 1."),
        (wrong_4 / (q * wrong_4).sum(), "1 / 4 belongs to a square of area 4. Uniform is 1 / n here."),
        (swapped / (q * swapped).sum(), "λ and 1 - λ are swapped: λ belongs to the uniform part."),
        otherwise="First 1 / ((1 - λ) q + λ / n), then divide by Σ q v.",
    )


def quiz(runner_up, times, of_the_largest, color_prior, split):
    """Three questions on 01 to 03, whose answers are in the reader's own split and prior."""
    counts, at = color_prior.counts.copy(), prior.centers(color_prior.bin_width)
    middle = len(counts) // 2
    gray, red = counts[middle, middle], counts[at >= 56].sum()
    share = gray / counts.sum()
    counts[middle, middle] = 0
    right = [int(at[i]) for i in np.unravel_index(counts.argmax(), counts.shape)]
    print("1.", end=" ")
    exercises.check(
        runner_up,
        right,
        ([0, 0], "That is gray's own bin, which is left out."),
        (right[::-1], "a and b are swapped: rows of `share` are a, columns b."),
        (
            lambda answer: np.any(np.mod(answer, color_prior.bin_width)),
            "The middle of a bin is a multiple of its width.",
        ),
        otherwise="Set gray's bin to 0 in a copy of `share`, and look for the largest that is left.",
    )
    print("2.", end=" ")
    exercises.check(
        times,
        lambda answer: abs(answer - gray / max(red, 1)) <= 0.02 * gray / max(red, 1),
        (lambda answer: abs(answer - red / gray) <= 0.02 * red / gray, "The other way round: gray over red."),
        (lambda answer: abs(answer - share) <= 0.02 * share, "That is gray's share. Divide it by that of the reds."),
        otherwise="Divide `share[middle, middle]` by the sum of `share` where a is at least 56.",
    )
    sizes = Counter(photo.label for photo in split.train)
    print("3.", end=" ")
    exercises.check(
        of_the_largest,
        max(sampling.largest_remainder([*sizes.values()], min(30, len(split.train)))),
        (max(sizes.values()), "That is the whole class. Of the 30, it gives its share."),
        (30 // len(sizes), "That would be so if each class gave as many."),
        otherwise="Its share of the training photos, times 30, in whole photos: see `share_out` in 01.",
    )
