"""The color prior and Eq. 3's weights, against scikit-image, direct sums, values by hand and somebody else's prior."""

import dataclasses
import io
import math
import tarfile

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from skimage import color

from colorlib import ColorlibError, lab, losses, prior, settings
from colorlib.sources import splits

WIDTHS = (3.0, 8.0, 10.0)


def write_photo(path, seed=0, size=(40, 30), spread=1.0):
    """A smooth photo of random colors; spread 0: gray."""
    rng = np.random.default_rng(seed)
    colors = rng.integers(0, 256, (4, 5, 3)).astype(float)
    colors = colors.mean(axis=-1, keepdims=True) * (1 - spread) + colors * spread
    Image.fromarray(colors.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC).save(path)
    return str(path)


def make_split(folder, train, name="made"):
    photos = tuple(splits.describe(path.name, path.read_bytes()) for path in train)
    return splits.Split(name, folder, folder / "home", photos, photos[:1], ())


def made(folder, count=6, **changes):
    """A split of photos and settings to go with it."""
    for i in range(count):
        write_photo(folder / f"{i}.png", seed=i)
    return make_split(folder, sorted(folder.glob("*.png"))), settings.load("sample", **changes)


def random_counts(bin_width=8.0, filled=40, seed=0):
    rng = np.random.default_rng(seed)
    counts = np.zeros([len(prior.centers(bin_width))] * 2, np.int64)
    places = rng.integers(4, len(counts) - 4, (filled, 2))
    counts[places[:, 0], places[:, 1]] = rng.integers(1, 10**6, filled)
    return counts


# Bins.


