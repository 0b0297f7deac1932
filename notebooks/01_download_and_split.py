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
# # Three percent of a very large archive
#
# **What you will learn**
#
# - how to take a fair sample of photos out of a 26 GB archive without downloading it;
# - why the photos are split into training, validation and test, and how to make a split that others can repeat;
# - how to check that a download is what it claims to be.
#
# **What it needs.** No GPU. Sample: some seconds, no network. Classroom: about 3 minutes, 0.5 GB to http.
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
# One call makes the [split](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#split),
# or finds the one that is there. From now on each photo belongs to one part:
#
# - **train**: the model learns from these;
# - **[validation](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#validation)**:
#   we look at these while it learns, to decide when to stop;
# - **test**: nobody looks at these until the very end. They tell how good the model is on photos it never met.

# %%
from collections import Counter

import numpy as np
from colorlib import figures, sources
from colorlib.sources import http, sampling, tar
from colorlib.sources.sample import credit
from PIL import Image

split = sources.prepare(settings)

# %% tags=["nbval-check-output"]
for part in ("train", "validation", "test"):
    photos = split.photos(part)
    classes = len({photo.label for photo in photos})
    size = sum(photo.bytes for photo in photos)
    print(f"{part:10}  {len(photos):6,} photos  {classes:3} classes  {size:12,} bytes")
print("checksum of the split:", split.checksum[:16])

# %% [markdown]
# The checksum is one number made of all file names and all file contents. If yours is the same as your
# neighbor's, you have the same photos in the same parts, to the last bit. The split is kept as a small file,
# `data/<data set>/split.json`. Whoever gets that file from you gets the same photos, with the same few requests.
#
# Here are some of them:


