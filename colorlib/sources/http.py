"""Bytes of a URL or of a file on disk: any stretch of them, or the whole file, verified and resumed.

What a request can meet (no answer, 5xx, Retry-After) is tried again by urllib3. What it cannot know is done here: a
body that is cut in the middle goes on from there, and an answer other than the stretch asked for is not taken for it.
"""

import contextlib
import hashlib
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import requests
import urllib3
from tqdm.auto import tqdm

from colorlib import ColorlibError

AT_ONCE = 8  # requests to one server at a time, at most
TIMEOUT = (10, 30)  # seconds to connect, and without a single byte before a connection counts as stalled
TRIES = 8  # failures in a row, without one new byte in between, before giving up
LONGEST_WAIT = 120.0  # seconds between two tries
BUSY = (429, 500, 502, 503, 504)  # statuses that waiting may mend
CHUNK = 1 << 15  # bytes that a cut connection can cost at most
ADVICE = "Run it again later (what was finished is kept), or try a mirror or a copy on disk (the setting `mirror`)."


class Source:
    """A file of bytes at an address: a path, or an http(s) URL, read by byte ranges.

    `size` is that of the whole file; `ColorlibError` is raised where `published` is another one, and for a server
    without byte ranges. `bytes_read` counts what was asked for and came. Safe to use from several threads.
    """

    def __init__(self, address: str | Path, published: int | None = None):
        self.is_remote = str(address).startswith(("http://", "https://"))
        self.address = str(address if self.is_remote else Path(address).expanduser())
        self.name = Path(address).name
        self.bytes_read, self._counting = 0, threading.Lock()
        if self.is_remote:
            self.size = self._ask_server()
        elif Path(self.address).is_file():
            self.size = Path(self.address).stat().st_size
        else:
            raise ColorlibError(f"There is no file {self.address}. Check the path; on Colab, is Drive mounted?")
        if published not in (None, self.size):
            raise ColorlibError(f"{self.address} has {self.size:,} bytes, and {published:,} were published. {ADVICE}")

    def read(self, start: int, stop: int) -> bytes:
        """The bytes [start, stop), or fewer at the end of the file."""
        return b"".join(self.chunks(start, stop))

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """Yield the bytes [start, stop), cut to the file's size, in pieces of at most `CHUNK`.

        Raises `ColorlibError` after `TRIES` failures in a row, and at once for what no waiting can mend, such as 404.
        """
        for chunk in (self._from_server if self.is_remote else self._from_disk)(start, min(stop, self.size)):
            with self._counting:
                self.bytes_read += len(chunk)
            yield chunk

    def _from_disk(self, start: int, stop: int) -> Iterator[bytes]:
        with Path(self.address).open("rb") as file:
            file.seek(start)
            while chunk := file.read(max(0, min(CHUNK, stop - file.tell()))):
                yield chunk

    def _ask_server(self) -> int:
        """The size, of a server that sends byte 1 where byte 1 is asked for."""
        # Not as long as Retry-After says, for that may be hours, or nonsense.
        retry = urllib3.Retry(
            TRIES - 1, backoff_factor=1, status_forcelist=BUSY, raise_on_status=False, respect_retry_after_header=False
        )
        self._session = requests.Session()
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, requests.adapters.HTTPAdapter(max_retries=retry))
        with self._get(1, 2) as response:
            first, size = _stretch_in(response)
        if first != 1:
            raise ColorlibError(f"{self.address}: its server sends no byte ranges, only all {size:,} bytes. {ADVICE}")
        return size

    def _from_server(self, start: int, stop: int) -> Iterator[bytes]:
        """Goes on where a connection was cut. The bytes are as they were sent: no Content-Encoding is undone."""
        failures = 0
        while start < stop:
            before = start
            with self._get(start, stop) as response:
                first, size = _stretch_in(response)
                is_earlier = 0 <= first < start and stop == self.size  # then it is read past
                if size == self.size and (first == start or is_earlier):
                    position = first
                    with contextlib.suppress(urllib3.exceptions.HTTPError):
                        for chunk in response.raw.stream(CHUNK, decode_content=False):
                            wanted = chunk[start - position : stop - position]
                            position += len(chunk)
                            start += len(wanted)
                            yield wanted
                            if start == stop:
                                return
            failures = 1 if start > before else failures + 1
            if failures == TRIES:
                answer = f"status {response.status_code}: {size:,} bytes, from byte {first:,} on"
                raise ColorlibError(
                    f"{self.address}, byte {start:,}: no more after {failures} tries, {answer}. {ADVICE}"
                )
            sleep(min(0.5 * 2**failures, LONGEST_WAIT))

    def _get(self, start: int, stop: int) -> requests.Response:
        """An answer, perhaps 416: no such stretch. Raises `ColorlibError` after all tries."""
        headers = {"Accept-Encoding": "identity", "Range": f"bytes={start}-{stop - 1}"}
        try:
            response = self._session.get(self.address, headers=headers, stream=True, timeout=TIMEOUT)
            if response.status_code != 416:
                response.raise_for_status()
            return response
        except requests.RequestException as error:
            raise ColorlibError(f"{self.address} cannot be read: {error}. {ADVICE}") from None


def fetch(source: Source, target: Path, sha256: str, progress: bool = True) -> Path:
    """The path of the whole of `source`, with its SHA-256 verified: where it lies on disk, or downloaded as `target`.

    What an interruption left of `target` is gone on with. Raises `ColorlibError` if the bytes are not the published
    ones or cannot be had, OSError if the disk is full.
    """
    path = target if source.is_remote else Path(source.address)
    if source.is_remote:
        target.parent.mkdir(parents=True, exist_ok=True)
        bar = tqdm(desc=source.name, total=source.size, unit="B", unit_scale=True, disable=not progress)
        with path.open("ab") as file, bar:
            bar.update(file.tell())
            for chunk in source.chunks(file.tell(), source.size):
                bar.update(file.write(chunk))
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest == sha256:
        return path
    if source.is_remote:
        path.unlink()
    what = f"its SHA-256 is {digest}, and {sha256} was published"
    raise ColorlibError(f"{source.address} is damaged: {what}. If it was downloaded, it is deleted. {ADVICE}")


def _stretch_in(response: requests.Response) -> tuple[int, int]:
    """The first byte that an answer holds, and the size of the whole file; -1 for what it does not tell."""
    if response.status_code == 200:
        return 0, int(response.headers.get("Content-Length", -1))
    stretch = re.fullmatch(r"bytes (\d+)-\d+/(\d+)", response.headers.get("Content-Range", ""))
    return (int(stretch[1]), int(stretch[2])) if stretch else (-1, -1)
