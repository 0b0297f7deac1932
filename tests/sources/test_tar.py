"""Archives are read from any header on; what is damaged is refused, and nothing is written elsewhere."""

import io
import tarfile

import made_up
import pytest

from colorlib.sources import http, tar
from colorlib.sources.tar import ArchiveError, Reader, safe_path

FILES = {f"top/class_{i % 3}/{i:04}.jpg": bytes([i]) * (i * 37 % 1500) for i in range(40)}
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}
ARCHIVE = made_up.tar(FILES)


class Bytes:
    """What `Reader` asks of a source, with the stretches that were read."""

    name = "test.tar"

    def __init__(self, data: bytes):
        self.data, self.log, self.size = data, [], len(data)

    def read(self, start, stop):
        self.log.append((start, stop))
        return self.data[start:stop]


def read_all(data: bytes, start: int = 0, **sizes) -> dict[str, bytes]:
    reader = Reader(Bytes(data), **sizes)
    return {member.name: reader.read(member.offset_data, member.size) for member in reader.members(start, len(data))}


def header(name="a.jpg", size=0, kind=tarfile.REGTYPE, link="") -> bytes:
    """One header with whatever is asked for, its checksum right."""
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = size, kind, link
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("sizes", [{}, {"first": 5000, "ahead": 700}, {"first": 1 << 20}])
def test_members_and_contents_are_those_that_tarfile_finds(kind, sizes):
    assert read_all(made_up.tar(FILES, FORMATS[kind]), **sizes) == FILES


def members_of(archive: bytes) -> list[tuple]:
    with tarfile.open(fileobj=io.BytesIO(archive)) as opened:
        return [(member.name, member.size, member.offset, member.offset_data) for member in opened]


def test_members_from_any_byte_on_are_those_of_tarfile():
    expected, source = members_of(ARCHIVE), Bytes(ARCHIVE)
    for start in range(0, len(ARCHIVE), 512):
        members = Reader(source).members(start, len(ARCHIVE))
        assert [(m.name, m.size, m.offset, m.offset_data) for m in members] == [m for m in expected if m[2] >= start]
    stop = expected[20][2]
    assert [member.offset for member in Reader(source).members(0, stop)] == [member[2] for member in expected[:20]]


def test_contents_that_nobody_reads_are_jumped_over():
    source = Bytes(made_up.tar({"long.txt": bytes(100_000), "a.txt": b"wanted"}))
    reader = Reader(source)
    assert [member.name for member in reader.members(0, source.size)] == ["long.txt", "a.txt"]
    assert sum(stop - start for start, stop in source.log) < 10_000


def test_any_bytes_are_read_like_those_of_a_file(tmp_path):
    (tmp_path / "a").write_bytes(ARCHIVE)
    reader, size = Reader(http.Source(tmp_path / "a"), 3000, 1000), len(ARCHIVE)
    for position, number in ((0, 512), (512, 5000), (600, 10), (20_000, 1), (19_999, 4000), (size - 3, 99), (size, 9)):
        assert reader.read(position, number) == ARCHIVE[position : position + number]


def test_a_header_is_told_by_its_magic_and_its_checksum():
    assert tar.parse(ARCHIVE[:512]).name == "top/class_0/0000.jpg"
    wrong = bytearray(ARCHIVE[:512])
    wrong[3] ^= 1
    for block in (bytes(wrong), b"ustar" * 1000, ARCHIVE[:511], bytes(512), b""):
        assert tar.parse(block) is None


END = bytes(1024)
DAMAGED = {
    "no header where one must be": header("a.jpg", 5) + b"photo".ljust(512, b"\0") + b"x" * 512 + END,
    "a header with a wrong checksum": header() + header("b.jpg").replace(b"b.jpg", b"c.jpg") + header("d.jpg") + END,
    "half a header": header() + header("b.jpg")[:140],
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_archive_is_no_short_one(case):
    with pytest.raises(ArchiveError, match=r"test\.tar has no tar header at byte .*Run it again"):
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
    with pytest.raises(ArchiveError, match=r"class/1\.jpg.*refused"):
        safe_path(folder, "class/1.jpg", "test.tar")
