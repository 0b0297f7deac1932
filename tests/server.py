"""A small web server for the tests: byte ranges honored, ignored or refused, and the faults that real ones show.

Python's own http.server knows no ranges. Files are anything with a length and slices: bytes, a memory map, or an
archive that is made up as it is asked for.
"""

import contextlib
import http.server
import mmap
import re
import socket
import sys
import threading
import time
from pathlib import Path


class Server:
    """Serve `files`, name -> content, on a free port of this machine, as a context.

    ranges: "honored", "ignored" (always 200 and everything) or "refused" (416). fault: called with (number, name,
    start, stop) of each request, the first being number 0; gives None, or a dictionary of what is to go wrong: `status`
    (with `headers`), `cut` (bytes after which the connection drops), `stall` (seconds without a byte, after `cut`
    bytes), `flip` (the byte of the file that comes wrong), `extra` (bytes too many), `short` (bytes too few, with a
    length that fits them), `redirect` (another address), `from` (the byte at which a 206 begins instead), `one byte` (a
    range is answered by 200 and that byte), `sent` (more headers of the answer).
    delay: seconds before each answer. rate: bytes a second, at most, over all connections together; 0: no limit.
    """

    def __init__(self, files: dict, ranges: str = "honored", fault=None, delay: float = 0.0, rate: float = 0.0):
        self.files = {name: _mapped(content) for name, content in files.items()}
        self.ranges, self.fault, self.delay = ranges, fault or (lambda *request: None), delay
        self.rate, self.free_at = rate, 0.0
        self.log, self.sent, self.at_once, self.most_at_once = [], 0, 0, 0
        self.lock = threading.Lock()

    def __enter__(self) -> "Server":
        handler = type("Handler", (_Handler,), {"owner": self})
        self._http = _HTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/"
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(self, *error) -> None:
        self._http.shutdown()
        self._http.server_close()

    @property
    def asked(self) -> int:
        """Bytes of contents that were asked for: what would have come without any fault."""
        return sum(stop - start for _, start, stop in self.log)


class _HTTPServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address) -> None:
        if not isinstance(sys.exception(), ConnectionError):  # the other side went away: tests do that all the time
            super().handle_error(request, client_address)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *args) -> None:
        pass

    def do_GET(self) -> None:
        owner = self.owner
        with owner.lock:
            owner.at_once += 1
            owner.most_at_once = max(owner.most_at_once, owner.at_once)
        try:
            self._answer(owner, self.path.lstrip("/"))
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True
        finally:
            with owner.lock:
                owner.at_once -= 1

    def _answer(self, owner: Server, name: str) -> None:
        if name not in owner.files:
            return self._plain(404)
        content = owner.files[name]
        asked = re.fullmatch(r"bytes=(\d+)-(\d+)", self.headers.get("Range", ""))
        by_range = asked is not None and owner.ranges == "honored"
        start, stop = (int(asked[1]), min(int(asked[2]) + 1, len(content))) if by_range else (0, len(content))
        with owner.lock:
            number = len(owner.log)
            owner.log.append((name, start, stop))
        fault = owner.fault(number, name, start, stop) or {}
        if owner.delay:
            time.sleep(owner.delay)
        if "redirect" in fault:
            return self._plain(302, {"Location": fault["redirect"]})
        if "status" in fault:
            return self._plain(fault["status"], fault.get("headers", {}))
        if (asked and owner.ranges == "refused") or (by_range and start >= len(content)):
            return self._plain(416, {"Content-Range": f"bytes */{len(content)}"})
        total, start, stop = len(content), fault.get("from", start), max(start, stop - fault.get("short", 0))
        if "one byte" in fault and by_range:
            by_range, stop = False, start + 1
        self.send_response(206 if by_range else 200)
        for key, value in fault.get("sent", {}).items():
            self.send_header(key, value)
        if by_range:
            self.send_header("Content-Range", f"bytes {start}-{stop - 1}/{total}")
        self.send_header("Content-Length", str(stop - start + fault.get("extra", 0)))
        self.end_headers()
        self._send(owner, content, start, stop, fault)

    def _send(self, owner: Server, content, start: int, stop: int, fault: dict) -> None:
        position, end = start, min(stop, start + fault.get("cut", 1 << 62))
        while position < end:
            piece = bytes(content[position : min(end, position + (1 << 18))])
            wrong = fault.get("flip", -1) - position
            if 0 <= wrong < len(piece):
                piece = piece[:wrong] + bytes([piece[wrong] ^ 0x55]) + piece[wrong + 1 :]
            self.wfile.write(piece)
            position += len(piece)
            with owner.lock:
                owner.sent += len(piece)
                now = time.monotonic()
                owner.free_at = max(now, owner.free_at) + (len(piece) / owner.rate if owner.rate else 0)
            if owner.rate:
                time.sleep(owner.free_at - now)
        self.wfile.write(b"x" * fault.get("extra", 0))
        if "stall" in fault:
            time.sleep(fault["stall"])
        if "cut" in fault or "stall" in fault:
            self.wfile.flush()
            self.close_connection = True
            with contextlib.suppress(OSError):  # the other side was faster
                self.connection.shutdown(socket.SHUT_RDWR)

    def _plain(self, status: int, headers: dict | None = None) -> None:
        self.send_response(status)
        for key, value in (headers or {}).items():
            self.send_header(key, value)
        self.send_header("Content-Length", "0")
        self.end_headers()


def _mapped(content):
    if isinstance(content, Path):
        with content.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    return content
