# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/colorization-course/colorization-course/blob/main/notebooks/08_colorize_your_photos.ipynb)
#
# # Colorize your own photos
#
# ![Photographs: in gray, as colored by this project, and as they were](https://raw.githubusercontent.com/colorization-course/colorization-course/main/.github/before-after.jpg)
#
# **What you will learn**
#
# - how to put a photo of any size into color, without losing one detail of it;
# - what to do with a color that no screen can show;
# - what no model can know, and what to say to those who see the result.
#
# **What it needs.** Nothing: the colorizer in the
# [box](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#box) comes with the
# project. No GPU; a photo takes a few seconds.
# **Just one photo?** Run the setup, then the two cells below it.
#
# | profile | sample | classroom | paper |
# |---|---|---|---|
# | minutes | 1 | 1 (estimate) | 1 (estimate) |

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
# ## Choose a photo
#
# *About 2 minutes.*
#
# - `upload`: from your own computer, one or several;
# - an address that begins with `https://`;
# - a path, such as `/content/drive/MyDrive/grandmother.jpg`, or that of a whole folder;
# - nothing: three examples. The first is black-and-white (scikit-image's `camera`, by Lav Varshney, CC0). The two
#   others are in color, and the model sees their lightness alone.

# %% cellView="form" jupyter={"source_hidden": true}
# @title Choose a photo
PHOTO = ""  # @param ["", "upload"] {allow-input: true}
from colorlib.course import colab, yours

paths = yours.gather(PHOTO, settings)

# %% cellView="form" jupyter={"source_hidden": true}
# @title Put it into color
from colorlib import colorize, figures
from colorlib.sources import photos

photo = yours.first(paths)
model = colorize.box()
after = colorize.colorize(photo.image, model)
figures.before_after(photo.image.convert("L"), after, width=480)

# %% [markdown]
# Move the slider: gray on its left, color on its right. Where it does not move, on GitHub for instance, here are both:

# %%
figures.photo_row([photo.image.convert("L"), after], ["before", "after"], columns=2, size=3.6)

# %% [markdown]
# ## Paler or bolder
#
# *About 2 minutes.*
#
# Colors are guesses, and the
# [vividness](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#vividness)
# sets how bold they are. At 0 you get the mean of all colors that the model thinks possible: pale and safe. The higher
# it is, the more a rare color counts: bolder, and more often wrong. ([09](09_beyond_the_mean.ipynb) shows how.)

# %%
small = photo.image.copy()
small.thumbnail((340, 340))
steps = (0, 0.25, 0.5, 0.75, 1)
bolder = [colorize.colorize(small, model, vividness=vividness) for vividness in steps]
titles = ["gray", *(f"vividness {vividness}" for vividness in steps)]
figures.slider([small.convert("L"), *bolder], titles, width=340)

# %%
figures.photo_row(bolder[::2], titles[1::2], columns=3)

# %%
from pathlib import Path

import numpy as np
from PIL import Image

from colorlib import lab


def mean_chroma(image):
    """The mean distance of a photo's colors from gray, in ab units."""
    return np.hypot(*np.moveaxis(lab.rgb_to_lab(np.asarray(image, np.float32) / 255)[..., 1:], -1, 0)).mean()


chroma_at = {vividness: mean_chroma(image) for vividness, image in zip(steps, bolder, strict=True)}
print("Mean chroma:", ", ".join(f"{chroma:.0f} at {vividness}" for vividness, chroma in chroma_at.items()))

# %% [markdown]
# ## All of them, and keep them
#
# *About 3 minutes.*
#
# Choose the vividness that you like; *as it comes* means 0.5. All your photos are put into color at their own size, as
# PNG files, which lose nothing. What is no photo is left out, and what cannot be read is named. Your own files are
# never touched. The box does it, unless you choose a model that you have trained (of those, only *vivid* knows
# vividness).

