"""The notebooks' exercises: unfilled "not yet", the folded solution "right", a typical mistake its hint.

An exercise is a cell tagged `exercise`, the cells tagged `check` after it, and the code in the `<details>` after those.
Each runs after those statements of its notebook that it needs, and no others: nothing is trained here.
"""

import ast
import builtins
import re
import symtable
from pathlib import Path
from types import SimpleNamespace

import jupytext
import numpy as np
import pytest

from colorlib import settings
from colorlib.course import exercises

FOLDER = Path(__file__).resolve().parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("0*.py"))

# What students write: notebook and exercise -> code that fills the cell, with a part of the sentence that helps.
MISTAKES = {
    "01.1": {
        'prediction = "rarely"': "the smallest class",
        'prediction = "sometimes"': "one small class",
        "prediction = 2": "another of the three",
    },
    "01.2": {
        "def draw(photos, number): return number": "A list of photos",
        "def draw(photos, number): return photos[:1] * number": "drawn twice",
        "def draw(photos, number): return photos[:number - 1]": "must be `number`",
        "def draw(photos, number): return photos[:number]": "order of their classes",
        "def draw(all, n): return [p for i, k in enumerate((0, 120, 180)) for p in all[k:][: (n + 2 - i) // 3]]": (
            "as many as one of 20"
        ),
        "def draw(photos, number): return photos[-number:]": "Group the photos",
    },
    "01.3": {"my_sizes = [1, 1]": "Three sizes", "my_sizes = [50, 30, 20]": "add up to 100"},
    "02.1": {
        "my_L = 50": "Lightness is not light",
        "my_L = 53.4": "21 % of the light",
        "my_L = 79.4": "less 16",
        "my_L = 30": "lighter than that",
        "my_L = 90": "into the last line",
    },
    "02.2": {
        "def coarse(x, n): return x.reshape(len(x) // n, n, -1, n).mean((1, 3))": "Those are the means",
        "def coarse(x, n): return x[::n, ::n].repeat(n, 0).repeat(n, 1)": "first pixel",
        "def coarse(x, n): return x.reshape(len(x), -1, n).mean(-1).repeat(n, 1)": "Only along the rows",
        "def coarse(x, n): return np.full_like(x, x.mean())": "mean of the whole plane",
        "def coarse(x, n): return x": "Cut the plane",
    },
    "02.3": {
        "def gray_L(rgb): return lab.rgb_to_lab(rgb)[..., 0]": "true L",
        "def gray_L(rgb): return 100 * rgb.mean(axis=-1)": "an sRGB number",
        "def gray_L(rgb): return rgb.mean(axis=-1)": "the mean itself",
        "def gray_L(rgb): return lab.rgb_to_lab(rgb)": "only `[..., 0]` is L",
        "def gray_L(rgb): return rgb[..., 1] * 100": "repeat it",
    },
    "03.1": {'prediction = "half"': "share", 'prediction = "double"': "share", "prediction = 2": "Write"},
    "03.2": {
        'my_lambda, why = 1.5, "b"': "between 0 and 1",
        'my_lambda, why = 0.1, "b"': "Too strong",
        'my_lambda, why = 1, "b"': "Too even",
        'my_lambda, why = 4 * p.max() / (9 + 4 * p.max()), "a"': "σ has not changed",
        'my_lambda, why = 4 * p.max() / (9 + 4 * p.max()), "c"': "comes from the photos",
        "my_lambda, why = 4 * p.max() / (9 + 4 * p.max()), 3": "Write",
    },
    "03.3": {
        "def weights_of(q, x): return 1 / ((1 - x) * q + x / len(q))": "second equation",
        "def weights_of(q, x): return (v := 1 / ((1 - x) * q + x / len(q))) / v.mean()": "once in your mean",
        "def weights_of(q, x): return (v := 1 / ((1 - x) * q + x / len(q))) / v.sum()": "sum to 1",
        "def weights_of(q, x): return (v := 1 / ((1 - x) * q + x / 4)) / (q * v).sum()": "square of area 4",
        "def weights_of(q, x): return (v := 1 / (x * q + (1 - x) / 3)) / (q * v).sum()": "swapped",
        "def weights_of(q, x): return 1 / q": "then divide",
    },
    "03.4": {
        "runner_up = [0, 0]": "gray's own bin",
        "runner_up = [8, 0]": "swapped",
        "runner_up = [1, 7]": "multiple of its width",
        "runner_up = [80, 64]": "the largest that is left",
        "times = share[a >= 56].sum() / share[middle, middle]": "other way round",
        "times = share[middle, middle]": "gray's share",
        "times = 3": "where a is at least 56",
        "of_the_largest = 37": "the whole class",
        "of_the_largest = 5": "each class gave as many",
        "of_the_largest = 20": "in whole photos",
    },
    "04.1": {
        "lowest, above = 512 * 512 + 512, 9 * 512 * 256 + 256": "with a bias",
        "lowest, above = 512 + 512, 9 * 512 * 256": "each of the 512 in",
        "lowest, above = 512 * 512, 512 * 256": "9 weights",
        "lowest, above = 512 * 512, 3 * 512 * 256": "9 places",
        "lowest, above = 1, 9": "k × k from m to n",
    },
    "04.2": {
        "my_loss = 3": "One number for every answer",
        "my_loss = expected_loss": "not a function",
        "my_loss = np.sqrt(loss)": "still best at the mean",
        "my_loss = sum(share[c] * np.hypot(grid_a - cars[c][1], grid_b - cars[c][2]) for c in cars)": "another loss",
        "my_loss = sum(abs(grid_a - cars[c][1]) + abs(grid_b - cars[c][2]) for c in cars)": "`share` is missing",
        "my_loss = grid_a": "Sum, over the cars",
    },
    "04.3": {
        "my_climb = climb": "still a tap that is added",
        "def my_climb(taps): return climb(taps[-1:])": "cannot be built",
        "def my_climb(taps): block(taps[-1], 512, 1, 'rung0')": "`return` missing",
        "def my_climb(taps): return block(taps[-1], 512, 1, 'rung0')": "enlarge at each rung",
        "def my_climb(taps): return layers.UpSampling2D(16)(block(taps[-1], 512, 1, 'rung0'))": "all five",
    },
    "05.1": {'prediction = "red"': "neither gains", 'prediction = "green"': "neither gains", "prediction = 1": "Write"},
    "05.2": {"my_lambda = 2": "between 0 and 1", "my_lambda = 0": "more colorful", "my_lambda = 1": "paler"},
    "05.3": {
        "my_loss = rebalanced_mse.call": "take the root",
        "def my_loss(Y, P): return root(Y) * keras.ops.sum((Y - P) ** 2, -1)": "Twice",
        "def my_loss(Y, P): return (Y - P) ** 2": "weights are missing",
        "def my_loss(Y, P): return root(P) * keras.ops.mean((Y - P) ** 2, -1)": "*true*",
        "def my_loss(Y, P): return 7.0": "the squared error",
    },
    "06.1": {"my_patience = 3": "just before", "my_patience = 9": "a smaller patience", "my_patience = 1": "Count"},
    "06.2": {
        "def drop(channels, kept, rate): return channels * kept": "must be enlarged",
        "def drop(channels, kept, rate): return channels * kept * (1 - rate)": "smaller",
        "def drop(channels, kept, rate): return channels * kept / rate": "share that goes",
        "def drop(channels, kept, rate): return channels * kept * (1 + rate)": "must double",
        "def drop(channels, kept, rate): return channels / (1 - rate)": "Nothing is dropped",
        "def drop(channels, kept, rate): return kept": "0 where a channel",
    },
    "06.3": {
        "def upside_down(model, L): return answer_of(model, L[:, ::-1])": "still upside down",
        "def upside_down(model, L): return answer_of(model, L)": "usual colors",
        "def upside_down(model, L): return answer_of(model, L)[:, ::-1]": "but not the photos",
        "def upside_down(model, L): return answer_of(model, L[:, :, ::-1])[:, :, ::-1]": "left to right",
        "def upside_down(model, L): return L": "Turn the rows",
    },
    "06.4": {
        "percent, lowest_mse, seconds_for_one = 0.2, 'gray', 1 / 3": "a share",
        "percent, lowest_mse, seconds_for_one = -20, 'rebalanced', 6": "The other sign",
        "percent, lowest_mse, seconds_for_one = 80, 'baseline', 9": "what is left",
        "percent, lowest_mse, seconds_for_one = 3, 'efficientnet', 3": "100 · (1 -",
    },
    "07.1": {'prediction = "bold"': "How far is", 'prediction = "pale"': "distance alone", "prediction = 1": "Write"},
    "07.2": {
        "def mended(t, x): return np.mean(x.argmax(-1) == t.argmax(-1))": "All pixels",
        "def mended(t, x): return agree(t, x, 128 * np.linalg.norm(x, axis=-1) >= 10)": "chroma of the *truth*",
        "def mended(t, x): return agree(t, x, 128 * abs(t).max(-1) >= 10)": "not the larger",
        "def mended(t, x): return agree(t, x, far := far_from_gray(t)) * far.mean()": "not by all",
        "def mended(t, x): return float('nan')": "divided by 128",
        "def mended(t, x): return 7.0": "Choose the pixels",
    },
    "07.3": {
        "def paired(one, other, draws): return ends(one[draws].mean(1)) - ends(other[draws].mean(1))": "two intervals",
        "def paired(one, other, draws): return ends(one[draws].mean(1) - other[draws[::-1]].mean(1))": "Other photos",
        "def paired(one, other, draws): return ends((other - one)[draws].mean(1))": "The sign",
        "def paired(one, other, draws): return np.percentile((one - other)[draws].mean(1), [5, 95])": "90 %",
        "def paired(one, other, draws): return ends((one - other)[draws].mean(0))": "axis=1",
        "def paired(one, other, draws): return 0.0, 0.0": "percentiles 2.5",
    },
    "08.1": {"same = False": "lightness alone", 'same = "maybe"': "True or False"},
    "08.2": {
        "flat = np.full_like(L, 60)": "Three numbers",
        "flat = np.stack([L, a, b], axis=-1)": "still the photo's",
        "flat = np.stack([np.full_like(L, 0.6), a, b], axis=-1)": "from 0 to 100",
        "flat = np.stack([np.full_like(L, 60), 0 * a, b], axis=-1)": "a and b are the model's",
    },
    "08.3": {
        "def faded(gray): return 90": "As many pixels",
        "def faded(gray): return np.clip(gray, 90, 200)": "cuts off",
        "def faded(gray): return gray * (110 / 255)": "add 90",
        "def faded(gray): return 90 + gray * (165 / 255)": "span 200 - 90",
        "def faded(gray): return 80 + gray * (120 / 255)": "Black should be 90",
        "def faded(gray): return 90 + 110 * (gray / 255) ** 2": "evenly",
    },
    "09.1": {
        'prediction = "mean"': "T = 1",
        'prediction = "silver"': "most probable more so",
        'prediction = "blue"': "Write",
    },
    "09.2": {
        "def remembered(z, h, s): return z + np.sum((lab.NODES - np.array(h)) ** 2, 1) / (2 * s**2)": "The sign",
        "def remembered(z, h, s): return z - np.sum((lab.NODES - np.array(h)) ** 2, 1) / s**2": "2 is missing",
        "def remembered(z, h, s): return z - np.linalg.norm(lab.NODES - np.array(h), axis=1) / (2 * s**2)": "squared",
        "def remembered(z, h, s): return z * np.exp(-np.sum((lab.NODES - h) ** 2, 1) / (2 * s**2))": "multiplies",
        "def remembered(z, h, s): return z": "Start from z",
    },
    "09.3": {
        "nearest = min(cost_of, key=lambda gamma: cost_of[gamma][0])": "lowest MSE",
        "nearest = 7": "One of the vividnesses",
        "beats_gray = not cost_of[min(cost_of, key=lambda g: abs(cost_of[g][1] - 1))][0] < gray[0]": "the floor",
        "beats_gray = 7": "Write True or False",
        "made_up = min(pixels, key=lambda name: unsureness(pixels[name][0]))": "more spread out",
        'made_up = "sea"': "One of sky",
    },
}
# What a student has at hand: the root of v (05.3), argmax agreement over some pixels (07.2), the middle 95 % (07.3).
HELPERS = """
def root(ab): return rebalanced_mse.weight_of(ab) ** 0.5
def agree(truth, answer, counted): return np.mean((truth.argmax(-1) == answer.argmax(-1))[counted])
def far_from_gray(truth): return 128 * np.linalg.norm(truth, axis=-1) >= 10
def ends(values): return np.percentile(values, [2.5, 97.5])
"""


