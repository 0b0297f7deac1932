"""Files that are whole or are not taken, and the copier that brings them to a second folder in the background.

A file is a NumPy archive (.npz) without pickles, so that loading it executes nothing. Its last 32 bytes (to zip a
comment) are the SHA-256 of all before them: one look tells whole from torn, truncated or bit-flipped.

Why not `tf.train.Checkpoint`, whose own checksums notice the same damage? Its checkpoint is two files, and its manager
makes new ones and deletes the old, which Drive moves to its trash; two that are rewritten in place can be torn apart
from each other. Its restoring names no difference between two trainings, and state, history and best epoch would need
a third file in step with them. One .npz is one file to write, verify and copy. Keras' `BackupAndRestore` forgets the
history, the patience and dropout's seeds; `fit`, `EarlyStopping` and the callbacks' hooks are Keras' in `training`.
"""

import hashlib
import io
import json
import os
import threading
import zipfile
from pathlib import Path
from typing import ClassVar

import numpy as np
from tqdm.auto import tqdm

from colorlib import ColorlibError
from colorlib.sources import files

RETRY_SECONDS = 60.0  # between two tries to reach a second folder that fails
DIGEST = 32


class Damaged(ColorlibError):
    """A file is not what was written: torn, truncated, empty, or with a flipped bit."""


def pack(meta: dict, arrays: dict) -> bytes:
    """A JSON dictionary and named arrays as the bytes of one .npz that ends with the SHA-256 of all before it."""
    buffer = io.BytesIO()
    text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    contents = {"meta": text, **{f"array/{name}": np.asanyarray(value) for name, value in arrays.items()}}
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, value in contents.items():  # np.savez of NumPy before 2.2 cannot be told to refuse pickles
            with archive.open(zipfile.ZipInfo(f"{name}.npy"), "w", force_zip64=True) as file:
                np.lib.format.write_array(file, value, allow_pickle=False)
    return _sealed(buffer)


def _sealed(buffer):
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = bytes(DIGEST)
    buffer.seek(-DIGEST, os.SEEK_END)
    buffer.write(hashlib.sha256(buffer.getbuffer()[:-DIGEST]).digest())
    return buffer.getvalue()


def unpack(data: bytes) -> tuple[dict, dict]:
    """The inverse of `pack`. Raises `Damaged` unless every byte is as it was written."""
    if not data:
        raise Damaged("it is empty")
    if len(data) <= DIGEST or hashlib.sha256(memoryview(data)[:-DIGEST]).digest() != data[-DIGEST:]:
        raise Damaged("its checksum does not fit")
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as file:
            arrays = {name.removeprefix("array/"): file[name] for name in file.files if name != "meta"}
            return json.loads(file["meta"].tobytes()), arrays
    except Exception as error:  # as in `peek`: whole, but never written by `pack`
        raise Damaged("it is no checkpoint") from error


def digest_of(data: bytes) -> str:
    """The checksum that `pack` put at the end."""
    return data[-DIGEST:].hex()


def peek(path: Path) -> dict:
    """The dictionary in a file of `pack`, without reading or verifying the rest. Raises `Damaged` or OSError."""
    with path.open("rb") as file:
        try:
            with np.load(file, allow_pickle=False) as archive:
                return json.loads(archive["meta"].tobytes())
        except OSError:
            raise
        except Exception as error:  # zip, zlib, NumPy and JSON each raise their own
            raise Damaged("it is torn" if path.stat().st_size else "it is empty") from error


def say(text: str) -> None:
    """A line for the reader, above a progress bar if there is one."""
    tqdm.write(text)


def reason(error: Exception) -> str:
    """An error in a few words, without the paths of this machine."""
    return getattr(error, "strerror", None) or str(error)


def out_of_reach(folder: Path) -> str:
    """Why a folder cannot be read, "" where it can: Drive is not mounted, or its mount was dropped (errno 107)."""
    try:
        next(folder.iterdir(), None)
    except FileNotFoundError:
        return "it is not there (is it mounted?)"
    except OSError as error:
        return reason(error)
    return ""


def shown(folder: Path) -> str:
    """A folder as a reader is told of it: its last two parts, as in colorlib/classroom."""
    return "/".join(folder.parts[-2:])