# %% cellView="form" jupyter={"source_hidden": true}
# @title All photos in color
VIVIDNESS = "as it comes"  # @param ["as it comes", "0", "0.25", "0.5", "0.75", "1"]
MODEL = "the box"  # @param ["the box", "baseline", "rebalanced", "efficientnet", "vivid"]
chosen = {} if VIVIDNESS == "as it comes" else {"vividness": float(VIVIDNESS)}
run = "" if MODEL == "the box" else MODEL
out = settings.results_folder / "colorized"
report = colorize.colorize_files(paths, out, settings, run, overwrite=True, progress=False, **chosen)

# %% tags=["nbval-check-output"]
print("in color:", len(report.written), " skipped:", len(report.failed))

# %%
shown = sorted(report.written)[:6]
figures.photo_row([photos.read_whole(each).image for each in shown], [each.stem for each in shown], columns=3)

# %% cellView="form" jupyter={"source_hidden": true}
# @title Download
if PHOTO:
    colab.download(report.written, out)
else:
    print("These are the examples. Choose a photo of your own above, and download it here.")

# %% [markdown]
# The same from a terminal: `python -m colorlib colorize my_photos --out in_color --vividness 0.5`.
#
# Say "colorized" wherever you show it, and keep the original: *What it does to those who look*, below, says why.
#
# ## Other models
#
# *Optional reading, but run the cells: later ones need them. About 1 minute.*
#
# What notebooks 04, 05, 06 and 09 have trained, if they have, beside the box:

# %%
from colorlib import runs
from colorlib.settings import MODELS

trained = {name: run for name in MODELS if (run := runs.Run(settings, name)).best_epoch}
print("Trained here:", ", ".join(trained) or "nothing yet: see notebooks 04, 05, 06 and 09.")
others = {name: colorize.colorize(small, run.build_model()) for name, run in trained.items()}
in_box = {"gray": small.convert("L"), "the box": colorize.colorize(small, model)}
figures.photo_row([*in_box.values(), *others.values()], [*in_box, *others], columns=3)

# %% [markdown]
# ## How it is done
#
# *Optional reading, but run the cells: later ones need them. About 3 minutes.*
#
# The model sees the photo small, its lightness alone, and says colors that are smaller still. They are scaled up and
# joined with the lightness of every pixel as it was. By hand:

# %%
said = colorize.predict(photo, model)
ab_small = np.asarray(colorize.coloring(model)(said))
L = lab.rgb_to_lab(np.asarray(photo.image, np.float32) / 255)[..., 0]
planes = [Image.fromarray(np.ascontiguousarray(ab_small[..., i]) * 128) for i in (0, 1)]
a, b = (np.asarray(plane.resize(photo.image.size, Image.Resampling.BILINEAR)) for plane in planes)
by_hand = lab.lab_to_rgb(np.stack([L, a, b], axis=-1))
figures.photo_row([by_hand, after], ["by hand", "colorlib"], columns=2)

# %% tags=["nbval-check-output"]
L_after = lab.lightness(np.asarray(after, np.float32) / 255)
print("the photo", photo.image.size, " the model's colors", ab_small.shape)
change, outside = np.abs(L_after - L).max(), 1 - np.mean(np.all((by_hand > 0) & (by_hand < 1), axis=-1))
print("largest change of L at most 0.5:", bool(change <= 0.5))
print("same size:", after.size == photo.image.size)

# %% [markdown]
# ### Colors that no screen can show
#
# The two are alike, but not the same. A very light pixel cannot also be very blue:
# $L = 90$ with $b = -50$ is outside the [gamut](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#gamut)
# of [sRGB](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#srgb). *By hand*
# cut off red, green and blue at 0 and 1, which changes lightness and hue. `colorlib` keeps $L$ and the direction of
# $(a, b)$, and shrinks their length to what fits: by the largest factor $k \le 1$ for which $(L, ka, kb)$ lies in sRGB.


# %%
def fits(color):
    return bool(np.all((lab.lab_to_linear(color) >= -1e-4) & (lab.lab_to_linear(color) <= 1.001)))


color = np.array([90.0, 0.0, -50.0])
k = max(k for k in np.linspace(0, 1, 1001) if fits(color * [1, k, k]))

