"""A run's folder, results/runs/<model>/: where a training stands, exactly, and what came of it.

    checkpoint-00000120.npz   after step 120; the last two are kept
    best-0003.npz             the weights after the best epoch so far, 3; those that the two checkpoints need are kept,
                              each twice (best-0003-again.npz): one flipped bit must not cost both checkpoints
    history.csv               one row an epoch, made from the newest checkpoint, as is settings.json
    lock                      held while a process trains this run

A checkpoint holds what training changes, and no backbone. Copies lie in a second folder (see `checkpoint.Copier`).
"""

import contextlib
import csv
import dataclasses
import fcntl
import functools
import hashlib
import io
import json
import os
import time
from pathlib import Path

import keras
import numpy as np

from colorlib import ColorlibError, models
from colorlib.runs import checkpoint
from colorlib.runs.checkpoint import Copier, Damaged, digest_of, pack, reason, say, unpack
from colorlib.settings import FORMS, MODELS, Settings, check_choice
from colorlib.sources.files import disk_errors, rewrite, write_whole

FINAL_COPY_SECONDS = 600.0  # that a finished training waits for its last copy
FAILED_COPY_SECONDS = 30.0  # and one that fails, before it says why
HISTORY_COLUMNS = (
    *("epoch", "loss", "val_loss", "mse", "val_mse", "argmax_agreement", "val_argmax_agreement"),
    *("learning_rate", "steps", "seconds", "photos_per_second"),
)
# What may differ between two sessions of one training, or is told by another entry. Every other setting counts, also
# one that is added later.
_NO_MATTER = {"profile", "mirror", "data_folder", "results_folder", "keep_folder", "cache", "checkpoint_minutes"}
_NO_MATTER |= {"checkpoint_steps", "data", "fraction", "backbone", "efficientnet", "distribute"}
_MATTERS_FOR = {"dropout": "efficientnet", "bin_width": "rebalanced", "sigma": "rebalanced", "lambda_": "rebalanced"}


@dataclasses.dataclass
class State:
    """Where a training stands, beside its variables. Goes into the checkpoint as JSON."""

    identity: dict
    settings: dict
    steps_per_epoch: int = 0
    step: int = 0  # steps done, over all epochs
    seconds: float = 0.0  # spent on the epoch under way
    history: list = dataclasses.field(default_factory=list)
    best: float | None = None  # validation loss
    best_epoch: int = 0  # counted from 1; 0: none yet
    best_digest: str = ""  # of the file with its weights
    wait: int = 0  # epochs without a better one
    stopped: bool = False  # early
    finished: bool = False
    saved: float = 0.0  # seconds since 1970

    @property
    def where(self) -> str:
        """The step that comes next, as a reader counts."""
        epoch, step = divmod(self.step, self.steps_per_epoch or 1)
        return f"epoch {epoch + 1}, step {step + 1} of {self.steps_per_epoch}"


@dataclasses.dataclass
class Found:
    """A checkpoint that was read whole: its state and variables, and the weights of the best epoch."""

    state: State
    arrays: dict
    data: bytes
    best_data: bytes
    place: str = ""  # "" in the run's own folder, else " in <folder>"

    @property
    def best_arrays(self) -> dict:
        """The variables of the best epoch. A finished run's checkpoint holds them itself."""
        return unpack(self.best_data)[1] if self.best_data else self.arrays


def identity_of(model_name: str, settings: Settings, split_checksum: str, prior=None, replicas: int = 1) -> dict:
    """What two trainings must share so that one can go on from the other's checkpoint."""
    fields = {
        name: value
        for name, value in dataclasses.asdict(settings).items()
        if name not in _NO_MATTER and _MATTERS_FOR.get(name, model_name) == model_name
    }
    fields["weights"] = Path(settings.weights).name  # the same file may lie elsewhere on the next machine
    fields.update(model=model_name, backbone=settings.backbone_of(model_name), replicas=replicas)
    fields.update(split=split_checksum, prior=None)
    if prior is not None:
        content = (
            np.asarray(prior.counts, np.int64).tobytes() + repr((prior.bin_width, prior.sigma, prior.lambda_)).encode()
        )
        fields["prior"] = hashlib.sha256(content).hexdigest()
    return fields


