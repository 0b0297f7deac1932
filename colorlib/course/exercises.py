"""The exercises' checks: one line that says whether an answer is right, or what may have gone wrong."""

import numpy as np


def check(answer, right, *hints, otherwise="", tolerance=1e-6):
    """Print whether an answer is right.

    answer: a number, a text, a list or an array; `...` or None, alone or inside a list, is not filled in yet.
    right: the same, or a function that tells it by the answer.
    hints: pairs (wrong answer or function, sentence); the first that fits is printed, else `otherwise`.
    tolerance: how far a number may be off, beside a relative 1e-4.
    """
    parts = answer if isinstance(answer, list | tuple) else [answer]
    if any(part is None or part is ... for part in parts):
        print("Not yet: fill in the cell above, run it, then run this one again.")
    elif _fits(answer, right, tolerance):
        print("Right.")
    else:
        print("Try again.", next((text for wrong, text in hints if _fits(answer, wrong, tolerance)), otherwise))


def _fits(answer, wanted, tolerance):
    if callable(wanted):
        return bool(wanted(answer))
    answer, wanted = np.asarray(answer), np.asarray(wanted)
    if answer.shape != wanted.shape or (answer.dtype.kind in "US") != (wanted.dtype.kind in "US"):
        return False
    return (answer == wanted).all() if answer.dtype.kind in "US" else np.allclose(answer, wanted, 1e-4, tolerance)
