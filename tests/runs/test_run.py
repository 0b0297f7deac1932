"""A run's folder: which checkpoint is used, which is refused, and what a reader is told. Nothing is trained here."""

import csv
import dataclasses
import errno
import hashlib
import io
import json
import linecache
import random
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
import tiny_run

from colorlib import ColorlibError, settings, training
from colorlib.runs import checkpoint
from colorlib.runs import run as runs
from colorlib.runs.checkpoint import State
from colorlib.runs.identity import SETTINGS, identity_of
from colorlib.sources import files

STEPS_PER_EPOCH = 2
A, B = checkpoint.Slots.NAMES


def arrays(step):
    return {"model/kernel": np.full((30, 30), step, np.float32), "sums/loss": np.zeros(3, np.float32)}


def row(epoch):
    names = ("epoch", "loss", "val_loss", "mse", "val_mse", "learning_rate", "steps", "seconds", "photos_per_second")
    return dict.fromkeys(names, 0.5) | {"epoch": epoch, "val_loss": 1 / epoch, "steps": STEPS_PER_EPOCH}


def write(chosen, steps, name="baseline", split="s" * 64, prior=None, loss=None, finish=False, model=""):
    """A run that has saved checkpoints after these steps, each epoch of two steps being better than the one before."""
    run = runs.Run(chosen, name, model)
    identity = identity_of(run.model_name, chosen, split, prior, loss)
    with run.locked():
        newest = run.newest()
        state = newest.state if newest else State(identity, training._as_recorded(chosen), STEPS_PER_EPOCH)
        keeper = runs.Keeper(run, state, newest)
        for step in steps:
            state.step, is_best = step, step % STEPS_PER_EPOCH == 0
            if is_best:
                state.best_epoch, state.best = step // STEPS_PER_EPOCH, STEPS_PER_EPOCH / step
                state.history.append(row(state.best_epoch))
            assert keeper.save(arrays(step), is_best)
        if finish:
            state.finished = True
            keeper.save(arrays(steps[-1]), is_best=True)
        keeper.close()
    return runs.Run(chosen, name, model)


def steps_of_folder(folder):
    return sorted(checkpoint.read(path).state.step for path in folder.glob("checkpoint-?.npz"))


def steps_of(run):
    return steps_of_folder(run.folder)


def slot_of(run, step):
    """The file of a run's checkpoint after a step."""
    return next(p for p in run.folder.glob("checkpoint-?.npz") if checkpoint.peek(p).step == step)


def again(run):
    """A run as another program sees it now."""
    return runs.Run(run._today, run.name)


@pytest.fixture
def chosen(tmp_path):
    return tiny_run.make_settings(tmp_path)


@pytest.fixture
def kept(tmp_path, chosen):
    """Settings with a second folder."""
    drive = tmp_path / "MyDrive" / "colorlib"
    drive.mkdir(parents=True)
    return chosen.replace(keep_folder=drive)


def test_nothing_there(chosen):
    run = runs.Run(chosen, "baseline")
    assert (run.state, run.history, run.best_epoch, run.newest()) == ("missing", [], 0, None)
    assert runs.list_runs(chosen) == [] and "No model has been trained yet" in runs.table(chosen)
    with pytest.raises(ColorlibError, match="python -m colorlib train baseline"):
        run.build_model()
    with pytest.raises(ColorlibError, match=r"no trained vgg in .* train baseline"):
        runs.Run(chosen, "vgg").model_name  # noqa: B018
    with pytest.raises(ColorlibError, match="no name for a run"):
        runs.Run(chosen, "../elsewhere")


def test_the_last_two_checkpoints_and_their_best_weights_are_kept(chosen):
    run = write(chosen, [1, 2, 3, 4, 5])
    assert steps_of(run) == [4, 5]
    newest = run.newest()
    assert newest.state.step == 5 and newest.arrays["model/kernel"][0, 0] == 5
    assert newest.best["model/kernel"][0, 0] == 4
    assert run.state == "unfinished" and run.best_epoch == 2 and run.split_checksum == "s" * 64
    run = write(chosen, [7])  # the best weights go through a session without a better epoch
    assert run.newest().best["model/kernel"][0, 0] == 4


