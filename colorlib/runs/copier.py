"""Copies of a run's checkpoints in a second folder that outlasts the session, such as Google Drive."""

import dataclasses
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm.auto import tqdm

from colorlib import ColorlibError
from colorlib.runs.checkpoint import Slots, State, reason

RETRY_SECONDS = 20.0  # between two tries, once training is over; before that, each checkpoint is one


class Copier:
    """Copies the latest checkpoint of a run to a second folder, in a thread.

    folder: <second folder>/runs/<run>. The second folder must be there: a missing one is a Drive that is not mounted,
    and is not made. The copies are rewritten in place: Drive moves what is deleted or renamed over to its trash, where
    it fills the quota.

    What fails is said once, tried again with the next checkpoint, and said again when it has been made up for. Nothing
    is ever raised.
    """

    _writing = threading.Lock()  # an interrupted training's last copy may still be under way when the next one begins

    def __init__(self, folder: Path):
        self.folder, self.root, self.name = folder, folder.parents[1], folder.name
        self._latest = self._copied = None  # (state, bytes) of checkpoints
        self._slots = Slots(folder, in_place=True)
        self._failure = ""
        self._pool = ThreadPoolExecutor(1)

    def offer(self, state: State, data: bytes) -> None:
        """Have this checkpoint copied, in place of an earlier one that is still waiting. Returns at once."""
        self._latest = (dataclasses.replace(state), data)
        self._pool.submit(self._catch_up)

    def close(self, seconds: float) -> bool:
        """Nothing more will be offered: try to copy the last, at most so long. Tells whether it is in its folder."""
        end = time.monotonic() + seconds
        try:
            while not self._pool.submit(self._catch_up).result(end - time.monotonic()):
                time.sleep(max(0, min(RETRY_SECONDS, end - time.monotonic())))
            return True
        except TimeoutError:
            return False
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _catch_up(self):
        """Copy the latest checkpoint unless it is copied. Tells whether that went well."""
        latest, failure = self._latest, ""
        if latest is self._copied:
            return True
        try:
            with self._writing:
                self._copy(*latest)
            self._copied = latest
        except Exception as error:  # whatever it is: training goes on, and the copy is tried again
            self._slots, failure = Slots(self.folder, in_place=True), reason(error)
        if failure and failure != self._failure:
            text = f"copying to {shown(self.root)} fails: {failure}. Training goes on; it is tried again."
            tqdm.write(f"{self.name}: {text}")
        elif self._failure and not failure:
            tqdm.write(f"{self.name}: the copy in {shown(self.root)} has caught up.")
        self._failure = failure
        return not failure

    def _copy(self, state, data):
        if why := out_of_reach(self.root):
            raise ColorlibError(why)
        for folder in (self.folder.parent, self.folder):  # and not the folder above: it is a mount
            folder.mkdir(exist_ok=True)
        if copied := self._slots.newest():  # perhaps out of reach when this training began: nothing further on is lost
            if copied.identity != state.identity:
                raise ColorlibError("it holds a training with other settings, which is left alone")
            if copied.progress > state.progress:
                raise ColorlibError(
                    f"it holds this training at step {copied.step}, further on than this one at step {state.step}. "
                    "It is left alone until it is passed; to go on from there, stop and start again"
                )
        if not copied or copied.saved != state.saved:
            self._slots.put(state, data)


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
