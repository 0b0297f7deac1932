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
# ![Two photographs: in gray, as this notebook's model colors them, in a few pale colors, and as they were](https://raw.githubusercontent.com/colorization-course/colorization-course/main/.github/04.jpg)
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
# | minutes | 2, no GPU | about 12 on a T4 (estimate) | about 150 on a T4 (estimate) |

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
import time
import keras
import numpy as np
from keras import layers
from colorlib import batches, colorize, evaluation, figures, lab, models, runs, sources, training
from colorlib.sources import photos, sample

split = sources.prepare(settings)

# %% [markdown]
# ## 1. The question
#
# *About 2 minutes.*
#
# A photograph's lightness L is given, a number for every pixel. We want the two numbers, a and b, that turn it into a
# color. (Notebook 02 tells what L, a and b are.) The network sees L / 100 and answers ab / 128, so that all numbers
# are small: L / 100 lies in [0, 1], ab / 128 in [-1, 1].

# %% tags=["nbval-check-output"]
L, ab = next(iter(batches.evaluation(split, "validation", settings)))
L, ab = L.numpy(), ab.numpy()
print("given:", L.shape[1:], L.dtype, " asked for:", ab.shape[1:], ab.dtype)

# %% [markdown]
# We shall watch one photo all the way: the most colorful one among the first validation photos, which no model of ours
# learns from.

# %%
pairs = zip(L, ab, strict=True)
watched = int(np.argmax([evaluation.colorfulness(evaluation.to_rgb8(*pair)) for pair in pairs]))
photo = photos.read_whole(split.paths("validation")[watched])
print(sample.credit(split.paths("validation")[watched : watched + 1]))
figures.photo_row([photo.image.convert("L"), photo.image], ["given", "the truth"], 2, size=3.6)

# %% [markdown]
# A single gray pixel does not tell its color. Gray grass and a gray wall can be equally light. One has to see *what is
# there*: texture first, then things. Networks that name the things in a photo have learned to see both. So we borrow
# one.
#
# ## 2. The backbone and its taps
#
# *About 3 minutes.*
#
# **VGG-16** was trained on ImageNet's 1.2 million photographs to name 1,000 kinds of things. We leave out its last
# layers, which say the names, and **[freeze](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#frozen)**
# the others: their weights never change. Such a borrowed
# network is called a *[backbone](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#backbone)*;
# learning on top of it,
# *[transfer learning](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#transfer-learning)*.
#
# From block to block the image shrinks, and the number of channels grows up to 512: many pixels that each know little
# become a few that each know a lot. We tap it at five depths, each time at the last layer before the image is halved.
# Here is what each tap makes of the photo, as the mean over its channels; white is strong:

# %%
network = runs.build("baseline", settings)
one = slice(watched, watched + 1)
taught = "random weights" if settings.weights == "none" else "trained on ImageNet"
figures.tap_maps(network, L[one], f"{settings.backbone}, {taught}")

# %% [markdown]
# The same network with *random* weights, which has never seen a photo:

# %%
figures.tap_maps(runs.build("baseline", settings.replace(weights="none")), L[one], "random weights")

# %% [markdown]
# The first tap has fine edges, with no idea of what they belong to; the last is a coarse map. A good color needs both:
# *sky* from the last, and from the first *where exactly the sky ends*. Random weights give maps as well, some of them
# neat: a mean over hundreds of channels shows where a network answers, not what it knows. Section 6
# tests what that knowledge is worth.

# %% tags=["nbval-check-output"]
frozen = network.get_layer("backbone")
print("variables of the backbone:", len(frozen.variables), " to be trained:", len(frozen.trainable_variables))
features = frozen(np.zeros((1, settings.image_size, settings.image_size, 3), "float32"))
for name, tap in zip(models.taps(settings.backbone), features, strict=True):
    print(f"{name:14} {tap.shape[1]:3} x {tap.shape[2]:3} pixels, {tap.shape[3]:3} channels")

# %% [markdown]
# ## 3. The ladder, in Keras
#
# *About 6 minutes.*
#
# So we climb back. The deepest tap goes through a 1×1 convolution, which only mixes its channels. Then,
# [rung](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#rung)
# by rung: enlarge two times, **add** the next tap, and let a 3×3 convolution mix the two.
# [Batch normalization](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#batch-normalization)
# brings each channel to a common scale; ReLU sets negative numbers
# to 0. That is all:

# %%
WIDTHS = (512, 256, 128, 64, 64)  # channels of the five rungs, the lowest first: as many as the next tap has


def block(x, width, kernel, name):
    x = layers.Conv2D(width, kernel, padding="same", use_bias=False, name=f"{name}_conv")(x)
    return layers.ReLU()(layers.BatchNormalization(momentum=0.9)(x))


