"""What trivial answers score on real photographs, beside the figures measured elsewhere with the same definitions.

Needs the photos in ../shared. One JSON object a line.
"""

import json
import sys
import tarfile
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402

from colorlib import batches, evaluation, scores, settings, sources  # noqa: E402

# archive, its photos, their size, and (answer, measure, figure, tolerance)
PUBLISHED = (
    (
        "photos256.tar",
        256,
        (
            ("all gray", "auc", 87.5, 0.1),
            ("all gray", "rebalanced_auc", 58.4, 0.2),
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
    counts, sums = np.zeros(scores.SIDE**2), np.zeros(scores.SIDE**2)
    for _, ab in batches.evaluation(split, "test", chosen):
        ab = np.asarray(ab)[:, ::4, ::4]
        classes, near = scores.ab_bins(ab).ravel(), scores.within(ab, 0.0).ravel()
        counts += np.bincount(classes, minlength=scores.SIDE**2)
        sums += np.bincount(classes, near, minlength=scores.SIDE**2)
    return 100 * float(np.mean(sums[counts > 0] / counts[counts > 0]))


def score(archive: Path, size: int):
    """All trivial answers on all photos of an archive; the mean color is that of the same photos."""
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(archive) as tar:
            tar.extractall(folder, filter="data")
        paths = sorted(Path(folder).rglob("*.jpg"))
        photos = tuple(sources.Photo(str(path.relative_to(folder)), 0, path.name, "") for path in paths)
        split = sources.Split(archive.stem, Path(folder), Path(folder), photos, (), photos)
        evaluation.TRAINING_PHOTOS = len(photos)
        chosen = settings.load("sample", image_size=size, cache="none")
        return evaluation.evaluate({}, split, "test", chosen), of_every_fourth_pixel(split, chosen)


if __name__ == "__main__":
    shared = ROOT.parent / "shared" / "photos"
    for name, size, figures in PUBLISHED:
        if not (shared / name).exists():
            print(f"left out: {name} is not in ../shared/photos", file=sys.stderr)
            continue
        scored, sparse = score(shared / name, size)
        for answer, measure, figure, tolerance in figures:
            bounds = {"at_least": round(figure - tolerance, 6), "at_most": round(figure + tolerance, 6)}
            value = round(scored.value(answer, measure), 6)
            print(json.dumps({"figure": f"{measure} of {answer} on {name}", "value": value, **bounds}), flush=True)
        figure = f"rebalanced_auc of all gray on {name}, every fourth pixel each way"
        print(json.dumps({"figure": figure, "value": round(sparse, 4)}), flush=True)
