"""Training of one of the models to its end, from wherever it stands: Keras' own `fit`, as often as needed.

Everything that a later step depends on lies in the checkpoint (`runs`): the model's trained variables, dropout's seed
state, Adam's moments and step count (and so the learning rate), the loss scale of mixed_float16, the running sums of
the epoch's loss and metrics, early stopping's memory. The photos of a step follow from the seed and the step alone. So
a training that is killed and started again ends as one that was never interrupted: on the CPU to the last bit.
"""

import dataclasses
import functools
import math
import time
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from tqdm.auto import tqdm

from colorlib import ColorlibError, batches, losses, runs, sources
from colorlib import prior as prior_module
from colorlib.runs.checkpoint import State, shown
from colorlib.runs.identity import identity_of
from colorlib.runs.run import Keeper, former_run, restore, snapshot, variables_of
from colorlib.settings import MODELS, Settings, check_choice

WARM_UP_STEPS = 100  # of a backbone that is trained on: at first the ladder above it is random


def train(
    model: str, settings: Settings, split=None, prior=None, loss=None, run_name: str = "", progress: bool = True
) -> runs.Run:
    """Train "baseline", "rebalanced", "efficientnet" or "vivid" to the end, and return its run.

    split, prior: made or reused from `settings` where they are not given; only "rebalanced" has a prior.
    loss: a `keras.losses.Loss` of your own in place of the model's; the run needs a `run_name` then.
    run_name: of the run's folder, results/.../runs/<run_name>; "" is the model's.
    progress: show a bar with the remaining time, and a line an epoch. One line tells in any case where it begins.

    A finished run trains nothing; an unfinished one goes on from its newest whole checkpoint, under the settings that
    it recorded, except for those that were given. Under `settings.distribute == "mirrored"` each step takes
    `batch_size` photos for every GPU; the statistics of batch normalisation in training are those of each GPU's own
    photos.

    Raises `ColorlibError`: another process trains this run; the checkpoint is of other settings, another split, prior,
    loss or architecture; the loss is not a number (with the step and its photos); a batch does not fit in memory.
    """
    check_choice("model", model, MODELS)
    if run_name in {*MODELS} - {model} or (loss is not None and run_name in ("", model)):
        raise ColorlibError('This training needs a name of its own, such as run_name="my-loss".')
    run = runs.Run(settings, run_name or model, model)
    with run.locked():
        settings = run.continued()
        split = split or sources.prepare(settings, progress)
        weighted = model == "rebalanced" and loss is None
        prior = (prior or prior_module.prepare(split, settings, progress)) if weighted else None
        try:
            _train(run, settings, split, prior, loss, progress)
        except tf.errors.ResourceExhaustedError as error:
            size, batch, fewer = settings.image_size, settings.batch_size, max(1, settings.batch_size // 2)
            raise ColorlibError(
                f"A batch of {batch} photos of {size} x {size} pixels does not fit in memory. Lower batch_size "
                f"(--batch-size {fewer}, COLORLIB_BATCH_SIZE={fewer}), or take --form fast or, on a GPU, --dtype "
                "mixed_float16. That is another training, for another results folder (--results, COLORLIB_RESULTS)."
            ) from error
    return runs.Run(settings, run.name, model)


def _train(run, settings, split, prior, loss, progress):
    strategy = _strategy(settings.distribute)
    replicas = strategy.num_replicas_in_sync
    identity = identity_of(run.model_name, settings, split.checksum, prior, loss, replicas)
    run.refuse_other(identity)
    newest = run.newest()
    state = newest.state if newest else State(identity, _as_recorded(settings))
    settings = dataclasses.replace(settings, batch_size=settings.batch_size * replicas)
    steps = state.steps_per_epoch = batches.steps_per_epoch(split, settings)
    if newest is None and (line := former_run(settings, run.name)):
        tqdm.write(line)
    tqdm.write(f"{run.name}: {_beginning(run, newest, state, settings)}")
    keeper = Keeper(run, state, newest)
    if not state.finished:
        keras.utils.set_random_seed(settings.seed)
        if not tf.config.list_physical_devices("GPU"):  # on a GPU slow, and not there for every operation
            tf.config.experimental.enable_op_determinism()
        with strategy.scope():
            network = runs.build(run.model_name, settings)
            loss = loss or losses.for_model(run.model_name, prior)
            metrics = losses.metrics(run.model_name)
            network.compile(_optimizer(network, settings, steps), loss, metrics=metrics)
            network.optimizer.build(network.trainable_variables)
        metrics = [network.metrics[0], *metrics]  # the first is the loss
        if run.model_name == "vivid" and newest is None:
            counts, head = prior_module.node_counts(split.paths("train"), progress), network.get_layer("head")
            head.counts.assign(counts)
            head.bias.assign(np.log((counts + 1) / (counts + 1).sum()))  # so that it begins with the prior
        bookkeeper = _Bookkeeper(keeper, split, settings, network, metrics, newest and newest.arrays, progress)
        del newest  # its arrays
        while state.step < settings.epochs * steps and not state.stopped:
            epoch, done = divmod(state.step, steps)
            # The rest of an epoch that was interrupted; then all the others in one go.
            with batches.photo_errors(split.paths("train") + split.paths("validation")):
                network.fit(
                    batches.training(split, settings, first_step=state.step),
                    initial_epoch=epoch,
                    epochs=epoch + 1 if done else settings.epochs,
                    steps_per_epoch=steps - done,
                    validation_data=batches.evaluation(split, "validation", settings),
                    callbacks=[bookkeeper],
                    shuffle=False,  # the batches come shuffled
                    verbose=0,
                )
        bookkeeper.finish()
    keeper.close()


class _Adam(keras.optimizers.Adam):
    """Adam whose updates of some variables are scaled: a smaller gradient would change nothing, Adam divides it out.

    scales: one for each variable, in the order in which the optimizer is built with them.
    """

    def __init__(self, learning_rate, scales):
        super().__init__(learning_rate, name="adam")
        self.scales = scales

    def update_step(self, gradient, variable, learning_rate):
        scale = self.scales[self._get_variable_index(variable)]
        super().update_step(gradient, variable, learning_rate * scale)


def _optimizer(network, settings, steps):
    """Adam along a cosine to 0. A backbone that is trained on is updated in smaller steps, after a warm-up."""
    steps *= settings.epochs
    learned = {id(variable) for variable in network.get_layer("backbone").trainable_variables}
    warm_up = min(WARM_UP_STEPS, steps // 10) if learned else 0
    warming = {"warmup_target": settings.learning_rate, "warmup_steps": warm_up}  # none: the cosine begins at once
    scales = [settings.backbone_rate if id(variable) in learned else 1.0 for variable in network.trainable_variables]
    return _Adam(keras.optimizers.schedules.CosineDecay(0.0, steps - warm_up, **warming), scales)


def _beginning(run, newest, state, settings):
    """Where a training begins, in one line."""
    if newest is None:
        return f"a fresh start, {settings.epochs} epochs of {state.steps_per_epoch} steps."
    if state.finished:
        return f"finished: {len(state.history)} epochs, the best is {state.best_epoch}. Nothing to train."
    return f"resumed before {_position(state)}, from the checkpoint in {shown(newest.path)}."


def _position(state):
    """The step that comes next, as a reader counts."""
    epoch, step = divmod(state.step, state.steps_per_epoch)
    return f"epoch {epoch + 1}, step {step + 1} of {state.steps_per_epoch}"


class _Bookkeeper(keras.callbacks.Callback):
    """Keeps the books of `fit`: state and checkpoints, early stopping, history, progress.

    arrays: of the checkpoint to go on from; None for a fresh start.
    """

    def __init__(self, keeper, split, settings, network, metrics, arrays, progress):
        super().__init__()
        self.keeper, self.state, self.name = keeper, keeper.state, keeper.run.name
        self.split, self.settings, self.metrics, self.arrays = split, settings, metrics, arrays
        self.variables = variables_of(network)  # all that training changes
        self.variables |= {f"optimizer/{i}": variable for i, variable in enumerate(network.optimizer.variables)}
        for metric in metrics:
            self.variables |= {f"sums/{metric.name}/{i}": variable for i, variable in enumerate(metric.variables)}
        self.steps, self.progress = self.state.steps_per_epoch, progress
        self.last_save = time.monotonic()
        total, done = settings.epochs * self.steps, self.state.step
        self.bar = tqdm(total=total, initial=done, desc=self.name, unit="step", disable=not progress)

    def on_epoch_begin(self, epoch, logs=None):
        self.begin = time.perf_counter() - self.state.seconds
        if self.arrays:  # not before: Keras has just set the sums of an interrupted epoch to zero
            restore(self.variables, self.arrays, self.name)
            self.arrays = None

    def on_train_batch_end(self, batch, logs=None):
        state = self.state
        if not math.isfinite(logs["loss"]):
            photos = ", ".join(Path(path).name for path in batches.paths_of_step(self.split, self.settings, state.step))
            self._stop_at_nan(f"The loss is not a number at step {state.step + 1} ({_position(state)}), with {photos}")
        state.step += 1
        self.bar.update()
        if state.step % self.steps and self._is_due():  # the epoch's end has a checkpoint of its own
            state.seconds = time.perf_counter() - self.begin
            self._save()

    def on_test_begin(self, logs=None):
        self.trained = time.perf_counter() - self.begin

    def on_epoch_end(self, epoch, logs=None):
        state = self.state
        if not math.isfinite(logs["val_loss"]):
            self._stop_at_nan(f"The validation loss is not a number after epoch {epoch + 1}")
        names = [f"{prefix}{metric.name}" for metric in self.metrics for prefix in ("", "val_")]
        row = {"epoch": epoch + 1, **{name: float(logs[name]) for name in names}}
        row |= {"learning_rate": float(self.model.optimizer.learning_rate), "steps": self.steps}
        row["seconds"] = round(time.perf_counter() - self.begin, 3)
        row["photos_per_second"] = round(len(self.split.train) / self.trained, 3)
        state.history.append(row)
        is_best = state.best is None or row["val_loss"] < state.best
        if is_best:
            state.best, state.best_epoch = row["val_loss"], epoch + 1
        state.wait = 0 if is_best else state.wait + 1
        state.stopped = self.model.stop_training = state.wait >= max(1, self.settings.patience)
        state.seconds = 0.0
        for metric in self.metrics:
            metric.reset_state()
        self._save(is_best)
        if self.progress:
            both = f"loss {row['loss']:.5f}, validation {row['val_loss']:.5f}{', the best so far' * is_best}"
            tqdm.write(f"epoch {epoch + 1}/{self.settings.epochs}: {both}; {row['seconds']:.1f} s")

    def finish(self):
        """The last checkpoint: the model's variables are those of the best epoch."""
        self.bar.close()
        self.state.finished = True
        arrays = self.arrays or snapshot(self.variables)  # the first: it was interrupted after its last epoch
        if not self.keeper.save(arrays | self.keeper.best, is_best=True):
            text = "is trained, but its last checkpoint could not be written. Make room on the disk and train again."
            raise ColorlibError(f"{self.name} {text}")

    def _is_due(self):
        return time.monotonic() - self.last_save >= 60 * self.settings.checkpoint_minutes

    def _save(self, is_best=False):
        self.keeper.save(snapshot(self.variables), is_best)
        self.last_save = time.monotonic()

    def _stop_at_nan(self, what):
        """Nothing of this epoch is kept: what is not a number is never the best, and never gets better."""
        self.bar.close()
        raise ColorlibError(
            f"{what}. Most often the learning rate, {self.settings.learning_rate:g}, is too high: lower it "
            "(--learning-rate, COLORLIB_LEARNING_RATE), in another results folder (--results, COLORLIB_RESULTS). If it "
            "happens at any rate, look at the photos, and take --dtype float32."
        )


@functools.cache  # a second strategy in one process would number its exchanges between devices as the first did
def _strategy(distribute):
    """All GPUs of this machine (or all logical CPUs, where there is none) under "mirrored", otherwise one device."""
    if distribute != "mirrored":
        return tf.distribute.get_strategy()
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _as_recorded(settings):
    """The settings as the checkpoint records them, without the folders of this machine."""
    return {name: value for name, value in dataclasses.asdict(settings).items() if isinstance(value, str | int | float)}
