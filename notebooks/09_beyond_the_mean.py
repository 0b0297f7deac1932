# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/colorization-course/colorization-course/blob/main/notebooks/09_beyond_the_mean.ipynb)
#
# # Beyond the mean: colors as a distribution
#
# ![One photo from gray through the mean to the boldest answer, and as it was](https://raw.githubusercontent.com/colorization-course/colorization-course/main/.github/09.jpg)
#
# **What you will learn**
#
# - why a model that says how *probable* each color is holds the answers of Eq. 1 and of Eq. 2, and all between;
# - how such a model is trained, and how a color is made of its numbers, in a few lines of NumPy;
# - how to see where a model does not know, and what else a photo may have looked like.
#
# **What it needs.** The colorizer in the box, which comes with the project. A small model learns from the sample now,
# whatever the profile. No GPU.
#
# | profile | sample | classroom | paper |
# |---|---|---|---|
# | minutes | 1 | 2 (estimate) | 2 (estimate) |

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
import keras
import numpy as np
from IPython.display import display

from colorlib import batches, colorize, evaluation, figures, lab, losses, prior, sources, training
from colorlib.settings import load
from colorlib.sources import photos, sample

on_sample = load("sample", data="sample", data_folder=settings.data_folder)
split = sources.prepare(on_sample)

# %% [markdown]
# ## 1. Three colors, two losses, two answers
#
# *About 3 minutes.*
#
# Of ten cars that look the same in gray, six are red, three green, one silver. A model that must answer with *one*
# color gives a brown under Eq. 1, and another mixture under Eq. 2.
#
# Suppose that it answers with the three **probabilities** instead: a
# [distribution](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#distribution).
# Then nothing is mixed yet. The weights $v$ are an example of Eq. 3's: in photos at large, red is rare and gray common.

# %%
colors = np.array([[60, 45], [-40, 40], [0, 0]])  # a and b of red, green and silver
p = np.array([0.6, 0.3, 0.1])  # how probable each of them is
v = np.array([3.0, 1.5, 0.3])  # how much each of them weighs under Eq. 2

# %% [markdown]
# Both best answers can be computed from the probabilities, *afterwards*:
#
# $$\hat y_1 = \sum_c p_c\, c \qquad\qquad \hat y_2 = \frac{\sum_c p_c v_c\, c}{\sum_c p_c v_c}$$


# %%
def best_answer(p, v):
    """The mean of the colors, each with its weight."""
    return (p * v) @ colors / (p * v).sum()


under_eq1, under_eq2 = best_answer(p, 1), best_answer(p, v)
print("Eq. 1's answer:", under_eq1, "  Eq. 2's:", under_eq2.round(1))

# %%
answers = {"Eq. 1's answer": under_eq1, "Eq. 2's answer": under_eq2}
figures.distributions({"a car's color, p": (60, colors, p)}, [answers])

# %% [markdown]
# Each disk is a color; its area says how probable it is. Both answers lie between the disks, where no car is. That they
# are the best ones, section 5 shows by trying all others.
#
# > **What the paper says, and what we do.** It ends with a wish: "it would always be better to change the metric of
# > evaluation, or introduce other components to deter the model from picking the average", perhaps reinforcement
# > learning or a GAN. We take an older way, a distribution of colors, as Zhang, Isola and Efros (2016) did, whom the
# > paper cites for its weights. That it holds the answers of Eq. 1 *and* of Eq. 2, for every λ, the paper does not say.
#
# ## 2. From three colors to all of them
#
# *About 3 minutes.*
#
# A photo's colors are not three. So we lay a grid of
# [nodes](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#node) over the
# $ab$ plane, and the model says how probable each node is.

# %% tags=["nbval-check-output"]
print(len(lab.NODES), "nodes,", int(lab.NODE_STEP), "units apart")

# %% [markdown]
# A true color hardly ever *is* a node. It is shared out among the four corners of its cell: the nearer a corner, the
# more it gets.


# %%
def four_corners(a, b):
    """The corners of a color's cell, (4, 2), and each one's share."""
    left, low = 10 * np.floor([a / 10, b / 10])
    x, y = (a - left) / 10, (b - low) / 10
    corners = [(left, low), (left + 10, low), (left, low + 10), (left + 10, low + 10)]
    return np.array(corners), np.array([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y, x * y])


