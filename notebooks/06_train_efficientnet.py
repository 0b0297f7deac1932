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
# ![Two photographs: as a ladder on VGG-16 colors them, as one on EfficientNet does, and as they were](https://raw.githubusercontent.com/colorization-course/colorization-course/main/.github/06.jpg)
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
import time
import keras
import numpy as np
from colorlib import batches, evaluation, figures, models, runs, sources, training
from colorlib.sources import sample

split = sources.prepare(settings)

# %% [markdown]
# ## 1. Another backbone
#
# *About 4 minutes.*
#
# **EfficientNet** is a family of networks, B0 to B7, made to name the things in a photo, like VGG-16. The paper takes
# B7, the largest. We [tap](https://github.com/colorization-course/colorization-course/blob/main/notebooks/GLOSSARY.md#tap)
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
def millions(variables):
    return sum(int(np.prod(v.shape)) for v in variables) / 1e6


vgg = models.build_colorizer("vgg16", None, image_size=224)
for name, each in (("EfficientNetB7", paper_model), ("VGG-16", vgg)):
    frozen, trained = millions(each.get_layer("backbone").variables), millions(each.trainable_variables)
    print(f"{name:14} backbone {frozen:4.1f} million, ladder {trained:4.1f} million")

# %%
ours, of_vgg = (millions(each.get_layer("backbone").variables) for each in (network, vgg))
print(f"{settings.efficientnet}: {ours:.1f} million; VGG-16 has {of_vgg / ours:.1f} times as many")

# %% [markdown]
# EfficientNets are known for having few weights. That is true only of the small ones: B7 has four times as
# many as VGG-16's convolutions, and its ladder far more than VGG-16's.
#
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
# *About 1 minute.*
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
# What does it give? The project's
# [benchmarks](https://github.com/colorization-course/colorization-course/blob/main/tests/benchmarks/README.md#what-each-lever-gave-and-what-it-is-set-to)
# trained with and without: three seeds each, 3,000 photos of MiniPlaces, MobileNet at 128 pixels.
#
# | dropout | validation MSE, ± standard deviation |
# |---|---|
# | none | 0.009578 ± 0.000035 |
# | 0.2 | 0.009540 ± 0.000040 |
#
# The gain, 0.4 %, is about as large as the spread between seeds: too little to be sure of. It is kept where the paper
# has it.
#
# ## 3. Early stopping
#
# *About 2 minutes.*
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
#
# *About 3 minutes.*

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
# ## 5. VGG-16 beside EfficientNet
#
# *About 4 minutes.*
#
# The baseline of notebook 04 stands on VGG-16, with the same ladder and the same loss, Eq. 1: its numbers may be
# compared with these. (`sample` trains now what is missing of notebooks 04 and 05.)

# %%
if settings.profile == "sample":
    for name in ("baseline", "rebalanced"):
        training.train(name, settings, split=split)
each_run = {name: runs.Run(settings, name) for name in ("baseline", "rebalanced", "efficientnet")}
missing = [name for name, each in each_run.items() if each.state != "finished"]
print("Missing: run notebooks 04 and 05 first:", *missing) if missing else print("All three are trained.")
histories = {name: each.history for name, each in each_run.items() if name not in missing}
backbones = {"baseline": settings.backbone, "efficientnet": settings.efficientnet}
compared = {name: backbone for name, backbone in backbones.items() if name in histories}

# %%
shown = {backbone: histories[name] for name, backbone in compared.items()}
figures.learning_curves(shown, "loss", {"all gray": gray_validation})

# %%
seconds = {name: np.median([row["seconds"] for row in rows]) for name, rows in histories.items()}
for name, backbone in compared.items():
    rows = histories[name]
    pace = np.median([row["photos_per_second"] for row in rows])
    print(f"{backbone:18} best {min(row['val_loss'] for row in rows):.4f}, {len(rows)} epochs of", end=" ")
    print(f"{seconds[name]:.1f} s, {pace:.1f} photos a second")