class Copier:
    """Copies the latest checkpoint and its best weights to a second folder, such as Google Drive, in a thread.

    root: the second folder; it must be there (a missing one is a Drive that is not mounted, and is not made).
    name: of the run, whose files are root/runs/name/{checkpoint,best}-{a,b}.npz. The two of a kind are rewritten in
    place in turn, always the one that the newest whole checkpoint does not need: Drive moves what is deleted or renamed
    over to its trash, where it fills the quota.

    Whatever fails is said once, retried, and said again when it has been made up for. Nothing is ever raised.
    """

    _latest: ClassVar[dict] = {}  # folder -> the copier that writes there

    def __init__(self, root: Path, name: str):
        self.root, self.name, self.home = root, name, root / "runs" / name
        # Of a training of this run that was interrupted in this process, as by a notebook's stop button.
        self._before, self._latest[self.home] = self._latest.get(self.home), self
        self._changed = threading.Condition()
        self._item = None  # what is still to be copied: (meta, data, best_data)
        self._slots = None  # slot -> (meta, digest) of what is whole there; None: unknown
        self._closing = self._over = False
        self._failure = ""
        self._thread = threading.Thread(target=self._work, name=f"copier of {name}", daemon=True)

    def offer(self, meta: dict, data: bytes, best_data: bytes) -> None:
        """Have this checkpoint copied, in place of an earlier one that is still waiting. Returns at once."""
        with self._changed:
            self._item = (meta, data, best_data)
            self._changed.notify_all()
        if not self._thread.is_alive():
            self._thread.start()

    def close(self, seconds: float) -> bool:
        """Nothing more will be offered: wait for the last copy, at most so long. Tells whether it is in place.

        If not, it is still tried for as long as this process lives.
        """
        with self._changed:
            self._closing = True
            self._changed.notify_all()
            return self._changed.wait_for(lambda: self._item is None, seconds)

    def give_up(self) -> None:
        """Copy nothing more. Returns when the last try is over."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        if self._thread.is_alive():
            self._thread.join()

    def _work(self):
        if self._before:
            self._before.give_up()  # two at once would write over each other's files
            self._before = None
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._item or self._closing or self._over)
                item = self._item
                if item is None or self._over:
                    return
            try:
                self._copy(*item)
                failure = ""
            except Exception as error:  # whatever it is: training goes on, and the copy is tried again
                self._slots = None
                failure = reason(error)
            self._report(failure)
            with self._changed:
                if not failure and self._item is item:
                    self._item = None
                    self._changed.notify_all()
                elif failure and not self._over:
                    self._changed.wait(RETRY_SECONDS)

    def _report(self, failure):
        if failure and failure != self._failure:
            say(f"{self.name}: copying to {shown(self.root)} fails: {failure}. Training goes on; it is tried again.")
        elif self._failure and not failure:
            say(f"{self.name}: the copy in {shown(self.root)} has caught up.")
        self._failure = failure

    def _copy(self, meta, data, best_data):
        if why := out_of_reach(self.root):
            raise ColorlibError(why)
        for folder in (self.home.parent, self.home):
            folder.mkdir(exist_ok=True)
        if self._slots is None:
            names = [f"{kind}-{letter}.npz" for kind in ("checkpoint", "best") for letter in "ab"]
            self._slots = {name: _whole(self.home / name) for name in names}
        there = {name: slot for name, slot in self._slots.items() if slot and name.startswith("checkpoint")}
        newest = max(there, key=lambda name: _progress(there[name][0]), default="")
        if newest and there[newest][1] == digest_of(data):
            return
        newest_meta = there[newest][0] if newest else {}
        if newest:
            _check_room_for(meta, newest_meta)
        if best_data and digest_of(best_data) not in [slot[1] for slot in self._slots.values() if slot]:
            needed = next((n for n, s in self._slots.items() if s and s[1] == newest_meta.get("best_digest")), "")
            self._put("best-b.npz" if needed == "best-a.npz" else "best-a.npz", best_data)
        self._put("checkpoint-b.npz" if newest == "checkpoint-a.npz" else "checkpoint-a.npz", data)

    def _put(self, name, data):
        self._slots[name] = None
        files.rewrite(self.home / name, data)
        self._slots[name] = (unpack(data)[0], digest_of(data))


def _whole(path):
    """(meta, digest) of a file that is whole, otherwise None. Raises OSError, other than for a missing file."""
    try:
        data = path.read_bytes()
        return unpack(data)[0], digest_of(data)
    except (FileNotFoundError, Damaged):
        return None


def _progress(meta):
    return meta["step"], meta["finished"]


def _check_room_for(meta, there):
    """What Drive holds was perhaps out of reach when this training began: never write over more than we have."""
    if meta["identity"] != there["identity"]:
        raise ColorlibError("it holds a training with other settings, which is left alone")
    if _progress(there) > _progress(meta):
        raise ColorlibError(
            f"it holds this training at step {there['step']}, further on than this one at step {meta['step']}. "
            "It is left alone until it is passed; to go on from there, stop and start again"
        )