def read(path):
    """The exercises of a notebook: number -> blank, check and solution (sources), and the cells before it."""
    found, before, cells = {}, [], jupytext.read(path).cells
    for i, cell in enumerate(cells):
        tags = cell.metadata.get("tags", [])
        if "exercise" in tags:
            after = next(j for j in range(i + 1, len(cells)) if "check" not in cells[j].metadata.get("tags", []))
            folded = re.search(r"<details>.*?</details>", cells[after].source, re.DOTALL)
            solution = re.search(r"```python\n(.*?)```", folded.group(), re.DOTALL)
            check = "\n".join(c.source for c in cells[i + 1 : after])
            name = f"{path.name[:2]}.{len(found) + 1}"
            found[name] = SimpleNamespace(
                blank=cell.source, check=check, solution=solution.group(1), before=tuple(before)
            )
        elif cell.cell_type == "code" and "check" not in tags:
            before.append(cell.source)
    return found


def used(source):
    """The global names that a source reads."""

    def read_in(table):
        for symbol in table.get_symbols():
            if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module"):
                yield symbol.get_name()
        for child in table.get_children():
            yield from read_in(child)

    loops = [node.target for node in ast.walk(ast.parse(source)) if isinstance(node, ast.comprehension)]
    own = {name.id for target in loops for name in ast.walk(target) if isinstance(name, ast.Name)}
    return set(read_in(symtable.symtable(source, "cells", "exec"))) - own  # from 3.12 on they count as the cell's


