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
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/colorization-course/colorization-course/blob/main/notebooks/04_train_baseline.ipynb)
#
# # The baseline: a ladder on a frozen VGG-16
#
# **What you will learn**
#
# - how a network that was made to name things is turned into one that colors: [taps](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#tap)
#   and a [ladder](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#ladder);
# - what the paper's [loss](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#loss),
#   Eq. 1, measures, and why it makes an honest model paint a red car brown;
# - how a training is watched: curves, the best epoch, and what an answer without learning scores.
#
# **What it needs.** Photos, which it gets itself. A GPU in every profile but `sample`.
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
from colorlib import batches, evaluation, figures, lab, models, runs, sources, training
from colorlib.sources import sample

split = sources.prepare(settings)

# %% [markdown]
# ## 1. The question
#
# A photograph's lightness L is given, a number for every pixel. Asked for are the two numbers a and
# b that make it a color. (Notebook 02 tells what L, a and b are.) The network sees L / 100 and
# answers ab / 128, so that all numbers are small: L / 100 lies in [0, 1], ab / 128 in [-1, 1].

# %% tags=["nbval-check-output"]
L, ab = next(iter(batches.evaluation(split, "validation", settings)))
L, ab = L.numpy(), ab.numpy()
print("given:", L.shape[1:], L.dtype, " asked for:", ab.shape[1:], ab.dtype)

# %% [markdown]
# A single gray pixel does not tell its color. Gray grass and a gray wall can be equally light. One
# has to see *what is there*: texture first, then things. Networks that name the things in a photo
# have learned to see both. So we borrow one.
#
# ## 2. The backbone and its taps
#
# **VGG-16** was trained on ImageNet's 1.2 million photographs to name 1,000 kinds of things. We
# leave out its last layers, which say the names, and **[freeze](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#frozen)**
# the others: their weights never change. Such a borrowed network is called a *[backbone](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#backbone)*;
# learning on top of it, *[transfer learning](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#transfer-learning)*.
#
# Layer by layer, its image gets smaller and its channels get more: from many pixels that know
# little to few that know much. At five depths we tap it: the last layer before each halving.

# %%
network = runs.build("baseline", settings)
if settings.weights == "none":
    print("Random weights, as you asked: this backbone has never seen a photo.")
figures.tap_maps(network, L[:1])

# %% tags=["nbval-check-output"]
backbone = network.get_layer("backbone")
all_of_it, trained = len(backbone.variables), len(backbone.trainable_variables)
print("variables of the backbone:", all_of_it, " to be trained:", trained)
features = backbone(np.zeros((1, settings.image_size, settings.image_size, 3), "float32"))
for name, tap in zip(models.taps(settings.backbone), features, strict=True):
    print(f"{name:14} {tap.shape[1]:3} x {tap.shape[2]:3} pixels, {tap.shape[3]:3} channels")

# %% [markdown]
# The pictures above show each tap's mean over its channels. Fine edges are at the left, with no
# idea of what they belong to; at the right is a coarse map of where something is. A good color
# needs both: *sky* from the right, and from the left *where exactly the sky ends*.
#
# ## 3. The ladder
#
# So we climb back. The deepest tap goes through a 1×1 convolution, which only changes its number of
# channels. Then, [rung](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#rung)
# by rung: enlarge two times, **add** the next tap, and let a 3×3 convolution mix the two. *BN* is
# [batch normalization](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#batch-normalization),
# which brings each channel to a common scale, *ReLU* sets negative numbers to 0. The **[head](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#head)**
# at the end is a convolution to two channels, a and b; its tanh keeps them in [-1, 1].

# %%
drawing = figures.ladder(network)
figures.save(drawing, "ladder_baseline", settings)
drawing

# %% [markdown]
# The drawing is made from the model itself, not by hand. This is the paper's full-size model:

# %% tags=["nbval-check-output"]
paper_model = models.build_colorizer("vgg16", None, image_size=224)
print(paper_model.input_shape, "->", paper_model.output_shape)
trained = sum(int(np.prod(v.shape)) for v in paper_model.trainable_variables)
frozen = sum(int(np.prod(v.shape)) for v in paper_model.get_layer("backbone").variables)
print(f"trained {trained:,}, frozen {frozen:,} numbers")

