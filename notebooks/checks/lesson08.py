"""The checks of 08_colorize_your_photos' exercises."""

import numpy as np
from PIL import Image, ImageOps

from colorlib import colorize, figures, lab
from colorlib.course import exercises


def exercise_1(same, after, model):
    """Whether a photo in color, colorized again, stays as it is."""
    again = np.asarray(colorize.colorize(after, model), int)
    exercises.check(
        same,
        bool(np.abs(again - np.asarray(after, int)).mean() < 2),
        (False, "What does the model see of `after`? Its lightness alone, and that has not changed."),
        otherwise="Write True or False.",
    )


def exercise_2(flat, L, a, b):
    """The model's colors at one lightness, painted."""
    wanted = np.stack([np.full_like(L, 60), a, b], axis=-1)
    exercises.check(
        flat,
        wanted,
        (lambda x: np.shape(x) != wanted.shape, "Three numbers a pixel: `np.stack([…, a, b], axis=-1)`."),
        (lambda x: np.allclose(x[..., 0], L), "L is still the photo's."),
        (lambda x: np.allclose(x[..., 0], 0.6), "In this array, L goes from 0 to 100."),
        otherwise="L is 60 everywhere, and a and b are the model's.",
        tolerance=1e-3,
    )
    if np.shape(flat) != wanted.shape:
        return None
    return figures.photo_row([lab.lab_to_rgb(np.asarray(flat, np.float32))], columns=1, size=3.4)


def exercise_3(faded, image, model):
    """A photo as a faded print, what the model makes of it, and of the print with its contrast restored."""
    levels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    print_ = faded(levels.copy())
    exercises.check(
        print_,
        lambda x: np.shape(x) == levels.shape and np.abs(np.asarray(x, float) - (90 + levels * (110 / 255))).max() <= 1,
        (lambda x: np.shape(x) != levels.shape, "As many pixels as before, each with its new level."),
        (np.clip(levels, 90, 200), "That cuts off what is darker and lighter. Squeeze all levels together."),
        (lambda x: np.max(x) <= 111, "White should be 200: add 90 after the scaling."),
        (lambda x: np.max(x) > 200.5, "White should be 200: the levels span 200 - 90."),
        (lambda x: np.min(x) < 89.5, "Black should be 90."),
        otherwise="Black becomes 90, white 200, and all between lies between, evenly.",
    )
    if print_ is ... or np.shape(print_) != levels.shape:
        return None
    gray = image.convert("L")
    gray.thumbnail((480, 480))
    old = Image.fromarray(np.clip(faded(np.asarray(gray)), 0, 255).astype(np.uint8))
    shown = {"the print": old, "in color": colorize.colorize(old, model)}
    shown["restored, then in color"] = colorize.colorize(ImageOps.autocontrast(old), model)
    return figures.photo_row([*shown.values()], [*shown], columns=3)
