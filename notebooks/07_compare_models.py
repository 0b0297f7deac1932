# ---
# jupyter:
#   accelerator: GPU
#   colab:
#     gpuType: T4
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/colorization-course/colorization-course/blob/main/notebooks/07_compare_models.ipynb)
#
# # Compare the models: numbers that can be trusted
#
# **What you will learn**
# - which numbers say how good a coloring is, and what each of them cannot see;
# - why every number needs another one beside it: what an answer without any learning scores, a
#   [floor](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#floor);
# - how sure a number is, and how to read the paper's Table 1.
#
# **What it needs.** Three trained models, from notebooks 04, 05 and 06. In the `sample` profile it trains the missing
# ones itself. No GPU on `sample`; elsewhere a GPU helps the models, and the measures take two CPU cores.
#
# | profile | sample | classroom | paper |
# |---|---|---|---|
# | minutes | 1 (and 4 more if nothing is trained) | about 5 (estimate) | about 35 (estimate) |

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
from dataclasses import replace

import numpy as np
from IPython.display import Markdown

from colorlib import batches, colorize, evaluation, figures, runs, sources, training
from colorlib.settings import MODELS
from colorlib.sources import sample

split = sources.prepare(settings)

# %% [markdown]
# ## The three models
#
# A model that is not trained yet is trained now on `sample`, which takes a minute or two each. In the other profiles
# training takes longer than a comparison should: there, run the notebook that is named.

# %%
for model in MODELS:
    if runs.Run(settings, model).state == "finished":
        print(f"{model:13} is trained.")
    elif settings.profile == "sample":
        training.train(model, settings, split)
    else:
        print(f"{model:13} is not trained to its end. Run notebook {colorize.NOTEBOOKS[model]} first.")

# %% [markdown]
# ## One photo, two answers
#
# We start with one photo from the test part, which no model has learned from, and with two answers that need no
# learning: leave it **gray** ($a = b = 0$ everywhere), or paint it all in **one color**, a pale brown ($a = 10$,
# $b = 15$). Each answer is an array of $(a, b)$, divided by 128, as the models give it.

# %% tags=["nbval-check-output"]
L, ab = next(iter(batches.evaluation(split, "test", settings, batch_size=1)))
L, ab = L.numpy()[0], ab.numpy()[0]
gray = np.zeros_like(ab)
one_color = np.zeros_like(ab) + [10 / 128, 15 / 128]
print("L", L.shape, " ab", ab.shape)

# %%
answers = {"gray": gray, "one color": one_color, "truth": ab}
shown = {name: evaluation.to_rgb8(L, answer) for name, answer in answers.items()}
figures.photo_table([shown], [""])

# %% [markdown]
# ### The squared error
#
# The paper trains on the [mean squared error](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#mse)
# (its Eq. 1): the mean over both channels and all pixels.


# %%
def mse(truth, answer):
    return np.mean((answer - truth) ** 2)


print(f"all gray {mse(ab, gray):.4f}, one color {mse(ab, one_color):.4f}")

# %% [markdown]
# ### The paper's "accuracy"
#
# A regression has no accuracy. Keras, asked for one, compared the index of the larger channel: is
# $a > b$ or $b > a$? We call that **[argmax agreement](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#argmax-agreement)**.
# An answer that always says the same gets a good part of it without looking.


# %%
def argmax_agreement(truth, answer):
    return np.mean(answer.argmax(axis=-1) == truth.argmax(axis=-1))


for name in ("gray", "one color"):  # b > a in the one color
    print(f"{name:10} {argmax_agreement(ab, answers[name]):.1%}")

# %% [markdown]
# ### AuC: how far off are the colors?
#
# For a threshold $t$, count the pixels whose predicted color lies within $t$ of the true one in the
# $ab$ plane. The **[AuC](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#auc)**
# is the mean of that share over $t = 0, 1 \dots 150$ (Zhang et al. 2016). In the **rebalanced** AuC
# each pixel weighs $1/p$, where $p$ is the share of pixels with its color: gray walls then weigh as
# little as they say.


# %% tags=["nbval-check-output"]
def auc(truth, answer):
    distance = 128 * np.sqrt(np.sum((answer - truth) ** 2, axis=-1))
    return np.mean([np.mean(distance <= t) for t in range(151)])


toy_truth, toy_answer = np.zeros((1, 2, 2)), np.array([[[0, 0], [30, 40]]]) / 128
print("off by 0 and by 50 ab units:", auc(toy_truth, toy_answer).round(4))
print("colorlib gives the same:    ", evaluation.within(toy_truth, toy_answer).mean().round(4))
print("and on the photo:           ", bool(np.isclose(auc(ab, gray), evaluation.within(ab, gray).mean())))

