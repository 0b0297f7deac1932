"""TIFF as scanners write it: the page that is the photograph, and its samples put in their places.

Pillow knows few of the layouts that TIFF allows, and takes white for black in some. tifffile knows the layouts, but
without a package that few have undoes neither LZW nor odd numbers of bits. So gray, RGB and CMYK are put together here:
tifffile says where the strips and tiles lie, Pillow's libtiff undoes their compression, and NumPy does the rest.
Palettes, Lab, YCbCr, JPEG and fax are left to Pillow. Source: TIFF 6.0 and its supplements.
"""

import io
import itertools
import logging
import struct

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.TiffImagePlugin import TiffImageFile

from colorlib import ColorlibError

HEADS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")  # the last two: BigTIFF
MAX_PIXELS = 12_000 * 12_000
MAX_BYTES = 6 * MAX_PIXELS  # of samples: 16-bit RGB
IS_RAW = "a raw file of a camera: develop it first, as TIFF or JPEG"

# Those that tell about the photograph, not about how the file is laid out: description, maker, ..., EXIF, GPS.
_TELLING_TAGS = {270, 271, 272, 274, 305, 306, 315, 33432, 34665, 34853}
_PAGES = 100  # looked at, at the most
_MODES = {0: "L", 1: "L", 2: "RGB", 5: "CMYK"}  # photometric interpretation: white is zero, black is zero, RGB, CMYK
_PACKED = (1, 5, 8, 32773, 32946, 50000)  # compressions of any bytes: none, LZW, deflate, PackBits, Zstandard
_PILLOWS = (*_PACKED, 2, 3, 4, 6, 7)  # and those that it undoes with the picture: fax and JPEG
_MIRRORED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


class PhotoError(ColorlibError):
    """Why a file is no photograph that can be read: `str(error)` is the reason, and starts with one of
    "missing", "no permission", "empty", "not an image", "a raw file", "a HEIC photo", "a video",
    "cut short", "too many pixels", "no content", "not read" (a kind of TIFF) or "damaged".
    """


def check_size(width: int, height: int, sample_bytes: int = 1) -> None:
    """Raise `PhotoError` for a photo of more pixels, or of more bytes in `sample_bytes` a pixel, than are read."""
    if width * height > min(MAX_PIXELS, MAX_BYTES / sample_bytes):
        most = f"at most {MAX_PIXELS:,} of {MAX_BYTES // MAX_PIXELS} bytes"
        raise PhotoError(f"too many pixels: {width} × {height}, of {most}; make the picture smaller first")


def open_photo(file, notes: list) -> Image.Image:
    """The page of a TIFF file that is the photograph, as an image of Pillow's; gray of more than 8 bits in mode "I;16".

    Notes are added where other pages were passed over. Raises `PhotoError` for what is not read, naming the tag.
    """
    pages = _pages(file)
    if any(50706 in page.tags or page.photometric in (32803, 34892) for page in pages):  # DNG; a sensor's pixels
        raise PhotoError(IS_RAW)
    page = _full_size(pages, notes)
    check_size(page.imagewidth, page.imagelength)
    compression, kind, bits = int(page.compression), int(page.photometric), page.bitspersample
    is_coarse = kind == 6 and compression not in (6, 7) and page.tags.valueof(530, (2, 2)) != (1, 1)
    _refuse(compression not in _PILLOWS, f"compression {compression} (tag 259)")
    _refuse(is_coarse, "YCbCr of fewer colors than pixels, without JPEG (tag 530)")
    is_ours = compression in _PACKED and kind in _MODES and (bits != 32 or page.sampleformat == 3)
    image = _put_together(file, page) if is_ours else _by_pillow(file, page)
    image.info |= _info(file, page)
    return image


def _refuse(is_so: bool, what: str) -> None:
    if is_so:
        raise PhotoError(f"not read: a TIFF with {what}. Save it anew as 8- or 16-bit gray or RGB, uncompressed")


def _pages(file) -> list:
    """The pages of an open file, and those that stand below others, as `tifffile.TiffPage`s."""
    import tifffile  # half a second that only those need who have such files

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    file.seek(0)
    first = list(itertools.islice(tifffile.TiffFile(file).pages, _PAGES))
    return [page for main in first for page in (main, *itertools.islice(main.pages or (), _PAGES))]


