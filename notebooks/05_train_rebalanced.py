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
# - how one changed line, the loss, makes a model dare colors: Eq. 2;
# - what the weights of Eq. 3 do to the red car of notebook 04;
# - why a weighted loss and a plain one must never be compared.
#
# **What it needs** Photos and their color prior, which it gets itself. A GPU in every profile but `sample`.
#
# | profile | sample | classroom | paper |
# |---|---|---|---|
# | minutes | 1, no GPU | about 12 on a T4 (estimate) | about 150 on a T4 (estimate) |

# %% cellView="form"
# @title Setup (run this first)
PROFILE = "auto"  # @param ["auto", "sample", "classroom", "paper"]
DATA = ""  # @param {type: "string"}
USE_DRIVE = True  # @param {type: "boolean"}
import os, subprocess, sys  # noqa: E401

url = "https://github.com/colorization-course/colorization-course"
root = next((f for f in ("..", ".") if os.path.exists(f"{f}/colorlib/colab.py")), url.split("/")[-1])
copy = f"/content/drive/MyDrive/{root}"  # taken in place of GitHub's where Drive is mounted and holds one
fetch = ["cp", "-r", copy] if os.path.exists(f"{copy}/colorlib") else ["git", "clone", "--depth=1", url]
if not os.path.exists(f"{root}/colorlib"):
    subprocess.run([*fetch, root], check=True)
sys.path.insert(0, os.path.abspath(root))
from colorlib import colab

settings = colab.start(PROFILE, DATA, USE_DRIVE)

# %%
import keras
import numpy as np
from colorlib import batches, datasets, figures, lab, losses, prior, scores, training

split = datasets.prepare(settings)
color_prior = prior.prepare(split, settings)

# %% [markdown]
# ## 1. Common colors and rare ones
#
# Notebook 04 ended with a model that answers brown, because the mean of many colors is brown. The paper's remedy:
# let the errors on *common* colors count less, and those on *rare* colors more.
#
# How common a color is, stands in the **prior** (notebook 03): a histogram of the training photos' a and b, smoothed.
# Eq. 3 makes of it one weight $v$ for each color. Here are the weights of some colors:

# %%
named = {"gray": (0, 0), "skin": (15, 20), "sky": (-5, -25), "grass": (-25, 35), "red": (60, 40), "blue": (10, -40)}
v_of = {name: float(color_prior.weight_of(np.array(color) / lab.AB_SCALE)) for name, color in named.items()}
for name, weight in v_of.items():
    print(f"{name:6} a, b = {named[name]!s:10}  v = {weight:6.2f}")

# %%
figures.swatches({f"{name}, v = {v_of[name]:.2f}": (60, *color) for name, color in named.items()})

# %% [markdown]
# The mean weight of a pixel is 1 (under the smoothed prior $p'$). So the weights move attention between colors; they
# do not add to it:

# %% tags=["nbval-check-output"]
area = (color_prior.bin_width / lab.AB_SCALE) ** 2
print("mean weight:", round(float((color_prior.density * color_prior.weights).sum() * area), 6))
print("gray weighs less than the mean:", v_of["gray"] < 1, "  red more than gray:", v_of["red"] > v_of["gray"])

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
print("the same:", bool(np.isclose(eq2(ab[0], gray[0]), float(rebalanced_mse(ab[:1], gray[:1])), rtol=1e-3)))
flat = losses.RebalancedMSE(np.ones_like(color_prior.weights), color_prior.bin_width)
plain = keras.losses.MeanSquaredError()
print("all weights 1 give Eq. 1:", bool(np.isclose(float(flat(ab, gray)), float(plain(ab, gray)), rtol=1e-4)))

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
# In notebook 04, six cars of ten were red, three blue, one white, and the best answer under Eq. 1 was their mean.
# Under Eq. 2 each car counts with its weight. What is the best answer now?

# %%
cars = {"red": (45, 60, 40), "blue": (45, 10, -40), "white": (45, 0, 0)}
share = {"red": 0.6, "blue": 0.3, "white": 0.1}


def best_answer(weight):
    """The (a, b) with the lowest expected loss: the weighted mean of the cars' colors."""
    total = sum(share[car] * weight[car] for car in cars)
    return tuple(round(float(sum(share[c] * weight[c] * cars[c][i] for c in cars) / total)) for i in (1, 2))


v_of_car = {car: float(color_prior.weight_of(np.array(cars[car][1:]) / lab.AB_SCALE)) for car in cars}
under_eq1, under_eq2 = best_answer(dict.fromkeys(cars, 1.0)), best_answer(v_of_car)
print("Eq. 1's best answer", under_eq1, "  Eq. 2's", under_eq2)

# %%
answers = {"Eq. 1's best answer": (45, *under_eq1), "Eq. 2's best answer": (45, *under_eq2)}
figures.swatches({**{f"{car}, v = {v_of_car[car]:.2f}": cars[car] for car in cars}, **answers})

# %% [markdown]
# It is still a mean, but a *weighted* one: cars of rare colors pull harder, the white one hardly pulls at all. Which
# way the answer moves depends on which of the colors is rarest in *these* training photos. Rebalancing does not know
# the truth better. It only prefers to be wrong in color.
#
# ## 4. Training
#
# Nothing changes against notebook 04 but the loss. Beside it, each epoch logs the plain MSE.

# %%
run = training.train("rebalanced", settings, split=split, prior=color_prior)


# %%
def mean_losses(part, answer):
    """Eq. 2 and Eq. 1 of an answer, a function of L: the means over at most 2,000 photos of a part."""
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
curve = figures.learning_curve(run.history, floors={"all gray, validation": gray_validation[0]})
figures.save(curve, "learning_curve_rebalanced", settings)
curve

