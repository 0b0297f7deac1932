# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/colorization-course/colorization-course/blob/main/notebooks/03_color_prior.ipynb)
#
# # The color prior and the weights of Eq. 3
#
# ![The colors of the sample's photos on the ab plane, each as large as it is common, and Eq. 3's weights](https://raw.githubusercontent.com/colorization-course/colorization-course/main/.github/03.jpg)
#
# **What you will learn**
#
# - how often each color occurs in photographs, and what that has to do with brown results;
# - how the paper's Eq. 3 turns those frequencies, the [prior](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#prior),
#   into a weight for each color;
# - two mistakes that are easily made here, and what they do: a list in place of a plane, and
#   probabilities in place of a density.
#
# **What it needs.** No GPU. Time on a CPU: sample under 1 minute, classroom 1 minute, paper 2
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
import numpy as np
from colorlib import figures, lab, prior, sources
from colorlib.sources import photos, sample

split = sources.prepare(settings)
color_prior = prior.prepare(split, settings)

# %% [markdown]
# ## 1. Counting colors
#
# *About 5 minutes.*
#
# Notebook 02 took a photo apart into L, its lightness, and a and b, its color. Here we look at the
# plane of a and b, and count how many pixels of the training photos lie where: a
# [histogram](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#histogram).
# The plane is cut into squares, the **bins**, of `bin_width` = 8 ab units, and each pixel counts
# in its bin.
#
# Bins are centred on multiples of their width: a color belongs to bin number ⌊a / 8 + ½⌋. So gray,
# a = b = 0, is the *middle* of a bin. This is the count of one photo, in five lines:


# %%
def my_count(path, width=8, half=16):
    """How many pixels of a photo lie in each bin: (33, 33), rows a, columns b."""
    a, b = np.moveaxis(lab.rgb_to_lab(np.asarray(photos.read(path)) / 255.0)[..., 1:], -1, 0)
    edges = width * (np.arange(-half, half + 2) - 0.5)
    return np.histogram2d(a.ravel(), b.ravel(), [edges, edges])[0].astype(int)


# %% tags=["nbval-check-output"]
path = split.paths("train")[0]
mine, theirs = my_count(path), prior.count([path], bin_width=8)
print("bins:", mine.shape)
print("every pixel counted once:", mine.sum() == np.asarray(photos.read(path))[..., 0].size)
print("colorlib counts the same:", np.abs(mine - theirs).sum() <= 2)

# %% [markdown]
# > **What the paper says, and what we do.** "Discretized (a\*, b\*) pairs in the full training
# > set": how wide the bins are, the paper does not say. 8 units is a default of ours. We count
# > *float* ab values. With 8-bit Lab, whose values are whole numbers, a bin 8 wide always holds 8 of
# > them, but one 10.5 wide holds sometimes 10 and sometimes 11. And we leave **near-gray photos**
# > out, in which no pixel has an |a| or |b| above 5: what they teach about color is nothing.
#
# These are all training photos: the plane in its own colors, each disk as large as its color is common. (Colors
# below one in a thousand are left out.)

# %%
width = settings.bin_width
share = color_prior.counts / color_prior.counts.sum()
middle = len(share) // 2
a, b = np.meshgrid(prior.centers(width), prior.centers(width), indexing="ij")
plane = np.stack([a, b], axis=-1).reshape(-1, 2)
figures.distributions({"the training photos' colors": (65, plane, share.ravel())})

# %% [markdown]
# The same with all the rare ones, on a logarithmic scale: each step of the color bar is *ten times* as many. The line
# is the edge of what a screen can show, in its own colors.

# %%
figures.ab_planes({"pixels in each bin": color_prior.counts}, width, "pixels")

# %%
gray, near = share[middle, middle], share[np.hypot(a, b) <= 20].sum()
mean_color = [(share * a).sum(), (share * b).sum()]
print(f"in the gray bin alone           {gray:6.1%} of the pixels")
print(f"within 20 units of gray         {near:6.1%}")
print(f"more than 60 units from gray    {share[np.hypot(a, b) > 60].sum():6.1%}")
print(f"the mean color                  a = {mean_color[0]:.1f}, b = {mean_color[1]:.1f}")
print(f"its distance from gray          {np.hypot(*mean_color):.1f}")
print(f"a pixel's distance, in the mean {(share * np.hypot(a, b)).sum():.1f}")

# %% [markdown]
# Walls, roads, skies, skin and wood are many pixels, and most of them are dull. The mean of many colors is duller than
# they are, for opposite colors cancel. Here it is, beside gray:

