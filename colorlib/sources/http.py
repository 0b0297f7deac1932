"""Bytes of a URL or of a file on disk: any stretch of them, or the whole file, verified and resumed.

What a request can meet (no answer, 5xx, Retry-After) is tried again by urllib3. What it cannot know is done here: a
body that is cut in the middle goes on from there, and an answer other than the stretch asked for is not taken for it.
"""

import contextlib
import functools
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
REDIRECTS = 5
READ_PAST = 1 << 20  # bytes before a stretch of a larger file that are read and dropped rather than asked again
CHUNK = 1 << 15  # bytes that a cut connection can cost at most
MAY_PASS = (408, 429, 500, *range(502, 600))  # statuses worth a second try; 501 is not
ADVICE = "What was finished is kept: run it again later, or try a mirror or a copy on disk (the setting `mirror`)."

bar = functools.partial(tqdm, unit="B", unit_scale=True, leave=False, mininterval=0.5)  # of bytes: speed and time left


class _Retry(urllib3.Retry):
    """urllib3's, but it says so where it waits long, and no Retry-After makes it wait for hours or fail."""

    def sleep(self, response=None) -> None:
        asked = 0.0
        with contextlib.suppress(urllib3.exceptions.InvalidHeader):
            asked = (response and self.get_retry_after(response)) or 0.0
        _wait(asked or self.get_backoff_time(), f"status {response.status}" if response else "no answer")


class _WrongAnswer(Exception):
    """An answer that is not the stretch of the file that was asked for."""


class Source:
    """A file of bytes at an address: a path, or an http(s) URL, by byte ranges where the server has them.

    `size` is that of the whole file; where `published` is another one, `ColorlibError` is raised. `ranges`: whether any
    stretch can be read by itself; where not, `chunks` reads and drops what lies before it. `bytes_read` counts what
    came. Safe to use from several threads.
    """

    def __init__(self, address: str | Path, published: int | None = None):
        self.address = str(address)
        self.name = re.split(r"[/\\]", self.address.rstrip("/"))[-1]
        self.is_remote = re.match(r"https?://", self.address) is not None
        self.bytes_read, self._counting = 0, threading.Lock()
        self._session = requests.Session()
        self._session.max_redirects = REDIRECTS
        retry = _Retry(TRIES - 1, backoff_factor=1, status_forcelist=MAY_PASS, raise_on_status=False)
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, requests.adapters.HTTPAdapter(pool_maxsize=AT_ONCE, max_retries=retry))
        self.size, self.ranges, self._modified = self._ask_server() if self.is_remote else self._ask_disk()
        if published not in (None, self.size):
            raise ColorlibError(
                f"{self.address} has {self.size:,} bytes, and {published:,} were published: another version, a damaged "
                "copy, or no archive at all. Try a mirror or a copy on disk (the setting `mirror`)."
            )

    def read(self, start: int, stop: int) -> bytes:
        """The bytes [start, stop), or fewer at the end of the file."""
        return b"".join(self.chunks(start, stop))

    def chunks(self, start: int, stop: int):
        """Yield the bytes [start, stop), cut to the file's size, in pieces of at most `CHUNK`.

        Goes on where a connection was cut. Raises `ColorlibError` after `TRIES` failures in a row, and at once for what
        no waiting can mend, such as 404.
        """
        stop, failures = min(stop, self.size), 0
        while start < stop:
            before, reason = start, "the connection ended early"
            try:
                for chunk in self._from_server(start, stop) if self.is_remote else self._from_disk(start, stop):
                    start += len(chunk)
                    yield chunk
            except (_WrongAnswer, urllib3.exceptions.HTTPError) as error:
                reason = _plainly(error)
            if start < stop:
                failures = 1 if start > before else failures + 1
                if failures == TRIES:
                    raise ColorlibError(f"{self.address}: {reason}, {failures} times in a row. {ADVICE}")
                _wait(0.5 * 2**failures, reason)

    def _ask_disk(self) -> tuple[int, bool, None]:
        with files.disk_errors(self.address):
            if not Path(self.address).is_file():
                raise ColorlibError(f"There is no file {self.address}. Check the path; on Colab, is Drive mounted?")
            return Path(self.address).stat().st_size, True, None

    def _ask_server(self) -> tuple[int, bool, str | None]:
        """Size, ranges and version. Ranges are believed in when byte 1 comes as byte 1, and given up only when they
        fail twice: a single odd answer must not decide over everything that follows."""
        for _ in range(2):
            with self._get("bytes=1-1", refusable=True) as response:
                first, size = _stretch_in(response)
                if response.status_code == 206 and first == 1:
                    with contextlib.suppress(urllib3.exceptions.HTTPError):
                        self._count(response.raw.read(1))
                    return size, True, response.headers.get("Last-Modified")
        with self._get() as response:
            if (size := _stretch_in(response)[1]) < 0:
                raise ColorlibError(f"{self.address} tells neither its size nor byte ranges. Try a mirror.")
            return size, False, response.headers.get("Last-Modified")

    def _from_disk(self, start: int, stop: int):
        with files.disk_errors(self.address), Path(self.address).open("rb") as file:
            file.seek(start)
            while start < stop and (chunk := file.read(min(CHUNK, stop - start))):
                start += len(chunk)
                yield self._count(chunk)
        if start < stop:
            raise ColorlibError(f"{self.address} became shorter while it was read. Run it again.")

    def _from_server(self, start: int, stop: int):
        """The bytes of one answer that lie in [start, stop), as they are: no Content-Encoding is undone."""
        with self._get(f"bytes={start}-{stop - 1}" if self.ranges else "") as response:
            status, (position, size) = response.status_code, _stretch_in(response)
            is_far = start - position > READ_PAST and self.ranges and stop < self.size
            if not 0 <= position <= start or is_far or (status == 200 and size != self.size):
                answer = f"status {status}: {size:,} bytes, from byte {position:,} on"
                raise _WrongAnswer(f"the server was asked for bytes {start:,} to {stop:,} and answered with {answer}")
            if size != self.size or len({self._modified, response.headers.get("Last-Modified")} - {None}) > 1:
                raise ColorlibError(f"{self.address} changed while it was read. Run it again.")
            for chunk in response.raw.stream(CHUNK, decode_content=False):
                self._count(chunk)
                yield chunk[max(0, start - position) : max(0, stop - position)]
                position += len(chunk)
                if position >= stop:
                    return

    def _get(self, stretch: str = "", refusable: bool = False) -> requests.Response:
        """An answer of 200 or 206, or of 4xx where that is `refusable`. Raises `ColorlibError` after all tries."""
        headers = {"Accept-Encoding": "identity"} | ({"Range": stretch} if stretch else {})
        try:
            response = self._session.get(self.address, headers=headers, stream=True, timeout=TIMEOUT)
        except requests.RequestException as error:
            raise ColorlibError(f"{self.address}: {_plainly(error)}. {ADVICE}") from None
        if response.status_code in (200, 206) or (refusable and 400 <= response.status_code < 500):
            return response
        response.close()
        raise ColorlibError(f"{self.address} answers {response.status_code} {response.reason}. {ADVICE}")

    def _count(self, chunk: bytes) -> bytes:
        with self._counting:
            self.bytes_read += len(chunk)
        return chunk


