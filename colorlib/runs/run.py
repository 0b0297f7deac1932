"""A run's folder, results/<profile or data set>/runs/<run>/: where a training stands, exactly, and what came of it.

    checkpoint-{a,b}.npz   the last two checkpoints, each with the weights of the best epoch until then
    history.csv            one row an epoch, made from the newest checkpoint, as is settings.json
    lock, lock.holder      held while a process trains this run
    *.aside                what could not be read when a training went on: nothing reads or deletes it

A checkpoint holds what training changes, and no frozen backbone. Copies lie in a second folder (see `runs.copier`).
"""

import contextlib
import csv
import dataclasses
import functools
import io
import json
import os
import re
import time
from datetime import timedelta
from pathlib import Path

import filelock
import keras
import numpy as np
from tqdm.auto import tqdm

from colorlib import ColorlibError, models
from colorlib import settings as settings_module
from colorlib.runs import checkpoint, identity
from colorlib.runs.checkpoint import BEST, Checkpoint, Slots, State, Unusable, reason
from colorlib.runs.copier import Copier, out_of_reach, shown
from colorlib.settings import FORMS, MODELS, Settings
from colorlib.sources import files, weights

NAME = re.compile(r"\w[\w.-]*")  # of a run: of its folder, too
FINAL_COPY_SECONDS = 600.0  # that a finished training waits for its last copy
FAILED_COPY_SECONDS = 30.0  # and one that fails, before it says why


