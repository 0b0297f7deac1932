"""Getting bytes from servers that fail in every way, and onto disks that do."""

import gzip
import hashlib
import random
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest
from server import Server

from colorlib import ColorlibError
from colorlib.sources import http
from colorlib.sources.http import CHUNK, Source, fetch

CONTENT = random.Random(0).randbytes(300_001)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(autouse=True)
def waits(monkeypatch):
    """The seconds that would have been waited; nobody waits."""
    waited = []
    monkeypatch.setattr(http, "sleep", waited.append)
    monkeypatch.setattr("urllib3.util.retry.time", SimpleNamespace(sleep=waited.append, time=time.time))
    monkeypatch.setattr(http, "TIMEOUT", (2, 0.3))
    return waited


def serve(**how):
    return Server({"file": CONTENT}, **how)


def once(**fault):
    """This fault at the first request for more than the first byte."""
    state = []

    def apply(number, name, start, stop):
        if stop - start > 1 and not state:
            state.append(number)
            return fault
        return None

    return apply


@pytest.mark.parametrize("stretch", [(0, 1), (0, 300_001), (511, 513), (299_999, 300_001), (7, 7), (299_000, 400_000)])
def test_any_stretch_of_a_file(stretch):
    with serve() as server:
        source = Source(server.url + "file")
        assert source.read(*stretch) == CONTENT[slice(*stretch)]
        assert source.size == len(CONTENT)


def test_a_file_on_disk_is_a_source_too(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT)
    source = Source(tmp_path / "file")
    assert (source.read(5, 100_000), source.size) == (CONTENT[5:100_000], len(CONTENT))
    with pytest.raises(ColorlibError, match=r"no file .*absent"):
        _ = Source(tmp_path / "absent").size


@pytest.mark.parametrize("cut", [0, 1, 511, 512, CHUNK - 1, CHUNK, CHUNK + 1, 100_000, 300_000])
def test_a_cut_connection_goes_on_where_it_stopped(cut):
    with serve(fault=once(cut=cut)) as server:
        source = Source(server.url + "file")
        assert source.read(0, len(CONTENT)) == CONTENT
        assert server.sent <= len(CONTENT) + 1 + CHUNK  # the first byte, and at most one chunk that was lost


def test_connections_cut_again_and_again(waits):
    with serve(fault=lambda number, name, start, stop: {"cut": 40_000} if stop - start > 40_000 else None) as server:
        assert Source(server.url + "file").read(0, len(CONTENT)) == CONTENT
    assert waits
    assert max(waits) <= 1.0  # each brought something new, so that the waits do not grow


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_a_server_that_is_busy_is_asked_again(status, waits):
    with serve(fault=once(status=status, headers={"Retry-After": "86400"})) as server:
        assert Source(server.url + "file").read(0, 1000) == CONTENT[:1000]
    assert not waits  # the second try comes at once, those after it later and later


def test_a_server_that_stays_down_is_given_up_with_advice(waits):
    with serve(fault=lambda *request: {"status": 504}) as server:
        with pytest.raises(ColorlibError, match=r"504 .*mirror"):
            Source(server.url + "file")
        assert len(server.log) == http.TRIES
    assert waits == [2, 4, 8, 16, 32, 64]


def test_what_waiting_cannot_mend_is_said_at_once(waits):
    with serve() as server, pytest.raises(ColorlibError, match=r"/gone cannot be read: 404.*mirror"):
        Source(server.url + "gone").read(0, 10)
    assert not waits
    with pytest.raises(ColorlibError, match=r"9/file cannot be read: .*refused.*mirror"):
        Source("http://127.0.0.1:9/file").read(0, 10)


def test_a_stalled_connection_is_noticed():
    with serve(fault=once(cut=1000, stall=1.0)) as server:
        assert Source(server.url + "file").read(0, len(CONTENT)) == CONTENT


def test_a_connection_that_is_cut_at_the_first_contact():
    with serve(fault=lambda number, *request: {"cut": 0} if number == 0 else None) as server:
        assert Source(server.url + "file").read(5, 10) == CONTENT[5:10]


def test_too_many_bytes_are_not_taken():
    with serve(fault=once(extra=5000)) as server:
        assert Source(server.url + "file").read(10, 2000) == CONTENT[10:2000]


@pytest.mark.parametrize("short", [1, 511, 1990])
def test_too_few_bytes_are_asked_for_again(short):
    with serve(fault=once(short=short)) as server:
        assert Source(server.url + "file").read(10, 2000) == CONTENT[10:2000]


def test_a_redirect_is_followed():
    with serve() as server:
        moved = Server({"old": b""}, fault=lambda *request: {"redirect": server.url + "file"})
        with moved:
            source = Source(moved.url + "old")
            assert source.read(1000, 2000) == CONTENT[1000:2000]
            assert source.size == len(CONTENT)


def test_a_redirect_loop_costs_few_requests(waits):
    with Server({"old": b""}, fault=lambda *request: {"redirect": "/old"}) as server:
        with pytest.raises(ColorlibError, match=r"redirects.*mirror"):
            Source(server.url + "old")
        assert len(server.log) < 40
    assert not waits


