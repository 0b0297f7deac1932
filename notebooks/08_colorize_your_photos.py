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

path = yours.first(paths)
photo = photos.read_whole(path)
model = colorize.box()
after = colorize.colorize(path, model)
figures.before_after(photo.image.convert("L"), after)

# %% [markdown]
# Move the slider: gray on its left, color on its right. Where it does not move, on GitHub for instance, here are both:

# %%
figures.photo_row([photo.image.convert("L"), after], ["before", "after"], columns=2, size=3.6)

# %% [markdown]
# ## Paler or bolder
#
# Colors are guesses, and the
# [vividness](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#vividness)
# sets how bold they are. At 0 you get the mean of all colors that the model thinks possible: pale and safe. The higher
# it is, the more a rare color counts: bolder, and more often wrong. ([09](09_beyond_the_mean.ipynb) shows how.)

# %%
small = photo.image.copy()
small.thumbnail((360, 360))
steps = (0, 0.2, 0.4, 0.6, 0.8, 1)
bolder = [colorize.colorize(small, model, vividness=vividness) for vividness in steps]
titles = ["gray", *(f"vividness {vividness}" for vividness in steps)]
figures.slider([small.convert("L"), *bolder], titles, width=360)

# %%
figures.photo_row(bolder[::2] + bolder[-1:], [f"vividness {vividness}" for vividness in (0, 0.4, 0.8, 1)])

# %% [markdown]
# ## All of them, and keep them
#
# Choose the vividness that you like. All your photos are put into color at their own size, as PNG files, which lose
# nothing. What is no photo is left out, and what cannot be read is named. Your own files are never touched.

# %% cellView="form" jupyter={"source_hidden": true}
# @title All photos in color
VIVIDNESS = "as it comes"  # @param ["as it comes", "0", "0.2", "0.4", "0.6", "0.8", "1"]
chosen = {} if VIVIDNESS == "as it comes" else {"vividness": float(VIVIDNESS)}
out = settings.results_folder / "colorized"
report = colorize.colorize_files(paths, out, settings, overwrite=True, progress=False, **chosen)

# %% tags=["nbval-check-output"]
print("in color:", len(report.written), " skipped:", len(report.failed))

# %%
shown = sorted(report.written)[:6]
figures.photo_row([photos.read_whole(each).image for each in shown], [each.stem for each in shown], columns=3)

# %% cellView="form" jupyter={"source_hidden": true}
# @title Download
if PHOTO:
    colab.download(out)
else:
    print("These are the examples. Choose a photo of your own above, and download it here.")

# %% [markdown]
# The same from a terminal: `python -m colorlib colorize my_photos --out in_color --vividness 0.4`.
#
# Say "colorized" wherever you show it, and keep the original: *What it does to those who look*, below, says why.
#
# ## Other models
#
# What notebooks 04, 05, 06 and 09 have trained, if they have, beside the box:

# %%
from colorlib import runs
from colorlib.settings import MODELS

trained = {name: run for name in MODELS if (run := runs.Run(settings, name)).best_epoch}
print("Trained here:", ", ".join(trained) or "nothing yet: see notebooks 04, 05, 06 and 09.")
others = {name: colorize.colorize(small, run.build_model()) for name, run in trained.items()}
in_box = {"gray": small.convert("L"), "the box": colorize.colorize(small, model)}
figures.photo_row([*in_box.values(), *others.values()], [*in_box, *others])

# %% [markdown]
# ## How it is done
#
# The model sees the photo small, its lightness alone, and says colors that are smaller still. They are scaled up and
# joined with the lightness of every pixel as it was. By hand:

# %%
from pathlib import Path

import numpy as np
from PIL import Image

from colorlib import lab

said = colorize.predict(photo, model)
ab_small = np.asarray(colorize.coloring(model)(said))
L = lab.rgb_to_lab(np.asarray(photo.image, np.float32) / 255)[..., 0]
planes = [Image.fromarray(np.ascontiguousarray(ab_small[..., i]) * 128) for i in (0, 1)]
a, b = (np.asarray(plane.resize(photo.image.size, Image.Resampling.BILINEAR)) for plane in planes)
by_hand = lab.lab_to_rgb(np.stack([L, a, b], axis=-1))
figures.photo_row([by_hand, after], ["by hand", "colorlib"], columns=2, size=3.6)

# %% tags=["nbval-check-output"]
L_after = lab.lightness(np.asarray(after, np.float32) / 255)
print("the photo", photo.image.size, " the model's colors", ab_small.shape)
print("largest change of L at most 0.5:", bool(np.abs(L_after - L).max() <= 0.5))
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
# Here are two photos: one of the sample's, and the same with $a$ and $b$ turned by a third of a circle. A gray photo of
# both is **the same**. So a model gives the same answer for both, and is wrong for at least one.

# %%
from colorlib.sources import sample

