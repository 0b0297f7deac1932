"""What the benchmarks share: photos to measure with, rounds of several things in turn, and JSON lines.

The photos are those of ../shared where that folder is there; elsewhere they are made of the photographs inside
scikit-image, which is said on stderr.
"""

import json
import os
import statistics
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
SHARED = ROOT.parent / "shared"


def photos(archive: str, folder: Path, size: int, count: int) -> list[str]:
    """Paths of the JPEG files of an archive in ../shared/photos, or of `count` made ones of size × size pixels."""
    if (SHARED / "photos" / archive).exists():
        with tarfile.open(SHARED / "photos" / archive) as tar:
            tar.extractall(folder, filter="data")
        return sorted(map(str, Path(folder).rglob("*.jpg")))
    from skimage import data

    print(f"../shared/photos/{archive} is not there: made photos in its place", file=sys.stderr)
    sources = [Image.fromarray(photograph()) for photograph in (data.astronaut, data.coffee, data.chelsea, data.rocket)]
    rng = np.random.default_rng(0)
    for i in range(count):
        source = sources[i % 4]
        side = int(rng.integers(64, min(source.size)))
        left, top = (int(rng.integers(0, edge - side + 1)) for edge in source.size)
        part = source.resize((size, size), Image.Resampling.BICUBIC, (left, top, left + side, top + side))
        part.save(folder / f"made_{i:05}.jpg", quality=92)
    return sorted(map(str, Path(folder).glob("made_*.jpg")))


def decoded(paths, photos_wanted: int) -> int:
    """Bare decoding, the measure of all things: as many photos through tf.io.decode_jpeg, in a tf.data pipeline."""
    import tensorflow as tf

    stream = tf.data.Dataset.from_tensor_slices(paths).repeat().take(photos_wanted)
    stream = stream.map(
        lambda path: tf.io.decode_jpeg(tf.io.read_file(path), channels=3, dct_method="INTEGER_ACCURATE"),
        num_parallel_calls=os.cpu_count(),
    )
    options = tf.data.Options()
    options.autotune.enabled = False  # as ours: a stream that ends waits for the tuner to wake
    return drained(stream.prefetch(8).with_options(options))


def drained(stream) -> int:
    """Runs a dataset to its end, in the graph; how many elements it had."""
    return int(stream.reduce(np.int64(0), lambda n, *element: n + 1))


def rates(actions: dict, rounds: int) -> dict[str, list]:
    """(things a second, things a CPU second) of each action in each round. An action returns how many things it did.

    The actions run in turn, so that a busy moment meets them all; a round before the first warms up.
    """
    found = {name: [] for name in actions}
    for number in range(rounds + 1):
        for name, action in actions.items():
            wall, cpu = time.perf_counter(), time.process_time()
            done = action()
            if number:
                found[name].append((done / (time.perf_counter() - wall), done / (time.process_time() - cpu)))
    return found


def tell_ratio(figure: str, found: dict, ours: str, reference: str, **bound) -> None:
    """The median over the rounds of the ratio of speeds. A ratio of CPU times beside it, for machines with company."""
    pairs = list(zip(found[ours], found[reference], strict=True))
    wall, cpu = (statistics.median(one[i] / other[i] for one, other in pairs) for i in (0, 1))
    tell(figure, wall, by_cpu_time=round(cpu, 3), rounds=len(pairs), **bound)


def tell_rate(figure: str, found: dict, name: str) -> None:
    tell(figure, statistics.median(rate for rate, _ in found[name]))


def tell(figure: str, value: float, **more) -> None:
    print(json.dumps({"figure": figure, "value": float(f"{value:.4g}"), **more}), flush=True)
