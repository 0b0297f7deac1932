"""Archives are read from any header on; what is damaged is refused, and nothing is written elsewhere."""

import io
import tarfile
import tracemalloc

import made_up
import pytest

from colorlib.sources import http, tar
from colorlib.sources.tar import ArchiveError, RangeFile, safe_path

FILES = {f"top/class_{i % 3}/{i:04}.jpg": bytes([i]) * (i * 37 % 1500) for i in range(40)}
LONG = "top/" + "long/" * 30 + "größe.jpg"
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
ARCHIVE = made_up.tar(FILES)


class Bytes:
    """What `RangeFile` asks of a source, with the stretches that were read."""

    def __init__(self, data: bytes):
        self.data, self.log = data, []

    def read(self, start, stop):
        self.log.append((start, stop))
        return self.data[start:stop]


def read_all(data: bytes, position: int = 0, **sizes) -> dict[str, bytes]:
    file = RangeFile(Bytes(data), position, **sizes)
    return {member.name: content for member, content in tar.members(file, "test.tar")}


def header(name="a.jpg", size=0, kind=tarfile.REGTYPE, link="") -> bytes:
    """One header with whatever is asked for, its checksum right."""
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = size, kind, link
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("sizes", [{}, {"first": 5000, "ahead": 700}, {"first": 1 << 20}])
def test_members_and_contents_are_those_that_tarfile_finds(kind, sizes):
    files = FILES | ({LONG: b"far away"} if kind != "ustar" else {})
    assert read_all(made_up.tar(files, FORMATS[kind]), **sizes) == files


def test_offsets_from_any_header_on_are_those_of_tarfile():
    with tarfile.open(fileobj=io.BytesIO(ARCHIVE)) as opened:
        expected = [(member.name, member.size, member.offset, member.offset_data) for member in opened]
    for i in (0, 1, 20, 39):
        file = RangeFile(Bytes(ARCHIVE), expected[i][2])
        found = [(m.name, m.size, m.offset, m.offset_data) for m, _ in tar.members(file, "test.tar")]
        assert found == expected[i:]


def test_only_wanted_contents_are_read_and_the_others_jumped_over():
    source = Bytes(made_up.tar({"long.txt": bytes(100_000), "a.txt": b"wanted"}))
    members = list(tar.members(RangeFile(source), "t", lambda member: member.name == "a.txt"))
    assert [(member.name, data) for member, data in members] == [("long.txt", None), ("a.txt", b"wanted")]
    assert sum(stop - start for start, stop in source.log) < 10_000


def test_a_file_by_ranges_is_read_like_any_file(tmp_path):
    (tmp_path / "a").write_bytes(ARCHIVE)
    file, plain = RangeFile(http.Source(tmp_path / "a"), 0, 3000, 1000), io.BytesIO(ARCHIVE)
    for position, number in ((0, 512), (512, 5000), (600, 10), (20_000, 1), (19_999, 4000), (len(ARCHIVE) - 3, 99)):
        file.seek(position)
        plain.seek(position)
        assert file.read(number) == plain.read(number)
        assert file.tell() == plain.tell()


def test_a_header_is_found_from_any_byte_on():
    with tarfile.open(fileobj=io.BytesIO(ARCHIVE)) as opened:
        starts = [member.offset for member in opened]
    for at in range(0, starts[-1] + 1, 512):
        assert at + tar.find_header(ARCHIVE[at:]) == next(start for start in starts if start >= at)
    assert tar.find_header(ARCHIVE[starts[-1] + 512 :]) is None
    assert tar.find_header(b"ustar" * 1000) is None
    wrong = bytearray(ARCHIVE[:512])
    wrong[3] ^= 1
    assert tar.parse(bytes(wrong)) is None


END = bytes(1024)
DAMAGED = {
    "no header where one must be": header("a.jpg", 5) + b"photo".ljust(512, b"\0") + b"x" * 512 + END,
    "a header with a wrong checksum": header() + header("b.jpg").replace(b"b.jpg", b"c.jpg") + header("d.jpg") + END,
    "half a header": header() + header("b.jpg")[:140],
    "none at all": b"x" * 2000,
    "more bytes than there are": header("top/big.jpg", size=10**6) + bytes(2000),
    "8 exabytes": header("top/huge.jpg", size=2**62) + END,
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_archive_is_no_short_one(case):
    with pytest.raises(ArchiveError, match=r"test\.tar is damaged: "):
        read_all(DAMAGED[case])


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_passed_over(kind):
    odd = header("top/odd.jpg", kind=kind, link="../../../etc/passwd")
    assert read_all(odd + made_up.tar({"a.jpg": b"photo"})) == {"a.jpg": b"photo"}


@pytest.mark.parametrize("name", ["/etc/passwd", "../up.jpg", "a/../../up.jpg", "..", "a\0b", "//etc/passwd"])
def test_names_that_lead_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(ArchiveError, match="refused"):
        safe_path(tmp_path, name, "test.tar")


def test_good_names_are_not_refused(tmp_path):
    for name in ("data_256/a/größe 1.jpg", "caf\udce9.jpg"):
        assert safe_path(tmp_path, name, "t") == tmp_path / name


def test_a_link_that_lies_in_the_destination_is_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "inside"
    folder.mkdir()
    (folder / "class").symlink_to(outside)
    with pytest.raises(ArchiveError, match=r"class/1\.jpg.*outside"):
        safe_path(folder, "class/1.jpg", "test.tar")


def test_memory_is_flat_over_many_members():
    def peak_of(number):
        data = header("top/empty.jpg") * number
        tracemalloc.start()
        try:
            assert sum(1 for _ in tar.members(io.BytesIO(data), "t")) == number
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    assert peak_of(10_000) < peak_of(500) + 50_000
