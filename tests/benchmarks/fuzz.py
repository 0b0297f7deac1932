"""Mutated image files through `photos`: each is read or refused with a reason; none crashes, hangs or eats the memory.

The files are made here: bytes flipped, files cut, headers changed, pieces repeated or lost, in six formats, TIFF
in the layouts of scanners. They are read in processes of their own, so that a crash is counted and not suffered. One
JSON object a line; some minutes.
"""

import collections
import io
import json
import resource
import subprocess
import sys
import time
from pathlib import Path

import _measure
import numpy as np
from PIL import Image

from colorlib.sources import photos

sys.path.insert(1, str(Path(__file__).resolve().parents[1]))
import tiffs

KINDS = ("JPEG", "PNG", "WEBP", "TIFF", "GIF", "BMP")
FILES, CHUNK = 12_000, 1_000
SECONDS, MEGABYTES = 30, 2_000  # for one file; the peak of a process, which `photos` says to be about 1.7 GB
REASONS = (
    *("empty", "not an image", "a raw file", "a HEIC photo", "a video"),
    *("cut short", "too many pixels", "no content", "not read: a TIFF with", "damaged"),
)
LAYOUTS = [
    {"samples": (bits, colors + len(extra)), "bits": bits, "photometric": kind, "t338": extra or None, **more}
    for kind, colors in ((0, 1), (1, 1), (2, 3), (5, 4))
    for bits in (1, 4, 8, 12, 16)
    for extra in ([], [0], [2])
    for more in ({}, {"compression": tiffs.LZW}, {"planar": True}, {"compression": tiffs.DEFLATE, "tile": (16, 16)})
]
LAYOUTS += [
    {"samples": (bits, 3), "bits": bits, "photometric": 2, "compression": compression, "predictor": 2}
    for bits in (8, 16)
    for compression in (tiffs.LZW, tiffs.DEFLATE)
]


def originals(kind: str) -> list[bytes]:
    """Files of one format in several modes, with what formats can carry: EXIF, transparency, frames, compressions."""
    rng, files = np.random.default_rng(KINDS.index(kind)), []
    image = Image.fromarray(rng.integers(0, 256, (5, 6, 3), np.uint8)).resize((48, 40), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[274], exif[315] = 6, "somebody"
    more = {
        "JPEG": [{"quality": 80, "exif": exif}, {"progressive": True}],
        "PNG": [{"exif": exif}, {"dpi": (300, 300)}],
        "WEBP": [{"lossless": True}, {"quality": 60, "exif": exif}],
        "TIFF": [{"compression": name} for name in ("tiff_lzw", "jpeg")],
        "GIF": [{}, {"save_all": True, "append_images": [image.rotate(90)]}],
        "BMP": [{}],
    }[kind]
    modes = {"JPEG": ("L", "RGB", "CMYK"), "PNG": ("1", "L", "P", "RGBA", "I;16"), "WEBP": ("RGB", "RGBA")}
    for mode in modes.get(kind, ("L", "RGB")):
        for options in more:
            file = io.BytesIO()
            (image.convert("L").convert("I;16") if mode == "I;16" else image.convert(mode)).save(file, kind, **options)
            files.append(file.getvalue())
    return files + [scanned(layout, rng, "<>"[i % 2]) for i, layout in enumerate(LAYOUTS) if kind == "TIFF"]


def scanned(layout: dict, rng, order: str) -> bytes:
    """A TIFF file with a reduced page in front of every other one."""
    bits, channels = layout["samples"]
    samples = rng.integers(0, 2**bits, (40, 48, channels)).astype(np.uint8 if bits <= 8 else np.uint16)
    small = [{**layout, "samples": samples[::4, ::4], "t254": 1}] * (order == ">")
    return tiffs.tiff(*small, {**layout, "samples": samples}, order=order, big=bits == 12)


def mutated(data: bytes, rng) -> bytes:
    """One of five kinds of damage."""
    data, kind = bytearray(data), rng.integers(5)
    place = int(rng.integers(len(data)))
    if kind == 0:  # bits flipped anywhere
        for i in rng.integers(0, len(data), rng.integers(1, 9)):
            data[i] ^= 1 << int(rng.integers(8))
    elif kind == 1:  # cut short
        del data[place:]
    elif kind == 2:  # the header changed, sizes among it
        for i in rng.integers(0, min(len(data), 64), rng.integers(1, 5)):
            data[i] = int(rng.choice([0, 1, 127, 128, 255, rng.integers(256)]))
    elif kind == 3:  # a piece lost
        del data[place : place + int(rng.integers(1, 40))]
    else:  # a piece repeated
        data[place:place] = data[place : place + int(rng.integers(1, 200))]
    return bytes(data)


def read(first: int, last: int) -> dict:
    """What became of the files with these numbers, the longest time and the peak of memory."""
    files, outcomes, slowest = {kind: originals(kind) for kind in KINDS}, collections.Counter(), 0.0
    for number in range(first, last):
        rng = np.random.default_rng(number)
        kind = KINDS[number % len(KINDS)] if number % 3 else "TIFF"
        data = mutated(files[kind][int(rng.integers(len(files[kind])))], rng)
        begin = time.perf_counter()
        try:
            photo = photos.read(data)
            outcomes["read" if photo.mode == "RGB" else "unexplained"] += 1
        except photos.PhotoError as error:
            outcomes["refused" if str(error).startswith(REASONS) else "unexplained"] += 1
        except Exception as error:
            outcomes["unexplained"] += 1
            print(number, repr(error), file=sys.stderr)
        slowest = max(slowest, time.perf_counter() - begin)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"outcomes": outcomes, "slowest": slowest, "peak": peak}


