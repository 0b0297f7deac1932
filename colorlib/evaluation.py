"""Answers to the question of color, the models' and trivial ones, scored on the same photos; and the paper's Table 1.

An answer is a function of a batch, (L, ab) -> ab as `batches` gives them; a model sees L alone, trivial answers may
cheat. All measures are taken at the size of the batches, each photo weighing the same.
"""

import csv
import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm.auto import tqdm

from colorlib import ColorlibError, batches, lab, runs
from colorlib.scores import LOSSLESS, MEASURES, SIDE, Scores, ab_bins, bootstrap, class_weights, score, to_rgb8
from colorlib.settings import DATA_SETS

TRAINING_PHOTOS = 2000  # at most this many tell the mean color, and the best one per lightness


def answer_of(model: keras.Model):
    """The answer of a colorizer. Photos of another size than the model's are scaled for it, and its ab back."""

    size = model.input_shape[1]

    # One signature: a last, smaller batch would be traced anew.
    @tf.function(input_signature=[tf.TensorSpec((None, size, size, 1))])
    def forward(L):
        return model(L, training=False)

    def answer(L, ab):
        if L.shape[1] == size:
            return forward(L)
        predicted = forward(keras.ops.image.resize(L, (size, size), antialias=True))
        return keras.ops.image.resize(predicted, L.shape[1:3])

    return answer