# %%
def contact_sheet(split, parts):
    """Four photos of each part, spread evenly over it, with their classes; made small as they are read."""
    all_of_them = [split.photos(part) for part in parts]
    chosen = [photo for photos in all_of_them for photo in photos[:: max(1, len(photos) // 4)][:4]]
    images = []
    for photo in chosen:
        with Image.open(split.path_of(photo)) as image:
            image.thumbnail((320, 320))
            images.append(np.asarray(image.convert("RGB")))
    print(credit(split.path_of(photo) for photo in chosen))
    return figures.photo_row(images, [photo.label.rpartition("/")[2][:16] for photo in chosen])


contact_sheet(split, ("train", "validation", "test"))

# %% [markdown]
# The paper shows such samples of three data sets, as its Figures 1 to 3. Here are those that this machine has.
# (`DATA = "food101"` in the setup cell downloads 5 GB. ImageNet is behind a registration: `data/README.md` says how to
# use a copy of your own.)

# %%
import dataclasses

from colorlib.sources.splits import Split
from IPython.display import display

published = {"places365": "Fig. 1", "places365-val": "Fig. 1", "food101": "Fig. 2", "imagenet": "Fig. 3"}
for name, number in published.items():
    files = [settings.data_folder / home / "split.json" for home in (name, f"{name}-made")]
    if not (made := [file for file in files if file.exists()]):
        print(f"{number}, {name}: not on this machine")
        continue
    theirs = Split.load(made[0])
    there = tuple(photo for photo in theirs.train if theirs.is_there(photo))
    print(f"{number}, {name}:")
    display(contact_sheet(dataclasses.replace(theirs, train=there), ["train"]))

# %% [markdown]
# How many photos has each class?

# %%
parts = ("train", "validation", "test")
counts = {part: Counter(photo.label for photo in split.photos(part)) for part in parts}
figures.photos_per_class(counts)

# %% [markdown]
# No scene is in two parts. In the sample, photos of one monument or one animal were put on the same side by hand. If
# views of one scene were in train *and* in test, the test would only ask whether the model remembers that scene.
#
# In Places365, the archives of validation and test photos have no class folders. The classes of the validation photos
# come from a published list. Those of the test photos were never published: all of them count as one, without a name,
# which the picture leaves out.
#
# > **What the paper says, and what we do.** The paper takes 3 % of Places: 54,104 / 1,095 / 9,855 photos. Its
# > counts are those of Places365-Standard, 1,803,460 / 36,500 / 328,500 photos, times 0.03, rounded. The profile
# > `paper` takes exactly these numbers; `classroom` takes 7,300 / 365 / 730 photos of the smallest archive.

# %% [markdown]
# ## What is in an archive?
#
# The training photos of Places365 come as **one** file of 26,103,685,120 bytes. We want 54,104 of its 1,803,460
# photos. Must we download all of it?
#
# To find out, we make a small archive of our own, in the same order as the large one: class by class. It has 240
# photos at the most. Everything below happens on it, and works the same on the large one.

# %%
import re

classes = {}
for photo in split.train:  # a name in the archive is short and has no letters but A to z
    classes.setdefault(re.sub(r"[^A-Za-z0-9/_-]+", "_", photo.label)[:40] or "none", []).append(photo)
if len(classes) < 4:  # photos without classes: four groups will do
    classes = {f"group_{i}": split.train[i::4] for i in range(4)}
few = [(label, photo) for label in sorted(classes) for photo in classes[label][:60]][:240]
print(f"{len(few)} photos of {', '.join(dict.fromkeys(label for label, _ in few))}")

# %%
import io
import tarfile


def small(path):
    """A photo's file, made smaller where it is not as small as those of Places365."""
    if path.stat().st_size <= 50_000:
        return path.read_bytes()
    file, image = io.BytesIO(), Image.open(path).convert("RGB")
    image.thumbnail((256, 256))
    image.save(file, "JPEG")
    return file.getvalue()


# %%
folder = settings.data_folder / "lesson-01"
folder.mkdir(parents=True, exist_ok=True)
with tarfile.open(folder / "photos.tar", "w", format=tarfile.USTAR_FORMAT) as made:
    for number, (label, photo) in enumerate(few):
        member, data = tarfile.TarInfo(f"photos/{label}/{number:08}.jpg"), small(split.path_of(photo))
        member.size = len(data)
        made.addfile(member, io.BytesIO(data))
source = http.Source(folder / "photos.tar")
print(f"{source.name}: {source.size:,} bytes")

# %% [markdown]
# A `tar` archive is a chain. Each photo comes as a **header** of 512 bytes, then its own bytes, then zeros up to the
# next multiple of 512. There is no table of contents. A header tells the photo's name and its size (as digits of
# base 8), and so where the next header is:


# %% tags=["nbval-check-output"]
def read_header(block):
    """Name and size in a header of 512 bytes, or None if it is no header."""
    name = block[:100].rstrip(b"\0").decode()
    stored = int(block[148:156].rstrip(b"\0 "), 8)
    computed = sum(block[:148]) + 8 * ord(" ") + sum(block[156:])
    return (name, int(block[124:135], 8)) if block[257:262] == b"ustar" and stored == computed else None


position = 0
for _ in range(3):
    name, size = read_header(source.read(position, position + 512))
    print(f"at byte {position:7,}: {name}, {size:,} bytes")
    position += 512 + -(-size // 512) * 512

# %% [markdown]
# Two things tell a header from any other 512 bytes: the word `ustar`, and a **checksum**, the sum of its bytes.
# So we can jump to *any* byte and look for the next header from there, without having read anything before it:


# %%
def find_header(data):
    """The first multiple of 512 at which a header starts."""
    for start in range(0, len(data) - 511, 512):
        if data[start + 257 : start + 262] == b"ustar" and read_header(data[start : start + 512]):
            return start


middle = source.size // 2 // 512 * 512
window = source.read(middle, middle + 60_000)
start = find_header(window)
name, size = read_header(window[start : start + 512])
print(f"We jump to byte {middle:,}. The next header is {start:,} bytes further, that of {name}.")

# %% [markdown]
# `colorlib` does the same:

# %% tags=["nbval-check-output"]
member = next(tar.Reader(source).members(middle, source.size))
print("the same header:", member.offset == middle + start)
print("the same name:", member.name == name)

# %% [markdown]
# ## A fair sample
#
# A web server that knows **byte ranges** sends any stretch of a file that we ask for. So here is the plan:
#
# 1. **Probe.** Jump to some places and read one header each. Where two neighbors belong to different classes,
#    look in the middle between them, again and again, until the border is found.
# 2. **Share.** A class with a tenth of the photos gives a tenth of the sample.
# 3. **Read.** From each class read some separate stretches, from random places on.
#
# Step 2 needs care, because photos come in whole numbers. We take the whole part of each share, and give what
# is missing to the shares with the **largest remainder**:


# %%
def share_out(sizes, number):
    ideal = np.array(sizes) * number / sum(sizes)
    shares = np.floor(ideal).astype(int)
    largest = np.argsort(shares - ideal, kind="stable")[: number - shares.sum()]
    shares[largest] += 1
    return shares


sizes = [5000, 4000, 3100]
share_out(sizes, 100)

# %% tags=["nbval-check-output"]
print("the same shares:", list(share_out(sizes, 100)) == sampling.largest_remainder(sizes, 100))
print("paper, 3 % of each part:", [round(0.03 * n) for n in (1_803_460, 36_500, 328_500)])

# %% [markdown]
# Now all of it together, on our small archive: 10 % of its photos.

# %%
import tempfile
from pathlib import Path

source = http.Source(folder / "photos.tar")  # a new one, for it counts what is read
wanted = max(1, len(few) // 10)
keep = sampling.described  # name, size and checksum of a photo are enough here
with tempfile.TemporaryDirectory() as done:  # where an interrupted sample would go on
    sample, _ = sampling.sample(source, wanted, len(few), settings.seed, keep, Path(done), progress=False)
bytes_read = source.bytes_read

# %%
kept = [(photo.offset - 512, photo.offset + photo.bytes) for photo in sample]
extents, probes = sampling.find_classes(source, len(few), progress=False)
bounds = [(extent.label.split("/", 1)[1], extent.start, extent.stop) for extent in extents]
figure = figures.archive_map(source.size, bounds, probes, kept)
figures.save(figure, "01_archive", settings)
figure

# %% [markdown]
# Read it like a page: the archive begins at the top left, and each row goes on where the one above ends. Blue
# triangles are probes. They crowd where a class ends: that border had to be found. Orange are the photos that we
# kept.

# %% tags=["nbval-check-output"]
labels = [photo.path.split("/", 1)[1].rpartition("/")[0] for photo in sample]
for label, number in Counter(labels).items():
    print(f"{label:12} {number:3} photos")
print("kept exactly what was asked for:", len(sample) == wanted)

# %%
saved = sum(photo.bytes for photo in sample)
print(f"bytes of the archive {source.size:12,}")
print(f"bytes read           {bytes_read:12,}")
print(f"bytes kept           {saved:12,}")
print(f"read for each byte kept: {bytes_read / saved:.2f}")

# %% [markdown]
# On so small an archive the probes cost much. On Places365, a class has 71 million bytes instead of a few
# million, and the same number of probes is a small part of it: about 1.3 bytes are read for each byte that is kept.
#
# All this holds only if the stretches are **fair**: photos that lie side by side must not be more alike than
# others of their class. That is why each class gives several stretches, not one.

# %% [markdown]
# ## Exercises
#
# Fill in a cell where it says `...`, run it, then run the check below it.

# %%
from colorlib.course import exercises

# %% [markdown]
# **Exercise 1: predict, then run.** One student takes 3 % of the photos with `int(0.03 * n)`, another with
# `round(0.03 * n)`. The three parts of Places365 have 1,803,460, 36,500 and 328,500 photos. For which of them do the
# two students differ?

# %% tags=["exercise"]
differs = [..., ..., ...]  # True or False for train, validation and test

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 1
exercises.check(
    differs,
    [int(0.03 * n) != round(0.03 * n) for n in (1_803_460, 36_500, 328_500)],
    ([False] * 3, "0.03 × 1,803,460 is 54,103.8: `int` cuts the .8 off, `round` does not."),
    ([True] * 3, "0.03 × 36,500 is 1,095, a whole number: there is nothing to cut off."),
    otherwise="Compute both for each part.",
)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# differs = [True, False, False]
# ```
# 0.03 × 1,803,460 = 54,103.8, and `int` cuts it to 54,103. The other two products are whole: 1,095 and 9,855.
# (Careful: `0.03 * n` is a floating-point number. Were it 1,094.9999, `int` would give 1,094.)
# </details>

# %% [markdown]
# **Exercise 2: find the next header.** A header begins at byte `position`, and says that its photo has `size` bytes.
# At which byte does the next header begin? Write it for any size.


# %% tags=["exercise"]
def next_header(position, size):
    """The byte at which the header after this one begins."""
    return ...  # your code here


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 2
sizes = (4683, 5120, 1)
exercises.check(
    [next_header(1024, size) for size in sizes],
    [1024 + 512 + tar.padded(size) for size in sizes],
    ([1024 + 512 + size for size in sizes], "The zeros up to the next multiple of 512 are missing."),
    ([1024 + tar.padded(size) for size in sizes], "The header itself takes 512 bytes as well."),
    ([1536 + size // 512 * 512 for size in sizes], "You round down: a photo's last bytes are lost."),
    (
        [1536 + (size // 512 + 1) * 512 for size in sizes],
        "Not for 5,120 bytes: ten full blocks need no eleventh.",
    ),
    otherwise="A header of 512 bytes, the photo, and zeros up to a multiple of 512.",
)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def next_header(position, size):
#     return position + 512 + -(-size // 512) * 512
# ```
# `-(-size // 512)` divides and rounds *up*: `//` alone rounds down, so that the two signs turn it around.
# </details>

# %% [markdown]
# **Exercise 3: break the plain rounding.** Why not simply round every share? Find three class sizes for which the
# rounded shares of 100 photos do not add up to 100.

# %% tags=["exercise"]
my_sizes = [..., ..., ...]  # three whole numbers


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 3
def total(sizes):
    return sum(round(100 * size / sum(sizes)) for size in sizes)


exercises.check(
    my_sizes,
    lambda sizes: len(sizes) == 3 and total(sizes) != 100,
    (lambda sizes: len(sizes) != 3, "Three sizes are asked for."),
    otherwise="These add up to 100. Find shares that are all rounded down, or all rounded up.",
)

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

# %%
print(f"The split has {split.counts()}.")
read = bytes_read / source.size
print(f"From an archive of {len(few)} photos we took {wanted}, and read {read:.0%} of its bytes.")
shares = {label: wanted * n / len(few) for label, n in Counter(label for label, _ in few).items()}
off = max(abs(Counter(labels)[label] - share) for label, share in shares.items())
print(f"No class is farther than {off:.1f} photos from its share.")
print(f"{len(probes)} probes found the classes.")

# %% [markdown]
# Next: [02, lightness and color](02_lab_preprocessing.ipynb), where each photo becomes what the model sees.