class Run:
    """A training: where it stands, its history, and its best weights.

    name: of its folder: one of `MODELS`, or a name of the reader's own. The run is looked at once, when something is
    first asked of it; a new `Run` sees what has happened since.
    """

    def __init__(self, settings: Settings, name: str, model_name: str = ""):
        if not NAME.fullmatch(name):
            raise ColorlibError(f"{name!r} is no name for a run: take letters, digits, points, _ and -, as in my-loss.")
        self.name = name
        self.folder = settings.results_folder / "runs" / name
        self.copies = settings.keep_folder and settings.keep_folder / "runs" / name
        self._today, self._model_name = settings, model_name

    @functools.cached_property
    def _state(self) -> State | None:
        return next((state for state, _ in self._readable()), None)

    @property
    def model_name(self) -> str:
        """Which of `MODELS` it trains. Raises `ColorlibError` where only a checkpoint could tell, and there is none."""
        return self._model_name or (self.name if self.name in MODELS else self._need_state().identity["model"])

    @property
    def state(self) -> str:
        """One of "missing", "unfinished" and "finished"."""
        return "missing" if self._state is None else "finished" if self._state.finished else "unfinished"

    @property
    def history(self) -> list[dict]:
        """The rows of history.csv, one an epoch, as numbers; empty where there is none."""
        return self._state.history if self._state else []

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 1, with the lowest validation loss; 0 before the first is done."""
        return self._state.best_epoch if self._state else 0

    @property
    def split_checksum(self) -> str:
        """The checksum of the split that it was trained on."""
        return self._need_state().identity["split"]

    @property
    def settings(self) -> Settings:
        """The settings that it was trained with; the folders are today's."""
        return self._recorded(self._need_state())

    def build_model(self) -> keras.Model:
        """The model with the weights of the best epoch. Raises `ColorlibError` when there is none that is whole, or
        when the backbone's weights are no longer where they were."""
        newest = self.newest()
        if newest is None or not newest.state.best_epoch:
            raise ColorlibError(self._missing())
        if (trained := newest.state.identity["model"]) != self.model_name:
            where = self.folder.with_name(trained)
            raise ColorlibError(
                f"{self.folder} holds a run of {trained}, not of {self.model_name}. Move it to {where}."
            )
        model = build(trained, dataclasses.replace(self._recorded(newest.state), weights=self._weights(newest.state)))
        restore(model, newest.best_arrays, self.name)
        return model

    def newest(self) -> Checkpoint | None:
        """The checkpoint furthest on, of both folders, that is whole. What cannot be used is said and passed over."""
        if self.copies and (why := out_of_reach(self._today.keep_folder)):
            tqdm.write(f"{self.name}: no look into {shown(self._today.keep_folder)}: {why}.")
        for _, path in self._readable(self._say_unused):
            try:
                return checkpoint.read(path)
            except (Unusable, OSError) as error:
                self._say_unused(path, error)
        return None

    def continued(self) -> Settings:
        """Today's settings with what this run recorded in place of defaults that have changed since, which is said."""
        if (state := self._state) is None:
            return self._today
        changes = identity.changed_defaults(self.model_name, self._today, state.settings)
        if "weights" in changes:
            changes["weights"] = self._weights(state)
        for name, value in changes.items():
            text = f"{name} stays {value!r}, as recorded; no other was given, and the default is"
            tqdm.write(f"{self.name}: {text} {getattr(self._today, name)!r}.")
        return dataclasses.replace(self._today, **changes)

    def refuse_other(self, training: dict) -> None:
        """Raise `ColorlibError` naming the differences where a checkpoint's identity is not that of a training."""
        for state, path in self._readable():
            if differences := identity.differences(state.identity, training, self._today.given):
                where = f"runs/{self.name} in {shown(path.parents[2])}"
                raise ColorlibError(
                    f"{self.name} was trained with {', '.join(differences)}: that cannot be continued. Go back to it, "
                    f"choose another results folder (--results, COLORLIB_RESULTS), or forget it by deleting {where}."
                )

    @contextlib.contextmanager
    def locked(self):
        """Hold this run against a second process. The system itself lets go when a process is killed."""
        with files.disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            (holder := self.folder / "lock.holder").touch()
        lock = filelock.FileLock(self.folder / "lock")
        try:
            lock.acquire(timeout=0)
            holder.write_text(f"process {os.getpid()}")
        except filelock.Timeout:
            text = f"{self.name} is already being trained here (by {holder.read_text()}). Wait for that, stop it, or"
            raise ColorlibError(f"{text} choose another results folder (--results, COLORLIB_RESULTS).") from None
        except (OSError, NotImplementedError) as error:
            tqdm.write(f"{self.name}: this disk has no locks ({reason(error)}): train it in one process only.")
        try:
            yield
        finally:
            lock.release()

    def where(self, path: Path) -> str:
        """Where a checkpoint lies, for a reader: "" in the run's own folder."""
        return "" if path.parent == self.folder else f" in {shown(self._today.keep_folder)}"

    def _missing(self):
        return f"There is no trained {self.name} yet. Train it: python -m colorlib train {self.name}"

    def _need_state(self):
        if self._state is None:
            raise ColorlibError(self._missing())
        return self._state

    def _readable(self, say_unused=lambda path, error: None):
        """(state, path) of each checkpoint in both folders, the one furthest on first, our own before a copy."""
        states = []
        for path in (folder / name for folder in (self.folder, self.copies) if folder for name in Slots.NAMES):
            try:
                states.append((checkpoint.peek(path), path))
            except FileNotFoundError:
                pass
            except (Unusable, OSError) as error:
                say_unused(path, error)
        return sorted(states, key=lambda pair: pair[0].progress, reverse=True)

    def _say_unused(self, path, error):
        tqdm.write(f"{self.name}: {path.name}{self.where(path)} is not used: {reason(error)}.")

    def _recorded(self, state):
        known = Settings.__dataclass_fields__  # and not what another version has besides
        return dataclasses.replace(self._today, **{n: value for n, value in state.settings.items() if n in known})

    def _weights(self, state):
        """What the setting `weights` has to be, for the backbone's weights that this run stands on."""
        wanted, backbone = state.identity["weights"], self._recorded(state).backbone_of(state.identity["model"])
        for name in (state.settings["weights"], self._today.weights):
            with contextlib.suppress(ColorlibError):
                if weights.resolve(name, backbone).sha256 == wanted:
                    return name
        raise ColorlibError(
            f"{self.name} was trained on the backbone weights {state.settings['weights']!r} (sha256 {wanted[:12]}...), "
            "and they are not there any more. Say where they are now: --weights FILE, or COLORLIB_WEIGHTS=FILE."
        )


