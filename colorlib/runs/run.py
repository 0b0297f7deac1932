"""A run's folder, results/<profile or data set>/runs/<run>/: where a training stands, exactly, and what came of it.

    checkpoint-{a,b}.npz   the last two checkpoints, each with the weights of the best epoch until then
    history.csv            one row an epoch, made from the newest checkpoint, as is settings.json
    lock                   held while a process trains this run
    *.aside                what could not be read when a training went on: nothing reads or deletes it

A checkpoint holds what training changes, and no frozen backbone. Copies lie in a second folder (see `runs.copier`).
"""

import contextlib
import dataclasses
import functools
import glob
import json
import os
import re
import time
from pathlib import Path

import filelock
import keras
from tqdm.auto import tqdm

from colorlib import ColorlibError, models
from colorlib import settings as settings_module
from colorlib.runs import checkpoint, identity
from colorlib.runs.checkpoint import BEST, MODEL, Checkpoint, Slots, State, Unusable, reason
from colorlib.runs.copier import Copier
from colorlib.settings import FORMS, MODELS, Settings
from colorlib.sources import files, weights

NAME = re.compile(r"\w[\w.-]*")  # of a run: of its folder, too


class Run:
    """A training: where it stands, its history, and its best weights.

    name: of its folder: one of `MODELS`, or a name of the reader's own. The run is looked at once, when something is
    first asked of it; a new `Run` sees what another process has done since.
    """

    def __init__(self, settings: Settings, name: str, model_name: str = ""):
        if not NAME.fullmatch(name):
            raise ColorlibError(f"{name!r} is no name for a run: take letters, digits, points, _ and -, as in my-loss.")
        self.name = name
        self.folder = settings.results_folder / "runs" / name
        self.copies = settings.keep_folder and settings.keep_folder / "runs" / name
        self._today, self._model_name = settings, model_name

    @functools.cached_property
    def slots(self) -> list[Slots]:
        """The checkpoints in its folder, and where there is a second one, those in it."""
        return [Slots(folder) for folder in (self.folder, self.copies) if folder]

    @property
    def _state(self) -> State:
        states = [state for slots in self.slots for state in slots.states.values()]
        return max(states, key=lambda state: state.progress, default=State({}, {}))

    @property
    def model_name(self) -> str:
        """Which of `MODELS` it trains. Raises `ColorlibError` where only a checkpoint could tell, and there is none."""
        own = self.name if self.name in MODELS else self._state.identity.get("model")
        return self._model_name or own or self._refuse_missing()

    @property
    def state(self) -> str:
        """One of "missing", "unfinished" and "finished"."""
        return "missing" if not self._state.identity else "finished" if self._state.finished else "unfinished"

    @property
    def history(self) -> list[dict]:
        """The rows of history.csv, one an epoch, as numbers; empty where there is none."""
        return self._state.history

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 1, with the lowest validation loss; 0 before the first is done."""
        return self._state.best_epoch

    @property
    def split_checksum(self) -> str:
        """The checksum of the split that it was trained on."""
        return self._state.identity["split"]

    @property
    def settings(self) -> Settings:
        """The settings that it was trained with; the folders are today's."""
        known = self._state.settings.keys() & Settings.__dataclass_fields__  # and not what another version has besides
        return dataclasses.replace(self._today, **{name: self._state.settings[name] for name in known})

    def build_model(self) -> keras.Model:
        """The model with the weights of the best epoch. Raises `ColorlibError` when there is none that is whole, or
        when the backbone's weights are no longer where they were."""
        newest = self.newest()
        if not newest or not self.best_epoch:
            self._refuse_missing()
        model = build(self.model_name, dataclasses.replace(self.settings, weights=self._weights()))
        restore(variables_of(model), newest.best, self.name)
        return model

    def newest(self) -> Checkpoint | None:
        """The checkpoint furthest on, of both folders, that is whole. What cannot be used is said and passed over."""
        home = self._today.keep_folder
        if home and not os.path.isdir(home):  # noqa: PTH112  (no error where a mount is gone)
            tqdm.write(f"{self.name}: no look into {home}: it is not there (is it mounted?).")
        files_there = [(slots, path) for slots in self.slots for path in slots.states]
        for slots, path in sorted(files_there, key=lambda file: file[0].states[file[1]].progress, reverse=True):
            try:
                return checkpoint.read(path)
            except (OSError, Unusable) as error:
                slots.pass_over(path, error)
        return None

    def continued(self) -> Settings:
        """Today's settings with what this run recorded in place of defaults that have changed since, which is said."""
        today, recorded = self._today, self._state.settings
        if recorded.get("profile") != today.profile:  # the values of a profile are given by choosing it
            return today
        names = {*identity.SETTINGS[self.model_name], "weights"} & recorded.keys() - today.given
        changes = {name: recorded[name] for name in sorted(names) if recorded[name] != getattr(today, name)}
        if "weights" in changes:
            changes["weights"] = self._weights()
        for name, value in changes.items():
            text = f"{name} stays {value!r}, as recorded; no other was given, and the default is"
            tqdm.write(f"{self.name}: {text} {getattr(today, name)!r}.")
        return dataclasses.replace(today, **changes)

    def refuse_other(self, training: dict) -> None:
        """Raise `ColorlibError` naming the differences where a checkpoint's identity is not that of a training."""
        different = identity.differences(self._state.identity or training, training, self._today.given)
        if different:
            folders = " and ".join(str(slots.folder) for slots in self.slots if slots.states)
            raise ColorlibError(
                f"{self.name} was trained with {', '.join(different)}: that cannot be continued. Go back to it, choose "
                f"another results folder (--results, COLORLIB_RESULTS), or forget it by deleting {folders}."
            )

    def locked(self):
        """A context in which no other process trains this run. The system itself lets go when a process is killed."""
        with files.disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                return filelock.FileLock(self.folder / "lock").acquire(timeout=0)
            except filelock.Timeout:
                text = f"{self.name} is already being trained here, by another notebook or program. Wait for that,"
                raise ColorlibError(f"{text} stop it, or choose another results folder (--results).") from None

    def _refuse_missing(self):
        make = f"python -m colorlib train {self.name if self.name in MODELS else 'baseline'}"
        raise ColorlibError(f"There is no trained {self.name} in {self.folder.parent}. Train one: {make}")

    def _weights(self):
        """What the setting `weights` has to be, for the backbone's weights that this run stands on."""
        then, wanted = self.settings, self._state.identity["weights"]
        for name in (then.weights, self._today.weights):
            with contextlib.suppress(ColorlibError):
                if weights.resolve(name, then.backbone_of(self.model_name)).sha256 == wanted:
                    return name
        raise ColorlibError(
            f"{self.name} was trained on the backbone weights {then.weights!r} (sha256 {wanted[:12]}...), and they are "
            "not there any more. Say where they are now: --weights FILE, or COLORLIB_WEIGHTS=FILE."
        )