# %% [markdown]
# > **What the paper says, and what we do**
# >
# > - It takes its baseline from Dahl, whose *residual encoder* we read from its public ports: the
# >   five taps above and the ladder. The paper itself prints no layers.
# > - It feeds L into a network made for RGB, and does not say how. We repeat L over three channels
# >   and then do, inside the model, what VGG-16 is used to: numbers from 0 to 255, blue first, less
# >   ImageNet's mean color.
# > - *3×3 Conv2D, Batch Normalization and ReLU, in that order*: so we do, the convolution without
# >   bias.
# > - Its Eq. 1 (below) is the plain mean over both channels and all pixels: what Keras calls the
# >   mean squared error.
# > - *Early stopping*, and *repetitive training via history*: the validation loss decides when to
# >   stop, the best weights come back, and an interrupted training goes on from its own past.
# > - The head stands at full size in the paper. In `classroom` it stands at
# >   [half size](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#head-stride),
# >   in `sample` at a quarter, and its ab are enlarged: the drawing shows which. An eye sees color less
# >   sharply than light, and the sharp edges are in L anyway.
# > - The paper flips and rotates its photos. `sample`, which has only about a hundred, cuts windows out
# >   of them at random instead of rotating: that is ours.
#
# What is VGG-16 fed for black, middle gray and white?

# %% tags=["nbval-check-output"]
fed = keras.Model(paper_model.input, paper_model.get_layer("prepared").output)
image = np.zeros((1, 224, 224, 1), "float32")
image[0, 0, :3, 0] = 0, 0.5, 1
for name, pixel in zip(("black", "gray", "white"), fed(image).numpy()[0, 0], strict=False):
    print(f"{name:6}", np.round(pixel, 1))

# %% [markdown]
# ## 4. Eq. 1, and a red car
#
# The paper's first loss compares the prediction $Y'$ with the truth $Y$, pixel by pixel:
#
# $$L(Y, Y') = \frac{1}{2hw} \sum_{h,w} \|Y_{h,w} - Y'_{h,w}\|_2^2$$
#
# where $h$ and $w$ are the photo's height and width, and $\|\cdot\|^2$ is the sum of the squares of
# the two differences, in a and in b. In NumPy:


# %%
def eq1(Y, Y_predicted):
    h, w = Y.shape[:2]
    return np.sum((Y - Y_predicted) ** 2) / (2 * h * w)


# %% [markdown]
# That is the plain mean over pixels and channels, Keras' *[mean squared error](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#mse)*
# (MSE). Do the two agree, on the answer "all gray" (a = b = 0) for the first validation photo?

# %% tags=["nbval-check-output"]
gray = np.zeros_like(ab)
by_keras = float(keras.losses.MeanSquaredError()(ab[:1], gray[:1]))
print("the same:", bool(np.isclose(eq1(ab[0], gray[0]), by_keras, rtol=1e-4)))

# %% [markdown]
# Now a car. In gray photos, red cars, green cars and silver cars can look alike. Let the truth be
# *red* in 6 photos of 10, *green* in 3 and *silver* in 1. The network sees the same gray car each
# time, so it can give but one answer. Which one has the lowest Eq. 1?

# %%
cars = {"red": (45, 60, 45), "green": (45, -40, 40), "silver": (45, 0, 0)}
share = {"red": 0.6, "green": 0.3, "silver": 0.1}


def expected_loss(a, b):
    """Eq. 1 of the answer (a, b), averaged over the cars, in units of ab / 128."""
    squares = {c: (a - cars[c][1]) ** 2 + (b - cars[c][2]) ** 2 for c in cars}
    return sum(share[c] * squares[c] for c in cars) / 2 / lab.AB_SCALE**2


grid_a, grid_b = np.meshgrid(np.arange(-20, 81), np.arange(-60, 61), indexing="ij")
loss = expected_loss(grid_a, grid_b)
best = np.unravel_index(loss.argmin(), loss.shape)
best_a, best_b = int(grid_a[best]), int(grid_b[best])

# %% tags=["nbval-check-output"]
mean_a, mean_b = (round(sum(share[c] * cars[c][i] for c in cars), 1) for i in (1, 2))
print("lowest loss at a, b =", (best_a, best_b), "  the mean of the cars:", (mean_a, mean_b))

# %%
named = {f"{car}: {share[car]:.0%}": color for car, color in cars.items()}
figures.swatches({**named, "Eq. 1's best answer": (45, best_a, best_b)})

