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
# ![One photo six times: in gray, as four models color it, and as it was](https://raw.githubusercontent.com/colorization-course/colorization-course/main/.github/07.jpg)
#
# **What you will learn**
# - which numbers say how good a coloring is, and what each of them cannot see;
# - why every number needs another one beside it: what an answer without any learning scores, a
#   [floor](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#floor);
# - how sure a number is, and which claims of the paper hold in your own run.
#
# **What it needs.** Three trained models, from notebooks 04, 05 and 06. In the `sample` profile it trains the missing
# ones itself. No GPU on `sample`; elsewhere a GPU helps the models, and the measures take two CPU cores.
#
# | profile | sample | classroom | paper |
# |---|---|---|---|
# | minutes | 1 (and 2 more if nothing is trained) | about 5 (estimate) | about 35 (estimate) |

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
from IPython.display import Markdown, display

from colorlib import batches, colorize, evaluation, figures, runs, sources, training
from colorlib.sources import photos, sample

split = sources.prepare(settings)

# %% [markdown]
# ## The three models
#
# *About 1 minute.*
#
# On `sample`, a model that is not trained yet is trained now. In the other profiles that takes longer than a comparison
# should: run the notebook that is named.

# %%
for model in evaluation.PAPER_NAMES:
    if runs.Run(settings, model).state == "finished":
        print(f"{model:13} is trained.")
    elif settings.profile == "sample":
        training.train(model, settings, split)
    else:
        print(f"{model:13} is not trained to its end. Run notebook {colorize.NOTEBOOKS[model]} first.")

# %% [markdown]
# ## In one look
#
# *About 2 minutes.*
#
# All models color all test photos, which none of them has learned from. Three measures say how well:
#
# - **[MSE](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#mse)**,
#   the paper's squared error: how far off are the colors? Lower is better.
# - **Rebalanced [AuC](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#auc)**:
#   how near are they, if a rare color counts as much as a common one? Higher is better.
# - **[Colorfulness](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#colorfulness)**:
#   how vivid is the photo? The truth's (dotted) is best.
#
# The **[box](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#box)**
# is the colorizer that comes with the project, and *box, mean* is its most cautious answer
# ([09](09_beyond_the_mean.ipynb)). Hollow: answers that learned nothing but a mean. The bars are 95 % intervals.

# %%
table = evaluation.table1(settings, split)

# %%
names = [*table.answers, *table.scores.trivial]
headings = {"mse": "MSE: lower is better", "rebalanced_auc": "rebalanced AuC (%): higher"}
headings["colorfulness"] = "colorfulness: as the truth's"
measured = {
    heading: {name: (table.scores.value(name, m), *table.scores.interval(name, m)) for name in names}
    for m, heading in headings.items()
}
colorful, too_much = (table.scores.value(names[0], m) for m in ("colorfulness", "colorfulness_difference"))
wanted = {headings["colorfulness"]: colorful - too_much}
figure = figures.intervals(measured, table.scores.trivial, wanted)
figures.save(figure, "in_one_look", settings)
figure

# %% [markdown]
# ## Typical photos, and the extremes
#
# *About 2 minutes.*
#
# Nobody picked these by hand. From each of the three classes with the most test photos comes one: at the 25th
# percentile of its class by the error of the best model, at the median, at the 75th. Photos that are nearly black, in
# which all models look alike, are passed over. (The extremes are further down.)

# %%
best = min(table.answers, key=lambda name: table.scores.value(name, "mse"))
error_of = table.scores.per_photo(best, "mse")
paths, label_of = split.paths("test"), np.array([photo.label for photo in split.test])
classes, counts = np.unique(label_of, return_counts=True)
largest = classes[np.argsort(-counts, kind="stable")[:3]]


def bright_enough(i):
    return np.mean(photos.read_whole(paths[i]).image.convert("L")) > 50  # of 255


chosen = {}
for name, percentile in zip(largest, (0.25, 0.5, 0.75), strict=False):
    members = [i for i in np.argsort(error_of, kind="stable") if label_of[i] == name and bright_enough(i)]
    chosen[f"{name or 'photos'}, {percentile:.0%}"] = members[round(percentile * (len(members) - 1))]