def test_history_csv_has_one_row_an_epoch_over_interruptions(chosen):
    for steps in ([1, 2], [3], [4, 5], [6]):
        run = write(chosen, steps)
    with (run.folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == tuple(row(1))
    assert [int(each["epoch"]) for each in rows] == [1, 2, 3] == [each["epoch"] for each in run.history]


def torn(data):
    return data[: len(data) * 2 // 3]


def flipped(data):
    place = random.Random(len(data)).randrange(300, len(data))
    return data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :]


DAMAGES = {"empty": lambda data: b"", "torn": torn, "flipped": flipped, "zeros": lambda data: bytes(len(data))}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_newest_checkpoint_is_said_and_the_one_before_used(chosen, capsys, damage):
    run = write(chosen, [3, 4])
    newest = slot_of(run, 4)
    newest.write_bytes(damage(newest.read_bytes()))
    before = again(run).newest()
    assert before.state.step == 3 and before.arrays["model/kernel"][0, 0] == 3
    assert f"{newest.name} in {run.folder.parents[2].name}/results is not used, and kept: it" in capsys.readouterr().out
    run = write(chosen, [4, 5])  # training goes on from there, over the damaged one
    assert run.newest().state.step == 5
    said = capsys.readouterr().out
    assert said.count("not used") == 1 and len(list(run.folder.glob("*.aside"))) == 1


def test_everything_damaged_is_a_fresh_start_that_was_said(chosen, capsys):
    run = write(chosen, [1, 2])
    for path in run.folder.glob("checkpoint-*.npz"):
        path.write_bytes(torn(path.read_bytes()))
    assert again(run).newest() is None and capsys.readouterr().out.count("not used") == 2


def of_a_newer_version(path):
    """Give a checkpoint's state one more field."""
    with np.load(io.BytesIO(path.read_bytes())) as archive:
        contents = dict(archive)
    meta = json.loads(contents["meta"].tobytes()) | {"of_tomorrow": 1}
    buffer = io.BytesIO()
    np.savez(buffer, **contents | {"meta": np.frombuffer(json.dumps(meta).encode(), np.uint8)})
    path.write_bytes(buffer.getvalue() + hashlib.sha256(buffer.getvalue()).digest())


def unreadable(patch, paths, number, text):
    """Have looking at some files end with an error."""
    real = checkpoint.peek

    def failing(file):
        if file in paths:
            raise OSError(number, text)
        return real(file)

    patch.setattr(checkpoint, "peek", failing)


@pytest.mark.parametrize("fault", ["EIO", "a newer version"])
def test_a_checkpoint_that_cannot_be_read_now_is_never_deleted(chosen, capsys, monkeypatch, fault):
    """All of them, so that training begins afresh: before, its first act was to unlink them."""
    run = write(chosen, [1, 2, 3, 4])
    paths = [run.folder / A, run.folder / B]
    if fault == "a newer version":
        for path in paths:
            of_a_newer_version(path)
    contents = {path.read_bytes() for path in paths}
    run = again(run)
    with monkeypatch.context() as patch:
        if fault == "EIO":
            unreadable(patch, paths, errno.EIO, "Input/output error")
        assert run.newest() is None
    keeper = runs.Keeper(run, State(identity_of("baseline", chosen, "s" * 64), {}, STEPS_PER_EPOCH))
    for step in range(1, 9):  # by now they could be read again
        keeper.state.step = step
        assert keeper.save(arrays(0))
    assert contents <= {path.read_bytes() for path in run.folder.iterdir()}
    said = capsys.readouterr().out
    assert ("Input/output error" if fault == "EIO" else "of another version of colorlib") in said
    assert said.count("is not used, and kept") == 2


def test_the_state_is_read_once(chosen, monkeypatch):
    """Also so that an epoch saved in between does not make the history one of another moment than the best epoch."""
    write(chosen, range(1, 61))
    real, read = checkpoint.peek, []
    monkeypatch.setattr(checkpoint, "peek", lambda path: read.append(path) or real(path))
    run = runs.Run(chosen, "baseline")
    for _ in range(30):
        assert (run.state, run.best_epoch, len(run.history)) == ("unfinished", 30, 30)
    write(chosen, [61, 62])
    best = next(each for each in run.history if each["epoch"] == run.best_epoch)
    assert best["val_loss"] == 1 / 30 and run.settings.epochs == chosen.epochs
    assert len(read) <= 2 * 4  # of ours, and of the one in `write`


# The second folder.


def test_the_copy_serves_when_the_local_disk_is_gone(kept):
    run = write(kept, [1, 2, 3])
    shutil.rmtree(kept.results_folder)
    assert run.state == "unfinished" and runs.table(kept).count("\n") == 1
    newest = run.newest()
    assert newest.state.step == 3 and checkpoint.shown(newest.path) == "MyDrive/colorlib"
    assert newest.best["model/kernel"][0, 0] == 2
    write(kept, [4, 5])
    assert steps_of(run) == [4, 5]


def test_the_newest_good_checkpoint_of_either_folder_wins(kept, capsys):
    run = write(kept, [1, 2, 3])
    local, drive = run.folder, kept.keep_folder / "runs" / "baseline"
    old = local.with_name("old")
    shutil.copytree(local, old)
    write(kept, [4, 5])
    shutil.rmtree(local)
    shutil.copytree(old, local)  # an old local disk: the copy is further on
    newest = run.newest()
    assert (newest.state.step, newest.path.parent) == (5, drive)
    for path in drive.glob("checkpoint-*.npz"):
        path.write_bytes(torn(path.read_bytes()))
    newest = run.newest()
    assert (newest.state.step, newest.path.parent) == (3, local)
    assert capsys.readouterr().out.count("in MyDrive/colorlib is not used, and kept") == 2


def test_a_drive_out_of_reach_at_the_start_is_said(kept, capsys, monkeypatch):
    run = again(write(kept, [1, 2]))
    words = "Transport endpoint is not connected"
    unreadable(monkeypatch, [run.copies / name for name in (A, B)], errno.ENOTCONN, words)
    assert run.newest().state.step == 2
    assert f"in MyDrive/colorlib is not used, and kept: {words}" in capsys.readouterr().out


def test_a_drive_that_is_not_mounted_at_the_start_is_said(kept, capsys, monkeypatch):
    run = write(kept, [1, 2])
    kept.keep_folder.rename(kept.keep_folder.with_name("aside"))
    assert again(run).newest().state.step == 2
    assert "MyDrive/colorlib: it is not there (is it mounted?)." in capsys.readouterr().out


def test_a_copy_that_is_not_in_place_at_the_end_is_said(kept, capsys):
    kept.keep_folder.rmdir()
    write(kept, [1])
    said = capsys.readouterr().out
    assert "copying to MyDrive/colorlib fails: No such file or directory. Training goes on" in said
    assert "the last checkpoint is NOT in MyDrive/colorlib, and may be lost with this session" in said
    kept.keep_folder.mkdir()
    assert write(kept, []).newest().state.step == 1  # "train again: only the copy is made"
    assert [p.name for p in (kept.keep_folder / "runs" / "baseline").iterdir()] == [A]


def test_what_an_earlier_version_left_on_drive_is_set_aside_and_said(kept, capsys):
    drive = kept.keep_folder / "runs" / "baseline"
    write(kept, [1, 2])
    shutil.rmtree(kept.results_folder)
    for path in drive.iterdir():
        of_a_newer_version(path)
    contents = {path.read_bytes() for path in drive.iterdir()}
    write(kept, [1, 2, 3, 4])
    assert contents == {path.read_bytes() for path in drive.glob("*.aside")} and len(contents) == 2
    assert steps_of_folder(drive)[-1] == 4
    assert capsys.readouterr().out.count("of another version of colorlib") == 4  # when looked for, and when copied


def test_a_start_writes_no_checkpoint_anew_that_is_there(kept):
    run = write(kept, [1, 2], finish=True)
    before = {path.name: path.stat().st_mtime_ns for path in run.folder.glob("*.npz")}
    write(kept, [])
    assert {path.name: path.stat().st_mtime_ns for path in run.folder.glob("*.npz")} == before


# A disk that fails.


def test_a_full_disk_is_said_and_stops_nothing(chosen, capsys, monkeypatch):
    run = runs.Run(chosen, "baseline")
    state = State(identity_of("baseline", chosen, "s"), {}, STEPS_PER_EPOCH)

    def full(path, data):
        with files.aside(path) as part:
            part.write_bytes(data[:100])
            raise OSError(errno.ENOSPC, "No space left on device")

    with run.locked():
        keeper = runs.Keeper(run, state)
        assert [keeper.save(arrays(1))] == [True]
        state.step = 2
        with monkeypatch.context() as patch:
            patch.setattr(files, "write_whole", full)
            assert not keeper.save(arrays(2))
        assert run.newest().state.step == 0 and not list(run.folder.glob(".*"))
        state.step = 3
        assert keeper.save(arrays(3)) and run.newest().state.step == 3
    assert "no checkpoint could be written: No space left on device. Training goes on" in capsys.readouterr().out


def test_a_full_file_system(small_disk, chosen, capsys):
    """256 KiB, of which each checkpoint takes 60: at some point one has no room beside those that are kept."""
    chosen = chosen.replace(results_folder=small_disk)
    run = write(chosen, [1])
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(100_000))
    big = {**arrays(1), "model/kernel": np.random.default_rng(0).normal(size=(120, 120)).astype("float32")}
    with run.locked():
        newest = run.newest()
        keeper = runs.Keeper(run, newest.state, newest)
        written = []
        for step in (2, 3, 4, 5, 6):
            newest.state.step = step
            written.append(keeper.save(big))
        assert written == [True, True, False, False, False] and run.newest().state.step == 3
        ballast.unlink()
        assert keeper.save(big) and run.newest().state.step == 6
    assert capsys.readouterr().out.count("no checkpoint could be written: No space left on device") == 3


