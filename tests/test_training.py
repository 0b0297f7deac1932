"""Training: killed at any moment and started again, it ends as if nothing had happened."""

import json
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tiny_run
from PIL import Image

from colorlib import ColorlibError, batches, colorize, lab, losses, models, runs, training
from colorlib.runs import checkpoint

TESTS = Path(__file__).resolve().parent
STEPS, EPOCHS = 5, 3  # 18 photos in batches of 4; a checkpoint after every second step and each epoch


class Killed(BaseException):
    """Ends a training as abruptly as this process can: no handler of Exception sees it."""


def killed():
    raise Killed


def train(model, chosen, photos):
    return training.train(model, chosen, photos.split, photos.prior, progress=False)


class Photos:
    def __init__(self, folder):
        self.folder = folder
        self.split = tiny_run.make_split(folder)
        self.settings = tiny_run.make_settings(folder)
        self.prior = tiny_run.make_prior(self.split, self.settings)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return Photos(tmp_path_factory.mktemp("tiny"))


# Model -> its settings, and the moment of the SIGKILL; then the moments at which it is ended in this process.
CASES = {
    "baseline": ({}, ("step", 5), [("validation", 1), ("write", 2)]),
    "rebalanced": ({"patience": 1, "learning_rate": 3.0, "epochs": 6}, ("write", 5), [("epoch", 1)]),
    "efficientnet": ({"dtype": "mixed_float16"}, ("step", 3), [("epoch", 3)]),  # the last: only the end is missing
    "vivid": ({"backbone_rate": 0.3, "aging": 0.5}, ("step", 7), [("validation", 2)]),
}

CHILD = """
import json, sys, time
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[1])
import tiny_run
from colorlib import training
folder, model, changes, keep, moment = map(json.loads, sys.argv[2:7])
folder = Path(folder)
split = tiny_run.make_split(folder)
folders = {"results_folder": folder / "killed" / model, "keep_folder": keep and Path(keep)}
chosen = tiny_run.make_settings(folder, **changes, **folders)
def stand_still():
    (folder / "killed" / f"{model}.here").touch()
    time.sleep(600)
with tiny_run.interrupting(*moment, stand_still):
    training.train(model, chosen, split, tiny_run.make_prior(split, chosen), progress=False)
"""


MIRRORED = """
import json, sys
from pathlib import Path
sys.path[:0] = json.loads(sys.argv[1])
import keras, numpy as np, tensorflow as tf
cpu = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * 2)
import tiny_run
from colorlib import batches, losses, runs, training

folder = Path(sys.argv[2])
split = tiny_run.make_split(folder, train=16)
chosen = tiny_run.make_settings(folder, distribute="mirrored", batch_size=4, epochs=1)
strategy = training._strategy(chosen.distribute)
both = chosen.replace(batch_size=8)
told = {"replicas": strategy.num_replicas_in_sync}

def photos_of(values):
    return [np.asarray(photo).tobytes() for value in values for photo in value]

steps = batches.steps_per_epoch(split, both)
seen = []
shared = iter(strategy.experimental_distribute_dataset(batches.training(split, both)))
for _ in range(steps):
    parts = strategy.experimental_local_results(next(shared)[0])
    seen.append([len(part) for part in parts])
    told.setdefault("photos", []).extend(photo.hex()[:4000] for photo in photos_of(parts))
told["parts"] = seen
plain = batches.training(split, both).take(steps)
told["plain"] = [photo.hex()[:4000] for photo in photos_of([lightness for lightness, _ in plain])]

def gradients(scope):
    keras.utils.set_random_seed(1)
    with scope:
        model = runs.build("baseline", chosen)
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable = False  # inference mode
        model.compile(keras.optimizers.SGD(1.0), losses.for_model("baseline", None))
    before = [np.array(v) for v in model.trainable_variables]
    model.fit(batches.training(split, both), steps_per_epoch=1, verbose=0)
    return [was - np.array(v) for was, v in zip(before, model.trainable_variables)]

import contextlib
one, two = gradients(contextlib.nullcontext()), gradients(strategy.scope())
told["largest"] = float(max(np.abs(g).max() for g in one))
told["different"] = float(max(np.abs(g - h).max() for g, h in zip(one, two)))
run = training.train("baseline", chosen, split, progress=False)
told["history"] = run.history
told["identity"] = run.newest().state.identity["replicas"]
vivid = training.train("vivid", chosen.replace(backbone_rate=0.3), split, progress=False)
told["vivid"] = [vivid.history[0]["loss"], vivid.newest().state.identity["replicas"]]
told["counts"] = float(np.sum(vivid.build_model().get_layer("head").counts))
print("TOLD" + json.dumps(told))
"""