one = np.asarray(photos.read_whole(sample.FOLDER / "photos" / "balloon.jpg").image, np.float32) / 255
truth = lab.rgb_to_lab(one)
turned = (truth[..., 1] + 1j * truth[..., 2]) * np.exp(2j * np.pi / 3)
other = colorize.in_gamut(np.stack([truth[..., 0], turned.real, turned.imag], axis=-1).astype(np.float32))
L_of_both = [lab.lightness(image) for image in (one, other)]
shown = [one, other, L_of_both[0] / 100, L_of_both[1] / 100]
figures.photo_row(shown, ["a photo", "another one", "its gray", "its gray"])

# %% tags=["nbval-check-output"]
difference = np.abs(L_of_both[0] - L_of_both[1]).max()
print("the same gray, but for less than half a unit of L:", bool(difference < 0.5))

# %% [markdown]
# ## A failure
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
# The gray of this photo is like that of many others which had other colors, and the box has learned from those. The
# picture itself does not show that it is wrong: a wrong color looks as good as a right one.
#
# ## What it does to those who look
#
# A colorized photo looks like a document, and is a guess. It puts invented colors on real people: a dress that was
# never blue, the skin of those in the training photos, the uniform of another army. Viewers remember the colors, and
# the past seems nearer and tidier than it was. So write **"colorized"** into the picture or right below it, say by
# what, and keep the original beside it. And ask the people in it, or their families: they agreed to the photograph, not
# to what a program makes of it.
#
# ## Exercises
#
# Fill in a cell where it says `...`, run it, then run the check below it.

# %%
from colorlib.course import exercises

# %% [markdown]
# **Exercise 1: predict, then run.** `after` is a photo in color. Put it into `colorize` once more. Will the result be
# the same as `after`, but for rounding?

# %% tags=["exercise"]
same = ...  # True or False

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 1
again = np.asarray(colorize.colorize(after, model), int)
exercises.check(
    same,
    bool(np.abs(again - np.asarray(after, int)).mean() < 2),
    (False, "What does the model see of `after`? Its lightness alone, and that has not changed."),
    otherwise="Write True or False.",
)

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
# 60 everywhere? Make that array of Lab colors from `L`, `a` and `b`.

# %% tags=["exercise"]
flat = ...  # Lab, (height, width, 3)

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 2
from IPython.display import display

wanted = np.stack([np.full_like(L, 60), a, b], axis=-1)
exercises.check(
    flat,
    wanted,
    (lambda x: np.shape(x) != wanted.shape, "Three numbers a pixel: `np.stack([…, a, b], axis=-1)`."),
    (lambda x: np.allclose(x[..., 0], L), "L is still the photo's."),
    (lambda x: np.allclose(x[..., 0], 0.6), "In this array, L goes from 0 to 100."),
    otherwise="L is 60 everywhere, and a and b are the model's.",
    tolerance=1e-3,
)
if np.shape(flat) == wanted.shape:
    display(figures.photo_row([lab.lab_to_rgb(np.asarray(flat, np.float32))], columns=1, size=3.4))

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# flat = np.stack([np.full_like(L, 60), a, b], axis=-1)
# ```
# Hardly anything can be recognized. All the detail that you saw in the photo was lightness.
# </details>

# %% [markdown]
# **Exercise 3: write `strength` yourself.** Multiply the chroma of Lab colors by a factor. Lightness and hue (the
# direction of $(a, b)$) must not change.


# %% tags=["exercise"]
def stronger(lab_colors, strength):
    """Lab colors, (..., 3), with `strength` times their chroma."""
    return ...  # your code here


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 3
colors = np.array([[60.0, 30.0, 40.0], [50.0, -20.0, 10.0]])
exercises.check(
    stronger(colors, 1.5),
    colors * [1, 1.5, 1.5],
    (colors * 1.5, "L is multiplied, too: the photo gets lighter."),
    (colors + [0, 1.5, 1.5], "What is added moves all colors towards red and yellow. Multiply."),
    (colors[:, 1:] * 1.5, "a and b are right. L belongs in front of them."),
    (colors * [1, 1.5**0.5, 1.5**0.5], "Chroma is a length: multiply a and b by the factor itself."),
    otherwise="L stays; a and b are multiplied.",
)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def stronger(lab_colors, strength):
#     return lab_colors * np.array([1, strength, strength])
# ```
# </details>

# %% [markdown]
# ## What we saw

# %%
change = np.abs(L_after - L).max()
outside = 1 - np.mean(np.all((by_hand > 0) & (by_hand < 1), axis=-1))
width, height = photo.image.size
print(f"{width} × {height} pixels in color; the model saw them at {colorize.LOOK}, the longer side.")
print(f"Largest change of L: {change:.2f}. Pixels on the edge of sRGB or beyond it: {outside:.1%}.")
print(f"Photos in color: {len(report.written)}. The sample's worst: {Path(worst).stem}, {hue}, {size}.")

# %% [markdown]
# - The photo's own lightness stays, in every pixel; only colors are added.
# - Colors are guesses, and vividness says how bold they are.
# - No model knows what the gray does not show. Say so beside the picture.
#
# **Next:** [09_beyond_the_mean](09_beyond_the_mean.ipynb) opens the box: how probable each color is, and what can be
# done with that.
