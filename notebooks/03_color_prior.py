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
# **What you will learn**
#
# - how often each color occurs in photographs, and why that makes colorizers answer brown;
# - how the paper's Eq. 3 turns those frequencies, the [prior](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#prior),
#   into a weight for each color;
# - three mistakes that are easily made here, and what each does to the weights.
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
# > *float* ab values: with 8-bit Lab, whose values are whole numbers, a bin 8 wide sometimes holds
# > 8 of them and one 10.5 wide sometimes 10 and sometimes 11. And we leave **near-gray photos**
# > out, in which no pixel has an |a| or |b| above 5: what they teach about color is nothing.
#
# These are all training photos. The scale is logarithmic: each step of the color bar is *ten times*
# as many.

# %%
width = settings.bin_width
figures.ab_planes({"pixels in each bin": color_prior.counts}, width, "pixels")

# %% [markdown]
# Everything crowds around gray. Vivid colors are rarer by factors of thousands: not because the
# world has none, but because walls, roads, skies, skin and wood are many pixels, and most of them
# dull.

# %%
share = color_prior.counts / color_prior.counts.sum()
middle = len(share) // 2
a, b = np.meshgrid(prior.centers(width), prior.centers(width), indexing="ij")
print(f"in the gray bin alone           {100 * share[middle, middle]:5.1f} % of the pixels")
print(f"within 20 units of gray         {100 * share[np.hypot(a, b) <= 20].sum():5.1f} %")
print(f"more than 60 units from gray    {100 * share[np.hypot(a, b) > 60].sum():5.1f} %")
print(f"the mean color                  a = {(share * a).sum():.1f}, b = {(share * b).sum():.1f}")

# %% [markdown]
# That is why colorizers answer brown. A model that is unsure, and is punished by the [*squared* distance](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#mse),
# does best with the mean of what could be. The mean of many colors is a dull one.
#
# ## 2. From counts to p′
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
# > row flows into the beginning of the next. Look:

# %%
line = np.exp(-0.5 * (np.arange(-4, 5) / (settings.sigma / width)) ** 2)
two_spots = np.zeros_like(p)
two_spots[middle, middle], two_spots[middle + 5, middle - 10] = 1, 1
along_list = np.convolve(two_spots.ravel(), line, mode="same").reshape(p.shape)
in_plane = my_density(two_spots, width, settings.sigma)
planes = {"two bins": two_spots, "smoothed in the plane": in_plane / in_plane.max()}
planes["smoothed along the list"] = along_list
figures.ab_planes(planes, width, "relative", logarithmic=False)

# %% [markdown]
# ## 3. Eq. 3: a weight for each color
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
# Painted onto photos: each pixel's color is looked up in the table. Bright places are those from
# which a model trained with these weights learns most. The photos are the first three of the
# validation split with at least a tenth of vivid pixels ([chroma](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#chroma)
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
# It is tempting to put *probabilities* into Eq. 3: the share of each bin, which sums to 1 without
# any Δ². The formula looks the same. But the shares of a thousand bins are tiny numbers, and λ / 4
# is not: beside 0.125, a share of 0.001 does not count. All weights become nearly equal, and the
# rebalancing silently switches off.
#
# > **What the paper says, and what we do.** The paper calls p′ an "empirical probability" and adds
# > λ / 4. The 4 fits only a *density* on the square [-1, 1] × [-1, 1], whose area is 4; so a
# > density it is. Its Σ p′ v = 1 is then a sum over bins of area Δ².

# %%
probabilities = color_prior.density * delta**2
wrong = my_weights(probabilities, settings.lambda_, 1)
figures.ab_planes({"p′ as a density": v, "p′ as probabilities": wrong}, width, "weight v")

# %%
print(f"heaviest weight over lightest, p′ as a density:       {v.max() / v.min():6.1f}")
print(f"heaviest weight over lightest, p′ as probabilities:   {wrong.max() / wrong.min():6.1f}")

# %% [markdown]
# ## Exercises
#
# Fill in a cell where it says `...`, run it, then run the check below it.