def drive_of(photos, model):
    """Where the case has a second folder."""
    return photos.folder / "drive" if model == "baseline" else None


@pytest.fixture(scope="module")
def children(photos):
    """A process for each model that trains up to its moment and stands still there, to be killed; one of two devices.

    They are started at once: most of their time goes into importing TensorFlow.
    """
    (photos.folder / "killed").mkdir()
    (photos.folder / "drive").mkdir()
    path = json.dumps([str(TESTS), str(TESTS.parent)])
    commands = {"two devices": [MIRRORED, path, str(photos.folder / "two devices")]}
    for model, (changes, moment, _) in CASES.items():
        keep = drive_of(photos, model)
        told = [str(photos.folder), model, changes, keep and str(keep), moment]
        commands[model] = [CHILD, path, *(json.dumps(each) for each in told)]
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    running = {
        name: subprocess.Popen([sys.executable, "-c", *command], **streams) for name, command in commands.items()
    }
    yield running
    for child in running.values():
        child.kill()
        child.wait()
        child.stdout.close()


@pytest.fixture(scope="module")
def whole(photos, children):
    """The uninterrupted trainings, made while the children start."""
    made = {}
    for model, (changes, _, _) in CASES.items():
        chosen = photos.settings.replace(results_folder=photos.folder / "whole" / model, **changes)
        made[model] = train(model, chosen, photos)
    return made


def wait_until(reached, child, seconds=240):
    end = time.monotonic() + seconds
    while not reached():
        if child.poll() is not None or time.monotonic() > end:
            child.kill()
            pytest.fail(f"the child did not get there:\n{child.communicate()[0][-2000:]}")
        time.sleep(0.02)


def is_whole(path):
    try:
        return bool(checkpoint.read(path))
    except (OSError, checkpoint.Unusable):
        return False


@pytest.mark.parametrize("model", CASES)
def test_killed_and_started_again_it_ends_the_same(photos, whole, children, model, capsys):
    changes, _, moments = CASES[model]
    drive = drive_of(photos, model)
    results = photos.folder / "killed" / model
    chosen = photos.settings.replace(results_folder=results, keep_folder=drive, **changes)
    child, run = children[model], runs.Run(chosen, model)
    wait_until((photos.folder / "killed" / f"{model}.here").exists, child)
    if drive:  # the copy runs beside the training
        wait_until(lambda: is_whole(drive / "runs" / model / "checkpoint-b.npz"), child)

    capsys.readouterr()
    with pytest.raises(ColorlibError, match="already being trained here, by another notebook or program"):
        train(model, chosen, photos)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    if drive:  # the session's disk goes with it
        shutil.rmtree(results)

    before = run.newest().state.step
    for moment in moments:
        with tiny_run.interrupting(*moment, killed), pytest.raises(Killed):
            train(model, chosen, photos)
        run = runs.Run(chosen, model)
        assert run.newest().state.step >= before
        before = run.newest().state.step
    train(model, chosen, photos)
    said = capsys.readouterr().out
    assert said.count(f"{model}: resumed before epoch") == len(moments) + 1
    assert re.search(r"resumed before epoch \d, step \d of 5, from the checkpoint in \w", said)
    assert ("drive" in said) == bool(drive)
    run = runs.Run(chosen, model)
    assert tiny_run.differences(tiny_run.ending(whole[model]), tiny_run.ending(run)) == []
    assert run.state == "finished"
    if drive:
        assert run.newest().data in [path.read_bytes() for path in (drive / "runs" / model).glob("checkpoint-*")]


