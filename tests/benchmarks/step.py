"""Photos a second of a training step at 224×224, as `training` takes it: through Keras' `fit`, with deterministic ops.

    step.py           (or "compare") the paper's form, the best path and its bare parts, both backbones, batch 8 and 32
    step.py levers    each lever alone, over the paper's form, batch 8
    step.py gpu       the forms on whatever accelerator Keras' backend sees (KERAS_BACKEND=jax), fed as arrays

"Plain" is the paper's form: float32, the head at full size, the ladder as wide as its taps. "Best" is form="fast". The
bare parts of a step are the frozen forward pass, and the ladder forward and backward with Adam. Backbones have random
weights: they are as fast as trained ones.
"""

import sys
import time

import _measure  # noqa: F401  (makes colorlib importable, and TensorFlow quiet)
import keras
import numpy as np
from _measure import rates, tell, tell_rate, tell_ratio

from colorlib import batches, losses, models
from colorlib.settings import FORMS

SIZE = 224
BACKBONES = ("vgg16", "efficientnetb7")
LEVERS = {  # arguments of `build_colorizer` beyond the plain form
    "head at half size": {"head_stride": 2},
    "head at quarter size": {"head_stride": 4},
    "light ladder": {"widths": FORMS["fast"]["widths"]},
    "light ladder, head at half size": {"head_stride": 2, "widths": FORMS["fast"]["widths"]},
    "bfloat16 in the frozen backbone": {"backbone_dtype": "mixed_bfloat16"},
}


def photos(batch: int):
    generator = np.random.default_rng(0)
    L = generator.random((batch, SIZE, SIZE, 1), np.float32)
    return L, 0.1 * generator.random((batch, SIZE, SIZE, 2), np.float32)


def stepper(model, batch: int, steps: int, metrics=None):
    """An action for `rates`: so many training steps through `fit`, all on the same photos."""
    import tensorflow as tf

    model.compile(keras.optimizers.Adam(1e-3), losses.for_model("baseline"), metrics=metrics or losses.metrics())
    data = tf.data.Dataset.from_tensors(photos(batch)).cache().repeat().with_options(batches.options())

    def action():
        model.fit(data, steps_per_epoch=steps, verbose=0)
        return steps * batch

    return action


def bare_parts(backbone: str, form: dict, batch: int, steps: int) -> dict:
    """The two parts of a step, each an action: the frozen forward pass, and the ladder's training on its features."""
    import tensorflow as tf

    model = models.build_colorizer(backbone, None, SIZE, **form)
    L, ab = map(tf.constant, photos(batch))
    frozen = keras.Model(model.input, model.get_layer("backbone")(model.get_layer("prepared").output))
    forward = tf.function(lambda: frozen(L, training=False))
    features = forward()
    taps = [keras.Input(tap.shape[1:], dtype=tap.dtype) for tap in features]
    stride, coarsest = form.get("head_stride", 1), SIZE // taps[-1].shape[1]
    top = models._ladder(taps, 0.0, coarsest, stride, form.get("widths"))
    ladder = keras.Model(taps, models._head(top, stride))
    optimizer = keras.optimizers.Adam(1e-3)
    optimizer.build(ladder.trainable_variables)

    @tf.function
    def learn():
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean((ladder(features, training=True) - ab) ** 2)
        optimizer.apply(tape.gradient(loss, ladder.trainable_variables), ladder.trainable_variables)
        return loss

    def repeated(function):
        def action():
            for _ in range(steps):
                result = function()
            np.asarray(result[-1] if isinstance(result, list | tuple) else result)
            return steps * batch

        return action

    return {"forward": repeated(forward), "ladder": repeated(learn)}


def best_form(backbone: str) -> dict:
    return {**FORMS["fast"], "backbone_dtype": models.half_precision(backbone)}


def compare(batch: int, steps: int, rounds: int) -> None:
    actions = {}
    for backbone in BACKBONES:
        for name, form in (("plain", {}), ("best", best_form(backbone))):
            model = models.build_colorizer(backbone, None, SIZE, **form)
            actions[f"{backbone} {name}"] = stepper(model, batch, steps)
        for part, action in bare_parts(backbone, best_form(backbone), batch, steps).items():
            actions[f"{backbone} {part}"] = action
    found = rates(actions, rounds)
    for name in actions:
        tell_rate(f"batch {batch}: {name}, photos a second", found, name)
    for name in ("plain", "best"):
        figure = f"batch {batch}: EfficientNetB7 over VGG-16, {name}"
        tell_ratio(figure, found, f"efficientnetb7 {name}", f"vgg16 {name}")
    for backbone, bar in (("vgg16", 2.5), ("efficientnetb7", 1.5)):
        figure = f"batch {batch}: {backbone}, best over plain"
        tell_ratio(figure, found, f"{backbone} best", f"{backbone} plain", at_least=bar)
        pairs = zip(found[f"{backbone} forward"], found[f"{backbone} ladder"], strict=True)
        found["parts"] = [tuple(1 / (1 / a + 1 / b) for a, b in zip(*pair, strict=True)) for pair in pairs]
        figure = f"batch {batch}: {backbone}, best over its bare parts"
        tell_ratio(figure, found, f"{backbone} best", "parts", at_least=0.9)


def levers(batch: int = 8, steps: int = 2, rounds: int = 3) -> None:
    """Each lever alone over the plain form, in turn with it."""
    for backbone in BACKBONES:
        actions = {"plain": stepper(models.build_colorizer(backbone, None, SIZE), batch, steps)}
        actions["with Keras' own accuracy"] = stepper(
            models.build_colorizer(backbone, None, SIZE), batch, steps, ["mse", "accuracy"]
        )
        for name, form in LEVERS.items():
            actions[name] = stepper(models.build_colorizer(backbone, None, SIZE, **form), batch, steps)
        actions |= {
            f"features kept, {k}": a for k, a in bare_parts(backbone, {}, batch, steps).items() if k == "ladder"
        }
        found = rates(actions, rounds)
        for name in list(actions)[1:]:
            tell_ratio(f"{backbone}, {name}, over plain", found, name, "plain")


def arrays(batch: int = 32, steps: int = 10) -> None:
    """The same forms through `train_on_batch` with arrays, on any backend of Keras and any accelerator."""
    print(f"backend {keras.backend.backend()}, devices {keras.distribution.list_devices()}", file=sys.stderr)
    for backbone in BACKBONES:
        for name, form in (("plain", {}), ("fast", FORMS["fast"])):
            for dtype in (None, "mixed_bfloat16"):
                model = models.build_colorizer(backbone, None, SIZE, backbone_dtype=dtype, **form)
                model.compile(keras.optimizers.Adam(1e-3), losses.for_model("baseline"))
                L, ab = photos(batch)
                for _ in range(3):
                    model.train_on_batch(L, ab)
                begin = time.perf_counter()
                for _ in range(steps):
                    model.train_on_batch(L, ab)
                rate = steps * batch / (time.perf_counter() - begin)
                tell(f"{backbone}, {name}, backbone in {dtype or 'float32'}, photos a second", rate)


if __name__ == "__main__":
    wanted = sys.argv[1:] or ["compare"]
    if wanted == ["gpu"]:
        arrays()
        sys.exit()
    import tensorflow as tf

    keras.utils.set_random_seed(1)
    tf.config.experimental.enable_op_determinism()  # as training does on a CPU
    if "compare" in wanted:
        compare(batch=8, steps=2, rounds=3)
        compare(batch=32, steps=1, rounds=2)
    if "levers" in wanted:
        levers()
