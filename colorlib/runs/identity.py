"""What two trainings must share, so that one can go on from the other's checkpoint."""

import hashlib
import inspect
import json

import numpy as np

from colorlib.settings import Settings
from colorlib.sources import weights

# The settings that change a model's numbers. All others may differ between two sessions of one training.
_ALWAYS = (
    *("image_size", "batch_size", "crop", "aging", "flip", "rotation", "upright_epochs", "form", "dtype"),
    *("epochs", "learning_rate", "patience", "seed"),
)
SETTINGS = {
    "baseline": (*_ALWAYS, "backbone"),
    "rebalanced": (*_ALWAYS, "backbone", "bin_width", "sigma", "lambda_"),
    "efficientnet": (*_ALWAYS, "efficientnet", "dropout"),
    "vivid": (*_ALWAYS, "efficientnet", "dropout", "backbone_rate"),
}
_WORDS = {"split": "another split of the photos", "prior": "another prior"}


def identity_of(
    model_name: str, settings: Settings, split_checksum: str, prior=None, loss=None, replicas: int = 1
) -> dict:
    """What a training's numbers depend on, as JSON: settings by name, and checksums of what they stand for.

    loss: one of the reader's own, in place of the model's; its class, its configuration and its source count. Raises
    `ColorlibError` where that source cannot be read.
    """
    return {
        "model": model_name,
        **{name: getattr(settings, name) for name in SETTINGS[model_name]},
        "weights": weights.resolve(settings.weights, settings.backbone_of(model_name)).sha256,
        "replicas": replicas,
        "split": split_checksum,
        "prior": _checksum_of_prior(prior) if prior is not None else "",
        "loss": _description(loss) if loss is not None else "",
    }


def differences(recorded: dict, identity: dict, given: frozenset) -> list[str]:
    """What differs between two identities, in words, both values named.

    A setting that is newer than the recorded identity was not yet there to differ, unless it is in `given`.
    """
    words = []
    for name in sorted({*recorded, *identity}):
        then, now = (each.get(name, "unknown") for each in (recorded, identity))
        if then != now and (name in recorded or name in given):
            words.append(_WORDS.get(name, f"{name} {then!r} (now {now!r})"))
    return words


def _checksum_of_prior(prior):
    choices = repr((prior.bin_width, prior.sigma, prior.lambda_)).encode()
    return hashlib.sha256(np.asarray(prior.counts, np.int64).tobytes() + choices).hexdigest()


def _description(loss):
    """Its class, its configuration, and the checksum of its functions' source: not of Keras' own.

    A reader's own loss may hold numbers that its `get_config` does not tell; and `inspect` cannot get the source of a
    class in a notebook's cell, but of its functions.
    """
    numbers = {name: np.asarray(value) for name, value in vars(loss).items()}
    numbers = {name: value.tolist() for name, value in numbers.items() if value.dtype.kind in "biuf"}
    configuration = numbers | loss.get_config() | {"name": ""}  # Keras counts the losses of a process in their names
    classes = [kind for kind in type(loss).__mro__ if not kind.__module__.startswith("keras.")]
    functions = [each for kind in classes for each in vars(kind).values() if inspect.isfunction(each)]
    try:
        source = "".join(map(inspect.getsource, functions))
    except OSError:  # typed at Python's prompt: there is none
        source = ""
    checksum = hashlib.sha256(source.encode()).hexdigest()
    return f"{type(loss).__name__} {json.dumps(configuration, sort_keys=True, default=str)}, source {checksum[:12]}"
