"""The colorizer in the box, and what it was made of: MiniPlaces, all of EfficientNet-Lite0 trained on, a distribution.

    vivid.py levers     what each lever gives: 10,000 photos, 2 epochs, validation cross-entropy and MSE
    vivid.py train      the shipped run, the series' own `train vivid`, on 44,000 photos; goes on where it was stopped
    vivid.py choose     vividness, λ and temperature, on the validation photos
    vivid.py look       the longer side at which it looks at a photo of 256 pixels
    vivid.py score      its score on miniplaces-val and photos256, the box beside it; calibration
    vivid.py identity   Eq. 1's and Eq. 2's answers out of one distribution, beside models trained for them

Without an argument all of them, which takes hours. Needs the photos of ../shared.
"""

import dataclasses
import itertools
import re
import sys

import keras
import learning
import numpy as np
import tensorflow as tf
from _measure import photos, tell

from colorlib import batches, colorize, evaluation, lab, losses, models, prior, runs, settings, training
from colorlib.sources import splits
from colorlib.sources.photos import read_whole

ARCHIVES = ("miniplaces-train.tar", "miniplaces-train-2.tar", "miniplaces-train-3.tar")
BASE = {
    **{"efficientnet": "efficientnetlite0", "weights": "box", "form": "quarter", "dropout": 0.0, "rotation": 0.0},
    **{"image_size": 96, "crop": 0.6, "aging": 0.5, "backbone_rate": 0.3, "batch_size": 32, "learning_rate": 1.5e-3},
    "data_folder": learning.WORK / "data",
}
SHIPPED = {"epochs": 7}
COLORFUL = (0.7, 0.0, 0.8)  # vividness, λ, temperature: what `choose` found


class OfAverages(losses.ColorCrossEntropy):
    """The cross-entropy of the average color of each block, in place of that of its pixels' colors."""

    def call(self, y_true, y_pred):
        stride = y_true.shape[1] // y_pred.shape[1]
        return super().call(keras.ops.average_pool(y_true, stride, stride), y_pred)


LEVERS = {
    "base": {},
    "whole photos, no windows": {"crop": 1.0},
    "whole photos at 128 pixels": {"crop": 1.0, "image_size": 128},
    "lightness as it is": {"aging": 0.0},
    "backbone frozen": {"backbone_rate": 0.0},
    "backbone at a tenth of the rate": {"backbone_rate": 0.1},
    "target: each block's average color": {"loss": OfAverages()},
}


def trained(name: str, photos: int, epochs: int, changes: dict):
    loss = changes.get("loss")
    changes = {name: value for name, value in changes.items() if name != "loss"}
    chosen = settings.load("paper", **{**BASE, **changes, "epochs": epochs}, results_folder=learning.WORK / name)
    split = learning.made_split(photos, ARCHIVES)
    return training.train("vivid", chosen, split, loss=loss, run_name="averages" if loss else "", progress=False)


def levers(*names: str) -> None:
    for name, changes in LEVERS.items():
        if names and name not in names:
            continue
        run = trained(f"vivid-lever-{re.sub('[^a-z0-9]+', '-', name)}", 10_000, 2, changes)
        row = learning.best(run)
        tell(f"{name}: validation cross-entropy", row["val_loss"], mse=row["val_mse"], seconds=row["seconds"])


def train() -> None:
    run = trained("vivid", 44_000, **SHIPPED, changes={})
    for row in run.history:
        tell(f"epoch {row['epoch']}, validation cross-entropy", row["val_loss"], mse=row["val_mse"])


def logits_of(run, split, part: str, size: int = 128):
    """The logits of a part's photos at `size` pixels, float16 (photos, h, w, n), their L and ab, and the counts."""
    model = of_any_size(run)
    forward = tf.function(model)
    chosen = settings.load("paper", image_size=size, batch_size=50)
    found = [(forward(L), L, ab) for L, ab in batches.evaluation(split, part, chosen)]
    logits, L, ab = (np.concatenate([np.asarray(each) for each in parts]) for parts in zip(*found, strict=True))
    return logits.astype(np.float16), L, ab, np.asarray(model.get_layer("head").counts)


def of_any_size(run):
    """The model of a run, for photos of any size."""
    model = models.build_colorizer(**runs.architecture(run.model_name, run.settings), image_size=None)
    trained_variables = models.all_variables(run.build_model())
    for name, variable in models.all_variables(model).items():
        variable.assign(trained_variables[name])
    return model


def rarity_of(ab) -> np.ndarray:
    """The weight of each class of colors in the rebalanced AuC of these photos."""
    return evaluation.class_weights(np.bincount(evaluation.ab_bins(ab).ravel(), minlength=evaluation.SIDE**2))