class Keeper:
    """Writes a run's checkpoints and hands them to the copier. A disk that fails is said, and stops no training."""

    def __init__(self, run: Run, state: State, newest: Checkpoint | None = None):
        self.run, self.state = run, state
        self.best = _of_model(newest.best_arrays) if newest else {}  # the model's variables after the best epoch
        self._slots = Slots(run.folder)
        self._copier = Copier(run.copies) if run.copies else None
        with files.disk_errors(run.folder):
            held = self._slots.newest()  # sets aside what cannot be read
            for path in run.folder.glob(".*.part"):  # of a process that was killed as it wrote
                path.unlink()
        if held and (newest is None or held.progress > newest.state.progress):
            raise ColorlibError(f"{run.name}: a checkpoint that could not be read can be read again. Train it again.")
        if newest:
            self._store(newest.data, written=newest.path.parent == run.folder)

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(self, kind, error, trace) -> None:
        """Wait for the second folder to catch up, and say so if it does not; not when a reader wants to stop."""
        stopped = kind is not None and not issubclass(kind, Exception)
        seconds = 0 if stopped else FINAL_COPY_SECONDS if kind is None else FAILED_COPY_SECONDS
        if self._copier and not self._copier.close(seconds) and not stopped:
            folder = shown(self._copier.root)
            tqdm.write(
                f"{self.run.name}: the last checkpoint is NOT in {folder}, and may be lost with this session. "
                f"See that {folder} can be reached and has room, then train again: only the copy is made."
            )

    def save(self, arrays: dict, is_best: bool = False) -> bool:
        """Write a checkpoint of the state and these variables. Tells whether that went well.

        is_best: these are the best so far. Otherwise the file also holds those that are.
        """
        if is_best:
            self.best = _of_model(arrays)
        else:
            arrays = arrays | {f"{BEST}{name}": array for name, array in self.best.items()}
        self.state.saved = time.time()
        return self._store(checkpoint.pack(self.state, arrays))

    def _store(self, data, written=False):
        try:
            if not written:
                self._slots.put(self.state, data)
            self._export()
            written = True
        except (OSError, Unusable) as error:
            text = f"no checkpoint could be written: {reason(error)}. Training goes on; make room for the next."
            tqdm.write(f"{self.run.name}: {text}")
        if self._copier:
            self._copier.offer(self.state, data)
        return written

    def _export(self):
        if self.state.history:
            text = io.StringIO()
            rows = [self.state.history[0].keys(), *(row.values() for row in self.state.history)]
            csv.writer(text, lineterminator="\n").writerows(rows)
            files.write_whole(self.run.folder / "history.csv", text.getvalue().encode())
        about = {"step": self.state.step, "identity": self.state.identity, "settings": self.state.settings}
        files.write_whole(self.run.folder / "settings.json", json.dumps(about, indent=1).encode())