@pytest.mark.parametrize("width", [*WIDTHS, 0.7, 300.0])
def test_bins_are_centred_on_multiples_and_cover_the_square(width):
    centers = prior.centers(width)
    assert len(centers) % 2 == 1 and centers[len(centers) // 2] == 0
    assert np.allclose(np.diff(centers), width)
    assert centers[-1] + width / 2 >= 128 and (len(centers) == 1 or centers[-1] - width / 2 < 128)
    ab = np.random.default_rng(0).uniform(-128, 128, (1000, 2))
    assert np.abs(centers[prior.bins_of(ab, width)] - ab).max() <= width / 2 + 1e-9


def test_bins_by_hand():
    cases = {(0, 0): (16, 16), (3.99, -3.99): (16, 16), (4.01, -4.01): (17, 15), (80, -100): (26, 4)}
    for ab, expected in {**cases, (1000, -1000): (32, 0)}.items():
        assert tuple(prior.bins_of(np.array(ab), 8.0)) == expected


# Counting.


def direct_histogram(paths, width):
    """Each photo through scikit-image, each color to its bin."""
    edges = np.append(prior.centers(width) - width / 2, prior.centers(width)[-1] + width / 2)
    total = np.zeros([len(edges) - 1] * 2)
    for path in paths:
        ab = color.rgb2lab(np.asarray(Image.open(path).convert("RGB")))[..., 1:].reshape(-1, 2)
        if np.abs(ab).max() > 5:
            total += np.histogram2d(*ab.T, bins=[edges, edges])[0]
    return total


@pytest.mark.parametrize("width", [10.0, 8.0])
def test_counts_are_those_of_scikit_image(tmp_path, width):
    paths = [write_photo(tmp_path / f"{i}.{kind}", seed=i) for i, kind in enumerate(["png", "jpg", "png", "jpg"])]
    counts = prior.count(paths, width)
    assert counts.dtype == np.int64 and counts.sum() == 4 * 40 * 30
    # A color within a millionth of a bin's border may fall on either side.
    assert np.abs(counts - direct_histogram(paths, width)).sum() <= 2


def test_parts_sum_to_the_same_bits_in_any_order(tmp_path):
    paths = [write_photo(tmp_path / f"{i}.png", seed=i, size=(17 + i, 23)) for i in range(9)]
    whole = prior.count(paths)
    for cuts, order in (([3, 6], [2, 0, 1]), ([1, 8], [1, 2, 0]), ([0, 5], [0, 2, 1])):
        parts = [prior.count(part) for part in np.split(np.array(paths), cuts)]
        assert np.array_equal(sum(parts[i] for i in order), whole)
    assert np.array_equal(prior.count(paths[::-1]), whole)


def test_near_gray_photos_are_near_gray(tmp_path):
    gray = write_photo(tmp_path / "gray.png", spread=0.0)
    colorful = write_photo(tmp_path / "colorful.png")
    one_pixel = np.full((20, 20, 3), 128, np.uint8)
    one_pixel[3, 4] = 140, 120, 128
    Image.fromarray(one_pixel).save(tmp_path / "one.png")
    faint = np.full((20, 20, 3), (128, 127, 128), np.uint8)  # a and b below 1
    Image.fromarray(faint).save(tmp_path / "faint.png")
    near_gray = []
    paths = [gray, colorful, str(tmp_path / "one.png"), str(tmp_path / "faint.png")]
    counts = prior.count(paths, near_gray=near_gray)
    assert near_gray == [gray, str(tmp_path / "faint.png")]
    assert counts.sum() == 40 * 30 + 20 * 20


def test_pixels_on_a_grid(tmp_path):
    path = write_photo(tmp_path / "photo.png", size=(41, 30))
    Image.fromarray(np.asarray(Image.open(path))[::4, ::4]).save(tmp_path / "grid.png")
    assert np.array_equal(prior.count([path], every=4), prior.count([str(tmp_path / "grid.png")]))


def test_large_photos_are_counted_piece_by_piece(tmp_path, monkeypatch):
    path = write_photo(tmp_path / "photo.png", size=(200, 150))
    whole = prior.count([path])
    monkeypatch.setattr(prior, "_CHUNK", 777)
    assert np.array_equal(prior.count([path]), whole)


def test_photos_of_one_pixel_and_of_one_color(tmp_path):
    Image.new("RGB", (1, 1), (255, 0, 0)).save(tmp_path / "one.png")
    Image.new("RGB", (50, 70), (0, 0, 255)).save(tmp_path / "blue.png")
    counts = prior.count([str(tmp_path / "one.png"), str(tmp_path / "blue.png")])
    assert counts[26, 24] == 1 and counts[26, 3] == 3500 and counts.sum() == 3501  # red 80, 67; blue 79, -108


def test_a_damaged_photo_is_named(tmp_path):
    good = write_photo(tmp_path / "good.jpg", size=(200, 200))
    bad = tmp_path / "bad.jpg"
    bad.write_bytes((tmp_path / "good.jpg").read_bytes()[:900])
    for path in (bad, tmp_path / "missing.jpg"):
        with pytest.raises(ColorlibError, match=f"{path.name} cannot be read: .* start again"):
            prior.count([good, str(path), good])
    assert prior.count([]).sum() == 0


# Eq. 3.


def test_the_density_is_one_over_the_square():
    for width in WIDTHS:
        for sigma in (0.0, 5.0, 12.0):
            p = prior.density(random_counts(width), width, sigma)
            assert p.dtype == np.float64 and p.min() >= 0
            assert p.sum() * (width / 128) ** 2 == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize(("width", "sigma"), [(8.0, 5.0), (3.0, 5.0), (10.0, 4.0)])
def test_smoothing_is_a_gaussian_in_the_plane(width, sigma):
    centers = prior.centers(width)
    counts = np.zeros((len(centers),) * 2, np.int64)
    row, column = len(centers) // 2 + 2, len(centers) // 2 - 3
    counts[row, column] = 7
    direct = np.zeros(counts.shape)
    for i, a in enumerate(centers):
        for j, b in enumerate(centers):
            direct[i, j] = math.exp(-((a - centers[row]) ** 2 + (b - centers[column]) ** 2) / (2 * sigma**2))
    direct /= direct.sum() * (width / 128) ** 2
    assert prior.density(counts, width, sigma) == pytest.approx(direct, rel=1e-6, abs=1e-6)


def test_smoothing_does_not_run_along_a_flat_index():
    counts = np.zeros((33, 33), np.int64)
    counts[10, 32] = 1  # at the border: its neighbour in a flat index is (11, 0)
    p = prior.density(counts, 8.0, 5.0)
    assert p[11, 0] == 0 and p[9, 32] == p[11, 32] > 0


@pytest.mark.parametrize("lambda_", [0.0, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("sigma", [0.0, 5.0])
def test_the_mean_weight_is_one(lambda_, sigma):
    for width in WIDTHS:
        p = prior.density(random_counts(width), width, sigma)
        v = prior.weights(p, width, lambda_)
        assert (p * v).sum() * (width / 128) ** 2 == pytest.approx(1, abs=1e-12)
        assert np.isfinite(v).all() and v.min() > 0


def test_lambda_of_one_weighs_all_colors_alike():
    assert prior.weights(prior.density(random_counts(), 8.0, 5.0), 8.0, 1.0) == pytest.approx(1, abs=1e-12)


@pytest.mark.parametrize("sigma", [0.0, 5.0])
def test_lambda_of_zero_weighs_by_rarity_and_stays_finite(sigma):
    p = prior.density(random_counts(filled=12), 8.0, sigma)
    v = prior.weights(p, 8.0, 0.0)
    product = (p * v)[p > 0]
    assert product == pytest.approx(product[0], rel=1e-12)
    assert (p == 0).any() and np.all(v[p == 0] == v[p > 0].max())


def test_weights_by_hand():
    counts = np.zeros((33, 33), np.int64)
    counts[16, 16], counts[26, 24] = 3, 1  # three neutral pixels, one red
    # Δ = 1/16. p′: 3/4 · 256 = 192 and 64. Half p′ and half 1/4: 96.125, 32.125 and, for all other colors, 0.125.
    # Σ p′ Δ² / m = 0.75 / 96.125 + 0.25 / 32.125 = 0.01558444.
    one = prior.Prior(counts, 8.0, 0.0, 0.5, "")
    red, green = lab.split(lab.rgb_to_lab(np.float32([[1, 0, 0], [0, 1, 0]])))[1]
    assert one.weight_of(np.zeros(2)) == pytest.approx(0.6675325, rel=1e-6)
    assert one.weight_of(red) == pytest.approx(1.997403, rel=1e-6)
    assert one.weight_of(green) == pytest.approx(513.3325, rel=1e-6)
    assert one.weights.max() / one.weights.min() == pytest.approx(96.125 / 0.125)


def test_every_color_of_the_gamut_has_a_finite_weight():
    levels = np.linspace(0, 1, 33, dtype=np.float32)
    ab = lab.split(lab.rgb_to_lab(np.stack(np.meshgrid(levels, levels, levels), axis=-1)))[1]
    for counts in (random_counts(), random_counts(filled=1)):
        for sigma in (0.0, 5.0):
            for lambda_ in (0.0, 0.5, 1.0):
                v = prior.Prior(counts, 8.0, sigma, lambda_, "").weight_of(ab)
                assert np.isfinite(v).all() and v.min() > 0


@pytest.mark.parametrize("width", WIDTHS)
def test_the_loss_looks_up_the_same_weights_in_its_graph(width):
    one = prior.Prior(random_counts(width), width, 5.0, 0.5, "")
    ab = np.random.default_rng(4).uniform(-1, 1, (4000, 2)).astype(np.float32)
    within = np.abs(ab * 128 / width % 1 - 0.5).min(axis=-1) > 1e-4  # not on a bin's border
    found = tf.function(losses.for_model("rebalanced", one).weight_of)(tf.constant(ab)).numpy()
    assert found[within] == pytest.approx(one.weight_of(ab)[within], rel=1e-6)


def test_no_color_no_prior(tmp_path):
    with pytest.raises(ColorlibError, match="no photo with color"):
        prior.Prior(np.zeros((33, 33), np.int64), 8.0, 5.0, 0.5, "")
    for i in range(3):
        write_photo(tmp_path / f"{i}.png", seed=i, spread=0.0)
    split = make_split(tmp_path, sorted(tmp_path.glob("*.png")))
    with pytest.raises(ColorlibError, match="no photo with color"):
        prior.prepare(split, settings.load("sample"), progress=False)
    assert not (split.home / "prior.npz").exists()


# The file.


def test_saved_and_loaded_it_is_the_same(tmp_path):
    one = prior.Prior(random_counts(), 8.0, 5.0, 0.3, "c0ffee")
    one.density  # noqa: B018 (what is computed from the fields is not saved)
    one.save(tmp_path / "deep" / "prior.npz")
    two = prior.Prior.load(tmp_path / "deep" / "prior.npz")
    assert two.weights.tobytes() == one.weights.tobytes() and two.counts.dtype == np.int64
    assert [getattr(two, field.name) for field in dataclasses.fields(two)[1:]] == [8.0, 5.0, 0.3, "c0ffee"]
    assert [file.name for file in (tmp_path / "deep").iterdir()] == ["prior.npz"]  # nothing unfinished is left
    with np.load(tmp_path / "deep" / "prior.npz", allow_pickle=False) as file:
        assert set(file.files) == {"counts", "bin_width", "sigma", "lambda_", "split_checksum"}


def test_a_prior_saved_with_more_fields_is_still_read(tmp_path):
    np.savez(
        tmp_path / "prior.npz", **dataclasses.asdict(prior.Prior(random_counts(), 8.0, 5.0, 0.3, "x")), checksum="y"
    )
    assert np.array_equal(prior.Prior.load(tmp_path / "prior.npz").counts, random_counts())


def test_prepare_counts_only_what_it_must(tmp_path, monkeypatch, capsys):
    split, chosen = made(tmp_path)
    first = prior.prepare(split, chosen, progress=False)
    assert first.split_checksum == split.checksum and "6 photos counted" in capsys.readouterr().out
    real, counted = prior.count, []
    monkeypatch.setattr(prior, "count", lambda *args, **more: counted.append(args) or real(*args, **more))
    assert np.array_equal(prior.prepare(split, chosen, progress=False).counts, first.counts)
    softer = prior.prepare(split, chosen.replace(lambda_=0.9, sigma=2.0), progress=False)
    assert not counted  # the same counts serve again
    assert capsys.readouterr().out.count("the saved counts of") == 2
    assert softer.lambda_ == 0.9 and np.array_equal(softer.counts, first.counts)
    prior.prepare(split, chosen.replace(bin_width=10.0), progress=False)
    assert len(counted) == 1 and "6 photos counted" in capsys.readouterr().out
    other = make_split(tmp_path, sorted(tmp_path.glob("*.png"))[1:])
    assert prior.prepare(other, chosen, progress=False).split_checksum == other.checksum
    assert len(counted) == 2


def test_a_damaged_file_is_refused(tmp_path):
    file = tmp_path / "prior.npz"
    prior.Prior(random_counts(), 8.0, 5.0, 0.5, "c0ffee").save(file)
    whole, refused = file.read_bytes(), 0
    reference = prior.Prior.load(file)
    rng = np.random.default_rng(0)
    for place in rng.choice(len(whole), 150, replace=False):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x41]) + whole[place + 1 :])
        try:
            same = prior.Prior.load(file)  # some bytes of a zip file carry nothing, such as its times
            assert np.array_equal(same.counts, reference.counts) and same.split_checksum == "c0ffee"
        except ColorlibError as error:
            assert "damaged" in str(error)
            refused += 1
    assert refused > 100
    for data in (b"", b"no npz", whole[:-30], whole[: len(whole) // 2]):
        file.write_bytes(data)
        with pytest.raises(ColorlibError, match="damaged"):
            prior.Prior.load(file)
    np.savez(file, something="else")
    with pytest.raises(ColorlibError, match="no prior"):
        prior.Prior.load(file)
    with pytest.raises(FileNotFoundError):  # a file that cannot be read is not called damaged
        prior.Prior.load(tmp_path / "missing.npz")


def test_a_file_with_a_pickle_is_refused(tmp_path):
    data = io.BytesIO()
    np.savez(data, counts=np.array([{"a": 1}], dtype=object), bin_width=8.0, sigma=5.0, lambda_=0.5, split_checksum="x")
    (tmp_path / "prior.npz").write_bytes(data.getvalue())
    with pytest.raises(ColorlibError, match="damaged"):
        prior.Prior.load(tmp_path / "prior.npz")


# Real photos and somebody else's prior.


@pytest.fixture(scope="module")
def scenes(shared, tmp_path_factory):
    """Paths of 3,000 of MiniPlaces' training photos: every fifth."""
    folder = tmp_path_factory.mktemp("miniplaces")
    with tarfile.open(shared / "photos" / "miniplaces-train.tar") as archive:
        members = sorted((m for m in archive if m.name.endswith(".jpg")), key=lambda m: m.name)[::5]
        for number, member in enumerate(members):
            (folder / f"{number:05}.jpg").write_bytes(archive.extractfile(member).read())
    return sorted(map(str, folder.glob("*.jpg")))


def test_scenes_give_the_prior_of_zhang(scenes, shared):
    counts = prior.count(scenes, 10.0)
    assert 0.9 * 3000 * 128 * 128 < counts.sum() < 3000 * 128 * 128  # about 3 % of the photos are near-gray
    points = np.load(shared / "reference" / "foamliu_pts_in_hull.npy")
    theirs = np.load(shared / "reference" / "foamliu_prior_prob.npy")
    ours = (counts / counts.sum())[tuple(prior.bins_of(points, 10.0).T)]
    assert ours.sum() > 0.999  # their 313 bins hold nearly all colors of ours
    assert np.corrcoef(ours, theirs)[0, 1] > 0.99
    assert np.corrcoef(np.log(ours + 1e-7), np.log(theirs + 1e-7))[0, 1] > 0.95


def test_the_weights_of_scenes(scenes):
    gray = []
    one = prior.Prior(prior.count(scenes, near_gray=gray), 8.0, 5.0, 0.5, "")
    ratio = one.weights.max() / one.weights.min()
    assert 115 < ratio < 145  # 131 over all 15,000 photos
    # With the near-gray photos it would be larger (141 over all 15,000): gray is then more frequent still.
    counts = one.counts.copy()
    for path in gray:
        ab = lab.rgb_to_lab(np.asarray(Image.open(path).convert("RGB")) / 255.0)[..., 1:]
        np.add.at(counts, tuple(np.moveaxis(prior.bins_of(ab, 8.0), -1, 0)), 1)
    assert counts.sum() == 3000 * 128 * 128
    weights = prior.Prior(counts, 8.0, 5.0, 0.5, "").weights
    assert ratio + 5 < weights.max() / weights.min() < 160
    assert one.weights[16, 16] == one.weights.min()  # gray is the most frequent color
    assert (one.counts * one.weights).sum() / one.counts.sum() < 1  # it is 1 under the smoothed p′
    # With bin probabilities in place of a density, λ / 4 swamps p′, and the rebalancing is all but switched off.
    probabilities = one.density * (8 / 128) ** 2
    swamped = 1 / (0.5 * probabilities + 0.5 / 4)
    assert swamped.max() / swamped.min() < 2