def test_a_finished_run_trains_nothing(photos, whole, capsys, monkeypatch):
    run = whole["baseline"]
    before = {path.name: path.stat().st_mtime_ns for path in run.folder.glob("*.npz")}
    monkeypatch.setattr(keras.Model, "fit", lambda *_, **__: pytest.fail("it trains"))
    monkeypatch.setattr(runs, "build", lambda *_: pytest.fail("it builds a model"))
    again = train("baseline", photos.settings.replace(results_folder=run.folder.parents[1]), photos)
    assert "baseline: finished: 3 epochs" in capsys.readouterr().out
    assert again.history == run.history and again.best_epoch == run.best_epoch
    assert before and {path.name: path.stat().st_mtime_ns for path in run.folder.glob("*.npz")} == before


def test_history_schedule_and_early_stopping(photos, whole):
    rows = whole["baseline"].history
    assert [row["epoch"] for row in rows] == list(range(1, EPOCHS + 1))
    assert ",".join(rows[0]) == (
        "epoch,loss,val_loss,mse,val_mse,argmax_agreement,val_argmax_agreement,learning_rate,steps,seconds,photos_per_second"
    )
    assert all(row["steps"] == STEPS for row in rows)
    rate = photos.settings.learning_rate
    cosine = [rate * (1 + math.cos(math.pi * epoch / EPOCHS)) / 2 for epoch in range(1, EPOCHS + 1)]
    assert [row["learning_rate"] for row in rows] == pytest.approx(cosine, rel=1e-4, abs=1e-9)
    for model, run in whole.items():
        losses_seen = [row["val_loss"] for row in run.history]
        assert run.best_epoch == 1 + int(np.argmin(losses_seen)), model
    stopped, patience = whole["rebalanced"], CASES["rebalanced"][0]["patience"]
    assert stopped.newest().state.stopped and len(stopped.history) == stopped.best_epoch + patience < 6


def test_the_best_weights_are_those_of_the_best_epoch(photos, whole):
    """The validation MSE of a run that went on after its best epoch, computed again with the weights it gives out."""
    run = whole["rebalanced"]
    model = run.build_model()
    total = count = 0
    for lightness, ab in batches.evaluation(photos.split, "validation", run.settings):
        total += np.square(model.predict_on_batch(lightness) - ab.numpy()).mean(axis=(1, 2, 3)).sum()
        count += len(ab)
    assert total / count == pytest.approx(run.history[run.best_epoch - 1]["val_mse"], rel=1e-4)
    rows = whole["baseline"].history
    assert [row["loss"] for row in rows] == pytest.approx([row["mse"] for row in rows], rel=1e-5)


def test_a_checkpoint_is_small_and_holds_no_backbone(photos, whole):
    run = whole["baseline"]
    newest, model = run.newest(), run.build_model()
    trainable = sum(math.prod(variable.shape) for variable in model.trainable_variables)
    statistics = sum(math.prod(variable.shape) for variable in models.trained_variables(model).values()) - trainable
    assert len(newest.data) <= 1.05 * 4 * (3 * trainable + statistics) + 20_000  # and the names of some 200 variables
    inside = {variable.name for variable in model.get_layer("backbone").weights}
    assert inside and not any(name.startswith(("backbone/", "model/backbone")) for name in newest.arrays)


def test_dropout_seeds_and_the_loss_scale_are_in_the_checkpoint(whole):
    arrays = whole["efficientnet"].newest().arrays
    assert any("seed" in name for name in arrays)
    scalars = [float(array) for array in arrays.values() if array.shape == ()]
    assert any(value in [2.0**power for power in range(8, 16)] for value in scalars)  # Keras' loss scale, first 2^15


# A distribution of colors, whose backbone is trained on.


def test_vivid_begins_with_the_prior_and_changes_the_kernels_of_its_backbone(whole):
    run = whole["vivid"]
    assert run.history[0]["loss"] < math.log(len(lab.NODES)) and run.history[0]["val_mse"] < 0.5
    model = run.build_model()
    start = runs.build("vivid", run.settings)
    changed = {
        name
        for name, v in models.all_variables(model).items()
        if not np.array_equal(v, models.all_variables(start)[name])
    }
    inside = {
        name
        for name, v in models.all_variables(start).items()
        if any(v is own for own in start.get_layer("backbone").variables)
    }
    kernels = {name for name in inside if name.endswith("kernel")}  # some have no gradient: 32 pixels, random weights
    assert changed & inside <= kernels and len(changed & inside) > len(kernels) / 2
    assert changed - inside >= {"head/kernel", "head/bias", "rung3_conv/kernel"}


