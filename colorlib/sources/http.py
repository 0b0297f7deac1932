"""Bytes of an address, a URL or a file on disk: whole, resumed and verified, or stretches of them."""

import contextlib
import hashlib
import re
import threading
from pathlib import Path
from time import sleep

import requests
import urllib3
from tqdm.auto import tqdm

from colorlib import ColorlibError
from colorlib.sources import files

AT_ONCE = 8  # requests to one server at a time, at most
TIMEOUT = (10, 30)  # seconds to connect, and without a single byte before a connection counts as stalled
TRIES = 8  # failures in a row, without one new byte in between, before giving up
LONGEST_WAIT = 120.0  # seconds between two tries, whatever Retry-After asks
CHUNK = 1 << 15  # bytes that a cut connection can cost at most


class _Cut(Exception):
    """A failure that may pass: the reason, and the seconds that the server asked to wait."""

    def __init__(self, reason: str, wait: float = 0.0):
        super().__init__(reason)
        self.wait = wait


class Source:
    """A file of bytes at an address: a path, or an http(s) URL, by byte ranges where the server has them.

    `size`, if given, is the published number of bytes: another one raises `ColorlibError` at the first contact. What
    was read is counted in `bytes_read` and `requests`. Safe to use from several threads.
    """

    def __init__(self, address: str | Path, size: int | None = None):
        self.address = str(address)
        self.name = self.address.rstrip("/").rpartition("/")[2]
        self.is_remote = re.match(r"https?://", self.address) is not None
        self.bytes_read = self.requests = 0
        self._published, self._size, self._ranges, self._version = size, None, True, None
        self._meeting, self._counting = threading.Lock(), threading.Lock()
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=AT_ONCE))

    @property
    def size(self) -> int:
        """Bytes of the whole file."""
        self._meet()
        return self._size

    @property
    def ranges(self) -> bool:
        """Whether any stretch can be read by itself. Where not, `chunks` reads and drops what lies before it."""
        self._meet()
        return self._ranges

    def read(self, start: int, stop: int) -> bytes:
        """The bytes [start, stop), or fewer at the end of the file."""
        return b"".join(self.chunks(start, stop))

    def chunks(self, start: int, stop: int):
        """Yield the bytes [start, stop), cut to the file's size, in pieces of at most `CHUNK`.

        Goes on where a connection was cut and waits where a server asks for it. Raises `ColorlibError` after `TRIES`
        failures in a row, and at once for what no waiting can mend, such as 404.
        """
        stop, failures = min(stop, self.size), 0
        while start < stop:
            try:
                for chunk in self._over_http(start, stop) if self.is_remote else self._from_disk(start, stop):
                    if chunk:
                        start, failures = start + len(chunk), 0
                        yield chunk
                if start < stop:
                    raise _Cut(f"the connection ended {stop - start:,} bytes early")
            except _Cut as cut:
                failures += 1
                self._pause(failures, cut)

    def ahead(self, start: int, first: int, more: int):
        """Chunks from byte `start` on: of `first` bytes, then, if somebody wants more, of `more` at a time."""
        stop = start + first
        while start < self.size:
            chunks = self.chunks(start, stop)
            try:
                while (chunk := next(chunks, None)) is not None:
                    yield chunk
            finally:
                for _ in chunks:  # to its end, so that the connection serves the next request
                    pass
            start, stop = stop, stop + more

    def _meet(self):
        """Learn size and range support, once: from the disk, or by a request for the first byte."""
        with self._meeting:
            failures = 0
            while self._size is None:
                try:
                    self._size = self._ask_size() if self.is_remote else self._file_size()
                except _Cut as cut:
                    failures += 1
                    self._pause(failures, cut)
        if self._published not in (None, self._size):
            raise ColorlibError(
                f"{self.name} has {self._size:,} bytes at {self.address}; {self._published:,} were published. "
                "Another version, or a damaged copy: try a mirror (the setting `mirror`)."
            )

    def _file_size(self) -> int:
        with files.disk_errors(self.address):
            if not Path(self.address).is_file():
                raise ColorlibError(f"There is no file {self.address}. Check the path; on Colab, is Drive mounted?")
            return Path(self.address).stat().st_size

    def _ask_size(self) -> int:
        """The size that a 206 tells. One that only a whole answer's length tells, or that there are no ranges, is
        believed when it comes twice: a single faulty answer must not decide over everything that follows."""
        lengths = set()
        for _ in range(2):
            self._ranges = True
            with self._request(0, 1) as response:
                self._ranges = response.status_code == 206
                if self._ranges:
                    self._count(len(response.content))
                    self._version = response.headers.get("Last-Modified")
                    return self._size_in(response, 0)
                if "Content-Length" not in response.headers:
                    raise ColorlibError(f"{self.address} tells neither its size nor byte ranges. Try a mirror.")
                lengths.add(int(response.headers["Content-Length"]))
        if len(lengths) > 1:
            raise _Cut("the server tells two sizes")
        return lengths.pop()

    def _from_disk(self, start: int, stop: int):
        with files.disk_errors(self.address), Path(self.address).open("rb") as file:
            file.seek(start)
            while start < stop and (chunk := file.read(min(CHUNK, stop - start))):
                start += len(chunk)
                self._count(len(chunk))
                yield chunk
        if start < stop:
            raise ColorlibError(f"{self.address} became shorter while it was read.")

    def _over_http(self, start: int, stop: int):
        with self._request(start, stop) as response:
            position = start if response.status_code == 206 else 0
            if response.status_code == 206 and self._size_in(response, start) != self._size:
                raise ColorlibError(f"{self.address} changed its size while it was read. Start again.")
            if self._ranges and response.status_code == 200 and (start, stop) != (0, self._size):
                raise _Cut("the server answered a byte range with the whole file")
            try:
                for chunk in response.iter_content(CHUNK):
                    self._count(len(chunk))
                    wanted = chunk[max(0, start - position) : max(0, stop - position)]
                    position += len(chunk)
                    yield wanted
                    if position >= stop:
                        return
            except requests.RequestException as error:
                raise _Cut(_plainly(error)) from None

    def _request(self, start: int, stop: int) -> requests.Response:
        """An answer of 200 or 206. Raises `_Cut` for what may pass, `ColorlibError` for what will not."""
        headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-{stop - 1}"} if self._ranges else {})
        self._count(0, requests=1)
        try:
            response = self._session.get(self.address, headers=headers, stream=True, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise _Cut(_plainly(error)) from None
        status = response.status_code
        if status in (200, 206):
            return response
        response.close()
        if self._size is None and self._ranges and status in (400, 405, 416, 501):  # ranges refused: ask without
            self._ranges = False
            return self._request(start, stop)
        if status in (408, 429) or status >= 500:
            raise _Cut(f"the server answered {status} {response.reason}", _retry_after(response))
        raise ColorlibError(
            f"{self.address} answers {status} {response.reason}. The archive may have moved: try a mirror, or a copy "
            "on disk (the setting `mirror`)."
        )

    def _size_in(self, response: requests.Response, start: int) -> int:
        """The whole file's size that a 206 tells. Raises `_Cut` if the range or the file is not the one asked for."""
        told = re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", response.headers.get("Content-Range", ""))
        if told is None or int(told[1]) != start:
            raise _Cut(f"the server sent another range than asked for ({response.headers.get('Content-Range')})")
        if self._version and response.headers.get("Last-Modified", self._version) != self._version:
            raise ColorlibError(f"{self.address} changed while it was read. Start again.")
        return int(told[3])

    def _count(self, number: int, requests: int = 0):
        with self._counting:
            self.bytes_read += number
            self.requests += requests

    def _pause(self, failures: int, cut: _Cut):
        if failures >= TRIES:
            raise ColorlibError(
                f"{self.address}: {cut}, {failures} times in a row. What was finished is kept: run it again later, or "
                "try a mirror (the setting `mirror`)."
            )
        wait = min(LONGEST_WAIT, max(cut.wait, 0.5 * 2**failures))
        if wait > 5:
            tqdm.write(f"{self.name}: {cut}; trying again in {wait:.0f} s.")
        sleep(wait)


def fetch(source: Source, target: Path, sha256: str, progress: bool = True) -> Path:
    """The whole of `source` as the file `target`, with its SHA-256 verified. Nothing happens where it is there already.

    Collects `target`.partial and goes on with that one after an interruption; only what is whole and verified gets the
    name. Raises `ColorlibError` if the disk is too small, the bytes are not the published ones, or they cannot be had.
    """
    partial = target.with_name(target.name + ".partial")
    with files.disk_errors(target.parent):
        if target.exists() and target.stat().st_size == source.size:
            return target
        target.parent.mkdir(parents=True, exist_ok=True)
        have = partial.stat().st_size if partial.exists() else 0
        files.require_space(target.parent, source.size - have, source.name)
        with partial.open("ab+") as file:
            if have > source.size:
                file.truncate(have := 0)
            if have and not source.ranges:
                tqdm.write(f"{source.name}: the server ignores byte ranges, so that {have:,} bytes come once more.")
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256")
            with bar(source.size, have, source.name, progress) as done:
                for chunk in source.chunks(have, source.size):
                    file.write(chunk)
                    digest.update(chunk)
                    done.update(len(chunk))
        if digest.hexdigest() != sha256:
            partial.unlink()
            raise ColorlibError(
                f"{source.name} from {source.address} is damaged: its SHA-256 is {digest.hexdigest()}, published is "
                f"{sha256}. It was deleted. Run it again, or try a mirror (the setting `mirror`)."
            )
        partial.replace(target)
    return target


def verify(source: Source, sha256: str, progress: bool = True) -> None:
    """Raise `ColorlibError` unless the SHA-256 of the whole of `source` is the published one."""
    digest = hashlib.sha256()
    with bar(source.size, 0, f"verifying {source.name}", progress) as done:
        for chunk in watched(source.chunks(0, source.size), done):
            digest.update(chunk)
    if digest.hexdigest() != sha256:
        raise ColorlibError(
            f"{source.address} is damaged: its SHA-256 is {digest.hexdigest()}, published is {sha256}. Get it again."
        )


def bar(total: int, initial: int = 0, name: str = "", progress: bool = True) -> tqdm:
    """A progress bar of bytes, with speed and time left."""
    return tqdm(
        total=total,
        initial=initial,
        desc=name,
        unit="B",
        unit_scale=True,
        disable=not progress,
        leave=False,
        mininterval=0.5,
    )


def watched(chunks, done: tqdm):
    """The same chunks, counted in a progress bar."""
    for chunk in chunks:
        done.update(len(chunk))
        yield chunk


def _retry_after(response: requests.Response) -> float:
    """Seconds that a server asks to wait, by a number or a date; 0 where it does not ask."""
    with contextlib.suppress(urllib3.exceptions.InvalidHeader):
        return urllib3.Retry().get_retry_after(response.raw) or 0.0
    return 0.0


def _plainly(error: requests.RequestException) -> str:
    """The kind of a network failure in words; `requests`' own messages hold objects and addresses in memory."""
    if isinstance(error, requests.Timeout) or "timed out" in str(error).lower():
        return "the connection stalled"
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection was cut"
    if isinstance(error, requests.ConnectionError):
        return "the server cannot be reached or dropped the connection"
    return type(error).__name__
