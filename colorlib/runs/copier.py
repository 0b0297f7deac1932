"""Copies of a run's checkpoints in a second folder that outlasts the session, such as Google Drive."""

from pathlib import Path

from tqdm.auto import tqdm

from colorlib import ColorlibError
from colorlib.runs.checkpoint import Slots, State, reason


class Copier:
    """Copies the latest checkpoint of a run to a second folder: a large one takes seconds, once in ten minutes.

    folder: <second folder>/runs/<run>. The second folder must be there: a missing one is a Drive that is not mounted,
    and is not made. The copies are rewritten in place: Drive moves what is deleted or renamed over to its trash, where
    it fills the quota.

    What fails is said, and tried again with the next checkpoint. Nothing is ever raised.
    """

    def __init__(self, folder: Path):
        self.folder, self._home = folder, "/".join(folder.parts[-4:-2])
        self._slots = self._failed = None

    def copy(self, state: State, data: bytes) -> None:
        """Copy this checkpoint, unless it is there already."""
        try:
            self._copy(state, data)
            self._failed = None
        except Exception as error:  # whatever it is: training goes on, and the copy is tried again
            self._failed = state, data
            self._say(f"copying to {self._home} fails: {reason(error)}. Training goes on; it is tried again.")

    def finish(self) -> None:
        """Try the last checkpoint once more where that failed, and say so if it fails again."""
        if self._failed:
            self.copy(*self._failed)
        if self._failed:
            advice = f"See that {self._home} can be reached and has room, then train again: only the copy is made."
            self._say(f"the last checkpoint is NOT in {self._home}, and may be lost with this session. {advice}")

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