def measured(logits, ab, rarity, counts, vividness, lambda_, temperature) -> dict:
    """MSE, AuC and rebalanced AuC of one way to make colors of logits."""
    v = prior.node_weights(counts, lambda_)
    sums = np.zeros(4)
    for i in range(0, len(ab), 50):
        part = losses.color_of(logits[i : i + 50], v, vividness, temperature)
        truth = ab[i : i + 50]
        answer = np.asarray(tf.image.resize(part, truth.shape[1:3]))
        near, weight = evaluation.within(truth, answer), rarity[evaluation.ab_bins(truth)]
        sums += [
            np.square(answer - truth).mean((1, 2, 3)).sum(),
            near.mean((1, 2)).sum(),
            (near * weight).sum(),
            weight.sum(),
        ]
    return {"mse": sums[0] / len(ab), "auc": 100 * sums[1] / len(ab), "rebalanced_auc": 100 * sums[2] / sums[3]}


def colorfulness(logits, L, ab, counts, choices, every: int = 4) -> float:
    """Colorfulness over the truth's, on every so-many-th photo."""
    v = prior.node_weights(counts, choices[1])
    part = losses.color_of(logits[::every], v, choices[0], choices[2])
    answer = np.asarray(tf.image.resize(part, ab.shape[1:3]))
    ours, true = (
        np.mean([evaluation.colorfulness(evaluation.to_rgb8(*pair)) for pair in zip(L[::every], each, strict=True)])
        for each in (answer, ab[::every])
    )
    return ours / true


def choose(name: str = "vivid") -> None:
    """Vividness, λ and temperature, on the validation photos, by two rules.

    What a user gets has, at λ = 0.02 and T = 1, the highest sum of AuC, where each pixel counts alike, and rebalanced
    AuC, where each color does. As colorful as the truth: the highest rebalanced AuC with a colorfulness within 5 % of
    the truth's.
    """
    split = learning.made_split(44_000, ARCHIVES)
    run = runs.Run(settings.load("paper", results_folder=learning.WORK / name), "vivid")
    logits, L, ab, counts = logits_of(run, split, "validation")
    found, rarity = {}, rarity_of(ab)
    for choices in itertools.product(
        (0.0, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0), (0.0, 0.02), (0.3, 0.4, 0.5, 0.6, 0.8, 1.0)
    ):
        figures = measured(logits, ab, rarity, counts, *choices)
        found[choices] = figures | {"colorfulness": colorfulness(logits, L, ab, counts, choices)}
        tell("AuC and rebalanced AuC", figures["auc"] + figures["rebalanced_auc"], choices=choices, **found[choices])
    for_users = [choices for choices in found if choices[1:] == (0.02, 1.0)]
    for_users = max(for_users, key=lambda choices: found[choices]["auc"] + found[choices]["rebalanced_auc"])
    colorful = [choices for choices, figures in found.items() if abs(figures["colorfulness"] - 1) <= 0.05]
    colorful = max(colorful, key=lambda choices: found[choices]["rebalanced_auc"])
    tell("for users: vividness", for_users[0], choices=for_users, **found[for_users])
    tell("as colorful as the truth: vividness", colorful[0], choices=colorful, **found[colorful])


def score(name: str = "vivid") -> None:
    """The one score on miniplaces-val of the full-precision run and of the box, calibration, and photos256."""
    split = learning.made_split(44_000, ARCHIVES)
    run = runs.Run(settings.load("paper", results_folder=learning.WORK / name), "vivid")
    chosen = settings.load("paper", image_size=128, batch_size=50, data_folder=learning.WORK / "data")
    full, box = of_any_size(run), colorize.box()
    colorful = dict(zip(("vividness", "lambda_", "temperature"), COLORFUL, strict=True))
    answers = {
        "mean": evaluation.answer_of(full, vividness=0.0),
        "mean, 8 bits": evaluation.answer_of(box, vividness=0.0),
        "for users, 8 bits": evaluation.answer_of(box),
        "as colorful as the truth": evaluation.answer_of(full, **colorful),
        "as colorful as the truth, 8 bits": evaluation.answer_of(box, **colorful),
    }
    for name, part in (("miniplaces-val", split), ("photos256", photos256())):
        size = 128 if name == "miniplaces-val" else 256
        scores = evaluation.evaluate(
            answers, part, "test", dataclasses.replace(chosen, image_size=size), progress=False
        )
        print(f"{name}:\n{evaluation.scores_table(scores)}", file=sys.stderr)
        if name == "miniplaces-val":
            mse, shown = scores.value("mean", "mse"), "as colorful as the truth"
            tell("mean: MSE on miniplaces-val", mse, at_most=0.0082)
            tell("mean: AuC on miniplaces-val", scores.value("mean", "auc"), at_least=91.8)
            tell("as colorful as the truth: rebalanced AuC", scores.value(shown, "rebalanced_auc"), at_least=69.0)
            tell("as colorful as the truth: MSE", scores.value(shown, "mse"), at_most=0.0130)
            tell("MSE of 8 bits over full precision", scores.value("mean, 8 bits", "mse") / mse, at_most=1.005)
    calibration(*logits_of(run, split, "test"))