# %% tags=["nbval-check-output"]
corners, share = four_corners(17, 22)
for corner, part in zip(corners.astype(int), share, strict=True):
    print(corner, f"gets {part:.0%}")
print("the mean of the four:", (share @ corners).round(6))
ours = np.asarray(losses.shares(np.array([17, 22], np.float32) / 128))
order = [int(np.argmax(np.all(corner == lab.NODES, axis=1))) for corner in corners]
print("colorlib shares it out alike:", bool(np.allclose(ours[order], share)))

# %% [markdown]
# The mean is the color itself, exactly: the grid moves no mean.
#
# The model answers for blocks of 4×4 pixels, so its **target** is the mean of sixteen such shares:

# %%
L, ab = next(iter(batches.evaluation(split, "test", on_sample, batch_size=len(split.test))))
block = ab[:1, 40:44, 40:44]
target = np.asarray(losses.soft_target(block, 4))[0, 0, 0]
shown = {"all nodes": (65, lab.NODES, np.full(len(lab.NODES), 0.02)), "one color": (65, corners, share)}
figures.distributions({**shown, "a block of 16 pixels": (65, lab.NODES, target)})

# %% [markdown]
# How good is a distribution $p$, where the target is $t$? The
# [cross-entropy](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#cross-entropy)
# tells: it is low where $p$ had expected what is there. It is the loss, and it has **no** weights.
#
# $$-\sum_c t_c \log p_c$$


# %% tags=["nbval-check-output"]
def cross_entropy(target, p):
    return -np.sum(target * np.log(p))


no_idea = np.full(len(lab.NODES), 1 / len(lab.NODES))
in_keras = losses.ColorCrossEntropy()(block, np.zeros((1, 1, 1, len(lab.NODES)), np.float32))
print(f"all colors alike: {cross_entropy(target, no_idea):.3f} nats; colorlib: {float(in_keras):.3f}")

# %% [markdown]
# ## 3. What 105 photos can teach, and what the box knows
#
# *About 2 minutes.*
#
# `vivid` is `efficientnet` of notebook 06 with another head: one number for each node, its
# [logit](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#logit), in place of
# $a$ and $b$. A softmax makes probabilities of them. A small one learns from the sample, now.

# %%
run = training.train("vivid", on_sample, split)
small = run.build_model()
box = colorize.box()

# %% [markdown]
# The box is the same kind of model with a wider ladder, and its backbone has learned as well. Both answer for the
# sample's test photos, which neither has learned from. The floor is the
# [prior](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#prior): how often
# each color occurs, whatever the photo.

# %%
counts = np.asarray(small.get_layer("head").counts) + 1
in_box = np.asarray(box(L, training=False))
said = {"prior alone": 0 * in_box + np.log(counts / counts.sum())}
said |= {"small": small(L, training=False), "the box": in_box}
nats = {name: float(losses.ColorCrossEntropy()(ab, z)) for name, z in said.items()}
for name, value in nats.items():
    print(f"{name:12} {value:.2f} nats: as unsure as among {np.exp(value):3.0f} equally probable colors")


# %%
def colored(path):
    """A photo as both models color it."""
    image = photos.read_whole(path).image
    shown = {"gray": image.convert("L"), "small": colorize.colorize(path, small)}
    shown |= {"box, mean": colorize.colorize(path, box, vividness=0), "box": colorize.colorize(path, box)}
    return {**shown, "truth": image}


places = [sample.FOLDER / "photos" / name for name in ("balloon.jpg", "hopper.jpg")]
for path in places:
    shown = colored(path)
    display(figures.photo_row([*shown.values()], [*shown], columns=3))

# %% [markdown]
# We stay with these two: sky and skin, whose colors can be guessed, and the balloon's cloth, which may have any.
#
# ## 4. One pixel
#
# *About 2 minutes.*
#
# What does the box say of a single pixel? Change the points (x to the right, y downwards), and run on from here.

# %%
points = {"sky": (0, 30, 30), "skin": (1, 150, 140), "cloth": (0, 165, 140)}  # photo, x, y
seen = [photos.read_whole(path) for path in places]
logits = [colorize.predict(photo, box) for photo in seen]
figure = figures.photo_row([photo.image for photo in seen], columns=2, size=3.2)
for axis in figure.axes:
    axis.set_axis_on()