def trivial_answers(split, settings) -> dict:
    """Answers that need no learning. Their colors are those of the training split, of evenly taken photos of it."""
    photos = split.photos("train")
    some = dataclasses.replace(split, train=photos[:: -(-len(photos) // TRAINING_PHOTOS)])
    sums, counts = np.zeros((101, 2)), np.zeros(101)
    for L, ab in batches.evaluation(some, "train", settings.replace(cache="none")):
        level, ab = _level(L).ravel(), np.reshape(ab, (-1, 2))
        counts += np.bincount(level, minlength=101)
        sums += np.stack([np.bincount(level, ab[:, i], minlength=101) for i in (0, 1)], axis=-1)
    mean = sums.sum(0) / counts.sum()
    table = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], mean).astype(np.float32)
    return {
        "all gray": lambda L, ab: np.zeros_like(ab),
        "mean color": lambda L, ab: np.broadcast_to(mean.astype(np.float32), ab.shape),
        "best per lightness": lambda L, ab: table[_level(L)],
    }


def quarter_chroma(L, ab):
    """The truth at a quarter of the chroma resolution: the ceiling of a head at stride 4. (b, s, s, 2), as given."""
    small = keras.ops.average_pool(ab, 4, 4, padding="same")
    return keras.ops.image.resize(small, ab.shape[1:3], interpolation="bilinear")


def _level(L):
    return np.clip(np.rint(np.asarray(L)[..., 0] * lab.L_SCALE), 0, 100).astype(np.int64)


def evaluate(answers: dict, split, part: str, settings, progress: bool = True) -> Scores:
    """Score answers, and the trivial ones beside them, on a part of a split, photo by photo in constant memory.

    answers: name -> function of a batch, (L, ab) -> ab; see `answer_of`. Two passes over the photos: the first counts
    the classes of colors for the rebalanced AuC. Raises `ColorlibError` for an empty part and for an answer that is
    not finite or of another shape.
    """
    photos = split.photos(part)
    if not photos:
        raise ColorlibError(f"The {part} part of {split.dataset} is empty: there is nothing to score.")
    models, trivial = tuple(answers), trivial_answers(split, settings)
    answers = {**answers, **trivial, "truth at 1/4 chroma": quarter_chroma}
    seconds = len(photos) * len(answers) * settings.image_size**2 * 1e-6 / (os.cpu_count() or 1)
    print(f"Scoring {len(answers)} answers on {len(photos):,} photos: about {max(seconds / 60, 0.1):.1f} minutes.")
    counts = np.zeros(SIDE**2)
    for _, ab in batches.evaluation(split, part, settings):
        counts += np.bincount(ab_bins(ab).ravel(), minlength=SIDE**2)
    weights, scored, planes, neutral = class_weights(counts), [], 0.0, 0.0
    with ThreadPoolExecutor() as pool, tqdm(total=len(photos), unit="photo", disable=not progress) as bar:
        for L, ab in batches.evaluation(split, part, settings):
            L, ab = np.asarray(L), np.asarray(ab)
            predicted = np.stack([_checked(name, answer(L, ab), ab) for name, answer in answers.items()], axis=1)
            for sums, shares, plane, gray in pool.map(score, L, ab, predicted, [weights] * len(L)):
                scored.append((sums, shares))
                planes, neutral = planes + plane, neutral + gray
                bar.update()
    sums, shares = np.stack([s for s, _ in scored], axis=1), np.stack([s for _, s in scored])
    with np.errstate(invalid="ignore"):
        plane = (planes / counts).reshape(-1, SIDE, SIDE)
    return Scores(
        answers=tuple(answers),
        models=models,
        trivial=tuple(trivial),
        paths=tuple(photo.path for photo in photos),
        part=part,
        sums=sums,
        shares=shares,
        samples=bootstrap(sums, shares, settings.seed),
        plane=plane,
        neutral=neutral / len(photos),
    )


def pictures(answers: dict, split, part: str, settings, indices) -> list[dict]:
    """Some photos of a part as uint8 RGB (s, s, 3), a dictionary each: "gray", the name of every answer, "truth"."""
    photos = split.photos(part)
    some = dataclasses.replace(split, **{part: tuple(photos[i] for i in indices)})
    found = []
    for L, ab in batches.evaluation(some, part, settings.replace(cache="none")):
        colors = {"gray": np.zeros_like(ab), **{name: answer(L, ab) for name, answer in answers.items()}, "truth": ab}
        rows = zip(*(to_rgb8(L, each) for each in colors.values()), strict=True)
        found += [dict(zip(colors, row, strict=True)) for row in rows]
    return found


def _checked(name, answer, truth):
    answer = np.asarray(answer, np.float32)
    if answer.shape != truth.shape or not np.isfinite(answer).all():
        what = "holds values that are not finite" if answer.shape == truth.shape else f"has shape {answer.shape}"
        raise ColorlibError(f"The answer {name!r} {what}; expected finite ab of shape {truth.shape}.")
    return answer


# Table 1.

PAPER = {  # the paper's, its columns in its order
    "Execution (hours)": {"efficientnet": 4.668333, "baseline": 15.56111, "rebalanced": 15.56111},
    "Val Loss": {"efficientnet": 0.008, "baseline": 0.0086, "rebalanced": 0.0057},
    "Val Accuracy": {"efficientnet": 0.7523, "baseline": 0.7139, "rebalanced": 0.6766},
    "Loss": {"efficientnet": 0.007, "baseline": 0.0082, "rebalanced": 0.0047},
    "Accuracy": {"efficientnet": 0.7662, "baseline": 0.7225, "rebalanced": 0.6886},
}
PAPER_NAMES = {"efficientnet": "New Model", "baseline": "BaseLine", "rebalanced": "BaseLine (3)"}
_COLUMNS = dict(zip(list(PAPER)[1:], ("val_loss", "val_argmax_agreement", "loss", "argmax_agreement"), strict=True))


@dataclasses.dataclass(frozen=True)
class Table1:
    """The paper's table beside ours, and the honest one.

    ours: model -> what `record` says of its run; answers: model -> its answer (see `answer_of`); scores: all answers on
    the test photos; markdown: both tables and what explains their differences, ready to print.
    """

    ours: dict
    answers: dict
    scores: Scores
    markdown: str


def record(run) -> dict:
    """What a run's own files say for Table 1: the paper's rows, and the facts that explain them."""
    history, settings = run.history, run.settings
    best = next(row for row in history if row["epoch"] == run.best_epoch)
    seconds = sum(row["seconds"] for row in history)
    weights = {"imagenet": "ImageNet weights", "none": "random weights"}.get(settings.weights, "weights from a file")
    return {
        "Execution (hours)": seconds / 3600,
        **{row: best[column] for row, column in _COLUMNS.items()},
        "backbone": f"{settings.backbone_of(run.model_name)}, {weights}",
        "data set": settings.data if settings.data in DATA_SETS else Path(settings.data).name,
        "image size": settings.image_size,
        "epochs (the best)": f"{len(history)} ({run.best_epoch})" + ("" if run.state == "finished" else ", unfinished"),
        "epochs": len(history),
        "seconds an epoch": seconds / len(history),
        "photos a second": sum(row["photos_per_second"] for row in history) / len(history),
        "plain MSE": best["mse"],
        "plain val MSE": best["val_mse"],
    }


def table1(settings, split, progress: bool = True) -> Table1:
    """Table 1 of the trained runs in `settings.results_folder`, written there as table1.md and table1.csv.

    The test photos of `split`, which serve nothing else, score the models beside the trivial answers. Raises
    `ColorlibError` when no model is trained, or one was trained on another split.
    """
    trained = {}
    for name in PAPER_NAMES:
        run = runs.Run(settings, name)
        if run.best_epoch:
            if run.split_checksum != split.checksum:
                raise ColorlibError(
                    f"The run {name} was trained on another split than this one of {split.dataset}: photos that it "
                    "learned from could be among those that test it. Use its settings again, or train it anew."
                )
            trained[name] = run
    if not trained:
        raise ColorlibError(
            "No model is trained yet. Run notebook 04, 05 or 06, or: python -m colorlib train baseline (or "
            "rebalanced, or efficientnet)."
        )
    ours = {name: record(run) for name, run in trained.items()}
    answers = {name: answer_of(run.build_model()) for name, run in trained.items()}
    scores = evaluate(answers, split, "test", settings, progress)
    parts = (
        paper_table(ours),
        "\n".join(f"- {line}" for line in explanations(ours, scores)),
        f"## On the {len(scores.paths):,} test photos of {split.dataset}",
        scores_table(scores),
        "\n".join(f"- {line}" for line in remarks(scores)),
    )
    settings.results_folder.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(("# Table 1", *parts)) + "\n"
    (settings.results_folder / "table1.md").write_text(text, encoding="utf-8")
    with (settings.results_folder / "table1.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(table_rows(ours, scores))
    return Table1(ours, answers, scores, "\n\n".join(parts))


def markdown(rows) -> str:
    """A table of strings, its heading first, as Markdown that also reads as plain text."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def paper_table(ours: dict) -> str:
    """The paper's five rows, ours beside the paper's, and below them what each run was."""
    heading = ["", *(f"{PAPER_NAMES[m]}: {which}" for m in PAPER_NAMES for which in (f"our {m}", "the paper's"))]
    of_paper = {
        "backbone": {m: "EfficientNetB7" if m == "efficientnet" else "VGG-16" for m in PAPER_NAMES},
        "data set": dict.fromkeys(PAPER_NAMES, "Places, 3 %"),
        "image size": dict.fromkeys(PAPER_NAMES, "224"),
    }
    rows = [*PAPER, "backbone", "data set", "image size", "epochs (the best)", "seconds an epoch", "photos a second"]
    table = [heading]
    for row in rows:
        cells = [row]
        for model in PAPER_NAMES:
            value = ours[model][row] if model in ours else "not trained"
            cells.append(f"{value:.4g}" if isinstance(value, float) else str(value))
            cells.append(str({**PAPER, **of_paper}.get(row, {}).get(model, "not stated")))
        table.append(cells)
    return markdown(table)


def explanations(ours: dict, scores: Scores) -> list[str]:
    """What explains the paper's rows, one sentence a line, computed from the runs and the test photos."""
    gray = scores.value("all gray", "argmax_agreement")
    lines = [
        "Accuracy of a regression to two channels is *argmax agreement*: the share of pixels where the larger of a and "
        f'b is the same one in both. On the test photos, "all gray" scores {gray:.1f} % and always "b > a" '
        f"{100 - gray:.1f} %; on the {100 * scores.neutral:.1f} % of pixels with R = G = B it is rounding noise."
    ]
    if "rebalanced" in ours:
        facts = ours["rebalanced"]
        lines.append(
            f"BaseLine (3) minimizes a weighted loss, another quantity: its weighted Val Loss is "
            f"{facts['Val Loss']:.4f}, its plain MSE on the same photos {facts['plain val MSE']:.4f}"
            + (f", the baseline's {ours['baseline']['plain val MSE']:.4f}" if "baseline" in ours else "")
            + ". Only plain ones are compared."
        )
    if {"baseline", "efficientnet"} <= set(ours):
        old, new = ours["baseline"], ours["efficientnet"]
        hours, epochs, pace = (old[k] / new[k] for k in ("Execution (hours)", "epochs", "seconds an epoch"))
        lines.append(
            f"Hours are epochs times their length: the baseline took {hours:.2f} times as long as the new model = "
            f"{epochs:.2f} times the epochs × {pace:.2f} times the seconds an epoch. The paper's ratio is exactly "
            "10:3, which 10 epochs against 3 of one length would explain; it does not state its epochs."
        )
    return lines


def scores_table(scores: Scores) -> str:
    """All answers by all measures, each with half the width of its 95 % interval, as Markdown: two tables, which fit
    a notebook's width where one would not."""
    names = list(MEASURES)
    return "\n\n".join(_table_of(scores, part) for part in (names[:5], names[5:]))


def _table_of(scores, names):
    rows = [["", *(MEASURES[name].heading for name in names)]]
    for answer in scores.answers:
        cells = [answer]
        for name in names:
            low, high = scores.interval(answer, name)
            digits = MEASURES[name].decimals
            mark = " †" if answer in scores.models and scores.unbeaten(answer, name) else ""
            cells.append(f"{scores.value(answer, name):.{digits}f} ± {(high - low) / 2:.{digits}f}{mark}")
        rows.append(cells)
    return markdown(rows)


def remarks(scores: Scores) -> list[str]:
    """How to read the table, and which model fails to beat which trivial answer, in what."""
    lines = [
        "± is half the width of the 95 % interval of a paired bootstrap over photos. MSE is the plain Eq. 1, of ab / "
        "128. The mean color and the best constant per lightness were learned from training photos. PSNR stops at "
        f"{LOSSLESS:.1f} dB, the error of rounding to 8 bits. In the rebalanced AuC every color that occurs on these "
        "photos weighs the same, that of a single pixel too.",
        "† does not beat every trivial answer: the interval of the paired difference reaches 0.",
    ]
    for answer in scores.models:
        failed = {}
        for name, measure in MEASURES.items():
            if rivals := scores.unbeaten(answer, name):
                failed.setdefault(", ".join(rivals), []).append(measure.heading)
        told = [f"{rivals} in {', '.join(headings)}" for rivals, headings in failed.items()]
        lines.append(
            f"**{answer}** " + (f"does not beat {'; nor '.join(told)}." if told else "beats them all, in all.")
        )
    return lines


def table_rows(ours: dict, scores: Scores):
    """Both tables as rows of a CSV file, one figure a row; a dagger's trivial answers stand in `unbeaten`."""
    yield "table", "answer", "figure", "value", "low", "high", "paper", "unbeaten"
    for model, facts in ours.items():
        for row, value in facts.items():
            yield "paper", model, row, value, "", "", PAPER.get(row, {}).get(model, ""), ""
    for answer in scores.answers:
        for name, measure in MEASURES.items():
            unbeaten = scores.unbeaten(answer, name) if answer in scores.models else []
            yield (
                "test",
                answer,
                measure.heading,
                scores.value(answer, name),
                *scores.interval(answer, name),
                "",
                " + ".join(unbeaten),
            )
