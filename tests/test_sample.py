"""The photographs that come with the project: listed, credited, unchanged, and no scene on two sides of the split."""

import csv
import hashlib
import importlib
import itertools
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from colorlib.sources import sample

SAMPLE = Path(__file__).resolve().parents[1] / "data" / "sample"
LICENCES = {"public domain", "CC0 1.0", "CC BY 2.0", "CC BY 3.0", "CC BY 4.0", "CC BY-SA 4.0"}
CLASSES = {"animal", "building", "landscape", "people", "plant", "thing"}
COUNTS = {"train": 105, "validation": 15, "test": 20}
ALIKE = 0.93  # correlation of 16×16 grays: the most alike of different scenes have 0.88


@pytest.fixture(scope="module")
def rows():
    with (SAMPLE / "credits.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def thumbnail(image: Image.Image) -> np.ndarray:
    """16×16 grays, (256,), of mean 0 and norm 1, so that a dot product of two is their correlation."""
    grays = np.asarray(image.convert("L").resize((16, 16), Image.Resampling.BOX), np.float64).ravel()
    grays -= grays.mean()
    return grays / np.linalg.norm(grays)


def test_every_photo_is_listed_and_no_more(rows):
    listed = [row["file"] for row in rows]
    assert sorted(listed) == sorted(f"photos/{path.name}" for path in (SAMPLE / "photos").iterdir())
    assert len(set(listed)) == len(listed)
    assert all(name.isascii() and " " not in name for name in listed)


def test_every_photo_is_credited_and_may_be_changed_and_passed_on(rows):
    for row in rows:
        assert row["licence"] in LICENCES, row["file"]
        assert row["subject"] and row["author"], row["file"]
        package, _, path = row["source"].partition(": ")
        assert package and path, row["file"]
        if row["licence"].startswith("CC BY"):  # these ask for a link to the original
            assert "<http" in path, row["file"]
    texts = (SAMPLE / "LICENSES.md").read_text(encoding="utf-8")
    stated = dict(re.findall(r"^\| ((?:public|CC)[^|]+) \| (\d+) \|", texts, re.MULTILINE))
    assert {licence: int(count) for licence, count in stated.items()} == Counter(row["licence"] for row in rows)


def test_bytes_are_those_of_the_credits(rows):
    for row in rows:
        assert hashlib.sha256((SAMPLE / row["file"]).read_bytes()).hexdigest() == row["sha256"], row["file"]


def test_photos_are_small_plain_jpegs_in_color(rows):
    for row in rows:
        with Image.open(SAMPLE / row["file"]) as image:
            assert (image.format, image.mode, max(image.size)) == ("JPEG", "RGB", 320), row["file"]
            assert min(image.size) >= 128, row["file"]
            assert not image.getexif() and "icc_profile" not in image.info, row["file"]
            rgb = np.asarray(image, np.int16)
        assert (rgb.max(axis=2) - rgb.min(axis=2)).mean() > 12, f"{row['file']} is nearly gray"
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 4_000_000


def test_parts_have_their_counts_and_every_class(rows):
    assert Counter(row["part"] for row in rows) == COUNTS
    for part in COUNTS:
        assert {row["class"] for row in rows if row["part"] == part} == CLASSES


def test_no_scene_lies_on_two_sides(rows):
    parts = {}
    for row in rows:
        parts.setdefault(row["scene"], set()).add(row["part"])
    assert [scene for scene, where in parts.items() if len(where) > 1] == []


def test_no_two_photos_of_different_parts_are_alike(rows):
    thumbnails = {}
    for row in rows:
        with Image.open(SAMPLE / row["file"]) as image:
            thumbnails[row["file"]] = thumbnail(image)
            half = image.resize((image.width // 2, image.height // 2))
        assert thumbnails[row["file"]] @ thumbnail(half) > ALIKE, f"a smaller copy of {row['file']} goes unnoticed"
    parts = {row["file"]: row["part"] for row in rows}
    pairs = ((a, b) for a, b in itertools.combinations(thumbnails, 2) if parts[a] != parts[b])
    assert [(a, b) for a, b in pairs if thumbnails[a] @ thumbnails[b] > ALIKE] == []


def test_split_and_names_are_those_of_the_script(rows, monkeypatch):
    """The parts follow from the classes, the scenes and the rule in `build_sample.py`; none was moved by hand."""
    monkeypatch.syspath_prepend(Path(__file__).parent / "tools")
    build_sample = importlib.import_module("build_sample")
    chosen = build_sample.selection()
    assert build_sample.split(chosen) == {Path(row["file"]).stem: row["part"] for row in rows}
    assert {row["name"]: row["subject"] for row in chosen} == {Path(row["file"]).stem: row["subject"] for row in rows}


def test_a_picture_s_credit_names_what_its_licence_wants_named():
    by = [row for row in sample.credits() if row["licence"] not in sample.FREE]
    free = [row for row in sample.credits() if row["licence"] in sample.FREE]
    assert len(by) == 35 and len(free) == 105
    line = sample.credit([sample.FOLDER / row["file"] for row in (by[0], free[0])])
    assert by[0]["author"] in line and by[0]["licence"] in line and free[0]["subject"] not in line
    assert sample.credit([sample.FOLDER / free[0]["file"], "/elsewhere/photo.jpg"]) == ""
