"""The picture at the top of a notebook, made by the project of photos that anyone may use: .github/NN.jpg.

    python tests/tools/first_screens.py NN

Each function gives rows of pictures; they are cut to one size and put side by side.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

GAP, WIDTH, LARGEST = 8, 900, 60_000  # pixels, pixels, bytes


def trained(*names, percentiles=(25, 75)):
    """Photos in the colors of runs of the sample, trained where they are missing; "gray" and "truth" as they are.

    The rule: of the test photos whose licence sets no conditions, those at two percentiles of the squared error of the
    last of the runs (0: the best). No model has learned from them.
    """
    from colorlib import colorize, lab, runs, settings, sources, training
    from colorlib.sources import sample

    chosen = settings.load("sample")
    split = sources.prepare(chosen)
    models = {}
    for name in names:
        if name not in ("gray", "truth"):
            training.train(name, chosen, split)
            models[name] = runs.Run(chosen, name).build_model()
    free = [row["file"] for row in sample.credits() if row["part"] == "test" and row["licence"] in sample.FREE]

    def picture(file, name):
        truth = Image.open(sample.FOLDER / file).convert("RGB")
        if name in models:
            return colorize.colorize(truth, models[name])
        return truth.convert("L").convert("RGB") if name == "gray" else truth

    def error(file):
        pair = [np.asarray(picture(file, name), np.float32) / 255 for name in ([*models][-1], "truth")]
        return float(np.mean(np.square(np.subtract(*(lab.rgb_to_lab(image)[..., 1:] for image in pair)))))

    free.sort(key=error)
    files = [free[round(percentile / 100 * (len(free) - 1))] for percentile in percentiles]
    print(*files)
    return [[picture(file, name) for name in names] for file in files]


SCREENS = {
    "04": lambda: trained("gray", "baseline", "truth"),
    "05": lambda: trained("baseline", "rebalanced", "truth"),
    "06": lambda: trained("baseline", "efficientnet", "truth"),
}


def main() -> None:
    number = sys.argv[1]
    rows = SCREENS[number]()
    columns = len(rows[0])
    width = (WIDTH + GAP) // columns - GAP
    height = width * 3 // 5
    sheet = Image.new("RGB", (columns * (width + GAP) - GAP, len(rows) * (height + GAP) - GAP), "white")
    for y, row in enumerate(rows):
        for x, picture in enumerate(row):
            cut = ImageOps.fit(picture, (width, height), Image.Resampling.LANCZOS)
            sheet.paste(cut, (x * (width + GAP), y * (height + GAP)))
    path = ROOT / ".github" / f"{number}.jpg"
    for quality in range(90, 60, -2):  # small, for a page that loads: color at half size
        sheet.save(path, quality=quality, subsampling=2, optimize=True)
        if path.stat().st_size <= LARGEST:
            break
    print(f"{path.name}: {sheet.width} × {sheet.height} pixels, {path.stat().st_size:,} bytes, quality {quality}")


if __name__ == "__main__":
    main()
