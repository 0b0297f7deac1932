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
# [![Open In Colab](https://colab.research.google.com/assets/colab-badge.svg)](https://colab.research.google.com/github/colorization-course/colorization-course/blob/main/notebooks/06_train_efficientnet.ipynb)
#
# # EfficientNet: another backbone, dropout, early stopping
#
# **What you will learn**
#
# - how the [ladder](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#ladder)
#   stands on another [backbone](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#backbone),
#   the paper's new model;
# - what dropout and early stopping do, each seen at work;
# - where the paper's "333 %" comes from, computed from its own numbers.
#
# **What it needs.** Photos, which it gets itself. A GPU in every profile but `sample`.
#
# | profile | sample | classroom | paper |
# |---|---|---|---|
# | minutes | 1, no GPU | about 12 on a T4 (estimate) | about 200 on a T4 (estimate) |

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
import dataclasses
import time
import keras
import numpy as np
from colorlib import batches, evaluation, figures, models, runs, sources, training
from colorlib.sources import sample

split = sources.prepare(settings)

# %% [markdown]
# ## 1. Another backbone
#
# **EfficientNet** is a family of networks, B0 to B7, made to name the things in a photo, like
# VGG-16, with far fewer weights. The paper takes B7, the largest. We [tap](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#tap)
# it at five depths as before, and build the same ladder. Not every machine can train B7: `classroom` takes B0, and
# `sample` EfficientNet-Lite0, a small sister whose ImageNet weights come with the project.

# %%
network = runs.build("efficientnet", settings)
print(f"The backbone of this profile is {settings.efficientnet}.")
drawing = figures.ladder(network)
figures.save(drawing, "ladder_efficientnet", settings)
drawing

# %% [markdown]
# The paper's full-size model, with random weights to spare the download. Its taps, and how many numbers it has
# beside the baseline's:

# %% tags=["nbval-check-output"]
paper_model = models.build_colorizer("efficientnetb7", None, image_size=224, dropout=0.2)
print(paper_model.input_shape, "->", paper_model.output_shape)
outputs = paper_model.get_layer("backbone").outputs
for name, tap in zip(models.taps("efficientnetb7"), outputs, strict=True):
    print(f"{name:26} {tap.shape[1]:3} x {tap.shape[2]:3} pixels, {tap.shape[3]:4} channels")


# %% tags=["nbval-check-output"]
def count_numbers(model):
    trained = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
    frozen = sum(int(np.prod(v.shape)) for v in model.get_layer("backbone").variables)
    return f"trained {trained:,}, frozen {frozen:,}"


print("EfficientNetB7:", count_numbers(paper_model))
print("VGG-16:        ", count_numbers(models.build_colorizer("vgg16", None, image_size=224)))

# %% [markdown]
# > **What the paper says, and what we do**
# >
# > - *A 1 × 1 block to build a 7 × 7 × 1334 output.* No layer of B7 has 1334 channels; the tap that it is added to has
# >   1344. We take 1334 for a misprint, and the block above has 1344 filters.
# > - *A VGG-16 base, with 5 intermediate layers swapped for EfficientNetB7 layers.* We read: the same ladder, on five
# >   taps of B7, the last activation at each size.
# > - *Dropout layers (final with a singular dropout layer).* One dropout, after the 1×1 block, of rate 0.2 (ours).
# > - It does not say how B7 wants its L. We repeat L over three channels, times 255: EfficientNet rescales that itself.

# %% tags=["nbval-check-output"]
block = paper_model.get_layer("rung0_conv")
print("the 1x1 block:", tuple(block.output.shape[1:]), " kernel", tuple(block.kernel.shape))
print("dropout:", [layer.name for layer in paper_model.layers if "dropout" in layer.name])

# %% [markdown]
# ## 2. Dropout
#
# While it trains, **[dropout](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#dropout)**
# sets some channels to 0, others each time, and enlarges the rest to make up for it. The ladder
# must not rely on any single channel. When it answers (in *[inference mode](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#inference-mode)*),
# nothing is dropped. Watch it on a picture of 1,000 channels that are all 1:

# %% tags=["nbval-check-output"]
dropout = keras.layers.SpatialDropout2D(0.2, seed=1)
ones = np.ones((1, 4, 4, 1000), "float32")
trained, answered = np.array(dropout(ones, training=True)), np.array(dropout(ones, training=False))
dropped = (trained == 0).all(axis=(1, 2)).mean()
print(f"in training: about {dropped:.1f} of the channels are 0, the others {trained.max()}")
print("in inference mode: all", float(answered.min()))

# %% [markdown]
# ## 3. Early stopping
#
# How long should one train? Too short, and the model has not learned; too long, and it learns its
# training photos by heart: it
# [overfits](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#overfitting).
# **[Early stopping](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#early-stopping)**
# watches the loss on the validation photos. When it has not improved for some epochs (the
# *patience*), training stops, and the weights of the best epoch come back. The rule in a few lines:


