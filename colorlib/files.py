"""Files written whole or not at all: aside, verified, then put in place; and others rewritten in place."""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which takes its place when the block ends, and is gone when the block fails."""
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that outlasts a power cut: at any moment its place holds all of the old or all of the new one.

    Raises OSError, also when what was written reads back differently.
    """
    with aside(path) as part:
        with part.open("wb") as file:
            _write(file, data)
        _verify(part, data)
    with contextlib.suppress(OSError):  # not every file system can
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)  # the new name, too, must last
        finally:
            os.close(folder)


def rewrite(path: Path, data: bytes) -> None:
    """Write over a file in place, and verify it. Raises OSError; the file is torn then."""
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o644), "r+b") as file:
        _write(file, data)
        file.truncate()
    _verify(path, data)


def _write(file, data):
    file.write(data)
    file.flush()
    os.fsync(file.fileno())


def _verify(path, data):
    if path.read_bytes() != data:
        raise OSError(errno.EIO, "what was written reads back differently")