# %%
figures.swatches({"gray": (65, 0, 0), "the mean color": (65, *mean_color)})

# %% [markdown]
# That is why colorizers answer so dully. A model that is unsure, and is punished by the [*squared* distance](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#mse),
# does best with the mean of what could be.
#
# ## 2. From counts to p′
#
# *About 4 minutes.*
#
# Eq. 3 needs p′(a, b), how likely each color is. We make it a **[density](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#density)**
# on the square from -1 to 1 in both a / 128 and b / 128: the share of pixels in a bin, divided by
# the bin's area Δ², where Δ = 8 / 128. Summed over all bins, times Δ², it gives 1.
#
# A count of few photos is ragged, so it is **[smoothed](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#smoothing)**:
# each bin's share is spread over its neighbours by a Gaussian in the plane, of standard deviation σ
# = 5 ab units.


# %%
def my_density(counts, width, sigma):
    """p′, smoothed: a density on [-1, 1] x [-1, 1]."""
    half = len(counts) // 2
    distance = width * np.subtract.outer(np.arange(-half, half + 1), np.arange(-half, half + 1))
    gaussian = np.exp(-(distance**2) / (2 * sigma**2))  # along a; the same along b
    spread = gaussian @ counts @ gaussian
    return spread / (spread.sum() * (width / 128) ** 2)


# %% tags=["nbval-check-output"]
delta = width / 128
p = my_density(color_prior.counts, width, settings.sigma)
print("sum of p' times bin area:", round(float(p.sum() * delta**2), 6))
print("colorlib's is the same:", np.allclose(p, color_prior.density, rtol=1e-3, atol=1e-6))

# %%
before = prior.density(color_prior.counts, width, 0)
planes = {"p′ as counted": before, f"p′ smoothed, σ = {settings.sigma:g}": color_prior.density}
figures.ab_planes(planes, width, "density p′")

# %% [markdown]
# > **What the paper says, and what we do.** "Smoothed with the distribution of a Gaussian kernel":
# > σ is not given, and 5 is a default of ours. The Gaussian is one of the *plane*. A well-known
# > implementation smooths along the *list* of bins instead, row after row, so that the end of one
# > row flows into the beginning of the next. Look at a single yellow bin, the last of gray's row:

# %%
occurring = np.argwhere(color_prior.counts > 0)  # the list of bins: row after row of a, b rising
last = np.flatnonzero(occurring[:, 0] == middle)[-1]  # the yellow end of the row a = 0
one_bin, along_list = np.zeros_like(p), np.zeros_like(p)
one_bin[tuple(occurring[last])] = 1
in_list = np.eye(len(occurring))[last]
line = np.exp(-0.5 * (np.arange(-4, 5) * width / settings.sigma) ** 2)
along_list[tuple(occurring.T)] = np.convolve(in_list, line / line.sum(), mode="same")
in_plane = my_density(one_bin, width, settings.sigma) * delta**2
tables = {"one bin": one_bin, "smoothed in the plane": in_plane, "smoothed along the list": along_list}
figures.distributions({title: (65, plane, table.ravel()) for title, table in tables.items()})

# %%
spilled = along_list[middle + 1 :].sum()
where = int(prior.centers(width)[occurring[min(last + 1, len(occurring) - 1), 1]])
print(f"{spilled:.0%} of the yellow bin's share went to the other end of the next row, to b = {where}.")

# %% [markdown]
# ## 3. Eq. 3: a weight for each color
#
# *About 4 minutes.*
#
# The more common a color, the less its errors shall count. Eq. 3 says
#
# $$v(a, b) \propto \frac{1}{(1 - \lambda)\, p'(a, b) + \lambda / 4},$$
#
# $$\sum_{a, b} p'(a, b)\, v(a, b)\, \Delta^2 = 1.$$
#
# - ∝ means *proportional to*: the second equation says to what.
# - **λ** (lambda), between 0 and 1, mixes p′ with the *uniform* density, in which every color is
#   equally likely. On a square of 2 × 2 that density is 1 / 4: hence λ / 4.
# - λ = 1 gives every color the weight 1: Eq. 2 becomes Eq. 1. λ = 0 gives v = 1 / p′: extremely
#   rare colors get extreme weights.
# - The second equation makes the *mean* weight of a pixel 1.


# %%
def my_weights(p, lambda_, delta):
    """Eq. 3."""
    v = 1 / ((1 - lambda_) * p + lambda_ / 4)
    return v / (p * v * delta**2).sum()


