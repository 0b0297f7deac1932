"""The copier with a second folder that fails in every way."""

import errno
import subprocess
import threading
import time
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


def until(reached, seconds=20):
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "it was waited for in vain"
        time.sleep(0.005)


def offer(to, step, size=24, **fields):
    to.offer(state(step, **fields), pack(state(step, **fields), arrays(step, size)))


def copied(one):
    """Wait until the copier has tried what it was offered."""
    one._thread.submit(lambda: None).result(20)


FAULTS = {
    "full": OSError(errno.ENOSPC, "No space left on device"),
    "read-only": OSError(errno.EROFS, "Read-only file system"),
    "dropped": OSError(errno.ENOTCONN, "Transport endpoint is not connected"),
    "input/output": OSError(errno.EIO, "Input/output error"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_failing_drive_is_said_once_retried_and_caught_up(home, said, monkeypatch, fault):
    def failing(path, data):
        path.write_bytes(data[: len(data) // 2])  # and leaves a torn file
        raise fault

    one = copier.Copier(home)
    offer(one, 1)
    copied(one)
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "rewrite", failing)
        for step in (2, 3, 4):
            offer(one, step)
            copied(one)
    assert steps_in(home) == {A: 1}  # the torn one is the other
    one.finish(5)
    assert steps_in(home) == {A: 1, B: 4} and not list(home.glob("*.aside"))
    assert said == [
        f"baseline: copying to MyDrive/colorlib fails: {fault.strerror}. Training goes on; it is tried again."
    ]


def test_an_unmounted_drive_is_not_made_on_the_local_disk(home, said):
    home.parents[1].rmdir()
    one = copier.Copier(home)
    offer(one, 1)
    copied(one)
    assert not home.parents[1].exists() and "No such file or directory" in said[0]
    home.parents[1].mkdir()  # it is mounted again
    one.finish(20)
    assert steps_in(home) == {A: 1} and len(said) == 1


def test_a_drive_that_stays_away_is_told_at_the_end(home, said):
    home.parents[1].rmdir()
    one = copier.Copier(home)
    offer(one, 1)
    one.finish(5)
    assert "the last checkpoint is NOT in MyDrive/colorlib" in said[-1] and len(said) == 2


def test_a_slow_drive_holds_nothing_up_and_gets_the_latest(home, said, monkeypatch):
    gate, written, real = threading.Event(), [], checkpoint.rewrite

    def slow(path, data):
        written.append(path.name)
        assert gate.wait(20)
        real(path, data)

    monkeypatch.setattr(checkpoint, "rewrite", slow)
    one = copier.Copier(home)
    offer(one, 1)
    until(lambda: written)
    begin = time.monotonic()
    for step in range(2, 20):
        offer(one, step)
    assert time.monotonic() - begin < 1  # training is not held up
    one.finish(0.1)
    assert "the last checkpoint is NOT in MyDrive/colorlib" in said.pop()
    gate.set()
    one.finish(20)
    assert said == [] and written == [A, B] and steps_in(home) == {A: 1, B: 19}


def test_an_interrupted_training_in_the_same_process_does_not_write_beside_the_next(home, said, monkeypatch):
    """A notebook's stop button ends a training, not the copy that is under way."""
    gate, begun, under_way, real = threading.Event(), threading.Event(), [], checkpoint.rewrite

    def slow(path, data):
        assert not under_way
        under_way.append(path)
        begun.set()
        assert gate.wait(20)
        real(path, data)
        under_way.pop()

    monkeypatch.setattr(checkpoint, "rewrite", slow)
    first, second = copier.Copier(home), copier.Copier(home)
    offer(first, 1)
    assert begun.wait(20)
    offer(second, 2)
    time.sleep(0.1)
    assert steps_in(home) == {}
    gate.set()
    second.finish(20)
    assert steps_in(home) == {A: 1, B: 2} and said == []


def test_any_fault_at_all_is_said_and_tried_again(home, said, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "peek", lambda path: 1 / 0)
        one = copier.Copier(home)
        offer(one, 1)
        copied(one)
    one.finish(20)
    assert "division by zero" in said[0] and steps_in(home) == {A: 1}


def test_a_real_disk_that_is_full_then_read_only_then_gone(small_disk, said):
    """The copier with a file system that fails by itself: nothing here is faked."""
    home = small_disk / "MyDrive" / "runs" / "baseline"
    home.parents[1].mkdir()
    remount = ["mount", "-o", "remount,size=256k", str(small_disk)]
    one = copier.Copier(home)

    def tried(step):
        offer(one, step, 150)  # 90 KB
        copied(one)
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
    one.finish(5)
    assert list(steps_in(home).values()) == [6]
    assert len(said) == 3


def test_a_training_further_on_or_with_other_settings_is_left_alone(home, said):
    one = copier.Copier(home)
    offer(one, 9)
    one.finish(5)
    for step, fields, words in ((5, {}, "further on, at step 9"), (20, {"identity": {"seed": 2}}, "other settings")):
        one = copier.Copier(home)
        offer(one, step, **fields)
        one.finish(5)
        assert words in said[-2] and "NOT in" in said[-1]
    assert steps_in(home) == {A: 9}