# %%
def stop_early(validation_losses, patience):
    """The number of epochs that are trained, and the best of them, counted from 1."""
    best, wait = 0, 0
    for epoch, loss in enumerate(validation_losses):
        if loss < validation_losses[best] or epoch == 0:
            best, wait = epoch, 0
        else:
            wait += 1
        if wait == patience:
            break
    return epoch + 1, best + 1


# %% tags=["nbval-check-output"]
example = [0.020, 0.015, 0.012, 0.013, 0.0125, 0.011, 0.014, 0.015, 0.016, 0.010]
for patience in (1, 2, 3, 4):
    print("patience {}: {} epochs, the best is {}".format(patience, *stop_early(example, patience)))

# %% [markdown]
# Little patience is quick, and may miss what comes later: with patience 3 the tenth epoch, the best of all, is never
# seen. Nobody can know beforehand.
#
# ## 4. Training

# %%
run = training.train("efficientnet", settings, split=split)

# %%
losses_seen = [row["val_loss"] for row in run.history]
epochs, best = stop_early(losses_seen, settings.patience)
print(f"{len(run.history)} epochs of at most {settings.epochs}; the best is {run.best_epoch}.")
print("our few lines say the same:", (epochs, best) == (len(run.history), run.best_epoch))


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
curve = figures.learning_curves({"efficientnet": run.history}, "loss", {"all gray": gray_validation})
figures.save(curve, "learning_curve_efficientnet", settings)
curve

# %% [markdown]
# Has it learned? Then its loss is below that of "all gray" on its training photos, in inference mode:

# %%
model = run.build_model()
own, floor = mean_loss("train", lambda L: model(L, training=False)), mean_loss("train", all_gray)
print(f"on the training photos: efficientnet {own:.4f}, all gray {floor:.4f}")
print("It has learned from them." if own < floor else "It has learned nothing yet: too few steps or photos.")

# %% [markdown]
# ## 5. What it paints
#
# The best, the middle and the worst of the first 200 validation photos, by MSE:

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
figures.save(seen, "colored_efficientnet", settings)
seen

# %% [markdown]
# ## 6. The "333 %"
#
# The paper's headline: its new model trains 3.33 times as fast. Look at its two numbers, in seconds:

# %% tags=["nbval-check-output"]
hours = evaluation.PAPER["Execution (hours)"]
baseline_seconds, new_seconds = round(hours["baseline"] * 3600), round(hours["efficientnet"] * 3600)
print(f"baseline {baseline_seconds:,} s, new model {new_seconds:,} s")
print(f"the ratio is {baseline_seconds / new_seconds:.4f}")
for name, seconds, epochs in (("baseline", baseline_seconds, 10), ("new model", new_seconds, 3)):
    pace = 54104 * epochs / seconds
    print(f"{name:10} {epochs:2} epochs of {seconds / epochs:,.1f} s: {pace:.3f} photos a second")

# %% [markdown]
# > **What the paper says, and what we do.** It calls 15.56 hours against 4.67 "a 333 % increase". The ratio is exactly
# > 10 to 3. If the baseline ran 10 epochs and the new model 3 (the paper does not say), then *every epoch took the same
# > time*, to a second, whichever the backbone. Two such different networks would hardly be equally fast by themselves;
# > something else, such as reading the photos, set the pace. So the number of epochs explains the 3.33 exactly, and the
# > architecture nothing of it. We report epochs, seconds an epoch and photos a second apart.
#
# What does the architecture give here? The pace of our own runs, if notebook 04 has been run as well:

# %%
baseline = runs.Run(settings, "baseline")
paces = {"efficientnet": run.history}
if baseline.state == "finished":
    paces["baseline"] = baseline.history
for name, history in paces.items():
    pace = np.median([row["photos_per_second"] for row in history])
    print(f"{name:13} {pace:7.1f} photos a second, {len(history)} epochs")

# %% [markdown]
# Pace and number of epochs are two things. We report them apart (notebook 07).
#
# ## 7. The fast form
#
# Where does the time of a training step go? The **frozen** backbone only looks: one pass forward. The ladder learns:
# forward, backward, and a change of its weights. It is small, but it works at high resolution, where there are many
# pixels. So there is a second form of the same model:
#
# | | paper | fast |
# |---|---|---|
# | the head stands at | full size | half size; its ab are enlarged |
# | the ladder's channels | as many as the taps have | at most 16, 32, 64, 128, finest first |
# | the backbone computes in | float32 | half precision, where this machine gains by it |
#
# `paper` uses the first, `classroom` the second, and `sample` a still smaller one for its few photos
# (`settings.form`). Let us build both, and take the time of a step apart:


# %%
def milliseconds(action, times=5):
    """Of one call, for each photo of the batch; the first call, which builds the graph, does not count."""
    action()
    begin = time.perf_counter()
    for _ in range(times):
        action()
    return 1000 * (time.perf_counter() - begin) / times / len(few_L)


# %%
few_L, few_ab = next(iter(batches.evaluation(split, "train", settings)))
parts = {}
for form in ("paper", "fast"):
    both = runs.build("efficientnet", settings.replace(form=form))
    both.compile(keras.optimizers.Adam(1e-3), "mse")
    looking = keras.Model(both.input, both.get_layer("rung0_conv").input)
    seeing = milliseconds(lambda net=looking: net.predict_on_batch(few_L))
    step = milliseconds(lambda net=both: net.train_on_batch(few_L, few_ab))
    parts[form] = {"frozen backbone": seeing, "ladder and head": max(step - seeing, 0)}

