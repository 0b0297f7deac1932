"""What was done so far, so that an interrupted work goes on where it stopped."""

import contextlib
import dataclasses
import json
import threading
from collections.abc import Callable
from pathlib import Path

from colorlib.sources import files, http


class Journal:
    """Results by name, in a file of JSON lines that only ever grows.

    `task` are the choices behind them: a journal of other ones, or one that cannot be read, is begun anew. A last line
    that a kill has torn is dropped. `bytes_read` counts what all runs together read from the source.
    """

    def __init__(self, path: Path, source: http.Source, task: dict):
        self._path, self._source, self._lock = path, source, threading.Lock()
        entries = []
        with files.disk_errors(path), contextlib.suppress(FileNotFoundError, ValueError):
            entries = [json.loads(line) for line in path.read_bytes().split(b"\n")[:-1]]
        if entries[:1] != [task]:
            entries = [task]
        files.put(path, b"".join(json.dumps(entry).encode() + b"\n" for entry in entries))
        self._results = {entry["name"]: entry["result"] for entry in entries[1:]}
        self._read_before = max((entry["bytes_read"] for entry in entries[1:]), default=0)

    @property
    def bytes_read(self) -> int:
        return self._read_before + self._source.bytes_read

    def once(self, name: str, make: Callable[[], list]) -> list:
        """What `make` gives, as JSON has it; written down at the first time, remembered later."""
        if name not in self._results:
            entry = {"name": name, "result": make(), "bytes_read": self.bytes_read}
            line = json.dumps(entry, default=dataclasses.asdict)
            with self._lock, files.disk_errors(self._path), self._path.open("ab") as file:
                file.write(line.encode() + b"\n")
            self._results[name] = json.loads(line)["result"]
        return self._results[name]