def test_a_folder_that_cannot_be_written_to(chosen, tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ColorlibError, match="Not a directory"),
        runs.Run(chosen.replace(results_folder=tmp_path / "file"), "baseline").locked(),
    ):
        pass


# Another training.

CHANGES = [
    *({"seed": 2}, {"image_size": 64}, {"batch_size": 8}, {"learning_rate": 0.5}, {"epochs": 9}, {"patience": 7}),
    *({"backbone": "vgg16"}, {"dtype": "mixed_float16"}, {"form": "paper"}, {"flip": False}, {"rotation": 1.0}),
    *({"crop": 0.5}, {"aging": 0.5}),
]
FREE = {  # settings that may differ between two sessions of one training; what `data` and `fraction` gave is the split
    *("profile", "data", "fraction", "mirror", "data_folder", "results_folder", "keep_folder"),
    *("checkpoint_minutes", "distribute", "given", "schedule", "checkpoint_steps"),
}


def refusal(run, identity):
    with pytest.raises(ColorlibError) as caught:
        run.refuse_other(identity)
    return str(caught.value)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_other_settings_are_refused_and_named(chosen, change):
    run = write(chosen, [1, 2])
    other = chosen.replace(**change)
    ((name, value),) = change.items()
    text = refusal(run, identity_of("baseline", other, "s" * 64))
    assert f"{name} {getattr(chosen, name)!r} (now {value!r})" in text and "--results, COLORLIB_RESULTS" in text
    assert text.count("(now") == 1


