"""Three percent of Places365: bytes read for each byte kept, fairness, time, and kills.

The archive has the published size and shape, 26 GB, and is made up by a local server as it is asked for, which sends
100 MB a second at most, as a fast line does. Fairness is measured on the MiniPlaces photos in ../shared, where they
are. One JSON object a line.
"""

import argparse
import contextlib
import hashlib
import json
import multiprocessing
import pickle
import random
import signal
import subprocess
import sys
import tarfile
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS.parent)]

import made_up  # noqa: E402
from server import Server  # noqa: E402

from colorlib import lab, settings, sources  # noqa: E402
from colorlib.sources import http, published, sampling  # noqa: E402

MINIPLACES = TESTS.parents[1] / "shared" / "photos" / "miniplaces-train.tar"
RATE = 100e6  # bytes a second of the server; without a limit, decoding and writing alone would be measured
GIGABYTE = 1 << 30  # of the whole archive that is read for its time, which is then scaled up


def figure(name, value, **bounds):
    print(json.dumps({"figure": name, "value": value if isinstance(value, int) else round(value, 4)} | bounds))
    sys.stdout.flush()


def serve_places(pipe):
    """The made-up archive, served from a process of its own."""
    with Server({published.TRAIN_256.name: made_up.Places365()}, rate=RATE) as server:
        pipe.send(server.url)
        while pipe.recv():
            pipe.send((server.sent, server.most_at_once))


@contextlib.contextmanager
def places_server():
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve_places, args=(theirs,), daemon=True)
    process.start()
    try:
        yield ours.recv(), ours
    finally:
        process.kill()


def places365(folder):
    """The training photos of the profile `paper`, through the one door that notebooks use."""
    published.DATA_SETS["places365"] = ((published.TRAIN_256, {"train": 1}),)
    with places_server() as (url, pipe):
        chosen = settings.load("paper", data_folder=folder, results_folder=folder, mirror=url)
        before = time.perf_counter()
        with contextlib.redirect_stdout(sys.stderr):
            split = sources.prepare(chosen, progress=False)
        seconds = time.perf_counter() - before
        pipe.send("how much?")
        sent, at_once = pipe.recv()
        whole = http.Source(url + published.TRAIN_256.name)
        before = time.perf_counter()
        read = sum(map(len, whole.chunks(0, GIGABYTE)))
        of_whole = (time.perf_counter() - before) * whole.size / read
    archive = made_up.Places365()
    shares = {label: 0.03 * count for label, count in zip(archive.labels, archive.counts, strict=True)}
    counts = Counter(photo.label for photo in split.train)
    figure("places365: photos kept", len(split.train), exactly=54_104)
    kept = sum(photo.bytes for photo in split.train)
    figure("places365: bytes sent / bytes kept", sent / kept, at_most=1.5)
    figure("places365: requests at a time", at_once, at_most=8)
    figure("places365: photos off a class's share", max(abs(counts[k] - v) for k, v in shares.items()), at_most=1)
    figure("places365: megabytes of split.json", (split.home / "split.json").stat().st_size / 1e6)
    figure("places365: seconds of the sample", seconds)
    figure("places365: seconds of reading the whole archive, scaled up from 1 GiB", of_whole)
    figure("places365: time / time of reading the whole archive", seconds / of_whole, at_most=0.5)


def histograms(path):
    """Of each photo of an archive: its name and its counts of ab colors, in bins of 8 units, of every 2nd pixel."""
    names, counts = [], []
    with tarfile.open(path) as archive:
        for member in filter(tarfile.TarInfo.isreg, archive):
            pixels = (
                np.asarray(Image.open(archive.extractfile(member)).convert("RGB"))[::2, ::2].astype(np.float32) / 255
            )
            ab = np.asarray(lab.rgb_to_lab(pixels))[..., 1:].reshape(-1, 2)
            bins = np.clip(np.round(ab / 8).astype(int) + 16, 0, 32)
            names.append(member.name)
            counts.append(np.bincount(bins[:, 0] * 33 + bins[:, 1], minlength=33 * 33).astype(np.int32))
    return names, np.stack(counts)


def distance(part, whole):
    """Total variation between two histograms."""
    return 0.5 * float(np.abs(part / part.sum() - whole / whole.sum()).sum())


