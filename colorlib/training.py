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
import tensorflow as tf
from tqdm.auto import tqdm

from colorlib import ColorlibError, batches, losses, runs, sources
from colorlib import prior as prior_module
from colorlib.runs.checkpoint import State
from colorlib.runs.identity import identity_of
from colorlib.runs.run import Keeper, ago, former_run, restore, snapshot
from colorlib.settings import MODELS, Settings, check_choice


def train(
    model: str, settings: Settings, split=None, prior=None, loss=None, run_name: str = "", progress: bool = True
) -> runs.Run:
    """Train "baseline", "rebalanced" or "efficientnet" to the end, and return its run.

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
    settings = run.continued()
    split = split or sources.prepare(settings, progress)
    if not split.train or not split.validation:
        raise ColorlibError("Training needs photos to learn from and photos to validate with: this split lacks one.")
    if model != "rebalanced" or loss is not None:
        prior = None
    elif prior is None:
        prior = prior_module.prepare(split, settings, progress)
    with run.locked():
        try:
            _train(run, settings, split, prior, loss, progress)
        except tf.errors.ResourceExhaustedError as error:
            size, batch, fewer = settings.image_size, settings.batch_size, max(1, settings.batch_size // 2)
            raise ColorlibError(
                f"A batch of {batch} photos of {size} x {size} pixels does not fit in memory. Lower batch_size "
                f"(--batch-size {fewer}, COLORLIB_BATCH_SIZE={fewer}), or take --form fast (COLORLIB_FORM) or, on a "
                "GPU, --dtype mixed_float16 (COLORLIB_DTYPE). That is another training: choose another results folder "
                "for it (--results, COLORLIB_RESULTS)."
            ) from error
    return runs.Run(settings, run.name, model)


def _train(run, settings, split, prior, loss, progress):
    strategy = _strategy(settings)
    replicas = strategy.num_replicas_in_sync
    identity = identity_of(run.model_name, settings, split.checksum, prior, loss, replicas)
    run.refuse_other(identity)
    newest = run.newest()
    state = newest.state if newest else State(identity, _as_recorded(settings))
    settings = dataclasses.replace(settings, batch_size=settings.batch_size * replicas)
    steps = state.steps_per_epoch = batches.steps_per_epoch(split, settings)
    if newest is None and (line := former_run(settings, run.name)):
        tqdm.write(line)
    tqdm.write(f"{run.name}: {_beginning(run, newest, state, settings, replicas)}")
    with Keeper(run, state, newest) as keeper:
        if state.finished:
            return
        _make_deterministic(settings.seed)
        with strategy.scope():
            network = runs.build(run.model_name, settings)
            learning_rate = keras.optimizers.schedules.CosineDecay(settings.learning_rate, settings.epochs * steps)
            loss = loss or losses.for_model(run.model_name, prior)
            network.compile(keras.optimizers.Adam(learning_rate), loss, metrics=(metrics := losses.metrics()))
            network.optimizer.build(network.trainable_variables)
        beside = _beside(network, metrics)
        if newest:
            restore(network, newest.arrays, run.name, beside)
        stopper = keras.callbacks.EarlyStopping("val_loss", mode="min", patience=settings.patience)
        bookkeeper = _Bookkeeper(keeper, split, settings, beside, stopper, progress)
        del newest  # its arrays
        while state.step < settings.epochs * steps and not state.stopped:
            epoch, done = divmod(state.step, steps)
            # The rest of an epoch that was interrupted; then all the others in one go.
            with batches.photo_errors(split):
                network.fit(
                    batches.training(split, settings, first_step=state.step),
                    initial_epoch=epoch,
                    epochs=epoch + 1 if done else settings.epochs,
                    steps_per_epoch=steps - done,
                    validation_data=batches.evaluation(split, "validation", settings),
                    callbacks=[stopper, bookkeeper],
                    shuffle=False,  # the batches come shuffled
                    verbose=0,
                )
        bookkeeper.finish(network)


def _beginning(run, newest, state, settings, replicas):
    """Where a training begins, in one line."""
    epochs, steps = settings.epochs, state.steps_per_epoch
    if newest is None:
        each = f" of {settings.batch_size // replicas} photos for each of {replicas} devices" if replicas > 1 else ""
        return f"a fresh start, {epochs} epochs of {steps} steps{each}."
    when = f"{ago(state)}{run.where(newest.path)}"
    if not state.finished:
        return f"resumed before {_position(state)}, from the checkpoint saved {when}."
    return f"finished, saved {when}: {len(state.history)} epochs, the best is {state.best_epoch}. Nothing to train."


def _position(state):
    """The step that comes next, as a reader counts."""
    epoch, step = divmod(state.step, state.steps_per_epoch)
    return f"epoch {epoch + 1}, step {step + 1} of {state.steps_per_epoch}"


def _beside(network, metrics):
    """What training changes beside the compiled model, by name: the optimizer, and the epoch's sums."""
    variables = {f"optimizer/{i}": variable for i, variable in enumerate(network.optimizer.variables)}
    for metric in (network.metrics[0], *metrics):  # the first is the loss
        variables |= {f"sums/{metric.name}/{i}": variable for i, variable in enumerate(metric.variables)}
    return variables