# %%
def colored(answers, indices):
    """Photos of the test part: gray, in the colors of each answer, and true. A dictionary for each photo."""
    few = replace(split, test=tuple(split.test[i] for i in indices))
    L, ab = next(iter(batches.evaluation(few, "test", settings, batch_size=len(indices))))
    colors = {"gray": 0 * ab, **{name: answer(L, ab) for name, answer in answers.items()}, "truth": ab}
    shown = {name: evaluation.to_rgb8(L, each) for name, each in colors.items()}
    return [{name: rgb[i] for name, rgb in shown.items()} for i in range(len(indices))]


# %%
few = {name: answer for name, answer in table.answers.items() if name != "box, mean"}
for (place, i), pictures in zip(chosen.items(), colored(few, [*chosen.values()]), strict=True):
    print(f"{place} of its class: MSE {error_of[i]:.4f} ({best}). {sample.credit([paths[i]])}".strip())
    figure = figures.photo_row([*pictures.values()], [*pictures], columns=3)
    figures.save(figure, f"photo_{place.split(',')[0]}", settings)
    display(figure)

# %% [markdown]
# ## The verdict
#
# *About 2 minutes.*
#
# The paper's claims, and what your run says to each. Two models are compared on the *same* photos (paired): a hard
# photo is hard for both. If the 95 % interval of the difference reaches 0, these photos do not settle the matter.

# %%
claims = {  # the paper's: a model has more (1) or less (-1) of a measure than the baseline
    "the new model has a lower loss": ("efficientnet", "mse", -1),
    "the new model agrees more": ("efficientnet", "argmax_agreement", 1),
    "the new model is more colorful": ("efficientnet", "colorfulness", 1),
    "rebalancing is more colorful": ("rebalanced", "colorfulness", 1),
    "rebalancing scores a worse MSE": ("rebalanced", "mse", 1),
}

# %%
leads = {
    claim: np.sort(sign * np.array(table.scores.difference(model, "baseline", measure)))
    for claim, (model, measure, sign) in claims.items()
    if {model, "baseline"} <= set(table.ours)
}
for claim, (low, lead, high) in leads.items():
    verdict = "held" if low > 0 else "the contrary" if high < 0 else "not settled"
    print(f"{claim[0].upper() + claim[1:]}: {verdict}.")
    unit = evaluation.MEASURES[claims[claim][1]].heading
    print(f"    {unit}: {lead:+.2g} the way it is claimed, 95 % interval {low:+.2g} to {high:+.2g}")

# %%
hours_ratio = 0
if {"baseline", "efficientnet"} <= set(table.ours):
    old, new = table.ours["baseline"], table.ours["efficientnet"]
    for row in ("Val Loss", "Val Accuracy"):
        said = " against ".join(f"{evaluation.PAPER[row][name]:.4f}" for name in ("efficientnet", "baseline"))
        print(f"{row}: {new[row]:.4f} against {old[row]:.4f}; in the paper {said}.")
    rows = ("Execution (hours)", "epochs", "seconds an epoch")
    hours_ratio, epochs, pace = (old[row] / new[row] for row in rows)
    print(f"The baseline took {hours_ratio:.2f} times as long as the new model, measured once:")
    print(f"{epochs:.2f} times the epochs, each {pace:.2f} times as long.")
    paper = evaluation.PAPER["Execution (hours)"]
    of_paper = paper["baseline"] / paper["efficientnet"]
    print(f"In the paper it took {of_paper:.2f} times as long: exactly 10 to 3.")

# %% [markdown]
# And which models fail to beat an answer that learns nothing, in these three measures?

# %%
three = ("mse", "rebalanced_auc", "colorfulness_difference")
unbeaten = {
    name: sorted({rival for measure in three for rival in table.scores.unbeaten(name, measure)})
    for name in table.answers
}
for name, rivals in unbeaten.items():
    print(f"{name:13} fails to beat: {', '.join(rivals) or 'none'}")

