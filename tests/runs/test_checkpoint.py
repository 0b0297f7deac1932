"""Checkpoint files under every kind of damage, and the copier with a second folder that fails in every way."""

import errno
import io
import os
import pickle
import random
import subprocess
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from colorlib import ColorlibError
from colorlib.runs import checkpoint
from colorlib.runs.checkpoint import Damaged, pack, unpack
from colorlib.sources import files


def arrays(seed=0, size=24):
    generator = np.random.default_rng(seed)
    return {
        "rung0_conv/kernel": generator.normal(size=(size, size)).astype(np.float32),
        "optimizer/0": np.int64(17 + seed) * np.ones((), np.int64),
        "seed": np.array([1, 2], np.uint32),
        "empty": np.zeros((0, 3), np.float16),
    }


def meta(step, finished=False, best_digest="", identity=None):
    return {"step": step, "finished": finished, "best_digest": best_digest, "identity": identity or {"seed": 1}}


# The format.


def test_what_is_packed_comes_back():
    about = {"step": 3, "history": [{"loss": 0.1 + 0.2}], "text": "λ"}
    data = pack(about, arrays())
    got, back = unpack(data)
    assert got == about and back.keys() == arrays().keys()
    assert pack(about, arrays()) == data  # the same content, the same bytes
    for name, value in arrays().items():
        assert back[name].dtype == value.dtype and back[name].shape == value.shape
        assert back[name].tobytes() == value.tobytes()
    assert checkpoint.digest_of(data) == data[-32:].hex()


def test_no_pickle_is_written():
    with pytest.raises(ValueError, match="Object arrays cannot be saved"):
        pack({}, {"x": np.array([{}], object)})


def test_any_reader_of_npz_opens_it(tmp_path):
    (tmp_path / "file.npz").write_bytes(pack({"step": 3}, arrays()))
    with np.load(tmp_path / "file.npz", allow_pickle=False) as file:
        assert file["array/seed"].tolist() == [1, 2]
    assert checkpoint.peek(tmp_path / "file.npz") == {"step": 3}


def test_cut_at_any_length_is_noticed():
    data = pack({"step": 1}, arrays(size=60))
    assert len(data) > 12 * 1024
    chance = random.Random(1)
    lengths = [*range(10 * 1024), *(chance.randrange(10 * 1024, len(data)) for _ in range(2000)), len(data) - 1]
    for length in lengths:
        with pytest.raises(Damaged):
            unpack(data[:length])


def test_flipped_bits_are_noticed():
    data = pack({"step": 1}, arrays())
    chance = random.Random(2)
    flipped = bytearray(data)
    for _ in range(4000):
        place, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
        flipped[place] ^= bit
        with pytest.raises(Damaged):
            unpack(bytes(flipped))
        flipped[place] ^= bit
    unpack(bytes(flipped))


def test_a_file_torn_between_an_old_and_a_new_one_is_noticed():
    old, new = pack({"step": 1}, arrays(1)), pack({"step": 2}, arrays(2))
    for length in range(1, min(len(old), len(new)), 7):
        torn = new[:length] + old[length:]
        if torn not in (old, new):  # they begin alike
            with pytest.raises(Damaged):
                unpack(torn)


