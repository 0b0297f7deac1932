"""The prior over bare decoding; a grid of pixels against all of them; memory; agreement with somebody else's prior.

Speeds are measured in turn on the same 256×256 files and all cores. One JSON object a line; about three minutes.
"""

import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import _measure
import numpy as np

from colorlib import prior

ROUNDS, PHOTOS, EVERY = 5, 3072, 4


def speed(folder: Path):
    paths = _measure.photos("photos256.tar", folder, 256, 1024)
    many = [paths[i % len(paths)] for i in range(PHOTOS)]
    prior.count(paths[:1])  # the table of 2²⁴ colors, made once a process

    def counted(every):
        return lambda: prior.count(many, every=every).sum() and PHOTOS

    rates = _measure.rates(
        {"decoding": lambda: _measure.decoded(paths, PHOTOS), "all": counted(1), "grid": counted(EVERY)}, ROUNDS
    )
    _measure.tell_ratio("the prior of every pixel over bare decoding", rates, "all", "decoding", at_least=0.35)
    _measure.tell_ratio(f"every {EVERY}th pixel of every {EVERY}th row", rates, "grid", "decoding", at_least=0.6)
    for name in rates:
        _measure.tell_rate(f"photos a second: {name}", rates, name)


def scenes(folder: Path):
    """On MiniPlaces' 15,000 photos: the grid's p′ beside all pixels', and the prior of Zhang et al."""
    paths = _measure.photos("miniplaces-train.tar", folder, 128, 3000)
    whole, grid = prior.count(paths, progress=True), prior.count(paths, every=EVERY, progress=True)
    smooth = [prior.density(counts, 8.0, 5.0) * (8 / 128) ** 2 for counts in (whole, grid)]
    apart = 0.5 * np.abs(smooth[0] - smooth[1]).sum()
    _measure.tell(f"total variation of p′, every {EVERY}th pixel against all", apart, at_most=0.01)
    weights = prior.Prior(whole, 8.0, 5.0, 0.5, "").weights
    _measure.tell("largest over smallest weight", weights.max() / weights.min())
    reference = _measure.SHARED / "reference"
    if not reference.exists():
        print("left out: the agreement with the prior in ../shared/reference, which is not there", file=sys.stderr)
        return
    counts = prior.count(paths, 10.0, progress=True)
    points, theirs = (np.load(reference / f"foamliu_{name}.npy") for name in ("pts_in_hull", "prior_prob"))
    ours = (counts / counts.sum())[tuple(prior.bins_of(points, 10.0).T)]
    linear = np.corrcoef(ours, theirs)[0, 1]
    logarithmic = np.corrcoef(np.log(ours + 1e-7), np.log(theirs + 1e-7))[0, 1]
    _measure.tell("correlation with an ImageNet prior on 313 bins", linear, at_least=0.99)
    _measure.tell("the same of log(p + 1e-7)", logarithmic, at_least=0.95)


def memory(folder: Path):
    """The peak of a process that counts so many photos, 256×256, read again and again from the same files."""
    peaks = []
    for count in (1500, 15000):
        command = [sys.executable, __file__, str(folder), str(count)]
        peaks.append(json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout.splitlines()[-1]))
        _measure.tell(f"peak MB at {count:,} photos", peaks[-1])
    _measure.tell("peak memory at 15,000 photos over that at 1,500", peaks[1] / peaks[0], at_most=1.1)


if __name__ == "__main__":
    if sys.argv[1:]:
        files = sorted(map(str, Path(sys.argv[1]).rglob("*.jpg")))
        prior.count([files[i % len(files)] for i in range(int(sys.argv[2]))])
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000)
    else:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as other:
            speed(Path(folder))
            memory(Path(folder))
            scenes(Path(other))