# %% tags=["nbval-check-output"]
shrunk = lab.rgb_to_lab(colorize.in_gamut(color[None].astype(np.float32)))[0]
print(f"asked for: L = {color[0]:.0f}, a = {color[1]:.0f}, b = {color[2]:.0f}")
print(f"k = {k:.2f}:  L = {color[0]:.0f}, a = {k * color[1]:.0f}, b = {k * color[2]:.0f}")
print(f"colorlib:  L = {shrunk[0]:.0f}, a = {abs(shrunk[1]):.0f}, b = {shrunk[2]:.0f}")
clipped = lab.rgb_to_lab(lab.lab_to_rgb(color.astype(np.float32)))
print(f"cut off:   L = {clipped[0]:.0f}, a = {clipped[1]:.0f}, b = {clipped[2]:.0f}")

# %% [markdown]
# > **What the paper says, and what we do.** The paper shows photos of 224×224 pixels, put together as above: the
# > input's lightness and the predicted $a$ and $b$. It does not say what it does with larger photos or with colors
# > outside sRGB. We keep every pixel's own lightness, and shrink where we must the
# > [chroma](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#chroma).
#
# ## What such a model cannot know
#
# *About 1 minute.*
#
# Here are two photos: one of the sample's, and the same with $a$ and $b$ turned by a third of a circle. The gray
# photo of both is **the same**. So a model gives the same answer for both, and is wrong for at least one.

# %%
from colorlib.sources import sample

one = np.asarray(photos.read_whole(sample.FOLDER / "photos" / "balloon.jpg").image, np.float32) / 255
truth = lab.rgb_to_lab(one)
turned = (truth[..., 1] + 1j * truth[..., 2]) * np.exp(2j * np.pi / 3)
other = colorize.in_gamut(np.stack([truth[..., 0], turned.real, turned.imag], axis=-1).astype(np.float32))
L_of_both = [lab.lightness(image) for image in (one, other)]
shown = [one, other, L_of_both[0] / 100, L_of_both[1] / 100]
figures.photo_row(shown, ["a photo", "another one", "its gray", "its gray"], columns=2)

# %% tags=["nbval-check-output"]
difference = np.abs(L_of_both[0] - L_of_both[1]).max()
print("the same gray, but for less than half a unit of L:", bool(difference < 0.5))

# %% [markdown]
# ## A failure
#
# *About 2 minutes.*
#
# One failure, and not the funniest: of the sample's twenty test photos, the one with the largest squared error.

# %%
from colorlib import batches, evaluation, sources
from colorlib.settings import load

on_sample = load("sample", data="sample", data_folder=settings.data_folder)
split = sources.prepare(on_sample)
L_test, ab = next(iter(batches.evaluation(split, "test", on_sample, batch_size=len(split.test))))
error = np.mean((np.asarray(evaluation.answer_of(model)(L_test, ab)) - ab) ** 2, axis=(1, 2, 3))
worst = split.paths("test")[int(error.argmax())]
worst_name = Path(worst).stem
print(sample.credit([worst]))

# %%
true, painted = photos.read_whole(worst).image, colorize.colorize(worst, model)
figures.photo_row([true.convert("L"), painted, true], ["given", "the box", "truth"], columns=3)

# %%
means = {}
for name, image in (("truth", true), ("box", painted)):
    colors = lab.rgb_to_lab(np.asarray(image, np.float32) / 255)[..., 1:]
    means[name] = colors.mean(axis=(0, 1))
    print(f"{name:5} mean a = {means[name][0]:4.0f}, b = {means[name][1]:4.0f}")
cosine = means["truth"] @ means["box"] / np.linalg.norm(means["truth"]) / np.linalg.norm(means["box"])
hue = "a hue near the true one" if cosine > 0.7 else "a wrong hue"
ratio = np.linalg.norm(means["box"]) / np.linalg.norm(means["truth"])
size = "far too pale" if ratio < 0.5 else "too bold" if ratio > 1.5 else "about as strong"
print(f"On the whole the box chose {hue}, {size}.")
print(f"The error is {error.max() / np.median(error):.1f} times the median of the twenty.")

