"""The README's picture: photos without their colors, as the colorizer in the box colors them, and as they were.

    python tests/tools/before_after.py [RUN]

The rule: of the sample's test photos whose licence sets no conditions, those at the 25th and at the 50th percentile of
the squared error (0: the best). No model has learned from them.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from colorlib import colorize, lab, settings  # noqa: E402
from colorlib.sources import sample  # noqa: E402

PERCENTILES = (25, 50)
GAP, HEIGHT, WIDTH = 8, 220, 330


def squared_error(row: dict, model) -> float:
    truth = Image.open(sample.FOLDER / row["file"]).convert("RGB")
    pair = [np.asarray(image, np.float32) / 255 for image in (colorize.colorize(truth, model), truth)]
    return float(np.mean(np.square(np.subtract(*(lab.rgb_to_lab(image)[..., 1:] for image in pair)))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", nargs="?", default="", help="a trained run's folder, in place of the box")
    parser.add_argument("--out", type=Path, default=ROOT / ".github" / "before-after.jpg")
    options = parser.parse_args()
    model = colorize.model_of(settings.load("sample"), options.run)
    rows = [row for row in sample.credits() if row["part"] == "test" and row["licence"] in sample.FREE]
    rows.sort(key=lambda row: squared_error(row, model))
    rows = [rows[round(percentile / 100 * (len(rows) - 1))] for percentile in PERCENTILES]
    sheet = Image.new("RGB", (3 * (WIDTH + GAP) - GAP, len(rows) * (HEIGHT + GAP) - GAP), "white")
    for y, row in enumerate(rows):
        truth = Image.open(sample.FOLDER / row["file"]).convert("RGB")
        for x, picture in enumerate((truth.convert("L").convert("RGB"), colorize.colorize(truth, model), truth)):
            cut = ImageOps.fit(picture, (WIDTH, HEIGHT), Image.Resampling.LANCZOS)
            sheet.paste(cut, (x * (WIDTH + GAP), y * (HEIGHT + GAP)))
        print(f"{row['subject']}: {row['author']}, {row['licence']}")
    sheet.save(options.out, quality=82, subsampling=0, optimize=True)
    print(f"{options.out.name}: {sheet.width} × {sheet.height} pixels, {options.out.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
