# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/colorization-course/colorization-course/blob/main/notebooks/01_download_and_split.ipynb)
#
# # Photos, in three fair parts
#
# ![Six photographs of the sample, one of each class](https://raw.githubusercontent.com/colorization-course/colorization-course/main/.github/01.jpg)
#
# **What you will learn**
#
# - what is in the data set, and why its photos are split into training, validation and test;
# - how to draw a few photos that stand for all;
# - how to take 3 % of a 26 GB archive without downloading the rest.
#
# **What it needs.** No GPU. Sample: some seconds, no network. Classroom: about 3 minutes, 0.5 GB to download.
# Paper: about 20 minutes, 1.6 GB to download (both estimates; the server decides).

# %% cellView="form" jupyter={"source_hidden": true}
# @title Setup (run this first)
PROFILE = "auto"  # @param ["auto", "sample", "classroom", "paper"]
DATA = ""  # @param {type: "string"}
USE_DRIVE = False  # @param {type: "boolean"}
import os, subprocess, sys  # noqa: E401

url = "https://github.com/colorization-course/colorization-course"
root = next((f for f in ("..", ".") if os.path.exists(f"{f}/colorlib/course")), url.split("/")[-1])
copy = f"/content/drive/MyDrive/{root}"  # taken in place of GitHub's where Drive is mounted and holds one
fetch = ["cp", "-r", copy] if os.path.exists(f"{copy}/colorlib") else ["git", "clone", "--depth=1", url]
if not os.path.exists(f"{root}/colorlib"):
    subprocess.run([*fetch, root], check=True)
sys.path.insert(0, os.path.abspath(root))
from colorlib import course

settings = course.start(PROFILE, DATA, USE_DRIVE)

# %% [markdown]
# ## The photos, and three parts of them
#
# *About 4 minutes.*
#
# One call finds the photos of this profile, or gets them. Here are two of each class, on two sheets:

# %%
from collections import Counter

import numpy as np
from colorlib import figures, sources
from colorlib.sources import http, sampling, tar
from colorlib.sources.sample import credit
from IPython.display import display
from PIL import Image

split = sources.prepare(settings)
by_class = {}
for photo in split.photos("train"):
    by_class.setdefault(photo.label, []).append(photo)
