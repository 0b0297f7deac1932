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
# **What you will learn**
#
# - how one changed line, the [loss](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#loss),
#   makes a model dare colors: Eq. 2;
# - what the weights of Eq. 3 do to the red car of notebook 04;
# - why a weighted loss and a plain one must never be compared.
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
from colorlib import batches, evaluation, figures, lab, losses, prior, sources, training
from colorlib.sources import sample

split = sources.prepare(settings)
color_prior = prior.prepare(split, settings)

# %% [markdown]
# ## 1. Common colors and rare ones
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
# In notebook 04, six cars of ten were red, three green, one silver, and the best answer under Eq. 1 was their mean.
# Under Eq. 2 each car counts with its weight. What is the best answer now?

# %%
cars = {"red": (45, 60, 45), "green": (45, -40, 40), "silver": (45, 0, 0)}
share = {"red": 0.6, "green": 0.3, "silver": 0.1}


def best_answer(weight):
    """The (a, b) with the lowest expected loss: the weighted mean of the cars' colors."""
    pull = {car: share[car] * weight[car] for car in cars}
    total = sum(pull.values())
    return tuple(round(sum(pull[car] * cars[car][i] for car in cars) / total) for i in (1, 2))


v_of_car = {car: v_at(*color[1:]) for car, color in cars.items()}
under_eq1, under_eq2 = best_answer(dict.fromkeys(cars, 1.0)), best_answer(v_of_car)
print("Eq. 1's best answer", under_eq1, "  Eq. 2's", under_eq2)

# %%
answers = {"Eq. 1's best answer": (45, *under_eq1), "Eq. 2's best answer": (45, *under_eq2)}
figures.swatches({**{f"{car}, v = {v_of_car[car]:.2f}": cars[car] for car in cars}, **answers})

# %% [markdown]
# It is still a mean, but a *weighted* one: cars of rare colors pull harder, the silver one hardly pulls at all. Which
# way the answer moves depends on which of the colors is rarest in *these* training photos.
# [Rebalancing](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#rebalancing)
# does not know the truth better. It only prefers to be wrong in color.
#
# ## 4. Training
#
# Nothing changes against notebook 04 but the loss. Beside it, each epoch logs the plain [MSE](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#mse).

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
# ## 5. What it paints
#
# The same rule as in notebook 04: the best, the middle and the worst of the first 200 validation photos, by plain MSE.