class Run:
    """The training of one of the three models: where it stands, its history, and its best weights."""

    def __init__(self, settings: Settings, model_name: str):
        check_choice("model", model_name, MODELS)
        self.model_name = model_name
        self.folder = settings.results_folder / "runs" / model_name
        self.keep_folder = settings.keep_folder
        self._asked = settings

    @property
    def state(self) -> str:
        """One of "missing", "unfinished" and "finished"."""
        newest = self._newest_state()
        return "missing" if newest is None else "finished" if newest.finished else "unfinished"

    @property
    def history(self) -> list[dict]:
        """The rows of history.csv, one an epoch, as numbers; empty where there is none."""
        newest = self._newest_state()
        return newest.history if newest else []

    @property
    def best_epoch(self) -> int:
        """The epoch, counted from 1, with the lowest validation loss; 0 before the first is done."""
        newest = self._newest_state()
        return newest.best_epoch if newest else 0

    @property
    def split_checksum(self) -> str:
        """The checksum of the split that it was trained on."""
        return self._need_state().identity["split"]

    @property
    def settings(self) -> Settings:
        """The settings that it was trained with; the folders are today's."""
        return _settings_of(self._need_state(), self._asked)

    @property
    def bytes(self) -> int:
        """The size of the run's own folder."""
        return sum(path.stat().st_size for path in self.folder.glob("*"))

    @property
    def age(self) -> float:
        """Seconds since the newest checkpoint was written."""
        return time.time() - self._need_state().saved

    def build_model(self) -> keras.Model:
        """The model with the weights of the best epoch. Raises `ColorlibError` when there is none that is whole."""
        found = self.newest()
        if found is None or not found.state.best_epoch:
            raise ColorlibError(self._missing())
        if found.state.identity["model"] != self.model_name:
            raise ColorlibError(
                f"{self.folder} holds a run of {found.state.identity['model']}, not of {self.model_name}. "
                f"Move it to {self.folder.with_name(found.state.identity['model'])}."
            )
        model = build(self.model_name, _settings_of(found.state, self._asked))
        restore(model, found.best_arrays, self.model_name)
        return model

    def newest(self, identity: dict | None = None) -> Found | None:
        """The checkpoint furthest on, of both folders, that is whole. What is damaged is said and passed over.

        Raises `ColorlibError` naming the differences where `identity` is given and the checkpoint's is another.
        """
        if self.keep_folder and (why := checkpoint.out_of_reach(self.keep_folder)):
            say(f"{self.model_name}: no look into {checkpoint.shown(self.keep_folder)}: {why}.")
        for state, path, place in self._candidates(aloud=True):
            if identity is not None:
                self._refuse_other(state.identity, identity)
            try:
                data = path.read_bytes()
                meta, arrays = unpack(data)
                best = self._best(state.best_digest) if state.best_epoch and not state.finished else b""
                return Found(State(**meta), arrays, data, best, place)
            except (Damaged, OSError) as error:
                self._say_unused(path, place, error)
        return None

    def delete(self) -> None:
        """Forget this training, here and in the second folder, so that the next one starts afresh."""
        with self.locked():
            for path in sorted(self._kept.glob("*.npz")) if self._kept else ():
                rewrite(path, b"")  # nothing large goes to Drive's trash
                path.unlink()
            for path in self.folder.iterdir():
                if path.name != "lock":
                    path.unlink()

    @contextlib.contextmanager
    def locked(self):
        """Hold this run against a second process. The system itself lets go when a process is killed."""
        with disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("a+")
        with lock as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise ColorlibError(
                    f"{self.model_name} is already being trained here ({file.read().strip() or 'by another process'}). "
                    "Wait for that, stop it, or choose another results folder (COLORLIB_RESULTS)."
                ) from None
            except OSError as error:
                say(f"{self.model_name}: this disk has no locks ({reason(error)}): train it in one process only.")
            file.truncate(0)
            file.write(f"by process {os.getpid()}")
            file.flush()
            yield

    @property
    def _kept(self) -> Path | None:
        return self.keep_folder and self.keep_folder / "runs" / self.model_name

    def _missing(self):
        return f"There is no trained {self.model_name} yet. Train it: python -m colorlib train {self.model_name}"

    def _need_state(self) -> State:
        newest = self._newest_state()
        if newest is None:
            raise ColorlibError(self._missing())
        return newest

    def _newest_state(self) -> State | None:
        return next((state for state, _, _ in self._candidates()), None)

    def _candidates(self, aloud=False) -> list[tuple[State, Path, str]]:
        """The checkpoints in both folders, the one furthest on first, our own before a copy."""
        found = []
        for folder, place in (
            (self.folder, ""),
            (self._kept, f" in {self.keep_folder and checkpoint.shown(self.keep_folder)}"),
        ):
            for path in _listed(folder, "checkpoint-*.npz"):
                try:
                    found.append((State(**checkpoint.peek(path)), path, place))
                except (Damaged, OSError, TypeError) as error:
                    if aloud:
                        self._say_unused(path, place, error)
        last = self._last_step()
        path = self.folder / f"checkpoint-{last:08d}.npz"
        if aloud and not path.exists() and last > max((state.step for state, _, _ in found), default=-1):
            self._say_unused(path, "", Damaged("it is missing"))
        return sorted(found, key=lambda item: (item[0].step, item[0].finished), reverse=True)

    def _last_step(self) -> int:
        """The step of the last checkpoint that was written here, whether it is still there or not."""
        try:
            return int(json.loads((self.folder / "settings.json").read_bytes())["step"])
        except (OSError, ValueError, KeyError, TypeError):
            return -1

    def _say_unused(self, path, place, error):
        say(f"{self.model_name}: {path.name}{place} is not used: {reason(error)}.")

    def _best(self, digest: str) -> bytes:
        """The file of the best weights, from wherever it is whole. Raises `Damaged`."""
        for path in [*_listed(self.folder, "best-*.npz"), *_listed(self._kept, "best-*.npz")]:
            with contextlib.suppress(OSError, Damaged):
                data = path.read_bytes()
                if digest_of(data) == digest:
                    unpack(data)
                    return data
        raise Damaged("the best weights that belong to it are missing or damaged")

    def _refuse_other(self, then: dict, now: dict):
        words = {"split": "another split of the photos", "prior": "another prior"}
        differences = [
            words.get(name, f"{name} {then.get(name, 'unknown')!r} (now {now.get(name, 'unknown')!r})")
            for name in sorted({*then, *now})
            if then.get(name) != now.get(name)
        ]
        if differences:
            where = f"runs/{self.model_name} in {self.folder.parents[1].name}"
            where += f" and in {checkpoint.shown(self.keep_folder)}" if self.keep_folder else ""
            raise ColorlibError(
                f"{self.model_name} was trained with {', '.join(differences)}: that cannot be continued. Go back to "
                f"it, choose another results folder (COLORLIB_RESULTS), or forget it by deleting {where}."
            )


