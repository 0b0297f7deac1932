"""Notebook 06: patience, dropout, photos upside down, and three questions on one's own runs."""

import numpy as np

from colorlib import evaluation, figures
from colorlib.course import exercises


def exercise_1(my_patience, stop_early, losses):
    """stop_early: the notebook's; losses: of its example, whose last epoch is the best."""
    exercises.check(
        my_patience,
        min(n for n in range(1, len(losses) + 1) if stop_early(losses, n)[1] == len(losses)),
        (3, "Epochs 7, 8 and 9 bring nothing: with patience 3, training stops just before the tenth."),
        (lambda n: n > 4, "It gets there, but a smaller patience does so, too."),
        otherwise="Count the epochs without a better one between the sixth and the tenth.",
    )


def exercise_2(drop):
    channels, kept = np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, False, True, True])
    exercises.check(
        drop(channels, kept, 0.2),
        channels * kept / 0.8,
        (channels * kept, "Those that stay must be enlarged: else the sum gets smaller on average."),
        (channels * kept * 0.8, "You make smaller what should be enlarged: divide by the share that stays."),
        (channels * kept / 0.2, "0.2 is the share that goes. Divide by the share that stays."),
        (channels * kept * 1.2, "Nearly. But with a rate of 0.5 the rest must double, not grow by half."),
        (channels / 0.8, "Nothing is dropped: multiply by `kept` as well."),
        otherwise="0 where a channel is dropped; divide the others by the share that stays.",
    )


def exercise_3(upside_down, model, L, ab):
    """L: (n, h, w, 1), and the true ab: the first 16 are looked at. Returns a `Figure`."""
    L, ab = L[:16], ab[:16]
    given = upside_down(model, L)
    if given is ... or given is None:
        return exercises.check(..., ...)
    usual, turned, mirrored = (np.asarray(model(each, training=False)) for each in (L, L[:, ::-1], L[:, :, ::-1]))
    right = turned[:, ::-1]
    exercises.check(
        given,
        right,
        (turned, "The colors are still upside down: turn them back."),
        (usual, "These are the usual colors: the photos are not turned."),
        (usual[:, ::-1], "You turn the colors, but not the photos that the model sees."),
        (mirrored[:, :, ::-1], "That is mirrored, left to right: the rows are axis 1."),
        otherwise="Turn the rows of L round, ask the model, and turn the rows of its answer round.",
        tolerance=1e-4,
    )
    if np.shape(given) != right.shape or not np.allclose(given, right, 1e-4, 1e-4):
        return None
    errors = [np.mean((answer - ab) ** 2) for answer in (usual, right)]
    print(f"MSE upright {errors[0]:.4f}, upside down {errors[1]:.4f}; all gray {np.mean(ab**2):.4f}")
    most = int(np.argmax(np.mean((usual - right) ** 2, axis=(1, 2, 3))))
    answers = {"upright": usual, "seen upside down": right, "truth": ab}
    return figures.photo_row([evaluation.to_rgb8(L[most], each[most]) for each in answers.values()], [*answers])


def quiz(percent, lowest_mse, seconds_for_one, histories, gray):
    """Three answers, a line each. histories: name -> rows of history.csv; gray: the validation loss of all gray."""
    kept = {name: min(rows, key=lambda row: row["val_loss"]) for name, rows in histories.items()}
    if not {"baseline", "efficientnet"} <= kept.keys():
        return print("The questions need the runs of notebooks 04 and 06: train them first.")
    share = 1 - kept["baseline"]["val_loss"] / gray
    exercises.check(
        percent,
        100 * share,
        (share, "That is a share: percent are 100 times as many."),
        (-100 * share, "The other sign: positive where the baseline is below gray."),
        (100 * (1 - share), "That is what is left of gray's loss. How far below it is that?"),
        otherwise="100 · (1 - the baseline's lowest val_loss / gray_validation).",
        tolerance=0.5,
    )
    lowest = min(kept, key=lambda name: kept[name]["val_mse"])
    exercises.check(
        lowest_mse,
        lowest,
        (lambda name: name not in kept, f"Write one of these names: {', '.join(kept)}."),
        otherwise="In each history, take the row with the lowest val_loss, and compare these rows' val_mse.",
    )
    medians = {name: np.median([row["seconds"] for row in rows]) for name, rows in histories.items()}
    ratio = medians["baseline"] / medians["efficientnet"]
    exercises.check(
        seconds_for_one,
        ratio,
        (1 / ratio, "The other way round: how many of the baseline for one of efficientnet?"),
        (lambda n: np.isclose(n, [*medians.values()], 0.01).any(), "That is an epoch's time. Divide one by the other."),
        otherwise="Take np.median of row['seconds'] over each history, and divide.",
        tolerance=0.05 * ratio,
    )