# %% [markdown]
# ### Colorfulness
#
# The squared error likes cautious, brownish colors. So we also measure how [colorful](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#colorfulness)
# a photo is (Hasler and Süsstrunk 2003): the spread and the mean of two opponent channels, red
# against green and yellow against blue.


# %% tags=["nbval-check-output"]
def colorfulness(rgb):
    r, g, b = np.moveaxis(rgb.astype(float), -1, 0)
    rg, yb = r - g, (r + g) / 2 - b
    return np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())


photo = evaluation.to_rgb8(L, ab)
theirs = evaluation.colorfulness(photo)
print("colorlib gives the same:", bool(np.isclose(colorfulness(photo), theirs, rtol=1e-4)))
print(f"one color: about {colorfulness(evaluation.to_rgb8(L, one_color)):.0f}")

# %% [markdown]
# > **What the paper says, and what we do**
# >
# > - It calls its second number *accuracy* (0.75 for its new model). That is the argmax agreement above. We print it
# >   under that name, with what trivial answers score beside it.
# > - It puts all losses into one table, although *BaseLine (3)* minimizes a weighted loss, another quantity. We print
# >   those, and compare the plain MSE only.
# > - Its photos, gray, predicted and true side by side, are chosen by no stated rule. Ours are: see below.
# > - All other measures are ours: they let you compare with other papers.
#
# ### Three more
#
# - [PSNR](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#psnr)
#   is a squared error, too: that of red, green and blue, as a logarithm, in dB. More is better.
# - [SSIM](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#ssim)
#   compares small neighborhoods: 1 where they are the same. It looks at structure, which is nearly all in $L$; so even
#   a gray answer scores high.
# - **ΔE00** is the distance of two colors as an eye sees it: about 1 can just be noticed. Less is better.

# %%
two = {"all gray": gray, "one color": one_color}
sums = evaluation.score(L, ab, list(two.values()), weights=np.ones(evaluation.SIDE**2))[0]
for name, row in zip(two, sums, strict=True):
    values = dict(zip(evaluation.MEASURES, row, strict=True))
    shown = [f"{values[measure]:.2f}" for measure in ("psnr", "ssim", "delta_e")]
    print("{:10} PSNR {} dB, SSIM {}, ΔE00 {}".format(name, *shown))

# %% [markdown]
# ## Table 1
#
# Now all models on all test photos. The **box** is the colorizer that comes with the project, twice: as it comes, and
# the *mean* of its colors (notebook [09](09_beyond_the_mean.ipynb)). Four answers need no training of a network:
#
# - **all gray**, as above, and **mean color**: one color for all, the mean of the training photos;
# - **best per lightness**: for each lightness, the mean color that the training photos have there;
# - **truth at 1/4 chroma**: the true colors at a quarter of the resolution. It cheats: no head that predicts colors at
#   a quarter of the size can be better than about this.

# %%
table = evaluation.table1(settings, split)
Markdown(table.markdown)

# %% [markdown]
# ### What explains the first table

# %%
of_gray = table.scores.value("all gray", "argmax_agreement")
print(f"- Accuracy is argmax agreement. All gray scores {of_gray:.1f} %, always b > a {100 - of_gray:.1f} %.")
print(f"- On the {100 * table.scores.neutral:.1f} % of pixels with R = G = B it is rounding noise.")
if weighted := table.ours.get("rebalanced"):
    print(f"- BaseLine (3) minimizes a weighted loss, another quantity: {weighted['Val Loss']:.4f}.")
    print(f"  Its plain MSE on the same photos is {weighted['plain val MSE']:.4f}.")
    if plain := table.ours.get("baseline"):
        print(f"  That of the baseline is {plain['plain val MSE']:.4f}.")

# %%
if {"baseline", "efficientnet"} <= set(table.ours):
    old, new = table.ours["baseline"], table.ours["efficientnet"]
    rows = ("Execution (hours)", "epochs", "seconds an epoch")
    hours, epochs, pace = (old[row] / new[row] for row in rows)
    print(f"- Hours are epochs times their length. The baseline took {hours:.2f} times as long")
    print(f"  as the new model: {epochs:.2f} times the epochs, each {pace:.2f} times as long.")
    paper = evaluation.PAPER["Execution (hours)"]
    print(f"  In the paper it took {paper['baseline'] / paper['efficientnet']:.2f} times as long,")
    print("  exactly 10:3, as 10 epochs against 3 of one length would. It does not state its epochs.")

# %% [markdown]
# ### How to read the second
#
# The mean color and the best constant per lightness were learned from training photos. In the rebalanced AuC, every
# color that occurs on these photos weighs the same, even that of a single pixel. PSNR stops at 58.9 dB, the error of
# rounding to 8 bits.

