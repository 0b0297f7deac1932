"""What the exercises of lesson 01 are compared with."""

from types import SimpleNamespace

import numpy as np
from colorlib.course import exercises
from colorlib.sources import sampling
from IPython.display import display


def exercise_1(prediction, sizes, number):
    """How often a blind draw of `number` photos misses a class, of classes of these sizes."""
    draws = np.random.default_rng(0).multivariate_hypergeometric(sizes, number, 1000)
    missed = int((draws == 0).any(axis=1).sum())
    exercises.check(
        prediction,
        "rarely" if missed < 100 else "sometimes" if missed <= 400 else "often",
        ("rarely", "Look at the smallest class: how likely is it that none of its photos is drawn?"),
        ("sometimes", "That is near what one small class does. Add up over all the small ones."),
        otherwise='It is another of the three: "rarely", "sometimes" or "often".',
    )
    if prediction is not ...:
        print(f"In {missed} of 1,000 blind draws a class was missing.")


def exercise_2(draw, photos, sheet):
    """A stratified draw, first of made-up photos, then of eight of the reader's own, which are shown."""
    made_up = [SimpleNamespace(label=label, number=i) for label in "aaaaaabbbc" for i in range(20)]
    drawn, labels = draw(made_up, 20), "abc"

    def of_class(answer):
        return [sum(photo.label == label for photo in answer) for label in labels]

    exercises.check(
        drawn,
        lambda answer: is_whole(answer) and of_class(answer) == sampling.largest_remainder([120, 60, 20], 20),
        (lambda answer: not isinstance(answer, list), "A list of photos is asked for."),
        (lambda answer: len({id(photo) for photo in answer}) < len(answer), "A photo is drawn twice."),
        (lambda answer: len(answer) != 20, "It must be `number` photos: let `share_out` share out `number`."),
        (lambda answer: of_class(answer) == [20, 0, 0], "Photos lie in the order of their classes: all are of one."),
        (lambda answer: of_class(answer) == [7, 7, 6], "A class of 120 photos gives as many as one of 20."),
        otherwise="Group the photos by label, and take of each group what `share_out` says.",
    )
    if isinstance(drawn, list) and draw(photos, 1):
        display(sheet(draw(photos, min(8, len(photos)))))


def is_whole(answer):
    return isinstance(answer, list) and len({id(photo) for photo in answer}) == 20 == len(answer)


def exercise_3(my_sizes):
    """Sizes of three classes whose rounded shares of 100 do not add up to 100."""

    def total(sizes):
        return sum(round(100 * size / sum(sizes)) for size in sizes)

    exercises.check(
        my_sizes,
        lambda sizes: len(sizes) == 3 and total(sizes) != 100,
        (lambda sizes: len(sizes) != 3, "Three sizes are asked for."),
        otherwise="These add up to 100. Find shares that are all rounded down, or all rounded up.",
    )
