"""A run's folder: which checkpoint is used, which is refused, and what a reader is told. Nothing is trained here."""

import csv
import dataclasses
import errno
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tiny_run

from colorlib import ColorlibError, settings, training
from colorlib.runs import run as runs
from colorlib.runs.checkpoint import unpack
from colorlib.sources import files

STEPS_PER_EPOCH = 2


def arrays(step):
    return {"model/kernel": np.full((30, 30), step, np.float32), "backbone": np.zeros(3, np.float32)}


def row(epoch):
    return dict.fromkeys(runs.HISTORY_COLUMNS, 0.5) | {"epoch": epoch, "val_loss": 1 / epoch, "steps": STEPS_PER_EPOCH}


def write(chosen, steps, name="baseline", split="s" * 64, prior=None, finish=False):
    """A run that has saved checkpoints after these steps, each epoch of two steps being better than the one before."""
    run = runs.Run(chosen, name)
    identity = runs.identity_of(name, chosen, split, prior)
    with run.locked():
        found = run.newest(identity)
        state = found.state if found else runs.State(identity, training._recorded(chosen), STEPS_PER_EPOCH)
        with runs.Keeper(run, state, found) as keeper:
            for step in steps:
                state.step = step
                if step % STEPS_PER_EPOCH == 0:
                    state.best_epoch, state.best = step // STEPS_PER_EPOCH, STEPS_PER_EPOCH / step
                    state.history.append(row(state.best_epoch))
                    keeper.save_best(arrays(step))
                assert keeper.save(arrays(step))
            if finish:
                state.finished = True
                keeper.save(arrays(steps[-1]))
    return run


def files_of(run, pattern="*"):
    return sorted(path.name for path in run.folder.glob(pattern))


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
    with pytest.raises(ColorlibError, match=r"Unknown model 'vgg'.*baseline, rebalanced, efficientnet"):
        runs.Run(chosen, "vgg")


def test_the_last_two_checkpoints_and_their_best_weights_are_kept(chosen):
    run = write(chosen, [1, 2, 3, 4, 5])
    assert files_of(run, "checkpoint-*.npz") == ["checkpoint-00000004.npz", "checkpoint-00000005.npz"]
    best = ["best-0001-again.npz", "best-0001.npz", "best-0002-again.npz", "best-0002.npz"]
    assert files_of(run, "best-*.npz") == best
    found = run.newest()
    assert found.state.step == 5 and found.arrays["model/kernel"][0, 0] == 5
    assert found.best_arrays["model/kernel"][0, 0] == 4
    assert run.state == "unfinished" and run.best_epoch == 2 and run.split_checksum == "s" * 64


def test_every_file_is_whole_and_has_a_checksum(chosen):
    run = write(chosen, [1, 2, 3])
    for path in run.folder.glob("*.npz"):
        unpack(path.read_bytes())
    assert files_of(run, ".*") == []