def test_peeking_at_a_damaged_file_raises_nothing_but_damaged(tmp_path):
    """Peeking does not verify; but whatever it meets, it must not crash with another error."""
    path = tmp_path / "file.npz"
    data = pack({"step": 1}, arrays())
    chance = random.Random(3)
    spoiled = [data[: chance.randrange(len(data))] for _ in range(200)]
    for _ in range(600):
        flipped = bytearray(data)
        flipped[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        spoiled.append(bytes(flipped))
    outcomes = set()
    for damaged in [b"", b"no zip at all", *spoiled]:
        path.write_bytes(damaged)
        try:
            outcomes.add(type(checkpoint.peek(path)))
        except Damaged:
            outcomes.add(Damaged)
    assert outcomes <= {dict, Damaged} and Damaged in outcomes


class Bomb:
    def __reduce__(self):
        return os.mkdir, (os.environ["BOMB"],)


def test_loading_executes_nothing(tmp_path, monkeypatch):
    """A pickle in place of an array, in a file with a right checksum, and a pickle in place of the file."""
    monkeypatch.setenv("BOMB", str(tmp_path / "exploded"))
    buffer = io.BytesIO()
    np.savez(buffer, **{"meta": np.frombuffer(b"{}", np.uint8), "array/x": np.array([Bomb()], object)})
    path = tmp_path / "checkpoint.npz"
    for data in (checkpoint._sealed(buffer), pickle.dumps(Bomb())):
        path.write_bytes(data)
        with pytest.raises(Damaged):
            unpack(data)
    with pytest.raises(Damaged):
        checkpoint.peek(path)
    assert not (tmp_path / "exploded").exists()
    pickle.loads(pickle.dumps(Bomb()))
    assert (tmp_path / "exploded").exists()  # the bomb is one


# The copier.


@pytest.fixture
def said(monkeypatch):
    lines = []
    monkeypatch.setattr(checkpoint, "say", lines.append)
    monkeypatch.setattr(checkpoint, "RETRY_SECONDS", 0.02)
    yield lines
    for copier in checkpoint.Copier._latest.values():
        copier.give_up()


@pytest.fixture
def drive(tmp_path):
    folder = tmp_path / "MyDrive" / "colorlib"
    folder.mkdir(parents=True)
    return folder


def until(reached, seconds=20):
    end = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < end, "it was waited for in vain"
        time.sleep(0.005)


def copy_all(drive, items):
    """Copy checkpoints one after another, each to its end, as one session does."""
    copier = checkpoint.Copier(drive, "baseline")
    for about, best in items:
        copier.offer(about, pack(about, arrays(about["step"])), best)
        until(lambda: copier._item is None)
    assert copier.close(5)


def on_drive(drive):
    """The step of each whole checkpoint there."""
    home = drive / "runs" / "baseline"
    return {
        path.name: unpack(path.read_bytes())[0]["step"]
        for path in sorted(home.glob("checkpoint-*.npz"))
        if checkpoint._whole(path)
    }


def test_two_fixed_files_are_rewritten_in_place_in_turn(drive, said):
    best = {epoch: pack({"epoch": epoch}, arrays(100 + epoch)) for epoch in (1, 2, 3)}
    digest = {epoch: checkpoint.digest_of(data) for epoch, data in best.items()}
    seen = []
    for step, epoch in ((1, 1), (2, 1), (3, 2), (4, 3)):
        copy_all(drive, [(meta(step, best_digest=digest[epoch]), best[epoch])])  # a session each: nothing is remembered
        seen.append(on_drive(drive))
        held = {checkpoint.digest_of(path.read_bytes()) for path in (drive / "runs" / "baseline").glob("best-*")}
        assert digest[epoch] in held
    first, second = "checkpoint-a.npz", "checkpoint-b.npz"
    assert seen == [{first: 1}, {first: 1, second: 2}, {first: 3, second: 2}, {first: 3, second: 4}]
    names = sorted(path.name for path in (drive / "runs" / "baseline").iterdir())
    assert names == ["best-a.npz", "best-b.npz", first, second]
    assert said == []


def test_nothing_on_drive_is_deleted_or_renamed(drive, said, monkeypatch):
    copy_all(drive, [(meta(1), b""), (meta(2), b"")])
    inodes = {path.name: path.stat().st_ino for path in (drive / "runs" / "baseline").iterdir()}
    for name in ("unlink", "rename", "replace"):
        monkeypatch.setattr(Path, name, lambda *_: pytest.fail("Drive would move a file to its trash"))
    copy_all(drive, [(meta(step), b"") for step in range(3, 7)])
    assert {path.name: path.stat().st_ino for path in (drive / "runs" / "baseline").iterdir()} == inodes


FAULTS = {
    "full": OSError(errno.ENOSPC, "No space left on device"),
    "read-only": OSError(errno.EROFS, "Read-only file system"),
    "dropped": OSError(errno.ENOTCONN, "Transport endpoint is not connected"),
    "input/output": OSError(errno.EIO, "Input/output error"),
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_a_failing_drive_is_said_once_retried_and_caught_up(drive, said, monkeypatch, fault):
    copy_all(drive, [(meta(1), b"")])
    real, tries = files._write, []

    def failing(file, data):
        tries.append(1)
        file.write(data[: len(data) // 2])  # and leaves a torn file
        raise fault

    copier = checkpoint.Copier(drive, "baseline")
    monkeypatch.setattr(files, "_write", failing)
    begin = time.monotonic()
    for step in (2, 3, 4):
        copier.offer(meta(step), pack(meta(step), arrays(step)), b"")
    assert time.monotonic() - begin < 1  # training is not held up
    until(lambda: len(tries) >= 3)
    assert on_drive(drive) == {"checkpoint-a.npz": 1}  # the torn one is the other
    monkeypatch.setattr(files, "_write", real)
    until(lambda: copier._item is None)
    assert copier.close(5)
    assert on_drive(drive) == {"checkpoint-a.npz": 1, "checkpoint-b.npz": 4}
    assert said == [
        f"baseline: copying to MyDrive/colorlib fails: {fault.strerror}. Training goes on; it is tried again.",
        "baseline: the copy in MyDrive/colorlib has caught up.",
    ]


def test_an_unmounted_drive_is_not_made_on_the_local_disk(drive, said):
    drive.rmdir()
    copier = checkpoint.Copier(drive, "baseline")
    copier.offer(meta(1), pack(meta(1), arrays()), b"")
    until(lambda: said)
    assert not drive.exists() and "it is not there (is it mounted?)" in said[0]
    drive.mkdir()  # it is mounted again
    assert copier.close(20)
    assert on_drive(drive) == {"checkpoint-a.npz": 1} and "caught up" in said[1]


def test_a_drive_that_stays_away_is_told_at_the_end(drive, said):
    drive.rmdir()
    copier = checkpoint.Copier(drive, "baseline")
    copier.offer(meta(1), pack(meta(1), arrays()), b"")
    assert not copier.close(0.1)


def test_a_slow_drive_holds_nothing_up_and_gets_the_latest(drive, said, monkeypatch):
    real, gate, written = files._write, threading.Event(), []

    def slow(file, data):
        written.append(unpack(data)[0]["step"])
        assert gate.wait(20)
        real(file, data)

    monkeypatch.setattr(files, "_write", slow)
    copier = checkpoint.Copier(drive, "baseline")
    copier.offer(meta(1), pack(meta(1), arrays(1)), b"")
    until(lambda: written)
    for step in range(2, 20):
        copier.offer(meta(step), pack(meta(step), arrays(step)), b"")
    gate.set()
    assert copier.close(20)
    assert written == [1, 19] and on_drive(drive) == {"checkpoint-a.npz": 1, "checkpoint-b.npz": 19}


def test_an_interrupted_training_in_the_same_process_gives_way(drive, said):
    """A notebook's stop button ends a training, not its copier, which must not write beside the next one's."""
    drive.rmdir()
    first, second = (checkpoint.Copier(drive, "baseline") for _ in range(2))
    first.offer(meta(1), pack(meta(1), arrays(1)), b"")
    until(lambda: said)
    second.offer(meta(2), pack(meta(2), arrays(2)), b"")
    first._thread.join(20)
    assert not first._thread.is_alive() and first._item is not None
    drive.mkdir()
    assert second.close(20) and on_drive(drive) == {"checkpoint-a.npz": 2}


def test_any_fault_at_all_is_said_and_tried_again(drive, said, monkeypatch):
    real = checkpoint._whole
    monkeypatch.setattr(checkpoint, "_whole", lambda path: 1 / 0)
    copier = checkpoint.Copier(drive, "baseline")
    copier.offer(meta(1), pack(meta(1), arrays(1)), b"")
    until(lambda: said)
    monkeypatch.setattr(checkpoint, "_whole", real)
    assert copier.close(20) and "division by zero" in said[0] and on_drive(drive) == {"checkpoint-a.npz": 1}


def test_a_real_disk_that_is_full_then_read_only_then_gone(small_disk, said):
    """The copier with a file system that fails by itself: nothing here is faked."""
    root = small_disk / "MyDrive"
    root.mkdir()
    remount = ["mount", "-o", "remount,size=256k", str(small_disk)]
    copier = checkpoint.Copier(root, "baseline")

    def offer(step, size):
        copier.offer(meta(step), pack(meta(step), arrays(step, size)), b"")

    def caught_up(step):
        until(lambda: copier._item is None)
        assert step in on_drive(root).values()

    offer(1, 150)  # 90 KB
    caught_up(1)
    ballast = small_disk / "ballast"
    ballast.write_bytes(bytes(100_000))
    offer(2, 150)
    until(lambda: len(said) == 1)
    assert "No space left on device" in said[0] and on_drive(root) == {"checkpoint-a.npz": 1}
    ballast.unlink()
    caught_up(2)
    subprocess.run([*remount[:2], remount[2] + ",ro", remount[3]], check=True)
    offer(3, 150)
    until(lambda: len(said) == 3)
    assert "Read-only file system" in said[2] and on_drive(root) == {"checkpoint-a.npz": 1, "checkpoint-b.npz": 2}
    subprocess.run([*remount[:2], remount[2] + ",rw", remount[3]], check=True)
    caught_up(3)
    subprocess.run(["umount", "-l", str(small_disk)], check=True)
    offer(4, 150)
    until(lambda: len(said) == 5)
    assert "it is not there (is it mounted?)" in said[4] and list(small_disk.iterdir()) == []
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(small_disk)], check=True)
    root.mkdir()
    caught_up(4)
    assert copier.close(5)
    assert [line.split(":")[1].split()[:2] for line in said] == [["copying", "to"], ["the", "copy"]] * 3


def test_a_training_further_on_or_with_other_settings_is_left_alone(drive, said):
    copy_all(drive, [(meta(9), b"")])
    for about, words in ((meta(5), "further on"), (meta(20, identity={"seed": 2}), "other settings")):
        copier = checkpoint.Copier(drive, "baseline")
        copier.offer(about, pack(about, arrays()), b"")
        assert not copier.close(0.3)
        assert words in said[-1]
    assert on_drive(drive) == {"checkpoint-a.npz": 9}
    assert isinstance(Damaged("it is empty"), ColorlibError)