# %% [markdown]
# The lowest loss is at the **mean**, a dull brown that no car has. This is not a failure of the
# network: it is what Eq. 1 asks for. Squares punish a large mistake more than many small ones, so
# that in doubt the best answer lies in the middle, and the middle of all colors is nearly gray.
#
# That is why models trained on Eq. 1 give brown and gray photos, and why notebook 05 changes the
# loss and nothing else.
#
# ## 5. Training
#
# `training.train` calls Keras' own `fit`. After each [epoch](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#epoch)
# (each photo seen once) it looks at the [validation](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#validation)
# photos, which the model does not learn from. Where their loss has not improved for some epochs it
# stops (*[early stopping](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#early-stopping)*)
# and brings back the weights of the best epoch. Now and then it writes a [checkpoint](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#checkpoint):
# interrupted, it goes on from there; finished, it trains nothing. How far one step corrects the
# weights, the [learning rate](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#learning-rate),
# falls to 0 over the epochs.

# %%
run = training.train("baseline", settings, split=split)

# %% [markdown]
# `history.csv`, in the [run](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#run)'s
# folder, is one row an epoch. The dotted line, a [floor](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#floor),
# is what "all gray" scores on the validation photos: an answer that needs no network. A model has
# to stay below it to have learned anything that holds for photos it has not seen.