def test_history_csv_has_one_row_an_epoch_over_interruptions(chosen):
    for steps in ([1, 2], [3], [4, 5], [6]):
        run = write(chosen, steps)
    with (run.folder / "history.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert tuple(rows[0]) == runs.HISTORY_COLUMNS
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
    newest = run.folder / "checkpoint-00000004.npz"
    newest.write_bytes(damage(newest.read_bytes()))
    found = run.newest()
    assert found.state.step == 3 and found.arrays["model/kernel"][0, 0] == 3
    assert f"{newest.name} is not used: it" in capsys.readouterr().out
    write(chosen, [4, 5])  # training goes on from there, over the damaged one
    assert run.newest().state.step == 5
    assert capsys.readouterr().out.count("not used") == 1


def test_a_missing_newest_checkpoint_is_said_and_the_one_before_used(chosen, capsys):
    run = write(chosen, [3, 4])
    assert run.newest().state.step == 4 and capsys.readouterr().out == ""
    (run.folder / "checkpoint-00000004.npz").unlink()
    assert run.newest().state.step == 3
    assert "checkpoint-00000004.npz is not used: it is missing." in capsys.readouterr().out
    write(chosen, [4])
    capsys.readouterr()
    for path in run.folder.glob("checkpoint-*.npz"):
        path.unlink()
    (run.folder / "best-0002.npz").unlink()
    assert run.newest() is None and "it is missing" in capsys.readouterr().out
    (run.folder / "settings.json").write_bytes(b"[torn")
    assert run.newest() is None and capsys.readouterr().out == ""


def test_damaged_best_weights(chosen, capsys):
    run = write(chosen, [2, 3, 4])
    best, again = (run.folder / name for name in ("best-0002.npz", "best-0002-again.npz"))
    best.write_bytes(flipped(best.read_bytes()))
    assert run.newest().best_arrays["model/kernel"][0, 0] == 4 and capsys.readouterr().out == ""
    again.write_bytes(torn(again.read_bytes()))
    assert run.newest().state.step == 3
    assert "checkpoint-00000004.npz is not used: the best weights" in capsys.readouterr().out


def test_everything_damaged_is_a_fresh_start_that_was_said(chosen, capsys):
    run = write(chosen, [1, 2])
    for path in run.folder.glob("checkpoint-*.npz"):
        path.write_bytes(torn(path.read_bytes()))
    assert run.newest() is None and capsys.readouterr().out.count("not used") == 2


# The second folder.


def test_the_copy_serves_when_the_local_disk_is_gone(kept):
    run = write(kept, [1, 2, 3])
    shutil.rmtree(kept.results_folder)
    assert run.state == "unfinished" and runs.table(kept).count("\n") == 1
    found = run.newest()
    assert found.state.step == 3 and found.place == " in MyDrive/colorlib"
    assert found.best_arrays["model/kernel"][0, 0] == 2
    write(kept, [4, 5])
    assert files_of(run, "checkpoint-*") == ["checkpoint-00000004.npz", "checkpoint-00000005.npz"]


def test_the_newest_good_checkpoint_of_either_place_wins(kept, capsys):
    run = write(kept, [1, 2, 3])
    local, drive = run.folder, kept.keep_folder / "runs" / "baseline"
    aside = local.with_name("aside")
    shutil.copytree(local, aside)
    write(kept, [4, 5])
    shutil.rmtree(local)
    shutil.copytree(aside, local)  # an old local disk: the copy is further on
    found = run.newest()
    assert (found.state.step, found.place) == (5, " in MyDrive/colorlib")
    for path in drive.glob("checkpoint-*.npz"):
        path.write_bytes(torn(path.read_bytes()))
    found = run.newest()
    assert (found.state.step, found.place) == (3, "")
    assert capsys.readouterr().out.count("in MyDrive/colorlib is not used") == 2


def test_a_drive_out_of_reach_at_the_start_is_said(kept, capsys, monkeypatch):
    run = write(kept, [1, 2])
    real = type(run.folder).open

    def dropped(self, *arguments, **options):
        if kept.keep_folder in self.parents:
            raise OSError(errno.ENOTCONN, "Transport endpoint is not connected")
        return real(self, *arguments, **options)

    monkeypatch.setattr(type(run.folder), "open", dropped)
    assert run.newest().state.step == 2
    assert "in MyDrive/colorlib is not used: Transport endpoint is not connected" in capsys.readouterr().out


def test_a_drive_that_is_not_mounted_at_the_start_is_said(kept, capsys, monkeypatch):
    run = write(kept, [1, 2])
    aside = kept.keep_folder.with_name("aside")
    kept.keep_folder.rename(aside)
    assert run.newest().state.step == 2
    assert "no look into MyDrive/colorlib: it is not there (is it mounted?)." in capsys.readouterr().out
    aside.rename(kept.keep_folder)
    fault = OSError(errno.ENOTCONN, "Transport endpoint is not connected")
    monkeypatch.setattr(type(aside), "iterdir", lambda _: (_ for _ in ()).throw(fault))
    assert run.newest().state.step == 2
    assert "no look into MyDrive/colorlib: Transport endpoint is not connected." in capsys.readouterr().out


def test_a_copy_that_is_not_in_place_at_the_end_is_said(kept, capsys, monkeypatch):
    monkeypatch.setattr(runs, "FINAL_COPY_SECONDS", 0.1)
    kept.keep_folder.rmdir()
    write(kept, [1])
    said = capsys.readouterr().out
    assert "copying to MyDrive/colorlib fails: it is not there (is it mounted?). Training goes on" in said
    assert "the last checkpoint is NOT in MyDrive/colorlib, and may be lost with this session" in said
    kept.keep_folder.mkdir()
    assert write(kept, []).newest().state.step == 1  # "train again: only the copy is made"
    assert [p.name for p in (kept.keep_folder / "runs" / "baseline").iterdir()] == ["checkpoint-a.npz"]


def test_a_start_writes_no_checkpoint_anew_that_is_there(kept):
    run = write(kept, [1, 2], finish=True)
    before = {path.name: path.stat().st_mtime_ns for path in run.folder.glob("*.npz")}
    write(kept, [])
    assert {path.name: path.stat().st_mtime_ns for path in run.folder.glob("*.npz")} == before


def test_delete_forgets_both(kept):
    run = write(kept, [1, 2])
    run.delete()
    assert run.state == "missing" and list((kept.keep_folder / "runs" / "baseline").iterdir()) == []
    assert run.newest() is None


# A disk that fails.


def test_a_full_disk_is_said_and_stops_nothing(chosen, capsys, monkeypatch):
    run = runs.Run(chosen, "baseline")
    state = runs.State(runs.identity_of("baseline", chosen, "s"), {}, STEPS_PER_EPOCH)
    real = files._write

    def full(file, data):
        file.write(data[:100])
        raise OSError(errno.ENOSPC, "No space left on device")

    with run.locked():
        keeper = runs.Keeper(run, state)
        assert [keeper.save(arrays(1))] == [True]
        state.step = 2
        monkeypatch.setattr(files, "_write", full)
        assert not keeper.save(arrays(2))
        monkeypatch.setattr(files, "_write", real)
        assert run.newest().state.step == 0 and files_of(run, ".*") == []
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
        found = run.newest()
        keeper = runs.Keeper(run, found.state, found)
        written = []
        for step in (2, 3, 4, 5, 6):
            found.state.step = step
            written.append(keeper.save(big))
        assert written == [True, True, False, False, False] and run.newest().state.step == 3
        ballast.unlink()
        assert keeper.save(big) and run.newest().state.step == 6
    assert capsys.readouterr().out.count("no checkpoint could be written: No space left on device") == 3


def test_a_folder_that_cannot_be_written_to(chosen, tmp_path):
    (tmp_path / "file").touch()
    with (
        pytest.raises(ColorlibError, match="a file is in the way"),
        runs.Run(chosen.replace(results_folder=tmp_path / "file"), "baseline").locked(),
    ):
        pass


# Another training.

CHANGES = [
    *({"seed": 2}, {"image_size": 64}, {"batch_size": 8}, {"learning_rate": 0.5}, {"epochs": 9}, {"patience": 7}),
    *({"backbone": "vgg16"}, {"dtype": "mixed_float16"}, {"form": "half"}, {"flip": False}, {"rotation": 1.0}),
    *({"schedule": "constant"}, {"weights": "imagenet"}),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
def test_other_settings_are_refused_and_named(chosen, change):
    run = write(chosen, [1, 2])
    other = chosen.replace(**change)
    ((name, value),) = change.items()
    with pytest.raises(ColorlibError) as caught:
        run.newest(runs.identity_of("baseline", other, "s" * 64))
    text = str(caught.value)
    assert f"{name} {getattr(chosen, name)!r} (now {value!r})" in text and "COLORLIB_RESULTS" in text
    assert text.count("(now") == 1


def test_another_split_or_prior_or_more_devices_are_refused(chosen, tmp_path):
    split = tiny_run.make_split(tmp_path, train=4, validation=2)
    prior, other = (tiny_run.make_prior(split, chosen, seed) for seed in (0, 1))
    run = write(chosen, [1, 2], "rebalanced", prior=prior)
    same = run.newest(runs.identity_of("rebalanced", chosen, "s" * 64, prior))
    assert same.state.step == 2
    for identity, words in (
        (runs.identity_of("rebalanced", chosen, "t" * 64, prior), "another split of the photos"),
        (runs.identity_of("rebalanced", chosen, "s" * 64, other), "another prior"),
        (runs.identity_of("rebalanced", chosen, "s" * 64, prior, replicas=2), "replicas 1 (now 2)"),
    ):
        with pytest.raises(ColorlibError) as caught:
            run.newest(identity)
        assert words in str(caught.value)


def test_what_may_differ_between_two_sessions(chosen, tmp_path):
    run = write(chosen, [1, 2])
    changes = {"cache": "memory", "checkpoint_steps": 7, "checkpoint_minutes": 1.0, "sigma": 9.0, "dropout": 0.1}
    other = chosen.replace(data_folder=tmp_path / "elsewhere", mirror="x", efficientnet="efficientnetb3", **changes)
    assert run.newest(runs.identity_of("baseline", other, "s" * 64)).state.step == 2
    assert run.newest(runs.identity_of("baseline", dataclasses.replace(other, profile="paper"), "s" * 64))


def test_every_setting_counts_unless_it_is_named(chosen):
    """A setting that somebody adds later makes another training until it is said not to."""
    names = {field.name for field in dataclasses.fields(settings.Settings)}
    left_out = runs._NO_MATTER | {n for n, model in runs._MATTERS_FOR.items() if model != "baseline"}
    assert names >= runs._NO_MATTER
    assert names - left_out <= runs.identity_of("baseline", chosen, "s").keys()


def test_the_settings_of_a_run_are_its_own_and_the_folders_todays(chosen, tmp_path):
    write(chosen, [1, 2])
    today = chosen.replace(seed=99, image_size=96, data_folder=tmp_path / "elsewhere")
    then = runs.Run(today, "baseline").settings
    assert (then.seed, then.image_size) == (chosen.seed, chosen.image_size)
    assert then.data_folder == tmp_path / "elsewhere"


def test_another_architecture_is_refused_and_named(chosen, monkeypatch):
    model = runs.build("baseline", chosen)
    whole = runs.snapshot(model)
    runs.restore(model, whole, "baseline")
    name = next(name for name in whole if name.endswith("kernel"))
    shape = whole[name].shape
    for spoiled, words in (
        ({**whole, name: whole[name][..., :-1]}, f"{name} is {(*shape[:-1], shape[-1] - 1)} in it and {shape}"),
        ({key: value for key, value in whole.items() if key != name}, f"{name} is missing in it"),
        ({**whole, "backbone": whole["backbone"] + 1}, "backbone with other weights"),
    ):
        before = runs.snapshot(model)
        with pytest.raises(ColorlibError, match=r"another architecture|other weights") as caught:
            runs.restore(model, spoiled, "baseline")
        assert words in str(caught.value)
        after = runs.snapshot(model)
        assert all(np.array_equal(before[key], after[key]) for key in before)  # refused before anything is changed


# The lock, and what is shown.


def test_a_run_moved_to_the_place_of_another_model_is_refused_and_named(chosen):
    write(chosen, (2,), name="baseline")
    (chosen.results_folder / "runs" / "baseline").rename(chosen.results_folder / "runs" / "rebalanced")
    with pytest.raises(ColorlibError, match="rebalanced holds a run of baseline, not of rebalanced"):
        runs.Run(chosen, "rebalanced").build_model()


def test_a_second_training_of_the_same_run_is_refused(chosen):
    run = runs.Run(chosen, "baseline")
    with run.locked():
        with pytest.raises(
            ColorlibError, match=rf"baseline is already being trained here \(by process {os.getpid()}\)"
        ):
            run.delete()
        with runs.Run(chosen, "rebalanced").locked():
            pass
    with run.locked():
        pass


def test_the_table_of_runs(chosen):
    write(chosen, [1, 2, 3, 4], finish=True)
    write(chosen, [1], "efficientnet")
    lines = runs.table(chosen).splitlines()
    assert [run.model_name for run in runs.list_runs(chosen)] == ["baseline", "efficientnet"]
    assert lines[0].split()[:2] == ["model", "state"]
    assert lines[1].split()[:5] == ["baseline", "finished", "2/3", "2", "0.50000"]
    assert lines[2].split()[:5] == ["efficientnet", "unfinished", "0/3", "-", "-"]
    assert all(line.endswith(("ago", "now")) for line in lines[1:])


def test_spans_of_time():
    spans = {0.4: "just now", 1.2: "1 second ago", 119: "1 minute ago", 7300: "2 hours ago", 86400 * 3: "3 days ago"}
    assert {seconds: runs.ago(seconds) for seconds in spans} == spans


def test_no_file_of_a_run_names_a_folder_of_this_machine(chosen, tmp_path):
    run = write(chosen, [1, 2])
    for path in run.folder.iterdir():
        assert str(tmp_path).encode() not in path.read_bytes(), path.name


@pytest.mark.parametrize(
    ("capability", "flags", "of_vgg16", "of_b7"),
    [
        ((7, 5), "", "mixed_float16", "mixed_float16"),  # Colab's T4
        ((8, 0), "", "mixed_bfloat16", "mixed_bfloat16"),  # A100
        ((6, 1), "avx512_bf16", None, None),
        (None, "avx2 avx512_bf16", "mixed_bfloat16", None),  # no GPU
        (None, "avx2", None, None),
    ],
)
def test_half_precision_follows_the_machine(monkeypatch, capability, flags, of_vgg16, of_b7):
    gpus = [] if capability is None else ["GPU:0"]
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: gpus)
    monkeypatch.setattr(tf.config.experimental, "get_device_details", lambda gpu: {"compute_capability": capability})
    monkeypatch.setattr(Path, "read_text", lambda path: flags)
    assert runs.half_precision.__wrapped__("vgg16") == of_vgg16
    assert runs.half_precision.__wrapped__("efficientnetb7") == of_b7


def test_the_fast_form_is_one_setting(tmp_path):
    built = {
        form: runs.build("baseline", settings.load("sample", form=form, image_size=32, results_folder=tmp_path))
        for form in ("paper", "fast")
    }
    assert built["paper"].get_layer("head").output.shape[1:3] == (32, 32)
    assert built["fast"].get_layer("head").output.shape[1:3] == (16, 16)
    sizes = {form: sum(int(np.prod(v.shape)) for v in model.trainable_variables) for form, model in built.items()}
    assert sizes["fast"] < 0.4 * sizes["paper"]