# %%
first = batches.evaluation(split, "validation", settings).take(1 + 200 // settings.batch_size)
L, ab = (np.concatenate(t)[:200] for t in zip(*first, strict=True))
answer = np.concatenate([model.predict_on_batch(few) for few in np.array_split(L, -(-len(L) // 8))])
order = np.argsort(((answer - ab) ** 2).mean(axis=(1, 2, 3)))
chosen = {"best": order[0], "middle": order[len(order) // 2], "worst": order[-1]}
rows = []
for i in chosen.values():
    predicted, truth = evaluation.to_rgb8(L[i], answer[i]), evaluation.to_rgb8(L[i], ab[i])
    rows.append({"given": L[i, ..., 0], "predicted": predicted, "truth": truth})
print(sample.credit(split.paths("validation")[i] for i in chosen.values()))
seen = figures.photo_table(rows, list(chosen))
figures.save(seen, "colored_rebalanced", settings)
seen

# %% [markdown]
# How colorful is it? *[Colorfulness](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#colorfulness)*
# (Hasler and Süsstrunk) is 0 for a gray photo and about 100 for a very vivid one.


# %%
def mean_colorfulness(answer):
    pairs = zip(L, answer, strict=True)
    return np.mean([evaluation.colorfulness(evaluation.to_rgb8(*pair)) for pair in pairs])


colorful, truth = mean_colorfulness(answer), mean_colorfulness(ab)
print(f"colorfulness on validation photos: predicted {colorful:.1f}, true {truth:.1f}")

# %% [markdown]
# ## Exercises
#
# Fill in a cell where it says `...`, run it, then run the check below it.

# %%
from colorlib.course import exercises

# %% [markdown]
# **Exercise 1: predict, then run.** Give the *silver* car a weight of 0, and the two others 1. Which way does the best
# answer move from Eq. 1's: towards *red*, towards *green*, or straight *away* from gray?

# %% tags=["exercise"]
prediction = ...  # "red", "green" or "away"

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 1
moved = best_answer({"red": 1, "green": 1, "silver": 0})
exercises.check(
    prediction,
    "away",
    (lambda way: way in ("red", "green"), "There are still two red cars for a green one: neither gains."),
    otherwise='Write "red", "green" or "away".',
)
if prediction is not ...:
    print("from", under_eq1, "to", moved)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# prediction = "away"
# ```
# From (24, 39) to (27, 43). The silver car lies at (0, 0). To leave it out makes the mean longer, and turns it nowhere.
# </details>

# %% [markdown]
# **Exercise 2: change λ.** With which λ is Eq. 2 exactly Eq. 1?

# %% tags=["exercise"]
my_lambda = ...  # your answer, from 0 to 1

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 2
width = color_prior.bin_width
exercises.check(
    my_lambda,
    lambda x: 0 <= x <= 1 and np.allclose(prior.weights(color_prior.density, width, x), 1),
    (0, "That is the other end: v = 1 / p′, the strongest rebalancing."),
    (0.25, "1 / 4 is the uniform density. λ says how much of it is mixed in."),
    (lambda x: not 0 <= x <= 1, "λ lies between 0 and 1."),
    otherwise="All weights must be equal. Which λ takes p′ out of Eq. 3?",
)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# my_lambda = 1
# ```
# Only the uniform density is left, and every color is equally rare.
# </details>

# %% [markdown]
# **Exercise 3: write a wrong Eq. 2.** A colleague looks the weight up at the *predicted* color $Y'$ in place of the
# true one. Write this loss. Then think: which answer would a model learn from it?


# %% tags=["exercise"]
def colleagues_eq2(Y, Y_predicted):
    """Eq. 2 with v of the predicted color."""
    return ...  # your code here


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 3
pale = ab[0] / 2  # an answer: the right hues, half as vivid
error = np.sum((ab[0] - pale) ** 2, axis=-1)
wanted = np.mean(color_prior.weight_of(pale) * error) / 2
exercises.check(
    colleagues_eq2(ab[0], pale),
    wanted,
    (eq2(ab[0], pale), "This is Eq. 2 itself: its weights are those of the true color."),
    (2 * wanted, "Twice too large: the mean goes over both channels, so divide by 2hw."),
    (np.mean(error) / 2, "This is Eq. 1: the weights are missing."),
    otherwise="Start from `eq2` above, and change one name.",
    tolerance=1e-9,
)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def colleagues_eq2(Y, Y_predicted):
#     h, w = Y.shape[:2]
#     v = color_prior.weight_of(Y_predicted)
#     return np.sum(v * np.sum((Y - Y_predicted) ** 2, axis=-1)) / (2 * h * w)
# ```
# It pulls every answer towards gray: gray has the smallest weight, so that an error costs least where the answer is
# gray, whatever the truth. With the weight of the *true* color, no answer can make its own errors cheap.
# </details>

# %% [markdown]
# ## What we saw

# %%
print(f"Best epoch {run.best_epoch} of {len(run.history)}.")
print(f"On the training photos, Eq. 2: {own[0]:.4f}, all gray {gray_train[0]:.4f}.")
print(f"The price in plain MSE, Eq. 1: {own[1]:.4f}, all gray {gray_train[1]:.4f}.")
print(f"Colorfulness {colorful:.1f}, the truth's {truth:.1f}.")

# %% [markdown]
# - Eq. 2 is Eq. 1 with a weight for each pixel: large where its true color is rare.
# - The best answer is then a weighted mean: more colorful, and more often wrong.
# - A weighted and a plain loss are different quantities. Compare models by the plain one.
#
# **Next:** [06, another backbone](06_train_efficientnet.ipynb): EfficientNet, dropout and early stopping.
