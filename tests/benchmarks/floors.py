"""What trivial answers score on real photographs, beside the figures measured elsewhere with the same definitions.

Needs the photos in ../shared. One JSON object a line.
"""

import sys
import tempfile
from pathlib import Path

import _measure
import numpy as np

from colorlib import batches, evaluation, settings
from colorlib.sources import splits

# archive, its photos, their size, and (answer, measure, figure, tolerance)
PUBLISHED = (
    (
        "photos256.tar",
        256,
        (
            ("all gray", "auc", 87.5, 0.1),
            ("all gray", "rebalanced_auc", 57.5, 0.1),  # ours: no figure of this definition was measured elsewhere
            ("all gray", "mse", 0.0199, 0.00005),
        ),
    ),
    (
        "miniplaces-val.tar",
        128,
        (
            ("all gray", "auc", 90.06, 0.01),
            ("all gray", "rebalanced_auc", 58.19, 0.2),
            ("all gray", "mse", 0.01254, 0.00001),
            ("mean color", "mse", 0.01148, 0.00001),
        ),
    ),
)


def of_every_fourth_pixel(split, chosen) -> float:
    """The rebalanced AuC of all gray on every fourth pixel across and down: what it owes to classes of a few pixels."""
    counts, sums = np.zeros(evaluation.SIDE**2), np.zeros(evaluation.SIDE**2)
    for _, ab in batches.evaluation(split, "test", chosen):
        ab = np.asarray(ab)[:, ::4, ::4]
        classes, near = evaluation.ab_bins(ab).ravel(), evaluation.within(ab, 0.0).ravel()
        counts += np.bincount(classes, minlength=evaluation.SIDE**2)
        sums += np.bincount(classes, near, minlength=evaluation.SIDE**2)
    return 100 * float(np.mean(sums[counts > 0] / counts[counts > 0]))


def score(archive: str, size: int):
    """All trivial answers on all photos of an archive; the mean color is that of the same photos."""
    with tempfile.TemporaryDirectory() as folder:
        paths = _measure.photos(archive, Path(folder), size, 0)
        photos = tuple(splits.Photo(str(Path(path).relative_to(folder)), 0, path, "") for path in paths)
        split = splits.Split(archive, Path(folder), Path(folder), photos, (), photos)
        evaluation.TRAINING_PHOTOS = len(photos)
        chosen = settings.load("sample", image_size=size)
        return evaluation.evaluate({}, split, "test", chosen), of_every_fourth_pixel(split, chosen)


if __name__ == "__main__":
    for name, size, figures in PUBLISHED:
        if not (_measure.SHARED / "photos" / name).exists():
            print(f"left out: {name} is not in ../shared/photos", file=sys.stderr)
            continue
        scored, sparse = score(name, size)
        for answer, measure, figure, tolerance in figures:
            bounds = {"at_least": round(figure - tolerance, 6), "at_most": round(figure + tolerance, 6)}
            _measure.tell(f"{measure} of {answer} on {name}", scored.value(answer, measure), **bounds)
        _measure.tell(f"rebalanced_auc of all gray on {name}, every fourth pixel each way", sparse)