def test_vivid_learns(photos, tmp_path):
    changes = {"epochs": 6, "patience": 6, "learning_rate": 1e-2, "dropout": 0.0, "crop": 1.0, "backbone_rate": 0.3}
    run = train("vivid", photos.settings.replace(results_folder=tmp_path, **changes), photos)
    seen = [row["loss"] for row in run.history]
    assert seen[-1] < seen[0] - 0.05 and seen == sorted(seen, reverse=True)


def test_the_head_carries_how_often_colors_occur_in_the_training_photos(photos, whole):
    expected = dict.fromkeys(map(tuple, lab.NODES.tolist()), 0)
    for path in photos.split.paths("train"):
        pixels = np.asarray(Image.open(path).convert("RGB"))[::2, ::2] / np.float32(255)
        for a, b in np.floor(lab.rgb_to_lab(pixels)[..., 1:].reshape(-1, 2) / 10 + 0.5) * 10:
            expected[a, b] += 1
    counts = np.asarray(whole["vivid"].build_model().get_layer("head").counts)
    assert counts.sum() == len(photos.split.train) * 16 * 16
    np.testing.assert_array_equal(counts, list(expected.values()))


@pytest.mark.parametrize("rate", [1.0, 0.3, 0.0])
def test_updates_of_the_backbone_are_scaled(photos, rate):
    """Adam's first step is of the learning rate's size in every number that has a gradient, however small that is."""
    chosen = photos.settings.replace(backbone_rate=rate)
    network = runs.build("vivid", chosen)
    optimizer = training._optimizer(network, chosen, 3)  # too few steps for a warm-up
    optimizer.build(network.trainable_variables)
    before = [np.array(variable) for variable in network.trainable_variables]
    rng = np.random.default_rng(0)
    gradients = [tf.constant(rng.choice([-1e-3, 2.0], v.shape), tf.float32) for v in network.trainable_variables]
    optimizer.apply(gradients, network.trainable_variables)
    inside = [id(variable) for variable in network.get_layer("backbone").trainable_variables]
    assert bool(inside) == (rate > 0)
    for old, gradient, variable in zip(before, gradients, network.trainable_variables, strict=True):
        expected = -np.sign(gradient) * chosen.learning_rate * (rate if id(variable) in inside else 1)
        # Of the small gradients' steps, Adam's epsilon takes 0.3 %.
        np.testing.assert_allclose(variable - old, expected, rtol=4e-3, atol=1e-6)


def test_a_backbone_that_is_trained_on_is_warmed_up(photos):
    rate = photos.settings.learning_rate
    for backbone_rate, first in ((0.3, [0, rate / 2, rate]), (0.0, [rate] * 3)):
        chosen = photos.settings.replace(backbone_rate=backbone_rate, epochs=100)
        schedule = training._optimizer(runs.build("vivid", chosen), chosen, 50)._learning_rate
        got = [float(schedule(step)) for step in (0, 50, 100, 2550, 5000)]
        assert got[:3] == pytest.approx(first, rel=2e-3)
        assert got[3:] == pytest.approx([rate / 2, 0], rel=0.04, abs=1e-8)


def test_photos_without_a_color_are_nothing_to_learn_a_distribution_from(photos, tmp_path):
    split = tiny_run.make_split(tmp_path)
    for path in split.paths("train"):
        Image.open(path).convert("L").save(path)
    with pytest.raises(ColorlibError, match="There is no photo with color"):
        training.train("vivid", photos.settings.replace(results_folder=tmp_path), split, progress=False)


