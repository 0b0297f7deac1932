"""What a sample learned and kept so far, so that it goes on where it stopped."""

import contextlib
import json
import threading
from pathlib import Path

from colorlib.sources import files, http, tar
from colorlib.sources.tar import Member

NO_PHOTOS = 10_000  # photos that are none, until the archive is taken for none of photos


class Journal:
    """What was learned and kept so far, in a file of JSON lines that only ever grows. Torn last lines are dropped.

    `task` are the choices behind it: a journal of other ones is begun anew.
    """

    def __init__(self, path: Path, source: http.Source, task: dict):
        self.path, self.source, self._lock = path, source, threading.Lock()
        self.probes, self.taken, self.in_order, self.skipped, self._read_before = {}, {}, True, 0, 0
        entries = _whole_lines(path)
        if not entries or entries[0] != task:
            entries = [task]
        files.put(path, b"".join(json.dumps(entry).encode() + b"\n" for entry in entries))
        for entry in entries[1:]:
            self._learn(entry)
        self._file = path.open("ab", buffering=0)

    @property
    def bytes_read(self) -> int:
        """By all runs together."""
        return self._read_before + self.source.bytes_read

    def add(self, **entry) -> dict:
        """Remember an entry, and write it before anything builds on it."""
        with self._lock, files.disk_errors(self.path.parent):
            self._file.write(json.dumps(entry | {"read": self.bytes_read}).encode() + b"\n")
            self._learn(entry)
        if "skipped" in entry and self.skipped > NO_PHOTOS:
            raise tar.ArchiveError(
                f"{self.source.name}: {self.skipped:,} photos are none, the last one {entry['name']!r}: "
                f"{entry['skipped']}. Try a mirror."
            )
        return entry

    def close(self) -> None:
        self._file.close()

    def _learn(self, entry: dict) -> None:
        self._read_before = entry.pop("read", self._read_before)
        if "probe" in entry:
            self.probes[entry["probe"]] = [Member(*row) for row in entry["members"]]
        elif "segment" in entry:
            self.taken.setdefault(entry["segment"], []).append(entry)
            self.skipped += "skipped" in entry
        else:
            self.in_order = entry["in_order"]


def _whole_lines(path: Path) -> list[dict]:
    """The entries of a file of JSON lines, up to the first line that is torn."""
    entries = []
    if not path.exists():
        return entries
    with files.disk_errors(path.parent), contextlib.suppress(ValueError):
        for line in path.read_bytes().split(b"\n")[:-1]:
            entries.append(json.loads(line))
    return entries
