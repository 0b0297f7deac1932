"""Batches: which photo stands where, the same bits by every way, and each step of the way against Pillow or SciPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from scipy import ndimage

from colorlib import ColorlibError, batches, lab, settings
from colorlib.sources import splits

SIZE = 32
SIZES = [(32, 32), (40, 30), (64, 64), (33, 90), (48, 48), (20, 25), (32, 64)]  # of the photos, in turn


def picture(seed, size):
    """A smooth picture of random colors, without a symmetry."""
    corners = np.random.default_rng(seed).integers(0, 256, (4, 5, 3), np.uint8)
    return Image.fromarray(corners).resize(size, Image.Resampling.BICUBIC)


def make_split(folder, train=11, sizes=SIZES):
    """Photos in turn as JPEG, PNG and gray JPEG; the training ones are the validation part too."""
    folder.mkdir(exist_ok=True)
    photos = []
    for i in range(train):
        image, path = picture(i, sizes[i % len(sizes)]), folder / f"{i:03}.{('jpg', 'png', 'jpeg')[i % 3]}"
        (image.convert("L") if i % 3 == 2 else image).save(path)
        photos.append(splits.describe(path.name, path.read_bytes()))
    return splits.Split("made", folder, folder / "home", tuple(photos), tuple(photos), ())


def make_settings(**changes):
    return settings.load("sample", **{"image_size": SIZE, "batch_size": 4, "crop": 1.0, "rotation": 0.0} | changes)


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return make_split(tmp_path_factory.mktemp("photos"))


def first(stream, steps):
    return [
        tuple(map(np.asarray, batch)) if isinstance(batch, tuple) else batch.numpy() for batch in stream.take(steps)
    ]


def decoded(path):
    return batches._squeezed(batches.pixels(path), SIZE)


def rgb_of(split, chosen, steps, first_step=0):
    return first(batches.training(split, chosen, first_step, rgb=True), steps)


# Order and seeds.


@pytest.mark.parametrize("count", [11, 12])  # with a smaller last batch, and without
def test_any_step_is_had_without_those_before_it(tmp_path, count):
    split, chosen = make_split(tmp_path / "photos", count), make_settings(rotation=20.0)
    spe = batches.steps_per_epoch(split, chosen)
    assert spe == 3
    stream = rgb_of(split, chosen, 3 * spe + 2)
    for step in (1, spe - 1, spe, 3 * spe + 1):
        assert np.array_equal(rgb_of(split, chosen, 1, step)[0], stream[step]), step
    for ours, other in zip(rgb_of(split, chosen, 4, spe + 1), stream[spe + 1 :], strict=False):
        assert np.array_equal(ours, other)


def test_lab_batches_too_and_whatever_the_global_seed(split):
    chosen = make_settings(rotation=20.0)
    stream = first(batches.training(split, chosen), 5)
    tf.random.set_seed(99)
    (L, ab), *_ = first(batches.training(split, chosen, 4), 1)
    assert L.tobytes() == stream[4][0].tobytes() and ab.tobytes() == stream[4][1].tobytes()


@pytest.mark.parametrize("count", [1, 2, 11, 12])
def test_each_photo_once_an_epoch(tmp_path, count):
    split, chosen = make_split(tmp_path / "photos", count), make_settings()
    spe, orders = batches.steps_per_epoch(split, chosen), []
    for epoch in range(4):
        order = [path for s in range(spe) for path in batches.paths_of_step(split, chosen, epoch * spe + s)]
        assert sorted(order) == sorted(split.paths("train"))
        orders.append(tuple(order))
    if count > 2:
        assert len(set(orders)) == 4  # an order of its own for each epoch
        others = [path for s in range(spe) for path in batches.paths_of_step(split, chosen.replace(seed=2), s)]
        assert tuple(others) != orders[0]


def test_paths_of_a_step_are_its_photos(split):
    chosen = make_settings(flip=False)
    for step, batch in enumerate(rgb_of(split, chosen, 7)):
        paths = batches.paths_of_step(split, chosen, step)
        alone = [decoded(path).numpy() for path in paths]
        assert np.array_equal(batch, np.stack(alone))


def test_shapes_are_static(split):
    for whole, batch_size in ((split, 4), (split, 11)):
        chosen = make_settings(batch_size=batch_size)
        L, ab = batches.training(whole, chosen).element_spec
        known = 11 if batch_size == 11 else None  # all batches of one size
        assert (L.shape, ab.shape) == ((known, SIZE, SIZE, 1), (known, SIZE, SIZE, 2)) or known is None
        assert L.shape[1:] == (SIZE, SIZE, 1) and ab.shape[1:] == (SIZE, SIZE, 2)
        assert L.dtype == ab.dtype == tf.float32
    spec = batches.training(split, make_settings(), rgb=True).element_spec
    assert spec.shape[1:] == (SIZE, SIZE, 3) and spec.dtype == tf.uint8
    sizes = [len(L) for L, _ in first(batches.training(split, make_settings()), 6)]
    assert sizes == [4, 4, 3, 4, 4, 3]


def test_evaluation_gives_each_photo_once_in_order(split):
    chosen = make_settings(rotation=20.0)  # which evaluation leaves alone
    rgb = np.concatenate(first(batches.evaluation(split, "validation", chosen, rgb=True), -1))
    alone = np.stack([decoded(path).numpy() for path in split.paths("validation")])
    assert np.array_equal(rgb, alone)
    parts = first(batches.evaluation(split, "validation", chosen, batch_size=5), -1)
    assert [len(L) for L, _ in parts] == [5, 5, 1]
    L, ab = (np.concatenate(part) for part in zip(*parts, strict=True))
    expected = lab.rgb_to_lab(rgb / 255.0)
    assert np.abs(lab.join(L, ab) - expected).max() < 1e-3


# Augmentation.


def test_lightness_and_color_are_turned_together(split):
    chosen = make_settings(rotation=20.0)
    for rgb, (L, ab) in zip(rgb_of(split, chosen, 6), first(batches.training(split, chosen), 6), strict=True):
        assert L.dtype == ab.dtype == np.float32 and L.min() >= 0 and L.max() <= 1 and np.abs(ab).max() <= 1
        assert np.array_equal(np.rint(lab.lab_to_rgb(lab.join(L, ab)) * 255), rgb)


def test_half_of_the_photos_are_flipped(split):
    chosen, flipped = make_settings(), 0
    steps = 20 * 3
    plain = rgb_of(split, chosen.replace(flip=False), steps)
    for batch, original in zip(rgb_of(split, chosen, steps), plain, strict=True):
        for photo, before in zip(batch, original, strict=True):
            mirrored = np.array_equal(photo, before[:, ::-1])
            assert mirrored or np.array_equal(photo, before)
            flipped += mirrored
    assert 0.4 < flipped / 220 < 0.6


@pytest.mark.parametrize("size", [1, 2, 33, 64])
def test_rotation_is_that_of_tensorflow(size):
    """Its ImageProjectiveTransformV3 is four times slower; only a rounding at the half may fall the other way."""
    photo = tf.constant(np.asarray(picture(4, (size, size))))
    for degrees in np.linspace(-180, 180, 25):
        angle, middle = tf.constant(np.deg2rad(degrees), tf.float32), (size - 1) / 2
        c, s = tf.cos(angle), tf.sin(angle)
        theirs = tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.cast(photo, tf.float32)[None],
            transforms=[[c, -s, middle * (1 - c + s), s, c, middle * (1 - c - s), 0.0, 0.0]],
            output_shape=[size, size],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="REFLECT",
        )[0]
        apart = np.abs(batches.rotated(photo, angle).numpy() - theirs.numpy())
        assert apart.max() < 0.5 + 0.01, degrees


@pytest.mark.parametrize("degrees", [0, 1, -7.5, 20, -20, 90, 180])
def test_rotation_has_reflected_borders(degrees):
    photo = np.asarray(picture(3, (48, 48)))
    turned = batches.rotated(tf.constant(photo), tf.constant(np.deg2rad(degrees), tf.float32)).numpy()
    c, s = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    matrix = np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])  # output (row, column) to input, about the middle
    middle = np.array([23.5, 23.5, 0])
    expected = ndimage.affine_transform(
        photo.astype(float), matrix, middle - matrix @ middle, order=1, mode="reflect", prefilter=False
    )
    apart = np.abs(turned - expected)
    # At the very border SciPy blends the mirrored pixel in, TensorFlow repeats the last: levels apart on few pixels.
    assert apart.max() < 12 and np.quantile(apart, 0.98) < 0.51 + 0.01
    if degrees == 0:
        assert np.array_equal(turned, photo)
    assert turned.min() > 0 or photo.min() == 0  # no black corners


def test_angles_are_uniform_within_the_setting(tmp_path):
    """A photo with a bright side shows the angle by which it was turned."""
    folder = tmp_path / "photos"
    folder.mkdir()
    ramp = np.broadcast_to(np.linspace(0, 255, 64)[None, :, None], (64, 64, 3)).astype(np.uint8)
    Image.fromarray(ramp).save(folder / "ramp.png")
    photo = splits.describe("ramp.png", (folder / "ramp.png").read_bytes())
    split = splits.Split("ramp", folder, folder, (photo,), (), ())
    chosen = make_settings(image_size=64, batch_size=1, flip=False, rotation=20.0, upright_epochs=0)
    angles = []
    for (turned,) in rgb_of(split, chosen, 200):
        middle = turned[24:40, 24:40, 0].astype(float)
        down, right = np.gradient(middle)
        angles.append(np.degrees(np.arctan2(down.mean(), right.mean())))
    angles = np.array(angles)
    assert np.abs(angles).max() < 20.5 and angles.min() < -17 and angles.max() > 17
    assert abs(np.mean(angles)) < 3 and 9.5 < np.std(angles) < 13.5  # uniform: 11.5


@pytest.mark.parametrize(
    ("epochs", "upright", "rotated"), [(4, 1, 3), (4, 2, 2), (4, 9, 2), (3, 2, 2), (1, 2, 2), (3, 0, 4)]
)
def test_the_last_epochs_are_upright_at_most_half_of_them(split, epochs, upright, rotated):
    chosen = make_settings(rotation=20.0, flip=False, epochs=epochs, upright_epochs=upright)
    spe = batches.steps_per_epoch(split, chosen)
    stream = rgb_of(split, chosen, (epochs + 1) * spe)  # and whoever asks for more epochs gets upright ones
    plain = rgb_of(split, chosen.replace(rotation=0.0), (epochs + 1) * spe)
    same = [np.array_equal(ours, other) for ours, other in zip(stream, plain, strict=True)]
    assert same == [False] * rotated * spe + [True] * ((epochs + 1 - rotated) * spe)


# Decoding and resizing.


@pytest.mark.parametrize("kind", ["jpg", "png", "gray.jpg", "rough.jpg", "progressive.jpg"])
def test_decoded_as_pillow_does_to_the_last_bit(tmp_path, kind):
    image = picture(5, (SIZE, SIZE))
    rough = np.random.default_rng(6).integers(0, 256, (SIZE, SIZE, 3), np.uint8)
    image = Image.fromarray(rough) if "rough" in kind else image.convert("L") if "gray" in kind else image
    file = tmp_path / f"photo.{kind}"
    image.save(file, **({} if kind == "png" else {"quality": 80, "progressive": "prog" in kind}))
    expected = np.asarray(Image.open(file).convert("RGB"))
    assert np.array_equal(decoded(str(file)), expected)


def bilinear(photo, size):
    """Plain bilinear resizing with half-pixel centres, as one formula."""
    for axis in (0, 1):
        n = photo.shape[axis]
        place = np.clip((np.arange(size) + 0.5) * n / size - 0.5, 0, n - 1)
        low = np.floor(place).astype(int)
        share = (place - low).reshape([-1 if i == axis else 1 for i in range(3)])
        photo = np.take(photo, low, axis) * (1 - share) + np.take(photo, np.minimum(low + 1, n - 1), axis) * share
    return photo


@pytest.mark.parametrize(
    ("size", "antialiased"), [(SIZE, False), (20, False), (48, False), (50, True), (64, True), (200, True)]
)
def test_antialiased_where_it_shrinks_by_more_than_a_third(tmp_path, size, antialiased):
    rough = np.random.default_rng(size).integers(0, 256, (size, size, 3), np.uint8)
    Image.fromarray(rough).save(tmp_path / "rough.png")
    found = decoded(str(tmp_path / "rough.png")).numpy().astype(float)
    plain = bilinear(rough.astype(float), SIZE)
    # Pillow's bilinear filter always widens with the shrinking.
    wide = np.asarray(Image.fromarray(rough).resize((SIZE, SIZE), Image.Resampling.BILINEAR), float)
    assert np.abs(found - (wide if antialiased else plain)).max() <= (1.01 if antialiased else 0.51)
    if size > SIZE:
        assert np.abs(plain - wide).max() > 10  # so that the two are told apart


def test_odd_shapes_and_single_colors(tmp_path):
    for number, (size, level) in enumerate([((1, 1), 200), ((1, 500), 0), ((700, 3), 255), ((64, 64), 128)]):
        Image.new("RGB", size, (level, level, level)).save(tmp_path / f"{number}.png")
        assert np.all(decoded(str(tmp_path / f"{number}.png")) == level)
    split = splits.Split("gray", tmp_path, tmp_path, tuple(splits.describe(f"{i}.png", b"") for i in range(4)), (), ())
    ((L, ab),) = first(batches.training(split, make_settings(rotation=20.0)), 1)
    assert np.isfinite(L).all() and np.abs(ab).max() < 1e-4
    assert sorted(L.mean(axis=(1, 2, 3))) == pytest.approx([0, 0.536, 0.807, 1], abs=0.001)


def test_an_empty_part_is_named(split):
    with pytest.raises(ColorlibError, match="test part of the split of made has no photos"):
        batches.evaluation(split, "test", make_settings())


# Photos that are gone or damaged since the split was made.


def remove(file):
    file.unlink()


def cut(file):
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


DAMAGES = pytest.mark.parametrize(
    ("damage", "reason"), [(remove, "No such file"), (cut, "TensorFlow cannot decode it")]
)
MODEL = keras.Sequential([keras.layers.Conv2D(2, 1)])


@DAMAGES
@pytest.mark.parametrize("name", ["000.jpg", "001.png"])
def test_a_photo_that_cannot_be_read_any_more_is_named(tmp_path, damage, reason, name):
    split, chosen = make_split(tmp_path / "photos", 3), make_settings()
    damage(tmp_path / "photos" / name)
    MODEL.compile("sgd", "mse")
    for ask in (
        lambda: first(batches.training(split, chosen), 3),
        lambda: first(batches.evaluation(split, "validation", chosen), -1),
        lambda: MODEL.fit(batches.training(split, chosen), steps_per_epoch=3, shuffle=False, verbose=0),
        lambda: MODEL.evaluate(batches.evaluation(split, "validation", chosen), verbose=0),
    ):
        named = pytest.raises(ColorlibError, match=f"The photo .*{name} cannot be read: {reason}.* start again")
        with named, batches.photo_errors(split.paths("train")):
            ask()


def test_errors_of_anything_else_pass_as_they_are(split):
    wrong = tf.data.Dataset.range(3).map(lambda i: tf.reshape(i, (i + 1, 1)))
    for ask in (lambda: tf.reshape(tf.zeros(3), (2, 2)), lambda: list(wrong)):
        with pytest.raises(tf.errors.InvalidArgumentError), batches.photo_errors(split.paths("train")):
            ask()
    with pytest.raises(ZeroDivisionError), batches.photo_errors(split.paths("train")):
        1 / 0  # noqa: B018


# Windows of photos.


def test_windows_are_cut_out_of_the_photo_at_its_own_proportions(tmp_path):
    """A photo whose red is its row and whose green is its column: a window tells where it was cut."""
    rows, columns = np.mgrid[0:100, 0:200].astype(np.uint8)
    Image.fromarray(np.stack([rows, columns, 0 * rows], axis=-1)).save(tmp_path / "where.png")
    image = tf.constant(np.asarray(Image.open(tmp_path / "where.png")))
    shares, corners = [], []
    for k in range(400):
        window = batches._cropped(image, tf.constant(k, tf.int64), make_settings(crop=0.25)).numpy()
        height, width = window.shape[:2]
        assert abs(width - 2 * height) <= 2
        assert np.array_equal(
            window[:, :, 0], np.arange(window[0, 0, 0], window[0, 0, 0] + height)[:, None] + 0 * window[:, :, 0]
        )
        assert window[-1, -1, 0] == window[0, 0, 0] + height - 1 and window[-1, -1, 1] == window[0, 0, 1] + width - 1
        shares.append(height / 100)
        corners.append(window[0, 0, 0] / max(1, 100 - height))
    assert 0.25 <= min(shares) < 0.27 and 0.98 < max(shares) <= 1
    assert abs(np.mean(shares) - 0.625) < 0.03 and abs(np.mean(corners) - 0.5) < 0.05


def test_windows_depend_on_seed_and_place_alone_and_whole_photos_stay(split):
    chosen = make_settings(crop=0.3, flip=False)
    once = first(batches.training(split, chosen, rgb=True), 6)
    again = first(batches.training(split, chosen, first_step=2, rgb=True), 4)
    assert all(np.array_equal(a, b) for a, b in zip(once[2:], again, strict=True))
    other = first(batches.training(split, make_settings(crop=0.3, flip=False, seed=2), rgb=True), 1)
    assert not np.array_equal(other[0], once[0])
    whole = {
        photo.tobytes()
        for (batch) in first(batches.evaluation(split, "validation", chosen, rgb=True), -1)
        for photo in batch
    }
    uncut = first(batches.training(split, make_settings(flip=False), rgb=True), 3)
    assert {photo.tobytes() for batch in uncut for photo in batch} == whole
    assert not {photo.tobytes() for batch in once for photo in batch} & whole


# Aging.


@pytest.mark.parametrize("count", [11, 12])
def test_aging_changes_lightness_alone_and_depends_on_seed_and_step_alone(tmp_path, count):
    split, chosen = make_split(tmp_path / "photos", count), make_settings(aging=0.5)
    aged, plain = (first(batches.training(split, each), 7) for each in (chosen, make_settings()))
    for (L, ab), (before, same) in zip(aged, plain, strict=True):
        assert ab.tobytes() == same.tobytes() and L.shape == before.shape and L.dtype == np.float32
        assert L.min() >= 0 and L.max() <= 1
        assert (np.abs(L - before).reshape(len(L), -1).mean(axis=1) > 1e-4).all()  # of each photo
    for step in (1, 2, 3, 6):  # 2: the smaller one, where there is one
        tf.random.set_seed(step)
        ((L, ab),) = first(batches.training(split, chosen, step), 1)
        assert L.tobytes() == aged[step][0].tobytes() and ab.tobytes() == aged[step][1].tobytes()
    other = chosen.replace(seed=chosen.seed + 1)
    k, L = tf.constant(0, tf.int64), tf.constant(plain[0][0])
    assert not np.array_equal(batches._aged(L, k, chosen), batches._aged(L, k, other))
    assert not np.array_equal(batches._aged(L, k, chosen), batches._aged(L, k + 4, chosen))


def test_without_aging_batches_are_the_lab_of_their_photos_to_the_last_bit(split):
    chosen = make_settings(rotation=20.0, crop=0.5)
    assert chosen.aging == 0
    for rgb, (L, ab) in zip(rgb_of(split, chosen, 4), first(batches.training(split, chosen), 4), strict=True):
        for got, expected in zip((L, ab), batches._model_input(tf.constant(rgb)), strict=True):
            assert got.tobytes() == expected.numpy().tobytes()


def test_nothing_is_aged_in_an_evaluation(split):
    one, other = (
        first(batches.evaluation(split, "validation", make_settings(aging=aging)), -1) for aging in (0.0, 1.0)
    )
    for (L, _), (same, _) in zip(one, other, strict=True):
        assert L.tobytes() == same.tobytes()


def test_what_aging_does():
    """On gray ramps, many of them: gamma, contrast, a faded black and grain, each as strong as it says."""
    ramp = np.broadcast_to(np.linspace(0, 1, 256, dtype=np.float32)[None, None, :, None], (400, 16, 256, 1))
    old = batches._aged(tf.constant(ramp), tf.constant(3, tf.int64), make_settings(aging=1.0)).numpy()
    grain = (old - old.mean(axis=1, keepdims=True))[:, :, 100:156].std(axis=(1, 2, 3)) / np.sqrt(15 / 16)
    assert 0 <= grain.min() < 0.003 and 0.045 < grain.max() < 0.053 and abs(grain.mean() - 0.025) < 0.003
    contrast = np.ptp(old.mean(axis=1)[:, [10, -10], 0], axis=1)
    assert 0.35 < contrast.min() < 0.6 and 0.9 < contrast.max() <= 1
    black = old[:, :, :4].mean(axis=(1, 2, 3))
    assert black.min() < 0.03 and 0.25 < black.max() < 0.5
    slightly = batches._aged(tf.constant(ramp), tf.constant(3, tf.int64), make_settings(aging=0.1)).numpy()
    assert 0 < np.abs(slightly - ramp).mean() < 0.2 * np.abs(old - ramp).mean()
