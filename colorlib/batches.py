"""Photographs to batches of (L, ab) with tf.data.

The order of the photos and the augmentation of each are functions of the seed and of the photo's place in the endless
training stream, so that any step can be had without computing the ones before it. A photo goes through

    decode -> crop -> resize -> 8-bit RGB -> flip and rotate -> Lab
"""

import contextlib
import functools
import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from colorlib import ColorlibError, lab

_LARGEST_SHRINKING = 2 / 3  # below this scale a photo is antialiased; above it plain interpolation already is


def steps_per_epoch(split, settings, part: str = "train") -> int:
    """How many batches show each photo of a part once; the last of them may be smaller."""
    return -(-len(_paths(split, part)) // settings.batch_size)


def training(split, settings, first_step: int = 0, rgb: bool = False) -> tf.data.Dataset:
    """The endless training stream, from step `first_step` on.

    Gives (L / 100, ab / 128), float32 (batch, size, size, 1) and (batch, size, size, 2), size = settings.image_size.
    Epoch e is the steps e·s … e·s + s - 1, s = `steps_per_epoch(split, settings)`: each photo once, in an order of its
    own. Before Lab, photos are cut to a window at random (settings.crop, the least share of its sides), flipped with
    p = 0.5 (settings.flip) and rotated by a uniform angle of ± settings.rotation degrees with reflected borders. The
    last settings.upright_epochs, at most half of all, rotate nothing: a rotated photo is a little blurred, and a model
    whose batch normalisation knows blurred photos alone is worse on sharp ones (MiniPlaces: validation MSE 0.00899,
    and 0.00892 with the statistics of sharp photos).

    rgb: give uint8 RGB (batch, size, size, 3) in place of (L, ab), where Lab is left to an accelerator.
    Raises `ColorlibError` for an empty split. A photo that cannot be read shows when its batch is asked for: see
    `photo_errors`.
    """
    count, batch = len(_paths(split, "train")), settings.batch_size
    epoch, step = divmod(first_step, steps_per_epoch(split, settings))
    paths = tf.constant(_paths(split, "train"))
    upright = min(settings.upright_epochs, settings.epochs // 2)
    upright_from = count * (settings.epochs - upright) if upright else tf.int64.max

    def photo(k):
        image = _cropped(pixels(paths[_index(k, count, settings.seed)]), k, settings)
        return k, _augmented(_squeezed(image, settings.image_size), k, settings, k < upright_from)

    stream = tf.data.Dataset.counter(epoch * count + step * batch).map(photo, num_parallel_calls=os.cpu_count())
    stream = _epoch_batches(stream, count, batch)
    # After batching, so that 8-bit RGB is copied into the batch and not (L, ab), four times as large.
    finish = (lambda k, images: images) if rgb else functools.partial(_lesson, settings)
    return _running(stream.map(finish, num_parallel_calls=os.cpu_count()))


def evaluation(split, part: str, settings, batch_size: int | None = None, rgb: bool = False) -> tf.data.Dataset:
    """Each photo of a part once, in the split's order, without augmentation, in the form of `training`."""
    paths = tf.data.Dataset.from_tensor_slices(_paths(split, part))
    stream = paths.map(lambda path: _squeezed(pixels(path), settings.image_size), num_parallel_calls=os.cpu_count())
    stream = stream.batch(batch_size or settings.batch_size)
    return _running(stream if rgb else stream.map(_model_input, num_parallel_calls=os.cpu_count()))


def paths_of_step(split, settings, step: int) -> list[str]:
    """The photos of a training step, in the order in which they stand in its batch."""
    paths, batch = _paths(split, "train"), settings.batch_size
    epoch, step = divmod(step, steps_per_epoch(split, settings))
    places = epoch * len(paths) + np.arange(step * batch, min((step + 1) * batch, len(paths)), dtype=np.int64)
    return [paths[int(_index(k, len(paths), settings.seed))] for k in places]


def _paths(split, part: str) -> list[str]:
    paths = split.paths(part)
    if not paths:
        raise ColorlibError(f"The {part} part of the split of {split.dataset} has no photos; make the split again.")
    return paths


def _index(k, count: int, seed: int):
    """Which photo stands at place k of the endless stream: a permutation of its own for each epoch, never stored."""
    seed_of_epoch = tf.stack([tf.constant(seed, tf.int64), k // count])
    return tf.random.experimental.index_shuffle(k % count, seed_of_epoch, count - 1)


def _epoch_batches(stream, count: int, batch: int) -> tf.data.Dataset:
    """Batches of a stream of (k, photo) that never reach over the end of an epoch of `count` photos."""
    if count % batch == 0:
        return stream.batch(batch, drop_remainder=True)
    rest = count % batch
    return stream.group_by_window(
        key_func=lambda k, photo: tf.cast(k % count >= count - rest, tf.int64),
        reduce_func=lambda last, window: window.batch(batch),
        window_size_func=lambda last: tf.where(last == 1, tf.constant(rest, tf.int64), batch),
    )


def _running(dataset) -> tf.data.Dataset:
    return dataset.prefetch(2).with_options(options())


def options() -> tf.data.Options:
    """In order, one core a photo, and nothing tuned while it runs.

    The tuner's thread looks again after 10, 20, 40 … milliseconds, and a stream that ends waits until it has: up to
    half of a short pass over the photos is that wait. One photo shared out over several cores gains less than it costs.
    """
    options = tf.data.Options()
    options.deterministic = True
    options.autotune.enabled = False
    options.threading.max_intra_op_parallelism = 1
    return options


@contextlib.contextmanager
def photo_errors(paths):
    """A context to ask for photos in. Where one of them is gone or damaged since the split was made, it ends with a
    `ColorlibError` that names the photo and says what to do, in place of TensorFlow's, which names a node of its graph.

    Only then it reads the photos one by one, to find the one.
    """
    try:
        yield
    except tf.errors.OpError as error:
        if "IteratorGetNext" in str(error):  # of a stream, and not of a model
            for path in paths:
                _require_readable(path)
        raise


def _require_readable(path: str) -> None:
    try:
        Path(path).open("rb").close()  # whose error has the plainer text
        pixels(path)
    except (OSError, tf.errors.OpError) as error:
        reason = getattr(error, "strerror", "TensorFlow cannot decode it")
        advice = "Put it back, or remove it and start again: it is fetched anew, or your folder is split without it"
        raise ColorlibError(f"The photo {path} cannot be read: {reason}. {advice}.") from None


def pixels(path):
    """uint8 RGB (height, width, 3) of a JPEG or PNG file.

    INTEGER_ACCURATE agrees with Pillow to the last bit; TensorFlow's default is off by up to six levels.
    """
    return tf.io.decode_jpeg(tf.io.read_file(path), channels=3, dct_method="INTEGER_ACCURATE")


def _squeezed(image, size: int):
    """A photo, uint8 (height, width, 3), squeezed to a square: uint8 (size, size, 3)."""
    longer = tf.cast(tf.reduce_max(tf.shape(image)[:2]), tf.float32)
    resize = functools.partial(tf.image.resize, image, (size, size))
    image = tf.cond(size < _LARGEST_SHRINKING * longer, lambda: resize(antialias=True), resize)
    return tf.ensure_shape(_to_8_bit(image), (size, size, 3))


def _cropped(image, k, settings):
    """A window at random of uint8 RGB (h, w, 3), by (seed, k) alone: settings.crop to 1 of both sides."""
    if settings.crop == 1:
        return image
    seed = tf.stack([tf.constant(~settings.seed, tf.int64), k])  # another one than the turn's and the flip's
    share, top, left = tf.unstack(tf.random.stateless_uniform([3], seed, alg="philox"))
    whole = tf.cast(tf.shape(image)[:2], tf.float32)
    window = tf.maximum(tf.floor((settings.crop + (1 - settings.crop) * share) * whole), 1)
    corner = tf.floor(tf.stack([top, left]) * (whole - window + 1))
    (top, left), (height, width) = (tf.unstack(tf.cast(pair, tf.int32)) for pair in (corner, window))
    return image[top : top + height, left : left + width]


def _to_8_bit(image):
    return tf.cast(image + 0.5, tf.uint8)


def _augmented(image, k, settings, rotates):
    """Flipped and, where it is wanted, rotated at random: two numbers in [0, 1) that depend on (seed, k) alone."""
    draw = tf.random.stateless_uniform([2], tf.stack([tf.constant(settings.seed, tf.int64), k]), alg="philox")
    if settings.flip:
        image = tf.cond(draw[0] < 0.5, lambda: tf.reverse(image, [1]), lambda: image)
    if settings.rotation:
        angle = (2 * draw[1] - 1) * np.pi / 180 * settings.rotation
        image = tf.cond(rotates, lambda: rotated(image, angle), lambda: image)
    return image


@tf.function(jit_compile=True)
def rotated(image, angle):
    """uint8 RGB (size, size, 3) turned by an angle in radians about its middle; what lies outside is reflected.

    Bilinear between the four pixels about each place, gathered by their numbers: compiled, a quarter of the time of
    TensorFlow's ImageProjectiveTransform, which it agrees with to one level where a rounding falls the other way.
    """
    size = image.shape[0]
    pixels = tf.reshape(image, (size * size, 3))
    cosine, sine = tf.cos(angle), tf.sin(angle)
    away = tf.range(size, dtype=tf.float32) - (size - 1) / 2  # from the middle
    x = cosine * away - sine * away[:, None] + (size - 1) / 2
    y = sine * away + cosine * away[:, None] + (size - 1) / 2
    left, top = tf.floor(x), tf.floor(y)
    right_share, lower_share = (x - left)[..., None], (y - top)[..., None]

    def inside(place):  # mirrored, the border pixel twice: -1 is 0 and `size` is size - 1
        place = tf.maximum(place, -1 - place)
        return tf.minimum(place, 2 * size - 1 - place)

    def color(y, x):
        return tf.cast(tf.gather(pixels, inside(y) * size + inside(x)), tf.float32)

    def row(y):
        start = color(y, columns)
        return start + (color(y, columns + 1) - start) * right_share

    columns, rows = tf.cast(left, tf.int32), tf.cast(top, tf.int32)
    upper, lower = row(rows), row(rows + 1)
    return _to_8_bit(upper + (lower - upper) * lower_share)


@tf.function(jit_compile=True)
def _model_input(image):
    """(L, ab) of uint8 RGB. Compiled, the two dozen steps of Lab pass over the pixels once, not two dozen times."""
    return lab.split(lab.rgb_to_lab(tf.cast(image, tf.float32) / 255.0))


def _lesson(settings, k, images):
    """(L, ab) of a batch of a training: the lightness aged where it is wanted, the colors as they are."""
    L, ab = _model_input(images)
    return _aged(L, k[0], settings) if settings.aging else L, ab


def _aged(L, k, settings):
    """L of a batch as an old print's, by (seed, k) alone: of each photo another gamma, less contrast, a faded black,
    grain. settings.aging = 1 spreads the logarithm of gamma by 0.3, halves the contrast at most, and sets grain up to
    5 units of L."""
    seed = tf.stack([tf.constant(settings.seed + 2**32, tf.int64), k])  # another one than the turn's and the window's
    gamma = tf.random.stateless_normal((tf.shape(L)[0], 1, 1, 1), seed, alg="philox")
    fade, black, grain = tf.unstack(tf.random.stateless_uniform((3, tf.shape(L)[0], 1, 1, 1), seed + 1, alg="philox"))
    grain *= tf.random.stateless_normal(tf.shape(L), seed + 2, alg="philox")
    fade *= 0.5 * settings.aging
    L = tf.maximum(L, 1e-3) ** tf.exp(0.3 * settings.aging * gamma) * (1 - fade) + fade * black
    return tf.clip_by_value(L + 0.05 * settings.aging * grain, 0, 1)
