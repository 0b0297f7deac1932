# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/colorization-course/colorization-course/blob/main/notebooks/02_lab_preprocessing.ipynb)
#
# # From photographs to L and ab
#
# ![A photograph, its lightness L, and its color, a and b, at one lightness](https://raw.githubusercontent.com/colorization-course/colorization-course/main/.github/02.jpg)
#
# **What you will learn**
#
# - why colorizing is done in CIE [Lab](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#lab)
#   and not in RGB, and what L, a and b are;
# - the formula from sRGB to Lab, in ten lines of NumPy, and where published notebooks get it wrong;
# - how photos become the batches that train a model: resized, flipped, rotated, converted, and the
#   same every time.
#
# **What it needs.** No GPU. Time on a CPU: sample under 1 minute, classroom 2 minutes, paper 3
# minutes (once notebook 01 has fetched the photos).

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

# %%
import dataclasses

import numpy as np
from colorlib import batches, figures, lab, prior, sources
from colorlib.sources import photos, sample

split = sources.prepare(settings)

# %% [markdown]
# ## 1. A photograph is a table of numbers
#
# *About 3 minutes.*
#
# `photos.read` opens a photograph of any kind and gives it upright, in the color space **[sRGB](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#srgb)**,
# with 8 bits a channel: three whole numbers from 0 to 255 for each pixel, how much red, green and
# blue light it sends out.
#
# Which photo shall we look at? One with much color, by a rule that needs no taste: of the first 100 of
# the training split, the one whose pixels are, in the mean, farthest from gray.


# %%
def pixels_of(path, side):
    photo = photos.read(path)
    photo.thumbnail((side, side))  # a camera's twenty million pixels would take long
    return np.asarray(photo)


def colorfulness(path):
    ab = lab.rgb_to_lab(pixels_of(path, 320) / 255.0)[..., 1:]
    return np.hypot(ab[..., 0], ab[..., 1]).mean()


# %%
path = max(split.paths("train")[:100], key=colorfulness)
pixels = pixels_of(path, 800)
rgb = pixels / 255.0
print(sample.credit([path]))
print("pixels:", *pixels.shape)

# %% tags=["nbval-check-output"]
print("axes:", pixels.ndim, "(height, width, channel)")
print("channels:", pixels.shape[-1])
print("type:", pixels.dtype)

# %% [markdown]
# This is all that the paper does with a photo before a model sees it. Each step has its section below.

# %%
photo = split.train[split.paths("train").index(path)]
one_photo = dataclasses.replace(split, train=(photo,) * 5)  # five times, turned by five angles
larger = settings.replace(image_size=224, batch_size=5, rotation=20.0, crop=1.0)
five = next(iter(batches.training(one_photo, larger, rgb=True))).numpy()
L, ab = lab.split(lab.rgb_to_lab(five[1] / 255.0))
color = lab.lab_to_rgb(lab.join(np.full_like(L, 0.65), ab))
resized = np.asarray(photos.read(path).resize((224, 224))) / 255.0
steps = {"a photo": rgb, "224 × 224": resized, "turned, perhaps mirrored": five[1]}
steps |= {"L / 100: what goes in": L[..., 0], "ab / 128: what shall come out": color}
figures.photo_row([*steps.values()], [*steps], 3)

# %% [markdown]
# (The last picture shows a and b, at L = 65 everywhere.)
#
# ## 2. Why not RGB?
#
# *About 3 minutes.*
#
# A black-and-white photograph tells how *light* each place is. In RGB that is spread over all three
# numbers: each of the planes R, G and B looks like a gray photo of its own, and none of them is
# *the* gray photo.
#
# **CIE Lab** keeps light and color apart:
#
# - **[L](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#l)**
#   is lightness, from 0 (black) to 100 (white): the gray photo itself;
# - **[a](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#ab)**
#   goes from green (negative) to red (positive), and **b** from blue (negative) to yellow
#   (positive); where both are 0, there is no color, only gray.
#
# So colorizing becomes: **L is given, predict a and b.** The photo's detail lies in L and cannot be
# lost.

# %%
figures.color_planes(rgb)

# %% [markdown]
# A second reason: distances in Lab are *about* what an eye sees. A distance of 2.3 (ΔE\*ab) is about
# the smallest that one just notices. A loss that is a distance in ab then has a meaning. But Lab is not
# uniform: the same distance looks larger between grays than between vivid colors. The newer formula
# ΔE00, with which 07 measures, corrects that. Here are two pairs, each 10 units of b apart:

# %% tags=["nbval-check-output"]
from skimage.color import deltaE_ciede2000

near_gray, vivid = ([60, 0, 0], [60, 0, 10]), ([60, 0, 50], [60, 0, 60])
for name, (one, other) in {"gray": near_gray, "vivid": vivid}.items():
    distance, seen = np.linalg.norm(np.subtract(one, other)), deltaE_ciede2000(one, other)
    print(f"{name:6} ΔE*ab {distance:4.1f}   ΔE00 {seen:4.1f}")

# %%
figures.swatches({"gray": near_gray[0], "+10": near_gray[1], "vivid": vivid[0], "+10 ": vivid[1]})

# %% [markdown]
# ## 3. The formula
#
# *About 2 minutes.*
#
# From sRGB to Lab in three steps.
#
# 1. **To linear light.** The numbers in a photo are not proportional to light; the sRGB curve is
#    undone.
# 2. **To XYZ**, the three responses of a standard observer: a matrix. Divided by those of white, X,
#    Y and Z are 1 for white. (The white is that of daylight, called D65.)
# 3. **To Lab**: an eye answers to light about like a cube root. L comes from Y alone; a and b are
#    differences.

# %%
TO_X = [0.412453, 0.357580, 0.180423]  # of red, green and blue
TO_Y = [0.212671, 0.715160, 0.072169]
TO_Z = [0.019334, 0.119193, 0.950227]
MATRIX, WHITE = np.array([TO_X, TO_Y, TO_Z]), np.array([0.95047, 1.0, 1.08883])


def my_rgb_to_lab(rgb):
    """Lab of sRGB in [0, 1], shape (..., 3)."""
    linear = np.where(rgb > 0.04045, ((rgb + 0.055) / 1.055) ** 2.4, rgb / 12.92)
    xyz = linear @ MATRIX.T / WHITE
    root = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)  # straight near black
    x, y, z = root[..., 0], root[..., 1], root[..., 2]
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1)


# %% [markdown]
# Some colors that everybody knows:

# %% tags=["nbval-check-output"]
known = {"black": (0, 0, 0), "gray": (0.5, 0.5, 0.5), "white": (1, 1, 1), "red": (1, 0, 0)}
known |= {"green": (0, 1, 0), "blue": (0, 0, 1), "yellow": (1, 1, 0), "brown": (0.4, 0.25, 0.1)}
for name, color in known.items():
    L, a, b = np.rint(my_rgb_to_lab(np.array(color, float))).astype(int) + 0
    print(f"{name:8} L {L:4}   a {a:4}   b {b:4}")

# %% [markdown]
# `colorlib.lab` does the same in float32, on NumPy arrays and on TensorFlow tensors, about as fast
# as the machine can. Does it give the same? On this photo, and on a lattice of 52 × 52 × 52 colors
# through the whole cube:

# %% tags=["nbval-check-output"]
steps = np.arange(0, 256, 5)
lattice = np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(-1, 3) / 255.0
for colors in (rgb, lattice):
    error = np.abs(lab.rgb_to_lab(colors) - my_rgb_to_lab(colors)).max()
    print("the same to 0.001:", bool(error < 0.001))

# %% [markdown]
# ## 4. The colors that a screen can show
#
# *About 2 minutes.*
#
# Not every pair (a, b) is a color of sRGB. Which ones are depends on L: there is no dark yellow
# that is vivid, and no light blue that is. This *[gamut](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#gamut)*
# is drawn here at four lightnesses; the circle is gray.

# %%
no_colors = np.zeros((0, 2)), np.zeros(0)
slices = {f"L = {x}": (x, *no_colors) for x in (20, 40, 60, 80)}
figures.distributions(slices, [{"gray": (0, 0)}] * 4, paleness=0)

# %% [markdown]
# And here is our photo: each disk is a color of it, as large as it is common.

# %%
at = prior.centers(8)
plane = np.stack(np.meshgrid(at, at, indexing="ij"), axis=-1).reshape(-1, 2)
counts = prior.count([path], bin_width=8)
figures.distributions({"the photo's colors": (65, plane, counts.ravel() / counts.sum())})

# %% tags=["nbval-check-output"]
L, a, b = np.moveaxis(lab.rgb_to_lab(lattice), -1, 0)
for name, values in (("L", L), ("a", a), ("b", b)):
    print(f"{name} from {values.min():.0f} to {values.max():.0f}")

