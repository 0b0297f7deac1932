"""Trainings killed at random moments, and checkpoints damaged in every way: prints one JSON object a figure.

    python tests/benchmarks/resume.py [--kills 120] [--only kills,damage,sizes] [--cases 01234] [--seed 1]

Each training runs in a process of its own, forked from this one, which has imported TensorFlow (once for all) but
never runs any of it: a fork of a process that has would wait forever for threads that it does not have. It is ended by
SIGKILL: while it starts, while it trains, and in the middle of a write, which a slow writer makes long enough to be
hit. It is started again by the same call until it ends, and must then equal the uninterrupted training to the last bit:
weights, optimizer, sums, early stopping's memory, history.csv. In the cases with a second folder ("Drive"), every other
kill also takes the local disk away, as the end of a Colab session does.
"""

import argparse
import json
import mmap
import os
import random
import shutil
import signal
import struct
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[1])]

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tiny_run  # noqa: E402

from colorlib import models, runs, settings, training  # noqa: E402
from colorlib.runs import checkpoint  # noqa: E402
from colorlib.runs.checkpoint import State  # noqa: E402
from colorlib.runs.identity import identity_of  # noqa: E402
from colorlib.runs.run import Keeper, snapshot, variables_of  # noqa: E402
from colorlib.sources import files  # noqa: E402

CASES = (  # model, changed settings, with a second folder, share of the kills
    ("baseline", {}, False, 0.25),
    ("rebalanced", {}, True, 0.25),
    ("efficientnet", {}, False, 0.25),
    ("efficientnet", {"efficientnet": "efficientnetb0", "patience": 1}, True, 0.1),
    ("baseline", {"dtype": "mixed_float16"}, False, 0.15),
)
PATIENCE = 900.0  # seconds without a step or a write, after which a training hangs, on a busy machine as well


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=120)
    parser.add_argument("--only", default="kills,damage,sizes")
    parser.add_argument("--cases", default="01234", help="of CASES, those that are killed: the long part in pieces")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        parts = options.only.split(",")
        if "kills" in parts:  # first: a process that has used TensorFlow can no longer be forked
            kills(Path(folder), options)
        if "damage" in parts:
            damage(Path(folder), random.Random(options.seed))
        if "sizes" in parts:
            sizes(Path(folder))


def tell(figure, value, **bound):
    print(json.dumps({"figure": figure, "value": value, **bound}), flush=True)


class Watch:
    """What a training process tells this one while it lives: numbers in memory that both share."""

    NAMES = ("begun", "step", "writing")

    def __init__(self):
        self.memory = mmap.mmap(-1, 8 * len(self.NAMES))
        self.reset()

    def reset(self):
        for name in self.NAMES:
            self[name] = -1

    def __setitem__(self, name, value):
        struct.pack_into("q", self.memory, 8 * self.NAMES.index(name), value)

    def __getitem__(self, name):
        return struct.unpack_from("q", self.memory, 8 * self.NAMES.index(name))[0]


def fork_training(watch, log, model, chosen, split, prior):
    """Start a training in a process of its own, with a slow writer. Returns its id."""
    process = os.fork()
    if process:
        return process
    try:
        with log.open("a") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        observe(watch)
        training.train(model, chosen, split, prior, progress=False)
        os._exit(0)
    finally:
        import traceback

        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)