def fairness(folder, fraction=0.03, seeds=20):
    names, counts = histograms(MINIPLACES)
    whole, total = counts.sum(0), len(names)
    number, index = round(fraction * total), {name: i for i, name in enumerate(names)}
    uniform = random.Random(0)
    chance = [distance(counts[uniform.sample(range(total), number)].sum(0), whole) for _ in range(200)]
    limit = float(np.percentile(chance, 95))
    per_class = Counter(name.rpartition("/")[0] for name in names)
    off, distances = [], []
    with Server({"miniplaces.tar": MINIPLACES}) as server:
        for seed in range(1, seeds + 1):
            source = http.Source(server.url + "miniplaces.tar")
            done, keep = folder / f"seed-{seed}", sampling.described
            taken, _ = sampling.sample(source, number, total, seed, keep, done, progress=False)
            found = Counter(photo.path.rpartition("/")[0] for photo in taken)
            off.append(max(abs(found[label] - fraction * count) for label, count in per_class.items()))
            distances.append(distance(counts[[index[photo.path] for photo in taken]].sum(0), whole))
    figure(f"miniplaces: photos off a class's share, worst of {seeds} seeds", max(off), at_most=1)
    figure("miniplaces: ab distance to the whole, seed 1", distances[0], at_most=round(limit, 4))
    figure("miniplaces: median ab distance of the seeds", float(np.median(distances)))
    figure("miniplaces: median ab distance of 200 uniform samples", float(np.median(chance)))
    figure(f"miniplaces: of {seeds} seeds within the limit", sum(d <= limit for d in distances))


CHILD = """
import pickle, sys
from pathlib import Path
from colorlib import settings, sources
from colorlib.sources import published
vars(published).update(pickle.loads(Path(sys.argv[1]).read_bytes()))
chosen = settings.load("paper", fraction=1.0, mirror=sys.argv[2], data_folder=sys.argv[3], keep_folder=sys.argv[4])
sources.prepare(chosen, progress=False)
"""


def digest(folder):
    """Of all files below a folder, packed files unpacked: those hold times, too."""
    for pack in folder.glob("drive/*.tar"):
        with tarfile.open(pack) as archive:
            archive.extractall(pack.with_suffix(".unpacked"), filter="data")
        pack.unlink()
    total = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(folder)} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


def kills(folder, number):
    """SIGKILL at random moments, run after run in the same folder until one ends; then the next folder."""
    files, recipes = made_up.published_sets()
    stand_ins = {"DATA_SETS": recipes} | made_up.small_lists(files[published.FILELIST.name])
    (folder / "recipes").write_bytes(pickle.dumps(stand_ins))
    moments, done, same, finished, seconds, expected = random.Random(0), 0, 0, 0, 4.0, None
    while done < number:
        with Server(files, delay=0.005) as server:
            home = folder / f"{finished}"
            places = [folder / "recipes", server.url, home / "data", home / "drive"]
            killed_before = done
            while True:
                command = [sys.executable, "-c", CHILD, *map(str, places)]
                before = time.perf_counter()
                child = subprocess.Popen(command, cwd=TESTS.parent, stdout=subprocess.DEVNULL)
                try:
                    code = child.wait(None if expected is None else moments.uniform(0.2, 1.2) * seconds)
                except subprocess.TimeoutExpired:
                    child.send_signal(signal.SIGKILL)
                    code, done = child.wait(), done + 1
                if code == 0:
                    break
                if code != -signal.SIGKILL:
                    raise SystemExit(f"a rerun after a kill failed with {code}")
        if expected is None:  # the first run is not disturbed
            expected, seconds = digest(home), time.perf_counter() - before
        else:
            if done == killed_before:  # so that kills stay within the run when the machine has more time for it
                seconds = min(seconds, time.perf_counter() - before)
            same += digest(home) == expected
        finished += 1
    figure("kills at random moments", done, at_least=number)
    figure("seconds of an undisturbed run", seconds)
    figure("folders that a killed and rerun sample ended in", finished - 1)
    figure("of these with other files than an undisturbed run", finished - 1 - same, exactly=0)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument("--only", choices=("places365", "fairness", "kills"), help="one of them alone")
    chosen = parser.parse_args()
    parts = {"places365": places365, "fairness": fairness}
    parts["kills"] = lambda folder: kills(folder, chosen.kills)
    for name, part in parts.items():
        if chosen.only in (None, name):
            if name == "fairness" and not MINIPLACES.exists():
                print(json.dumps({"figure": "miniplaces: fairness", "left_out": "needs ../shared/photos"}))
                continue
            with tempfile.TemporaryDirectory() as folder:
                part(Path(folder))


if __name__ == "__main__":
    main()
