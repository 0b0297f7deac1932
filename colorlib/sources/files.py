"""Files written whole or not at all: aside, then put in place.

A disk that is full, read-only or gone becomes one clear sentence.
"""

import contextlib
import errno
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

from colorlib import ColorlibError

# Where Colab mounts Google Drive: a mount point without spaces, for drive.mount refuses any other.
DRIVE = Path("/content/drive")
VANISHED = (errno.ENOTCONN, errno.ESTALE)  # the whole mount, not one file


@contextlib.contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which takes its place when the block ends, and is gone when the block fails."""
    # Of one name, so that what a killed process left is written over; and short, for a name may have 255 bytes.
    part = path.with_name(f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.part")
    try:
        yield part
        part.replace(path)
    finally:
        with contextlib.suppress(OSError):
            part.unlink()


def write_whole(path: Path, data: bytes) -> None:
    """Write a file that outlasts a power cut: at any moment its place holds all of the old or all of the new one.

    Raises OSError.
    """
    with aside(path) as part, part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def put(path: Path, data: bytes) -> None:
    """Write a file whole or not at all, and its folder. It need not outlast a power cut: photos are checked when used.

    Raises `ColorlibError` where the disk fails.
    """
    with disk_errors(path.parent):
        path.parent.mkdir(parents=True, exist_ok=True)
        with aside(path) as part:
            part.write_bytes(data)


@contextlib.contextmanager
def disk_errors(path: Path | str):
    """A context in which a full disk, a read-only folder or a vanished mount becomes one clear `ColorlibError`."""
    try:
        yield
    except OSError as error:
        told = f"{error.filename or path}: {error.strerror or error}"
        raise ColorlibError(f"{told}. What was finished is intact; set that right and run it again.") from error


def on_drive(folder: Path) -> bool:
    """Whether a folder lies on the mounted Google Drive, where reading or writing many small files takes hours."""
    return folder.resolve().is_relative_to(DRIVE.resolve())