# %% [markdown]
# ## 5. And back again
#
# *About 1 minute.*
#
# A model's prediction has to become RGB again. The steps are undone in reverse; a color outside the
# gamut is clipped: each of R, G and B is brought back to between 0 and 1. Our Lab is made of real
# numbers. Many published notebooks use *8-bit Lab*,
# where L, a and b are rounded to whole numbers. How many 8-bit colors survive the way there and back?


# %% tags=["nbval-check-output"]
def to_8_bit(rgb):
    return np.rint(rgb * 255).astype(int)


exact = lab.rgb_to_lab(lattice)
levels = np.array([2.55, 1, 1])  # L from 0 to 255, a and b in whole units: the usual 8-bit Lab
rounded = np.rint(exact * levels) / levels
survived = {}
for name, colors in (("float32", exact), ("8-bit", rounded)):
    same = (to_8_bit(lab.lab_to_rgb(colors)) == to_8_bit(lattice)).all(axis=-1)
    survived[name] = 100 * same.mean()
    print(f"{name:8} Lab: {survived[name]:.0f} % of the colors come back unchanged")

# %% [markdown]
# ## 6. As the models see it
#
# *About 2 minutes.*
#
# Networks like numbers near 1. From here on, **L** stands for L / 100, in [0, 1], and **ab** for
# (a, b) / 128, within [-1, 1]. `lab.split` and `lab.join` go there and back: the only place in the
# whole project where 100 and 128 stand.
#
# > **What the paper says, and what we do.** The paper says that L is "normalized to floating point
# > values from 0-1", and that a and b lie in [-1, 1] because the network ends in a tanh, a
# > function with values between -1 and 1. It does
# > not say which number a and b are divided by. sRGB reaches a from -86 to 98 and b from -108 to
# > 94, so 110, 127 and 128 all keep it within [-1, 1]; 100 would cut off vivid blues. With 127 or
# > 128 the paper's losses (0.0086) come out where such models are known to land; we take **128**.
# > The white point is D65.

# %%
L, ab = lab.split(lab.rgb_to_lab(rgb))
print("L ", L.shape, f"from {L.min():.2f} to {L.max():.2f}")
print("ab", ab.shape, f"from {ab.min():.2f} to {ab.max():.2f}")

# %% [markdown]
# This is the paper's Fig. 4, "Sample image after preprocessing was completed": what goes into the
# network, beside the photo that it comes from.

# %%
titles = ["the photo", "after preprocessing: L / 100"]
figure = figures.photo_row([rgb, L[..., 0]], titles)
_ = figures.save(figure, "02_fig4_preprocessing", settings)
figure

# %% [markdown]
# ## 7. Batches
#
# *About 4 minutes.*
#
# A training [step](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#step)
# looks at a *[batch](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#batch)*
# of photos. `batches.training` reads, decodes, resizes, augments and converts them, several at a
# time, while the model works on the batch before.

# %% tags=["nbval-check-output"]
small = settings.replace(image_size=64, batch_size=8)
L, ab = next(iter(batches.training(split, small)))
print("L ", L.shape, L.dtype.name)
print("ab", ab.shape, ab.dtype.name)

# %% [markdown]
# **[Augmentation](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#augmentation)**
# shows the network each photo a little differently in every [epoch](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#epoch):
# mirrored with probability one half, and turned by a random angle of up to 20° either way. What a
# turned photo leaves empty is filled with its mirror image. (The profile `sample`, which has only
# about a hundred photos, cuts windows out of them instead.) Here is one photo, four times over.
# Below each: its L.
#
# > **What the paper says, and what we do**
# >
# > - *Augmented with randomized rotations and horizontal flipping.* The angle is not given; ± 20° is
# >   ours. We turn the *RGB* photo, before Lab: so L and ab can never be turned apart.
# > - *Already 224 x 224 - the same as the batch size.* One page earlier it calls them 256 x 256, and
# >   that is how Places365 publishes them. We resize to 224 × 224. That is the size of the input; how
# >   many photos a batch holds is another number: 32 is ours.

# %%
light = lab.rgb_to_lab(five / 255.0)[..., 0] / 100
figures.photo_row([*five[:4], *light[:4]], columns=4)

# %% [markdown]
# All this is random, and yet the same in every run. The order of the photos and the angle of each
# are computed from two numbers alone: the *seed*, a setting, and the number of the step. So a
# training that was interrupted after step 1000 goes on with step 1001, and need not read the
# thousand before. Here step 3 is made twice: as the fourth of the stream, and at once.