# %% [markdown]
# Seconds depend on what else the machine does; the first epoch also builds the graph. And unless the profile is
# `paper`, this is not B7: it says nothing of the paper's two networks.
#
# Now the pictures: the best, the middle and the worst of the first 200 validation photos, by EfficientNet's MSE.

# %%
first = batches.evaluation(split, "validation", settings).take(1 + 200 // settings.batch_size)
L, ab = (np.concatenate(t)[:200] for t in zip(*first, strict=True))


def answer_of(model, L):
    """Its ab / 128, (n, h, w, 2), for photos (n, h, w, 1)."""
    return np.concatenate([model(few, training=False) for few in np.array_split(L, -(-len(L) // 8))])


answers = {backbone: answer_of(each_run[name].build_model(), L) for name, backbone in compared.items()}
order = np.argsort(((answers[settings.efficientnet] - ab) ** 2).mean(axis=(1, 2, 3)))

# %%
chosen = {"best": order[0], "middle": order[len(order) // 2], "worst": order[-1]}
rows = []
for i in chosen.values():
    colored = {backbone: evaluation.to_rgb8(L[i], answer[i]) for backbone, answer in answers.items()}
    rows.append({"given": L[i, ..., 0], **colored, "truth": evaluation.to_rgb8(L[i], ab[i])})
print(sample.credit(split.paths("validation")[i] for i in chosen.values()))
seen = figures.photo_table(rows, list(chosen))
figures.save(seen, "colored_efficientnet", settings)
seen

# %% [markdown]
# The paper says that its EfficientNet is also the more *colorful* one, and does not test it. Here:

# %%
colorful = {
    name: np.array([evaluation.colorfulness(evaluation.to_rgb8(*pair)) for pair in zip(L, each, strict=True)])
    for name, each in {**answers, "truth": ab}.items()
}
for name, values in colorful.items():
    print(f"{name:18} colorfulness {values.mean():5.1f}")

# %% [markdown]
# ## 6. The "333 %"
#
# *About 1 minute.*
#
# The paper's headline: its new model trains 3.33 times as fast. Look at its two numbers, in seconds:

# %% tags=["nbval-check-output"]
hours = evaluation.PAPER["Execution (hours)"]
baseline_seconds, new_seconds = round(hours["baseline"] * 3600), round(hours["efficientnet"] * 3600)
print(f"baseline {baseline_seconds:,} s, new model {new_seconds:,} s")
print(f"the ratio is {baseline_seconds / new_seconds:.4f}; 10 to 3 is {10 / 3:.4f}")
for name, seconds_of, epochs_of in (("baseline", baseline_seconds, 10), ("new model", new_seconds, 3)):
    print(f"{name:10} if it ran {epochs_of:2} epochs: {seconds_of / epochs_of:,.1f} s each")

# %% [markdown]
# > **What the paper says, and what we do.** It calls 15.56 hours against 4.67 "a 333 % increase". The ratio is exactly
# > 10 to 3. **If** the baseline ran 10 epochs and the new model 3, which the paper does not say, then every epoch took
# > the same time, to a second, whichever the backbone: the number of epochs would explain all of the 3.33, and the
# > architecture nothing. (3.33 times as fast is an increase of 233 %.) We report epochs and seconds an epoch apart.
#
# ## 7. The fast form
#
# *Optional reading, but run the cells: later ones need them. About 3 minutes.*
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
# Does it learn as well? On 14,000 photos, in four epochs, the benchmarks' paper form reached a validation MSE of
# 0.009302 and the fast one 0.009424, 1.3 % more, in 45 % of the time (`tests/benchmarks/README.md`, *Forms*).
#
# ## Exercises
#
# *About 16 minutes.*
#
# Fill in a cell where it says `...`, run it, then run the check below it.

# %%
from notebooks.checks import lesson06

# %% [markdown]
# **Exercise 1: predict, then run.** What is the smallest patience with which `example`, above, is trained to its best
# epoch, the tenth?

# %% tags=["exercise"]
my_patience = ...  # your answer, a number

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 1
lesson06.exercise_1(my_patience, stop_early, example)

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
lesson06.exercise_2(drop)

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
# **Exercise 3: turn the world upside down.** Give the model the photos upside down, and turn its colors back. Predict:
# does it still color them alike, or has it learned that the sky is above? The check shows the photo that changes most.


# %% tags=["exercise"]
def upside_down(model, L):
    """ab / 128, (n, h, w, 2), as the model sees photos upside down, turned back. Use `answer_of`."""
    return ...  # your code here


# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check exercise 3
lesson06.exercise_3(upside_down, model, L, ab)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# def upside_down(model, L):
#     return answer_of(model, L[:, ::-1])[:, ::-1]
# ```
# A convolution does the same at every place, but its kernel has an above and a below, and ImageNet's photos stand
# upright. Mirrored left to right, the training photos were; upside down, none.
# </details>

# %% [markdown]
# ## Three questions on 04 to 06
#
# *About 6 minutes.*
#
# They are about *your* runs. All that you need is in `histories`, the rows of each run's history.csv, and in
# `gray_validation`. A run's kept epoch is the one with its lowest `val_loss`.
#
# 1. By how many percent is the kept validation loss of the baseline below that of all gray?
# 2. Which run, of all that you have, has the lowest plain `val_mse` in its kept epoch?
# 3. How many seconds does the baseline take for each second of efficientnet, by their median `seconds` an epoch?

# %% tags=["exercise"]
percent = ...  # a number, negative where gray is better
lowest_mse = ...  # a name
seconds_for_one = ...  # a number

# %% cellView="form" jupyter={"source_hidden": true} tags=["check", "nbval-check-output"]
# @title Check the three questions
lesson06.quiz(percent, lowest_mse, seconds_for_one, histories, gray_validation)

# %% [markdown]
# <details><summary>Solution</summary>
#
# ```python
# kept = {name: min(rows, key=lambda row: row["val_loss"]) for name, rows in histories.items()}
# percent = 100 * (1 - kept["baseline"]["val_loss"] / gray_validation)
# lowest_mse = min(kept, key=lambda name: kept[name]["val_mse"])
# medians = {name: np.median([row["seconds"] for row in rows]) for name, rows in histories.items()}
# seconds_for_one = medians["baseline"] / medians["efficientnet"]
# ```
# The `val_loss` of `rebalanced` is Eq. 2 and compares with no other; its `val_mse` does.
# </details>

# %% [markdown]
# ## What we saw
#
# *About 1 minute.*

# %%
lowest = min(losses_seen)
print(f"{len(run.history)} epochs, the best is {run.best_epoch}: validation loss {lowest:.4f},", end=" ")
print(f"{'better than' if lowest < gray_validation else 'no better than'} all gray ({gray_validation:.4f});")
print(f"on the training photos {own:.4f},", end=" ")
print(f"{'better than' if own < floor else 'no better than'} all gray ({floor:.4f}).")
if "baseline" in histories:
    best_of = {name: min(row["val_loss"] for row in histories[name]) for name in backbones}
    better = "better" if best_of["efficientnet"] < best_of["baseline"] else "no better"
    losses_of = f"{best_of['efficientnet']:.4f} and {best_of['baseline']:.4f}"
    print(f"EfficientNet is {better} than VGG-16 here: {losses_of};")
    faster = "faster" if seconds["efficientnet"] < seconds["baseline"] else "no faster"
    print(f"{faster}: {seconds['efficientnet']:.1f} and {seconds['baseline']:.1f} s an epoch;", end=" ")
    pale, deep = (colorful[backbones[name]].mean() for name in backbones)
    print(f"{'more' if deep > pale else 'no more'} colorful: {deep:.1f} and {pale:.1f}.")

# %% [markdown]
# - The ladder stands on any backbone: five taps, the same rungs.
# - Dropout acts in training alone; early stopping chooses the epoch by photos that the model does not learn from.
# - A training's time is its seconds an epoch times its epochs. Only the first belongs to the architecture.
#
# **Next:** [07, all models side by side](07_compare_models.ipynb), in the paper's Table 1.
