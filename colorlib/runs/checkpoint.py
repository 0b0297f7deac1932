"""A checkpoint: where a training stands and all that it changes, in one file that is whole or is not taken.

The file is a NumPy archive (.npz) without pickles, so that loading it executes nothing, and behind it the SHA-256 of
its bytes: one look tells whole from torn, truncated or bit-flipped.

Why not `tf.train.Checkpoint`, whose own checksums notice the same damage? Its checkpoint is two files, and its manager
makes new ones and deletes the old, which Drive moves to its trash; two that are rewritten in place can be torn apart
from each other. Its restoring names no difference between two trainings, and state and history would need a third file
in step with them. One .npz is one file to write, verify and copy. Keras' `BackupAndRestore` forgets the history, the
patience and dropout's seeds.
"""

import dataclasses
import hashlib
import io
import json
import time
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from colorlib import ColorlibError
from colorlib.sources import files

DIGEST = 32  # bytes
BEST = "best/"  # before the names of the best epoch's variables, where they are not the current ones
MODEL = "model/"  # before those of the model, beside the optimizer's and the epoch's sums


class Unusable(ColorlibError):
    """A file holds no checkpoint that can be used: it is torn, empty, damaged, or of another version of colorlib."""


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
    arrays: dict[str, np.ndarray]  # all that training changes, as it was at `state.step`
    best: dict[str, np.ndarray]  # the model's variables after the best epoch


class Slots:
    """The two files of a folder that hold a run's last two checkpoints, written in turn: never the newest good one.

    They are looked at once, without reading all of them. What is of no use is said, set aside by renaming when its
    place is written to, and stays.

    in_place: they are rewritten, never renamed over, which Google Drive would move to its trash; the constructor then
    raises OSError where one cannot be read now, for it may be the newest.
    """

    NAMES = ("checkpoint-a.npz", "checkpoint-b.npz")

    def __init__(self, folder: Path, in_place: bool = False):
        self.folder, self.in_place = folder, in_place
        self.paths = [folder / name for name in self.NAMES]
        self.states: dict[Path, State] = {}
        self.passed_over: set[Path] = set()
        for path in self.paths:
            try:
                self.states[path] = peek(path)
            except FileNotFoundError:
                pass
            except (OSError, Unusable) as error:
                if in_place and isinstance(error, OSError):
                    raise
                self.pass_over(path, error)

    def pass_over(self, path: Path, error: Exception) -> None:
        """A file that is there is of no use."""
        self.states.pop(path, None)
        self.passed_over.add(path)
        tqdm.write(f"{self.folder.name}: {path.name} in {shown(path)} is not used, and kept: {reason(error)}.")

    @property
    def newest(self) -> Path | None:
        """The one furthest on."""
        return max(self.states, key=lambda path: self.states[path].progress, default=None)

    def put(self, state: State, data: bytes) -> None:
        """Write a checkpoint, and read it again. Raises OSError or `Unusable`; the newest one before is intact then."""
        path = self.paths[self.newest == self.paths[0]]
        if path in self.passed_over:
            path.rename(path.with_name(f"{path.name}.{time.time_ns()}.aside"))
            self.passed_over.remove(path)
        (rewrite if self.in_place else files.write_whole)(path, data)
        verify(path.read_bytes())
        self.states[path] = dataclasses.replace(state)


rewrite = Path.write_bytes  # into the same file: one that ends in the middle of it leaves it torn


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
    state = peek(io.BytesIO(data))
    with np.load(io.BytesIO(data), allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files if name != "meta"}
    of_best = {name.removeprefix(BEST): arrays.pop(name) for name in list(arrays) if name.startswith(BEST)}
    return Checkpoint(path, data, state, arrays, of_best or of_model(arrays))


def peek(file: Path | io.BytesIO) -> State:
    """The state in a file, without reading or verifying the rest. Raises `Unusable` or OSError."""
    try:
        with np.load(file, allow_pickle=False) as archive:
            return State(**json.loads(archive["meta"].tobytes()))
    except OSError:
        raise
    except Exception as error:  # zip, zlib, NumPy and JSON each raise their own
        raise Unusable("it is torn, no checkpoint, or of another version of colorlib") from error


def of_model(arrays: dict) -> dict:
    """Those of a checkpoint's arrays that are the model's."""
    return {name: array for name, array in arrays.items() if name.startswith(MODEL)}


def reason(error: Exception) -> str:
    """An error in a few words, without the paths of this machine."""
    return getattr(error, "strerror", None) or str(error)


def shown(path: Path) -> str:
    """The folder that a checkpoint's run lies in, as a reader is told of it: its last two parts."""
    return "/".join(path.parts[-5:-3])
