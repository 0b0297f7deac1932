"""Copies of a run's checkpoints in a second folder that outlasts the session, such as Google Drive."""

import contextlib
import dataclasses
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tqdm.auto import tqdm

from colorlib import ColorlibError
from colorlib.runs.checkpoint import Slots, State, reason


class Copier:
    """Copies the latest checkpoint of a run to a second folder, in a thread.

    folder: <second folder>/runs/<run>. The second folder must be there: a missing one is a Drive that is not mounted,
    and is not made. The copies are rewritten in place: Drive moves what is deleted or renamed over to its trash, where
    it fills the quota.

    What fails is said once, and tried again with the next checkpoint. Nothing is ever raised.
    """

    # One for all of them: an interrupted training's last copy may still be under way when the next one begins.
    _thread = ThreadPoolExecutor(1)

    def __init__(self, folder: Path):
        self.folder, self._home = folder, "/".join(folder.parts[-4:-2])
        self._latest = self._slots = None
        self._failure = ""

    def offer(self, state: State, data: bytes) -> None:
        """Have this checkpoint copied, in place of an earlier one that is still waiting. Returns at once."""
        self._latest = (dataclasses.replace(state), data)
        self._thread.submit(self._catch_up)

    def finish(self, seconds: float) -> None:
        """Try the last checkpoint once more, at most so long, and say so if it is not in its folder then."""
        with contextlib.suppress(TimeoutError):
            if self._thread.submit(self._catch_up).result(seconds):
                return
        advice = f"See that {self._home} can be reached and has room, then train again: only the copy is made."
        self._say(f"the last checkpoint is NOT in {self._home}, and may be lost with this session. {advice}")

    def _catch_up(self):
        """Copy the latest checkpoint unless it is copied. Tells whether it is."""
        try:
            self._copy(*self._latest)
            failure = ""
        except Exception as error:  # whatever it is: training goes on, and the copy is tried again
            failure = reason(error)
        if failure and failure != self._failure:
            self._say(f"copying to {self._home} fails: {failure}. Training goes on; it is tried again.")
        self._failure = failure
        return not failure

    def _copy(self, state, data):
        for folder in (self.folder.parent, self.folder):  # and not the folder above: it is a mount
            folder.mkdir(exist_ok=True)
        self._slots = self._slots or Slots(self.folder, in_place=True)
        copied = self._slots.states.get(self._slots.newest)
        if copied and (copied.identity != state.identity or copied.progress > state.progress):
            other = "with other settings" if copied.identity != state.identity else f"further on, at step {copied.step}"
            raise ColorlibError(f"it holds a training {other}, which is left alone. To go on from it, start again")
        if copied is None or copied.saved != state.saved:
            self._slots.put(state, data)

    def _say(self, text):
        tqdm.write(f"{self.folder.name}: {text}")
