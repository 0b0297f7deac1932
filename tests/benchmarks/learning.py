"""What the models learn on real photos: MiniPlaces, 128×128, MobileNet's ImageNet weights under every ladder.

    learning.py final             the three models on 34,000 photos, scored once on the 1,000 of miniplaces-val
    learning.py forms             the ladder's forms, 15,000 photos, 4 epochs: validation MSE, and the time to a loss
    learning.py levers            what each lever gives, 3,000 photos, 3 seeds, mean and spread

Without an argument all three, which takes hours. Every training lies in results/benchmarks/, goes on where it was
interrupted, and is not repeated when it is there. Needs the photos and weights of ../shared.
"""

import dataclasses
import os
import statistics
import sys
import tarfile
import time
from pathlib import Path

from _measure import ROOT, SHARED, photos, tell

WORK = ROOT / "results" / "benchmarks"
os.environ.setdefault("KERAS_HOME", str(Path("~/.keras").expanduser()))

from colorlib import evaluation, prior, settings, training  # noqa: E402
from colorlib.sources import splits  # noqa: E402

BASE = {
    **{"data_folder": WORK / "data", "image_size": 128, "backbone": "mobilenet", "efficientnet": "mobilenet"},
    **{"weights": "imagenet", "form": "fast"},
}


FINAL = {"epochs": 5, "form": "paper"}  # beyond the defaults


def made_split(count: int, archives=("miniplaces-train.tar", "miniplaces-train-2.tar")) -> splits.Split:
    """`count` photos to train on and 1,000 for validation, stratified by class; those of miniplaces-val for test."""
    home = WORK / "data" / f"miniplaces-{count}-{len(archives)}"
    if (home / "split.json").exists():
        return splits.Split.load(home / "split.json")
    folder = WORK / "photos"
    for archive in (*archives, "miniplaces-val.tar"):
        if not (unpacked := folder / f"{archive}.unpacked").exists():
            photos(archive, folder, 128, 0)
            unpacked.touch()
    members = set()
    for archive in archives:
        members |= names_in(archive)
    found = []
    for name in sorted(members):
        found.append(splits.describe(name, (folder / name).read_bytes(), "/".join(Path(name).parts[2:-1])))
    validation = splits.stratified(found, 1000, "validation")
    taken = {photo.path for photo in validation}
    train = splits.stratified([photo for photo in found if photo.path not in taken], count, "train")
    test = [
        splits.describe(str(path.relative_to(folder)), path.read_bytes())
        for path in sorted((folder / "miniplaces" / "val").glob("*.jpg"))
    ]
    split = splits.Split(home.name, folder, home, tuple(train), tuple(validation), tuple(test))
    split.save()
    return split


def names_in(archive: str) -> set[str]:
    with tarfile.open(SHARED / "photos" / archive) as tar:
        return {member.name for member in tar if member.isfile()}


def train(model: str, name: str, split: splits.Split, **changes):
    """One training, made or finished or found, in a results folder of its own; its run."""
    chosen = settings.load("paper", **{**BASE, **changes}, results_folder=WORK / name)
    made = prior.prepare(split, chosen) if model == "rebalanced" else None
    before = time.process_time()
    run = training.train(model, chosen, split, made, progress=False)
    cost = WORK / name / f"{model}-cpu-seconds"
    if not cost.exists():  # of the last session alone, where the training was interrupted
        cost.write_text(str(time.process_time() - before))
    return run


def best(run) -> dict:
    return run.history[run.best_epoch - 1]


def scored(runs: dict, split: splits.Split, part: str) -> evaluation.Scores:
    answers = {name: evaluation.answer_of(run.build_model()) for name, run in runs.items()}
    return evaluation.evaluate(answers, split, part, next(iter(runs.values())).settings, progress=False)


def mirrored(answer):
    """An answer averaged with the one to the mirrored photos, mirrored back: two looks at each photo."""
    return lambda L, ab: (answer(L, ab) + answer(L[:, :, ::-1], ab)[:, :, ::-1]) / 2


def final() -> None:
    """The paper's three models under the committed defaults, and their one score."""
    split = made_split(34_000)
    runs = {model: train(model, "final", split, **FINAL) for model in evaluation.PAPER_NAMES}
    for model, run in runs.items():
        for row in run.history:
            tell(f"{model}, epoch {row['epoch']}, validation MSE", row["val_mse"], training_mse=row["mse"])
    table = evaluation.table1(runs["baseline"].settings, split)  # writes results/benchmarks/final/table1.md
    print(table.markdown, file=sys.stderr)
    scores = table.scores
    tell("baseline, MSE on miniplaces-val", scores.value("baseline", "mse"), at_most=0.0088)
    twice = evaluation.evaluate(
        {"twice": mirrored(table.answers["baseline"])}, split, "test", runs["baseline"].settings
    )
    tell("the same, averaged with the answer to the mirrored photo", twice.value("twice", "mse"))
    tell("efficientnet, MSE on miniplaces-val", scores.value("efficientnet", "mse"))
    tell("rebalanced, its price: MSE on miniplaces-val", scores.value("rebalanced", "mse"))
    auc, color = (
        [scores.value(name, key) for name in ("rebalanced", "baseline")] for key in ("rebalanced_auc", "colorfulness")
    )
    tell("class-rebalanced AuC, rebalanced less baseline", auc[0] - auc[1], at_least=2)
    tell("colorfulness, rebalanced over baseline", color[0] / color[1], at_least=1.3)


