"""The sample: crops of the color photographs that come inside installed packages. No network, the same bytes anywhere.

Crops of one photograph lie in one part only; both halves of a stereo pair count as one photograph.
"""

import shutil
import struct
import zlib
from importlib import resources
from pathlib import Path

from PIL import Image

from colorlib.settings import Settings
from colorlib.sources import files
from colorlib.sources.folder import reusable
from colorlib.sources.splits import PARTS, Split, describe

SIZE = 128  # pixels a side of every crop
VERSION = 1  # to be raised when the crops change, so that older ones are made anew

# part -> (photograph, package, path inside it, crops across and down at full scale, at 1/2 and at 1/3)
PHOTOGRAPHS = {
    "train": (
        ("astronaut", "skimage", "data/astronaut.png", ((6, 5), (4, 4), (7, 2))),
        ("china", "sklearn", "datasets/images/china.jpg", ((7, 5), (5, 3), (5, 2))),
        ("flower", "sklearn", "datasets/images/flower.jpg", ((7, 5), (5, 3), (5, 2))),
        ("motorcycle", "skimage", "data/motorcycle_left.png", ((6, 4), (3, 2), ())),
        ("motorcycle", "skimage", "data/motorcycle_right.png", ((), (5, 3), (5, 3))),
    ),
    "validation": (
        ("chelsea", "skimage", "data/chelsea.png", ((4, 3), (4, 2), ())),
        ("rocket", "skimage", "data/rocket.jpg", ((4, 3), (3, 2), (2, 1))),
    ),
    "test": (
        ("coffee", "skimage", "data/coffee.png", ((4, 3), (3, 2), (2, 1))),
        ("hopper", "matplotlib", "mpl-data/sample_data/grace_hopper.jpg", ((4, 3), (3, 2), (1, 2))),
    ),
}


def prepare(settings: Settings) -> Split:
    """The sample's split, made or reused in `settings.data_folder`. Prints one line."""
    home = settings.data_folder / "sample"
    made_with = {"version": VERSION}
    split = reusable(home, home / "photos", made_with)
    if split is None:
        with files.disk_errors(home):
            shutil.rmtree(home / "photos", ignore_errors=True)
            parts = make(home / "photos")
        described = {
            part: tuple(describe(path, (home / "photos" / path).read_bytes(), path.split("/")[1]) for path in paths)
            for part, paths in parts.items()
        }
        split = Split("sample", home / "photos", home, **described, made_with=made_with)
        split.save()
    photographs = {photo.label for part in PARTS for photo in split.photos(part)}
    print(f"Sample: {split.counts()}, crops of {len(photographs)} photographs that come inside installed packages.")
    return split


def make(folder: Path) -> dict[str, list[str]]:
    """Write the crops below `folder` as 8-bit RGB PNG files of 128×128 pixels.

    Returns the files' paths relative to `folder`, `<part>/<photograph>/<number>.png`, by part.
    """
    parts = {}
    for part, photographs in PHOTOGRAPHS.items():
        paths = parts[part] = []
        for name, package, inside, grids in photographs:
            with resources.as_file(resources.files(package) / inside) as file, Image.open(file) as opened:
                photograph = opened.convert("RGB")
            (folder / part / name).mkdir(parents=True, exist_ok=True)
            for crop in _crops(photograph, grids):
                number = sum(path.startswith(f"{part}/{name}/") for path in paths)
                paths.append(f"{part}/{name}/{number:03}.png")
                (folder / paths[-1]).write_bytes(png(crop))
    return parts


def _crops(photograph: Image.Image, grids):
    """Windows spread evenly over the photograph, reduced to `SIZE` by averaging whole pixels (exact on any machine)."""
    for scale, grid in enumerate(grids, start=1):
        across, down = grid or (0, 0)
        side = SIZE * scale
        for row in range(down):
            for column in range(across):
                left = (photograph.width - side) * column // max(across - 1, 1)
                top = (photograph.height - side) * row // max(down - 1, 1)
                yield photograph.crop((left, top, left + side, top + side)).reduce(scale)


def png(image: Image.Image) -> bytes:
    """An RGB image as an uncompressed PNG file. (The bytes that Pillow writes depend on the zlib it was built with.)"""
    stride = image.width * 3
    pixels = image.tobytes()
    rows = b"".join(b"\0" + pixels[i : i + stride] for i in range(0, len(pixels), stride))  # each with filter 0, "none"
    blocks = [rows[i : i + 0xFFFF] for i in range(0, len(rows), 0xFFFF)]
    stored = b"".join(
        struct.pack("<BHH", block is blocks[-1], len(block), len(block) ^ 0xFFFF) + block for block in blocks
    )
    zlib_stream = b"\x78\x01" + stored + struct.pack(">I", zlib.adler32(rows))
    header = struct.pack(">IIBBBBB", image.width, image.height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib_stream), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
