"""The pictures on the notebooks' first screens, .github/NN.jpg, made by the project from photos without conditions.

python tests/tools/first_screens.py NN
"""

import argparse
import sys
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, ImageOps

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

GAP, LABEL = 6, 22


def sheet(pictures: dict, columns: int, height: int, width: int = 900) -> Image.Image:
    """Pictures, name -> PIL image, in rows of `columns`, each `height` pixels high, below its name."""
    side = (width + GAP) // columns - GAP
    rows = -(-len(pictures) // columns)
    whole = Image.new("RGB", (width, rows * (height + LABEL + GAP) - GAP), "white")
    draw, font = ImageDraw.Draw(whole), ImageFont.load_default(15)
    for i, (name, picture) in enumerate(pictures.items()):
        x, y = i % columns * (side + GAP), i // columns * (height + LABEL + GAP)
        draw.text((x + side / 2, y + LABEL / 2), name, "black", font, anchor="mm")
        whole.paste(
            ImageOps.fit(picture.convert("RGB"), (side, height), Image.Resampling.LANCZOS, centering=(0.5, 0.3)),
            (x, y + LABEL),
        )
    return whole


def of_07() -> Image.Image:
    """The median, by the box's squared error, of the test photos without conditions, by all models of the sample."""
    from before_after import squared_error

    from colorlib import colorize, evaluation, runs, settings, sources, training
    from colorlib.sources import sample

    chosen, box = settings.load("sample"), colorize.box()
    split = sources.prepare(chosen)
    rows = [row for row in sample.credits() if row["part"] == "test" and row["licence"] in sample.FREE]
    rows.sort(key=lambda row: squared_error(row, box))
    row = rows[round(0.5 * (len(rows) - 1))]
    print(f"{row['subject']}: {row['author']}, {row['licence']}")
    truth = Image.open(sample.FOLDER / row["file"]).convert("RGB")
    shown = {"gray": truth.convert("L")}
    for name in evaluation.PAPER_NAMES:
        if runs.Run(chosen, name).state != "finished":
            training.train(name, chosen, split)
        shown[name] = colorize.colorize(truth, runs.Run(chosen, name).build_model())
    return sheet({**shown, "the box": colorize.colorize(truth, box), "truth": truth}, columns=3, height=185, width=720)


def of_09() -> Image.Image:
    """A photo of 09, from gray through the mean to the boldest answer."""
    from colorlib import colorize
    from colorlib.sources import sample

    truth, box = Image.open(sample.FOLDER / "photos" / "hopper.jpg").convert("RGB"), colorize.box()
    shown = {"gray": truth.convert("L")}
    for name, vividness in {"the mean": 0, "vividness 0.5": 0.5, "vividness 1": 1}.items():
        shown[name] = colorize.colorize(truth, box, vividness=vividness)
    return sheet({**shown, "truth": truth}, columns=5, height=215)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("number", choices=[name[3:] for name in globals() if name.startswith("of_")])
    number = parser.parse_args().number
    picture, path = globals()[f"of_{number}"](), ROOT / ".github" / f"{number}.jpg"
    for quality in range(85, 50, -3):  # the best that is small enough for a first screen
        picture.save(path, quality=quality, subsampling=0, optimize=True)
        if path.stat().st_size <= 60_000:
            break
    print(f"{path.name}: {picture.width} × {picture.height} pixels, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