def forms() -> None:
    """The paper's form and the fast one on the same 15,000 photos, and how soon the fast one is as good."""
    split = made_split(15_000, ("miniplaces-train.tar",))
    runs, cpu = {}, {}
    for name, changes in {"paper": {"epochs": 4}, "fast": {"epochs": 4}, "fast, 3 epochs": {"epochs": 3}}.items():
        folder = f"forms-{name.replace(', ', '-').replace(' ', '-')}"
        runs[name] = train("baseline", folder, split, **{**FINAL, "form": name.split(",")[0], **changes})
        cpu[name] = float((WORK / folder / "baseline-cpu-seconds").read_text()) / len(runs[name].history)
        tell(f"validation MSE, {name}", best(runs[name])["val_mse"], seconds_an_epoch=runs[name].history[-1]["seconds"])
    loss = {name: best(run)["val_mse"] for name, run in runs.items()}
    tell("validation MSE, fast over paper, same photos and epochs", loss["fast"] / loss["paper"], at_most=1.02)
    for name in ("fast", "fast, 3 epochs"):
        tell_time_to(loss["paper"], name, runs[name], runs["paper"], cpu[name] / cpu["paper"])


def tell_time_to(loss: float, name: str, run, plain, cpu: float) -> None:
    """The time until a run's validation MSE is first at most `loss`, over all the time of another, plain run."""
    figure = f"time to the paper form's loss, {name}"
    epochs = next((row["epoch"] for row in run.history if row["val_mse"] <= loss), None)
    if epochs is None:
        return tell(f"{figure}: not reached; its MSE over that", best(run)["val_mse"] / loss)
    ours, reference = (sum(row["seconds"] for row in rows) for rows in (run.history[:epochs], plain.history))
    tell(figure, ours / reference, by_cpu_time=round(cpu * epochs / len(plain.history), 3), at_most=0.333)


LEVERS = {  # name -> (model, changes): each beside the base, which is FINAL in the fast form at 3 epochs
    "base": ("baseline", {}),
    "learning rate 1e-3": ("baseline", {"learning_rate": 1e-3}),
    "batch 16": ("baseline", {"batch_size": 16}),
    "batch 64": ("baseline", {"batch_size": 64}),
    "no augmentation": ("baseline", {"flip": False, "rotation": 0.0}),
    "flips alone": ("baseline", {"rotation": 0.0}),
    "rotation to the end": ("baseline", {"upright_epochs": 0}),
    "dropout 0.2": ("efficientnet", {"dropout": 0.2}),
    "rebalanced, λ 0.5": ("rebalanced", {"lambda_": 0.5}),
    "rebalanced, λ 0.8": ("rebalanced", {"lambda_": 0.8}),
    "rebalanced, λ 0.9": ("rebalanced", {"lambda_": 0.9}),
    "rebalanced, λ 0.8, σ 0": ("rebalanced", {"lambda_": 0.8, "sigma": 0.0}),
}


def levers() -> None:
    """Each lever on the same 3,000 photos, three seeds: mean and spread of what the validation photos say."""
    split = made_split(3_000)
    split = dataclasses.replace(split, validation=split.validation[::2])
    for name, (model, changes) in LEVERS.items():
        chosen = {**FINAL, "form": "fast", "epochs": 3, **changes}
        runs = [train(model, f"levers/{name}/{seed}", split, **chosen, seed=seed) for seed in (1, 2, 3)]
        mse = [best(run)["val_mse"] for run in runs]
        more = {}
        if model == "rebalanced" or name == "base":
            scores = [scored({model: run}, split, "validation") for run in runs]
            for key in ("rebalanced_auc", "colorfulness"):
                more[key] = round(statistics.mean(score.value(model, key) for score in scores), 2)
        tell(f"levers, {name}: validation MSE", statistics.mean(mse), spread=round(statistics.stdev(mse), 6), **more)


if __name__ == "__main__":
    if not (SHARED / "photos").exists():
        sys.exit("learning.py needs the photos of ../shared")
    for part in sys.argv[1:] or ("final", "forms", "levers"):
        {"final": final, "forms": forms, "levers": levers}[part]()