def test_other_weights_of_the_backbone_are_refused(chosen, tmp_path):
    run = write(chosen, [1, 2])
    (tmp_path / "others.h5").write_bytes(b"others")
    text = refusal(run, identity_of("baseline", chosen.replace(weights=str(tmp_path / "others.h5")), "s" * 64))
    assert "weights" in text and f"(now '{hashlib.sha256(b'others').hexdigest()}')" in text


def test_another_split_or_prior_or_more_devices_are_refused(chosen, tmp_path):
    split = tiny_run.make_split(tmp_path, train=4, validation=2)
    prior, other = (tiny_run.make_prior(split, chosen, seed) for seed in (0, 1))
    run = write(chosen, [1, 2], "rebalanced", prior=prior)
    run.refuse_other(identity_of("rebalanced", chosen, "s" * 64, prior))
    for identity, words in (
        (identity_of("rebalanced", chosen, "t" * 64, prior), "another split of the photos"),
        (identity_of("rebalanced", chosen, "s" * 64, other), "another prior"),
        (identity_of("rebalanced", chosen, "s" * 64, prior, replicas=2), "replicas 1 (now 2)"),
    ):
        assert words in refusal(run, identity)


def test_what_may_differ_between_two_sessions(chosen, tmp_path):
    run = write(chosen, [1, 2])
    changes = {"checkpoint_minutes": 1.0, "sigma": 9.0, "dropout": 0.1, "backbone_rate": 0.3}
    other = chosen.replace(data_folder=tmp_path / "elsewhere", mirror="x", efficientnet="efficientnetb3", **changes)
    run.refuse_other(identity_of("baseline", other, "s" * 64))
    run.refuse_other(identity_of("baseline", dataclasses.replace(other, profile="paper"), "s" * 64))


