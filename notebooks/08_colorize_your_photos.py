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
# **What you will learn**
# - how a model that sees small squares puts a photo of any size into color without losing one detail of it;
# - what to do with a color that no screen can show;
# - what such a model cannot know, and must guess.
#
# **What it needs.** Nothing: where no model of notebooks 04, 05 or 06 is trained, a small one learns from the sample
# first, in about half a minute. No GPU: a photo takes a second or two.
#
# | profile | sample | classroom | paper |
# |---|---|---|---|
# | minutes | 1 | 2 (estimate) | 2 (estimate) |

# %% cellView="form"
# @title Setup (run this first)
PROFILE = "auto"  # @param ["auto", "sample", "classroom", "paper"]
DATA = ""  # @param {type: "string"}
USE_DRIVE = True  # @param {type: "boolean"}
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
import numpy as np
from PIL import Image

from colorlib import colorize, figures, lab, runs, training
from colorlib.course import yours
from colorlib.settings import MODELS, load
from colorlib.sources import photos

# %% [markdown]
# ## Your photo
#
# Say where it is, and run the cell:
#
# - `upload`: choose files on your computer (on Colab);
# - an address that begins with `https://`;
# - a path, such as `/content/drive/MyDrive/grandmother.jpg`, or that of a whole folder;
# - nothing: two photographs that come with the course. They are in color, but the model is shown only their lightness.

# %% cellView="form"
PHOTO = ""  # @param {type: "string"}
paths = yours.gather(PHOTO, settings)
path = yours.first(paths)

# %% tags=["nbval-check-output"]
photo = photos.read_whole(path)
print(path.name, photo.image.size, photo.image.mode, *photo.notes)

# %% [markdown]
# `photos.read_whole` turns a photo upright when its camera held it sideways, converts its colors to
# [sRGB](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#srgb),
# and keeps the full depth of a 16-bit scan.
#
# ## The models
#
# Whatever notebooks 04 to 06 have trained is used. Where there is nothing yet, a small model learns now from the 105
# training photos that come with the project. It will know skies and greenery, and little else.

# %%
trained = {name: runs.Run(settings, name) for name in MODELS}
trained = {name: run for name, run in trained.items() if run.best_epoch}
if not trained:
    print("Nothing is trained yet. A small model learns from the sample first, in about half a minute.")
    settings = load("sample", data_folder=settings.data_folder)
    trained = {"efficientnet": training.train("efficientnet", settings)}
models = {name: run.build_model() for name, run in trained.items()}
print("Here are:", ", ".join(models))

# %% [markdown]
# ## One photo in color
#
# `colorize` takes a path, an image or an array, and gives an image of the same size. Move the slider: gray on its left,
# color on its right. (Where the slider does not work, on GitHub for instance, look at the two below it.) The model is
# the one with the lowest squared error on its validation photos.

# %%
best = min(trained, key=lambda name: trained[name].history[trained[name].best_epoch - 1]["val_mse"])
model = models[best]
print(f"Colors by {best}.")
before = Image.fromarray(np.asarray(colorize.colorize(path, model, strength=0)))
after = colorize.colorize(path, model)
figures.before_after(before, after)

# %%
figures.photo_row([before, after], ["before", "after"], columns=2, size=3.4)

# %% [markdown]
# The `sample` models have learned from 105 photographs, for less than a minute each. They know blue skies, green
# meadows and brown fur, and little else. Models of the `classroom` and `paper` profiles have seen thousands.

# %% tags=["nbval-check-output"]
size = model.input_shape[1]
small = photo.image.resize((size, size), Image.Resampling.BILINEAR)
L_small = lab.rgb_to_lab(np.asarray(small, np.float32) / 255)[None, ..., :1] / 100
ab_small = np.asarray(model(L_small))
print("the model sees", L_small.shape, "and predicts", ab_small.shape)

# %%
L = lab.rgb_to_lab(np.asarray(photo.image, np.float32) / 255)[..., 0]
planes = [Image.fromarray(ab_small[0, ..., i] * 128) for i in (0, 1)]
a, b = (np.asarray(p.resize(photo.image.size, Image.Resampling.BILINEAR)) for p in planes)
by_hand = lab.lab_to_rgb(np.stack([L, a, b], axis=-1))
figures.photo_row([by_hand, after], ["by hand", "colorlib"], columns=2, size=3.4)

