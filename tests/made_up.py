"""Archives made on the spot in the layout and order of Places365's: small ones in memory, and one of its full size that
exists only as far as it is asked for."""

import io
import tarfile

import numpy as np
from PIL import Image

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
