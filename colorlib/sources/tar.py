"""Safe, selective reading of tar archives, member by member, local or remote. An archive is hostile until it is read.

A tar archive is a chain: a header of 512 bytes, the content, zeros up to a multiple of 512, the next header; no index.
Only plain files and folders are accepted. Links, devices, names that lead elsewhere and sizes beyond the archive are
refused, and the error names the member. Memory holds one member at a time.
"""

import dataclasses
import itertools
import tarfile
import zlib
from collections.abc import Container, Iterable, Iterator
from pathlib import Path

from colorlib import ColorlibError

BLOCK = 512
LARGEST = 64 << 20  # bytes of one member that is to be read: no photograph comes near
FEW = 100  # members of an archive of lists, at most
LONGEST_HEADER = 1 << 16  # bytes of an extended header, which holds a long name
BOMB = 50  # decompressed bytes for one compressed byte, beyond the first 16 MB: photographs hardly shrink
_FILES, _FOLDER, _GLOBAL = (tarfile.REGTYPE, tarfile.AREGTYPE), tarfile.DIRTYPE, tarfile.XGLTYPE
_MAGIC = (b"ustar\x0000", b"ustar  \x00")  # with the version: POSIX's, GNU's
_LONGER = (tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME)
_KINDS = {b"1": "a hard link", b"2": "a symbolic link", b"3": "a device", b"4": "a device", b"6": "a pipe"}


class ArchiveError(ColorlibError):
    """What is wrong with an archive, and with which member."""


@dataclasses.dataclass(frozen=True, slots=True)
class Member:
    """A plain file: its (first) header starts at byte `start` of the archive, its content at `offset`."""

    name: str
    size: int
    start: int
    offset: int

    @property
    def end(self) -> int:
        """The byte where the next header starts."""
        return self.offset + padded(self.size)