def fetch(source: Source, target: Path, sha256: str, progress: bool = True) -> Path:
    """The path of the whole of `source`, with its SHA-256 verified: where it lies on disk, or downloaded as `target`.

    Collects `target`.partial and goes on with that one after an interruption; only what is whole and verified gets the
    name. Raises `ColorlibError` if the disk is too small, the bytes are not the published ones, or they cannot be had.
    """
    with files.disk_errors(target.parent):
        if source.is_remote and target.exists() and target.stat().st_size == source.size:
            return target
        partial = target.with_name(target.name + ".partial")
        if source.is_remote:
            _download(source, partial, progress)
        path = partial if source.is_remote else Path(source.address)
        digest = hashlib.sha256()
        with bar(total=source.size, desc=f"verifying {source.name}", disable=not progress) as done:
            for chunk in Source(path).chunks(0, source.size):
                digest.update(chunk)
                done.update(len(chunk))
        if digest.hexdigest() != sha256:
            partial.unlink(missing_ok=True)
            raise ColorlibError(
                f"{source.name} from {source.address} is damaged: its SHA-256 is {digest.hexdigest()}, published is "
                f"{sha256}. What was downloaded is deleted. Run it again, or try a mirror (the setting `mirror`)."
            )
        return partial.replace(target) if source.is_remote else path


def _download(source: Source, partial: Path, progress: bool) -> None:
    partial.parent.mkdir(parents=True, exist_ok=True)
    with partial.open("ab") as file:
        if (have := file.tell()) > source.size:
            file.truncate(have := 0)
        files.require_space(partial.parent, source.size - have, source.name)
        with bar(total=source.size, initial=have, desc=source.name, disable=not progress) as done:
            for chunk in source.chunks(have, source.size):
                file.write(chunk)
                done.update(len(chunk))


def _stretch_in(response: requests.Response) -> tuple[int, int]:
    """The first byte that an answer holds, and the size of the whole file; -1 for what it does not tell."""
    if response.status_code == 200:
        return 0, int(response.headers.get("Content-Length", -1))
    stretch = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    return (int(stretch[1]), int(stretch[2])) if stretch else (-1, -1)


def _wait(seconds: float, reason: str) -> None:
    seconds = min(seconds, LONGEST_WAIT)
    if seconds > 5:
        tqdm.write(f"The server: {reason}; trying again in {seconds:.0f} s.")
    sleep(seconds)


def _plainly(error: Exception) -> str:
    """A network failure by its name, as words; the libraries' own messages hold objects and addresses in memory."""
    is_ours = isinstance(error, _WrongAnswer)
    return str(error) if is_ours else re.sub(r"(?<!^)(?=[A-Z])", " ", type(error).__name__).lower()
