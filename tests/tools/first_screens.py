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


def sheet(images, titles, columns, height, page=WIDTH):
    """Pictures in rows of `columns`, cut to one size, each below its title."""
    width = (page + GAP) // columns - GAP
    whole = Image.new("RGB", (page, (height + 32) * -(-len(images) // columns)), "white")
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


def models_of(*names):
    """The sample's models, trained where they are missing; and the box."""
    from colorlib import colorize, runs, settings, sources, training

    chosen = settings.load("sample")
    split, models = sources.prepare(chosen), {}
    for name in names:
        if name == "the box":
            models[name] = colorize.box()
        else:
            training.train(name, chosen, split)
            models[name] = runs.Run(chosen, name).build_model()
    return models


def colored(*names, percentiles=(25, 75), columns=3, height=180, page=WIDTH):
    """Test photos by some of the models, from gray or to the truth: those at these percentiles of the squared error of
    the last model (0: the best). No model has learned from them."""
    from before_after import squared_error

    from colorlib import colorize

    models, images = models_of(*(name for name in names if name not in ("gray", "truth"))), []
    rows = sorted(photos("test"), key=lambda row: squared_error(row, [*models.values()][-1]))
    for percentile in percentiles:
        truth = read(rows[round(percentile / 100 * (len(rows) - 1))])
        by_name = {"gray": truth.convert("L").convert("RGB"), "truth": truth}
        images += [by_name[name] if name in by_name else colorize.colorize(truth, models[name]) for name in names]
    return sheet(images, [*names] * len(percentiles), columns, height, page)


def first_04():
    return colored("gray", "baseline", "truth")


def first_05():
    return colored("baseline", "rebalanced", "truth")


def first_06():
    return colored("baseline", "efficientnet", "truth")


def first_07():
    names = ("gray", "efficientnet", "baseline", "rebalanced", "the box", "truth")
    return colored(*names, percentiles=(50,), height=185, page=720)


def first_09():
    """A photo of 09, from gray through the mean to the boldest answer."""
    from colorlib import colorize
    from colorlib.sources import sample

    truth, box = read(next(row for row in sample.credits() if row["file"] == "photos/hopper.jpg")), colorize.box()
    shown = {"gray": truth.convert("L").convert("RGB")}
    for name, vividness in {"the mean": 0, "vividness 0.5": 0.5, "vividness 1": 1}.items():
        shown[name] = colorize.colorize(truth, box, vividness=vividness)
    return sheet([*shown.values(), truth], [*shown, "truth"], 5, 215)


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