def test_every_setting_counts_or_is_said_not_to(chosen):
    """Whoever adds a setting decides whether it changes a model's numbers."""
    names = {field.name for field in dataclasses.fields(settings.Settings)}
    counted = {name for each in SETTINGS.values() for name in each} | {"weights"}
    assert names - FREE == counted and not counted & FREE
    assert counted <= set().union(*(identity_of(model, chosen, "s") for model in SETTINGS))


def test_a_recorded_value_beats_a_changed_default_and_says_so(chosen, capsys):
    """A clone of tomorrow, whose default is another one, goes on with a training of today."""
    run = write(chosen, [1, 2])
    tomorrow = dataclasses.replace(chosen, learning_rate=0.123, given=chosen.given - {"learning_rate"})
    continued = runs.Run(tomorrow, "baseline").continued()
    assert continued.learning_rate == chosen.learning_rate and continued == chosen
    assert f"learning_rate stays {chosen.learning_rate!r}" in (said := capsys.readouterr().out) and "0.123" in said
    run.refuse_other(identity_of("baseline", continued, "s" * 64))
    assert runs.Run(chosen, "baseline").continued() == chosen and capsys.readouterr().out == ""


@pytest.mark.parametrize("given", [{"learning_rate"}, {"profile"}])
def test_a_value_that_was_given_is_refused_and_both_are_named(chosen, given):
    write(chosen, [1, 2])
    today = dataclasses.replace(chosen, learning_rate=0.123, given=frozenset(given))
    if "profile" in given:
        today = dataclasses.replace(today, profile="paper")
    run = runs.Run(today, "baseline")
    text = refusal(run, identity_of("baseline", run.continued(), "s" * 64))
    assert f"learning_rate {chosen.learning_rate!r} (now 0.123)" in text