def padded(size: int) -> int:
    """The bytes of a content together with the zeros that fill its last block."""
    return -(-size // BLOCK) * BLOCK


class Reader:
    """Chunks of bytes, read in any portions. `position` is the byte of the archive that comes next."""

    def __init__(self, chunks: Iterable[bytes], position: int = 0):
        self.position = position
        self._chunks, self._buffer = iter(chunks), bytearray()

    def peek(self, number: int) -> bytes:
        """The next `number` bytes, fewer at the end, without going on."""
        while len(self._buffer) < number and (chunk := next(self._chunks, None)) is not None:
            self._buffer += chunk
        return bytes(self._buffer[:number])

    def read(self, number: int) -> bytes:
        """The next `number` bytes, fewer at the end."""
        data = self.peek(number)
        del self._buffer[: len(data)]
        self.position += len(data)
        return data

    def skip(self, number: int) -> int:
        """Go on by `number` bytes, in flat memory. Returns by how many it went: fewer at the end."""
        left = number
        while left and (data := self.read(min(left, 1 << 20))):
            left -= len(data)
        return number - left


def parse(block: bytes) -> tarfile.TarInfo | None:
    """The header in the first 512 bytes, if its `ustar` magic and its checksum say that it is one."""
    if block[257:262] != b"ustar":
        return None
    try:
        return tarfile.TarInfo.frombuf(block[:BLOCK], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None


def find_header(data: bytes) -> int | None:
    """The first offset, a multiple of 512, at which `data` holds a whole header; None where it holds none."""
    at = data.find(b"ustar")
    while at != -1:
        start = at - 257
        if start >= 0 and start % BLOCK == 0 and start + BLOCK <= len(data) and parse(data[start : start + BLOCK]):
            return start
        at = data.find(b"ustar", at + 1)
    return None


def has_damaged_header(data: bytes) -> bool:
    """Whether a block of `data` has a header's magic, but not its checksum: bytes came wrong."""
    blocks = (data[start : start + BLOCK] for start in range(0, len(data) - BLOCK + 1, BLOCK))
    return any(block[257:265] in _MAGIC and parse(block) is None for block in blocks)


def members(reader: Reader, archive: str, total: int | None = None) -> Iterator[Member]:
    """The plain files of an archive in its order, from a header on; `total`, its number of bytes where that is known.

    After each the reader stands at its content, to be read or not. Raises `ArchiveError` for what is no clean archive.
    """
    renamed, start = {}, reader.position
    while any(block := reader.read(BLOCK)):
        info = parse(block)
        if info is None:
            raise ArchiveError(
                f"{archive}: no tar header at byte {start:,}, where one must be; the archive is damaged."
            )
        name, size, at = renamed.get("path", info.name), int(renamed.get("size", info.size)), reader.position
        end = at + (0 if info.type == _FOLDER else padded(size))
        if size < 0 or (total is not None and end > total):
            raise ArchiveError(f"{archive}: member {name!r} claims {size:,} bytes, which the archive cannot hold.")
        if info.type in _LONGER:
            renamed |= _extended(archive, info, reader)
        elif info.type in _FILES:
            yield Member(name, size, start, at)
        elif info.type not in (_FOLDER, _GLOBAL):
            kind = _KINDS.get(info.type, f"of the unknown type {info.type!r}")
            raise ArchiveError(f"{archive}: member {name!r} is {kind}; only files and folders are accepted.")
        reader.skip(end - reader.position)
        if reader.position < end:
            raise ArchiveError(f"{archive}: member {name!r} claims {size:,} bytes, and the archive ends before them.")
        if info.type not in _LONGER:
            renamed, start = {}, reader.position


def content(reader: Reader, member: Member, archive: str) -> bytes:
    """The content of the member at which the reader stands."""
    if member.size > LARGEST:
        raise ArchiveError(f"{archive}: member {member.name!r} claims {member.size:,} bytes; no photo has so many.")
    data = reader.read(member.size)
    if len(data) < member.size:
        raise ArchiveError(
            f"{archive}: member {member.name!r} claims {member.size:,} bytes, and only {len(data):,} are there."
        )
    return data


def safe_path(folder: Path, name: str, archive: str) -> Path:
    """Where a member belongs below `folder`. Raises `ArchiveError` if its name could lead anywhere else."""
    parts = name.removeprefix("./").split("/")
    odd = any(not part or part in (".", "..") or len(part.encode("utf-8", "replace")) > 255 for part in parts)
    if odd or "\\" in name or parts[0][1:2] == ":" or not name.isprintable():
        raise ArchiveError(f"{archive}: member {name!r} has a name that is refused; nothing of it was written.")
    path = folder.joinpath(*parts)
    if not path.parent.resolve().is_relative_to(folder.resolve()):
        raise ArchiveError(
            f"{archive}: member {name!r} would be written outside {folder.name}, through a link; refused."
        )
    return path


def read(chunks: Iterable[bytes], archive: str, wanted: Container[str] | None = None) -> Iterator[tuple[Member, bytes]]:
    """The members of a whole archive: the wanted ones (None: all), by name, with their contents, the others with None.

    Raises `ArchiveError` if a wanted name comes twice: which one would be the photo?
    """
    reader, came = Reader(chunks), set()
    for member in members(reader, archive):
        if wanted is not None and member.name not in wanted:
            yield member, None
            continue
        if member.name in came:
            raise ArchiveError(f"{archive}: member {member.name!r} comes twice.")
        came.add(member.name)
        yield member, content(reader, member, archive)


def named(source, names) -> dict[str, bytes]:
    """The contents of some of an archive's few members, by their file names, jumping over the others."""
    found = {}
    for member, reader in itertools.islice(_one_by_one(source), FEW):
        if (name := member.name.rpartition("/")[2]) in names:
            found[name] = content(reader, member, source.name)
            if len(found) == len(names):
                break
    return found


def gunzip(chunks: Iterable[bytes], archive: str) -> Iterator[bytes]:
    """Decompressed chunks of a gzip stream. Raises `ArchiveError` if it is damaged, cut short or swells like a bomb."""
    inflate, came, went = zlib.decompressobj(31), 0, 0
    for chunk in chunks:
        came += len(chunk)
        while chunk:
            if inflate.eof and not chunk.startswith(b"\x1f"):
                return  # what follows the last stream is padding
            inflate = zlib.decompressobj(31) if inflate.eof else inflate
            try:
                data = inflate.decompress(chunk, 1 << 20)
            except zlib.error as error:
                raise ArchiveError(f"{archive} is damaged after {went:,} bytes ({error}).") from None
            went += len(data)
            if went > BOMB * came + (16 << 20):
                raise ArchiveError(f"{archive} swells to more than {BOMB} times its size: no archive of photos does.")
            yield data
            chunk = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
    if not inflate.eof:
        raise ArchiveError(f"{archive} is cut short after {came:,} bytes.")


def _extended(archive: str, info: tarfile.TarInfo, reader: Reader) -> dict[str, str]:
    """The name and size that an extended header (GNU's long name, or a pax header) gives the member after it."""
    if info.size > LONGEST_HEADER:
        raise ArchiveError(f"{archive}: the extended header {info.name!r} claims {info.size:,} bytes; refused.")
    data, found = reader.read(info.size), {}
    if info.type == tarfile.GNUTYPE_LONGNAME:
        return {"path": data.rstrip(b"\0").decode("utf-8", "surrogateescape")}
    try:
        while data:
            length = int(data[: data.index(b" ")])
            key, value = data[data.index(b" ") + 1 : length - 1].split(b"=", 1)
            if key in (b"path", b"size"):
                found[key.decode()] = value.decode("utf-8", "surrogateescape")
            data = data[length:] if length > 0 else b""
        int(found.get("size", 0))
    except ValueError:
        raise ArchiveError(f"{archive}: the extended header {info.name!r} is damaged.") from None
    return found


def _one_by_one(source):
    """Each member with a reader that stands at its content; by ranges, contents come only when they are read."""
    if not source.ranges:
        reader = Reader(source.chunks(0, source.size))
        yield from ((member, reader) for member in members(reader, source.name, source.size))
        return
    position = 0
    while True:
        reader = Reader(source.ahead(position, 4 * BLOCK, 4 * BLOCK), position)
        member = next(members(reader, source.name, source.size), None)
        if member is None:
            return
        yield member, Reader(source.ahead(member.offset, padded(member.size), BLOCK), member.offset)
        position = member.end