class Keeper:
    """Writes a run's checkpoints and hands them to the copier. A disk that fails is said, and stops no training."""

    def __init__(self, run: Run, state: State, newest: Checkpoint | None = None):
        self.run, self.state = run, state
        self.best = newest.best if newest else {}  # the model's variables after the best epoch
        self._copier = Copier(run.copies) if run.copies else None
        if newest:
            self._store(newest.data, written=newest.path.parent == run.folder)

    def save(self, arrays: dict, is_best: bool = False) -> bool:
        """Write a checkpoint of the state and these variables. Tells whether that went well.

        is_best: these are the best so far. Otherwise the file also holds those that are.
        """
        if is_best:
            self.best = checkpoint.of_model(arrays)
        else:
            arrays = arrays | {f"{BEST}{name}": array for name, array in self.best.items()}
        self.state.saved = time.time()
        return self._store(checkpoint.pack(self.state, arrays))

    def close(self) -> None:
        """Try the copy of the last checkpoint again where it failed."""
        if self._copier:
            self._copier.finish()

    def _store(self, data, written=False):
        try:
            if not written:
                self.run.slots[0].put(self.state, data)
            self._export()
            written = True
        except (OSError, Unusable) as error:
            text = f"no checkpoint could be written: {reason(error)}. Training goes on; make room for the next."
            tqdm.write(f"{self.run.name}: {text}")
        if self._copier:
            self._copier.copy(self.state, data)
        return written

    def _export(self):
        if rows := self.state.history:
            table = [",".join(map(str, values)) for values in (rows[0], *(row.values() for row in rows))]
            files.write_whole(self.run.folder / "history.csv", "\n".join([*table, ""]).encode())
        about = {"step": self.state.step, "identity": self.state.identity, "settings": self.state.settings}
        files.write_whole(self.run.folder / "settings.json", json.dumps(about, indent=1).encode())