def _full_size(pages: list, notes: list):
    """The page that is the photograph: the largest of those that have the first one's shape. Others are noted."""
    whole = [page for page in pages if not page.subfiletype & 5] or pages  # neither a reduced copy nor a mask
    if not whole:
        raise EOFError("the file ends before the tags of its first page")
    width, height = whole[0].imagewidth, whole[0].imagelength
    alike = [p for p in whole if abs(p.imagewidth * height - p.imagelength * width) <= 0.03 * p.imagewidth * height]
    page = max(alike, key=lambda page: page.imagewidth)
    if len(whole) > 1:
        notes.append(f"page {whole.index(page) + 1} of {len(whole)}")
    return page


def _by_pillow(file, page) -> Image.Image:
    file.seek(0)
    data = bytearray(file.read())  # with the page's place as that of the first one, which Pillow takes
    place, size = (8, "Q") if page.parent.is_bigtiff else (4, "L")
    struct.pack_into(page.parent.byteorder + size, data, place, page.offset)
    try:
        return Image.open(io.BytesIO(data), formats=["TIFF"])
    except (UnidentifiedImageError, SyntaxError, KeyError):
        kind = f"{page.bitspersample} bits (tag 258) of photometric interpretation {page.photometric:d} (tag 262)"
        return _refuse(True, kind)


def _put_together(file, page) -> Image.Image:
    """Gray, RGB or CMYK, with transparency where a channel is said to be that; other channels are left out."""
    kind, count, extra = int(page.photometric), page.samplesperpixel, [int(meaning) for meaning in page.extrasamples]
    if 262 not in page.tags:
        kind = 2 if count - len(extra) >= 3 else 1
    mode = _MODES[kind]
    colors = len(mode)
    _refuse(count < colors or (kind == 5 and page.tags.valueof(332, 1) != 1), f"{count} inks (tags 277 and 332)")
    # a: the colors are multiplied by the transparency.
    clear = [(i, " aA"[meaning]) for i, meaning in enumerate(extra, colors) if meaning in (1, 2) and kind != 5][:1]
    samples = _samples(file, page, [*range(colors), *(i for i, _ in clear)])
    top = _white(page, samples[..., :colors])
    is_deep = samples.shape[2] == 1 and top > 255
    most, dtype = (65535, "<u2") if is_deep else (255, np.uint8)
    levels = np.clip(np.arange(np.iinfo(samples.dtype).max + 1) / top, 0, 1)
    pixels = np.rint(levels * most).astype(dtype).take(samples)
    if kind == 0:
        pixels[..., 0] = most - pixels[..., 0]
    mode = "I;16" if is_deep else mode + "".join(letter for _, letter in clear)
    return Image.frombuffer(mode, (page.imagewidth, page.imagelength), pixels, "raw", mode, 0, 1)


def _white(page, samples: np.ndarray) -> int:
    """The sample that stands for a full channel. 16 bits may hold fewer: the file says so, or all of them are low."""
    if page.sampleformat == 3 or page.bitspersample != 16:
        return 65535 if page.sampleformat == 3 else 2**page.bitspersample - 1
    said = np.max(page.tags.valueof(281, 65535))
    tops = (said, 65535) if said in (1023, 4095, 16383) else (255, 1023, 4095, 65535)
    return int(min(top for top in tops if samples.max() <= top))


