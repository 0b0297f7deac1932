"""Checkpoint files under every kind of damage, and the two slots of a folder that fails in every way."""

import contextlib
import dataclasses
import errno
import io
import json
import os
import pickle
import random

import numpy as np
import pytest

from colorlib import ColorlibError
from colorlib.runs import checkpoint
from colorlib.runs.checkpoint import Slots, State, Unusable, pack, read
from colorlib.sources import files

A, B = Slots.NAMES


def arrays(seed=0, size=24):
    generator = np.random.default_rng(seed)
    return {
        "model/rung0_conv/kernel": generator.normal(size=(size, size)).astype(np.float32),
        "optimizer/0": np.int64(17 + seed) * np.ones((), np.int64),
        "seed": np.array([1, 2], np.uint32),
        "empty": np.zeros((0, 3), np.float16),
    }


def state(step, **fields):
    return State(**{"identity": {"seed": 1}, "settings": {}, "step": step, "saved": float(step)} | fields)


def unpacked(data, tmp_path):
    (tmp_path / "file.npz").write_bytes(data)
    return read(tmp_path / "file.npz")


# The format.


def test_what_is_packed_comes_back(tmp_path):
    about = state(3, history=[{"loss": 0.1 + 0.2}], settings={"text": "λ"})
    data = pack(about, arrays())
    got = unpacked(data, tmp_path)
    assert got.state == about and got.data == data and got.arrays.keys() == arrays().keys()
    for name, value in arrays().items():
        assert got.arrays[name].dtype == value.dtype and got.arrays[name].shape == value.shape
        assert got.arrays[name].tobytes() == value.tobytes()
    assert checkpoint.peek(got.path) == about


def test_the_best_variables_are_the_own_ones_unless_others_are_kept(tmp_path):
    name = "model/rung0_conv/kernel"
    own = unpacked(pack(state(1), arrays()), tmp_path)
    assert own.best.keys() == {name} and np.array_equal(own.best[name], arrays()[name])
    beside = unpacked(pack(state(1), arrays() | {f"{checkpoint.BEST}{name}": arrays(7)[name]}), tmp_path)
    assert np.array_equal(beside.best[name], arrays(7)[name]) and beside.arrays.keys() == arrays().keys()
    assert np.array_equal(beside.arrays[name], arrays()[name])


def test_any_reader_of_npz_opens_it(tmp_path):
    (tmp_path / "file.npz").write_bytes(pack(state(3), arrays()))
    with np.load(tmp_path / "file.npz", allow_pickle=False) as file:
        assert file["seed"].tolist() == [1, 2]


def test_a_field_of_another_version_is_no_crash(tmp_path):
    buffer = io.BytesIO()
    meta = json.dumps(dataclasses.asdict(state(3)) | {"of_tomorrow": 1}).encode()
    np.savez(buffer, meta=np.frombuffer(meta, np.uint8))
    data = buffer.getvalue() + checkpoint.hashlib.sha256(buffer.getvalue()).digest()
    with pytest.raises(Unusable, match="of another version of colorlib"):
        unpacked(data, tmp_path)
    with pytest.raises(Unusable):
        checkpoint.peek(tmp_path / "file.npz")


def test_cut_at_any_length_is_noticed():
    data = pack(state(1), arrays(size=60))
    assert len(data) > 12 * 1024
    chance = random.Random(1)
    lengths = [*range(10 * 1024), *(chance.randrange(10 * 1024, len(data)) for _ in range(2000)), len(data) - 1]
    for length in lengths:
        with pytest.raises(Unusable):
            checkpoint.verify(data[:length])


def test_flipped_bits_are_noticed():
    data = pack(state(1), arrays())
    chance = random.Random(2)
    flipped = bytearray(data)
    for _ in range(4000):
        place, bit = chance.randrange(len(data)), 1 << chance.randrange(8)
        flipped[place] ^= bit
        with pytest.raises(Unusable):
            checkpoint.verify(bytes(flipped))
        flipped[place] ^= bit
    checkpoint.verify(bytes(flipped))


def test_a_file_torn_between_an_old_and_a_new_one_is_noticed():
    old, new = pack(state(1), arrays(1)), pack(state(2), arrays(2))
    for length in range(1, min(len(old), len(new)), 7):
        torn = new[:length] + old[length:]
        if torn not in (old, new):  # they begin alike
            with pytest.raises(Unusable):
                checkpoint.verify(torn)


def test_peeking_at_a_damaged_file_raises_nothing_but_unusable(tmp_path):
    """Peeking does not verify; but whatever it meets, it must not crash with another error."""
    path = tmp_path / "file.npz"
    data = pack(state(1), arrays())
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
        except Unusable as error:
            outcomes.add(type(error))
    assert outcomes <= {State, Unusable} and Unusable in outcomes


class Bomb:
    def __reduce__(self):
        return os.mkdir, (os.environ["BOMB"],)


def test_loading_executes_nothing(tmp_path, monkeypatch):
    """A pickle in place of an array, in a file with a right checksum, and a pickle in place of the file."""
    monkeypatch.setenv("BOMB", str(tmp_path / "exploded"))
    buffer = io.BytesIO()
    np.savez(buffer, meta=np.array([Bomb()], object), x=np.array([Bomb()], object))
    for data in (buffer.getvalue(), pickle.dumps(Bomb())):
        with pytest.raises(Unusable):
            unpacked(data + checkpoint.hashlib.sha256(data).digest(), tmp_path)
        with pytest.raises(Unusable):
            checkpoint.peek(tmp_path / "file.npz")
    assert not (tmp_path / "exploded").exists()
    pickle.loads(pickle.dumps(Bomb()))
    assert (tmp_path / "exploded").exists()  # the bomb is one