@pytest.mark.parametrize("change", [{"backbone_rate": 0.1}, {"backbone_rate": 0.0}, {"aging": 0.6}])
def test_vivid_goes_on_with_the_same_aging_and_backbone_rate_alone(photos, whole, change):
    chosen = whole["vivid"].settings.replace(**change)
    ((name, value),) = change.items()
    with pytest.raises(
        ColorlibError, match=rf"vivid was trained with {name} .*\(now {value}\): that cannot be continued"
    ):
        train("vivid", chosen, photos)


def test_a_run_becomes_a_colorizer_in_the_box(whole, tmp_path, monkeypatch, capsys):
    """8 bits a channel: as small as that, and its answers are near."""
    monkeypatch.syspath_prepend(TESTS / "tools")
    import make_box

    run, path = whole["vivid"], tmp_path / "box.npz"
    monkeypatch.setattr(sys, "argv", ["make_box.py", str(run.folder), "--photos", "18 squares", "--out", str(path)])
    make_box.main()
    box, about = models.load_whole(path)
    assert (about["version"], about["photos"]) == (models.WHOLE_VERSION, "18 squares")
    assert about["trained"]["backbone_rate"] == 0.3 and box.input_shape == (None, None, None, 1)
    model = run.build_model()
    assert path.stat().st_size < 1.2 * model.count_params() + 60_000
    L = np.random.default_rng(0).random((2, 32, 32, 1), dtype="float32")
    np.testing.assert_array_equal(box.get_layer("head").counts, model.get_layer("head").counts)
    assert np.abs(losses.color_of(box(L)) - losses.color_of(model(L))).max() < 0.02
    monkeypatch.setattr(colorize, "BOX", path)
    assert colorize.colorize(Image.new("L", (40, 30), 99), colorize.box()).size == (40, 30)
    assert "learned from 18 squares" in capsys.readouterr().out


def test_a_loss_that_is_not_a_number_is_told_with_step_and_photos(photos, tmp_path, monkeypatch):
    real = batches.training

    def spoiled(split, chosen, first_step=0):
        def spoil(step, batch):
            lightness, ab = batch
            return lightness, tf.where(step == 6, np.nan, 1.0) * ab

        return real(split, chosen, first_step).enumerate(first_step).map(spoil)

    monkeypatch.setattr(batches, "training", spoiled)
    chosen = photos.settings.replace(results_folder=tmp_path)
    with pytest.raises(ColorlibError, match=r"not a number at step 7 \(epoch 2, step 2 of 5\)") as caught:
        train("baseline", chosen, photos)
    for path in batches.paths_of_step(photos.split, chosen, 6):
        assert Path(path).name in str(caught.value)
    assert str(photos.folder) not in str(caught.value)
    newest = runs.Run(chosen, "baseline").newest()
    assert newest.state.step == 6 and all(np.isfinite(array).all() for array in newest.arrays.values())


@pytest.mark.parametrize(("epoch", "value"), [(1, math.nan), (2, math.inf)])
def test_a_validation_loss_that_is_not_a_number_is_never_the_best(photos, tmp_path, monkeypatch, epoch, value):
    """Neither in the first epoch, where Keras' EarlyStopping takes whatever it gets for the best, nor later."""
    real, batch_of_epoch = batches.evaluation, math.ceil(len(photos.split.validation) / photos.settings.batch_size)
    factors = iter([1.0] * batch_of_epoch * (epoch - 1))

    def spoiled(*arguments):
        def spoil(lightness, ab):
            factor = tf.numpy_function(lambda: np.float32(next(factors, value)), [], tf.float32)
            return lightness, tf.ensure_shape(ab * factor, ab.shape)

        return real(*arguments).map(spoil)

    monkeypatch.setattr(batches, "evaluation", spoiled)
    chosen = photos.settings.replace(results_folder=tmp_path)
    words = f"validation loss is not a number after epoch {epoch}.*learning rate"
    with pytest.raises(ColorlibError, match=words):
        train("baseline", chosen, photos)
    run = runs.Run(chosen, "baseline")
    assert run.best_epoch == len(run.history) == epoch - 1
    assert run.state == "unfinished" and run.newest().state.step == {1: 4, 2: 8}[epoch]  # where it would go on
    if epoch == 2:
        assert math.isfinite(run.newest().state.best)
        run.build_model()


