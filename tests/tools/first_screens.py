"""The pictures at the top of the notebooks, made of the sample: `python tests/tools/first_screens.py 01 02 03`.

Photos are those whose licence sets no conditions, chosen by the rule that each function states. A picture is written to
.github/NN.jpg, about 900 pixels wide and of at most 60 kB.
"""

import io
import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

WIDTH, GAP, LIMIT = 900, 8, 60_000


def photos(part):
    """Rows of the sample's credits: the photos of a part whose licence sets no conditions, by file name."""
    from colorlib.sources import sample

    rows = [row for row in sample.credits() if row["part"] == part and row["licence"] in sample.FREE]
    return sorted(rows, key=lambda row: row["file"])


def read(row):
    from colorlib.sources import sample

    print(f"{row['subject']}: {row['author']}, {row['licence']}")
    return Image.open(sample.FOLDER / row["file"]).convert("RGB")


def sheet(images, titles, columns, height):
    """Pictures in rows of `columns`, cut to one size, each below its title."""
    width = (WIDTH + GAP) // columns - GAP
    whole = Image.new("RGB", (WIDTH, (height + 32) * -(-len(images) // columns)), "white")
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(18)
    for i, (image, title) in enumerate(zip(images, titles, strict=True)):
        x, y = i % columns * (width + GAP), i // columns * (height + 32)
        draw.text((x + width // 2, y + 16), title, "black", font, anchor="mm")
        whole.paste(ImageOps.fit(image, (width, height), Image.Resampling.LANCZOS), (x, y + 30))
    return whole


def first_01():
    """One photo of each class of the training photos: the one in the middle of the list."""
    classes = {}
    for row in photos("train"):
        classes.setdefault(row["class"], []).append(row)
    chosen = {label: classes[label][len(classes[label]) // 2] for label in sorted(classes)}
    return sheet([read(row) for row in chosen.values()], [*chosen], 3, 180)


def first_02():
    """The test photo whose pixels are, in the mean, farthest from gray; its L; its a and b, at L = 65 everywhere."""
    from colorlib import lab
    from colorlib.sources import sample

    def chroma(row):
        image = Image.open(sample.FOLDER / row["file"]).convert("RGB")
        return np.hypot(*np.moveaxis(lab.rgb_to_lab(np.asarray(image) / 255.0)[..., 1:], -1, 0)).mean()

    photo = read(max(photos("test"), key=chroma))
    colors = lab.rgb_to_lab(np.asarray(photo) / 255.0)
    light, color = colors * [1, 0, 0], colors * [0, 1, 1] + [65, 0, 0]
    parts = [Image.fromarray(np.rint(lab.lab_to_rgb(np.float32(x)) * 255).astype(np.uint8)) for x in (light, color)]
    return sheet([photo, *parts], ["a photograph", "L: its light", "a and b: its color"], 3, 220)


def first_03():
    """Data alone: the colors of the sample's training photos, and the weights of Eq. 3 made of them."""
    from colorlib import figures, prior, settings
    from colorlib.sources import sample

    chosen = settings.load("sample")
    counted = prior.count(sample.prepare(chosen).paths("train"), chosen.bin_width)
    at = prior.centers(chosen.bin_width)
    plane = np.stack(np.meshgrid(at, at, indexing="ij"), axis=-1).reshape(-1, 2)
    v = prior.weights(prior.density(counted, chosen.bin_width, chosen.sigma), chosen.bin_width, chosen.lambda_)
    both = [
        figures.distributions({"how common each color is": (65, plane, counted.ravel() / counted.sum())}),
        figures.ab_planes({"how much it weighs, by Eq. 3": v}, chosen.bin_width, "weight v"),
    ]
    images = []
    for figure in both:
        file = io.BytesIO()
        figure.savefig(file, dpi=150)
        images.append(Image.open(file).convert("RGB"))
    images = [
        image.resize((round(image.width * 420 / image.height), 420), Image.Resampling.LANCZOS) for image in images
    ]
    whole = Image.new("RGB", (sum(image.width for image in images), 420), "white")
    for i, image in enumerate(images):
        whole.paste(image, (i * images[0].width, 0))
    return whole


def main() -> None:
    for number in sys.argv[1:]:
        picture, target = globals()[f"first_{number}"](), ROOT / ".github" / f"{number}.jpg"
        for quality, subsampling in [(q, 0) for q in range(88, 73, -2)] + [(q, 2) for q in range(86, 50, -2)]:
            picture.save(target, quality=quality, subsampling=subsampling, optimize=True)
            if target.stat().st_size <= LIMIT:
                break
        print(f"{target.name}: {picture.width} × {picture.height}, {target.stat().st_size:,} bytes, {quality}")


if __name__ == "__main__":
    main()
