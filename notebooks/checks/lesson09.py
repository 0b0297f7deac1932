"""The checks of 09_beyond_the_mean's exercises, and the quiz on 07 to 09."""

import numpy as np

from colorlib import colorize, figures, lab
from colorlib.course import exercises


def _painted(photo, logits, box, **choices):
    return colorize.paint(photo, np.asarray(colorize.coloring(box, **choices)(logits)))


def exercise_1(prediction, photo, logits, box):
    """Where a car's color goes as the temperature falls; a photo at three temperatures."""
    sharp = np.array([0.6, 0.3, 0.1]) ** (1 / 0.1)  # softmax(log p / T) is p to the power of 1 / T
    sharp /= sharp.sum()
    exercises.check(
        prediction,
        ["red", "green", "silver"][int(sharp.argmax())],
        ("mean", "That is T = 1: the probabilities as they are."),
        (lambda x: x in ("green", "silver"), "A low temperature makes the most probable more so."),
        otherwise='Write "red", "green", "silver" or "mean".',
    )
    if prediction is ...:
        return None
    print("the car's probabilities at T = 0.1:", sharp.round(3))
    shown = {f"T = {T}": _painted(photo, logits, box, vividness=0, temperature=T) for T in (1, 0.5, 0.1)}
    return figures.photo_row([*shown.values()], [*shown], columns=3)


def exercise_2(remembered, photo, logits, box):
    """Logits after somebody has remembered a color; a photo painted with two memories."""
    made_up, red, blue = np.linspace(0, 1, len(lab.NODES)), (50, 35), (15, -45)
    far = np.sum((lab.NODES - np.array(red)) ** 2, axis=1)
    given = remembered(made_up, red, 30)
    exercises.check(
        given,
        made_up - far / (2 * 30**2),
        (made_up + far / (2 * 30**2), "The sign: colors far from h must become *less* probable."),
        (made_up - far / 30**2, "The 2 is missing."),
        (made_up - np.sqrt(far) / (2 * 30**2), "The *squared* distance: without the root."),
        (made_up * np.exp(-far / (2 * 30**2)), "That multiplies the logits. To multiply p, add to the logits."),
        otherwise="Start from z, and subtract ‖c - h‖² / 2s² for each c of lab.NODES.",
    )
    if np.shape(given) != made_up.shape:
        return None
    told = {"nothing told": logits}
    told |= {name: remembered(logits, h, 30) for name, h in (("it was red", red), ("it was blue", blue))}
    return figures.photo_row([_painted(photo, z, box) for z in told.values()], [*told], columns=3)


def quiz(nearest, beats_gray, made_up, cost_of, gray, p_of):
    """Three questions whose answers are those of the reader's own run.

    cost_of: vividness -> its MSE and its colorfulness over the truth's; gray: the MSE of all gray; p_of: point -> the
    probabilities of its colors.
    """
    as_colorful = min(cost_of, key=lambda vividness: abs(cost_of[vividness][1] - 1))
    palest = min(cost_of, key=lambda vividness: cost_of[vividness][0])
    unsure = {name: np.exp(-np.sum(p * np.log(p))) for name, p in p_of.items()}
    print("1.", end=" ")
    exercises.check(
        nearest,
        as_colorful,
        (palest, "That has the lowest MSE. Look at the last column: which is nearest to 100 %?"),
        otherwise="One of the vividnesses of the table: the one whose colorfulness is nearest to 100 %.",
    )
    print("2.", end=" ")
    exercises.check(
        beats_gray,
        bool(cost_of[as_colorful][0] < gray),
        (lambda x: isinstance(x, bool), "Compare the MSE in that row with that of all gray, the floor."),
        otherwise="Write True or False.",
    )
    print("3.", end=" ")
    exercises.check(
        made_up,
        max(unsure, key=unsure.get),
        (lambda x: x in unsure, "Another point is more spread out: `unsureness` of its logits, pixels[name][0]."),
        otherwise=f"One of {', '.join(unsure)}.",
    )
