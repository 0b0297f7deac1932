"""Tar archives read from any byte on, by byte ranges.

A tar archive is a chain: a header of 512 bytes, the content, zeros up to a multiple of 512, the next header; no index.
A header can be told from any other block by its magic and its checksum. Archives that come whole are read by `tarfile`.
"""

import contextlib
import tarfile
from collections.abc import Iterator
from pathlib import Path

from colorlib import ColorlibError
from colorlib.sources import http

BLOCK = tarfile.BLOCKSIZE


class ArchiveError(ColorlibError):
    """What is wrong with an archive, and with which member."""


def padded(size: int) -> int:
    """The bytes of a content together with the zeros that fill its last block."""
    return -(-size // BLOCK) * BLOCK


def end(member: tarfile.TarInfo) -> int:
    """The byte at which the next member's header begins."""
    return member.offset_data + padded(member.size)


def parse(block: bytes, position: int = 0) -> tarfile.TarInfo | None:
    """The header in the block of 512 bytes at `position`, if its `ustar` magic and its checksum say that it is one."""
    try:
        member = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None
    member.offset, member.offset_data = position, position + BLOCK
    return member if block[257:262] == b"ustar" else None


class Reader:
    """An archive from any byte on: `first` bytes come by the first request, `ahead` at least by each later one."""

    def __init__(self, source, first: int = BLOCK, ahead: int = BLOCK):
        self._source, self._next, self._ahead = source, first, ahead
        self._data, self._start = b"", 0  # what was read last, and where in the archive it begins

    def members(self, start: int, stop: int) -> Iterator[tarfile.TarInfo]:
        """The plain files whose headers lie in [start, stop), up to the archive's end; the first header is looked for.

        Raises `ArchiveError` where the chain breaks.
        """
        while start < stop and not parse(self.read(start, BLOCK)):
            start += BLOCK
        while start < stop and any(block := self.read(start, BLOCK)):
            if (member := parse(block, start)) is None:
                raise ArchiveError(f"{self._source.name} has no tar header at byte {start:,}. {http.ADVICE}")
            start = end(member)
            if member.isreg():
                yield member

    def read(self, start: int, number: int) -> bytes:
        """The `number` bytes from `start` on, fewer at the end."""
        skip = start - self._start
        if skip < 0 or skip + number > len(self._data):
            kept = self._data[skip:] if skip >= 0 else b""
            position = start + len(kept)
            kept += self._source.read(position, max(position + self._next, start + number))
            self._data, self._start, self._next, skip = kept, start, self._ahead, 0
        return self._data[skip : skip + number]


def safe_path(folder: Path, name: str, archive: str) -> Path:
    """Where a member belongs below `folder`. Raises `ArchiveError` if its name could lead anywhere else."""
    with contextlib.suppress(tarfile.FilterError, ValueError):
        if tarfile.data_filter(tarfile.TarInfo(name), folder).name == name:
            return folder / name
    raise ArchiveError(f"{archive}: the name of member {name!r} is refused: it leads elsewhere.")