for name, (i, x, y) in points.items():
    figure.axes[i].plot(x, y, "o", color="white", markeredgecolor="black", markersize=9)
    figure.axes[i].text(x + 10, y, name, color="white", backgroundcolor="#0008", va="center")
figure


# %%
def look_at(i, x, y):
    """What the box says of a pixel, its logits, and the pixel's true L, a, b."""
    true = lab.rgb_to_lab(np.asarray(seen[i].image, np.float32)[y, x] / 255)
    (width, height), (rows, columns) = seen[i].image.size, logits[i].shape[:2]
    return logits[i][y * rows // height, x * columns // width], true


def softmax(z):
    p = np.exp(z - z.max(axis=-1, keepdims=True))
    return p / p.sum(axis=-1, keepdims=True)


pixels = {name: look_at(*point) for name, point in points.items()}
p_of = {name: softmax(z) for name, (z, _) in pixels.items()}

# %%
box_counts = np.asarray(box.get_layer("head").counts)  # how often each node occurred where the box learned
v = prior.node_weights(box_counts, colorize.LAMBDA)
marks = []
for name, (_, true) in pixels.items():
    p = p_of[name]
    marks.append({"mean": p @ lab.NODES, "vivid": (p * v) @ lab.NODES / (p @ v), "truth": true[1:]})
figures.distributions({name: (true[0], lab.NODES, p_of[name]) for name, (_, true) in pixels.items()}, marks)

# %% [markdown]
# The star is the truth. The *vivid* answer, Eq. 2's, is pulled towards the rare colors.
#
# ## 5. One distribution, every answer
#
# *About 3 minutes.*
#
# `colorlib` makes colors of logits $z$ by one formula with two knobs, $γ$, the
# [vividness](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#vividness),
# and $T$, the
# [temperature](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#temperature):
#
# $$\hat y = \sum_c w_c\, c, \qquad w \propto \mathrm{softmax}(z / T) \cdot v^γ$$


# %%
def color_of(z, v, gamma, temperature=1.0):
    """The color that is made of the logits of a pixel, in ab units."""
    w = softmax(z / temperature) * v**gamma
    return w @ lab.NODES / w.sum()


# %% tags=["nbval-check-output"]
z, _ = pixels["cloth"]
choices = [(0, 1), (0.5, 1), (1, 1), (1, 0.3), (0.6, 2)]  # γ and T
ours = [128 * np.asarray(losses.color_of(z, v, gamma, T)) for gamma, T in choices]
by_hand = [color_of(z, v, gamma, T) for gamma, T in choices]
print("colorlib gives the same:", bool(np.allclose(ours, by_hand, atol=0.01)))

# %% [markdown]
# γ = 0 is Eq. 1's best answer, and γ = 1 is Eq. 2's, **for every λ, without training again**. We try all answers on
# a grid, for the cloth.

# %%
grid = np.stack(np.meshgrid(np.arange(-90, 101.0), np.arange(-110, 101.0), indexing="ij"), axis=-1)


def best_on_grid(p, v):
    """The answer x of the grid with the lowest Σ p v ‖c - x‖², all squares multiplied out."""
    pv = p * v
    loss = pv.sum() * (grid**2).sum(axis=-1) - 2 * grid @ (pv @ lab.NODES)
    return grid[np.unravel_index(loss.argmin(), loss.shape)]


v_of = {x: prior.node_weights(box_counts, x) for x in (0.1, 0.2, 0.5, 1)}
found = {x: (best_on_grid(softmax(z), v_of[x]), color_of(z, v_of[x], 1)) for x in v_of}
for x, (tried, computed) in found.items():
    print(f"λ = {x:3}: best on the grid {tried}, by the formula {computed.round(1)}")

# %% tags=["nbval-check-output"]
eq1 = best_on_grid(softmax(z), np.ones(len(z)))
print("γ = 0 is Eq. 1's minimum:", bool(np.abs(eq1 - color_of(z, v, 0)).max() <= 0.51))
print("γ = 1 is Eq. 2's, for each λ:", all(np.abs(one - two).max() <= 0.51 for one, two in found.values()))

# %% [markdown]
# With λ = 1 all colors weigh the same, and Eq. 2 is Eq. 1 again. Notebook 05 needed one training for its one λ.
# How near do such trainings come? [A table](https://github.com/colorization-course/colorization-course/blob/main/tests/benchmarks/README.md#the-colorizer-in-the-box)
# has the answers out of one distribution beside those of models that were trained for them, on the same photos.
#
# ## 6. The knob
#
# *About 3 minutes.*
#
# The same photo, from gray through the mean to the boldest answer. Move the slider, or look at the rows below.

# %%
steps = (0, 0.25, 0.5, 0.75, 1)


def painted(i, **choices):
    """Photo i in the colors that `choices` make of its logits."""
    return colorize.paint(seen[i], np.asarray(colorize.coloring(box, **choices)(logits[i])))


titles = ["gray", *(f"vividness {gamma}" for gamma in steps)]
bolder = [painted(1, vividness=gamma) for gamma in steps]
figures.slider([seen[1].image.convert("L"), *bolder], titles, width=270)

# %%
rows = [painted(0, vividness=gamma) for gamma in steps[::2]] + bolder[::2]
figures.photo_row(rows, titles[1::2] * 2, columns=3)

# %% [markdown]
# What does it cost? On the test photos, the
# [MSE](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#mse), beside the
# [colorfulness](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#colorfulness):


# %%
def cost(ab_answer):
    """The MSE of an answer to the test photos, and its colorfulness over the truth's."""
    shown = [[evaluation.to_rgb8(*pair) for pair in zip(L, each, strict=True)] for each in (ab_answer, ab)]
    colorful = [np.mean([evaluation.colorfulness(rgb) for rgb in each]) for each in shown]
    return np.mean((ab_answer - ab) ** 2), colorful[0] / colorful[1]


at_quarter = {gamma: colorize.coloring(box, vividness=gamma)(in_box) for gamma in steps}
answer_at = {gamma: np.asarray(keras.ops.image.resize(c, ab.shape[1:3])) for gamma, c in at_quarter.items()}

# %%
gray = cost(np.zeros_like(ab))
cost_of = {gamma: cost(answer) for gamma, answer in answer_at.items()}
for gamma, (error, colorful) in cost_of.items():
    print(f"vividness {gamma:4}: MSE {error:.4f}, {colorful:4.0%} as colorful as the truth")
print(f"all gray:       MSE {gray[0]:.4f}")

# %% [markdown]
# **If** the probabilities are right, the mean has the lowest squared error. But they are those of the photos that the
# box has learned from. Do they hold for these?

# %%
cheapest = min(steps, key=lambda gamma: cost_of[gamma][0])
learned_from = box_counts @ np.hypot(*lab.NODES.T) / box_counts.sum()
here = 128 * np.hypot(*np.moveaxis(np.asarray(ab), -1, 0)).mean()
print(f"The lowest MSE is at vividness {cheapest}, of these five.")
print(f"Mean chroma: {learned_from:.0f} in the photos that the box has learned from, {here:.0f} in these.")
grayer = "grayer than these" if learned_from < here else "not grayer than these"
reason = "as it should be" if cheapest == 0 else f"the photos that it learned from were {grayer}"

# %% [markdown]
# Where to stand is a choice, and now it is *yours*, after the training. But no vividness makes a wrong guess right.
#
# ## 7. Where it does not know
#
# *About 1 minute.*
#
# The [entropy](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#entropy) of a
# distribution says how spread out it is; $e$ to that power is the number of equally probable colors that would be as
# hard to guess.


# %%
def unsureness(z):
    p = softmax(z)
    return np.exp(-np.sum(p * np.log(p), axis=-1))


maps, titles = [unsureness(z) for z in logits], ["", ""]
figures.weights_on_photo([p.image for p in seen], maps, titles, label="as unsure as among so many colors")

# %% [markdown]
# Does it know when it does not know? If so, much of its error lies where it is unsure:

# %%
unsure = unsureness(in_box)
small_ab = [np.asarray(keras.ops.average_pool(each, 4, 4)) for each in (answer_at[0], ab)]
error = ((small_ab[0] - small_ab[1]) ** 2).sum(axis=-1)
part = error[unsure > np.quantile(unsure, 0.75)].sum() / error.sum()
print(f"The most unsure quarter of the pixels holds {part:.0%} of the squared error; by chance 25 %.")

# %% [markdown]
# ## 8. What else it may have been
#
# *Optional reading, but run the cells: later ones need them. About 2 minutes.*
#
# A distribution holds more than one answer, so let us *draw* from it. If each pixel is drawn by itself, neighbors
# disagree: the model says nothing of how pixels belong together. So we give all pixels the *same* noise. For a single
# pixel that is as fair a draw; but pixels of which the model says the same now take the same color. A low temperature,
# in place of the largest logit alone, softens borders.


# %%
def by_pixel(z, seed):
    """Each pixel's color drawn by itself: noise of this kind is added, and the largest logit wins."""
    noise = np.random.default_rng(seed).gumbel(size=z.shape)
    return lab.NODES[(z + noise).argmax(axis=-1)] / 128


def all_alike(z, seed):
    """One version of the whole photo: the same noise for all its pixels."""
    noise = np.random.default_rng(seed).gumbel(size=z.shape[-1])
    return np.asarray(colorize.coloring(box, vividness=0, temperature=0.3)(z + noise))


# %%
drawn = [by_pixel(logits[0], 1), *(all_alike(logits[0], seed) for seed in (1, 2, 3))]
titles = ["pixel by pixel", "version 1", "version 2", "version 3"]
figures.photo_row([colorize.paint(seen[0], ab_drawn) for ab_drawn in drawn], titles, columns=2)

# %%
apart = {}
for name, (z, _) in pixels.items():
    draws = 128 * np.array([all_alike(z, seed) for seed in range(100)])
    apart[name] = np.linalg.norm(draws.std(axis=0))
    print(f"{name:6} a hundred versions spread by {apart[name]:2.0f} units around their mean")

# %% [markdown]
# These are versions that *the model* holds plausible. What it has never seen, no version shows.
#
# ## 9. What is still wrong
#
# *About 2 minutes.*
#
# The sample's test photos by their class: the error of the mean over that of all gray. Below 1 the box has helped.

# %%
class_of = np.array([photo.label for photo in split.test])
of_mean, of_gray = (np.mean((answer - ab) ** 2, axis=(1, 2, 3)) for answer in (answer_at[0], 0))
ratio = {c: of_mean[class_of == c].sum() / of_gray[class_of == c].sum() for c in sorted({*class_of})}
for name, value in sorted(ratio.items(), key=lambda pair: pair[1]):
    print(f"{name:10} {value:.2f}, {(class_of == name).sum()} photos")

# %% [markdown]
# And the whites? Here are the lightest pixels (L > 90), and the test photo in which a bold answer spoils them most.

# %%
light = np.asarray(L)[..., 0] > 0.9
shown = {"truth": np.asarray(ab), "mean": answer_at[0], "vividness 1": answer_at[1]}
tint = {name: 128 * each[light][:, 1].mean() for name, each in shown.items()}
print("b where L > 90:", ", ".join(f"{b:.0f} ({name})" for name, b in tint.items()))
off = ((shown["vividness 1"] - shown["truth"]) ** 2).sum(axis=-1) * light
turned = int(np.argmax(off.sum(axis=(1, 2))))
print(sample.credit([split.paths("test")[turned]]))
figures.photo_row([evaluation.to_rgb8(L[turned], each[turned]) for each in shown.values()], [*shown])

# %% [markdown]
# - **It has learned scenes, not things**: streets, rooms, forests. Where the ratio above is near 1 or over it, the
#   class has little in common with them, or its colors are free.
# - **Each block answers for itself**: two halves of one dress may come out in two colors. A model that paints region by
#   region, each knowing the last, or a GAN, would see to that.
# - **Rarity does not look at lightness**: a color weighs the same in a shadow and in a cloud. So a bold answer may tint
#   what is white.
#
# ## Exercises
#
# *About 11 minutes.*
#
# Fill in a cell where it says `...`, run it, then run the check below it.

# %% [markdown]
# **Exercise 1: predict, then run.** The car again: red 0.6, green 0.3, silver 0.1, all of the same weight. The
# temperature falls from 1 to 0.1. Where does the answer go: to `"red"`, to `"green"`, to `"silver"`, or does it stay at
# the `"mean"`? The check lowers the temperature of a photo, too.

# %% tags=["exercise"]
prediction = ...  # "red", "green", "silver" or "mean"

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 1
from notebooks.checks import lesson09

lesson09.exercise_1(prediction, seen[1], logits[1], box)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# prediction = "red"
# ```
# Its share of 0.6 becomes 0.999. Nothing is averaged any more; but where two colors are nearly as probable, a small
# change in the photo makes the answer jump from one to the other: see the patches.
# </details>

# %% [markdown]
# **Exercise 2: somebody remembers.** "The cloth was red." Put that into the distribution: multiply the probability of
# each node $c$ by $e^{-\|c - h\|^2 / 2s^2}$, where $h$ is the color remembered, and $s$ how vague the memory is. On
# logits, to multiply is to *add* a logarithm. The check paints the balloon with two memories.


# %% tags=["exercise"]
def remembered(z, h, s):
    """Logits (..., n) after somebody has remembered the color h = (a, b), give or take s units."""
    return ...  # your code here


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 2
from notebooks.checks import lesson09

lesson09.exercise_2(remembered, seen[0], logits[0], box)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def remembered(z, h, s):
#     return z - np.sum((lab.NODES - np.array(h)) ** 2, axis=1) / (2 * s**2)
# ```
# The memory is told to every pixel, the sky's too. How far each of them follows depends on how sure the model was.
# </details>

# %% [markdown]
# ## Three questions on 07 to 09
#
# *About 6 minutes.*
#
# Answer them from *your* run; another run may have other answers.
#
# 1. You want photos as colorful as the true ones. Which vividness of the table in *The knob* comes nearest?
# 2. A number needs a floor (07). At that vividness, is the MSE below that of all gray?
# 3. Below a colorized photo (08) you may name one thing whose color is made up. Of `"sky"`, `"skin"` and `"cloth"`,
#    about which is the box least sure? Compute how many colors each is as unsure as.

# %% tags=["exercise"]
nearest, beats_gray, made_up = ..., ..., ...  # a number, True or False, a name

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check the three
from notebooks.checks import lesson09

lesson09.quiz(nearest, beats_gray, made_up, cost_of, gray[0], p_of)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# nearest = min(cost_of, key=lambda gamma: abs(cost_of[gamma][1] - 1))
# beats_gray = bool(cost_of[nearest][0] < gray[0])
# made_up = max(pixels, key=lambda name: unsureness(pixels[name][0]))
# ```
# As colorful as the truth is not as true: what is bold and wrong costs more than gray.
# </details>

# %% [markdown]
# ## What we saw
#
# *About 1 minute.*

# %%
learned = "more" if nats["small"] < nats["prior alone"] else "no more"
print(f"105 photos teach {learned} than the prior: {nats['small']:.2f}, {nats['prior alone']:.2f} nats.")
better = "knows more" if nats["the box"] < nats["small"] else "does not know more of these photos"
print(f"The box {better}: {nats['the box']:.2f} nats.")
beaten = "less than all gray" if cost_of[0][0] < gray[0] else "no less than all gray"
print(f"Its mean has MSE {cost_of[0][0]:.4f}, {beaten} ({gray[0]:.4f}),")
print(f"and {cost_of[0][1]:.0%} of the truth's colorfulness; at vividness 1 that is {cost_of[1][1]:.0%}.")
knows = "knows" if part > 0.3 else "does not know"
print(f"It {knows} when it is unsure: the most unsure quarter holds {part:.0%} of the error.")
print(f"Freest of the three points: {max(apart, key=apart.get)}; least free: {min(apart, key=apart.get)}.")
whites = "yellower" if tint["vividness 1"] > max(tint["truth"], tint["mean"]) + 1 else "no yellower"
print(f"Whites turn {whites}: b {tint['truth']:.0f} in truth, {tint['vividness 1']:.0f} at vividness 1.")
print(f"The lowest MSE was at vividness {cheapest}: {reason}.")
worse = [name for name, value in ratio.items() if value >= 1]
print(f"Classes whose gray its mean does not beat: {', '.join(worse) or 'none'}.")

# %% [markdown]
# A distribution keeps apart what the mean mixes. How bold to be, and what to do where the model does not know, are
# choices after training. The paper's wish was to deter the model from picking the average: here it never picks; we do.
#
# **Next:** back to [04_train_baseline](04_train_baseline.ipynb) with your own folder of photos as `DATA`; or train this
# model on more photos, with `training.train("vivid", settings)` in a profile with a GPU.
