"""Measures against hand-computed cases and independent references; answers; Table 1 from runs' records."""

import dataclasses
import types
import weakref

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from colorlib import ColorlibError, colorize, evaluation, lab, losses, models, prior, runs, settings
from colorlib.sources import splits

SIZE = 32


def photo(a=0.0, b=0.0, L=50.0):
    """L / 100 and ab / 128 of an evenly colored photo."""
    return np.full((SIZE, SIZE, 1), L / 100, np.float32), np.full((SIZE, SIZE, 2), (a / 128, b / 128), np.float32)


def scored(L, truth, answer, counts=None):
    """The measures of one answer on one photo, by name."""
    counts = np.bincount(evaluation.ab_bins(truth).ravel(), minlength=evaluation.SIDE**2) if counts is None else counts
    sums, shares, _, _ = evaluation.score(L, truth, answer[None], evaluation.class_weights(counts.astype(float)))
    return dict(zip(evaluation.MEASURES, sums[0] / shares, strict=True))


@pytest.fixture
def colorful():
    rng = np.random.default_rng(0)
    rgb = np.kron(rng.uniform(0, 1, (SIZE // 4, SIZE // 4, 3)), np.ones((4, 4, 1))).astype(np.float32)
    return lab.split(lab.rgb_to_lab(np.rint(rgb * 255) / np.float32(255)))


def test_the_truth_scores_perfectly(colorful):
    L, ab = colorful
    assert scored(L, ab, ab) == pytest.approx(
        {
            "mse": 0,
            "psnr": evaluation.LOSSLESS,
            "ssim": 1,
            "delta_e": 0,
            "auc": 1,
            "rebalanced_auc": 1,
            "argmax_agreement": 1,
            "colorfulness": evaluation.colorfulness(evaluation.to_rgb8(L, ab)),
            "colorfulness_difference": 0,
        },
        abs=1e-6,
    )


def test_hand_computed_errors():
    L, truth = photo(a=30, b=40)
    got = scored(L, truth, np.zeros_like(truth))
    assert got["mse"] == pytest.approx((30**2 + 40**2) / 2 / 128**2, rel=1e-5)
    assert got["auc"] == pytest.approx((151 - 50) / 151)  # within 50, 51 ... 150
    assert got["argmax_agreement"] == 0  # b is larger; of (0, 0) Keras takes a
    true_rgb, gray_rgb = (evaluation.to_rgb8(L, ab).astype(float)[0, 0] for ab in (truth, np.zeros_like(truth)))
    assert got["psnr"] == pytest.approx(10 * np.log10(255**2 / np.mean((true_rgb - gray_rgb) ** 2)))


def test_delta_e_of_published_pairs():
    """Sharma, Wu and Dalal's test data (2005): pairs 1 and 7 of their table."""
    for L, one, other, expected in ((50.0, (2.6772, -79.7751), (0, -82.7485), 2.0425), (50, (0, 0), (-1, 2), 2.3669)):
        (light, truth), (_, answer) = photo(*one, L=L), photo(*other, L=L)
        assert scored(light, truth, answer)["delta_e"] == pytest.approx(expected, abs=2e-4)


def test_auc_counts_thresholds_from_0_to_150():
    rng = np.random.default_rng(1)
    truth, answer = rng.uniform(-0.8, 0.8, (2, 9, 9, 2)).astype(np.float32)
    distance = np.hypot(*np.moveaxis((answer - truth) * 128.0, -1, 0))
    expected = np.mean([(distance <= t).mean() for t in range(151)])
    assert evaluation.within(truth, answer).mean() == pytest.approx(expected, abs=1e-6)


def test_the_rebalanced_auc_weighs_every_color_class_the_same():
    L, truth = photo()
    truth[: SIZE // 4] = (0.0, 40 / 128)  # a quarter of the pixels, off by 40; the others are met exactly
    got = scored(L, truth, np.zeros_like(truth))
    assert got["auc"] == pytest.approx(0.75 + 0.25 * 111 / 151)
    assert got["rebalanced_auc"] == pytest.approx((1 + 111 / 151) / 2)


def test_bins_are_centred_on_multiples_of_ten():
    middle = evaluation.SIDE // 2
    for ab, expected in {(0, 0): (0, 0), (4.9, -4.9): (0, 0), (5.1, -5.1): (1, -1), (-87, 95): (-9, 10)}.items():
        row, column = divmod(int(evaluation.ab_bins(np.array(ab) / 128)), evaluation.SIDE)
        assert (row - middle, column - middle) == expected


def test_a_class_of_one_pixel_weighs_as_much_as_any():
    counts = np.array([1.0, 3e7, 0.0, 7e7])
    total = counts.sum()
    assert evaluation.class_weights(counts) == pytest.approx([total, total / 3e7, 0, total / 7e7])


def test_colorfulness_has_signed_opponent_channels():
    stripes = np.zeros((8, 8, 3), np.uint8)
    stripes[::2, :, 0], stripes[1::2, :, 1] = 200, 200
    # rg = ±200: spread 200, mean 0; yb = 100 everywhere: spread 0, mean 100.
    assert evaluation.colorfulness(stripes) == pytest.approx(200 + 0.3 * 100)
    assert evaluation.colorfulness(np.full((8, 8, 3), 77, np.uint8)) == 0


def folder_split(folder, colors, parts=("train", "test"), size=SIZE):
    """A split of evenly colored photos."""
    found = {"train": (), "validation": (), "test": ()}
    for part in parts:
        for i, color in enumerate(colors):
            path = folder / f"{part}{i}.png"
            Image.new("RGB", (size, size), color).save(path)
            found[part] += (splits.Photo(path.name, path.stat().st_size, f"{part}{i}", "x"),)
    return splits.Split("folder", folder, folder, **found)


@pytest.fixture
def split(tmp_path):
    rng = np.random.default_rng(2)
    return folder_split(tmp_path, [tuple(map(int, color)) for color in rng.integers(0, 256, (12, 3))])


@pytest.fixture
def small():
    return settings.load("sample", image_size=SIZE, batch_size=5)


def test_every_photo_counts_once_and_alike(split, small):
    half = lambda L, ab: ab / 2  # noqa: E731
    got = evaluation.evaluate({"half": half}, split, "test", small, progress=False)
    assert got.answers == ("half", "all gray", "mean color", "best per lightness", "truth at 1/4 chroma")
    colors = [np.asarray(Image.open(path).convert("RGB"))[0, 0] / 255 for path in split.paths("test")]
    ab = lab.rgb_to_lab(np.array(colors, np.float32))[:, 1:] / 128
    assert got.per_photo("all gray", "mse") == pytest.approx((ab**2).mean(-1), rel=1e-3)
    assert got.value("half", "mse") == pytest.approx((ab**2).mean() / 4, rel=1e-3)
    assert got.value("mean color", "mse") == pytest.approx(ab.var(0).mean(), rel=1e-3)
    assert got.value("best per lightness", "mse") < 0.2 * got.value("mean color", "mse")
    assert got.value("truth at 1/4 chroma", "mse") == pytest.approx(0, abs=1e-8)
    middle = evaluation.SIDE // 2
    assert np.isnan(got.plane[0, middle + 12, middle]) and np.nanmax(got.plane) > 0


def test_streaming_in_other_batches_changes_nothing(split, small):
    quarter = lambda L, ab: ab / 4  # noqa: E731
    one, other = (
        evaluation.evaluate({"x": quarter}, split, "test", small.replace(batch_size=n), progress=False) for n in (2, 7)
    )
    np.testing.assert_allclose(one.sums, other.sums, rtol=1e-6)
    np.testing.assert_array_equal(one.samples, other.samples)


def test_memory_does_not_grow_with_the_photos(split, small):
    held, most = [], []

    def answer(L, ab):
        predicted = ab / 2
        held.extend(map(weakref.ref, (L, ab, predicted)))
        most.append(sum(ref() is not None for ref in held))
        return predicted

    evaluation.evaluate({"x": answer}, split, "test", small.replace(batch_size=1), progress=False)
    assert len(most) == len(split.test) and max(most) <= 6  # of this batch and the one before


def test_models_are_marked_where_they_fail_to_beat_a_trivial_answer(split, small):
    answers = {"good": lambda L, ab: 0.9 * ab, "bad": lambda L, ab: -ab}
    got = evaluation.evaluate(answers, split, "test", small, progress=False)
    assert got.unbeaten("good", "delta_e") == [] or "all gray" not in got.unbeaten("good", "delta_e")
    assert set(got.unbeaten("bad", "mse")) == {"all gray", "mean color", "best per lightness"}
    bad = next(line for line in evaluation.scores_table(got).splitlines() if line.startswith("| bad"))
    gray = next(line for line in evaluation.scores_table(got).splitlines() if line.startswith("| all gray"))
    assert "†" in bad.split("|")[2] and "†" not in gray
    assert "†" in evaluation.LEGEND


def test_bootstrap_is_paired_and_agrees_with_the_standard_error():
    rng = np.random.default_rng(3)
    hard = rng.normal(10, 3, 400)  # how hard each photo is, for both answers
    sums = np.stack([hard, hard + 0.1])[..., None]
    samples = evaluation.bootstrap(sums, np.ones((400, 1)), seed=1)
    assert samples.shape == (evaluation.RESAMPLES, 2, 1)
    assert samples[:, 0, 0].std() == pytest.approx(3 / 20, rel=0.1)
    assert (samples[:, 1] - samples[:, 0]).std() < 1e-9
    measures = len(evaluation.MEASURES)
    sums, shares = np.tile(sums, measures), np.ones((400, measures))
    samples = evaluation.bootstrap(sums, shares, seed=1)
    scores = evaluation.Scores(("one", "other"), ("one",), (), sums, shares, samples, np.zeros((1, 1)), 0.0)
    assert scores.difference("other", "one", "auc") == pytest.approx((10, 10, 10))
    np.testing.assert_array_equal(samples, evaluation.bootstrap(sums, np.ones((400, 1)), seed=1))


def test_answers_that_make_no_sense_are_named(split, small):
    for answer, word in ((lambda L, ab: ab * np.nan, "not finite"), (lambda L, ab: ab[:, ::2], "shape")):
        with pytest.raises(ColorlibError, match=f"'strange'.*{word}"):
            evaluation.evaluate({"strange": answer}, split, "test", small, progress=False)
    with pytest.raises(ColorlibError, match="test part of the split of folder has no photos"):
        evaluation.evaluate({}, dataclasses.replace(split, test=()), "test", small)


def test_a_photo_that_is_gone_is_named(split, small, tmp_path):
    (tmp_path / "test3.png").unlink()
    with pytest.raises(ColorlibError, match=r"test3\.png cannot be read: No such file"):
        evaluation.evaluate({}, split, "test", small, progress=False)


def test_a_model_of_another_size_still_answers(small):
    import keras

    inputs = keras.Input((16, 16, 1))
    model = keras.Model(inputs, keras.layers.Concatenate()([inputs, 0.5 * inputs]))
    L, ab = photo(L=80)
    predicted = np.asarray(evaluation.answer_of(model)(L[None], ab[None]))
    assert predicted.shape == (1, SIZE, SIZE, 2)
    np.testing.assert_allclose(predicted[0, 5, 5], [0.8, 0.4], rtol=1e-5)


@pytest.mark.parametrize("size", [SIZE, (SIZE, 2 * SIZE), None])
def test_a_distribution_answers_with_the_colors_that_were_chosen(size):
    model = models.build_colorizer("mobilenet", None, size, 0, 4, (8, 8, 16, 16), seed=1, head="distribution")
    model.get_layer("head").kernel.assign(np.random.default_rng(0).normal(0, 1, model.get_layer("head").kernel.shape))
    counts = np.exp(-np.abs(lab.NODES).sum(axis=-1) / 12)
    model.get_layer("head").counts.assign(counts)
    L = np.random.default_rng(1).random((2, SIZE, 2 * SIZE if size != SIZE else SIZE, 1), dtype=np.float32)
    logits, v = model(L), prior.node_weights(counts, 0.2)
    for choices, asked in (
        ((v, 0.7, 0.5), {"vividness": 0.7, "lambda_": 0.2, "temperature": 0.5}),
        ((None, 0), {"vividness": 0}),
    ):
        expected = tf.image.resize(losses.color_of(logits, *choices), L.shape[1:3])
        np.testing.assert_allclose(evaluation.answer_of(model, **asked)(L, None), expected, atol=1e-4)
    with pytest.raises(ColorlibError, match="vividness is 2"):
        evaluation.answer_of(model, vividness=2)


def test_answers_of_one_model_share_its_trace_and_its_pass_over_a_batch():
    calls = {"traced": 0, "run": 0}

    class Model:
        input_shape, output_shape = (None, SIZE, SIZE, 1), (None, SIZE, SIZE, 2)

        def __call__(self, L, training):
            calls["traced"] += 1
            return tf.numpy_function(self.run, [L], tf.float32)

        def run(self, L):
            calls["run"] += 1
            return np.concatenate([L, L], axis=-1)

    model, batches = Model(), np.random.default_rng(0).random((2, 3, SIZE, SIZE, 1), dtype=np.float32)
    one, other = (evaluation.answer_of(model, vividness=each) for each in (0.5, 0.0))
    for batch in batches:
        assert np.array_equal(one(batch, None), np.concatenate([batch, batch], axis=-1))
        assert np.array_equal(one(batch, None), other(batch, None))
    assert calls == {"traced": 1, "run": 2}


# All gray and the mean color, on real photos: paper-readings.md. The whole sets are in benchmarks/floors.py.


def test_floors_on_real_photos(shared, tmp_path):
    import tarfile

    with tarfile.open(shared / "photos" / "miniplaces-val.tar") as tar:
        tar.extractall(tmp_path, filter="data")
    paths = sorted(tmp_path.glob("miniplaces/val/*.jpg"))[::25]
    photos = tuple(splits.Photo(str(p.relative_to(tmp_path)), 0, p.name, "x") for p in paths)
    split = splits.Split("miniplaces-val", tmp_path, tmp_path, photos, (), photos)
    got = evaluation.evaluate({}, split, "test", settings.load("sample", image_size=128), progress=False)
    # Measured once with scikit-image's Lab on the pixels as Pillow decodes them, in float64.
    reference = np.concatenate([_reference_ab(path) for path in paths])
    distance = np.linalg.norm(reference, axis=-1)
    assert got.value("all gray", "mse") == pytest.approx((reference**2).mean() / 128**2, rel=2e-5)
    assert got.value("mean color", "mse") == pytest.approx(reference.var(0).mean() / 128**2, rel=2e-5)
    assert got.value("all gray", "auc") == pytest.approx(
        100 * np.mean([(distance <= t).mean() for t in range(151)]), abs=1e-3
    )
    agreement = 100 * (reference[:, 0] >= reference[:, 1]).mean()
    assert got.value("all gray", "argmax_agreement") == pytest.approx(agreement, abs=100 * got.neutral)


def _reference_ab(path):
    from skimage.color import rgb2lab

    return rgb2lab(np.asarray(Image.open(path).convert("RGB")))[..., 1:].reshape(-1, 2)


# Table 1.


class FakeRun:
    """A run whose records say what a test wants."""

    history = tuple(
        {
            "epoch": epoch,
            "loss": 0.02 / epoch,
            "val_loss": 0.03 + abs(epoch - 2) / 100,
            "mse": 0.015,
            "val_mse": 0.025,
            "argmax_agreement": 0.6,
            "val_argmax_agreement": 0.5 + epoch / 100,
            "seconds": 90.0,
            "photos_per_second": 10.0 * epoch,
        }
        for epoch in (1, 2, 3)
    )
    best_epoch, state = 2, "finished"

    def __init__(self, chosen, name, checksum):
        self.settings, self.model_name, self.split_checksum = chosen, name, checksum


def test_a_record_is_what_history_says():
    got = evaluation.record(FakeRun(settings.load("sample"), "efficientnet", ""))
    assert got["Execution (hours)"] == pytest.approx(3 * 90 / 3600)
    assert (got["Val Loss"], got["Loss"], got["Val Accuracy"], got["Accuracy"]) == (0.03, 0.01, 0.52, 0.6)
    assert got["backbone"] == "efficientnetlite0, ImageNet weights" and got["data set"] == "sample"
    assert (got["epochs"], got["seconds an epoch"], got["photos a second"]) == (3, 90, 20)


@pytest.fixture
def two_runs(split, small, tmp_path, monkeypatch):
    """Table 1's surroundings with a baseline and an efficientnet, but no rebalanced."""
    chosen = small.replace(results_folder=tmp_path / "results")
    there = {name: FakeRun(chosen, name, split.checksum) for name in ("baseline", "efficientnet")}
    missing = types.SimpleNamespace(best_epoch=0)
    monkeypatch.setattr(runs, "Run", lambda settings, name: there.get(name, missing))
    monkeypatch.setattr(FakeRun, "build_model", lambda self: self.model_name, raising=False)
    monkeypatch.setattr(evaluation, "answer_of", lambda name, **choices: lambda L, ab: ab * 0.5)
    monkeypatch.setattr(colorize, "box", lambda: "box")
    return chosen, there


def test_table1_is_written_and_names_what_is_missing(split, two_runs):
    chosen, _ = two_runs
    table = evaluation.table1(chosen, split, progress=False)
    text = (chosen.results_folder / "table1.md").read_text()
    assert text.strip() == "# Table 1\n\n" + table.markdown.strip()
    hours = next(line for line in text.splitlines() if "Execution (hours)" in line)
    assert [cell.strip() for cell in hours.strip("|").split("|")] == [
        *("Execution (hours)", "0.075", "4.668333", "0.075", "15.56111", "not trained", "15.56111")
    ]
    for words in (
        "efficientnetlite0, ImageNet weights",
        "all gray",
        "mean color",
        "best per lightness",
        "1/4 chroma",
        "box, mean",
        "Places2",
        "±",
    ):
        assert words in text
    rows = (chosen.results_folder / "table1.csv").read_text().splitlines()
    assert rows[0] == "table,answer,figure,value,low,high,paper,unbeaten"
    assert sum(row.startswith("test,") for row in rows) == 8 * len(evaluation.MEASURES)
    assert f"test,baseline,MSE,{table.scores.value('baseline', 'mse')}" in "\n".join(rows)


def test_table1_refuses_runs_of_another_split_and_no_runs(split, two_runs):
    chosen, there = two_runs
    there["baseline"].split_checksum = "of other photos"
    with pytest.raises(ColorlibError, match="baseline was trained on another split"):
        evaluation.table1(chosen, split)
    there.clear()
    with pytest.raises(ColorlibError, match="python -m colorlib train"):
        evaluation.table1(chosen, split)