def test_a_setting_that_is_newer_than_the_run_is_no_difference_unless_it_was_given(chosen, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setitem(SETTINGS, "baseline", tuple(name for name in SETTINGS["baseline"] if name != "patience"))
        write(chosen, [1, 2])
    for given, refused in (({"epochs"}, False), ({"patience"}, True)):
        run = runs.Run(dataclasses.replace(chosen, given=frozenset(given)), "baseline")
        identity = identity_of("baseline", chosen, "s" * 64)
        if refused:
            assert "patience 'unknown' (now 2)" in refusal(run, identity)
        else:
            run.refuse_other(identity)


def test_the_settings_of_a_run_are_its_own_and_the_folders_todays(chosen, tmp_path):
    write(chosen, [1, 2])
    today = chosen.replace(seed=99, image_size=96, data_folder=tmp_path / "elsewhere")
    then = runs.Run(today, "baseline").settings
    assert (then.seed, then.image_size) == (chosen.seed, chosen.image_size)
    assert then.data_folder == tmp_path / "elsewhere"


class Own(keras.losses.Loss):
    """A loss of a reader's own, as they write them: its number is not in `get_config`."""

    def __init__(self, power=2.0):
        super().__init__()
        self.power = power

    def call(self, y_true, y_pred):
        return keras.ops.mean(keras.ops.abs(y_true - y_pred) ** self.power, axis=-1)


class Changed(Own):
    def call(self, y_true, y_pred):
        return super().call(y_true, y_pred) * 2


def test_ones_own_loss_is_part_of_the_identity(chosen):
    run = write(chosen, [1, 2], "mine", loss=Own(), model="baseline")
    assert run.model_name == "baseline" == runs.Run(chosen, "mine").model_name
    run.refuse_other(identity_of("baseline", chosen, "s" * 64, loss=Own()))
    Changed.__name__ = "Own"
    for loss, words in (
        (Own(3.0), '"power": 2.0'),
        (Changed(), "}, source "),
        (keras.losses.MeanAbsoluteError(), "now 'MeanAbsoluteError"),
        (None, "loss 'Own"),
    ):
        assert words in refusal(run, identity_of("baseline", chosen, "s" * 64, loss=loss))


def test_the_source_of_a_loss_is_had_from_a_notebooks_cell_too(chosen):
    cell = "class Typed(Own):\n    def call(self, y_true, y_pred):\n        return {}"
    described = []
    for number, value in enumerate(("y_true", "y_pred", "y_pred")):
        scope, name = {"Own": Own, "__name__": "__main__"}, f"<cell {number}>"  # as IPython does
        exec(compile(cell.format(value), name, "exec"), scope)
        described.append(identity_of("baseline", chosen, "s", loss=scope["Typed"]())["loss"])  # at Python's prompt
        linecache.cache[name] = (len(cell), None, cell.format(value).splitlines(keepends=True), name)
        described.append(identity_of("baseline", chosen, "s", loss=scope["Typed"]())["loss"])
    assert len(set(described[::2])) == 1 and len(set(described[1::2])) == 2 and described[3] == described[5]


# Weights of the backbone.


def snapshot(model):
    return runs.snapshot(runs.variables_of(model))


def test_moved_weights_are_known_by_their_content(chosen, tmp_path):
    whole = keras.applications.MobileNet(include_top=False, weights=None, input_shape=(32, 32, 3), alpha=0.75)
    before, after, other = (tmp_path / name for name in ("a.weights.h5", "b.weights.h5", "other.weights.h5"))
    whole.save_weights(before)
    first = chosen.replace(weights=str(before))
    model = runs.build("baseline", first)
    run = runs.Run(first, "baseline")
    state = State(identity_of("baseline", first, "s"), training._as_recorded(first), 1, step=1, best_epoch=1)
    with run.locked():
        runs.Keeper(run, state).save(snapshot(model), is_best=True)
    before.rename(after)
    other.write_bytes(b"others")
    for weights, found in ((str(after), True), ("none", False), (str(other), False)):
        run = runs.Run(chosen.replace(weights=weights), "baseline")
        if found:
            built = run.build_model()
            assert all(map(np.array_equal, snapshot(built).values(), snapshot(model).values()))
            run.refuse_other(identity_of("baseline", chosen.replace(weights=weights), "s"))
        else:
            with pytest.raises(ColorlibError, match=r"a\.weights\.h5.*--weights FILE, or COLORLIB_WEIGHTS=FILE"):
                run.build_model()
    assert run.history == [] and run.settings.weights == str(before)  # to look at a run needs no weights


def test_another_architecture_is_refused_and_named(chosen):
    model = runs.build("baseline", chosen)
    variables, whole = runs.variables_of(model), snapshot(model)
    runs.restore(variables, whole, "baseline")
    name = next(name for name in whole if name.endswith("kernel"))
    shape = whole[name].shape
    for spoiled, words in (
        ({**whole, name: whole[name][..., :-1]}, f"{name} is {(*shape[:-1], shape[-1] - 1)} in it and {shape}"),
        ({key: value for key, value in whole.items() if key != name}, f"{name} is None in it"),
        ({**whole, "model/more": np.zeros(2)}, "model/more is (2,) in it and None"),
    ):
        before = snapshot(model)
        with pytest.raises(ColorlibError, match=r"another architecture") as caught:
            runs.restore(variables, spoiled, "baseline")
        assert words in str(caught.value)
        after = snapshot(model)
        assert all(np.array_equal(before[key], after[key]) for key in before)  # refused before anything is changed


def test_a_backbone_that_is_trained_on_goes_into_the_checkpoint(chosen, monkeypatch):
    """What `models.trained_variables` names is kept, and nothing else."""
    model = runs.build("baseline", chosen)
    frozen = snapshot(model)
    assert frozen and not any(name.startswith("model/backbone") for name in frozen)
    inside = {f"backbone/{i}": variable for i, variable in enumerate(model.get_layer("backbone").weights)}
    real = runs.models.trained_variables
    monkeypatch.setattr(runs.models, "trained_variables", lambda model: real(model) | inside)
    kept = snapshot(model)
    assert len(kept) == len(frozen) + len(inside)
    inside["backbone/0"].assign(inside["backbone/0"] + 1)
    runs.restore(runs.variables_of(model), kept, "baseline")
    assert all(map(np.array_equal, snapshot(model).values(), kept.values()))


# The lock, and what is shown.


def test_a_second_training_of_the_same_run_is_refused(chosen):
    run = runs.Run(chosen, "baseline")
    with run.locked():
        with (
            pytest.raises(ColorlibError, match="baseline is already being trained here, by another notebook"),
            runs.Run(chosen, "baseline").locked(),
        ):
            pass
        with runs.Run(chosen, "rebalanced").locked():
            pass
    with run.locked():
        pass


def test_the_table_of_runs(chosen):
    write(chosen, [1, 2, 3, 4], finish=True)
    write(chosen, [1], "efficientnet")
    write(chosen, [1, 2], "a-loss", loss=Own(), model="rebalanced")
    lines = runs.table(chosen).splitlines()
    (chosen.results_folder / "runs" / ".ipynb_checkpoints").mkdir()
    assert [run.name for run in runs.list_runs(chosen)] == ["baseline", "efficientnet", "a-loss"]
    assert lines[0].split()[:2] == ["run", "state"]
    assert lines[1].split()[:5] == ["baseline", "finished", "2/3", "2", "0.50000"]
    assert lines[2].split()[:5] == ["efficientnet", "unfinished", "0/3", "-", "-"]
    assert lines[3].split()[:5] == ["a-loss", "unfinished", "1/3", "1", "1.00000"]


def test_runs_of_ones_own_are_found_in_the_second_folder_too(kept):
    write(kept, [1, 2], "mine", loss=Own(), model="efficientnet")
    shutil.rmtree(kept.results_folder)
    ((name, model),) = [(run.name, run.model_name) for run in runs.list_runs(kept)]
    assert (name, model) == ("mine", "efficientnet")


def test_runs_of_an_earlier_version_are_named_and_left_alone(chosen, tmp_path, monkeypatch):
    monkeypatch.setattr(settings, "ROOT", tmp_path)
    drive = tmp_path / "MyDrive" / "colorlib"
    mine = chosen.replace(data=str(tmp_path / "photos"), results_folder=tmp_path / "results" / "sample")
    mine = mine.replace(keep_folder=drive / "sample-photos-3fa2b1")
    mine.keep_folder.mkdir(parents=True)
    assert runs.former_run(mine, "baseline") == ""
    for home in (drive / "sample-photos", tmp_path / "results" / "photos", tmp_path / "results"):
        folder = home / "runs" / "baseline"
        folder.mkdir(parents=True)
        (folder / "checkpoint-00000120.npz").touch()
        (folder / "best-0003.npz").touch()
        line = runs.former_run(mine, "baseline")
        assert f"baseline: {folder} holds a training of an earlier version of this project" in line
        assert runs.table(mine).splitlines()[-1] == line and runs.former_run(mine, "rebalanced") == ""
        assert runs.Run(mine, "baseline").state == "missing"
        assert len(list(folder.iterdir())) == 2


def test_no_file_of_a_run_names_a_folder_of_this_machine(chosen, tmp_path):
    run = write(chosen, [1, 2])
    for path in run.folder.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes(), path.name


@pytest.mark.parametrize(
    ("gpus", "flags", "of_vgg16", "of_b7"),
    [
        (["gpu:0"], "", "mixed_float16", "mixed_float16"),  # Colab's T4 has no bfloat16
        ([], "avx2 avx512_bf16", "mixed_bfloat16", None),
        ([], "avx2", None, None),
    ],
)
def test_half_precision_follows_the_machine(monkeypatch, gpus, flags, of_vgg16, of_b7):
    monkeypatch.setattr(keras.distribution, "list_devices", lambda kind: gpus)
    monkeypatch.setattr(Path, "read_text", lambda path: flags)
    assert runs.models.half_precision.__wrapped__("vgg16") == of_vgg16
    assert runs.models.half_precision.__wrapped__("efficientnetb7") == of_b7


def test_the_fast_form_is_one_setting(tmp_path):
    built = {
        form: runs.build("baseline", settings.load("sample", form=form, image_size=32, results_folder=tmp_path))
        for form in ("paper", "fast")
    }
    assert built["paper"].get_layer("head").output.shape[1:3] == (32, 32)
    assert built["fast"].get_layer("head").output.shape[1:3] == (16, 16)
    sizes = {form: sum(int(np.prod(v.shape)) for v in model.trainable_variables) for form, model in built.items()}
    assert sizes["fast"] < 0.4 * sizes["paper"]