def _samples(file, page, kept: list[int]) -> np.ndarray:
    """The channels in `kept`, (height, width, channels): uint8, or uint16 where samples have more than 8 bits or are
    floating-point numbers, of which 1 becomes 65535."""
    width, height, count, bits = page.imagewidth, page.imagelength, page.samplesperpixel, page.bitspersample
    is_known = page.sampleformat in (1, 3, 4) and bits in (*range(1, 17), 32, 64)
    _refuse(not is_known, f"samples of {bits} bits (tag 258) and of format {page.sampleformat} (tag 339)")
    is_known = page.predictor in (1, 2, 3) and (page.predictor == 1 or bits in (8, 16, 32, 64))
    _refuse(not is_known, f"predictor {page.predictor} (tag 317) of {bits} bits")
    check_size(width, height, count * max(1, bits // 8))
    across, down = (page.tilewidth, page.tilelength) if page.is_tiled else (width, min(page.rowsperstrip, height))
    planes = count if page.planarconfig == 2 else 1
    together = count // planes
    line = -(-across * together * bits // 8)
    tops, lefts = range(0, height, down), range(0, width, across)
    if len(page.dataoffsets) < planes * len(tops) * len(lefts):
        raise PhotoError("cut short: a TIFF with fewer strips or tiles than its size needs (tag 273 or 324)")
    result = np.empty((height, width, len(kept)), np.uint8 if bits <= 8 else np.uint16)
    for i, (plane, y, x) in enumerate(itertools.product(range(planes), tops, lefts)):
        if planes > 1 and plane not in kept:
            continue
        rows = down if page.is_tiled else min(down, height - y)
        file.seek(page.dataoffsets[i])
        data = file.read(rows * line if page.compression == 1 else page.databytecounts[i])
        block = _numbers(_unpacked(data, page, rows, line), page, across, together)[: height - y, : width - x]
        channels = kept.index(plane) if planes > 1 else slice(None)
        result[y : y + rows, x : x + across, channels] = block[..., 0] if planes > 1 else block[..., kept]
    return result


def _unpacked(data: bytes, page, rows: int, line: int) -> np.ndarray:
    """The bytes of a strip or tile, (rows, line), unpacked by libtiff from a small file that calls bytes its pixels."""
    if page.fillorder == 2:
        data = data.translate(_MIRRORED)
    if page.compression == 1:
        if len(data) < rows * line:
            raise EOFError
        return np.frombuffer(data, np.uint8).reshape(rows, line)
    tags = {256: line, 257: rows, 258: 8, 259: page.compression, 262: 1, 273: 8, 277: 1, 278: rows, 279: len(data)}
    directory = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in tags.items())
    small = struct.pack("<2sHL", b"II", 42, 8 + len(data)) + data + struct.pack("<H", len(tags)) + directory + bytes(4)
    with TiffImageFile(io.BytesIO(small)) as image:  # not Image.open, which counts these bytes as pixels
        return np.asarray(image)


def _numbers(lines: np.ndarray, page, across: int, channels: int) -> np.ndarray:
    """Samples, (rows, across, channels), of the bytes of a strip or tile: (rows, bytes)."""
    rows, bits, order = len(lines), page.bitspersample, page.parent.byteorder
    if page.predictor == 3:  # differences of bytes, the highest bytes of all numbers first
        lines = np.cumsum(lines.reshape(rows, -1, channels), axis=1, dtype=np.uint8)
        lines, order = lines.reshape(rows, bits // 8, -1).swapaxes(1, 2).reshape(rows, -1), ">"
    if bits in (8, 16, 32, 64):
        numbers = lines.view(f"{order}u{bits // 8}").astype(f"u{bits // 8}", copy=False)
    else:
        numbers = np.unpackbits(lines, axis=1)[:, : across * channels * bits].reshape(rows, -1, bits)
        numbers = numbers @ (1 << np.arange(bits - 1, -1, -1, dtype=np.uint16))
    numbers = numbers.reshape(rows, across, channels)
    if page.predictor == 2:
        numbers = np.cumsum(numbers, axis=1, dtype=numbers.dtype)
    if page.sampleformat != 3:
        return numbers
    numbers = numbers.view(f"f{bits // 8}")
    if not (numbers.min() >= 0 and numbers.max() <= 1):  # true for NaN as well
        raise PhotoError("damaged (values outside [0, 1], so that black and white are unknown)")
    return np.rint(np.multiply(numbers, 65535, dtype=np.float32, casting="same_kind")).astype(np.uint16)


def _info(file, page) -> dict:
    """What Pillow would keep in `Image.info`: EXIF, the color profile, XMP and the resolution."""
    exif, info = Image.Exif(), {"icc_profile": page.tags.valueof(34675), "xmp": page.tags.valueof(700)}
    info["dpi"] = page.get_resolution(2) if page.resolutionunit in (2, 3) else None
    try:
        if page.parent.is_bigtiff:  # of which Pillow reads no EXIF where the order of bytes is Motorola's
            exif[274] = page.tags.valueof(274, 1)
        else:
            exif.endian = page.parent.byteorder
            exif.load_from_fp(file, page.offset)
        for tag in set(exif) - _TELLING_TAGS:
            del exif[tag]
        info["exif"] = exif.tobytes()
    except Exception:  # whatever a broken tag raises; who reads this one says so
        info["exif"] = b"unreadable"
    return {name: value for name, value in info.items() if value is not None}
