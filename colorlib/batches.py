"""Photographs to batches of (L, ab) with tf.data.

The order of the photos and the augmentation of each are functions of the seed and of the photo's place in the endless
training stream, so that any step can be had without computing the ones before it. A photo goes through

    decode -> resize -> 8-bit RGB (what the cache keeps) -> flip and rotate -> Lab

and because it is 8-bit RGB again after resizing, the batches are the same to the last bit with and without the cache.
"""

import functools
import os
import shutil

import numpy as np
import tensorflow as tf
from tqdm.auto import tqdm

from colorlib import ColorlibError, lab

_LARGEST_SHRINKING = 2 / 3  # below this scale a photo is antialiased; above it plain interpolation already is


def steps_per_epoch(split, settings, part: str = "train") -> int:
    """How many batches show each photo of a part once; the last of them may be smaller."""
    return -(-len(_paths(split, part)) // settings.batch_size)


def training(split, settings, first_step: int = 0, rgb: bool = False) -> tf.data.Dataset:
    """The endless training stream, from step `first_step` on.

    Gives (L / 100, ab / 128), float32 (batch, size, size, 1) and (batch, size, size, 2), size = settings.image_size.
    Epoch e is the steps e·s … e·s + s - 1, s = `steps_per_epoch(split, settings)`: each photo once, in an order of its
    own. Photos are flipped with p = 0.5 (settings.flip) and rotated by a uniform angle of ± settings.rotation degrees
    with reflected borders, before Lab. The last settings.upright_epochs, at most half of all, rotate nothing: a rotated
    photo is a little blurred, and a model whose batch normalisation knows blurred photos alone is worse on sharp ones
    (MiniPlaces: validation MSE 0.00899, and 0.00892 with the statistics of sharp photos).

    rgb: give uint8 RGB (batch, size, size, 3) in place of (L, ab), where Lab is left to an accelerator.
    Raises `ColorlibError` for an empty split and for a cache that does not fit.
    """
    count, batch = len(_paths(split, "train")), settings.batch_size
    epoch, step = divmod(first_step, steps_per_epoch(split, settings))
    load = _loader(split, "train", settings)

    upright = min(settings.upright_epochs, settings.epochs // 2)
    upright_from = count * (settings.epochs - upright) if upright else tf.int64.max

    def photo(k):
        return k, _augmented(load(_index(k, count, settings.seed)), k, settings, k < upright_from)

    stream = tf.data.Dataset.counter(epoch * count + step * batch).map(photo, num_parallel_calls=os.cpu_count())
    return _finished(_epoch_batches(stream, count, batch), rgb)


def evaluation(split, part: str, settings, batch_size: int | None = None, rgb: bool = False) -> tf.data.Dataset:
    """Each photo of a part once, in the split's order, without augmentation, in the form of `training`."""
    load = _loader(split, part, settings)
    stream = tf.data.Dataset.range(len(_paths(split, part)))
    stream = stream.map(load, num_parallel_calls=os.cpu_count())
    return _finished(stream.batch(batch_size or settings.batch_size), rgb)


def paths_of_step(split, settings, step: int) -> list[str]:
    """The photos of a training step, in the order in which they stand in its batch."""
    paths, batch = _paths(split, "train"), settings.batch_size
    epoch, step = divmod(step, steps_per_epoch(split, settings))
    places = range(step * batch, min((step + 1) * batch, len(paths)))
    return [
        paths[int(_index(tf.constant(epoch * len(paths) + p, tf.int64), len(paths), settings.seed))] for p in places
    ]


def _paths(split, part: str) -> list[str]:
    paths = split.paths(part)
    if not paths:
        raise ColorlibError(f"The {part} part of the split of {split.dataset} has no photos; make the split again.")
    return paths


def _index(k, count: int, seed: int):
    """Which photo stands at place k of the endless stream: a permutation of its own for each epoch, never stored."""
    return tf.random.experimental.index_shuffle(
        k % count, tf.stack([tf.constant(seed, tf.int64), k // count]), count - 1
    )


def _epoch_batches(stream, count: int, batch: int) -> tf.data.Dataset:
    """Batches of a stream of (k, photo) that never reach over the end of an epoch of `count` photos."""
    if count % batch == 0:
        return stream.map(lambda k, photo: photo).batch(batch, drop_remainder=True)
    rest = count % batch
    return stream.group_by_window(
        key_func=lambda k, photo: tf.cast(k % count >= count - rest, tf.int64),
        reduce_func=lambda last, window: window.map(lambda k, photo: photo).batch(batch),
        window_size_func=lambda last: tf.where(last == 1, tf.constant(rest, tf.int64), batch),
    )


def _finished(dataset, rgb: bool = True) -> tf.data.Dataset:
    if not rgb:  # after batching, so that 8-bit RGB is copied into the batch and not (L, ab), four times as large
        dataset = dataset.map(_model_input, num_parallel_calls=os.cpu_count())
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


def _loader(split, part: str, settings):
    """A function from a photo's index to its resized uint8 RGB (size, size, 3), from the cache or from the file."""
    size = settings.image_size
    if settings.cache == "none":
        paths = tf.constant(_paths(split, part))
        return lambda i: _decoded(paths[i], size)
    photos = _cache(_Part(split, part), size, settings.cache)
    shape = (size, size, 3)
    # Stateless, or deterministic ops would call it for one photo at a time.
    return lambda i: tf.ensure_shape(tf.numpy_function(photos.__getitem__, [i], tf.uint8, stateful=False), shape)


def _decoded(path, size: int):
    """A file's photo as uint8 RGB (size, size, 3): the whole picture, squeezed where it is not square.

    INTEGER_ACCURATE agrees with Pillow to the last bit; TensorFlow's default is off by up to six levels.
    """
    image = tf.io.decode_jpeg(tf.io.read_file(path), channels=3, dct_method="INTEGER_ACCURATE")  # and PNG
    shape = tf.shape(image)
    shrinks = size < _LARGEST_SHRINKING * tf.cast(tf.maximum(shape[0], shape[1]), tf.float32)
    image = tf.cond(
        shrinks,
        lambda: tf.image.resize(image, (size, size), antialias=True),
        lambda: tf.image.resize(image, (size, size)),
    )
    return tf.ensure_shape(_to_8_bit(image), (size, size, 3))


def _to_8_bit(image):
    return tf.cast(image + 0.5, tf.uint8)


def _augmented(image, k, settings, rotates):
    """Flipped and, where it is wanted, rotated at random: two numbers in [0, 1) that depend on (seed, k) alone."""
    seed = tf.stack([tf.constant(settings.seed, tf.int64), k])
    draw = tf.random.stateless_uniform([2], seed, alg="philox")
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

    def row(y):
        left_one, right_one = (
            tf.cast(tf.gather(pixels, inside(y) * size + inside(x)), tf.float32) for x in (columns, columns + 1)
        )
        return left_one + (right_one - left_one) * right_share

    columns, rows = tf.cast(left, tf.int32), tf.cast(top, tf.int32)
    upper, lower = row(rows), row(rows + 1)
    return _to_8_bit(upper + (lower - upper) * lower_share)


@tf.function(jit_compile=True)
def _model_input(image):
    """(L, ab) of uint8 RGB. Compiled, the two dozen steps of Lab pass over the pixels once, not two dozen times."""
    return lab.split(lab.rgb_to_lab(tf.cast(image, tf.float32) / 255.0))


class _Part:
    """A split's part as a key: equal when it holds the same photos."""

    def __init__(self, split, part: str):
        self.split, self.part, self.key = split, part, (split.checksum, part)

    def __hash__(self):
        return hash(self.key)

    def __eq__(self, other):
        return self.key == other.key


@functools.lru_cache(maxsize=4)
def _cache(of: _Part, size: int, kind: str) -> np.ndarray:
    """Every photo of a part, decoded and resized: uint8 (photos, size, size, 3), in memory or as a file."""
    paths = _paths(of.split, of.part)
    shape = (len(paths), size, size, 3)
    file = of.split.home / f"photos-{of.part}-{size}-{of.split.checksum[:12]}.npy"
    if kind == "disk" and file.exists():
        return np.load(file, mmap_mode="r")
    _check_room(shape, kind, of.split.home)
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(f".{os.getpid()}.part")
    photos = (
        np.lib.format.open_memmap(unfinished, "w+", np.uint8, shape) if kind == "disk" else np.empty(shape, np.uint8)
    )
    stream = tf.data.Dataset.from_tensor_slices(paths).map(
        lambda p: _decoded(p, size), num_parallel_calls=os.cpu_count()
    )
    done = 0
    try:
        for photo in tqdm(_finished(stream), f"decoding the {of.part} photos once", len(paths), delay=2):
            photos[done] = photo
            done += 1
    except tf.errors.OpError as error:
        unfinished.unlink(missing_ok=True)
        raise ColorlibError(f"The photo {paths[done]} cannot be decoded: {error.message}") from None
    if kind == "memory":
        return photos
    photos.flush()
    unfinished.replace(file)
    return np.load(file, mmap_mode="r")


def _check_room(shape, kind: str, folder) -> None:
    needed = int(np.prod(shape, dtype=np.int64))
    if kind == "memory":
        room, where = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2, "half of this machine's memory"
    else:
        folder.mkdir(parents=True, exist_ok=True)
        room, where = shutil.disk_usage(folder).free, "the free space of the disk"
    if needed > room:
        other = '"none"' if kind == "disk" else '"disk" or "none"'
        raise ColorlibError(
            f"cache={kind!r} needs {needed / 2**30:.1f} GiB for {shape[0]:,} photos of {shape[1]} × {shape[2]} pixels, "
            f"more than {where} ({room / 2**30:.1f} GiB); choose cache={other}."
        )