class Keeper:
    """Writes a run's checkpoints and hands them to the copier. A disk that fails is said, and stops no training."""

    def __init__(self, run: Run, state: State, found: Found | None = None):
        self.run, self.state = run, state
        self.best_data = found.best_data if found else b""
        self._copier = Copier(run.keep_folder, run.model_name) if run.keep_folder else None
        self._best_written = False
        # What lies beyond the state is damaged, or was never reached by the checkpoint that we go on from.
        beyond = {"checkpoint-*.npz": state.step if found else -1, "best-*.npz": state.best_epoch}
        for pattern, last in beyond.items():
            for path in run.folder.glob(pattern):
                if int(path.stem.split("-")[1]) > last:
                    path.unlink()
        for path in run.folder.glob(".*.part"):
            path.unlink()
        if found:
            self._store(found.data, there=not found.place)

    def __enter__(self) -> "Keeper":
        return self

    def __exit__(self, kind, error, trace) -> None:
        """Wait for the second folder to catch up, and say so if it does not; not when a reader wants to stop."""
        if self._copier and not self._copier.close(0.0) and (kind is None or issubclass(kind, Exception)):
            folder, name = checkpoint.shown(self.run.keep_folder), self.run.model_name
            say(f"{name}: the last checkpoint is being copied to {folder} …")
            if not self._copier.close(FINAL_COPY_SECONDS if kind is None else FAILED_COPY_SECONDS):
                say(
                    f"{name}: the last checkpoint is NOT in {folder}, and may be lost with this session. "
                    f"See that {folder} can be reached and has room, then train again: only the copy is made."
                )

    def save_best(self, arrays: dict) -> None:
        """Take these variables for the best so far; they are written with the next checkpoint."""
        self.best_data = pack({"epoch": self.state.best_epoch}, arrays)
        self.state.best_digest = digest_of(self.best_data)
        self._best_written = False

    def save(self, arrays: dict) -> bool:
        """Write a checkpoint of the state and these variables. Tells whether that went well."""
        self.state.saved = time.time()
        return self._store(pack(dataclasses.asdict(self.state), arrays))

    def _store(self, data, there=False):
        folder, name = self.run.folder, self.run.model_name
        try:
            if self.best_data and not self._best_written:
                for again in ("", "-again"):  # without them no checkpoint could be used
                    write_whole(folder / f"best-{self.state.best_epoch:04d}{again}.npz", self.best_data)
                self._best_written = True
            if not there:
                write_whole(folder / f"checkpoint-{self.state.step:08d}.npz", data)
            for pattern, kept in (("checkpoint-*.npz", 2), ("best-*.npz", 4)):
                for path in sorted(folder.glob(pattern))[:-kept]:
                    path.unlink()
            self._export()
            written = True
        except OSError as error:
            say(f"{name}: no checkpoint could be written: {reason(error)}. Training goes on; make room for the next.")
            written = False
        if self._copier:
            meta = {"step": self.state.step, "finished": self.state.finished, "identity": self.state.identity}
            self._copier.offer(meta, data, self.best_data)
        return written

    def _export(self):
        table = io.StringIO()
        writer = csv.DictWriter(table, HISTORY_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.state.history)
        write_whole(self.run.folder / "history.csv", table.getvalue().encode())
        about = {"step": self.state.step, "identity": self.state.identity, "settings": self.state.settings}
        write_whole(self.run.folder / "settings.json", json.dumps(about, indent=1).encode())


