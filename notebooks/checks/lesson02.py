"""What the exercises of lesson 02 are compared with."""

import numpy as np
from colorlib import figures, lab
from colorlib.course import exercises
from IPython.display import display


def exercise_1(my_L):
    """The L of a gray that sends out half of the light of white."""
    exercises.check(
        my_L,
        lab.rgb_to_lab(lab.encode(np.full(3, 0.5)))[0],
        (50, "Lightness is not light: an eye answers about like a cube root."),
        (lab.rgb_to_lab(np.full(3, 0.5))[0], "That is R = G = B = 0.5, which is only 21 % of the light."),
        (100 * np.cbrt(0.5), "Nearly: L is 116 times the cube root, less 16."),
        (lambda L: L < 50, "It looks lighter than that: half of the light is much for an eye."),
        otherwise="Put Y = 0.5 into the last line of `my_rgb_to_lab`.",
        tolerance=1,
    )


def exercise_2(coarse, n, rgb):
    """Blocks of n × n in place of pixels; then a photo, (h, w, 3), with a and b so coarse, and with L."""
    plane = np.random.default_rng(0).random((4, 6))
    blocks = plane.reshape(2, 2, 3, 2).mean(axis=(1, 3))
    answer, right = coarse(plane, 2), np.kron(blocks, np.ones((2, 2)))
    first, along = np.kron(plane[::2, ::2], np.ones((2, 2))), (plane[:, ::2] + plane[:, 1::2]) / 2
    exercises.check(
        answer,
        right,
        (blocks, "Those are the means. Repeat each n times, along both axes: the size stays."),
        (first, "That is each block's first pixel. All its pixels count: take their mean."),
        (along.repeat(2, axis=1), "Only along the rows. A block has n rows, too."),
        (np.full_like(plane, plane.mean()), "That is the mean of the whole plane. Each block has its own."),
        otherwise="Cut the plane: `plane.reshape(height // n, n, width // n, n)`, and take the mean of axes 1 and 3.",
    )
    if np.shape(answer) == plane.shape:
        L, a, b = np.moveaxis(np.asarray(lab.rgb_to_lab(rgb), float), -1, 0)
        coarse_color = lab.lab_to_rgb(np.stack([L, coarse(a, n), coarse(b, n)], axis=-1).astype(np.float32))
        coarse_light = lab.lab_to_rgb(np.stack([coarse(L, n), a, b], axis=-1).astype(np.float32))
        titles = ["the photo", f"a and b in blocks of {n}", f"L in blocks of {n}"]
        display(figures.photo_row([rgb, coarse_color, coarse_light], titles, 3))


def exercise_3(gray_L, lattice):
    """L of the gray that has the mean of R, G and B, for colors (n, 3) of the whole cube."""
    mean = lattice.mean(axis=-1)
    exercises.check(
        gray_L(lattice),
        lab.rgb_to_lab(np.stack([mean] * 3, axis=-1))[:, 0],
        (lab.rgb_to_lab(lattice)[:, 0], "That is the true L. The shortcut takes the mean of R, G and B first."),
        (100 * mean, "The mean is an sRGB number. Ask `lab.rgb_to_lab` for the L of that gray."),
        (mean, "That is the mean itself. Ask `lab.rgb_to_lab` for the L of that gray."),
        (lambda answer: np.shape(answer) != mean.shape, "Of Lab's three numbers, only `[..., 0]` is L."),
        otherwise="Take the mean, repeat it over three channels, and convert that.",
        tolerance=1e-2,
    )