def architecture(model_name: str, settings: Settings) -> dict:
    """What one of `MODELS` is whatever the size of its photos and its weights: arguments of `build_colorizer`."""
    arguments = {"backbone": settings.backbone_of(model_name), **FORMS[settings.form]}
    return arguments | ({"head": "distribution", "head_stride": 4} if model_name == "vivid" else {})


def build(model_name: str, settings: Settings) -> keras.Model:
    """The model that one of `MODELS` trains, not yet trained, under the settings' dtype policy."""
    backbone = settings.backbone_of(model_name)
    trained_backbone = model_name == "vivid" and settings.backbone_rate > 0
    half = settings.form != "paper" and not trained_backbone
    with models.dtype_policy(settings.dtype):
        return models.build_colorizer(
            **architecture(model_name, settings),
            weights=weights.resolve(settings.weights, backbone).path,
            image_size=settings.image_size,
            dropout=settings.dropout if model_name in ("efficientnet", "vivid") else 0.0,
            backbone_dtype=models.half_precision(backbone) if half else None,
            seed=settings.seed,
            trained_backbone=trained_backbone,
        )


def variables_of(model: keras.Model) -> dict:
    """All that training changes in a model, by the names of a checkpoint's arrays."""
    return {f"{MODEL}{name}": variable for name, variable in models.trained_variables(model).items()}


def snapshot(variables: dict) -> dict:
    """The values of variables."""
    return {name: keras.ops.convert_to_numpy(variable) for name, variable in variables.items()}


def restore(variables: dict, arrays: dict, run_name: str) -> None:
    """The inverse of `snapshot`. Raises `ColorlibError` naming the first difference to another architecture."""
    shapes = {name: tuple(variable.shape) for name, variable in variables.items()}
    held = {name: array.shape for name, array in arrays.items()}
    if names := sorted(name for name in shapes | held if shapes.get(name) != held.get(name)):
        sizes = f"{names[0]} is {held.get(names[0])} in it and {shapes.get(names[0])} in the model"
        raise ColorlibError(f"The checkpoint of {run_name} is of another architecture: {sizes}.")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def list_runs(settings: Settings) -> list[Run]:
    """The runs in the results folder, and in the second one, that have begun: the paper's first, then by name."""
    homes = [home for home in (settings.results_folder, settings.keep_folder) if home]
    names = {path.parent.name for home in homes for path in _files(home, "*")}
    own = sorted(name for name in names - {*MODELS} if NAME.fullmatch(name))
    return [run for run in (Run(settings, name) for name in (*MODELS, *own)) if run.state != "missing"]


def table(settings: Settings) -> str:
    """`list_runs` as text: name, state, epochs done, best epoch and its loss; then what an earlier version left."""
    lines = [f"{'run':20}{'state':12}{'epochs':>8}{'best epoch':>12}{'best loss':>11}"]
    for run in list_runs(settings):
        epochs, best = f"{len(run.history)}/{run.settings.epochs}", run.best_epoch
        loss = f"{run.history[best - 1]['val_loss']:.5f}" if best else "-"
        lines.append(f"{run.name:20}{run.state:12}{epochs:>8}{best or '-':>12}{loss:>11}")
    if len(lines) == 1:
        lines = ["No model has been trained yet. Begin with: python -m colorlib train baseline"]
    return "\n".join([*lines, *filter(None, (former_run(settings, name) for name in MODELS))])


def former_run(settings: Settings, name: str) -> str:
    """A line about a run of these settings that an earlier version of the project left; "" where there is none."""
    data, results, keep = Path(settings.data).name, settings_module.ROOT / "results", settings.keep_folder
    homes = [settings.results_folder, results, results / data, keep and keep.with_name(f"{settings.profile}-{data}")]
    for home in filter(None, homes):
        if {path.name for path in _files(home, name)} - {*Slots.NAMES}:
            left = f"{home / 'runs' / name} holds a training of an earlier version of this project"
            return f"{name}: {left}. It is neither continued nor touched; delete it when you no longer want it."
    return ""


def _files(home, name):
    """The checkpoints below a folder that may be missing, or out of reach for now (which `Run.newest` says)."""
    return map(Path, glob.glob(f"{glob.escape(str(home))}/runs/{name}/*.npz"))  # noqa: PTH207 (no error there)