# %% [markdown]
# ### Colors that no screen can show
#
# The two are alike, but not the same. A very light pixel cannot also be very blue:
# $L = 90$ with $b = -50$ is outside the [gamut](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#gamut)
# of sRGB. *By hand* cut off red, green and blue at 0 and 1, which changes lightness and hue.
# `colorlib` keeps $L$ and the direction of $(a, b)$, and shrinks their length to what fits: by the
# largest factor $k \le 1$ for which $(L, ka, kb)$ lies in sRGB.


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

# %% tags=["nbval-check-output"]
L_after = lab.lightness(np.asarray(after, np.float32) / 255)
print("largest change of L at most 0.5:", bool(np.abs(L_after - L).max() <= 0.5))
print("same size:", after.size == photo.image.size)

# %% [markdown]
# ## Stronger and weaker
#
# `strength` multiplies the predicted [chroma](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#chroma).
# A model that minimizes a squared error is too pale (notebook 07), so that a strength of 1.5 may
# look better. It cannot make a wrong color right.

# %%
strengths = (0, 0.5, 1, 1.5)
small_photo = photo.image.copy()
small_photo.thumbnail((320, 320))
colored = [colorize.colorize(small_photo, model, strength) for strength in strengths]
figures.photo_row(colored, [f"strength {strength}" for strength in strengths])

# %% [markdown]
# ## The models next to each other

# %%
colored = [colorize.colorize(small_photo, each) for each in models.values()]
figures.photo_row([small_photo.convert("L"), *colored], ["gray", *models])

# %% [markdown]
# ## What such a model cannot know
#
# Here are two photos: the original colors, and the same with $a$ and $b$ turned by a third of a circle. A gray
# photograph of both is **the same**. So the model gives the same answer for both, and is wrong for at least one. It can
# know that skies are often blue. It cannot know the color of a dress, a car or a painted door: nobody can, from
# lightness alone.

# %%
truth = lab.rgb_to_lab(np.asarray(small_photo, np.float32) / 255)
turn = np.exp(2j * np.pi / 3)
turned = (truth[..., 1] + 1j * truth[..., 2]) * turn
turned = np.stack([truth[..., 0], turned.real, turned.imag], axis=-1)
other = colorize.in_gamut(turned.astype(np.float32))
both = (np.asarray(small_photo, np.float32) / 255, other)
L_of_both = [lab.lightness(image) for image in both]
shown = [small_photo, other, L_of_both[0] / 100, L_of_both[1] / 100]
figures.photo_row(shown, ["a photo", "another one", "its gray", "its gray"])

# %% tags=["nbval-check-output"]
difference = np.abs(L_of_both[0] - L_of_both[1]).max()
print("the same gray, but for less than half a unit of L:", bool(difference < 0.5))

# %% [markdown]
# ## A whole folder
#
# What is no photo is left out, and what cannot be read is named, with the reason. What is in color already is not done
# again. Your photos themselves are never touched. The results are PNG files, which lose nothing.

# %%
out = settings.results_folder / "colorized"
report = colorize.colorize_files(paths, out, settings)

# %% tags=["nbval-check-output"]
print("in color:", len(report.written) + len(report.kept), " skipped:", len(report.failed))

# %% [markdown]
# The same from a terminal, with a folder of your own: `python -m colorlib colorize my_photos --out in_color`.
#
# > **What the paper says, and what we do.** The paper shows photos of 224×224 pixels, put together as above: the
# > input's lightness and the predicted $a$ and $b$. It does not say what it does with larger photos or with colors
# > outside sRGB. We keep every pixel's own lightness, and shrink the chroma where it must.
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

# %% cellView="form" tags=["check", "nbval-check-output"]
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

# %% cellView="form" tags=["check", "nbval-check-output"]
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


# %% cellView="form" tags=["check", "nbval-check-output"]
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
megapixels = photo.image.width * photo.image.height / 1e6
print(f"{megapixels:.1f} megapixels in color, predicted at {size} × {size}.")
print(f"Largest change of L: {change:.2f}. Pixels on the edge of sRGB or beyond it: {outside:.1%}.")
print(f"Models at hand: {', '.join(models)}. Photos written: {len(report.written) + len(report.kept)}.")

# %% [markdown]
# You have come to the end of the series: from an archive of photos to a model, and from a gray photo of yours to one
# in color. **Next:** go back to [04_train_baseline](04_train_baseline.ipynb) with your own folder of photos as `DATA`.