# %% [markdown]
# Why? The box colors a gray as it was colored in the photos that it learned from: streets, rooms, landscapes. Where a
# photo shows something else, or a thing that comes in any color, it has nothing better to go by. And the picture does
# not tell: beside no truth, a wrong color may look as good as a right one.
#
# ## What it does to those who look
#
# *About 1 minute.*
#
# A colorized photo looks like a document, and is a guess. It puts invented colors on real people: a dress that was
# never blue, the skin of those in the training photos, the uniform of another army. Viewers remember the colors, and
# the past seems nearer and tidier than it was. So write **"colorized"** into the picture or right below it, say by
# what, and keep the original beside it. And ask the people in it, or their families: they agreed to the photograph, not
# to what a program makes of it.
#
# ## Exercises
#
# *About 16 minutes.*
#
# Fill in a cell where it says `...`, run it, then run the check below it.

# %% [markdown]
# **Exercise 1: predict, then run.** `after` is a photo in color. Put it into `colorize` once more. Will the result be
# the same as `after`, but for rounding?

# %% tags=["exercise"]
same = ...  # True or False

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 1
from notebooks.checks import lesson08

lesson08.exercise_1(same, after, model)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# same = True
# ```
# The lightness of `after` is that of the photo, and the model sees nothing else.
# </details>

# %% [markdown]
# **Exercise 2: throw the lightness away.** What does the photo look like with the model's colors and a lightness of
# 60 everywhere? Make that array of Lab colors from `L`, `a` and `b`. The check paints it.

# %% tags=["exercise"]
flat = ...  # Lab, (height, width, 3)

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 2
from notebooks.checks import lesson08

lesson08.exercise_2(flat, L, a, b)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# flat = np.stack([np.full_like(L, 60), a, b], axis=-1)
# ```
# Hardly anything can be recognized. All the detail that you saw in the photo was lightness.
# </details>

# %% [markdown]
# **Exercise 3: an old print.** Old photographs have faded: their black has become a gray of 90, their white one of 200.
# Fade a photo like that. The check puts your print into color, and beside it the print with its contrast restored.


# %% tags=["exercise"]
def faded(gray):
    """An 8-bit gray photo, (height, width), whose levels 0 … 255 are spread evenly over 90 … 200."""
    return ...  # your code here


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 3
from notebooks.checks import lesson08

lesson08.exercise_3(faded, photo.image, model)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def faded(gray):
#     return np.rint(90 + gray * (110 / 255)).astype(np.uint8)
# ```
# Compare the colors, not the contrast. What the model says depends on the print that it sees; so restore an old print
# before you color it, and look at both.
# </details>

# %% [markdown]
# ## What we saw
#
# *About 1 minute.*

# %%
width, height = photo.image.size
in_all = len(report.written)
print(f"{width} × {height} pixels in color, {in_all} photo{'s' * (in_all != 1)} in all.")
kept = "kept its own lightness in every pixel" if change <= 0.5 else "did not keep its own lightness"
print(f"The photo {kept}: L changed by {change:.2f} at most.")
print(f"Cut off by hand, {outside:.1%} of its pixels would lie on the edge of sRGB.")
grew = "grew" if chroma_at[1] > chroma_at[0] else "did not grow"
print(f"With vividness the colors {grew}: mean chroma {chroma_at[0]:.0f} at 0, {chroma_at[1]:.0f} at 1.")
same_gray = "the same gray" if difference < 0.5 else "not the same gray"
could = "no model could" if difference < 0.5 else "a model could"
print(f"Two photos of different colors had {same_gray}: {could} tell them apart.")
print(f"The sample's worst photo, {worst_name}, got {hue}, {size}.")

# %% [markdown]
# Colors are guesses, and no model knows what the gray does not show. Say so beside the picture.
#
# **Next:** [09_beyond_the_mean](09_beyond_the_mean.ipynb) opens the box: how probable each color is, and what can be
# done with that.
