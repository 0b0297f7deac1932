"""Archives are hostile until read: what is refused, that nothing is written elsewhere, and that memory stays flat."""

import gzip
import io
import itertools
import tarfile
import tracemalloc
import zlib

import made_up
import pytest

from colorlib.sources import tar
from colorlib.sources.tar import ArchiveError, Reader, safe_path

FILES = {f"top/class_{i % 3}/{i:04}.jpg": bytes([i]) * (i * 37 % 1500) for i in range(40)}
LONG = "top/" + "long/" * 30 + "größe.jpg"
FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def read_all(data: bytes, piece: int = 1000, wanted=None) -> dict[str, bytes]:
    chunks = (data[i : i + piece] for i in range(0, len(data), piece))
    return {member.name: content for member, content in tar.read(chunks, "test.tar", wanted)}


def header(name="a.jpg", size=0, kind=tarfile.REGTYPE, link="") -> bytes:
    """One header with whatever is asked for, its checksum right."""
    member = tarfile.TarInfo(name)
    member.size, member.type, member.linkname = size, kind, link
    return member.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def with_field(block: bytes, start: int, field: bytes) -> bytes:
    """The header with a field replaced, and its checksum right again."""
    block = block[:start] + field + block[start + len(field) :]
    total = sum(block[:148]) + 8 * 32 + sum(block[156:512])
    return block[:148] + b"%06o\0 " % total + block[156:]


END = bytes(1024)


@pytest.mark.parametrize("kind", FORMATS)
def test_members_and_contents_are_those_that_tarfile_finds(kind):
    files = FILES | ({LONG: b"far away"} if kind != "ustar" else {})
    assert read_all(made_up.tar(files, FORMATS[kind])) == files


@pytest.mark.parametrize("kind", FORMATS)
def test_offsets_are_those_of_tarfile(kind):
    data = made_up.tar(FILES, FORMATS[kind])
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        expected = [(member.name, member.size, member.offset, member.offset_data) for member in tar]
    found = [(m.name, m.size, m.start, m.offset) for m, _ in tar.read([data], "test.tar")]
    assert found == expected


def test_times_in_pax_headers_do_no_harm():
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in FILES.items():
            member = tarfile.TarInfo(name)
            member.size, member.mtime = len(data), 1234.5678  # as `tar.add` does: not an integer, so an extended header
            tar.addfile(member, io.BytesIO(data))
    assert read_all(out.getvalue()) == FILES


def test_only_wanted_members_are_given():
    wanted = list(FILES)[5:7]
    found = read_all(made_up.tar(FILES), wanted=wanted)
    assert list(found) == list(FILES)
    assert {name: data for name, data in found.items() if data is not None} == {name: FILES[name] for name in wanted}


def test_a_header_is_found_from_any_byte_on():
    data = made_up.tar(FILES)
    starts = [member.start for member, _ in tar.read([data], "test.tar")]
    for at in range(0, starts[-1] + 1, 512):
        assert at + tar.find_header(data[at:]) == next(start for start in starts if start >= at)
    assert tar.find_header(data[starts[-1] + 512 :]) is None
    assert tar.find_header(b"ustar" * 1000) is None
    wrong = bytearray(data[:512])
    wrong[3] ^= 1
    assert tar.parse(bytes(wrong)) is None