# %%
from colorlib.course import exercises

# %% [markdown]
# **Exercise 1: predict, then run.** Every training photo is copied, so that each is there twice. What happens to the
# weight of gray: does it become *half*, *the same* or *double*?

# %% tags=["exercise"]
prediction = ...  # "half", "the same" or "double"

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 1
twice = prior.density(2 * color_prior.counts, width, settings.sigma)
factor = float((prior.weights(twice, width, settings.lambda_) / v)[middle, middle])
exercises.check(
    prediction,
    {0.5: "half", 1: "the same", 2: "double"}[round(factor, 3)],
    ("half", "Gray is twice as often there, but so is everything else: p′ is a *share*."),
    ("double", "More pixels do not make a color rarer or more common: p′ is a *share*."),
    otherwise='Write "half", "the same" or "double".',
)

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
# (The slider above helps; a formula is better.) Then look at its map: outside of a small region around gray, all
# colors have nearly the same weight. Why?
#
# - **a**: the Gaussian has spread the common colors over the whole plane;
# - **b**: beside λ / 4, p′ counts only where it is very large;
# - **c**: rare colors have become more common.

# %% tags=["exercise"]
my_lambda = ...  # a number, or a formula that uses p.max()
why = ...  # "a", "b" or "c"


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 2
def spread(x):
    table = prior.weights(color_prior.density, width, x)
    return table.max() / table.min()


exercises.check(
    my_lambda,
    lambda x: 0 <= x <= 1 and abs(spread(x) - 10) < 0.1,
    (lambda x: not 0 <= x <= 1, "λ lies between 0 and 1."),
    (lambda x: spread(x) > 10, "Too strong: a larger λ mixes in more of the uniform density."),
    otherwise="Too even: a smaller λ leaves more of p′.",
)

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 2
exercises.check(
    why,
    "b",
    ("a", "σ has not changed: p′ is the same in all these maps."),
    ("c", "How common a color is comes from the photos. λ only says how much that counts."),
    otherwise='Write "a", "b" or "c".',
)

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
q, x = np.array([0.7, 0.2, 0.1]), 0.25
raw, wrong_4, swapped = (1 / (k * q + rest) for k, rest in ((0.75, x / 3), (0.75, x / 4), (x, 0.25)))
exercises.check(
    weights_of(q, x),
    raw / (q * raw).sum(),
    (raw, "The second equation is missing: divide by Σ q v."),
    (raw / raw.mean(), "Every color counts once in your mean. A pixel's mean weight is Σ q v."),
    (raw / raw.sum(), "Your weights sum to 1. It is Σ q v that must be 1."),
    (wrong_4 / (q * wrong_4).sum(), "1 / 4 belongs to a square of area 4. Uniform is 1 / n here."),
    (swapped / (q * swapped).sum(), "λ and 1 - λ are swapped: λ belongs to the uniform part."),
    otherwise="First 1 / ((1 - λ) q + λ / n), then divide by Σ q v.",
)

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
# ## What we saw

# %%
near, gray = 100 * share[np.hypot(a, b) <= 20].sum(), 100 * share[middle, middle]
print(f"- {near:.0f} % of the training pixels lie within 20 units of gray, {gray:.0f} % in its bin.")
print(f"- λ = {settings.lambda_:g}: gray weighs {v[middle, middle]:.2f}, the rarest colors {v.max():.1f}.")
print(f"- The mean weight is 1 under the smoothed p′, {(share * v).sum():.2f} over the raw counts:")
print("  smoothing moves some of the crowd at gray outwards, where weights are higher.")
high, low = v.max() / v.min(), wrong.max() / wrong.min()
print(f"- With probabilities in place of a density, the ratio falls from {high:.0f} to {low:.1f}.")

# %% [markdown]
# - The prior is kept in `prior.npz` beside the split, with its settings and the split's checksum;
#   notebook 05 trains with it.
#
# Next: [04 – train the baseline](04_train_baseline.ipynb), with Eq. 1, in which every color weighs
# the same.