# %% tags=["nbval-check-output"]
v = my_weights(color_prior.density, settings.lambda_, delta)
print("colorlib's is the same:", np.allclose(v, color_prior.weights))
print("mean weight under p':", round(float((color_prior.density * v * delta**2).sum()), 6))
one = my_weights(color_prior.density, 1, delta)
print("λ = 1 gives weights from", round(float(one.min()), 6), "to", round(float(one.max()), 6))

# %%
figures.ab_planes({f"v, λ = {settings.lambda_:g}": v}, width, "weight v")

# %% [markdown]
# Painted onto photos: each pixel's color is looked up in the table. Bright places weigh most in the
# loss. The photos are the first three of the validation split with at least a tenth of vivid pixels ([chroma](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#chroma)
# above 30).


# %%
def small(path):
    photo = photos.read(path)
    photo.thumbnail((480, 480))  # a camera's twenty million pixels would take long
    return np.asarray(photo) / 255.0


def vivid(image):
    ab = lab.rgb_to_lab(image)[..., 1:]
    return np.mean(np.hypot(ab[..., 0], ab[..., 1]) > 30) > 0.1


# %%
paths = split.paths("validation")[:200]
chosen = [path for path in paths if vivid(small(path))][:3] or paths[:1]
images = [small(path) for path in chosen]
print(sample.credit(chosen))
painted = [color_prior.weight_of(lab.split(lab.rgb_to_lab(image))[1]) for image in images]
titles = [f"mean weight {weight.mean():.2f}" for weight in painted]
figures.weights_on_photo(images, painted, titles)

# %% [markdown]
# ## 4. What λ does
#
# *About 2 minutes.*
#
# Small λ: strong [rebalancing](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#rebalancing).
# Large λ: hardly any. The paper gives no value; 0.5 is a default of ours.

# %%
choices = (0.1, 0.25, 0.5, 0.75, 0.9, 1)
tables = {f"λ = {x:g}": prior.weights(color_prior.density, width, x) for x in choices}
figures.ab_planes(tables, width, "weight v")

# %%
for name, table in tables.items():
    low, high = table.min(), table.max()
    print(f"{name:9}  lightest {low:6.3f}   heaviest {high:7.2f}   ratio {high / low:7.1f}")

# %% [markdown]
# Where widgets work (Jupyter, Colab), the same under a slider:

# %%
from IPython.display import display
from ipywidgets import FloatSlider, interact


slider = FloatSlider(settings.lambda_, min=0.05, max=1, step=0.05, description="λ")
slider.continuous_update = False


@interact(chosen=slider)
def show(chosen):
    table = prior.weights(color_prior.density, width, chosen)
    display(figures.ab_planes({f"λ = {chosen:.2f}": table}, width, "weight v"))


# %% [markdown]
# ## 5. What goes wrong with bin probabilities
#
# *Optional reading, but run the cells: later ones need them. About 2 minutes.*
#
# It is tempting to put *probabilities* into Eq. 3: the share of each bin, which sums to 1 without
# any Δ². The formula looks the same. But the shares of a thousand bins are tiny numbers, and λ / 4
# is not: beside 0.125, a share of 0.001 does not count. The weights become more equal than they
# should, and the rebalancing silently fades.
#
# > **What the paper says, and what we do.** The paper calls p′ an "empirical probability" and adds
# > λ / 4. The 4 fits only a *density* on the square [-1, 1] × [-1, 1], whose area is 4; so a
# > density it is. Its Σ p′ v = 1 is then a sum over bins of area Δ².

# %%
probabilities = color_prior.density * delta**2
wrong = my_weights(probabilities, settings.lambda_, 1)
figures.ab_planes({"p′ as a density": v, "p′ as probabilities": wrong}, width, "weight v")

# %%
raw = (share * v).sum()
print(f"mean weight over the raw counts, not smoothed:        {raw:6.2f}")
print(f"heaviest weight over lightest, p′ as a density:       {v.max() / v.min():6.1f}")
print(f"heaviest weight over lightest, p′ as probabilities:   {wrong.max() / wrong.min():6.1f}")

# %% [markdown]
# ## Exercises
#
# *About 17 minutes.*
#
# Fill in a cell where it says `...`, run it, then run the check below it.

# %%
from notebooks.checks import lesson03

# %% [markdown]
# **Exercise 1: predict, then run.** Every training photo is copied, so that each is there twice. What happens to the
# weight of gray: does it become *half*, *the same* or *double*?

# %% tags=["exercise"]
prediction = ...  # "half", "the same" or "double"

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 1
lesson03.exercise_1(prediction, color_prior)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# prediction = "the same"
# ```
# Counts are divided by their sum. What p′ tells is how common a color is among all pixels, not how many there are.
# </details>