def test_memory_that_does_not_suffice(photos, tmp_path, monkeypatch):
    def fit(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(keras.Model, "fit", fit)
    with pytest.raises(ColorlibError, match=r"Lower batch_size \(--batch-size 2, COLORLIB_BATCH_SIZE=2\)"):
        train("baseline", photos.settings.replace(results_folder=tmp_path), photos)


def test_a_split_without_photos_to_validate_with(tmp_path):
    split = tiny_run.make_split(tmp_path, train=4, validation=0)
    with pytest.raises(ColorlibError, match="validation part of the split of tiny has no photos"):
        training.train("baseline", tiny_run.make_settings(tmp_path), split)


class Quartic(keras.losses.Loss):
    """A loss of a reader's own, without a `get_config`."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.factor = factor

    def call(self, y_true, y_pred):
        return self.factor * keras.ops.mean((y_true - y_pred) ** 4, axis=-1)


def test_ones_own_loss(photos, tmp_path, capsys):
    """Trained under its own name, continued to the last bit, refused when changed, listed, and rebuilt without it."""
    chosen = photos.settings.replace(results_folder=tmp_path / "whole", epochs=2)

    def trained(chosen, loss, **named):
        return training.train("baseline", chosen, photos.split, loss=loss, progress=False, **named)

    whole = trained(chosen, Quartic(), run_name="quartic")
    assert whole.folder == tmp_path / "whole" / "runs" / "quartic" and whole.model_name == "baseline"
    assert whole.history[0]["loss"] < whole.history[0]["mse"] and not (whole.folder.parent / "baseline").exists()
    cut = chosen.replace(results_folder=tmp_path / "cut")
    with tiny_run.interrupting("step", 3, killed), pytest.raises(Killed):
        trained(cut, Quartic(), run_name="quartic")
    with pytest.raises(ColorlibError, match=r'quartic was trained with loss .*"factor": 1.0.*now .*"factor": 2.0'):
        trained(cut, Quartic(2.0), run_name="quartic")
    run = trained(cut, Quartic(), run_name="quartic")
    assert tiny_run.differences(tiny_run.ending(whole), tiny_run.ending(run)) == []
    assert "quartic: resumed before epoch 1, step 3 of 5" in capsys.readouterr().out
    ((listed),) = runs.list_runs(cut)
    lightness, _ = next(iter(batches.evaluation(photos.split, "validation", cut)))
    answers = [each.build_model().predict_on_batch(lightness) for each in (whole, listed)]
    assert np.array_equal(*answers)


@pytest.mark.parametrize(("loss", "name"), [(Quartic(), ""), (Quartic(), "baseline"), (None, "rebalanced")])
def test_a_training_of_ones_own_needs_a_name_of_its_own(photos, loss, name):
    with pytest.raises(ColorlibError, match="a name of its own"):
        training.train("baseline", photos.settings, photos.split, loss=loss, run_name=name)


def test_a_run_of_an_earlier_version_is_named_when_a_training_begins(photos, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(training, "former_run", lambda settings, name: f"{name}: an earlier one")
    with tiny_run.interrupting("step", 1, killed), pytest.raises(Killed):
        train("baseline", photos.settings.replace(results_folder=tmp_path), photos)
    assert capsys.readouterr().out.splitlines()[:2] == [
        "baseline: an earlier one",
        "baseline: a fresh start, 3 epochs of 5 steps.",
    ]


def test_two_devices(children):
    said = children["two devices"].communicate(timeout=400)[0]
    assert "TOLD" in said, said[-3000:]
    told = json.loads(said.split("TOLD")[1].splitlines()[0])
    assert told["replicas"] == told["identity"] == 2
    assert told["parts"] == [[4, 4], [4, 4]]
    assert len(set(told["photos"])) == 16 and sorted(told["photos"]) == sorted(told["plain"])
    assert told["largest"] > 1e-3 and told["different"] < 1e-5 * told["largest"] + 1e-8
    assert [row["steps"] for row in told["history"]] == [2]
    assert math.isfinite(told["vivid"][0]) and told["vivid"][1] == 2 and told["counts"] == 16 * 16 * 16
    assert "a fresh start, 1 epochs of 2 steps." in said
