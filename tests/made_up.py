"""Archives made on the spot in the layout and order of Places365's: small ones in memory, and one of its full size that
exists only as far as it is asked for."""

import dataclasses
import gzip
import hashlib
import io
import json
import struct
import tarfile

import numpy as np
from PIL import Image

from colorlib.sources import published

FLAT = (("val", 60), ("test", 150))
PLACES_BYTES, PLACES_PHOTOS, PLACES_CLASSES = 26_103_685_120, 1_803_460, 365


def jpeg(number: int, size: int = 0, pixels: int = 32) -> bytes:
    """A valid color JPEG file, another one for each number; of exactly `size` bytes where that is given."""
    rng = np.random.default_rng(number)
    image = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).resize((pixels, pixels))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=75)
    return padded(file.getvalue(), size) if size else file.getvalue()


def padded(photo: bytes, size: int, mark: bytes = b"") -> bytes:
    """The same picture in a file of exactly `size` bytes: comments after its first marker fill it up."""
    missing, comments = size - len(photo), b""
    while missing > 0:
        step = min(missing, 60_000)
        step -= 4 if 0 < missing - step < 4 else 0  # a comment has four bytes at least
        comments += b"\xff\xfe" + (step - 2).to_bytes(2) + mark[: step - 4].ljust(step - 4, b"\0")
        missing -= step
    return photo[:2] + comments + photo[2:]


def tar(files: dict[str, bytes], kind=tarfile.USTAR_FORMAT) -> bytes:
    """An archive of these files, in this order."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def in_classes(
    counts: dict[str, int], top: str = "data_256", sizes=(700, 3000), gaps: bool = False
) -> dict[str, bytes]:
    """Photos in folders, class by class, of different sizes; `gaps`: numbered with gaps, like a subset's."""
    rng, files = np.random.default_rng(0), {}
    for label, count in sorted(counts.items()):
        numbers = np.sort(rng.choice(5000, count, replace=False)) + 1 if gaps else range(1, count + 1)
        mean = rng.integers(*sizes)  # of this class: some scenes are busier than others
        for number in numbers:
            size = 700 + int(rng.integers(0, 2 * mean))
            files[f"{top}/{label}/{number:08}.jpg"] = jpeg(len(files), size, pixels=16)
    return files


class Places365:
    """The training archive: 26,103,685,120 bytes, 1,803,460 photos in 365 classes of 3,068 to 5,000, made up by slices.

    Photos have the sizes of real ones (a mean of 14 KB, log-normal, another mean in each class).
    """

    def __init__(self, photos: int = PLACES_PHOTOS, classes: int = PLACES_CLASSES, size: int = PLACES_BYTES):
        rng = np.random.default_rng(365)
        full = round(1.01194 * photos / classes)  # 5,000 at full size
        counts = np.full(classes, full)
        surplus = full * classes - photos
        for i in rng.permutation(classes):  # few classes have many photos less, as in the published one
            less = min(surplus, int(0.386 * full * rng.random() ** 3))
            counts[i] -= less
            surplus -= less
        assert surplus == 0 and counts.sum() == photos
        self.labels = [f"{chr(97 + 26 * i // classes)}/class_{i:03}" for i in range(classes)]
        self.counts = counts
        self.first = np.concatenate([[0], np.cumsum(counts)])
        blocks = (size - 10_240) // 512 - photos  # of contents alone
        weights = rng.lognormal(0, 0.45, photos) * np.repeat(rng.lognormal(0, 0.2, classes), counts)
        ends = np.floor(np.cumsum(weights) / weights.sum() * (blocks - 4 * photos)).astype(np.int64)
        self.blocks = np.diff(ends, prepend=0) + 4  # of each content, at least 2 KB
        self.sizes = self.blocks * 512 - rng.integers(0, 512, photos)
        self.starts = np.concatenate([[0], np.cumsum((self.blocks + 1) * 512)])
        self.length = int(self.starts[-1]) + 10_240
        self.pictures = [jpeg(i, pixels=64) for i in range(8)]

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, stretch: slice) -> bytes:
        start, stop, _ = stretch.indices(self.length)
        first = max(0, int(np.searchsorted(self.starts, start, "right")) - 1)
        out, position = [], int(self.starts[min(first, len(self.sizes))])
        skip = start - position
        for index in range(first, len(self.sizes)):
            if position >= stop:
                break
            out.append(self.member(index))
            position += len(out[-1])
        return b"".join(out)[skip : skip + stop - start].ljust(stop - start, b"\0")

    def name(self, index: int) -> str:
        label = int(np.searchsorted(self.first, index, "right")) - 1
        return f"data_256/{self.labels[label]}/{index - self.first[label] + 1:08}.jpg"

    def member(self, index: int) -> bytes:
        """Header, photo and zeros of one member."""
        size = int(self.sizes[index])
        member = tarfile.TarInfo(self.name(index))
        member.size = size
        photo = padded(self.pictures[index % 8], size, mark=str(index).encode())
        return member.tobuf(tarfile.USTAR_FORMAT) + photo + bytes(int(self.blocks[index]) * 512 - size)


