"""What the models learn on real photos: MiniPlaces, 128×128, ImageNet's weights under every ladder.

    learning.py final             the paper's comparison: EfficientNet-Lite0, VGG-16, and VGG-16 rebalanced on 34,000
                                  photos, scored once on the 1,000 of miniplaces-val (no argument more: all; or a model)
    learning.py boxed             a ladder on the weights in data/weights beside one on those at full precision
    learning.py forms             the ladder's forms, 15,000 photos, 4 epochs: validation MSE, and the time to a loss
    learning.py levers            what each lever gives, 3,000 photos, 3 seeds, mean and spread

Without an argument all, which takes hours. Every training lies in results/benchmarks/, goes on where it was
interrupted, and is not repeated when it is there. Needs the photos of ../shared; "final" and "boxed" VGG-16's and
Lite0's weights at full precision (WHEELS: the folder that tests/tools/make_weights.py wants), the others MobileNet's.
"""

import dataclasses
import os
import statistics
import subprocess
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
# The paper's comparison: its three models alike but for loss and dropout, which are what it compares.
COMPARED = {"backbone": "vgg16", "efficientnet": "efficientnetlite0", "epochs": 5}


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


def full_weights() -> str:
    """The folder of the backbones' published weights at full precision, made where it is not there."""
    folder = WORK / "weights"
    if not folder.exists():
        script = ROOT / "tests/tools/make_weights.py"
        command = [sys.executable, script, os.environ["WHEELS"], "--out", WORK / "box", "--full", folder]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return str(folder)


def final(*models: str) -> None:
    """The paper's three models, and their one score."""
    split, chosen = made_split(34_000), {**COMPARED, "weights": full_weights()}
    runs = {}
    for model in models or ("efficientnet", "baseline", "rebalanced"):
        runs[model] = train(model, "final", split, **chosen)
        for row in runs[model].history:
            tell(f"{model}, epoch {row['epoch']}, validation MSE", row["val_mse"], training_mse=row["mse"])
    if len(runs) < len(evaluation.PAPER_NAMES):
        return
    tell_fewest_epochs(runs["baseline"], runs["efficientnet"], split, chosen)
    table = evaluation.table1(runs["baseline"].settings, split)  # writes results/benchmarks/final/table1.md
    print(table.markdown, file=sys.stderr)
    scores = table.scores
    for name in evaluation.PAPER_NAMES:
        tell(f"{name}, MSE on miniplaces-val", scores.value(name, "mse"))
    for other in ("efficientnet", "rebalanced"):
        for key in ("mse", "argmax_agreement", "rebalanced_auc", "colorfulness"):
            value, *lead = scores.difference(other, "baseline", key)
            bar = {"at_least": 3} if (other, key) == ("rebalanced", "rebalanced_auc") else {}
            tell(f"{other} less baseline: {key}", value, interval=[float(f"{end:.3g}") for end in lead], **bar)


def tell_fewest_epochs(vgg, lite, split, chosen) -> None:
    """Lite0 beside VGG-16: at equal epochs, and planned for the fewest that reach VGG-16's validation MSE."""
    wanted = best(vgg)["val_mse"]
    tell("validation MSE, Lite0 over VGG-16, equal epochs", best(lite)["val_mse"] / wanted, at_most=1.0)
    tell("time, Lite0 over VGG-16, equal epochs", seconds(lite) / seconds(vgg))
    for epochs in range(1, COMPARED["epochs"] + 1):
        run = train("efficientnet", f"final-{epochs}-epochs", split, **{**chosen, "epochs": epochs})
        if best(run)["val_mse"] <= wanted:
            figure = f"time to VGG-16's validation MSE, Lite0 in {epochs} epochs over VGG-16"
            return tell(figure, seconds(run) / seconds(vgg), at_most=0.2)
    tell("time to VGG-16's validation MSE: not reached by Lite0; its MSE over that", best(run)["val_mse"] / wanted)


def seconds(run) -> float:
    """Of a whole training, by its median epoch: in others, the machine may have had something else to do."""
    return len(run.history) * statistics.median(row["seconds"] for row in run.history)


def boxed() -> None:
    """What the smaller numbers in data/weights cost: the same ladder on both, 3,000 photos, 2 epochs."""
    split = made_split(3_000)
    for model, backbone in (("efficientnet", "efficientnetlite0"), ("baseline", "vgg16")):
        mse = {}
        for weights in (full_weights(), "box"):
            chosen = {**COMPARED, "weights": weights, "epochs": 2}
            mse[weights] = best(train(model, f"boxed-{Path(weights).name}", split, **chosen))["val_mse"]
        full, box = mse.values()
        tell(f"{backbone}: validation MSE on the weights in the box over full precision", box / full, at_most=1.005)


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
    actions = {"final": final, "boxed": boxed, "forms": forms, "levers": levers}
    if sys.argv[1:]:
        actions[sys.argv[1]](*sys.argv[2:])
    else:
        for action in actions.values():
            action()
