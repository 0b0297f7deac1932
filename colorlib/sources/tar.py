"""Tar archives read from any header on, by byte ranges; `tarfile` does the reading.

A tar archive is a chain: a header of 512 bytes, the content, zeros up to a multiple of 512, the next header; no index.
Links and devices are passed over, never followed.
"""

import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

from colorlib import ColorlibError

BLOCK = tarfile.BLOCKSIZE


class ArchiveError(ColorlibError):
    """What is wrong with an archive, and with which member."""


class _Header(tarfile.TarInfo):
    """A header that must be one: `tarfile` alone takes a damaged one in the middle of an archive for the end."""

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> tarfile.TarInfo:
        try:
            return super().fromtarfile(archive)
        except (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError) as error:
            raise tarfile.ReadError(f"no tar header at byte {archive.offset:,}, where one must be: {error}") from None


class RangeFile:
    """A source as the file that `tarfile` reads: from byte `position` on, `first` bytes by the first request, then at
    least `ahead` bytes by each."""

    def __init__(self, source, position: int = 0, first: int = BLOCK, ahead: int = BLOCK):
        self._source, self._position, self._next, self._ahead = source, position, first, ahead
        self._buffer, self._start = b"", position  # what was read, and where in the archive it begins

    def tell(self) -> int:
        return self._position

    def seek(self, position: int) -> None:
        self._position = position

    def read(self, number: int) -> bytes:
        """The next `number` bytes, fewer at the end."""
        start, stop = self._position, self._position + number
        kept = self._buffer[start - self._start :] if start >= self._start else b""
        if len(kept) < number:
            end = start + len(kept)
            kept += self._source.read(end, max(end + self._next, stop))
            self._buffer, self._start, self._next = kept, start, self._ahead
        data = kept[:number]
        self._position += len(data)
        return data


def padded(size: int) -> int:
    """The bytes of a content together with the zeros that fill its last block."""
    return -(-size // BLOCK) * BLOCK


def parse(block: bytes) -> tarfile.TarInfo | None:
    """The header in a block of 512 bytes, if its `ustar` magic and its checksum say that it is one."""
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape") if block[257:262] == b"ustar" else None
    except tarfile.HeaderError:
        return None


def find_header(data: bytes) -> int | None:
    """The first multiple of 512 at which `data` holds a whole header; None where it holds none."""
    return next((start for start in range(0, len(data), BLOCK) if parse(data[start : start + BLOCK])), None)


def members(file, name: str, is_wanted: Callable = lambda member: True) -> Iterator[tuple[tarfile.TarInfo, bytes]]:
    """The plain files of the archive `name` from where `file` stands, at a header, with their contents; those that are
    not wanted with None.

    is_wanted: called with each `tarfile.TarInfo`. Raises `ArchiveError` where the archive is damaged.
    """
    try:
        with tarfile.TarFile(fileobj=file, tarinfo=_Header) as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # or memory grows with the archive
                if member.isreg():
                    yield member, archive.extractfile(member).read() if is_wanted(member) else None
    except tarfile.TarError as error:
        raise ArchiveError(
            f"{name} is damaged: {error}. Run it again, or try a mirror (the setting `mirror`)."
        ) from None


def safe_path(folder: Path, name: str, archive: str) -> Path:
    """Where a member belongs below `folder`. Raises `ArchiveError` if its name could lead anywhere else."""
    try:
        if tarfile.data_filter(tarfile.TarInfo(name), folder).name == name:
            return folder / name
        reason = "it is absolute"
    except (tarfile.FilterError, ValueError) as error:
        reason = str(error)
    raise ArchiveError(f"{archive}: the name of member {name!r} is refused ({reason}); nothing of it was written.")