def needed(before, source, given):
    """Those top-level statements of the cells `before` that `source` needs, where the names `given` are there."""
    there = set(given) | set(dir(builtins))
    wanted, kept = used(source) - there, []
    for statement in reversed([s for cell in before for s in ast.parse(cell).body]):
        table = symtable.symtable(ast.unparse(statement), "cells", "exec")
        bound = {s.get_name() for s in table.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
        if bound & wanted:
            kept.append(statement)
            if not isinstance(statement, ast.For | ast.If | ast.With | ast.AugAssign):
                wanted -= bound
            wanted |= used(ast.unparse(statement)) - there
    return ast.Module(kept[::-1], type_ignores=[])


EXERCISES = {name: exercise for path in NOTEBOOKS for name, exercise in read(path).items()}


def history(*losses, seconds):
    """Rows of a history.csv whose loss is the plain MSE."""
    return [{"val_loss": loss, "val_mse": loss, "seconds": seconds} for loss in losses]


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """What no exercise makes for itself: the settings of the setup cell, and models and runs that are there at once."""
    import keras

    folder = tmp_path_factory.mktemp("exercises")
    chosen = settings.load("sample", data_folder=folder / "data", results_folder=folder / "results")
    image = keras.Input((chosen.image_size, chosen.image_size, 1))
    model = keras.Model(image, keras.layers.Conv2D(2, 3, padding="same", activation="tanh")(image))
    bgr = keras.Input((64, 64, 3))  # five taps as wide as VGG-16's
    pooled = [keras.layers.AveragePooling2D(2**i)(bgr) for i in range(5)]
    taps = [keras.layers.Conv2D(width, 1)(x) for width, x in zip((64, 128, 256, 512, 512), pooled, strict=True)]
    backbone = keras.Model(bgr, taps, name="backbone")
    backbone.trainable = False
    pair = np.full((4, 64, 64, 1), 0.5, np.float32), np.full((4, 64, 64, 2), 0.1, np.float32)
    few = dict(zip(("few_L", "few_ab", "new_L", "new_ab"), pair * 2, strict=True))
    losses = {"baseline": history(0.02, 0.016, seconds=6), "efficientnet": history(0.012, seconds=2)}
    losses["rebalanced"] = [{"val_loss": 0.01, "val_mse": 0.03, "seconds": 6}]
    album = SimpleNamespace(rows=losses["baseline"], answers=[pair[1][0]])
    runs = {"histories": losses, "gray_validation": 0.02, "pretrained": album, "one": slice(0, 1)}
    return {"settings": chosen, "model": model, "backbone": backbone, **few, **runs}


@pytest.mark.parametrize("name", EXERCISES)
def test_an_exercise_knows_right_from_wrong(name, given, capsys, monkeypatch):
    exercise = EXERCISES[name]
    everything = "\n".join([exercise.blank, exercise.check, exercise.solution, HELPERS, *MISTAKES[name]])
    start = dict(given)
    exec(compile(needed(exercise.before, everything, given), f"notebook {name[:2]}", "exec"), start)
    hints, met = set(), set()
    of_the_module = exercises.check

    def check(answer, right, *pairs, otherwise="", **options):
        hints.update(text for _, text in pairs)
        hints.update({otherwise} - {""})
        return of_the_module(answer, right, *pairs, otherwise=otherwise, **options)

    monkeypatch.setattr(exercises, "check", check)

    def answered(code):
        space = dict(start)
        for source in (exercise.blank, HELPERS, code, exercise.check):
            capsys.readouterr()
            exec(compile(source, name, "exec"), space)
        return capsys.readouterr().out

    assert answered("").count("Not yet") == len(answered("").splitlines()), "unfilled, it prints that and no more"
    right = answered(exercise.solution)
    assert "Right." in right and "again" not in right
    for code, hint in MISTAKES[name].items():
        said = answered(code)
        assert "Try again." in said and hint in said, f"{code}\n{said}"
        met |= {text for text in hints if text in said}
    assert met == hints, "each hint has a mistake above that meets it"


def test_each_notebook_has_two_or_three_and_they_span_the_kinds():
    for path in NOTEBOOKS:
        quizzes = path.read_text().count(".quiz(")
        assert 2 <= len(read(path)) - quizzes <= 3, path.name
    assert set(MISTAKES) == set(EXERCISES)
    text = "\n".join(path.read_text() for path in NOTEBOOKS)
    for kind in ("predict, then run", "change λ and explain the map", "write Eq. 3 yourself"):
        assert kind in text


@pytest.mark.parametrize(
    ("answer", "right", "says"),
    [
        (..., 1, "Not yet"),
        (None, 1, "Not yet"),
        ([1, ...], [1, 2], "Not yet"),
        (2, 2, "Right"),
        (2.0001, 2, "Right"),
        ([1, 2], (1, 2), "Right"),
        ("b", "b", "Right"),
        (True, True, "Right"),
        (3, lambda n: n > 2, "Right"),
        (2.1, 2, "Try again. no"),
        ([2, 2], 2, "Try again. no"),
        ("2", 2, "Try again. no"),
        (float("nan"), 2, "Try again. no"),
        (7, 2, "Try again. seven"),
        (-1, 2, "Try again. below"),
    ],
)
def test_check(answer, right, says, capsys):
    exercises.check(
        answer, right, (7, "seven"), (lambda n: not isinstance(n, str) and n == -1, "below"), otherwise="no"
    )
    assert capsys.readouterr().out.startswith(says)
