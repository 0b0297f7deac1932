"""Notebook 04: the ladder's weights, the absolute error, and a ladder without its upper taps."""

import re

import keras
import numpy as np

from colorlib import figures
from colorlib.course import exercises


def exercise_1(lowest, above, model):
    """model: a VGG-16 colorizer whose ladder is as wide as its taps."""
    kernels = [model.get_layer(f"rung{i}_conv").kernel for i in (0, 1)]
    exercises.check(
        [lowest, above],
        [int(np.prod(kernel.shape)) for kernel in kernels],
        ([512 * 512 + 512, 9 * 512 * 256 + 256], "These are with a bias for each channel. Here is none."),
        (lambda n: n[0] in (512, 1024), "Each of the 512 channels out has a weight for each of the 512 in."),
        (lambda n: n[1] == 512 * 256, "A 3×3 kernel has 9 weights for each pair of channels, not 1."),
        (lambda n: n[1] == 3 * 512 * 256, "3×3 are 9 places, not 3."),
        otherwise="k × k from m to n channels: each pair of channels has k · k weights.",
    )


def exercise_2(my_loss, grid_a, grid_b, cars, share):
    """my_loss: of each answer of the grid, (n, m). cars: name -> (L, a, b)."""

    def lands(table):
        place = np.unravel_index(np.argmin(table), grid_a.shape)
        return int(grid_a[place]), int(grid_b[place])

    def expected(distance, weight=share):
        return sum(weight[c] * (distance(grid_a - cars[c][1]) + distance(grid_b - cars[c][2])) for c in cars)

    def scaled(table):  # a factor in front of a loss changes nothing
        return table / np.max(table)

    median, mean = lands(expected(np.abs)), lands(expected(np.square))
    alike = lands(expected(np.abs, dict.fromkeys(cars, 1)))
    exercises.check(
        my_loss,
        lambda table: np.shape(table) == grid_a.shape and np.allclose(scaled(table), scaled(expected(np.abs))),
        (callable, "A table of numbers, not a function: put `grid_a` and `grid_b` into it."),
        (lambda table: np.shape(table) != grid_a.shape, "One number for every answer: a table like `loss`."),
        (lambda table: lands(table) == mean, "It is still best at the mean: are the squares gone?"),
        (lambda table: lands(table) == alike, "All cars count the same here: `share` is missing."),
        (lambda table: lands(table) == median, "The right color, of another loss: add |…| of a and |…| of b."),
        otherwise="Sum, over the cars, share · (|a - a of the car| + |b - b of the car|).",
    )


def exercise_3(my_climb, colorizer, backbone, learn, painted, with_taps):
    """Train a ladder without upper taps, and show its colors beside those of one with them, a `Figure`.

    colorizer, learn, painted: the notebook's functions; with_taps: the album of the training with all taps.
    """
    size = backbone.input_shape[1]
    try:
        top = my_climb([keras.Input(tap.shape[1:]) for tap in backbone.outputs])
        if top is None:
            return print("Try again. `my_climb` returns nothing: is its `return` missing?")
        if top is ...:
            return exercises.check(..., ...)
        mine, usual = (colorizer(backbone, size, climb) for climb in (my_climb, colorizer.__defaults__[0]))
    except (ValueError, IndexError) as error:  # of Keras: two layers of one name, say, or sizes that do not fit
        lines = re.sub(r"\x1b\[[\d;]*m", "", str(error)).splitlines()
        lines = [line for line in lines if line and not line.startswith("Exception encountered")]
        return print("Try again. It cannot be built:", *(lines or [type(error).__name__])[:1])
    kernels, wanted = ([v.shape for v in model.trainable_variables if len(v.shape) == 4] for model in (mine, usual))
    adds = any(isinstance(layer, keras.layers.Add) for layer in mine.layers)
    is_right = kernels == wanted and mine.output_shape == usual.output_shape and not adds
    exercises.check(
        mine,
        lambda _: is_right,
        (lambda _: adds, "There is still a tap that is added."),
        (lambda _: mine.output_shape[1] < size, "Its ab are smaller than the photo: enlarge at each rung."),
        otherwise="Begin with `taps[-1]`, as `climb` does, and keep its convolutions: all five, and their widths.",
    )
    if not is_right:
        return None
    without = learn(mine)
    print(f"validation loss without taps {without.rows[-1]['val_loss']:.4f}, with them ", end="")
    print(f"{with_taps.rows[-1]['val_loss']:.4f}")
    answers = {"all five taps": with_taps.answers[-1], "the deepest alone": without.answers[-1]}
    return figures.photo_row([painted(answer) for answer in answers.values()], [*answers], 2, size=3.6)
