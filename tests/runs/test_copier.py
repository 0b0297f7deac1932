"""The copier with a second folder that fails in every way."""

import errno
import subprocess
import types

import pytest
from test_checkpoint import A, B, arrays, state, steps_in

from colorlib.runs import checkpoint, copier
from colorlib.runs.checkpoint import pack


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(copier, "tqdm", types.SimpleNamespace(write=lines.append))
    return lines


@pytest.fixture
def home(tmp_path):
    """The run's folder in a second folder, which is there."""
    folder = tmp_path / "MyDrive" / "colorlib"
    folder.mkdir(parents=True)
    return folder / "runs" / "baseline"


def offer(to, step, size=24, **fields):
    to.copy(state(step, **fields), pack(state(step, **fields), arrays(step, size)))


FAULTS = {
    "full": OSError(errno.ENOSPC, "No space left on device"),
    "read-only": OSError(errno.EROFS, "Read-only file system"),
    "dropped": OSError(errno.ENOTCONN, "Transport endpoint is not connected"),
    "input/output": OSError(errno.EIO, "Input/output error"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_failing_drive_is_said_retried_and_caught_up(home, said, monkeypatch, fault):
    def failing(path, data):
        path.write_bytes(data[: len(data) // 2])  # and leaves a torn file
        raise fault

    one = copier.Copier(home)
    offer(one, 1)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "rewrite", failing)
        for step in (2, 3, 4):
            offer(one, step)
    assert steps_in(home) == {A: 1}  # the torn one is the other
    one.finish()
    assert steps_in(home) == {A: 1, B: 4} and not list(home.glob("*.aside"))
    told = f"baseline: copying to MyDrive/colorlib fails: {fault.strerror}. Training goes on; it is tried again."
    assert said == [told] * 3


def test_an_unmounted_drive_is_not_made_on_the_local_disk(home, said):
    home.parents[1].rmdir()
    one = copier.Copier(home)
    offer(one, 1)
    assert not home.parents[1].exists() and "No such file or directory" in said[0]
    home.parents[1].mkdir()  # it is mounted again
    one.finish()
    assert steps_in(home) == {A: 1} and len(said) == 1


def test_a_drive_that_stays_away_is_told_at_the_end(home, said):
    home.parents[1].rmdir()
    one = copier.Copier(home)
    offer(one, 1)
    one.finish()
    assert "the last checkpoint is NOT in MyDrive/colorlib" in said[-1] and len(said) == 3


def test_any_fault_at_all_is_said_and_tried_again(home, said, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "peek", lambda path: 1 / 0)
        one = copier.Copier(home)
        offer(one, 1)
    one.finish()
    assert "division by zero" in said[0] and steps_in(home) == {A: 1}


def test_a_real_disk_that_is_full_then_read_only_then_gone(small_disk, said):
    """The copier with a file system that fails by itself: nothing here is faked."""
    home = small_disk / "MyDrive" / "runs" / "baseline"
    home.parents[1].mkdir()
    remount = ["mount", "-o", "remount,size=256k", str(small_disk)]
    one = copier.Copier(home)

    def tried(step):
        offer(one, step, 150)  # 90 KB
        return step in steps_in(home).values()

    assert tried(1)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(100_000))
    assert not tried(2) and "No space left on device" in said[0] and steps_in(home) == {A: 1}
    ballast.unlink()
    assert tried(3)
    subprocess.run([*remount[:2], remount[2] + ",ro", remount[3]], check=True)
    assert not tried(4) and "Read-only file system" in said[1] and steps_in(home) == {A: 1, B: 3}
    subprocess.run([*remount[:2], remount[2] + ",rw", remount[3]], check=True)
    assert tried(5)
    subprocess.run(["umount", "-l", str(small_disk)], check=True)
    assert not tried(6) and "No such file or directory" in said[2] and list(small_disk.iterdir()) == []
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small_disk)], check=True)
    home.parents[1].mkdir()
    one.finish()
    assert list(steps_in(home).values()) == [6]
    assert len(said) == 3


def test_a_training_further_on_or_with_other_settings_is_left_alone(home, said):
    one = copier.Copier(home)
    offer(one, 9)
    one.finish()
    for step, fields, words in ((5, {}, "further on, at step 9"), (20, {"identity": {"seed": 2}}, "other settings")):
        one = copier.Copier(home)
        offer(one, step, **fields)
        one.finish()
        assert words in said[-2] and "NOT in" in said[-1]
    assert steps_in(home) == {A: 9}