def main():
    total, slowest, peak, crashed = collections.Counter(), 0.0, 0.0, 0
    for first in range(0, FILES, CHUNK):
        command = [sys.executable, __file__, str(first), str(first + CHUNK)]
        try:
            child = subprocess.run(command, stdout=subprocess.PIPE, timeout=900)
            found = json.loads(child.stdout.splitlines()[-1])
        except (subprocess.TimeoutExpired, IndexError, ValueError):
            crashed += 1  # ended by a signal, or hung
            continue
        total.update(found["outcomes"])
        slowest, peak = max(slowest, found["slowest"]), max(peak, found["peak"])
    _measure.tell("mutated files", sum(total.values()), at_least=10_000)
    _measure.tell("of them read", total["read"])
    _measure.tell("of them refused with a reason", total["refused"])
    _measure.tell("of them ended otherwise", total["unexplained"], at_most=0)
    _measure.tell(f"processes that crashed or hung, of {FILES // CHUNK}", crashed, at_most=0)
    _measure.tell("seconds for the slowest file", slowest, at_most=SECONDS)
    _measure.tell("peak MB of a process", peak, at_most=MEGABYTES)
    large()


def large():
    """A photo of 12,000 × 9,000 pixels, read whole in a process of its own."""
    command = [sys.executable, __file__, "large"]
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1])
    _measure.tell("peak MB for a JPEG of 12,000×9,000 pixels", found["peak"], at_most=MEGABYTES)
    _measure.tell("seconds for it", found["seconds"])


def read_large() -> dict:
    file = io.BytesIO()
    Image.effect_mandelbrot((1200, 900), (-2, -1.5, 1, 1.5), 60).convert("RGB").resize((12_000, 9_000)).save(
        file, "JPEG"
    )
    begin = time.perf_counter()
    photo = photos.read(file.getvalue())
    seconds = time.perf_counter() - begin
    assert photo.size == (12_000, 9_000)
    return {"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000}


if __name__ == "__main__":
    if sys.argv[1:] == ["large"]:
        print(json.dumps(read_large()))
    elif sys.argv[1:]:
        print(json.dumps(read(int(sys.argv[1]), int(sys.argv[2]))))
    else:
        main()
