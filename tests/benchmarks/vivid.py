"""The colorizer in the box, and what it was made of: MiniPlaces, all of EfficientNet-Lite0 trained on, a distribution.

    vivid.py levers     what each lever gives: 10,000 photos, 2 epochs, validation cross-entropy and MSE
    vivid.py train      the shipped run, the series' own `train vivid`, on 44,000 photos; goes on where it was stopped

Without an argument both, which takes hours. Needs the photos of ../shared.
"""

import sys

import learning
import numpy as np
import tensorflow as tf
from _measure import tell

from colorlib import batches, colorize, evaluation, losses, models, prior, runs, settings, training
from colorlib.sources import weights

ARCHIVES = ("miniplaces-train.tar", "miniplaces-train-2.tar", "miniplaces-train-3.tar")
BASE = {
    **{"efficientnet": "efficientnetlite0", "weights": "box", "form": "quarter", "dropout": 0.0, "rotation": 0.0},
    **{"image_size": 96, "crop": 0.6, "aging": 0.5, "backbone_rate": 0.3, "batch_size": 32, "learning_rate": 1.5e-3},
    "data_folder": learning.WORK / "data",
}
SHIPPED = {"epochs": 6}
LEVERS = {
    "base": {},
    "whole photos, no windows": {"crop": 1.0},
    "whole photos at 128 pixels": {"crop": 1.0, "image_size": 128},
    "lightness as it is": {"aging": 0.0},
    "backbone frozen": {"backbone_rate": 0.0},
    "backbone at the full rate": {"backbone_rate": 1.0},
}


def trained(name: str, photos: int, epochs: int, changes: dict):
    chosen = settings.load("paper", **{**BASE, **changes, "epochs": epochs}, results_folder=learning.WORK / name)
    return training.train("vivid", chosen, learning.made_split(photos, ARCHIVES))


def levers(*names: str) -> None:
    for name, changes in LEVERS.items():
        if names and name not in names:
            continue
        run = trained(f"vivid-lever-{name.replace(' ', '-').replace(',', '')}", 10_000, 2, changes)
        row = learning.best(run)
        tell(f"{name}: validation cross-entropy", row["val_loss"], mse=row["val_mse"], seconds=row["seconds"])


def train() -> None:
    run = trained("vivid", 44_000, **SHIPPED, changes={})
    for row in run.history:
        tell(f"epoch {row['epoch']}, validation cross-entropy", row["val_loss"], mse=row["val_mse"])


def logits_of(run, split, part: str, size: int = 128):
    """The logits of a part's photos at `size` pixels, float16 (photos, h, w, n), their L and ab, and the model."""
    model = models.load_whole(colorize.BOX)[0] if run is None else of_any_size(run)
    forward = tf.function(model)
    chosen = settings.load("paper", image_size=size, batch_size=50)
    found = [(forward(L), L, ab) for L, ab in batches.evaluation(split, part, chosen)]
    logits, L, ab = (np.concatenate([np.asarray(each) for each in parts]) for parts in zip(*found, strict=True))
    return logits.astype(np.float16), L, ab, np.asarray(model.get_layer("head").counts)


def of_any_size(run):
    """The model of a run, for photos of any size."""
    model = models.build_colorizer(
        **arguments(run), weights=weights.resolve("box", "efficientnetlite0").path, image_size=None
    )
    trained_variables = models.all_variables(run.build_model())
    for name, variable in models.all_variables(model).items():
        variable.assign(trained_variables[name])
    return model


def arguments(run) -> dict:
    """Of `build_colorizer`: what a run's model is, but for its weights and size."""
    form = settings.FORMS[run.settings.form]
    return {"backbone": run.settings.efficientnet, "head": "distribution", **form, "head_stride": 4}


def measured(logits, ab, counts, vividness, lambda_, temperature) -> dict:
    """MSE, rebalanced AuC and colorfulness over the truth's of one way to make colors of logits."""
    v = prior.node_weights(counts, lambda_)
    counted = np.bincount(evaluation.ab_bins(ab).ravel(), minlength=evaluation.SIDE**2)
    rarity = evaluation.class_weights(counted)
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
    """The choices on the validation photos: highest rebalanced AuC with colorfulness within 5 % of the truth's."""
    split = learning.made_split(44_000, ARCHIVES)
    run = runs.Run(settings.load("paper", results_folder=learning.WORK / name), "vivid")
    logits, L, ab, counts = logits_of(run, split, "validation")
    print(measured(logits, ab, counts, 0.0, 0.0, 1.0))
    for temperature in (0.8, 1.0):
        for lambda_ in (0.0, 0.02, 0.1, 0.3):
            for vividness in (0.5, 0.6, 0.7, 0.8, 0.9, 1.0):
                choices = (vividness, lambda_, temperature)
                color = colorfulness(logits, L, ab, counts, choices)
                if 0.9 < color < 1.1:
                    figures = measured(logits, ab, counts, *choices)
                    tell(
                        "rebalanced AuC", figures.pop("rebalanced_auc"), choices=choices, colorfulness=color, **figures
                    )


if __name__ == "__main__":
    actions = {"levers": levers, "train": train, "choose": choose}
    if sys.argv[1:]:
        actions[sys.argv[1]](*sys.argv[2:])
    else:
        levers()
        train()
