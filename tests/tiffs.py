"""TIFF files of any layout that scanners write, written by hand: no library at hand writes them all."""

import io
import math
import struct
import zlib

import numpy as np
from PIL import Image

NONE, LZW, DEFLATE, PACKBITS = 1, 5, 8, 32773


def tiff(*pages, order="<", big=False) -> bytes:
    """A file of pages, each the keywords of `page`; a page in another one's `below` is a SubIFD."""
    data = bytearray((b"II" if order == "<" else b"MM") + struct.pack(f"{order}H", 43 if big else 42))
    data += struct.pack(f"{order}HHQ", 8, 0, 0) if big else bytes(4)
    link = 8 if big else 4
    for each in pages:
        offset, next_link = page(data, order, big, **each)
        struct.pack_into(f"{order}{'Q' if big else 'L'}", data, link, offset)
        link = next_link
    return bytes(data)


def page(data, order, big, samples, bits, photometric, compression=NONE, predictor=1, planar=False, tile=None, rows=7,
         fill=1, below=(), **more) -> tuple[int, int]:  # fmt: skip
    """Append samples, (height, width, channels), and their directory to `data`; where it and its link to the next lie.

    more: further tags, as t281=4095; None leaves a tag out.
    """
    height, width, channels = samples.shape
    across, down = tile or (width, rows)
    starts, sizes = [], []
    for plane in [samples[..., i : i + 1] for i in range(channels)] if planar else [samples]:
        for y in range(0, height, down):
            for x in range(0, width, across):
                block = plane[y : y + down, x : x + across]
                if tile:
                    block = np.pad(block, [(0, down - block.shape[0]), (0, across - block.shape[1]), (0, 0)], "edge")
                packed = pack(encode(block, bits, order, predictor), compression)
                starts.append(len(data))
                sizes.append(len(packed))
                data += packed[:] if fill == 1 else bytes(int(f"{byte:08b}"[::-1], 2) for byte in packed)
    subs = [page(data, order, big, **each)[0] for each in below]
    kinds = {np.dtype("f"): 3, np.dtype("i"): 2}
    form = next((kind for dtype, kind in kinds.items() if dtype.kind == samples.dtype.kind), 1)
    tags = {256: width, 257: height, 258: [bits] * channels, 259: compression, 262: photometric, 266: fill}
    tags |= {277: channels, 284: 2 if planar else 1, 317: predictor, 339: [form] * channels, 330: subs or None}
    tags |= {322: across, 323: down, 324: starts, 325: sizes} if tile else {278: rows, 273: starts, 279: sizes}
    tags |= {int(name[1:]): value for name, value in more.items()}
    return directory(data, order, big, {tag: value for tag, value in sorted(tags.items()) if value is not None})


def directory(data, order, big, tags) -> tuple[int, int]:
    word, room = ("Q", 8) if big else ("L", 4)
    entries = []
    for tag, value in tags.items():
        if isinstance(value, bytes):
            kind, count, packed = 7, len(value), value
        else:
            values = value if isinstance(value, (list, tuple)) else [value]
            kind, letter = (4, "L") if tag in (256, 257, 273, 278, 279, 322, 323, 324, 325, 330) else (3, "H")
            count, packed = len(values), struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(packed) > room:
            data += bytes(len(data) % 2)
            packed, place = struct.pack(order + word, len(data)), packed
            data += place
        entries.append(struct.pack(f"{order}HH{word}", tag, kind, count) + packed.ljust(room, b"\0"))
    data += bytes(len(data) % 2)
    offset = len(data)
    data += struct.pack(f"{order}{'Q' if big else 'H'}", len(entries)) + b"".join(entries) + bytes(room)
    return offset, len(data) - room


def encode(block, bits, order, predictor) -> np.ndarray:
    """The bytes of a block of samples, (rows, bytes)."""
    rows = len(block)
    if predictor == 2:
        block = block.copy()
        block[:, 1:] -= block[:, :-1].copy()
    if predictor == 3:
        planes = block.astype(block.dtype.newbyteorder(">")).reshape(rows, -1).view(np.uint8)
        planes = planes.reshape(rows, -1, bits // 8).swapaxes(1, 2).reshape(rows, -1, block.shape[2])
        planes = planes.copy()
        planes[:, 1:] -= planes[:, :-1].copy()
        return planes.reshape(rows, -1)
    if bits in (8, 16, 32, 64):
        return np.ascontiguousarray(block.astype(block.dtype.newbyteorder(order))).reshape(rows, -1).view(np.uint8)
    wide = block.reshape(rows, -1, 1).astype(np.uint16)
    return np.packbits(
        ((wide >> np.arange(bits - 1, -1, -1, dtype=np.uint16)) & 1).astype(np.uint8).reshape(rows, -1), 1
    )


def pack(lines, compression) -> bytes:
    data = lines.tobytes()
    if compression == DEFLATE:
        return zlib.compress(data)
    if compression == PACKBITS:  # runs of up to 128 bytes as they are, line by line
        parts = [line[i : i + 128].tobytes() for line in lines for i in range(0, len(line), 128)]
        return b"".join(bytes([len(part) - 1]) + part for part in parts)
    if compression == LZW:
        file = io.BytesIO()
        Image.fromarray(lines).save(file, "TIFF", compression="tiff_lzw", tiffinfo={278: len(lines)})
        with Image.open(io.BytesIO(file.getvalue())) as image:
            start, size = image.tag_v2[273], image.tag_v2[279]
        assert len(start) == 1, math.inf
        return file.getvalue()[start[0] : start[0] + size[0]]
    return data