LINK = header("top/link.jpg", kind=tarfile.SYMTYPE, link="/etc/passwd")
HOSTILE = {
    "a symbolic link": (LINK, "top/link.jpg.*symbolic link"),
    "a hard link": (header("top/hard.jpg", kind=tarfile.LNKTYPE, link="../../x"), "top/hard.jpg.*hard link"),
    "a character device": (header("top/null", kind=tarfile.CHRTYPE), "top/null.*device"),
    "a block device": (header("top/disk", kind=tarfile.BLKTYPE), "top/disk.*device"),
    "a pipe": (header("top/pipe", kind=tarfile.FIFOTYPE), "top/pipe.*pipe"),
    "a sparse file": (header("top/sparse", kind=tarfile.GNUTYPE_SPARSE), "top/sparse.*unknown type"),
    "more bytes than there are": (header("top/big.jpg", size=10**6) + bytes(2000), "top/big.jpg.*1,000,000 bytes"),
    "8 exabytes": (header("top/huge.jpg", size=2**62), "top/huge.jpg.*claims"),
    "a negative size, to overlap": (
        with_field(header("top/back.jpg"), 124, b"\xff" * 11 + b"\x00"),
        "top/back.jpg.*cannot hold|no tar header",
    ),
    "an endless name": (header("././@LongLink", size=10**9, kind=b"L"), "LongLink.*1,000,000,000 bytes"),
    "a pax header without end": (header("PaxHeaders/x", size=10**9, kind=b"x"), "PaxHeaders/x.*1,000,000,000 bytes"),
    "a pax header with nonsense": (
        header("PaxHeaders/x", size=9, kind=b"x") + b"no number".ljust(512, b"\0"),
        "damaged",
    ),
    "a pax size that is none": (
        header("PaxHeaders/x", size=12, kind=b"x") + b"12 size=-99\n".ljust(512, b"\0") + header("top/neg.jpg"),
        "top/neg.jpg.*-99",
    ),
    "the same name twice": (header("top/two.jpg") * 2, "top/two.jpg.*twice"),
    "no header where one must be": (header() + b"x" * 512, "no tar header at byte 512"),
    "half a header": (header()[:140], "no tar header at byte 0"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_members_are_refused_by_name(case):
    data, words = HOSTILE[case]
    with pytest.raises(ArchiveError, match=f"test.tar: .*({words})"):
        read_all(data + END)


NAMES = [
    "/etc/passwd",
    "../up.jpg",
    "a/../../up.jpg",
    "..",
    "a/./b.jpg",
    "",
    "a//b.jpg",
    "C:/x.jpg",
    "a\\b.jpg",
    "a\nb.jpg",
]


@pytest.mark.parametrize("name", [*NAMES, "a\0b", "\x1b[2J", "x" * 300, "caf\udce9.jpg", "a/\u202egpj.exe"])
def test_names_that_could_lead_elsewhere_are_refused(tmp_path, name):
    with pytest.raises(ArchiveError, match="refused"):
        safe_path(tmp_path, name, "test.tar")


def test_good_names_are_not_refused(tmp_path):
    assert safe_path(tmp_path, "./data_256/a/größe 1.jpg", "t") == tmp_path / "data_256" / "a" / "größe 1.jpg"


def test_a_link_that_lies_in_the_destination_is_not_followed(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    folder = tmp_path / "inside"
    folder.mkdir()
    (folder / "class").symlink_to(outside)
    with pytest.raises(ArchiveError, match=r"class/1\.jpg.*outside"):
        safe_path(folder, "class/1.jpg", "test.tar")


def peak_of(function) -> int:
    """Bytes of memory that a call needed at its height."""
    tracemalloc.start()
    try:
        function()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_memory_is_flat_over_many_empty_members():
    one = header("top/empty.jpg")
    few, many = (
        peak_of(lambda number=number: sum(1 for _ in tar.read(itertools.repeat(one * 64, number), "t", wanted=())))
        for number in (10, 200)  # 12,800 members
    )
    assert many < few + 50_000


def test_memory_is_flat_over_a_large_member_that_nobody_wants():
    def chunks():
        yield header("top/big.jpg", size=200 << 20)
        yield from itertools.repeat(bytes(1 << 20), 200)
        yield END

    assert peak_of(lambda: list(tar.read(chunks(), "t", wanted=()))) < 8 << 20


def test_a_wanted_member_that_is_no_photo_by_its_size_is_refused():
    with pytest.raises(ArchiveError, match=r"top/big\.jpg.*no photo has so many"):
        list(tar.read([header("top/big.jpg", size=1 << 40)], "t"))


def test_gzip_is_read_in_any_pieces():
    data = made_up.tar(FILES)
    for packed in (gzip.compress(data), gzip.compress(data[:5000]) + gzip.compress(data[5000:])):
        for piece in (1, 1000, len(packed)):
            pieces = [packed[i : i + piece] for i in range(0, len(packed), piece)]
            assert b"".join(tar.gunzip(pieces, "t")) == data


def test_a_gzip_bomb_is_stopped_in_flat_memory():
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    packed = b"".join(deflate.compress(bytes(1 << 20)) for _ in range(100)) + deflate.flush()

    def explode():
        with pytest.raises(ArchiveError, match=r"bomb\.tar\.gz swells"):
            for _ in tar.gunzip([packed], "bomb.tar.gz"):
                pass

    assert peak_of(explode) < 8 << 20


def test_damaged_and_cut_gzip_is_told():
    packed = gzip.compress(made_up.tar(FILES))
    with pytest.raises(ArchiveError, match="cut short"):
        list(tar.gunzip([packed[:-100]], "t"))
    with pytest.raises(ArchiveError, match="damaged"):
        list(tar.gunzip([packed[:200] + bytes(50) + packed[250:]], "t"))


def test_a_reader_gives_any_portions():
    reader = Reader([b"abc", b"", b"defg", b"h"], position=10)
    assert (reader.read(2), reader.peek(3), reader.read(4), reader.skip(1), reader.read(9)) == (
        b"ab",
        b"cde",
        b"cdef",
        1,
        b"h",
    )
    assert reader.position == 18
    assert reader.skip(5) == 0