# %% tags=["nbval-check-output"]
stream = [ab.numpy() for L, ab in batches.training(split, small).take(4)]
at_once = next(iter(batches.training(split, small, first_step=3)))[1].numpy()
same_step = np.array_equal(stream[3], at_once)
print("step 3 is the same:", same_step)
few = dataclasses.replace(split, train=split.train[:240])
steps = range(batches.steps_per_epoch(few, small))
epoch = [path for step in steps for path in batches.paths_of_step(few, small, step)]
print("each photo once an epoch:", sorted(epoch) == sorted(few.paths("train")))

# %% [markdown]
# And how fast is it? A step that waits for its photos wastes the accelerator. (The paper's training
# ran at 9.7 photos a second in all.)

# %%
import time

stream = iter(batches.training(split, settings))
next(stream)  # the first one also starts everything up
begin = time.perf_counter()
count = sum(len(next(stream)[0]) for _ in range(10))
pace = count / (time.perf_counter() - begin)
print(f"{pace:,.0f} photos a second, {settings.image_size} pixels a side")

# %% [markdown]
# ## Exercises
#
# *About 16 minutes.*
#
# Fill in a cell where it says `...`, run it, then run the check below it.

# %%
from notebooks.checks import lesson02

# %% [markdown]
# **Exercise 1: predict, then run.** A gray surface sends out *half* of the light of white. What is its L: below 50,
# 50, or above? Predict a number; the check computes it.

# %% tags=["exercise"]
my_L = ...  # your prediction, from 0 to 100

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 1
lesson02.exercise_1(my_L)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# my_L = 116 * np.cbrt(0.5) - 16
# ```
# About 76. What looks *half as light* as white, L = 50, sends out 18 % of its light: the gray card of photographers.
# </details>

# %% [markdown]
# **Exercise 2: change the conversion.** How fine must color be? Write `coarse`, which makes a plane coarser: in each
# block of n × n pixels, all become the block's mean. The check shows the photo with coarse a and b, and with coarse L.
# Before you run it: which of the two will look worse? Then try other n.


# %% tags=["exercise"]
n = 8  # a divisor of 224: 4, 7, 8, 14, 16, 28, 32 …


def coarse(plane, n):
    """A plane (height, width), both multiples of n: its n × n blocks are their mean, the size stays."""
    return ...  # your code here


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 2
lesson02.exercise_2(coarse, n, resized)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def coarse(plane, n):
#     height, width = plane.shape
#     blocks = plane.reshape(height // n, n, width // n, n).mean(axis=(1, 3))
#     return blocks.repeat(n, axis=0).repeat(n, axis=1)
# ```
# An eye sees fine detail in light, and hardly any in color. JPEG files and television have long kept color at half
# the size for that reason, and a colorizer may predict a and b smaller than the photo.
# </details>

# %% [markdown]
# **Exercise 3: test a shortcut.** Many programs take the mean of R, G and B for the gray photo. Write `gray_L`: the L
# of the gray color whose R, G and B are all that mean.


# %% tags=["exercise"]
def gray_L(rgb):
    """L, (...), of the gray color whose channels are the mean of those of rgb, (..., 3)."""
    return ...  # your code here


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 3
lesson02.exercise_3(gray_L, lattice)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def gray_L(rgb):
#     mean = rgb.mean(axis=-1, keepdims=True)
#     return lab.rgb_to_lab(np.repeat(mean, 3, axis=-1))[..., 0]
# ```
# `np.abs(gray_L(lattice) - exact[:, 0]).max()` is 51.6 units of L. Pure green looks almost as light as white, and its
# mean is only one third.
# </details>

# %% [markdown]
# ## What we saw
#
# *About 1 minute.*

# %%
exactly = "the same" if error < 0.001 else "not the same"
print(f"- colorlib's Lab and the formula are {exactly}: they differ by {error:.4f} units at most.")
whole = "all" if survived["float32"] == 100 else f"only {survived['float32']:.0f} %"
print(f"- Of the 8-bit colors, {whole} come back from it unchanged,")
print(f"  and {survived['8-bit']:.0f} % from 8-bit Lab.")
repeated = "is" if same_step else "is not"
print(f"- A step made on its own {repeated} the same as in the stream of all.")
faster = "more" if pace > 9.7 else "no more"
print(f"- Batches come at {pace:,.0f} photos a second, {faster} than the 9.7 of the paper's training.")

# %% [markdown]
# - Colorizing in Lab means: L is given, a and b are predicted; the detail of the photo stays in L.
# - The models see L / 100 and ab / 128. A flip or a turn comes before Lab.
#
# Next: [03 – the color prior](03_color_prior.ipynb), how often each color occurs, and what that has
# to do with brown results.