def build(model_name: str, settings: Settings) -> keras.Model:
    """The model that one of `MODELS` trains, not yet trained, under the settings' dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.dtype)
    backbone = settings.backbone_of(model_name)
    try:
        return models.build_colorizer(
            backbone,
            weights=weights.resolve(settings.weights, backbone).path,
            image_size=settings.image_size,
            dropout=settings.dropout if model_name == "efficientnet" else 0.0,
            backbone_dtype=half_precision(backbone) if settings.form != "paper" else None,
            seed=settings.seed,
            **FORMS[settings.form],
        )
    finally:
        keras.config.set_dtype_policy(before)


@functools.cache
def half_precision(backbone: str) -> str | None:
    """The dtype policy in which this machine runs a frozen backbone fastest; None where float32 is as fast.

    A GPU has bfloat16 from compute capability 8 on and float16 from 7 on (Colab's T4 has 7.5). A processor with
    bfloat16 instructions gains for VGG-16 alone: the others are full of depthwise convolutions.
    """
    import tensorflow as tf

    for gpu in tf.config.list_physical_devices("GPU"):
        capability = tf.config.experimental.get_device_details(gpu).get("compute_capability", (0, 0))
        return "mixed_bfloat16" if capability >= (8, 0) else "mixed_float16" if capability >= (7, 0) else None
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:  # no Linux
        return None
    return "mixed_bfloat16" if backbone == "vgg16" and ("avx512_bf16" in flags or "amx_bf16" in flags) else None


def snapshot(model: keras.Model, beside: dict | None = None) -> dict:
    """The values of all that training changes, by name: the model's, and those beside it, such as the optimizer's."""
    variables = _trained(model) | (beside or {})
    values = {name: keras.ops.convert_to_numpy(variable) for name, variable in variables.items()}
    return values | {"unchanged": _unchanged(model)}


def restore(model: keras.Model, arrays: dict, run_name: str, beside: dict | None = None) -> None:
    """The inverse of `snapshot`. Raises `ColorlibError` naming the first difference to another architecture."""
    variables = _trained(model) | (beside or {})
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    held = {name: array.shape for name, array in arrays.items() if name in shapes or name.startswith("model/")}
    if names := sorted(name for name in shapes | held if shapes.get(name) != held.get(name)):
        sizes = f"{names[0]} is {held.get(names[0])} in it and {shapes.get(names[0])} in the model"
        raise ColorlibError(f"The checkpoint of {run_name} is of another architecture: {sizes}.")
    unchanged = _unchanged(model)
    if unchanged.shape != arrays["unchanged"].shape or not np.allclose(unchanged, arrays["unchanged"], 1e-3, 1e-6):
        raise ColorlibError(f"The checkpoint of {run_name} stands on a backbone with other weights than the model's.")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _trained(model):
    return {f"model/{name}": variable for name, variable in models.trained_variables(model).items()}


def _of_model(arrays):
    return {name: array for name, array in arrays.items() if name.startswith("model/")}


def _unchanged(model):
    """The first numbers of each variable that training leaves alone: they tell one frozen backbone from another."""
    trained = {id(variable) for variable in models.trained_variables(model).values()}
    unchanged = [variable for variable in model.weights if id(variable) not in trained]
    return np.concatenate([[], *(keras.ops.convert_to_numpy(variable).ravel()[:4] for variable in unchanged)])


def list_runs(settings: Settings) -> list[Run]:
    """The runs in the results folder, and in the second one, that have begun: the paper's first, then by name."""
    homes = [home / "runs" for home in (settings.results_folder, settings.keep_folder) if home]
    own = sorted({path.name for home in homes for path in _listed(home, "*") if NAME.fullmatch(path.name)} - {*MODELS})
    return [run for run in (Run(settings, name) for name in (*MODELS, *own)) if run.state != "missing"]


def table(settings: Settings) -> str:
    """`list_runs` as text: name, state, epochs done, best loss and age; then what an earlier version left."""
    lines = [f"{'run':20}{'state':12}{'epochs':>8}{'best epoch':>12}{'best loss':>11}  last checkpoint"]
    for run in list_runs(settings):
        epochs, best = f"{len(run.history)}/{run.settings.epochs}", run.best_epoch
        loss = f"{run.history[best - 1]['val_loss']:.5f}" if best else "-"
        lines.append(f"{run.name:20}{run.state:12}{epochs:>8}{best or '-':>12}{loss:>11}  {ago(run._state)}")
    if len(lines) == 1:
        lines = ["No model has been trained yet. Begin with: python -m colorlib train baseline"]
    return "\n".join([*lines, *filter(None, (former_run(settings, name) for name in MODELS))])


def former_run(settings: Settings, name: str) -> str:
    """A line about a run of these settings that an earlier version of the project left; "" where there is none."""
    data, results = Path(settings.data).name, settings_module.ROOT / "results"
    homes = [settings.results_folder, *([results, results / data] if settings.results_folder.parent == results else [])]
    homes += [settings.keep_folder.with_name(f"{settings.profile}-{data}")] if settings.keep_folder else []
    for home in homes:
        if {path.name for path in _listed(home / "runs" / name, "*.npz")} - {*Slots.NAMES}:
            left = f"runs/{name} in {shown(home)} holds a training of an earlier version of this project"
            return f"{name}: {left}. It is neither continued nor touched; delete it when you no longer want it."
    return ""


def ago(state: State) -> str:
    """The time since a checkpoint was written, for a reader: "0:12:30 ago"."""
    return f"{timedelta(seconds=int(time.time() - state.saved))} ago"


def _listed(folder, pattern):
    """The files of a folder that may be missing, or out of reach for now (which `Run.newest` says)."""
    return [] if out_of_reach(folder) else sorted(folder.glob(pattern))
