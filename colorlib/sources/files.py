"""Files written whole or not at all: aside, then put in place.

A disk that is full, read-only or gone becomes one clear sentence, and its free space is asked for beforehand.
"""

import contextlib
import errno
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

from colorlib import ColorlibError

_DISK_ERRORS = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT), "the disk is full"),
    errno.EROFS: "the disk is read-only",
    **dict.fromkeys((errno.EACCES, errno.EPERM), "there is no permission"),
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR), "a file is in the way of a folder"),
    **dict.fromkeys((errno.ENOTCONN, errno.ESTALE, errno.EIO), "the mount has vanished (was Drive disconnected?)"),
}
# Where Colab mounts Google Drive: a mount point without spaces, for drive.mount refuses any other.
DRIVE = Path("/content/drive")
VANISHED = (errno.ENOTCONN, errno.ESTALE)  # the whole mount, not one file


@contextlib.contextmanager
def aside(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which takes its place when the block ends, and is gone when the block fails."""
    # A name of 255 bytes has no room for more, and threads write several files at a time.
    part = path.with_name(f".{path.name[-30:]}.{os.getpid()}-{threading.get_ident()}.part")
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


def require_space(folder: Path, number: int, what: str) -> None:
    """Raise `ColorlibError` unless the disk of `folder` (which may not exist yet) has room for `number` bytes more."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < number:
        raise ColorlibError(
            f"{what} needs {number / 1e9:.2f} GB more, and {folder} has {free / 1e9:.2f} GB free. Make room, or choose "
            "another folder (the setting `data_folder`) or a smaller fraction."
        )


@contextlib.contextmanager
def disk_errors(path: Path | str):
    """A context in which a full disk, a read-only folder or a vanished mount becomes one clear `ColorlibError`."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise ColorlibError(
            f"{path}: {_DISK_ERRORS[error.errno]}. What was finished is intact; set that right and run it again."
        ) from error


def on_drive(folder: Path) -> bool:
    """Whether a folder lies on the mounted Google Drive, where reading or writing many small files takes hours."""
    return folder.resolve().is_relative_to(DRIVE.resolve())