def build(model_name: str, settings: Settings) -> keras.Model:
    """The model that one of `MODELS` trains, not yet trained, under the settings' dtype policy."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(settings.dtype)
    backbone = settings.backbone_of(model_name)
    try:
        return models.build_colorizer(
            backbone,
            weights=settings.weights,
            image_size=settings.image_size,
            dropout=settings.dropout if model_name == "efficientnet" else 0.0,
            backbone_dtype=half_precision(backbone) if settings.form == "fast" else None,
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


def snapshot(model: keras.Model, others: dict | None = None) -> dict:
    """The values of all that training changes, by name: the model's, and other variables such as the optimizer's."""
    values = {name: keras.ops.convert_to_numpy(variable) for name, variable in _variables(model, others).items()}
    return {"backbone": _first_numbers(model), **values}


def restore(model: keras.Model, arrays: dict, model_name: str, others: dict | None = None) -> None:
    """The inverse of `snapshot`. Raises `ColorlibError` naming the first difference to another architecture."""
    variables = _variables(model, others)
    for name, variable in variables.items():
        if name not in arrays or tuple(arrays[name].shape) != tuple(variable.shape):
            then = tuple(arrays[name].shape) if name in arrays else "missing"
            raise ColorlibError(
                f"The checkpoint of {model_name} is of another architecture: {name} is {then} in it and "
                f"{tuple(variable.shape)} in the model."
            )
    if unknown := sorted(arrays.keys() - variables.keys() - {"backbone"}) if others else ():
        raise ColorlibError(f"The checkpoint of {model_name} is of another architecture: it has {unknown[0]} besides.")
    now = _first_numbers(model)
    if now.shape != arrays["backbone"].shape or not np.allclose(now, arrays["backbone"], rtol=1e-3, atol=1e-6):
        raise ColorlibError(f"The checkpoint of {model_name} stands on a backbone with other weights than the model's.")
    for name, variable in variables.items():
        variable.assign(arrays[name])


def _variables(model, others):
    trained = {f"model/{name}": variable for name, variable in models.trained_variables(model).items()}
    return {**trained, **(others or {})}


def _first_numbers(model):
    """Of each variable of the frozen backbone the first numbers: enough to tell one backbone from another."""
    return np.concatenate([keras.ops.convert_to_numpy(v).ravel()[:4] for v in model.get_layer("backbone").weights])


def list_runs(settings: Settings) -> list[Run]:
    """The runs in the results folder, and in the second one, that have begun."""
    return [run for run in (Run(settings, name) for name in MODELS) if run.state != "missing"]


def table(settings: Settings) -> str:
    """`list_runs` as text: model, state, epochs done, best loss, size and age."""
    lines = [f"{'model':14}{'state':12}{'epochs':>8}{'best epoch':>12}{'best loss':>11}{'MB':>8}  last checkpoint"]
    for run in list_runs(settings):
        rows, best = run.history, run.best_epoch
        loss = f"{rows[best - 1]['val_loss']:.5f}" if best else "-"
        epochs = f"{len(rows)}/{run.settings.epochs}"
        size = f"{run.bytes / 1e6:.1f}"
        lines.append(
            f"{run.model_name:14}{run.state:12}{epochs:>8}{best or '-':>12}{loss:>11}{size:>8}  {ago(run.age)}"
        )
    return (
        "\n".join(lines)
        if len(lines) > 1
        else "No model has been trained yet. Begin with: python -m colorlib train baseline"
    )


def ago(seconds: float) -> str:
    """A span of time that ends now, for a reader: "12 minutes ago"."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {unit}{'s' if count > 1 else ''} ago"
    return "just now"


def _settings_of(state: State, today: Settings) -> Settings:
    known = {field.name for field in dataclasses.fields(Settings)}
    return today.replace(**{name: value for name, value in state.settings.items() if name in known})


def _listed(folder: Path | None, pattern: str) -> list[Path]:
    """The files of a folder that may be missing, or out of reach for now (which `Run.newest` says)."""
    try:
        return sorted(folder.glob(pattern)) if folder else []
    except OSError:
        return []