# %% [markdown]
# ## With 34,000 photos
#
# *About 2 minutes.*
#
# Twenty photos leave wide intervals. The project's
# [benchmarks](https://github.com/colorization-course/colorization-course/blob/main/tests/benchmarks/README.md#the-papers-comparison)
# made the comparison once with 34,000 photos of Places2 at 128 pixels: VGG-16, the same rebalanced, and
# EfficientNet-Lite0, five epochs each, and scored it on 1,000 others:
#
# | on 1,000 test photos | efficientnet | baseline | rebalanced | all gray | mean color |
# |---|---|---|---|---|---|
# | plain MSE, less is better | 0.0088 | 0.0089 | 0.0167 | 0.0125 | 0.0115 |
# | PSNR (dB) | 25.0 | 24.7 | 21.1 | 24.8 | 24.0 |
# | rebalanced AuC (%) | 61.6 | 61.3 | 65.4 | 58.1 | 58.5 |
# | argmax agreement (%) | 68.4 | 67.8 | 61.6 | 36.6 | 63.4 |
# | colorfulness (the truth's is 36.1) | 20.4 | 21.1 | 45.3 | 0.1 | 5.8 |
#
# - *The new model has the lower loss*: holds. Its MSE less the baseline's on the test photos: -0.000151 (95 %
#   interval -0.00029 to -8.03e-06).
# - *It agrees more*: holds. Argmax agreement: +0.617 points (95 % interval +0.179 to +1.13).
# - *It takes less time*: holds. At equal epochs 0.26 of the baseline's time; planned for one epoch, it reached the
#   baseline's best validation MSE in 0.042 of it.
# - *It is more colorful*: the contrary. Colorfulness: -0.75 (95 % interval -1.04 to -0.446).
# - *Rebalancing is more colorful*: holds. Colorfulness: +24.2 (95 % interval +23.8 to +24.6); rebalanced AuC: +4.2
#   points (95 % interval +2.72 to +5.37).
# - *Rebalancing scores a worse MSE*: holds. MSE: +0.00774 (95 % interval +0.00721 to +0.0083).
#
# That is the comparison. **All that follows, up to the exercises, is optional**: how each number comes about, and what
# it cannot see.
#
# ## One photo, two answers
#
# *Optional reading, but run the cells: later ones need them. About 4 minutes.*
#
# Take one test photo, and two answers that need no learning: leave it **gray** ($a = b = 0$ everywhere), or paint it
# all in **one color**, a pale brown ($a = 10$, $b = 15$). An answer is an array of $(a, b)$, divided by 128.

# %% tags=["nbval-check-output"]
L, ab = next(iter(batches.evaluation(split, "test", settings, batch_size=1)))
L, ab = L.numpy()[0], ab.numpy()[0]
gray = np.zeros_like(ab)
one_color = np.zeros_like(ab) + [10 / 128, 15 / 128]
print("L", L.shape, " ab", ab.shape)

# %%
answers = {"gray": gray, "one color": one_color, "truth": ab}
figures.photo_row([evaluation.to_rgb8(L, answer) for answer in answers.values()], [*answers])

# %% [markdown]
# ### The squared error
#
# The paper's Eq. 1: the mean over both channels and all pixels.


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
of_gray = table.scores.value("all gray", "argmax_agreement")
print(f"On all test photos: all gray {of_gray:.1f} %, always b > a {100 - of_gray:.1f} %.")

# %% [markdown]
# ### AuC: how far off are the colors?
#
# For a threshold $t$, count the pixels whose predicted color lies within $t$ of the true one in the $ab$ plane. The AuC
# is the mean of that share over $t = 0, 1 \dots 150$ (Zhang et al. 2016). In the *rebalanced* AuC each pixel weighs
# $1/p$, where $p$ is the share of pixels with its color: all the gray walls together weigh no more than one rare red.


# %% tags=["nbval-check-output"]
def auc(truth, answer):
    distance = 128 * np.sqrt(np.sum((answer - truth) ** 2, axis=-1))
    return np.mean([np.mean(distance <= t) for t in range(151)])


toy_truth, toy_answer = np.zeros((1, 2, 2)), np.array([[[0, 0], [30, 40]]]) / 128
print("off by 0 and by 50 ab units:", auc(toy_truth, toy_answer).round(4))
print("colorlib gives the same:    ", evaluation.within(toy_truth, toy_answer).mean().round(4))
print("and on the photo:           ", bool(np.isclose(auc(ab, gray), evaluation.within(ab, gray).mean())))