class _Bookkeeper(keras.callbacks.Callback):
    """Keeps the books of `fit`: state and checkpoints, early stopping's memory, history, progress.

    It comes after `stopper` in the list of callbacks, whose memory it restores and records.
    """

    def __init__(self, keeper, split, settings, beside, stopper, progress):
        super().__init__()
        self.keeper, self.state, self.name = keeper, keeper.state, keeper.run.name
        self.split, self.settings, self.beside, self.stopper = split, settings, beside, stopper
        self.steps, self.progress = self.state.steps_per_epoch, progress
        self.last_save = time.monotonic()
        self.sums = ()  # of the interrupted epoch, each with its value
        total, done = settings.epochs * self.steps, self.state.step
        self.bar = tqdm(total=total, initial=done, desc=self.name, unit="step", disable=not progress)

    def on_train_begin(self, logs=None):
        self.stopper.wait, self.stopper.best = self.state.wait, self.state.best
        sums = [variable for name, variable in self.beside.items() if name.startswith("sums/")]
        interrupted = bool(self.state.step % self.steps)
        self.sums = [(variable, keras.ops.convert_to_numpy(variable) * interrupted) for variable in sums]

    def on_epoch_begin(self, epoch, logs=None):
        self.begin = time.perf_counter() - self.state.seconds
        # Keras has just set some of them to zero, but not those of metrics that have yet to see their first batch.
        for variable, value in self.sums:
            variable.assign(value)
        self.sums = ()

    def on_train_batch_end(self, batch, logs=None):
        state = self.state
        if not math.isfinite(logs["loss"]):
            photos = [Path(path).name for path in batches.paths_of_step(self.split, self.settings, state.step)]
            shown = ", ".join(photos[:8]) + (f" and {len(photos) - 8} more" if len(photos) > 8 else "")
            self._stop_at_nan(
                f"The loss is not a number at step {state.step + 1} ({_position(state)}), with photos {shown}"
            )
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
        metrics = dict.fromkeys(name.split("/")[1] for name in self.beside if name.startswith("sums/"))
        names = [f"{prefix}{name}" for name in metrics for prefix in ("", "val_")]
        row = {"epoch": epoch + 1, **{name: float(logs[name]) for name in names}}
        row["learning_rate"] = float(self.model.optimizer.learning_rate)
        row["steps"], row["seconds"] = self.steps, round(time.perf_counter() - self.begin, 3)
        row["photos_per_second"] = round(len(self.split.train) / self.trained, 3)
        state.history.append(row)
        is_best = state.best is None or self.stopper.best < state.best
        state.best_epoch = epoch + 1 if is_best else state.best_epoch
        state.best, state.wait, state.stopped = self.stopper.best, self.stopper.wait, self.model.stop_training
        state.seconds = 0.0
        self._save(is_best)
        if self.progress:
            best = ", the best so far" if is_best else ""
            tqdm.write(
                f"epoch {epoch + 1}/{self.settings.epochs}: loss {row['loss']:.5f}, validation {row['val_loss']:.5f}"
                f"{best}; {row['seconds']:.1f} s, {row['photos_per_second']:.1f} photos/s"
            )
        if state.stopped:
            tqdm.write(f"{self.name}: stopped early, {state.wait} epochs without a better validation loss.")

    def finish(self, network):
        """The best weights into the model, and all of it into the last checkpoint."""
        self.bar.close()
        restore(network, snapshot(network) | self.keeper.best, self.name)
        self.state.finished = True
        if not self.keeper.save(snapshot(network, self.beside), is_best=True):
            raise ColorlibError(
                f"{self.name} is trained, but its last checkpoint could not be written. "
                "Make room on the disk and train again: it goes on from the one before."
            )

    def _is_due(self):
        return time.monotonic() - self.last_save >= 60 * self.settings.checkpoint_minutes

    def _save(self, is_best=False):
        self.keeper.save(snapshot(self.model, self.beside), is_best)
        self.last_save = time.monotonic()

    def _stop_at_nan(self, what):
        """Nothing of this epoch is kept: what is not a number is never the best, and never gets better."""
        self.bar.close()
        best = self.state.best_epoch
        kept = f" The best epoch, {best}, is kept: the run's model has its weights." if best else ""
        half = " Or float16 is too narrow: take --dtype float32." if self.settings.dtype == "mixed_float16" else ""
        raise ColorlibError(
            f"{what}. Training stops, for from here it would be in vain. Most often the learning rate, "
            f"{self.settings.learning_rate:g}, is too high: lower it (--learning-rate, COLORLIB_LEARNING_RATE), and "
            f"start afresh in another results folder (--results, COLORLIB_RESULTS). If it happens at any rate, look at "
            f"the photos.{half}{kept}"
        )


def _strategy(settings):
    """All GPUs of this machine (or all logical CPUs, where there is none) under "mirrored", otherwise one device."""
    return _mirrored() if settings.distribute == "mirrored" else tf.distribute.get_strategy()


@functools.cache  # a second strategy in one process would number its exchanges between devices as the first did
def _mirrored():
    devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
    return tf.distribute.MirroredStrategy([device.name for device in devices])


def _make_deterministic(seed):
    keras.utils.set_random_seed(seed)
    if not tf.config.list_physical_devices("GPU"):  # on a GPU slow, and not there for every operation
        tf.config.experimental.enable_op_determinism()


def _as_recorded(settings):
    """The settings as the checkpoint records them, without the folders of this machine."""
    return {name: value for name, value in dataclasses.asdict(settings).items() if isinstance(value, str | int | float)}
