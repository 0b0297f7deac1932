"""A training so small that it can be killed a hundred times: what the tests and the benchmark of resuming share."""

import contextlib
import hashlib
import itertools
import json
from unittest import mock

import numpy as np
from PIL import Image

from colorlib import prior, settings, sources, training
from colorlib.sources import files

training._Bookkeeper._is_due = lambda self: self.state.step % 2 == 0  # in place of the clock

TIMES = {"seconds", "photos_per_second", "saved"}  # what an interrupted and an uninterrupted training may differ in


def make_split(folder, train=18, validation=6, seed=0):
    """A split of small colorful PNG files, made in `folder`."""
    home = folder / "photos"
    home.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(seed)
    photos = []
    for number in range(train + validation):
        corners = generator.integers(0, 256, (3, 3, 3), np.uint8)
        path = home / f"{number:03}.png"
        if not path.exists():  # another process may be training on it
            Image.fromarray(corners).resize((32, 32), Image.Resampling.BILINEAR).save(path)
        data = path.read_bytes()
        photos.append(sources.Photo(path.name, len(data), hashlib.sha256(data).hexdigest(), ""))
    return sources.Split("tiny", home, home, tuple(photos[:train]), tuple(photos[train:]), ())


def make_settings(folder, **changes):
    """A few steps of the smallest model, a checkpoint every second step."""
    fields = {
        **{"data_folder": folder / "data", "results_folder": folder / "results", "form": "fast"},
        **{"backbone": "mobilenet", "efficientnet": "mobilenet", "dropout": 0.3, "image_size": 32, "batch_size": 4},
        **{"epochs": 3, "patience": 2, "weights": "none"},
    }
    return settings.load("sample", **fields | changes)


def make_prior(split, chosen, seed=0):
    """A prior of made-up counts, mostly of near-gray colors. Made without TensorFlow, so that one may still fork."""
    away = np.abs(prior.centers(chosen.bin_width)) / 40
    counts = np.random.default_rng(seed).poisson(5000 * np.exp(-np.add.outer(away, away)))
    return prior.Prior(counts, chosen.bin_width, chosen.sigma, chosen.lambda_, split.checksum)


MOMENTS = {  # at which a training can be interrupted
    "step": (training._Bookkeeper, "on_train_batch_end"),
    "validation": (training._Bookkeeper, "on_test_begin"),
    "epoch": (training._Bookkeeper, "on_epoch_end"),
    "write": (files, "write_whole"),
}


@contextlib.contextmanager
def interrupting(moment, number, act):
    """Have `act` called after the number-th step, … or in the middle of the number-th write of a local file."""
    owner, name = MOMENTS[moment]
    real, calls = getattr(owner, name), itertools.count(1)

    def watched(*arguments, **options):
        due = next(calls) == number
        if due and moment == "write":
            path, data = arguments
            with files.aside(path) as part:
                part.write_bytes(data[: len(data) // 2])
                act()
        result = real(*arguments, **options)
        if due:
            act()
        return result

    with mock.patch.object(owner, name, watched):
        yield


def ending(run):
    """All that a training ends with, times aside, as comparable values: bytes of each array, state, history.csv."""
    newest = run.newest()
    state = json.loads(json.dumps(vars(newest.state)))
    for row in [state, *state["history"]]:
        for name in TIMES & row.keys():
            del row[name]
    rows = (run.folder / "history.csv").read_text().splitlines()
    table = [",".join(row.split(",")[:-2]) for row in rows]  # without the times, which come last
    arrays = {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in newest.arrays.items()}
    return {"arrays": arrays, "state": state, "table": table}


def differences(one, other):
    """What differs between two endings, in words; empty when they are equal to the last bit."""
    found = [f"state {key}" for key in one["state"] if one["state"][key] != other["state"].get(key)]
    found += ["history.csv"] if one["table"] != other["table"] else []
    names = one["arrays"].keys() | other["arrays"].keys()
    return found + sorted(name for name in names if one["arrays"].get(name) != other["arrays"].get(name))