# %%
for model in table.scores.models:
    unbeaten = {}
    for name, measure in evaluation.MEASURES.items():
        for rival in table.scores.unbeaten(model, name):
            unbeaten.setdefault(rival, []).append(measure.heading)
    print(f"{model} does not beat" if unbeaten else f"{model} beats all trivial answers in all measures.")
    for rival, headings in unbeaten.items():
        print(f"- {rival} in {', '.join(headings)}")

# %% [markdown]
# A model that carries a † fails to beat a trivial answer: the 95 % interval of the difference reaches 0. Twenty test
# photos, as `sample` has, leave wide intervals, so expect some marks: that is what they are for.
#
# ### How sure is a number?
#
# Other photos would give other numbers. The **bootstrap** asks how other: draw as many photos again from those we
# have, with replacement, and compute the number anew; do that a thousand times; the middle 95 % of the results is the
# interval. For two models we draw the *same* photos for both (paired): a hard photo is hard for both.

# %%
rng = np.random.default_rng(settings.seed)
errors = table.scores.per_photo("all gray", "mse")
draws = [errors[rng.integers(len(errors), size=len(errors))].mean() for _ in range(1000)]
low, high = np.percentile(draws, [2.5, 97.5])
print(f"all gray, MSE {errors.mean():.4f}; 95 % interval {low:.4f} to {high:.4f}")

# %% tags=["nbval-check-output"]
theirs = table.scores.interval("all gray", "mse")
print("colorlib gives the same:", bool(np.allclose((low, high), theirs, rtol=1e-6)))
print("test photos:", len(errors), " measures:", len(evaluation.MEASURES))

# %% [markdown]
# ## What the training looked like
#
# By epoch, and by the clock: an architecture that learns more in an epoch is no gain if its epochs take longer. The
# curves show the plain MSE of all three, so that they can be compared. The ring is the epoch with the lowest validation
# loss, whose weights are kept.

# %%
figure = figures.learning_curves({name: runs.Run(settings, name).history for name in table.ours})
figures.save(figure, "loss_curves", settings)
figure

# %% [markdown]
# ## Typical photos, and the extremes
#
# No hand-picked pictures: we sort the photos by the squared error of the model with the lowest one, and show those at
# the 5th, 50th and 95th percentile, then its best and its worst.

# %%
best = min(table.answers, key=lambda name: table.scores.value(name, "mse"))
error_of = table.scores.per_photo(best, "mse")
by_error = np.argsort(error_of, kind="stable")
print(f"Sorted by the squared error of {best}.")


# %%
def colored(answers, indices):
    few = replace(split, test=tuple(split.test[i] for i in indices))
    L, ab = next(iter(batches.evaluation(few, "test", settings, batch_size=len(indices))))
    colors = {"gray": 0 * ab, **{name: answer(L, ab) for name, answer in answers.items()}, "truth": ab}
    shown = {name: evaluation.to_rgb8(L, each) for name, each in colors.items()}
    return [{name: photos[i] for name, photos in shown.items()} for i in range(len(indices))]


# %%
chosen = [by_error[round(p * (len(by_error) - 1))] for p in (0.05, 0.5, 0.95)]
few = {name: answer for name, answer in table.answers.items() if name != "box, mean"}
pictures = colored(few, chosen)
places = ["5th percentile", "median", "95th percentile"]
labels = [f"{at}\nMSE {error_of[i]:.4f}" for at, i in zip(places, chosen, strict=True)]
figure = figures.photo_table(pictures, labels)
print(sample.credit(split.paths("test")[i] for i in chosen))
figures.save(figure, "triptychs", settings)
figure

# %%
chosen = by_error[[0, -1]]
pictures = colored({best: table.answers[best]}, chosen)
labels = [f"{at}\nMSE {error_of[i]:.4f}" for at, i in zip(("best", "worst"), chosen, strict=True)]
figure = figures.photo_table(pictures, labels)
print(sample.credit(split.paths("test")[i] for i in chosen))
figures.save(figure, "best_and_worst", settings)
figure

# %% [markdown]
# ## Which colors go wrong?
#
# The error by the true color, over the $ab$ plane. The middle, neutral gray, is easy: every model stays near it. The
# farther out the true color, the larger the error. A mean over all pixels hides that. White: no pixel of the test
# photos has that color.

# %%
planes = dict(zip(table.scores.answers, table.scores.plane, strict=True))
errors = {name: np.sqrt(planes[name]) for name in table.answers}
figure = figures.ab_planes(errors, evaluation.BIN, "error, ab units", logarithmic=False)
figures.save(figure, "error_over_ab", settings)
figure

# %% [markdown]
# ## Too pale, or too bold?

