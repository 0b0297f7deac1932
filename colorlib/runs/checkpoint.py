"""A checkpoint: where a training stands and all that it changes, in one file that is whole or is not taken.

The file is a NumPy archive (.npz) without pickles, so that loading it executes nothing, and behind it the SHA-256 of
its bytes: one look tells whole from torn, truncated or bit-flipped.

Why not `tf.train.Checkpoint`, whose own checksums notice the same damage? Its checkpoint is two files, and its manager
makes new ones and deletes the old, which Drive moves to its trash; two that are rewritten in place can be torn apart
from each other. Its restoring names no difference between two trainings, and state and history would need a third file
in step with them. One .npz is one file to write, verify and copy. Keras' `BackupAndRestore` forgets the history, the
patience and dropout's seeds; `fit`, `EarlyStopping` and the callbacks' hooks are Keras' in `training`.
"""

import dataclasses
import hashlib
import io
import json
import os
import time
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from colorlib import ColorlibError
from colorlib.sources import files

DIGEST = 32
BEST = "best/"  # before the names of the best epoch's variables, where they are not the current ones


class Unusable(ColorlibError):
    """A file holds no checkpoint that can be used: it is torn, empty, or has a flipped bit."""


class OtherVersion(Unusable):
    """A file is whole, but its state has fields that this version does not know, or lacks some."""


@dataclasses.dataclass
class State:
    """Where a training stands, beside its variables. In the file it is JSON."""

    identity: dict  # see runs.identity
    settings: dict
    steps_per_epoch: int = 0
    step: int = 0  # steps done, over all epochs
    seconds: float = 0.0  # spent on the epoch under way
    history: list = dataclasses.field(default_factory=list)  # a dict an epoch, as in history.csv
    best: float | None = None  # validation loss
    best_epoch: int = 0  # counted from 1; 0: none yet
    wait: int = 0  # epochs without a better one
    stopped: bool = False  # early
    finished: bool = False
    saved: float = 0.0  # seconds since 1970

    @property
    def progress(self) -> tuple[int, bool]:
        """What orders the checkpoints of one training."""
        return self.step, self.finished


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A checkpoint that was read whole."""

    path: Path
    data: bytes
    state: State
    arrays: dict[str, np.ndarray]

    @property
    def best_arrays(self) -> dict[str, np.ndarray]:
        """The same variables, the model's as they were after its best epoch."""
        kept = {name.removeprefix(BEST): array for name, array in self.arrays.items() if name.startswith(BEST)}
        return self.arrays | kept


class Slots:
    """The two files of a folder that hold a run's last two checkpoints, written in turn: never the newest whole one.

    in_place: they are rewritten, never renamed over, which Drive would move to its trash. Before the first write both
    are looked at, and what cannot be read is set aside by renaming; only what an end in the middle of rewriting has
    torn is written over.
    """

    NAMES = ("checkpoint-a.npz", "checkpoint-b.npz")

    def __init__(self, folder: Path, in_place: bool = False):
        self.folder, self.in_place = folder, in_place
        self._newest = None  # (name, state) of the newest whole one, ("", None) where there is none; None: unknown

    def newest(self) -> State | None:
        """The state in the newest whole one. Raises OSError where what is rewritten in place cannot be read now."""
        if self._newest is None:
            readable = [(name, state) for name in self.NAMES if (state := self._state_or_aside(self.folder / name))]
            self._newest = max(readable, key=lambda pair: pair[1].progress, default=("", None))
        return self._newest[1]

    def put(self, state: State, data: bytes) -> None:
        """Write a checkpoint, and read it again. Raises OSError or `Unusable`; the newest one before is intact then."""
        self.newest()
        name = self.NAMES[self._newest[0] == self.NAMES[0]]
        (rewrite if self.in_place else files.write_whole)(self.folder / name, data)
        verify((self.folder / name).read_bytes())
        self._newest = name, dataclasses.replace(state)

    def _state_or_aside(self, path):
        try:
            return read(path).state
        except FileNotFoundError:
            return None
        except (OSError, Unusable) as error:
            if not self.in_place or isinstance(error, OtherVersion):
                aside = path.rename(path.with_name(f"{path.name}.{time.time_ns()}.aside"))
                tqdm.write(f"{self.folder.name}: {path.name} is set aside as {aside.name}, and stays.")
            elif isinstance(error, OSError):
                raise
            return None


def rewrite(path: Path, data: bytes) -> None:
    """Write over a file in place. Raises OSError; the file is torn then."""
    path.touch()
    with path.open("r+b") as file:
        file.write(data)
        file.truncate()
        file.flush()
        os.fsync(file.fileno())


def pack(state: State, arrays: dict) -> bytes:
    """The file's bytes."""
    buffer = io.BytesIO()
    meta = np.frombuffer(json.dumps(dataclasses.asdict(state)).encode(), np.uint8)
    np.savez(buffer, **{"meta": meta, **arrays})
    return buffer.getvalue() + hashlib.sha256(buffer.getbuffer()).digest()


def verify(data: bytes) -> None:
    """Raise `Unusable` unless every byte is as `pack` made it."""
    if len(data) <= DIGEST or hashlib.sha256(memoryview(data)[:-DIGEST]).digest() != data[-DIGEST:]:
        raise Unusable("its checksum does not fit" if data else "it is empty")


def read(path: Path) -> Checkpoint:
    """A checkpoint, verified. Raises `Unusable` or OSError."""
    data = path.read_bytes()
    verify(data)
    return Checkpoint(path, data, *_contents(io.BytesIO(data)))


def peek(path: Path) -> State:
    """The state in a file, without reading or verifying the rest. Raises `Unusable` or OSError."""
    with path.open("rb") as file:
        return _contents(file, arrays=False)[0]


def _contents(file, arrays=True):
    try:
        with np.load(file, allow_pickle=False) as archive:
            meta = json.loads(archive["meta"].tobytes())
            values = {name: archive[name] for name in archive.files if arrays and name != "meta"}
    except OSError:
        raise
    except Exception as error:  # zip, zlib, NumPy and JSON each raise their own
        raise Unusable("it is torn, or no checkpoint") from error
    try:
        return State(**meta), values
    except TypeError as error:
        raise OtherVersion("another version of colorlib wrote it") from error


def reason(error: Exception) -> str:
    """An error in a few words, without the paths of this machine."""
    return getattr(error, "strerror", None) or str(error)