# %% [markdown]
# The axis is the *weighted* loss. Its numbers are another quantity than those of notebook 04: the same gray answer
# has one value under Eq. 1 and another under Eq. 2.

# %% tags=["nbval-check-output"]
gray_train = mean_losses("train", all_gray)
print("all gray under Eq. 2 and Eq. 1 are different numbers:", abs(gray_train[0] / gray_train[1] - 1) > 0.05)

# %% [markdown]
# > **What the paper says, and what we do.** In the paper's Table 1 the rebalanced model has the lowest loss, 0.0057
# > against 0.0086. These are Eq. 2 and Eq. 1, two quantities, and say nothing about which model is better. We print
# > the plain MSE of every model, and compare only that.
#
# Has it learned? On its training photos, in inference mode, its own loss must be below that of "all gray":

# %%
model = run.build_model()
own = mean_losses("train", lambda L: model(L, training=False))
print(f"Eq. 2 on the training photos: rebalanced {own[0]:.4f}, all gray {gray_train[0]:.4f}")
print(f"Eq. 1 on the training photos: rebalanced {own[1]:.4f}, all gray {gray_train[1]:.4f}")
assert own[0] < gray_train[0], "the rebalanced model has learned nothing: look at the curves"

# %% [markdown]
# ## 5. What it paints
#
# The same rule as in notebook 04: the best, the middle and the worst of the first 200 validation photos, by plain MSE.

# %%
first = batches.evaluation(split, "validation", settings).take(1 + 200 // settings.batch_size)
L, ab = (np.concatenate(t)[:200] for t in zip(*first, strict=True))
answer = np.concatenate([model.predict_on_batch(few) for few in np.array_split(L, 25)])
order = np.argsort(((answer - ab) ** 2).mean(axis=(1, 2, 3)))
chosen = {"best": order[0], "middle": order[len(order) // 2], "worst": order[-1]}
rows = [
    {"given": L[i, ..., 0], "predicted": scores.to_rgb8(L[i], answer[i]), "truth": scores.to_rgb8(L[i], ab[i])}
    for i in chosen.values()
]
seen = figures.photo_table(rows, list(chosen))
figures.save(seen, "colored_rebalanced", settings)
seen

# %% [markdown]
# How colorful is it? *Colorfulness* (Hasler and Süsstrunk) is 0 for a gray photo and about 100 for a very vivid one.

# %%
colorful = np.mean([scores.colorfulness(scores.to_rgb8(*pair)) for pair in zip(L, answer, strict=True)])
truth = np.mean([scores.colorfulness(scores.to_rgb8(*pair)) for pair in zip(L, ab, strict=True)])
print(f"colorfulness on validation photos: predicted {colorful:.1f}, true {truth:.1f}")

# %% [markdown]
# ## 6. Exercises
#
# **Exercise 1.** A color has the smoothed density $p' = 4$, and $\lambda = 0.5$. By what factor does a color with
# $p' = 0$ weigh more than this one? (Eq. 3; the normalization cancels.)

# %% tags=["nbval-check-output"]
factor = ...  # your answer, a number

right = (0.5 * 4 + 0.5 / 4) / (0.5 / 4)
print("not yet" if factor is ... else "right" if abs(factor - right) < 0.01 else "try again: write both as 1 / (…)")

# %% [markdown]
# <details><summary>Solution</summary>
#
# `factor = (0.5 * 4 + 0.5 / 4) / (0.5 / 4)`, which is 17. With $\lambda = 0.5$ no color can weigh more than
# $1 + 4 p'$ times as much as another.
# </details>
#
# **Exercise 2.** With which $\lambda$ is Eq. 2 exactly Eq. 1? Set it, and the cell compares.

# %% tags=["nbval-check-output"]
my_lambda = ...  # your answer, in [0, 1]

if my_lambda is ...:
    print("not yet")
else:
    v = prior.weights(color_prior.density, color_prior.bin_width, my_lambda)
    print("right" if np.allclose(v, 1) else f"try again: the weights go from {v.min():.2f} to {v.max():.2f}")

# %% [markdown]
# <details><summary>Solution</summary>
#
# `my_lambda = 1`: only the uniform density is left, and every color is equally rare.
# </details>
#
# **Exercise 3.** Give the *white* car a weight of 0 and the others 1. Predict the best answer before you run it: does
# it move towards red, towards blue, or straight away from gray?

# %% tags=["nbval-check-output"]
my_weights = {"red": 1.0, "blue": 1.0, "white": 1.0}  # change one number

moved = best_answer(my_weights)
print("not yet" if moved == under_eq1 else "right" if my_weights["white"] == 0 else "try again", moved)

# %% [markdown]
# <details><summary>Solution</summary>
#
# `my_weights = {"red": 1.0, "blue": 1.0, "white": 0.0}` gives (43, 13) in place of (39, 12): straight away from gray.
# Leaving out a color at (0, 0) scales the mean up, and turns it nowhere.
# </details>
#
# ## What we saw

# %%
print(
    f"Best epoch {run.best_epoch} of {len(run.history)}. On the training photos, Eq. 2: {own[0]:.4f}, "
    f"all gray {gray_train[0]:.4f}."
)
print(f"The price in plain MSE, Eq. 1: {own[1]:.4f}, all gray {gray_train[1]:.4f}.")
print(f"Colorfulness {colorful:.1f}, the truth's {truth:.1f}.")

# %% [markdown]
# - Eq. 2 is Eq. 1 with a weight for each pixel: large where its true color is rare.
# - The best answer is then a weighted mean: more colorful, and more often wrong.
# - A weighted and a plain loss are different quantities. Compare models by the plain one.
#
# **Next:** [06, another backbone](06_train_efficientnet.ipynb): EfficientNet, dropout and early stopping.
