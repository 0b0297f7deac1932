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
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/colorization-course/colorization-course/blob/main/notebooks/05_train_rebalanced.ipynb)
#
# # The same network, rebalanced colors
#
# ![Two photographs: as notebook 04's model colors them, as this notebook's does, more boldly, and as they were](https://raw.githubusercontent.com/colorization-course/colorization-course/main/.github/05.jpg)
#
# **What you will learn**
#
# - how one changed line, the [loss](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#loss),
#   makes a model dare colors: Eq. 2;
# - what the weights of Eq. 3 do to the red car of notebook 04;
# - what boldness costs, for each λ, and why a weighted loss and a plain one must never be compared.
#
# **What it needs.** Photos and their color prior, which it gets itself. A GPU in every profile but `sample`.
#
# | profile | sample | classroom | paper |
# |---|---|---|---|
# | minutes | 1, no GPU | about 12 on a T4 (estimate) | about 150 on a T4 (estimate) |

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
from colorlib import batches, colorize, evaluation, figures, lab, losses, prior, runs, sources, training
from colorlib.sources import sample

split = sources.prepare(settings)
color_prior = prior.prepare(split, settings)

# %% [markdown]
# ## 1. Common colors and rare ones
#
# *About 2 minutes.*
#
# Notebook 04 ended with a model that answers brown, because the mean of many colors is brown. The paper's remedy:
# let the errors on *common* colors count less, and those on *rare* colors more.
#
# The **[prior](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#prior)**
# (notebook 03) says how common each color is: a smoothed histogram of the training photos' a and b. Eq. 3
# turns it into one weight $v$ for each color. Here are the weights of some colors:

# %%
named = {"gray": (0, 0), "skin": (15, 20), "sky": (-5, -25)}
named |= {"grass": (-25, 35), "red": (60, 40), "blue": (10, -40)}


def v_at(a, b):
    return float(color_prior.weight_of(np.array([a, b]) / lab.AB_SCALE))


v_of = {name: v_at(*color) for name, color in named.items()}
for name, v in v_of.items():
    print(f"{name:6} a, b = {named[name]!s:10}  v = {v:6.2f}")

# %%
figures.swatches({f"{name}, v = {v_of[name]:.2f}": (60, *color) for name, color in named.items()})

# %% [markdown]
# The mean weight of a pixel is 1 (under the smoothed prior $p'$). So the weights move attention between colors; they
# do not add to it:

# %% tags=["nbval-check-output"]
area = (color_prior.bin_width / lab.AB_SCALE) ** 2
print("mean weight:", round(float((color_prior.density * color_prior.weights).sum() * area), 6))
print("gray weighs less than the mean:", v_of["gray"] < 1)
print("red weighs more than gray:", v_of["red"] > v_of["gray"])

# %% [markdown]
# ## 2. Eq. 2
#
# *About 2 minutes.*
#
# Eq. 1 with a weight in front of each pixel's error, that of the pixel's **true** color $Y$:
#
# $$L(Y, Y') = \frac{1}{2hw} \sum_{h,w} v(Y_{h,w})\, \|Y_{h,w} - Y'_{h,w}\|_2^2$$
#
# In NumPy:


# %%
def eq2(Y, Y_predicted):
    h, w = Y.shape[:2]
    v = color_prior.weight_of(Y)
    return np.sum(v * np.sum((Y - Y_predicted) ** 2, axis=-1)) / (2 * h * w)


# %% [markdown]
# `colorlib` looks the weights up inside the training graph. Does it give the same, for the answer "all gray" to the
# first validation photo? And with weights that are all 1, is it Eq. 1 again?

# %% tags=["nbval-check-output"]
L, ab = next(iter(batches.evaluation(split, "validation", settings)))
L, ab = L.numpy(), ab.numpy()
gray = np.zeros_like(ab)
rebalanced_mse = losses.RebalancedMSE(color_prior.weights, color_prior.bin_width)
in_graph = float(rebalanced_mse(ab[:1], gray[:1]))
print("the same:", bool(np.isclose(eq2(ab[0], gray[0]), in_graph, rtol=1e-3)))
flat = losses.RebalancedMSE(np.ones_like(color_prior.weights), color_prior.bin_width)
plain = keras.losses.MeanSquaredError()
agree = np.isclose(float(flat(ab, gray)), float(plain(ab, gray)), rtol=1e-4)
print("all weights 1 give Eq. 1:", bool(agree))

