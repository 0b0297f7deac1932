"""The README's picture: photos without their colors, as a trained run colors them, and as they were.

    python tests/tools/before_after.py results/paper/runs/efficientnet [--photos rocket coffee] [--strength 1]

The photos come inside scikit-image and may be redistributed. Public domain: astronaut (NASA), rocket (SpaceX).
CC0: chelsea (Stéfan van der Walt), coffee (Rachel Michetti). Use a run that was not trained on the sample.
"""

import argparse
import sys
from importlib import resources
from pathlib import Path

from PIL import Image, ImageOps

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from colorlib import colorize, settings  # noqa: E402

PHOTOS = {"astronaut": "astronaut.png", "chelsea": "chelsea.png", "coffee": "coffee.png", "rocket": "rocket.jpg"}
GAP, HEIGHT, WIDTH, MOST_BYTES = 8, 220, 330, 150_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", help="a trained run's folder, such as results/paper/runs/efficientnet")
    parser.add_argument("--photos", choices=PHOTOS, nargs="+", default=["rocket", "coffee"])
    parser.add_argument("--strength", type=float, default=1.0, help="times the predicted chroma; say so in the README")
    parser.add_argument("--out", type=Path, default=ROOT / ".github" / "before-after.jpg")
    options = parser.parse_args()
    model = colorize.trained_model(settings.load(), options.run)
    sheet = Image.new("RGB", (3 * (WIDTH + GAP) - GAP, len(options.photos) * (HEIGHT + GAP) - GAP), "white")
    for row, photo in enumerate(options.photos):
        with resources.as_file(resources.files("skimage") / "data" / PHOTOS[photo]) as file:
            truth = Image.open(file).convert("RGB")
        gray = truth.convert("L")
        pictures = [gray.convert("RGB"), colorize.colorize(gray, model, options.strength), truth]
        for column, picture in enumerate(pictures):
            cut = ImageOps.fit(picture, (WIDTH, HEIGHT), Image.Resampling.LANCZOS)
            sheet.paste(cut, (column * (WIDTH + GAP), row * (HEIGHT + GAP)))
    sheet.save(options.out, quality=88, optimize=True)
    size = options.out.stat().st_size
    print(f"{options.out.name}: {sheet.width} × {sheet.height} pixels, {size:,} bytes")
    if size > MOST_BYTES:
        sys.exit(f"More than {MOST_BYTES:,} bytes: lower HEIGHT.")


if __name__ == "__main__":
    main()