def observe(watch):
    """In the training process: tell where it stands, and write slowly."""
    begin, step = training._Bookkeeper.__init__, training._Bookkeeper.on_train_batch_end

    def told_begin(self, *arguments):
        watch["begun"] = arguments[0].state.step  # the keeper's
        begin(self, *arguments)

    def told_step(self, batch, logs=None):
        step(self, batch, logs)
        watch["step"] = self.state.step

    def slow_write(path, data):
        """In place: as `checkpoint.rewrite`, or, of a file aside, as `files.write_whole`."""
        watch["writing"] = 1
        with path.open("wb") as file:
            for part in range(0, len(data), size := max(1, len(data) // 6)):
                file.write(data[part : part + size])
                file.flush()
                time.sleep(0.02)
            os.fsync(file.fileno())
        watch["writing"] = 0

    def slow_whole(path, data):
        with files.aside(path) as part:
            slow_write(part, data)

    training._Bookkeeper.__init__, training._Bookkeeper.on_train_batch_end = told_begin, told_step
    checkpoint.rewrite, files.write_whole = slow_write, slow_whole


def wait_and_kill(process, watch, chance, log):
    """Kill a training at a moment that `chance` picks. Returns "start", "step" or "write", or "" if it had ended."""
    kind = chance.choices(("start", "step", "write"), (1, 5, 4))[0]
    if kind == "start":
        hold(process, lambda: False, chance.uniform(0, 3))
    else:
        steps = chance.randrange(1, 6)
        if not hold(process, lambda: watch["step"] >= watch["begun"] + steps > 0, PATIENCE):
            give_up(process, log)
        if kind == "write":
            hold(process, lambda: watch["writing"] == 1, 10)
        time.sleep(chance.uniform(0, 0.15))
    writing = watch["writing"] == 1
    os.kill(process, signal.SIGKILL)
    _, status = os.waitpid(process, 0)
    if os.WIFSIGNALED(status):
        return "write" if writing else kind if kind == "start" else "step"
    if os.WEXITSTATUS(status):
        raise SystemExit(f"A training failed:\n{log.read_text()[-3000:]}")
    return ""


def wait_for(process, log):
    """Let a training end."""
    if not hold(process, lambda: False, PATIENCE):
        give_up(process, log)
    if os.waitpid(process, 0)[1]:
        raise SystemExit(f"A training failed:\n{log.read_text()[-3000:]}")
    return ""


def hold(process, reached, seconds):
    """Wait until something is reached or the process has ended (it stays to be waited for). False: the time is over."""
    end = time.monotonic() + seconds
    while not reached() and not os.waitid(os.P_PID, process, os.WEXITED | os.WNOHANG | os.WNOWAIT):
        if time.monotonic() > end:
            return False
        time.sleep(0.002)
    return True


def give_up(process, log):
    os.kill(process, signal.SIGKILL)
    os.waitpid(process, 0)
    raise SystemExit(f"A training hung for {PATIENCE:.0f} s:\n{log.read_text()[-3000:]}")


def kills(folder, options):
    chance = random.Random(options.seed)
    split = tiny_run.make_split(folder, train=26)
    base = tiny_run.make_settings(folder, epochs=4)
    prior = tiny_run.make_prior(split, base)
    count = {"start": 0, "step": 0, "write": 0}
    lost, endings, different, resumes, wiped, goal = [], 0, [], 0, 0, 0.0
    asked = [(int(number), CASES[int(number)]) for number in options.cases]
    total = sum(case[-1] for _, case in asked)
    for number, (model, changes, drive, share) in asked:
        watch, log = Watch(), folder / f"{number}.log"
        reference = base.replace(results_folder=folder / f"{number}-whole", **changes)
        wait_for(fork_training(watch, log, model, reference, split, prior), log)
        goal += options.kills * share / total
        while sum(count.values()) < round(goal):
            home = folder / f"{number}-{endings}"
            (home / "drive").mkdir(parents=True)
            kept = {"keep_folder": home / "drive"} if drive else {}
            chosen = base.replace(results_folder=home / "local", **changes, **kept)
            reached, disk_lost = 0, False
            while True:  # one training, killed and started again until it ends
                watch.reset()
                process = fork_training(watch, log, model, chosen, split, prior)
                enough = sum(count.values()) >= round(goal)
                kind = wait_for(process, log) if enough else wait_and_kill(process, watch, chance, log)
                if reached and watch["begun"] >= 0:
                    lost.append((max(0, reached - watch["begun"]), disk_lost))
                    reached, disk_lost = watch["begun"], False
                resumes += watch["begun"] > 0
                if not kind:
                    break
                count[kind] += 1
                reached = max(watch["step"], watch["begun"], reached)
                if drive and chance.random() < 0.5:  # the session's disk is gone
                    disk_lost = True
                    shutil.rmtree(home / "local", ignore_errors=True)
                    wiped += 1
            endings += 1
            pair = (tiny_run.ending(runs.Run(s, model)) for s in (reference, chosen))
            if found := tiny_run.differences(*pair):
                different.append([model, changes, found[:5]])
            print(f"{model} {changes}: {sum(count.values())} kills, {endings} ends", file=sys.stderr, flush=True)
            shutil.rmtree(home)
    tell("kills", sum(count.values()), at_least=options.kills)
    for kind, words in (("start", "while starting"), ("step", "between writes"), ("write", "in the middle of a write")):
        tell(f"kills {words}", count[kind])
    tell("kills that also took the local disk", wiped)
    tell("trainings brought to their end", endings)
    tell("resumes from a checkpoint", resumes)
    tell("trainings that differ from the uninterrupted one", len(different), at_most=0, which=different)
    for gone, words in ((False, "a checkpoint every 2 steps"), (True, "the local disk lost as well, from the copy")):
        steps = [steps for steps, disk_lost in lost if disk_lost == gone]
        tell(f"lost steps, largest ({words})", max(steps, default=0))
        tell(f"lost steps, mean ({words})", round(float(np.mean(steps or [0])), 2))


def damage(folder, chance):
    """Every kind of damage to a checkpoint: cut short at any length, bits flipped, bytes of another one."""
    arrays = {f"layer{i}/kernel": np.random.default_rng(i).normal(size=(40, 40)).astype("float32") for i in range(30)}
    good = checkpoint.pack(State({}, {}, step=1, history=[{"loss": 0.1}]), arrays)
    other = checkpoint.pack(State({}, {}, step=2, history=[{"loss": 0.2}]), {n: a + 1 for n, a in arrays.items()})
    taken, tried = 0, 0

    def attempt(data):
        nonlocal taken, tried
        tried += 1
        try:
            checkpoint.verify(data)
            taken += 1
        except checkpoint.Unusable:
            pass

    for length in range(10 * 1024):
        attempt(good[:length])
    for length in (chance.randrange(10 * 1024, len(good)) for _ in range(2000)):
        attempt(good[:length])
    tell("cuts tried", tried)
    for _ in range(4000):
        flipped = bytearray(good)
        flipped[chance.randrange(len(good))] ^= 1 << chance.randrange(8)
        attempt(bytes(flipped))
    for length in (chance.randrange(1, len(good)) for _ in range(500)):  # rewritten in place, and interrupted
        attempt(other[:length] + good[length:])
    checkpoint.verify(good)
    tell("damaged files tried", tried, at_least=16_740)
    tell("damaged files taken for good", taken, at_most=0)


def sizes(folder):
    """Bytes and seconds of a checkpoint of the models at full size, random weights."""
    for name in ("efficientnetb7", "vgg16"):
        chosen = settings.load("paper", weights="none", backbone=name, efficientnet=name, results_folder=folder / name)
        model_name = "efficientnet" if name == "efficientnetb7" else "baseline"
        model = runs.build(model_name, chosen)
        model.compile("adam", "mse")
        model.optimizer.build(model.trainable_variables)
        variables = variables_of(model) | {f"optimizer/{i}": v for i, v in enumerate(model.optimizer.variables)}
        run = runs.Run(chosen, model_name)
        run.folder.mkdir(parents=True)
        state = State(identity_of(model_name, chosen, "0" * 64), {}, steps_per_epoch=1, step=1, best_epoch=1)
        keeper = Keeper(run, state)
        keeper.save(snapshot(variables), is_best=True)
        begin = time.perf_counter()
        keeper.save(snapshot(variables))  # the largest: later than the best epoch, whose weights it holds as well
        seconds = time.perf_counter() - begin
        trainable = sum(int(np.prod(v.shape)) for v in model.trainable_variables)
        trained = sum(int(np.prod(v.shape)) for v in models.trained_variables(model).values())
        model.save(folder / "whole.keras")
        whole = (folder / "whole.keras").stat().st_size
        tell(f"{name}: trainable parameters", trainable)
        size, largest = ((run.folder / f"checkpoint-{slot}.npz").stat().st_size for slot in "ab")
        tell(f"{name}: bytes of a checkpoint, after the best epoch and later", [size, largest])
        tell(
            f"{name}: checkpoint after the best epoch / (4 bytes × (3 × trainable + statistics))",
            round(size / (4 * (2 * trainable + trained)), 4),
            at_most=1.05,
        )
        tell(
            f"{name}: a later checkpoint / (4 bytes × (4 × trainable + 2 × statistics))",
            round(largest / (4 * (2 * trainable + 2 * trained)), 4),
            at_most=1.05,
        )
        tell(
            f"{name}: checkpoint after the best epoch / Keras' whole-model file",
            round(size / whole, 3),
            **({"at_most": 0.36} if "b7" in name else {}),
        )
        tell(
            f"{name}: a later one, the best epoch's weights beside / Keras' whole-model file", round(largest / whole, 3)
        )
        tell(f"{name}: seconds to write a checkpoint, the best weights included", round(seconds, 2))
        share = 100 * seconds / (60 * chosen.checkpoint_minutes)
        tell(f"{name}: % of the training time, every {chosen.checkpoint_minutes:g} minutes", round(share, 3), at_most=1)
        keras.backend.clear_session()
        del model, keeper, variables


if __name__ == "__main__":
    main()
