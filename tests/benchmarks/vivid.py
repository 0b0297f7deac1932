"""The colorizer in the box, and what it was made of: MiniPlaces, all of EfficientNet-Lite0 trained on, a distribution.

    vivid.py levers     what each lever gives: 10,000 photos, 2 epochs, validation cross-entropy and MSE
    vivid.py train      the shipped run, the series' own `train vivid`, on 44,000 photos; goes on where it was stopped

Without an argument both, which takes hours. Needs the photos of ../shared.
"""

import sys

import learning
from _measure import tell

from colorlib import settings, training

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


if __name__ == "__main__":
    actions = {"levers": levers, "train": train}
    if sys.argv[1:]:
        actions[sys.argv[1]](*sys.argv[2:])
    else:
        levers()
        train()