# %%
for form, times in parts.items():
    shown = " + ".join(f"{part} {time_of_part:.1f}" for part, time_of_part in times.items())
    print(f"{form:5} {sum(times.values()):6.1f} ms a photo = {shown}")

# %% [markdown]
# What is saved is nearly all ladder. But does it learn as well? Both forms, on the same few photos, for two epochs:

# %%
few = dataclasses.replace(split, train=split.train[:240], validation=split.validation[:40])
for form in ("paper", "fast"):
    folder = settings.results_folder / "forms" / form
    short = settings.replace(form=form, epochs=2, results_folder=folder, keep_folder=None)
    row = training.train("efficientnet", short, split=few, progress=False).history[-1]
    losses_of_form = f"training loss {row['loss']:.4f}, validation loss {row['val_loss']:.4f}"
    print(f"{form:6} {losses_of_form}, {row['seconds']:.1f} s")

# %% [markdown]
# Two epochs of few photos tell little. `tests/benchmarks/learning.py` compares the forms on 15,000.
#
# ## Exercises
#
# Fill in a cell where it says `...`, run it, then run the check below it.

# %%
from colorlib.course import exercises

# %% [markdown]
# **Exercise 1: predict, then run.** What is the smallest patience with which `example`, above, is trained to its best
# epoch, the tenth?

# %% tags=["exercise"]
my_patience = ...  # your answer, a number

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 1
exercises.check(
    my_patience,
    min(n for n in range(1, 11) if stop_early(example, n)[1] == 10),
    (3, "Epochs 7, 8 and 9 bring nothing: with patience 3, training stops just before the tenth."),
    (lambda n: n > 4, "It gets there, but a smaller patience does so, too."),
    otherwise="Count the epochs without a better one between the sixth and the tenth.",
)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# my_patience = 4
# ```
# After epoch 6 three epochs bring nothing; the fourth is the best of all.
# </details>

# %% [markdown]
# **Exercise 2: write dropout yourself.** `kept` says which channels stay. The others become 0, and those that stay
# are enlarged, so that the sum over all channels stays the same *on average*.


# %% tags=["exercise"]
def drop(channels, kept, rate):
    """channels, (n,), in training: 0 where `kept`, (n,), is False, else enlarged; rate: what is dropped."""
    return ...  # your code here


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 2
channels, kept = np.array([1.0, 2.0, 3.0, 4.0]), np.array([True, False, True, True])
exercises.check(
    drop(channels, kept, 0.2),
    channels * kept / 0.8,
    (channels * kept, "Those that stay must be enlarged: else the sum gets smaller on average."),
    (channels * kept * 0.8, "You make smaller what should be enlarged: divide by the share that stays."),
    (channels * kept / 0.2, "0.2 is the share that goes. Divide by the share that stays."),
    (channels * kept * 1.2, "Nearly. But with a rate of 0.5 the rest must double, not grow by half."),
    (channels / 0.8, "Nothing is dropped: multiply by `kept` as well."),
    otherwise="0 where a channel is dropped; divide the others by the share that stays.",
)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def drop(channels, kept, rate):
#     return channels * kept / (1 - rate)
# ```
# With a rate of 0.2 the factor is 1.25, the number that the layer above has printed.
# </details>

# %% [markdown]
# **Exercise 3: predict, then run.** How many seconds would the paper's baseline have taken with 3 epochs, like the new
# model?

# %% tags=["exercise"]
my_seconds = ...  # your answer, a number or a formula

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 3
exercises.check(
    my_seconds,
    baseline_seconds * 3 / 10,
    (baseline_seconds / 10, "That is one epoch."),
    (baseline_seconds, "Those are its 10 epochs."),
    (baseline_seconds / 3, "It ran 10 epochs, not 3: what does one epoch take?"),
    (baseline_seconds * 3, "Those are 30 epochs: 56,020 s are 10 of them."),
    otherwise="10 epochs took 56,020 s.",
    tolerance=1,
)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# my_seconds = 56020 * 3 / 10
# ```
# That is 16,806: exactly the time of the new model.
# </details>

# %% [markdown]
# ## What we saw

# %%
print(f"{len(run.history)} epochs, the best is {run.best_epoch}: validation loss {min(losses_seen):.4f}")
print(f"(all gray there: {gray_validation:.4f}); on the training photos {own:.4f} against {floor:.4f}.")
print(f"The paper's ratio of times: {baseline_seconds / new_seconds:.2f}; 10 epochs to 3: {10 / 3:.2f}.")

# %% [markdown]
# - The ladder stands on any backbone: five taps, the same rungs.
# - Dropout acts in training alone; early stopping chooses the epoch by photos that the model does not learn from.
# - A training's time is its pace times its epochs. Only the pace belongs to the architecture.
#
# **Next:** [07, all models side by side](07_compare_models.ipynb), in the paper's Table 1.