def test_the_published_size_is_checked_first(tmp_path):
    with serve() as server:
        with pytest.raises(ColorlibError, match=r"300,001 bytes.*300,000 were published"):
            Source(server.url + "file", published=300_000)
        assert server.sent <= 1


@pytest.mark.parametrize("encoding", ["gzip", "x-gzip"])
def test_a_content_encoding_is_not_undone(tmp_path, encoding):
    """Apache sends .tar.gz files so: the published bytes are those that are sent."""
    packed = gzip.compress(CONTENT)
    with Server({"a.tar.gz": packed}, fault=lambda *request: {"sent": {"Content-Encoding": encoding}}) as server:
        path = fetch(Source(server.url + "a.tar.gz"), tmp_path / "a", hashlib.sha256(packed).hexdigest(), False)
    assert path.read_bytes() == packed


@pytest.mark.parametrize("begin", [0, 100_000, 199_000])
def test_a_206_from_an_earlier_byte_is_read_past(tmp_path, begin):
    def early(number, name, start, stop):
        return {"from": begin} if start >= 200_000 else None

    (tmp_path / "file").write_bytes(CONTENT[:200_000])
    with serve(fault=early) as server:
        fetch(Source(server.url + "file"), tmp_path / "file", SHA256, progress=False)
    assert (tmp_path / "file").read_bytes() == CONTENT


@pytest.mark.parametrize("begin", [0, 199_000, 200_050])
def test_a_stretch_from_elsewhere_is_asked_for_again_and_then_told(begin):
    """A server that sends all of a large archive for a small part of it is not listened to."""
    with serve(fault=lambda n, name, start, stop: {"from": begin} if start > 1 else None) as server:
        source = Source(server.url + "file")
        with pytest.raises(
            ColorlibError, match=rf"byte 200,000: .* 8 tries, status 206.*from byte {begin:,} on.*mirror"
        ):
            source.read(200_000, 200_100)
        assert source.bytes_read == 0


def test_a_range_answered_by_200_and_one_byte():
    with serve(fault=lambda number, *request: {"one byte": True} if number else None) as server:
        source = Source(server.url + "file")
        with pytest.raises(ColorlibError, match=r"byte 10: .*status 200: 1 bytes.*mirror"):
            source.read(10, 20)


@pytest.mark.parametrize(
    "how", [{"ranges": "ignored"}, {"ranges": "refused"}, {"fault": lambda *_: {"one byte": True}}]
)
def test_a_server_without_byte_ranges_is_refused_with_advice(how):
    with serve(**how) as server, pytest.raises(ColorlibError, match=r"file: its server sends no byte ranges.*`mirror`"):
        Source(server.url + "file")


def test_no_more_than_eight_at_a_time_and_everything_is_counted():
    with serve(delay=0.01) as server:
        source = Source(server.url + "file")
        with ThreadPoolExecutor(http.AT_ONCE) as pool:
            pieces = list(pool.map(lambda i: source.read(1000 * i, 1000 * i + 1000), range(100)))
        assert b"".join(pieces) == CONTENT[:100_000]
        assert server.most_at_once <= 8
        assert source.bytes_read == server.sent - 1 == 100_000
        assert len(server.log) == 101


# Whole files.


@pytest.mark.parametrize(
    "fault", [{}, {"cut": 70_000}, {"status": 500}, {"cut": 9, "stall": 0.6}, {"extra": 99}, {"short": 9}]
)
def test_a_whole_file_is_fetched_and_verified(tmp_path, fault):
    with serve(fault=once(**fault)) as server:
        path = fetch(Source(server.url + "file"), tmp_path / "deep" / "file", SHA256, progress=False)
    assert path.read_bytes() == CONTENT
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]


def test_an_interrupted_fetch_goes_on_and_a_finished_one_asks_for_nothing(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT[:123_456])
    with serve() as server:
        fetch(Source(server.url + "file"), tmp_path / "file", SHA256, progress=False)
        assert server.asked == len(CONTENT) - 123_456 + 1
        requests = len(server.log)
        fetch(Source(server.url + "file"), tmp_path / "file", SHA256, progress=False)
        assert len(server.log) == requests + 1  # for the size alone
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_a_file_that_is_too_long_is_deleted_and_begun_anew(tmp_path):
    (tmp_path / "file").write_bytes(CONTENT + b"more")
    with serve() as server:
        with pytest.raises(ColorlibError, match="SHA-256"):
            fetch(Source(server.url + "file"), tmp_path / "file", SHA256, progress=False)
        fetch(Source(server.url + "file"), tmp_path / "file", SHA256, progress=False)
    assert (tmp_path / "file").read_bytes() == CONTENT


def test_flipped_bytes_are_found_and_nothing_is_left_that_looks_finished(tmp_path):
    with serve(fault=once(flip=200_000)) as server:
        with pytest.raises(ColorlibError, match=r"damaged.*SHA-256.*deleted"):
            fetch(Source(server.url + "file"), tmp_path / "file", SHA256, progress=False)
        assert list(tmp_path.iterdir()) == []
        assert fetch(Source(server.url + "file"), tmp_path / "file", SHA256, progress=False).read_bytes() == CONTENT
