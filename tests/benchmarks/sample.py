"""What the three models of the sample's profile learn: its own test photos, and 1,000 scenes that they never saw.

The trainings lie in results/benchmarks/sample; they are not repeated when they are there.
"""

import dataclasses
import sys
import tempfile
from pathlib import Path

from _measure import ROOT, SHARED, photos, tell

from colorlib import evaluation, settings, sources, training
from colorlib.sources import splits

FLOORS = ("all gray", "mean color", "best per lightness")


def scored(runs, split, chosen) -> evaluation.Scores:
    answers = {name: evaluation.answer_of(run.build_model()) for name, run in runs.items()}
    return evaluation.evaluate(answers, split, "test", chosen, progress=False)


def scenes(split, folder: Path) -> splits.Split:
    """The sample's training photos, whose colors tell the floors, and the scenes of miniplaces-val as a test part."""
    photos("miniplaces-val.tar", folder, 128, 0)
    train = tuple(dataclasses.replace(photo, path=str(split.path_of(photo))) for photo in split.train)
    test = tuple(splits.describe(str(path), path.read_bytes()) for path in sorted(folder.rglob("*.jpg")))
    return splits.Split("sample and miniplaces-val", folder, folder, train, (), test)


def main() -> None:
    chosen = settings.load("sample", results_folder=ROOT / "results/benchmarks/sample")
    split = sources.prepare(chosen)
    runs = {name: training.train(name, chosen, split, progress=False) for name in evaluation.PAPER_NAMES}
    seconds = sum(row["seconds"] for run in runs.values() for row in run.history)
    tell("sample: seconds of the three trainings, by their epochs", seconds, at_most=110)
    scores = scored(runs, split, chosen)
    for name in ("baseline", "efficientnet"):
        for floor in FLOORS:
            tell(f"sample: {name}, MSE over {floor}", scores.value(name, "mse") / scores.value(floor, "mse"), at_most=1)
        tell(f"sample: {name}, floors whose paired interval reaches it", len(scores.unbeaten(name, "mse")), at_most=0)
    auc, color = (
        [scores.value(n, key) for n in ("rebalanced", "baseline")] for key in ("rebalanced_auc", "colorfulness")
    )
    tell("sample: rebalanced AuC, rebalanced less baseline", auc[0] - auc[1], at_least=0)
    tell("sample: colorfulness, rebalanced over baseline", color[0] / color[1], at_least=1)
    if not (SHARED / "photos").exists():
        print("Left out: the scenes of miniplaces-val are not there.", file=sys.stderr)
        return
    with tempfile.TemporaryDirectory() as folder:
        elsewhere = scored({"efficientnet": runs["efficientnet"]}, scenes(split, Path(folder)), chosen)
    lowest = min(elsewhere.value(floor, "mse") for floor in FLOORS[1:])
    tell("miniplaces-val: efficientnet, MSE", elsewhere.value("efficientnet", "mse"))
    ratio = elsewhere.value("efficientnet", "mse") / lowest
    tell("miniplaces-val: efficientnet, MSE over the best floor of the sample's colors", ratio, at_most=0.96)
    for measure in ("colorfulness", "rebalanced_auc"):
        tell(f"miniplaces-val: efficientnet, {measure}", elsewhere.value("efficientnet", measure))


if __name__ == "__main__":
    main()