# %%
def mean_loss(part, answer):
    """Eq. 1 of an answer, a function of L: the mean over a part's photos, at most 2,000 of them."""
    each = []
    for L, ab in batches.evaluation(split, part, settings).take(2000 // settings.batch_size):
        each.extend(np.mean((answer(L) - ab) ** 2, axis=(1, 2, 3)))
    return float(np.mean(each))


def all_gray(L):
    return np.zeros((*L.shape[:3], 2), "float32")


# %%
gray_validation = mean_loss("validation", all_gray)
curve = figures.learning_curves({"baseline": run.history}, "loss", {"all gray": gray_validation})
figures.save(curve, "learning_curve_baseline", settings)
curve

# %% [markdown]
# Three things to read off:
#
# - The training loss falls on. The validation loss need not: where it rises while the other falls,
#   the network learns its training photos by heart (it *[overfits](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#overfitting)*).
#   The ring marks the epoch whose weights are kept.
# - In training mode, batch normalization uses the statistics of the batch at hand, and the photos
#   are changed at random (flipped, and rotated or cut); in inference mode neither is so. The two
#   curves are not quite the same quantity.
# - A validation loss above the dotted line says: on new photos, gray would have been better.
#
# How much of it holds for new photos? Compare with its **training** photos, in
# [inference mode](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#inference-mode):

# %%
model = run.build_model()
own = mean_loss("train", lambda L: model(L, training=False))
floor = mean_loss("train", all_gray)
print(f"on the training photos: baseline {own:.4f}, all gray {floor:.4f}")
print("It has learned from them." if own < floor else "It has learned nothing yet: too few steps or photos.")

# %% [markdown]
# ## 6. What it paints
#
# The rule for choosing photos: those at the 0th, 50th and 100th percentile of the MSE, that is
# the best, the middle and the worst one. Never the ones we like. First from the training photos:


# %%
def table(part):
    first = batches.evaluation(split, part, settings).take(1 + 200 // settings.batch_size)
    L, ab = (np.concatenate(t)[:200] for t in zip(*first, strict=True))
    answer = np.concatenate([model.predict_on_batch(few) for few in np.array_split(L, -(-len(L) // 8))])
    order = np.argsort(((answer - ab) ** 2).mean(axis=(1, 2, 3)))
    chosen = {"best": order[0], "middle": order[len(order) // 2], "worst": order[-1]}
    rows = []
    for i in chosen.values():
        predicted, truth = evaluation.to_rgb8(L[i], answer[i]), evaluation.to_rgb8(L[i], ab[i])
        rows.append({"given": L[i, ..., 0], "predicted": predicted, "truth": truth})
    print(sample.credit(split.paths(part)[i] for i in chosen.values()))
    return figures.photo_table(rows, list(chosen))


table("train")

# %% [markdown]
# And from the validation photos:

# %%
seen = table("validation")
figures.save(seen, "colored_baseline", settings)
seen

# %% [markdown]
# ## Exercises
#
# Fill in a cell where it says `...`, run it, then run the check below it.

# %%
from colorlib.course import exercises

# %% [markdown]
# **Exercise 1: predict, then run.** How many weights has the ladder's lowest rung in the paper's model, a 1×1
# convolution from 512 channels to 512, without bias? And the rung above it: 3×3, from 512 channels to 256? The check
# asks the model.

# %% tags=["exercise"]
lowest = ...  # your answers: numbers, or products
above = ...

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 1
kernels = [paper_model.get_layer(f"rung{i}_conv").kernel for i in (0, 1)]
exercises.check(
    [lowest, above],
    [int(np.prod(kernel.shape)) for kernel in kernels],
    ([512 * 512 + 512, 9 * 512 * 256 + 256], "These are with a bias for each channel. Here is none."),
    (lambda n: n[0] in (512, 1024), "Each of the 512 channels out has a weight for each of the 512 in."),
    (lambda n: n[1] == 512 * 256, "A 3×3 kernel has 9 weights for each pair of channels, not 1."),
    (lambda n: n[1] == 3 * 512 * 256, "3×3 are 9 places, not 3."),
    otherwise="k × k from m to n channels: each pair of channels has k · k weights.",
)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# lowest = 512 * 512
# above = 3 * 3 * 512 * 256
# ```
# A kernel of size k × k from m to n channels has k · k · m · n weights.
# </details>

# %% [markdown]
# **Exercise 2: another loss.** The mean *absolute* error replaces each square by an absolute value. Write the expected
# absolute error of every answer (`grid_a`, `grid_b`) to the cars. Predict first: which color is best now?

# %% tags=["exercise"]
my_loss = ...  # a table like `loss`


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 2
def lands(table):
    at = np.unravel_index(np.argmin(table), grid_a.shape)
    return int(grid_a[at]), int(grid_b[at])


exercises.check(
    my_loss,
    lambda table: np.shape(table) == grid_a.shape and lands(table) == (60, 45),
    (lambda table: np.shape(table) != grid_a.shape, "One number for every answer: a table like `loss`."),
    (lambda table: lands(table) == (best_a, best_b), "It is still best at the mean: are the squares gone?"),
    (lambda table: lands(table) == (0, 40), "All cars count the same here: `share` is missing."),
    otherwise="Sum, over the cars, share · (|a - a of the car| + |b - b of the car|).",
)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# my_loss = sum(share[c] * (abs(grid_a - cars[c][1]) + abs(grid_b - cars[c][2])) for c in cars)
# ```
# It is best at (60, 45), red itself. Absolute values are lowest at the *median* of each channel. Where more than half
# of the cars are red, that is red, however green the others are: the majority wins, and nothing is mixed.
# </details>

# %% [markdown]
# **Exercise 3: predict, then run.** VGG-16 halves its image four times on the way to its deepest tap. Which of the
# sizes 64, 100, 128 and 224 does its ladder refuse? Try `models.build_colorizer("vgg16", None, size)`.

# %% tags=["exercise"]
refused = ...  # a list of sizes

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 3
exercises.check(
    refused,
    lambda sizes: sorted(np.ravel(sizes)) == [size for size in (64, 100, 128, 224) if size % 16],
    (lambda sizes: 100 not in np.ravel(sizes), "Halve 100 four times: 50, 25, 12.5 …"),
    otherwise="64, 128 and 224 are multiples of 16: halved four times, they stay whole.",
)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# refused = [100]
# ```
# 100 is no multiple of 16, so that an enlarged rung and its tap would differ in size. The error says which sizes are
# near.
# </details>

# %% [markdown]
# ## What we saw

# %%
best_row = run.history[run.best_epoch - 1]
print(f"{len(run.history)} epochs, the best is {run.best_epoch}: validation loss {best_row['val_loss']:.4f}")
print(f"(all gray there: {gray_validation:.4f}); on the training photos {own:.4f} against {floor:.4f}.")
print(f"{sum(row['seconds'] for row in run.history):.0f} seconds of training.")

# %% [markdown]
# - A frozen backbone sees; a ladder of taps climbs back to full size; a head of two channels paints.
# - Eq. 1 is the mean squared error. In doubt, its best answer is the mean color, brown or gray.
# - A loss means something only beside what an answer without learning scores on the same photos.
#
# **Next:** [05, the same network with another loss](05_train_rebalanced.ipynb), which dares colors.
