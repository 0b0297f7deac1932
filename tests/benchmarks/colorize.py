"""Colorizing: photos a second, the share of the forward pass, the peak of memory. Random weights: speed is the same.

Each figure is measured in a process of its own, on photos that it makes itself. One JSON object a line.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image
from skimage import data

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

SIZES = {"small": (256, 256), "large": (4000, 3000), "huge": (8000, 6000)}


def make_photos(folder, size, count):
    """Gray JPEG files of a real photograph, each another part of it."""
    photograph = Image.fromarray(data.astronaut()).convert("L")
    for i in range(count):
        box = (i % 200, i // 2 % 200, i % 200 + 300, i // 2 % 200 + 300)
        photograph.resize(size, Image.Resampling.BICUBIC, box).save(folder / f"{i:03}.jpg", quality=92)


def timed(call, seconds):
    """The same function; each call of it adds its seconds to a list."""

    def wrapped(*arguments):
        begin = time.perf_counter()
        try:
            return call(*arguments)
        finally:
            seconds.append(time.perf_counter() - begin)

    return wrapped


def measure(kind, count, backbone):
    """Seconds, the forward passes' share of the time of all threads, of `colorize_files` on `count` photos; and the
    peak in MB."""
    from colorlib import colorize, models, settings

    if backbone == "box":
        model = colorize.box()
    else:
        model = models.build_colorizer(backbone, weights=None, image_size=224, seed=0)
    predicting, everything = [], []
    colorize.model_of = lambda settings, run="": model
    colorize.predict, colorize._carry_out = (
        timed(colorize.predict, predicting),
        timed(colorize._carry_out, everything),
    )
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "warm").mkdir()
        make_photos(folder, SIZES[kind], count)
        if kind != "huge":
            make_photos(folder / "warm", SIZES["small"], 8)
            run(colorize, settings, folder / "warm", folder / "warm_out")
        predicting.clear()
        everything.clear()
        begin = time.perf_counter()
        run(colorize, settings, sorted(folder.glob("*.jpg")), folder / "out")
        seconds = time.perf_counter() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    return {"seconds": seconds, "share": sum(predicting) / sum(everything), "peak": peak}


def run(colorize, settings, photos, out):
    photos = photos if isinstance(photos, list) else [photos]
    report = colorize.colorize_files(photos, out, settings.load("sample"), progress=False)
    assert report.exit_status == 0, report


def cold_start(rounds=3):
    """The seconds of the command that colorizes one photo, by the box, over those of importing TensorFlow and Keras."""
    with tempfile.TemporaryDirectory() as folder:
        make_photos(Path(folder), SIZES["small"], 1)
        command = ["-m", "colorlib", "colorize", f"{folder}/000.jpg", "--out", f"{folder}/out", "--overwrite"]
        seconds = {"import": [], "colorize": []}
        for _ in range(rounds):
            for name, arguments in (("import", ["-c", "import tensorflow, keras"]), ("colorize", command)):
                begin = time.perf_counter()
                subprocess.run([sys.executable, *arguments], check=True, capture_output=True, cwd=ROOT)
                seconds[name].append(time.perf_counter() - begin)
    return min(seconds["colorize"]) / min(seconds["import"])


def measured(*arguments):
    command = [sys.executable, __file__, *map(str, arguments)]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    return json.loads(lines[-1])


def tell(figure, value, **bound):
    print(json.dumps({"figure": figure, "value": round(value, 3), **bound}), flush=True)


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(measure(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
    else:
        for backbone in ("mobilenet", "vgg16"):
            small = measured("small", 96, backbone)
            tell(f"photos a second at 256x256, {backbone}", 96 / small["seconds"])
            tell(f"share of the forward pass at 256x256, {backbone}", small["share"], at_least=0.7)
        box = measured("small", 96, "box")
        beside = 1000 * box["seconds"] * (1 - box["share"]) / 96
        tell("ms a photo of 256x256 beside the forward pass, the box", beside, at_most=6)
        tell("MB for one photo of 48 megapixels, the box", measured("huge", 1, "box")["peak"], at_most=2000)
        tell("one photo, cold, over importing TensorFlow and Keras, the box", cold_start(), at_most=1.7)
        large = measured("large", 4, "mobilenet")
        tell("photos a second at 12 megapixels, mobilenet", 4 / large["seconds"])
        tell("share of the forward pass at 12 megapixels, mobilenet", large["share"])
        tell(
            "peak MB for one photo of 48 megapixels, mobilenet", measured("huge", 1, "mobilenet")["peak"], at_most=3000
        )