# %% [markdown]
# ### Colorfulness, by hand
#
# Hasler and Süsstrunk (2003) add the spread and the mean of two opponent channels, red against green and yellow against
# blue.


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
# ## Table 1
#
# *Optional reading, but run the cells: later ones need them. About 4 minutes.*
#
# All measures. Three more are in it:
#
# - [PSNR](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#psnr):
#   the squared error of red, green and blue, as a logarithm, in dB. More is better.
# - [SSIM](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#ssim):
#   compares small neighborhoods. It looks at structure, which is nearly all in $L$; so even gray scores high.
# - **ΔE00**: the distance of two colors as an eye sees it. Less is better.
#
# And so are four answers that need no training of a network: **all gray**; **mean color**, that of the training photos;
# **best per lightness**, the mean color that they have at each lightness; and **truth at 1/4 chroma**, which cheats. No
# head that predicts colors at a quarter of the size can be much better than that.

# %%
Markdown(table.markdown)

# %%
neutral = table.scores.neutral
print(f"On the {100 * neutral:.1f} % of pixels with R = G = B, argmax agreement is rounding noise.")
if weighted := table.ours.get("rebalanced"):
    print(f"BaseLine (3) minimizes a weighted loss, another quantity: {weighted['Val Loss']:.4f}.")
    print(f"Its plain MSE on the same validation photos is {weighted['plain val MSE']:.4f}.")
    if plain := table.ours.get("baseline"):
        print(f"That of the baseline is {plain['plain val MSE']:.4f}.")

# %% [markdown]
# A model with a † fails to beat a trivial answer. Twenty photos, as `sample` has, leave wide intervals, so expect some.
#
# > **What the paper says, and what we do**
# >
# > - It calls its second number *accuracy* (0.75 for its new model). That is the argmax agreement. We print it under
# >   that name, with what trivial answers score beside it.
# > - It puts all losses into one table, although *BaseLine (3)* minimizes another quantity. We compare the plain MSE.
# > - It does not state its epochs. Its hours stand exactly as 10 to 3, as would 10 epochs against 3 of one length.
# > - Its photos are chosen by no stated rule. Ours are, and all other measures are ours, too.
#
# ### How sure is a number?
#
# Other photos would give other numbers. The **bootstrap** asks how other: draw as many photos again from those we have,
# with replacement, and compute the number anew; do that a thousand times. The middle 95 % of the results is the
# interval.

# %%
rng = np.random.default_rng(settings.seed)
errors = table.scores.per_photo("all gray", "mse")
resampled = [errors[rng.integers(len(errors), size=len(errors))].mean() for _ in range(1000)]
low, high = np.percentile(resampled, [2.5, 97.5])
print(f"all gray, MSE {errors.mean():.4f}; 95 % interval {low:.4f} to {high:.4f}")

# %% tags=["nbval-check-output"]
theirs = table.scores.interval("all gray", "mse")
print("colorlib gives the same:", bool(np.allclose((low, high), theirs, rtol=1e-6)))
print("test photos:", len(errors), " measures:", len(evaluation.MEASURES))

# %% [markdown]
# ## What the training looked like
#
# *Optional reading, but run the cells: later ones need them. About 1 minute.*
#
# By epoch, and by the clock: the plain MSE of all three. The ring is the epoch with the lowest validation loss, whose
# weights are kept.

# %%
figure = figures.learning_curves({name: runs.Run(settings, name).history for name in table.ours})
figures.save(figure, "loss_curves", settings)
figure

# %% [markdown]
# ## The extremes
#
# *Optional reading, but run the cells: later ones need them. About 1 minute.*
#
# Of all test photos, the one with the lowest error of the best model, and the one with the highest.

# %%
by_error = np.argsort(error_of, kind="stable")[[0, -1]]
pictures = colored({best: table.answers[best]}, by_error)
print(f"MSE {error_of.min():.4f} and {error_of.max():.4f} ({best}).")
print(sample.credit(paths[i] for i in by_error))
figure = figures.photo_table(pictures, ["best", "worst"])
figures.save(figure, "best_and_worst", settings)
figure