# The two slots.


def steps_in(folder):
    """The step of each whole checkpoint there."""
    steps = {}
    for path in sorted(folder.glob("checkpoint-?.npz")):
        with contextlib.suppress(Unusable):
            steps[path.name] = read(path).state.step
    return steps


@pytest.mark.parametrize("in_place", [False, True])
def test_two_files_are_written_in_turn(tmp_path, in_place):
    seen = []
    for step in range(1, 5):
        Slots(tmp_path, in_place).put(
            state(step), pack(state(step), arrays(step))
        )  # a session each: nothing is remembered
        seen.append(steps_in(tmp_path))
    assert seen == [{A: 1}, {A: 1, B: 2}, {A: 3, B: 2}, {A: 3, B: 4}]
    slots = Slots(tmp_path, in_place)
    for step in range(5, 9):
        slots.put(state(step), pack(state(step), arrays(step)))
    assert steps_in(tmp_path) == {A: 7, B: 8} and sorted(p.name for p in tmp_path.iterdir()) == [A, B]


@pytest.mark.parametrize(("in_place", "writer"), [(False, (files, "write_whole")), (True, (checkpoint, "rewrite"))])
def test_a_write_that_reads_back_differently_is_no_checkpoint(tmp_path, monkeypatch, in_place, writer):
    write = getattr(*writer)
    slots = Slots(tmp_path, in_place)
    slots.put(state(1), pack(state(1), arrays()))
    with monkeypatch.context() as patch:
        patch.setattr(*writer, lambda path, data: write(path, data[:-1] + bytes([data[-1] ^ 1])))
        with pytest.raises(Unusable, match="checksum"):
            slots.put(state(2), pack(state(2), arrays()))
    assert steps_in(tmp_path) == {A: 1}
    slots.put(state(3), pack(state(3), arrays()))
    assert steps_in(tmp_path) == {A: 1, B: 3}  # never over the only whole one


def unreadable(patch, *paths):
    """Have looking at some files end with an input/output error."""
    real = checkpoint.peek

    def failing(path):
        if path in paths:
            raise OSError(errno.EIO, "Input/output error")
        return real(path)

    patch.setattr(checkpoint, "peek", failing)


def test_what_cannot_be_read_is_set_aside_and_stays(tmp_path, monkeypatch, capsys):
    """Even where it can be read again by the time that its place is needed."""
    slots = Slots(tmp_path)
    for step in (1, 2):
        slots.put(state(step), pack(state(step), arrays(step)))
    before = {(tmp_path / name).read_bytes() for name in Slots.NAMES}
    with monkeypatch.context() as patch:
        unreadable(patch, tmp_path / A, tmp_path / B)
        slots = Slots(tmp_path)
    assert slots.newest is None
    for step in (1, 2, 3, 4):
        slots.put(state(step), pack(state(step), arrays(9)))
    assert {path.read_bytes() for path in tmp_path.glob("*.aside")} == before
    assert capsys.readouterr().out.count("is not used, and kept: Input/output error.") == 2


def test_where_files_are_rewritten_one_that_cannot_be_read_now_may_be_the_newest(tmp_path, monkeypatch):
    slots = Slots(tmp_path, in_place=True)
    for step in (1, 2):
        slots.put(state(step), pack(state(step), arrays(step)))
    with monkeypatch.context() as patch:
        unreadable(patch, tmp_path / B)
        with pytest.raises(OSError, match="Input/output"):
            Slots(tmp_path, in_place=True)
    assert steps_in(tmp_path) == {A: 1, B: 2}


def test_a_failed_write_is_written_over_and_what_another_session_left_torn_is_set_aside(tmp_path, monkeypatch):
    slots = Slots(tmp_path, in_place=True)
    for step in (1, 2):
        slots.put(state(step), pack(state(step), arrays(step)))

    def full(path, data):
        path.write_bytes(data[:1000])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "rewrite", full)
        for _ in range(2):
            with pytest.raises(OSError, match="No space"):
                slots.put(state(3), pack(state(3), arrays()))
    assert steps_in(tmp_path) == {B: 2} and sorted(path.name for path in tmp_path.iterdir()) == [A, B]
    Slots(tmp_path, in_place=True).put(state(3), pack(state(3), arrays()))
    assert steps_in(tmp_path) == {A: 3, B: 2}
    ((torn),) = tmp_path.glob("*.aside")
    assert torn.stat().st_size == 1000


def test_nothing_is_deleted_or_renamed_where_files_are_rewritten(tmp_path, monkeypatch):
    for step in (1, 2):
        Slots(tmp_path, in_place=True).put(state(step), pack(state(step), arrays()))
    inodes = {path.name: path.stat().st_ino for path in tmp_path.iterdir()}
    for name in ("unlink", "rename", "replace"):
        monkeypatch.setattr(type(tmp_path), name, lambda *_: pytest.fail("Drive would move a file to its trash"))
    for step in range(3, 7):
        Slots(tmp_path, in_place=True).put(state(step), pack(state(step), arrays()))
    assert {path.name: path.stat().st_ino for path in tmp_path.iterdir()} == inodes


def test_an_error_in_few_words():
    assert (
        checkpoint.reason(OSError(errno.ENOSPC, "No space left on device", "/secret/path")) == "No space left on device"
    )
    assert checkpoint.reason(ColorlibError("it is torn")) == "it is torn" and isinstance(Unusable(""), ColorlibError)