def food(bad=()) -> dict[str, bytes]:
    """Food-101 with three classes of 30 training and 10 test photos, in its layout."""
    files, lists = {}, {"train": {}, "test": {}}
    for label in ("apple_pie", "baklava", "churros"):
        for i in range(40):
            name = f"{label}/{1000 + 7 * i}"
            files[f"food-101/images/{name}.jpg"] = jpeg(9000 + len(files), pixels=16)
            lists["test" if i % 4 == 3 else "train"].setdefault(label, []).append(name)
    files = _spoiled([*files.items()], bad)
    return files | {f"food-101/meta/{part}.json": json.dumps(names).encode() for part, names in lists.items()}


def class_lists(val) -> dict[str, bytes]:
    """The members of the archive of lists: 8 classes, the i-th validation photo of class 3 * i % 8."""
    names = [name.rpartition("/")[2] for name, _ in val]
    rows = {
        "categories_places365.txt": [f"/{'abcd'[i // 2]}/class_{i} {i}" for i in range(8)],
        "places365_train_standard.txt": [f"/a/class_0/{i:08}.jpg 0" for i in range(5000)],
        "places365_val.txt": [f"{name} {3 * i % 8}" for i, name in enumerate(names)],
        "places365_test.txt": ["Places365_test_00000001.jpg"],
    }
    return {name: "".join(f"{line}\n" for line in lines).encode() for name, lines in rows.items()}


def md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _spoiled(files: list[tuple[str, bytes]], bad) -> dict[str, bytes]:
    return {name: b"no photo at all" if i in bad else data for i, (name, data) in enumerate(files)}


def published_sets(bad=()) -> tuple[dict[str, bytes], dict]:
    """Small archives in the layouts of the published ones, by file name, and their recipes, as `published.DATA_SETS`.

    Training photos in 8 classes, 60 flat validation photos, 150 flat test photos; a Food-101 of 3 classes. Members
    whose number in their archive is in `bad` are no photos.
    """
    classes = in_classes({f"{'abcd'[i // 2]}/class_{i}": 40 + 5 * i for i in range(8)}, sizes=(700, 1500))
    flat = {
        part: {f"{part}_256/Places365_{part}_{i + 1:08}.jpg": jpeg(5000 + i, pixels=16) for i in range(count)}
        for part, count in FLAT
    }
    train, val, test = ([*files.items()] for files in (classes, flat["val"], flat["test"]))
    contents = {
        published.TRAIN_256: tar(_spoiled(train, bad)),
        published.VAL_256: tar(_spoiled(val, bad)),
        published.TEST_256: tar(_spoiled(test, bad)),
        published.FOOD_101: gzip.compress(tar(food(bad)), 1),
    }
    photos = {published.TRAIN_256: len(train), published.VAL_256: 60, published.TEST_256: 150, published.FOOD_101: 120}
    small = {
        archive.name: dataclasses.replace(
            archive, bytes=len(data), photos=photos[archive], sha256=archive.sha256 and sha256(data)
        )
        for archive, data in contents.items()
    }
    recipes = {
        name: tuple((small[archive.name], shares) for archive, shares in recipe)
        for name, recipe in published.DATA_SETS.items()
    }
    files = {archive.name: data for archive, data in contents.items()}
    return files | {published.FILELIST.name: tar(class_lists(val))}, recipes


def small_lists(packed: bytes) -> dict:
    """What `published.FILELIST` and `published.CLASS_LISTS` are, by these names, for a small archive of lists."""
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        md5_of = {name: md5(archive.extractfile(name).read()) for name in published.CLASS_LISTS}
    return {"FILELIST": dataclasses.replace(published.FILELIST, bytes=len(packed)), "CLASS_LISTS": md5_of}


def profile(red=(0.4361, 0.2225, 0.0139), green=(0.3851, 0.7169, 0.0971), blue=(0.1431, 0.0606, 0.7141), gamma=2.2):
    """A color profile by hand (ICC.1, version 2): primaries as XYZ under D50, and one exponent for all channels."""

    def fixed(*values):
        return b"".join(struct.pack(">i", round(value * 65536)) for value in values)

    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256)) + bytes(2)
    xyz = {name: b"XYZ " + bytes(4) + fixed(*values) for name, values in (("r", red), ("g", green), ("b", blue))}
    tags = {b"wtpt": b"XYZ " + bytes(4) + fixed(0.9642, 1, 0.8249), b"desc": b"desc" + bytes(7) + b"\2x" + bytes(80)}
    tags |= {f"{name}XYZ".encode(): data for name, data in xyz.items()}
    tags |= {f"{name}TRC".encode(): curve for name in "rgb"}
    table, data, start = struct.pack(">I", len(tags)), b"", 128 + 4 + 12 * len(tags)
    for name, content in tags.items():
        content += bytes(-len(content) % 4)
        table += name + struct.pack(">II", start + len(data), len(content))
        data += content
    header = struct.pack(">I4sI", 128 + len(table + data), bytes(4), 0x02100000) + b"mntrRGB XYZ "
    header += bytes(12) + b"acsp" + bytes(28) + fixed(0.9642, 1, 0.8249)
    return header.ljust(128, b"\0") + table + data