shown = sorted(by_class)[:: max(1, len(by_class) // 6)][:6]  # six classes, where there are more
chosen = [photo for label in shown for photo in by_class[label][:: max(1, len(by_class[label]) // 2)][:2]]


# %%
def sheet(photos, split=split, columns=3):
    """Photos with their classes, made small as they are read."""
    images = []
    for photo in photos:
        with Image.open(split.path_of(photo)) as image:
            image.thumbnail((320, 320))
            images.append(np.asarray(image.convert("RGB")))
    print(credit(split.path_of(photo) for photo in photos))
    return figures.photo_row(images, [photo.label.rpartition("/")[2][:16] for photo in photos], columns)


if len(shown) < 3:
    chosen = split.train[:: max(1, len(split.train) // 12)][:12]
for few in filter(None, (chosen[:6], chosen[6:])):
    display(sheet(few))

# %% [markdown]
# The paper's Figures 1 to 3 are such sheets, of Places, Food-101 and ImageNet. Here are those that this machine has.
# (`DATA = "food101"` in the setup cell downloads 5 GB. ImageNet is behind a registration: `data/README.md` says how to
# use a copy of your own.)

# %%
from colorlib.sources.splits import Split

published = {"places365": "Fig. 1", "places365-val": "Fig. 1", "food101": "Fig. 2", "imagenet": "Fig. 3"}
for name, number in published.items():
    files = [settings.data_folder / home / "split.json" for home in (name, f"{name}-made")]
    if not (made := [file for file in files if file.exists()]):
        print(f"{number}, {name}: not on this machine")
        continue
    theirs = Split.load(made[0])
    there = [photo for photo in theirs.train if theirs.is_there(photo)]
    print(f"{number}, {name}:")
    display(sheet(there[:: max(1, len(there) // 6)][:6], theirs))

# %% [markdown]
# From now on each photo belongs to one part of the
# [split](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#split):
#
# - **train**: the model learns from these;
# - **[validation](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#validation)**:
#   we look at these while it learns, to decide when to stop;
# - **test**: nobody looks at these until the very end. They tell how good the model is on photos it never met.

# %% tags=["nbval-check-output"]
parts = ("train", "validation", "test")
for part in parts:
    photos = split.photos(part)
    classes = len({photo.label for photo in photos})
    size = sum(photo.bytes for photo in photos)
    print(f"{part:10}  {len(photos):6,} photos  {classes:3} classes  {size:12,} bytes")
print("checksum of the split:", split.checksum[:16])

# %%
counts = {part: Counter(photo.label for photo in split.photos(part)) for part in parts}
figures.photos_per_class(counts)

# %% [markdown]
# The checksum is one number made of all file names and all file contents. If yours is the same as your neighbor's, you
# have the same photos in the same parts, to the last bit. The split is kept in a small file, `split.json`: whoever gets
# it from you gets the same photos.
#
# > **What the paper says, and what we do.** The paper takes 3 % of Places: 54,104 / 1,095 / 9,855 photos. Its counts
# > are those of Places365-Standard, 1,803,460 / 36,500 / 328,500, times 0.03, rounded. The profile `paper` takes
# > exactly these numbers; `classroom` takes 7,300 / 365 / 730 photos of the smallest archive. (The classes of Places'
# > test photos were never published: all of them count as one, without a name, which the picture leaves out.)

# %% [markdown]
# ## Why the parts must be fair
#
# *About 2 minutes.*
#
# If views of one scene were in train *and* in test, the test would only ask whether the model remembers that scene. So
# **no scene may be on two sides**. In the sample, photos of one monument or one animal were put on the same side by
# hand, and written down:

# %% tags=["nbval-check-output"]
from colorlib.sources import sample

sides = {}  # of each scene of the sample
for row in sample.credits():
    sides.setdefault(row["scene"], []).append(row["part"])
torn = [scene for scene, where in sides.items() if len(set(where)) > 1]
print("scenes of the sample:", len(sides))
print("with several photos:", ", ".join(sorted(scene for scene in sides if len(sides[scene]) > 1)))
print("on two sides:", len(torn))

# %% [markdown]
# Where nobody wrote scenes down, look for photos that resemble each other. Seen from afar, a photo is 8 × 8 gray
# pixels. These are the three test photos that come closest to a training photo, which is below each.


# %%
def from_afar(photo):
    """A photo as 64 numbers of mean 0 and length 1: the product of two is 1 where they are alike."""
    with Image.open(split.path_of(photo)) as image:
        tiny = np.asarray(image.convert("L").resize((8, 8), Image.Resampling.BOX), float).ravel()
    tiny -= tiny.mean()
    return tiny / max(np.linalg.norm(tiny), 1e-9)


# %%
train, test = split.train[:1000], split.test[:200]  # as many as take some seconds
likeness = np.stack([from_afar(photo) for photo in test]) @ np.stack([from_afar(photo) for photo in train]).T
closest = np.argsort(-likeness.max(axis=1))[:3]
print("how alike, at most 1:", *(f"{likeness[i].max():.2f}" for i in closest))
sheet([*(test[i] for i in closest), *(train[likeness[i].argmax()] for i in closest)], columns=len(closest))

# %% [markdown]
# Are they views of one scene? Numbers find the candidates; the eye decides.

# %% [markdown]
# ## A fair sample
#
# *About 3 minutes.*
#
# The classes are not equally large. Whoever draws a few photos of many, blindly, may miss a small class. A
# **stratified** draw gives each class its share: a class with a tenth of the photos gives a tenth of the draw.
#
# Photos come in whole numbers. So we take the whole part of each share, and give what is missing to the shares with
# the **largest remainder**:


# %%
def share_out(sizes, number):
    ideal = np.array(sizes) * number / sum(sizes)
    shares = np.floor(ideal).astype(int)
    largest = np.argsort(shares - ideal, kind="stable")[: number - shares.sum()]
    shares[largest] += 1
    return shares


share_out([5000, 4000, 3100], 100)

# %% tags=["nbval-check-output"]
same = list(share_out([5000, 4000, 3100], 100)) == sampling.largest_remainder([5000, 4000, 3100], 100)
print("the same shares as colorlib's:", same)
print("paper, 3 % of each part:", [round(0.03 * n) for n in (1_803_460, 36_500, 328_500)])

# %% [markdown]
# A fifth of the training photos, drawn in both ways: the classes before and after.

# %%
labels = np.array([photo.label for photo in split.train])
names, sizes = np.unique(labels, return_counts=True)
number = max(1, len(labels) // 5)
blind = np.random.default_rng(settings.seed).choice(labels, number, replace=False)
drawn = {"before": Counter(labels), "drawn blindly": Counter(blind)}
drawn["drawn by shares"] = Counter(dict(zip(names, share_out(sizes, number), strict=True)))
percent = {way: {name: 100 * n / total.total() for name, n in total.items()} for way, total in drawn.items()}
figures.photos_per_class(percent, side_by_side=True)

# %%
before = percent["before"]
off = {way: max(abs(percent[way].get(name, 0) - before[name]) for name in names) for way in percent}
for way in ("drawn blindly", "drawn by shares"):
    missed = len(names) - sum(n > 0 for n in drawn[way].values())
    print(f"{way:15}  {missed} classes missed, at most {off[way]:.1f} percentage points off a class's share")

# %% [markdown]
# ## What is in an archive?
#
# *Optional reading, but run the cells: later ones need them. About 5 minutes.*
#
# The training photos of Places365 come as **one** file of 26,103,685,120 bytes. We want 54,104 of its 1,803,460
# photos. Must we download all of it?
#
# To find out, we make a small archive of our own, in the same order as the large one: class by class.

# %%
import io, re, tarfile  # noqa: E401


def small(path):
    """A photo's file, made smaller where it is not as small as those of Places365."""
    if path.stat().st_size <= 50_000:
        return path.read_bytes()
    file, image = io.BytesIO(), Image.open(path).convert("RGB")
    image.thumbnail((256, 256))
    image.save(file, "JPEG")
    return file.getvalue()


few = [photo for label in sorted(by_class) for photo in by_class[label][:60]][:240]

# %%
folder = settings.data_folder / "lesson-01"
folder.mkdir(parents=True, exist_ok=True)
with tarfile.open(folder / "photos.tar", "w", format=tarfile.USTAR_FORMAT) as archive:
    for i, photo in enumerate(few):
        label = re.sub(r"[^A-Za-z0-9/_-]+", "_", photo.label)[:40] or f"group_{4 * i // len(few)}"
        member, data = tarfile.TarInfo(f"photos/{label}/{i:08}.jpg"), small(split.path_of(photo))
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
source = http.Source(folder / "photos.tar")
print(f"{source.name}: {len(few)} photos, {source.size:,} bytes")

# %% [markdown]
# A `tar` archive is a chain without a table of contents. Each photo comes as a **header** of 512 bytes, then its own
# bytes, then zeros up to the next multiple of 512. A header has the photo's name, its size in digits of base 8, the
# word `ustar`, and a checksum of itself. So we can jump to *any* byte, and know a header when we see one.


# %% tags=["nbval-check-output"]
def read_header(block):
    """Name and size in a header of 512 bytes, or None if it is no header."""
    if block[257:262] != b"ustar":
        return None
    computed = sum(block[:148]) + 8 * ord(" ") + sum(block[156:])
    is_header = computed == int(block[148:156].rstrip(b"\0 "), 8)
    return (block[:100].rstrip(b"\0").decode(), int(block[124:135], 8)) if is_header else None


print("the first header:", *read_header(source.read(0, 512)))
member = next(tar.Reader(source).members(source.size // 2 // 512 * 512, source.size))
print("the first one after the middle, found by colorlib:", member.name, member.size)
at_it = read_header(source.read(member.offset, member.offset + 512))
print("read_header says the same:", at_it == (member.name, member.size))

# %% [markdown]
# A web server that knows **byte ranges** sends any stretch of a file that we ask for. So here is the plan:
#
# 1. **Probe.** Jump to some places and read one header each. Where two neighbors belong to different classes, look in
#    the middle between them, again and again, until the border is found.
# 2. **Share.** Each class gives its share, as above.
# 3. **Read.** From each class read some separate stretches, from random places on. (Photos that lie side by side may
#    be more alike than others of their class.)

# %%
import tempfile
from pathlib import Path

source = http.Source(folder / "photos.tar")  # a new one, for it counts what is read
wanted = max(1, len(few) // 10)
keep = sampling.described  # name, size and checksum of a photo are enough here
with tempfile.TemporaryDirectory() as done:  # where an interrupted sample would go on
    taken, _ = sampling.sample(source, wanted, len(few), settings.seed, keep, Path(done), progress=False)
bytes_read, bytes_kept = source.bytes_read, sum(photo.bytes for photo in taken)

# %%
kept = [(photo.offset - 512, photo.offset + photo.bytes) for photo in taken]
extents, probes = sampling.find_classes(source, len(few), progress=False)
bounds = [(extent.label.partition("/")[2], extent.start, extent.stop) for extent in extents]
figure = figures.archive_map(source.size, bounds, probes, kept)
figures.save(figure, "01_archive", settings)
figure

# %% [markdown]
# Read it like a page: the archive begins at the top left, and each row goes on where the one above ends. Blue triangles
# are probes: they crowd where a class ends. Orange are the photos that we kept.

# %% tags=["nbval-check-output"]
print("kept exactly what was asked for:", len(taken) == wanted)
of_class = Counter(photo.path.split("/", 1)[1].rpartition("/")[0] for photo in taken)
print(", ".join(f"{count} of {label}" for label, count in of_class.items()))

# %%
print(f"bytes of the archive {source.size:12,}")
print(f"bytes read           {bytes_read:12,}")
print(f"bytes kept           {bytes_kept:12,}")
print(f"read for each byte kept: {bytes_read / bytes_kept:.2f}")

# %% [markdown]
# On so small an archive the probes cost much. In Places365 a class has 71 million bytes, and the same number of probes
# is a small part of it.

# %% [markdown]
# ## Exercises
#
# *About 16 minutes.*
#
# Fill in a cell where it says `...`, run it, then run the check below it.

# %%
from notebooks.checks import lesson01

# %% [markdown]
# **Exercise 1: predict, then run.** A fifth of the training photos is drawn blindly, 1,000 times. In how many of the
# 1,000 draws is at least one class missing: *rarely* (fewer than 100), *sometimes* (100 to 400) or *often* (more)?

# %% tags=["exercise"]
prediction = ...  # "rarely", "sometimes" or "often"

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 1
lesson01.exercise_1(prediction, sizes, number)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# prediction = "often"
# ```
# That is so for the sample. A class with 5 photos is missed when all 5 are among the four fifths that stay: in about
# 0.8⁵ = 33 % of the draws. Two such classes, and some luck with the others, make it more than half. With larger
# classes, as in the profile `paper`, it becomes `"rarely"`: try your own numbers.
# </details>

# %% [markdown]
# **Exercise 2: change the data.** Write the stratified draw itself: `number` photos, from each class its share by
# `share_out`. Which photos of a class you take is up to you. The check shows yours, from the training photos.


# %% tags=["exercise"]
def draw(photos, number):
    """A list of `number` of the photos, each of which has a `photo.label`: of each class its share."""
    return ...  # your code here


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 2
lesson01.exercise_2(draw, split.train, sheet)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def draw(photos, number):
#     classes = {}
#     for photo in photos:
#         classes.setdefault(photo.label, []).append(photo)
#     shares = share_out([len(members) for members in classes.values()], number)
#     random = np.random.default_rng(0)
#     return [
#         members[i]
#         for members, share in zip(classes.values(), shares)
#         for i in random.permutation(len(members))[:share]
#     ]
# ```
# Change `default_rng(0)`, and other photos come, of the same classes.
# </details>

# %% [markdown]
# **Exercise 3: break the plain rounding.** Why not simply round every share? Find three class sizes for which the
# rounded shares of 100 photos do not add up to 100.

# %% tags=["exercise"]
my_sizes = [..., ..., ...]  # three whole numbers

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 3
lesson01.exercise_3(my_sizes)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# my_sizes = [1, 1, 1]
# ```
# Each share is 33.3, and 3 × 33 = 99: one photo is missing. `share_out` gives it to the first class.
# </details>

# %% [markdown]
# ## What we saw
#
# *About 1 minute.*

# %%
print(f"The split has {split.counts()}.")
print(f"Scenes of the sample on two sides: {', '.join(torn) or 'none'}.")
by_shares, blindly = off["drawn by shares"], off["drawn blindly"]
nearer = "nearer to" if by_shares < blindly else "no nearer to"
print(f"A draw by shares came {nearer} the classes' shares than a blind one: {by_shares:.1f} points off")
print(f"at most, against {blindly:.1f}.")
read, part = bytes_read / source.size, wanted / len(few)
cheap = "less than the whole" if read < 1 else "as much as the whole: here it does not pay"
print(f"For {part:.0%} of a small archive's photos we read {read:.0%} of its bytes, {cheap}.")

# %% [markdown]
# Next: [02, lightness and color](02_lab_preprocessing.ipynb), where each photo becomes what the model sees.