# %% [markdown]
# > **What the paper says, and what we do**
# >
# > - Eq. 2 takes $v$ of the true color. So do we; $v$ is looked up and never differentiated.
# > - Eq. 3 mixes $p'$ with $\lambda / 4$. That is the uniform *density* on the square from -1 to 1, so $p'$ must be
# >   a density too. Where bin probabilities are put in its place, all weights become nearly 1, and the rebalancing
# >   silently switches off (notebook 03 shows it).
# > - The paper states neither $\lambda$ nor $\sigma$. Our 0.5 and 5 are defaults of ours.
#
# ## 3. The red car again
#
# *About 3 minutes.*
#
# In notebook 04, six cars of ten were red, three green, one silver, and the best answer under Eq. 1 was their mean.
# Under Eq. 2 each car counts with its weight. For this example we fix $p'$: gray is everywhere, green is rare, and red
# is rarer still. Then Eq. 3 gives, up to a common factor that moves no minimum:

# %% tags=["nbval-check-output"]
cars = {"red": (45, 60, 45), "green": (45, -40, 40), "silver": (45, 0, 0)}
share = {"red": 0.6, "green": 0.3, "silver": 0.1}
density = {"red": 0.1, "green": 0.5, "silver": 15.0}  # p' of their colors
v_of_car = {car: 1 / ((1 - 0.5) * p + 0.5 / 4) for car, p in density.items()}  # λ = 0.5
for car, p in density.items():
    print(f"{car:6} p' = {p:4}  v = {v_of_car[car]:.2f}")


# %% tags=["nbval-check-output"]
def best_answer(weight):
    """The (a, b) with the lowest expected loss: the weighted mean of the cars' colors."""
    pull = {car: share[car] * weight[car] for car in cars}
    total = sum(pull.values())
    return tuple(round(sum(pull[car] * cars[car][i] for car in cars) / total) for i in (1, 2))


under_eq1, under_eq2 = best_answer(dict.fromkeys(cars, 1.0)), best_answer(v_of_car)
for name, answer in (("Eq. 1", under_eq1), ("Eq. 2", under_eq2)):
    print(f"{name}'s best answer {answer}, chroma {np.hypot(*answer):.1f}")

# %%
answers = {"Eq. 1's best answer": (45, *under_eq1), "Eq. 2's best answer": (45, *under_eq2)}
figures.swatches({**{f"{car}, v = {v_of_car[car]:.2f}": cars[car] for car in cars}, **answers})

# %% [markdown]
# It is still a mean, but a *weighted* one. The silver car hardly pulls at all, and so the answer moves away from gray;
# red pulls harder than green, and so it turns to red. And with the weights of *these* training photos?

# %%
here = best_answer({car: v_at(*color[1:]) for car, color in cars.items()})
more = "more vivid than" if np.hypot(*here) > np.hypot(*under_eq1) else "no more vivid than"
print(f"best answer {here}, chroma {np.hypot(*here):.1f}: {more} Eq. 1's")

# %% [markdown]
# Which way it turns depends on which color is rarest.
# [Rebalancing](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#rebalancing)
# does not know the truth better. It only prefers to be wrong in color.
#
# ## 4. Training
#
# *About 3 minutes.*
#
# Compared with notebook 04, only the loss changes. Beside it, each epoch logs the plain [MSE](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#mse).

# %%
run = training.train("rebalanced", settings, split=split, prior=color_prior)