def photos256() -> splits.Split:
    """photos256: every fourth photo to test with; every second one tells the trivial colors, and where to look."""
    folder = learning.WORK / "photos256"
    if not folder.exists():
        photos("photos256.tar", folder, 256, 0)
    found = [
        splits.describe(str(path.relative_to(folder)), path.read_bytes()) for path in sorted(folder.rglob("*.jpg"))
    ]
    return splits.Split("photos256", folder, folder, tuple(found[::2]), (), tuple(found[1::4]))


def calibration(logits, L, ab, counts) -> None:
    """What the smallest sets of colors that claim a share really hold, over all blocks and by quarters of entropy."""
    rows, frequencies = [], (counts + 1) / (counts + 1).sum()
    for i in range(0, len(ab), 50):
        p = np.asarray(tf.nn.softmax(logits[i : i + 50].astype(np.float32))).reshape(-1, logits.shape[-1])
        target = np.asarray(losses.soft_target(ab[i : i + 50], 4)).reshape(p.shape)
        order = np.argsort(-p, axis=-1)
        claimed, held = (np.cumsum(np.take_along_axis(x, order, -1), -1) for x in (p, target))
        entropy, cross = -(p * np.log(p + 1e-12)).sum(-1), -(target * np.log(p + 1e-12)).sum(-1)
        row = [entropy, cross, -(target * np.log(frequencies)).sum(-1)]
        for share in (0.5, 0.8, 0.95):
            last = (claimed < share).sum(-1, keepdims=True).clip(max=p.shape[-1] - 1)
            row += [np.take_along_axis(x, last, -1)[:, 0] for x in (claimed, held)]
        rows.append(np.stack(row, axis=-1))
    rows = np.concatenate(rows)
    tell("cross-entropy over that of the prior", rows[:, 1].mean() / rows[:, 2].mean(), at_most=0.9)
    quarters = np.array_split(rows[np.argsort(rows[:, 0])], 4)
    for name, part in {"all": rows, **{f"quarter {i + 1} of entropy": each for i, each in enumerate(quarters)}}.items():
        for i, share in enumerate((50, 80, 95)):
            gap = 100 * (part[:, 4 + 2 * i] - part[:, 3 + 2 * i]).mean()
            tell(f"{name}: points that sets of {share} % hold beyond their claim", gap, at_least=-3, at_most=3)


def look(name: str = "vivid") -> None:
    """At which longer side the model should look at photos of 256 pixels: the error of the mean, on 143 photos."""
    run = runs.Run(settings.load("paper", results_folder=learning.WORK / name), "vivid")
    model, split = of_any_size(run), photos256()
    for side in (128, 160, 192, 224, 256, 320, 384):
        colorize.LOOK, errors = side, []
        for photo in split.photos("train")[::6]:
            picture = read_whole(split.folder / photo.path)
            truth = lab.rgb_to_lab(np.asarray(picture.image, np.float32) / 255)[..., 1:] / lab.AB_SCALE
            ab = losses.color_of(colorize.predict(picture, model))
            errors.append(np.square(np.asarray(tf.image.resize(ab, truth.shape[:2])) - truth).mean())
        tell(f"MSE of the mean, looking at {side} pixels", float(np.mean(errors)))


def identity() -> None:
    """Eq. 1's and Eq. 2's answers out of one distribution, beside models of the same ladder trained for them."""
    split, epochs = learning.made_split(10_000, ARCHIVES), 2
    changes = {"backbone_rate": 0.0, "backbone": "efficientnetlite0"}
    vivid = trained("vivid-lever-backbone-frozen", 10_000, epochs, changes)
    logits, _, ab, counts = logits_of(vivid, split, "validation")
    chosen = settings.load("paper", image_size=128, batch_size=50, data_folder=learning.WORK / "data")
    for model, lambda_ in (("efficientnet", None), ("rebalanced", 0.5), ("rebalanced", 0.8)):
        folder = learning.WORK / f"vivid-identity-{model}-{lambda_}"
        own = settings.load("paper", **{**BASE, **changes, "epochs": epochs}, results_folder=folder)
        own = own.replace(lambda_=lambda_, results_folder=folder) if lambda_ else own
        run = training.train(model, own, split, progress=False)
        scores = evaluation.evaluate({model: evaluation.answer_of(of_any_size(run))}, split, "validation", chosen)
        ours = measured(logits, ab, rarity_of(ab), counts, float(lambda_ is not None), lambda_ or 0.5, 1.0)
        for measure in ("mse", "rebalanced_auc"):
            figures = {"trained_for_it": scores.value(model, measure), "lambda": lambda_}
            tell(f"{model}: {measure} out of vivid", ours[measure], **figures)


if __name__ == "__main__":
    actions = {"levers": levers, "train": train, "choose": choose, "look": look, "score": score, "identity": identity}
    if sys.argv[1:]:
        actions[sys.argv[1]](*sys.argv[2:])
    else:
        for action in actions.values():
            action()