# %%
predicted = {name: table.scores.per_photo(name, "colorfulness") for name in table.answers}
truth = predicted[best] - table.scores.per_photo(best, "colorfulness_difference")
figure = figures.colorfulness_of_photos(truth, predicted)
figures.save(figure, "colorfulness", settings)
figure

# %% [markdown]
# A point is a photo. Below the line, photos come out paler than they were. That is no bug: where a color cannot be
# known, the mean of all that are possible has the smallest squared error, and the mean of many colors is nearly gray.
#
# ## Exercises
#
# Fill in a cell where it says `...`, run it, then run the check below it.

# %%
from colorlib.course import exercises

# %% [markdown]
# **Exercise 1: predict, then run.** Make an answer that always says $b > a$, whatever the photo. Predict its argmax
# agreement before you run the check.

# %% tags=["exercise"]
always_b = ...  # an array like `gray` in which the second channel is larger everywhere

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 1
exercises.check(
    always_b,
    lambda x: np.shape(x) == ab.shape and bool((x[..., 1] > x[..., 0]).all()),
    (lambda x: np.shape(x) != ab.shape, "It should be an array like `gray`: a pair for each pixel."),
    (lambda x: (x[..., 1] == x[..., 0]).all(), "a and b are equal: then argmax takes the first one, a."),
    (lambda x: (x[..., 1] < x[..., 0]).all(), "Here a is larger: channel 0 is a, channel 1 is b."),
    otherwise="b must be larger than a in *every* pixel.",
)
if always_b is not ...:
    print(f"argmax agreement {argmax_agreement(ab, np.asarray(always_b)):.1%}")

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# always_b = gray + [0, 0.1]
# ```
# It agrees wherever the true $b$ is larger, however far off its colors are.
# </details>

# %% [markdown]
# **Exercise 2: break a measure.** Colorfulness needs the *sign* of its two opponent channels. Write it with their
# absolute values instead. The check tries it on stripes of red, green and blue.


# %% tags=["exercise"]
def unsigned(rgb):
    """Colorfulness of rgb, (h, w, 3), with |rg| and |yb| in place of rg and yb."""
    return ...  # your code here


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 2
stripes = np.zeros((9, 9, 3), np.uint8)
stripes[::3, :, 0], stripes[1::3, :, 1], stripes[2::3, :, 2] = 200, 100, 200
exercises.check(
    unsigned(stripes),
    148.8,
    (colorfulness(stripes), "Unchanged: `np.abs` comes before `std` and `mean`."),
    (185.0, "Right for rg; yb needs `np.abs` as well."),
    (175.8, "Right for yb; rg needs `np.abs` as well."),
    otherwise="Start from `colorfulness` above; take `np.abs` of rg and of yb.",
    tolerance=0.1,
)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def unsigned(rgb):
#     r, g, b = np.moveaxis(rgb.astype(float), -1, 0)
#     rg, yb = np.abs(r - g), np.abs((r + g) / 2 - b)
#     return np.hypot(rg.std(), yb.std()) + 0.3 * np.hypot(rg.mean(), yb.mean())
# ```
# Red and green then lie on the same side of gray, and so do yellow and blue: much of the spread is gone.
# </details>

# %% [markdown]
# **Exercise 3: predict, then run.** PSNR is $10 \log_{10}(1 / \text{MSE})$, with the MSE over red, green and blue in
# $[0, 1]$. A model halves its MSE. How many dB does its PSNR gain?

# %% tags=["exercise"]
my_gain = ...  # your answer, in dB

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 3
exercises.check(
    my_gain,
    10 * np.log10(1 / 0.005) - 10 * np.log10(1 / 0.01),
    (2, "PSNR is a logarithm: a *factor* in the error becomes a *sum* in dB."),
    (20 * np.log10(2), "That is for half the error itself, so a quarter of its square."),
    (10 * np.log(2), "The logarithm is that of base 10."),
    (np.log10(2), "The 10 in front of the logarithm is missing."),
    otherwise="Take the difference of two PSNR, say for MSE 0.01 and 0.005.",
    tolerance=0.02,
)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# my_gain = 10 * np.log10(2)
# ```
# About 3.0 dB, whatever the MSE was before.
# </details>

# %% [markdown]
# ## What we saw

# %%
for name in (*table.answers, "all gray", "mean color"):
    error, agreement = (table.scores.value(name, m) for m in ("mse", "argmax_agreement"))
    failed = ", ".join(table.scores.unbeaten(name, "mse"))
    print(f"{name:13} MSE {error:.4f}, argmax agreement {agreement:.0f} %", end="")
    print(f"; not better than: {failed or 'none'}")

# %% [markdown]
# A number means something beside the number of a trivial answer, with an interval, and on photos that served nothing
# else. **Next:** [08_colorize_your_photos](08_colorize_your_photos.ipynb) puts your own photos into color.
