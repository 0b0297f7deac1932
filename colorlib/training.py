"""Training of one of the three models to its end, from wherever it stands: Keras' own `fit`, as often as needed.

Everything that a later step depends on lies in the checkpoint (`runs`): the model's trained variables, dropout's seed
state, Adam's moments and step count (and so the schedule), the loss scale of mixed_float16, the running sums of the
epoch's loss and metrics, early stopping's memory. The photos of a step follow from the seed and the step alone. So a
training that is killed and started again ends as one that was never interrupted: on the CPU to the last bit.
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
from colorlib.runs.checkpoint import say
from colorlib.settings import MODELS, Settings, check_choice

FORECAST_STEPS = 5  # after the first one, which also builds the graph
VALIDATION_COST = 0.4  # of a training step, for the forecast: a forward pass alone


def train(model_name: str, settings: Settings, split=None, prior=None, progress: bool = True) -> runs.Run:
    """Train "baseline", "rebalanced" or "efficientnet" to the end, and return its run.

    split, prior: made or reused from `settings` where they are not given; only "rebalanced" has a prior.
    progress: show a bar, a forecast and a line an epoch. One line tells in any case where the training begins.

    A finished run trains nothing; an unfinished one goes on from its newest whole checkpoint. Under
    `settings.distribute == "mirrored"` each step takes `batch_size` photos for every GPU; the statistics of batch
    normalisation in training are those of each GPU's own photos.

    Raises `ColorlibError`: another process trains this run; the checkpoint is of other settings, another split, prior
    or architecture; the loss is not a number (with the step and its photos); a batch does not fit in memory.
    """
    check_choice("model", model_name, MODELS)
    split = split or sources.prepare(settings, progress)
    if not split.train or not split.validation:
        raise ColorlibError(
            "Training needs photos to train on and photos to validate with; this split lacks one of them."
        )
    if model_name != "rebalanced":
        prior = None
    elif prior is None:
        prior = prior_module.prepare(split, settings, progress)
    run = runs.Run(settings, model_name)
    with run.locked():
        training = _Training(run, settings, split, prior, progress)
        try:
            training.to_the_end()
        except tf.errors.ResourceExhaustedError as error:
            size, batch = settings.image_size, settings.batch_size
            raise ColorlibError(
                f"A batch of {batch} photos of {size} x {size} pixels does not fit in memory. Lower batch_size, say to "
                f"{max(1, batch // 2)}; or take form fast, or, on a GPU, dtype mixed_float16. Other "
                "settings are another training: it then starts afresh, in another results folder."
            ) from error
    return run


class _Training:
    def __init__(self, run, settings, split, prior, progress):
        self.run, self.split, self.prior, self.progress = run, split, prior, progress
        self.strategy = _strategy(settings)
        replicas = self.strategy.num_replicas_in_sync
        identity = runs.identity_of(run.model_name, settings, split.checksum, prior, replicas)
        self.settings = settings.replace(batch_size=settings.batch_size * replicas)
        self.found = run.newest(identity)
        self.state = self.found.state if self.found else runs.State(identity, _recorded(settings))
        self.steps = self.state.steps_per_epoch = batches.steps_per_epoch(split, self.settings)
        say(f"{run.model_name}: {self._begin()}")

    def _begin(self):
        """Where this training begins, in one line."""
        state, epochs = self.state, self.settings.epochs
        replicas = self.strategy.num_replicas_in_sync
        if not self.found:
            each = f" of {self.settings.batch_size // replicas} photos for each of {replicas} devices"
            return f"a fresh start, {epochs} epochs of {self.steps} steps{each if replicas > 1 else ''}."
        when = f"{runs.ago(time.time() - state.saved)}{self.found.place}"
        if not state.finished:
            return f"resumed before {state.where}, from the checkpoint saved {when}."
        return f"finished, saved {when}: {len(state.history)} epochs, the best is {state.best_epoch}. Nothing to train."

    def to_the_end(self):
        with runs.Keeper(self.run, self.state, self.found) as keeper:
            if self.state.finished:
                return
            _make_deterministic(self.settings.seed)
            with self.strategy.scope():
                model, others = self._compiled_model()
            if self.found:
                runs.restore(model, self.found.arrays, self.run.model_name, others)
                self.found.arrays.clear()
            with batches.photo_errors(self.split):
                self._fit(model, others, keeper)

    def _compiled_model(self):
        """The model, and all that training changes beside it, by name."""
        model = runs.build(self.run.model_name, self.settings)
        metrics = losses.metrics()
        model.compile(
            optimizer=keras.optimizers.Adam(self._learning_rate()),
            loss=losses.for_model(self.run.model_name, self.prior),
            metrics=metrics,
        )
        model.optimizer.build(model.trainable_variables)
        others = {f"optimizer/{i}": variable for i, variable in enumerate(model.optimizer.variables)}
        loss = next(metric for metric in model.metrics if metric.name == "loss")
        for metric in (loss, *metrics):
            others |= {f"sums/{metric.name}/{i}": variable for i, variable in enumerate(metric.variables)}
        return model, others

    def _learning_rate(self):
        if self.settings.schedule == "constant":
            return self.settings.learning_rate
        return keras.optimizers.schedules.CosineDecay(self.settings.learning_rate, self.settings.epochs * self.steps)

    def _fit(self, model, others, keeper):
        state = self.state
        validation = batches.evaluation(self.split, "validation", self.settings)
        stopper = keras.callbacks.EarlyStopping("val_loss", mode="min", patience=self.settings.patience)
        recorder = _Recorder(self, keeper, others, stopper)
        while state.step < self.settings.epochs * self.steps and not state.stopped:
            epoch, done = divmod(state.step, self.steps)
            # The rest of an epoch that was interrupted; then all the others in one go.
            model.fit(
                batches.training(self.split, self.settings, first_step=state.step),
                initial_epoch=epoch,
                epochs=epoch + 1 if done else self.settings.epochs,
                steps_per_epoch=self.steps - done,
                validation_data=validation,
                callbacks=[stopper, recorder],
                shuffle=False,  # the batches come shuffled
                verbose=0,
            )
        recorder.finish(model)


class _Recorder(keras.callbacks.Callback):
    """Keeps the books of `fit`: state and checkpoints, early stopping's memory, history, progress.

    It comes after `stopper` in the list of callbacks, whose memory it restores and records.
    """

    def __init__(self, training, keeper, others, stopper):
        super().__init__()
        self.training, self.keeper, self.others, self.stopper = training, keeper, others, stopper
        self.state, self.settings, self.steps = training.state, training.settings, training.steps
        self.last_save = time.monotonic()
        self.sums = ()  # of the interrupted epoch, each with its value
        self.forecast = _Forecast(training) if training.progress else None
        self.bar = tqdm(
            total=self.settings.epochs * self.steps,
            initial=self.state.step,
            desc=training.run.model_name,
            unit="step",
            disable=not training.progress,
        )

    def on_train_begin(self, logs=None):
        self.stopper.wait, self.stopper.best = self.state.wait, self.state.best
        sums = [variable for name, variable in self.others.items() if name.startswith("sums/")]
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
            photos = [Path(path).name for path in batches.paths_of_step(self.training.split, self.settings, state.step)]
            shown = ", ".join(photos[:8]) + (f" and {len(photos) - 8} more" if len(photos) > 8 else "")
            self._stop_at_nan(f"The loss is not a number at step {state.step + 1} ({state.where}), with photos {shown}")
        state.step += 1
        self.bar.update()
        if self.forecast:
            self.forecast.step(state.step)
        if state.step % self.steps and self._is_due():  # the epoch's end has a checkpoint of its own
            state.seconds = time.perf_counter() - self.begin
            self._save()

    def on_test_begin(self, logs=None):
        self.trained = time.perf_counter() - self.begin

    def on_epoch_end(self, epoch, logs=None):
        state = self.state
        if not math.isfinite(logs["val_loss"]):
            self._stop_at_nan(f"The validation loss is not a number after epoch {epoch + 1}")
        seconds = time.perf_counter() - self.begin
        names = ("loss", "val_loss", "mse", "val_mse", "argmax_agreement", "val_argmax_agreement")
        row = {"epoch": epoch + 1, **{name: float(logs[name]) for name in names}}
        row["learning_rate"] = float(self.model.optimizer.learning_rate)
        row.update(steps=self.steps, seconds=round(seconds, 3))
        row["photos_per_second"] = round(len(self.training.split.train) / self.trained, 3)
        state.history.append(row)
        if state.best is None or self.stopper.best < state.best:
            state.best_epoch = epoch + 1
            self.keeper.save_best(runs.snapshot(self.model))
        state.best, state.wait, state.stopped = self.stopper.best, self.stopper.wait, self.model.stop_training
        state.seconds = 0.0
        self._save()
        self._say_epoch(row)

    def finish(self, model):
        """The best weights into the model, and all of it into the last checkpoint."""
        runs.restore(model, runs.unpack(self.keeper.best_data)[1], self.training.run.model_name)
        self.state.finished = True
        self.bar.close()
        if not self.keeper.save(runs.snapshot(model, self.others)):
            raise ColorlibError(
                f"{self.training.run.model_name} is trained, but its last checkpoint could not be written. "
                "Make room on the disk and train again: it goes on from the one before."
            )

    def _is_due(self):
        every = self.settings.checkpoint_steps
        minutes = (time.monotonic() - self.last_save) / 60
        return (every and self.state.step % every == 0) or minutes >= self.settings.checkpoint_minutes

    def _save(self):
        self.keeper.save(runs.snapshot(self.model, self.others))
        self.last_save = time.monotonic()

    def _say_epoch(self, row):
        if self.training.progress:
            best = ", the best so far" if self.state.best_epoch == row["epoch"] else ""
            say(
                f"epoch {row['epoch']}/{self.settings.epochs}: loss {row['loss']:.5f}, validation {row['val_loss']:.5f}"
                f"{best}; {row['seconds']:.1f} s, {row['photos_per_second']:.1f} photos/s"
            )
        if self.state.stopped:
            name = self.training.run.model_name
            say(f"{name}: stopped early, {self.state.wait} epochs without a better validation loss.")

    def _stop_at_nan(self, what):
        """Nothing of this epoch is kept: what is not a number is never the best, and never gets better."""
        self.bar.close()
        best = self.state.best_epoch
        kept = f" The best epoch, {best}, is kept: the run's model has its weights." if best else ""
        half = " Or float16 is too narrow: take float32." if self.settings.dtype == "mixed_float16" else ""
        raise ColorlibError(
            f"{what}. Training stops, for from here it would be in vain. Most often the learning rate, "
            f"{self.settings.learning_rate:g}, is too high: lower it, and start afresh in another results folder "
            f"(COLORLIB_RESULTS). If it happens at any rate, look at the photos.{half}{kept}"
        )


class _Forecast:
    """Says once, after the first steps, how long the rest will take."""

    def __init__(self, training):
        validation = batches.steps_per_epoch(training.split, training.settings, "validation")
        self.factor = 1 + VALIDATION_COST * validation / training.steps
        self.total = training.settings.epochs * training.steps
        self.name = training.run.model_name
        self.seen = 0

    def step(self, step):
        self.seen += 1
        if self.seen == 1:
            self.begin = time.perf_counter()
        elif self.seen == 1 + FORECAST_STEPS:
            each = (time.perf_counter() - self.begin) / FORECAST_STEPS
            left = each * self.factor * (self.total - step)
            say(f"{self.name}: about {_duration(left)} to go at {each:.2g} s a step; early stopping may end it sooner.")


def _duration(seconds):
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"


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


def _recorded(settings):
    """The settings as the checkpoint records them, without the folders of this machine."""
    return {name: value for name, value in dataclasses.asdict(settings).items() if isinstance(value, str | int | float)}