# %% [markdown]
# **Exercise 2: change λ and explain the map.** Find the λ with which the heaviest weight is ten times the lightest.
# (The slider above helps; a formula is better.) The check draws its map, and paints it on a photo. Outside of a small
# region around gray, all colors have nearly the same weight. Why?
#
# - **a**: the Gaussian has spread the common colors over the whole plane;
# - **b**: beside λ / 4, p′ counts only where it is very large;
# - **c**: rare colors have become more common.

# %% tags=["exercise"]
my_lambda = ...  # a number, or a formula that uses p.max()
why = ...  # "a", "b" or "c"

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 2
lesson03.exercise_2(my_lambda, why, color_prior, images[-1])

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# my_lambda = 4 * p.max() / (9 + 4 * p.max())
# why = "b"
# ```
# Where p′ = 0, the weight is proportional to 1 / (λ / 4); where p′ is largest, to 1 / ((1 - λ) p_max + λ / 4). Their
# ratio is 1 + 4 p_max (1 - λ) / λ. With such a large λ, (1 - λ) p′ is small beside λ / 4 for all but the commonest
# colors: elsewhere the weight is that of p′ = 0.
# </details>

# %% [markdown]
# **Exercise 3: write Eq. 3 yourself.** Think of a world of n colors, with *probabilities* q whose sum is 1. There is
# no area any more: among n colors, the uniform probability is 1 / n, and the mean weight is Σ q v. Write Eq. 3 for it.


# %% tags=["exercise"]
def weights_of(q, lambda_):
    """Eq. 3 for the probabilities q, (n,): the weights, (n,), whose mean under q is 1."""
    return ...  # your code here


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 3
lesson03.exercise_3(weights_of)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def weights_of(q, lambda_):
#     v = 1 / ((1 - lambda_) * q + lambda_ / len(q))
#     return v / (q * v).sum()
# ```
# So probabilities are no mistake in themselves. The mistake of section 5 is to mix them with the uniform *density*.
# </details>

# %% [markdown]
# ## Three questions on 01 to 03
#
# *About 6 minutes.*
#
# The answers are in your own split and your own prior: `split`, `share`, `color_prior`, `p` and `v` are at hand. Type a
# number, or code that finds it.
#
# 1. Which color's bin is the most common one *after gray's own*? Give the middle of the bin, a and b in ab units.
# 2. How many times as many pixels lie in gray's bin as in all the vivid reds together, the bins with a of 56 or more?
# 3. A stratified draw takes 30 of your training photos. How many come from the largest class?

# %% tags=["exercise"]
runner_up = [..., ...]  # a, b
times = ...
of_the_largest = ...

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check the three answers
lesson03.quiz(runner_up, times, of_the_largest, color_prior, split)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# from collections import Counter
#
# others = share.copy()
# others[middle, middle] = 0
# runner_up = [a[others == others.max()][0], b[others == others.max()][0]]
# times = share[middle, middle] / share[a >= 56].sum()
# sizes = Counter(photo.label for photo in split.train)
# of_the_largest = round(30 * max(sizes.values()) / len(split.train))
# ```
# The last line is right where the largest remainder agrees with plain rounding, as in the sample.
# </details>

# %% [markdown]
# ## What we saw
#
# *About 1 minute.*

# %%
most = "most" if near > 0.5 else "fewer than half"
print(f"- {near:.1%} of the training pixels, {most} of them, lie within 20 units of gray.")
common = "the most common" if gray == share.max() else "not the most common"
print(f"- Gray's bin, with {gray:.0%}, is {common} one.")
rare = "more" if v.max() > v[middle, middle] else "no more"
print(f"- λ = {settings.lambda_:g}: gray weighs {v[middle, middle]:.2f}, the rarest {v.max():.1f}, {rare}.")
side = "lower" if raw < 0.995 else "higher" if raw > 1.005 else "the same"
print(f"- The mean weight is 1 under the smoothed p′, and {raw:.2f} over the raw counts: {side}.")
weaker = "weaker" if wrong.max() / wrong.min() < v.max() / v.min() else "no weaker"
print(f"- With probabilities in place of a density, the rebalancing is {weaker}: the ratio of the weights")
print(f"  is {wrong.max() / wrong.min():.1f} in place of {v.max() / v.min():.0f}.")

# %% [markdown]
# - The prior is kept in `prior.npz` beside the split, with its settings and the split's checksum;
#   notebook 05 trains with it.
#
# Next: [04 – train the baseline](04_train_baseline.ipynb), with Eq. 1, in which every color weighs
# the same.