def climb(taps):
    x = block(taps[-1], WIDTHS[0], 1, "rung0")
    for i in (1, 2, 3, 4):
        x = layers.UpSampling2D(interpolation="bilinear")(x)
        x = layers.Add()([x, layers.BatchNormalization(momentum=0.9)(taps[-1 - i])])
        x = block(x, WIDTHS[i], 3, f"rung{i}")
    return x


# %% [markdown]
# The **[head](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#head)**
# at the end is a convolution to two channels, a and b; its tanh keeps them in [-1, 1]. Its
# first weights are tiny, so that the answer before any training is nearly gray.


# %%
def colorizer(backbone, size, climb=climb):
    """From L, (size, size, 1), to ab, (size, size, 2)."""
    L = keras.Input((size, size, 1), name="L")
    bgr = layers.Concatenate()([L, L, L])  # VGG-16 wants three channels,
    # from 0 to 255, less ImageNet's mean color.
    bgr = layers.Rescaling(255.0, [-103.939, -116.779, -123.68], name="prepared")(bgr)
    tiny = keras.initializers.RandomNormal(stddev=1e-3)
    head = layers.Conv2D(2, 3, padding="same", activation="tanh", kernel_initializer=tiny, name="head")
    return keras.Model(L, head(climb(backbone(bgr))), name="vgg16_colorizer")


# %% [markdown]
# We build it on the VGG-16 that comes with the project, at 64 pixels, so that it learns in seconds anywhere. The
# drawing is made from the model itself:

# %%
small = settings.replace(image_size=64, form="paper", backbone="vgg16", weights="box")
of_colorlib = runs.build("baseline", small)
backbone = of_colorlib.get_layer("backbone")
mine = colorizer(backbone, 64)
figures.ladder(mine)


# %% tags=["nbval-check-output"]
def count(variables):
    return sum(int(np.prod(v.shape)) for v in variables)


print(f"to be trained {count(mine.trainable_variables):,}, frozen {count(backbone.variables):,} numbers")

# %% [markdown]
# `colorlib` builds the same. Does its model have the same layers and, given the same weights, the same first answers
# and the same first loss?

# %%
few_L, few_ab = (t.numpy() for t in next(iter(batches.evaluation(split, "train", small, 48))))
new_L, new_ab = (t.numpy() for t in next(iter(batches.evaluation(split, "validation", small))))

# %% tags=["nbval-check-output"]
shapes, same_of = ([tuple(v.shape) for v in each.trainable_variables] for each in (mine, of_colorlib))
mine.set_weights(of_colorlib.get_weights())
answer, answer_of = (np.asarray(each(few_L[:8], training=False)) for each in (mine, of_colorlib))
first, first_of = (np.mean((each - few_ab[:8]) ** 2) for each in (answer, answer_of))
print("the same layers:", shapes == same_of, " the same first loss:", bool(np.isclose(first, first_of)))
print("the same first answers:", bool(np.abs(answer - answer_of).max() < 0.01 * np.abs(answer).max()))

# %% [markdown]
# > **What the paper says, and what we do**
# >
# > - It takes its baseline from Dahl, whose *residual encoder* we read from its public ports: the five taps above and
# >   the ladder. The paper itself prints no layers.
# > - It feeds L into a network made for RGB, and does not say how. We repeat L over three channels, then
# >   apply VGG-16's usual preprocessing inside the model.
# > - *3×3 Conv2D, Batch Normalization and ReLU, in that order*. We do the same; our convolutions have no
# >   bias, since batch normalization adds one.
# > - Its Eq. 1 (below) is the plain mean over both channels and all pixels: what Keras calls the mean squared error.
# > - *Early stopping*, and *repetitive training via history*: the validation loss decides when to stop, the best
# >   weights come back, and an interrupted training goes on from its own past.
# > - The head stands at full size in the paper. In `classroom` it stands, without the finest tap, at [half size](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#head-stride),
# >   in `sample` at a quarter, without the two finest. Both ladders are thinner, and their output is upsampled. An eye
# >   sees color less sharply than light, and the sharp edges are in L anyway.
# > - The paper flips and rotates its photos. `sample`, which has only about a hundred, cuts windows out of them at
# >   random instead of rotating: that is ours.
#
# What is VGG-16 fed for black, middle gray and white?

# %% tags=["nbval-check-output"]
fed = keras.Model(mine.input, mine.get_layer("prepared").output)
image = np.zeros((1, 64, 64, 1), "float32")
image[0, 0, :3, 0] = 0, 0.5, 1
for name, pixel in zip(("black", "gray", "white"), fed(image).numpy()[0, 0], strict=False):
    print(f"{name:6}", np.round(pixel, 1))