# %% [markdown]
# ## Which colors go wrong?
#
# *Optional reading, but run the cells: later ones need them. About 1 minute.*
#
# The error by the true color, over the $ab$ plane. Near the middle, neutral gray, it is hard to be far off; farther out
# it is easy. A mean over all pixels hides that, since most pixels lie in the middle. White: no test photo has that
# color.

# %%
planes = dict(zip(table.scores.answers, table.scores.plane, strict=True))
errors_by_color = {name: np.sqrt(planes[name]) for name in table.answers}
figure = figures.ab_planes(errors_by_color, evaluation.BIN, "error, ab units", logarithmic=False)
figures.save(figure, "error_over_ab", settings)
figure

# %% [markdown]
# ## Exercises
#
# *About 16 minutes.*
#
# Fill in a cell where it says `...`, run it, then run the check below it.

# %% [markdown]
# **Exercise 1: predict, then run.** Change an answer: take the *true* colors of a photo, and multiply them by 0.5 (too
# pale) or by 1.5 (too bold). Which has the larger MSE, `"pale"` or `"bold"`, or is it the `"same"`? The check
# paints both.

# %% tags=["exercise"]
prediction = ...  # "pale", "bold" or "same"

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 1
from notebooks.checks import lesson07

lesson07.exercise_1(prediction, L, ab)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# prediction = "same"
# ```
# Each color is off by half of itself, inwards or outwards. The squared error cannot tell pale from bold; colorfulness
# can.
# </details>

# %% [markdown]
# **Exercise 2: mend a measure.** Where a color is nearly gray, argmax agreement is a matter of luck. Write one that
# counts only the pixels whose *true* chroma, the length of $(a, b)$, is at least 10 ab units. The check shows which
# pixels these are.


# %% tags=["exercise"]
def mended(truth, answer):
    """Argmax agreement over the pixels with a true chroma of at least 10. Both: ab / 128, (..., 2)."""
    return ...  # your code here


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 2
from notebooks.checks import lesson07

lesson07.exercise_2(mended, L, ab)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def mended(truth, answer):
#     colored = 128 * np.linalg.norm(truth, axis=-1) >= 10
#     return np.mean((answer.argmax(-1) == truth.argmax(-1))[colored])
# ```
# What always says $b > a$ still gets its part. A better measure would look at the hue, and not at one bit of it.
# </details>

# %% [markdown]
# **Exercise 3: the same photos for both.** Two models' errors on the same photos, and a thousand draws of photos: write
# the *paired* 95 % interval of the difference of their means.


# %% tags=["exercise"]
def paired(one, other, draws):
    """Low and high end for mean(one) - mean(other). one, other: (photos,); draws: (1000, photos), indices."""
    return ...  # your code here


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 3
from notebooks.checks import lesson07

lesson07.exercise_3(paired)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def paired(one, other, draws):
#     return np.percentile((one - other)[draws].mean(axis=1), [2.5, 97.5])
# ```
# What makes a photo hard for both cancels out. That is why a paired interval can settle what two wide ones cannot.
# </details>

# %% [markdown]
# ## What we saw
#
# *About 1 minute.*

# %%
held = [claim for claim, (low, _, _) in leads.items() if low > 0]
contrary = [claim for claim, (_, _, high) in leads.items() if high < 0]
unsettled = [claim for claim in leads if claim not in held + contrary]
for found, of_them in (("Held", held), ("The contrary", contrary), ("Not settled", unsettled)):
    print(f"{found}: {'; '.join(of_them) or 'none of the claims'}.")
if hours_ratio:
    less = "less" if hours_ratio > 1 else "no less"
    print(f"The new model took {less} time: the baseline's hours are {hours_ratio:.2f} times its own.")
beaten = [name for name, rivals in unbeaten.items() if rivals]
print(f"Not better than an answer without learning, in one of three measures: {', '.join(beaten) or 'none'}.")

# %% [markdown]
# A number means something beside the number of a trivial answer, with an interval, and on photos that served nothing
# else. **Next:** [08_colorize_your_photos](08_colorize_your_photos.ipynb) puts your own photos into color.