# %%
def mean_losses(part, answer):
    """Eq. 2 and Eq. 1 of an answer, a function of L: means over at most 2,000 photos of a part."""
    sums, count = np.zeros(2), 0
    for L, ab in batches.evaluation(split, part, settings).take(2000 // settings.batch_size):
        predicted = answer(L)
        sums += len(L) * np.array([float(rebalanced_mse(ab, predicted)), float(plain(ab, predicted))])
        count += len(L)
    return sums / count


def all_gray(L):
    return np.zeros((*L.shape[:3], 2), "float32")


# %%
gray_validation = mean_losses("validation", all_gray)
curve = figures.learning_curves({"rebalanced": run.history}, "loss", {"all gray": gray_validation[0]})
figures.save(curve, "learning_curve_rebalanced", settings)
curve

# %% [markdown]
# The axis is the *weighted* loss. Its numbers are another quantity than those of notebook 04: the same gray answer
# has one value under Eq. 1 and another under Eq. 2.

# %% tags=["nbval-check-output"]
gray_train = mean_losses("train", all_gray)
differ = abs(gray_train[0] / gray_train[1] - 1) > 0.05
print("all gray under Eq. 2 and Eq. 1 are different numbers:", differ)

# %% [markdown]
# > **What the paper says, and what we do.** In the paper's Table 1 the rebalanced model has the lowest loss, 0.0057
# > against 0.0086. These are Eq. 2 and Eq. 1, two quantities, and say nothing about which model is better. We print
# > the plain MSE of every model, and compare only that.
#
# Has it learned? Then its own loss is below that of "all gray" on its training photos, in inference mode:

# %%
model = run.build_model()
own = mean_losses("train", lambda L: model(L, training=False))
print(f"Eq. 2 on the training photos: rebalanced {own[0]:.4f}, all gray {gray_train[0]:.4f}")
print(f"Eq. 1 on the training photos: rebalanced {own[1]:.4f}, all gray {gray_train[1]:.4f}")
learned = own[0] < gray_train[0]
print("It has learned from them." if learned else "It has learned nothing yet: too few steps or photos.")

# %% [markdown]
# ## 5. Both models, the same photos
#
# *About 3 minutes.*
#
# The baseline of notebook 04 beside it. (`sample` trains it now where it is missing.)

# %%
if settings.profile == "sample":
    training.train("baseline", settings, split=split)
models = {"rebalanced": model}
if runs.Run(settings, "baseline").state == "finished":
    models = {"baseline": runs.Run(settings, "baseline").build_model(), **models}
else:
    print("There is no baseline to compare with: run notebook 04 first.")

# %%
first = batches.evaluation(split, "validation", settings).take(1 + 200 // settings.batch_size)
L, ab = (np.concatenate(t)[:200] for t in zip(*first, strict=True))
pieces = np.array_split(L, -(-len(L) // 8))
answer_of = {name: np.concatenate([m(few, training=False) for few in pieces]) for name, m in models.items()}

# %% [markdown]
# The rule of notebook 04: the best, the middle and the worst of the first 200 validation photos, by the plain MSE of
# the rebalanced model.

# %%
order = np.argsort(((answer_of["rebalanced"] - ab) ** 2).mean(axis=(1, 2, 3)))
chosen = {"best": order[0], "middle": order[len(order) // 2], "worst": order[-1]}
rows = []
for i in chosen.values():
    colored = {name: evaluation.to_rgb8(L[i], answer[i]) for name, answer in answer_of.items()}
    rows.append({"given": L[i, ..., 0], **colored, "truth": evaluation.to_rgb8(L[i], ab[i])})
print(sample.credit(split.paths("validation")[i] for i in chosen.values()))
seen = figures.photo_table(rows, list(chosen))
figures.save(seen, "colored_rebalanced", settings)
seen

# %% [markdown]
# How colorful are they? *[Colorfulness](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#colorfulness)*
# (Hasler and Süsstrunk) is 0 for a gray photo and about 100
# for a very vivid one.


# %%
def colorfulness_of(answer):
    """Of each photo, (n,), where its ab are `answer`, (n, h, w, 2)."""
    pairs = zip(L, answer, strict=False)
    return np.array([evaluation.colorfulness(evaluation.to_rgb8(*pair)) for pair in pairs])


truth = colorfulness_of(ab)
colorful = {name: colorfulness_of(answer) for name, answer in answer_of.items()}
mse = {name: float(np.mean((answer - ab) ** 2)) for name, answer in answer_of.items()}
for name in models:
    print(f"{name:10} colorfulness {colorful[name].mean():5.1f}, plain MSE {mse[name]:.4f}")
print(f"truth      colorfulness {truth.mean():5.1f};   all gray {np.mean(ab**2):.4f}")

# %%
figures.colorfulness_of_photos(truth, colorful)

# %% [markdown]
# ## 6. How bold? The price of λ
#
# *About 3 minutes.*
#
# λ says how much of the uniform density is mixed into $p'$: 1 is Eq. 1 again, 0 the boldest. Must we train once for
# each? No. The colorizer in the [box](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#box)
# answers with probabilities of colors, and Eq. 2's best answer can be
# computed from these for *any* λ afterwards ([notebook 09](09_beyond_the_mean.ipynb) shows how).

# %%
box = colorize.box()
some_L, some_ab = L[:32], ab[:32]
logits = np.concatenate([box(each, training=False) for each in np.array_split(some_L, -(-len(some_L) // 8))])
counts = np.asarray(box.get_layer("head").counts)


def at(lambda_):
    """Eq. 2's best answer for this λ: ab / 128 of the first photos."""
    small = losses.color_of(logits, prior.node_weights(counts, lambda_), gamma=1)
    return np.asarray(keras.ops.image.resize(small, some_L.shape[1:3]))


# %%
def price(answer):
    """The plain MSE of an answer to the first photos, and its colorfulness over the truth's."""
    return np.mean((answer - some_ab) ** 2), colorfulness_of(answer).mean() / truth[:32].mean()


lambdas = (1, 0.8, 0.5, 0)
answer_at = {x: at(x) for x in lambdas}
price_of = {x: price(answer) for x, answer in answer_at.items()}
for x, (error, ratio) in price_of.items():
    print(f"λ = {x:3}: plain MSE {error:.4f}, {ratio:4.0%} as colorful as the truth")

# %% [markdown]
# The most colorful of these photos and the middle one:

# %%
by_color = np.argsort(truth[:32])
two = by_color[-1], by_color[len(by_color) // 2]
tiles = [evaluation.to_rgb8(some_L[i], answer_at[x][i]) for i in two for x in lambdas]
print(sample.credit(split.paths("validation")[i] for i in two))
figures.photo_row(tiles, [f"λ = {x}" for x in lambdas] * 2)

# %% [markdown]
# The same by *training*, once for each λ. Three seeds each, on 3,000 photos of MiniPlaces with MobileNet at 128
# pixels, measured by the project's [benchmarks](https://github.com/colorization-course/colorization-course/blob/main/tests/benchmarks/README.md#what-each-lever-gave-and-what-it-is-set-to):
#
# | loss | plain validation MSE | colorfulness (the photos' own: about 36) |
# |---|---|---|
# | Eq. 1 | 0.0096 | 20.2 |
# | Eq. 2, λ = 0.9 | 0.0121 ± 0.0001 | 33.4 |
# | Eq. 2, λ = 0.8 | 0.0139 ± 0.0001 | 37.8 |
# | Eq. 2, λ = 0.5 | 0.0180 ± 0.0009 | 44.3 |
#
# There λ = 0.8 is about as colorful as the photos themselves; 0.5 is more colorful than they are, and its error beyond
# Eq. 1's is twice as large. So 0.8 is the better choice for photos to look at. We keep 0.5 for this series, since it
# shows best what Eq. 2 does; for yours, take `settings.replace(lambda_=0.8)`. Does this run agree?


# %%
def step(bold, mild):
    """What a smaller λ adds to the plain MSE, and to the colorfulness, in points."""
    return price_of[bold][0] - price_of[mild][0], 100 * (price_of[bold][1] - price_of[mild][1])


steps = {"1 to 0.8": step(0.8, 1), "0.8 to 0.5": step(0.5, 0.8)}
for name, (error, points) in steps.items():
    print(f"λ from {name}: MSE {error:+.4f}, colorfulness {points:+.0f} points")
per_point = [error / points for error, points in steps.values()]
bargain = "the cheaper" if per_point[0] < per_point[1] else "not the cheaper"
print(f"For each point of color, the step to 0.8 is {bargain} one.")

# %% [markdown]
# ## Exercises
#
# *About 16 minutes.*
#
# Fill in a cell where it says `...`, run it, then run the check below it.

# %%
from notebooks.checks import lesson05

# %% [markdown]
# **Exercise 1: predict, then run.** Give the *silver* car a weight of 0, and the two others 1. Which way does the best
# answer move from Eq. 1's: towards *red*, towards *green*, or straight *away* from gray?

# %% tags=["exercise"]
prediction = ...  # "red", "green" or "away"

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 1
lesson05.exercise_1(prediction, best_answer)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# prediction = "away"
# ```
# From (24, 39) to (27, 43). The silver car lies at (0, 0). Leaving it out moves the mean away from gray, and does not
# turn it.
# </details>

# %% [markdown]
# **Exercise 2: change λ.** With which λ is the box just as colorful as the truth, on average over these photos? Try
# some with `price(at(...))`. The check shows yours in pictures.

# %% tags=["exercise"]
my_lambda = ...  # your answer, from 0 to 1

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 2
lesson05.exercise_2(my_lambda, at, price, some_L, some_ab)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# tried = np.linspace(0, 1, 21)
# my_lambda = min(tried, key=lambda x: abs(price(at(x))[1] - 1))
# ```
# As colorful as the truth *on average* does not mean that it is right: look at where the colors are.
# </details>

# %% [markdown]
# **Exercise 3: half as bold.** There is another way to be milder than Eq. 2: take $\sqrt{v}$ in place of $v$. Write
# this loss for Keras; `rebalanced_mse.weight_of(Y)` gives $v$ of each pixel, (batch, h, w). The check trains the
# rebalanced model on with it, a little, and shows what changes. Predict: will it get paler or bolder?


# %% tags=["exercise"]
def my_loss(Y, Y_predicted):
    """(batch, h, w, 2), ab / 128. Use keras.ops, not NumPy."""
    return ...  # your code here


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 3
lesson05.exercise_3(my_loss, rebalanced_mse, model, batches.evaluation(split, "train", settings), (L, ab))

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def my_loss(Y, Y_predicted):
#     v = keras.ops.sqrt(rebalanced_mse.weight_of(Y))
#     return v * keras.ops.mean((Y - Y_predicted) ** 2, axis=-1)
# ```
# Common colors have v below 1 and gain weight by the root, rare ones lose: the best answer moves back towards the mean.
# How far a few steps get, your run shows.
# </details>

# %% [markdown]
# ## What we saw
#
# *About 1 minute.*

# %%
print(f"On the training photos, Eq. 2: {own[0]:.4f},", end=" ")
print(f"{'below' if own[0] < gray_train[0] else 'not below'} all gray's {gray_train[0]:.4f}.")
if "baseline" in colorful:
    is_more = colorful["rebalanced"] > colorful["baseline"]
    more = "more colorful than" if is_more.mean() > 0.5 else "not more colorful than"
    print(f"Rebalanced is {more} the baseline: in {is_more.sum()} of {len(is_more)} validation photos.")
    costs = "higher" if mse["rebalanced"] > mse["baseline"] else "not higher"
    print(f"Its plain MSE is {costs}: {mse['rebalanced']:.4f} and {mse['baseline']:.4f}.")
side = "paler" if colorful["rebalanced"].mean() < truth.mean() else "no paler"
print(f"It is {side} than the truth: {colorful['rebalanced'].mean():.1f} and {truth.mean():.1f}.")
errors = [price_of[x][0] for x in (1, 0.8, 0.5, 0)]
order = "rises" if errors == sorted(errors) else "does not always rise"
print(f"The box's MSE {order} as λ falls; for each point of color, the step to λ = 0.8 is {bargain} one.")

# %% [markdown]
# - Eq. 2 is Eq. 1 with a weight for each pixel: large where its true color is rare.
# - The best answer is then a weighted mean: it prefers to be wrong in color. λ says how much.
# - A weighted and a plain loss are different quantities. Compare models by the plain one.
#
# **Next:** [06, another backbone](06_train_efficientnet.ipynb): EfficientNet, dropout and early stopping.