# %% [markdown]
# ## 4. Eq. 1, and a red car
#
# *About 4 minutes.*
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
# time, so it can give only one answer. Which one has the lowest Eq. 1?

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
# The lowest loss is at the **mean**, a brown that no car has. This is not a failure of the
# network: it is what Eq. 1 asks for. Squares punish a large mistake more than many small ones, so
# that in doubt the best answer lies in the middle, and the middle of opposite colors is nearly gray.
#
# That is why models trained on Eq. 1 give brown and gray photos, and why notebook 05 changes the loss and nothing else.
#
# ## 5. `compile` and `fit`
#
# *About 2 minutes.*
#
# Keras needs two calls: `compile` names the optimizer and the loss, `fit` trains. We add a callback. After each
# [epoch](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#epoch)
# (each photo seen once) it asks the model for the colors of the photo that we watch.


# %%
class Album(keras.callbacks.Callback):
    """Keeps, after each epoch, a row of numbers and the model's answer for one photo."""

    def __init__(self):
        super().__init__()
        self.rows, self.answers = [], []

    def on_epoch_begin(self, epoch, logs=None):
        self.begin = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.rows.append({"epoch": epoch + 1, **logs, "seconds": time.perf_counter() - self.begin})
        self.answers.append(np.asarray(self.model(new_L[one], training=False))[0])


# %% [markdown]
# *Adam* is the optimizer: it corrects every weight a little after each batch, by its gradient. The
# [learning rate](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#learning-rate)
# sets how far; here it stays the same.
# We take four epochs of 48 photos (or what there is), in batches of four. The
# [validation](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#validation)
# photos are those that the model does not learn from.


# %%
def learn(model):
    album = Album()
    model.compile(optimizer=keras.optimizers.Adam(learning_rate=2e-3), loss="mse")
    keras.utils.set_random_seed(1)
    data = {"x": few_L, "y": few_ab, "validation_data": (new_L, new_ab)}
    model.fit(**data, batch_size=4, epochs=4, callbacks=[album], verbose=2)
    return album


pretrained = learn(mine)

# %% [markdown]
# ## 6. With what ImageNet taught, and without
#
# *About 3 minutes.*
#
# What is the backbone's knowledge worth? The same ladder with the same first weights, on a VGG-16 that has *random*
# weights, frozen as well:

# %%
blind = colorizer(runs.build("baseline", small.replace(weights="none")).get_layer("backbone"), 64)
for variable, start in zip(blind.trainable_variables, of_colorlib.trainable_variables, strict=True):
    variable.assign(start)
random = learn(blind)

# %% [markdown]
# The thick curves are the loss on photos that the model does not learn from, the thin ones on those that it does.
# Dotted is what "all gray" scores, an answer without a network. (In the first epochs batch normalization has seen
# only a few batches, and the answers may be wild.)

# %%
few_gray = float(np.mean(new_ab**2))
albums = {"pretrained": pretrained.rows, "random": random.rows}
figures.learning_curves(albums, "loss", {"all gray": few_gray})

# %% [markdown]
# And the photo that we watch, after each epoch. (The truth stands in section 1.)


# %%
def painted(answer):
    """The watched photo in the colors of an answer."""
    return colorize.paint(photo, np.asarray(answer))


rows = [{f"epoch {k + 1}": painted(a) for k, a in enumerate(each.answers)} for each in (pretrained, random)]
figures.photo_table(rows, ["pretrained", "random"])

# %%
final = {name: rows[-1]["val_loss"] for name, rows in albums.items()}
verdict = "lower" if final["pretrained"] < final["random"] else "not lower"
print(f"After four epochs, the validation loss with pretrained weights is {verdict} than with random ones:")
print(f"{final['pretrained']:.4f} and {final['random']:.4f}; all gray {few_gray:.4f}.")

# %% [markdown]
# Four epochs of 48 small photos are a taste, not a measurement: another seed could reverse the result. (A network
# trained *from scratch* changes its backbone as well; that takes far more photos and time.)
#
# ## 7. The real training
#
# *About 4 minutes.*
#
# `colorlib` does the same, **and keeps its books**. `training.train` calls Keras' own `fit`, on all photos,
# with random changes. Where the validation loss has not improved for some epochs it stops
# (*[early stopping](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#early-stopping)*)
# and brings back the weights of the best epoch. Now and then it writes a
# [checkpoint](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#checkpoint):
# if interrupted, it goes on from there; if already finished, it does nothing. Its learning rate
# falls to 0 over the epochs.
#
# What it trains is the ladder in the form and at the photo size of your profile; only in `paper` is that the ladder of
# section 3. Where it is thinner than a tap, a 1×1 convolution narrows the tap first:

# %%
figures.ladder(network)

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
# - The training loss usually falls on. The validation loss need not: where it rises while the other falls,
#   the network learns its training photos by heart (it *[overfits](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#overfitting)*).
#   The ring marks the epoch whose weights are kept.
# - In training mode, batch normalization uses the statistics of the batch at hand, and the photos
#   are changed at random (flipped, and rotated or cut); in inference mode neither happens. So the two
#   curves are not quite the same quantity, and the training loss may well be the higher one.
# - A validation loss above the dotted line says: on new photos, gray would have been better.
#
# How well does it do on the photos that it has learned from? Its **training** photos again, but in
# [inference mode](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#inference-mode):

# %%
model = run.build_model()
own = mean_loss("train", lambda L: model(L, training=False))
floor = mean_loss("train", all_gray)
print(f"on the training photos: baseline {own:.4f}, all gray {floor:.4f}")
print("It has learned from them." if own < floor else "It has learned nothing yet: too few steps or photos.")
of_new = mean_loss("validation", lambda L: model(L, training=False))
easier = "easier" if of_new < own else "no easier"
print(f"on the {len(split.validation)} validation photos, in the same mode: {of_new:.4f}. They are {easier}.")

# %% [markdown]
# ## 8. What it paints
#
# *About 2 minutes.*
#
# The rule for choosing photos: of the first 200, those at the 0th, 50th and 100th percentile of the MSE, that is
# the best, the middle and the worst one. Never the ones we like. Keep in mind that the MSE is kind to a photo with
# little color, in which gray is nearly right: "best" does not mean well colored. First from the training photos:


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
# *About 16 minutes.*
#
# Fill in a cell where it says `...`, run it, then run the check below it.

# %%
from notebooks.checks import lesson04

# %% [markdown]
# **Exercise 1: predict, then run.** How many weights has the ladder's lowest rung, a 1×1 convolution from 512 channels
# to 512, without bias? And the rung above it: 3×3, from 512 channels to 256? The check asks the model.

# %% tags=["exercise"]
lowest = ...  # your answers: numbers, or products
above = ...

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 1
lesson04.exercise_1(lowest, above, of_colorlib)

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
lesson04.exercise_2(my_loss, grid_a, grid_b, cars, share)

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
# **Exercise 3: a ladder without taps.** What do the four upper taps give? Write `climb` without them: only the
# deepest one, doubled in size four times, with all five convolutions. The check trains your ladder as we trained ours
# and shows both. Predict: what will the colors miss?


# %% tags=["exercise"]
def my_climb(taps):
    return ...  # your code here


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 3
lesson04.exercise_3(my_climb, colorizer, backbone, learn, painted, pretrained)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def my_climb(taps):
#     x = block(taps[-1], WIDTHS[0], 1, "rung0")
#     for i in (1, 2, 3, 4):
#         x = layers.UpSampling2D(interpolation="bilinear")(x)
#         x = block(x, WIDTHS[i], 3, f"rung{i}")
#     return x
# ```
# The deepest tap has 4 × 4 pixels here: it may know what is there, but not where it ends. Look along the edges.
# </details>

# %% [markdown]
# ## What we saw
#
# *About 1 minute.*

# %%
best_row = run.history[run.best_epoch - 1]
better, learned = best_row["val_loss"] < gray_validation, own < floor
print(f"Our ladder has {count(mine.trainable_variables):,} numbers to learn; VGG-16's are borrowed.")
print(f"With them the loss was {verdict} than with random ones after four epochs", end=" ")
print(f"({len(few_L)} photos, one seed).")
print(f"The profile's ladder has {count(network.trainable_variables):,} numbers to learn.")
print(f"It was trained for {len(run.history)} epochs, {sum(r['seconds'] for r in run.history):.0f} seconds;")
print(f"the best is {run.best_epoch}: validation loss {best_row['val_loss']:.4f},", end=" ")
print(f"{'better than' if better else 'no better than'} all gray ({gray_validation:.4f}).")
print(f"On its own training photos: {own:.4f},", end=" ")
print(f"{'better than' if learned else 'no better than'} all gray ({floor:.4f}).")

# %% [markdown]
# - A frozen backbone sees; a ladder of taps climbs back to full size; a head of two channels paints.
# - Eq. 1 is the mean squared error. In doubt, its best answer is the mean color, brown or gray.
# - A loss means something only beside what an answer without learning scores on the same photos.
#
# **Next:** [05, the same network with another loss](05_train_rebalanced.ipynb), which dares colors.
