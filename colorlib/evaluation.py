"""Answers to the question of color, the models' and trivial ones, scored on the same photos; and the paper's Table 1.

An answer is a function of a batch, (L, ab) -> ab as `batches` gives them; a model sees L alone, trivial answers may
cheat. All measures are taken at the size of the batches, each photo weighing the same. They are scikit-image's wherever
it has them. What a number means is said in notebook 07.
"""

import csv
import dataclasses
import functools
import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from skimage.color import deltaE_ciede2000
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from tqdm.auto import tqdm

from colorlib import ColorlibError, batches, colorize, lab, runs
from colorlib.sources import files

BIN = 10  # ab units, side of the bins of the class-rebalanced AuC, centred on multiples of it
SIDE = 27  # bins from -130 to 130
LOSSLESS = 10 * np.log10(255**2 * 12)  # dB: the error of rounding to 8 bits, where PSNR would be infinite
RESAMPLES = 1000
TRAINING_PHOTOS = 2000  # at most this many tell the mean color, and the best one per lightness


@dataclasses.dataclass(frozen=True)
class Measure:
    """How a measure is called, printed and read. `better` is "lower", "higher" or "nearest 0"; "" says nothing."""

    heading: str
    decimals: int
    better: str
    scale: float = 1.0


MEASURES = {
    "mse": Measure("MSE", 5, "lower"),  # plain Eq. 1, of ab / 128
    "psnr": Measure("PSNR (dB)", 2, "higher"),
    "ssim": Measure("SSIM", 4, "higher"),
    "delta_e": Measure("ΔE00", 2, "lower"),
    "auc": Measure("AuC (%)", 2, "higher", 100),
    "rebalanced_auc": Measure("rebalanced AuC (%)", 2, "higher", 100),
    "argmax_agreement": Measure("argmax agreement (%)", 2, "higher", 100),
    "colorfulness": Measure("colorfulness", 2, ""),
    "colorfulness_difference": Measure("its difference from the truth's", 2, "nearest 0"),
}


# One photo.


def to_rgb8(L, ab) -> np.ndarray:
    """The photo as a reader sees it: uint8 RGB (..., 3) of L / 100, (..., 1), and ab / 128, (..., 2)."""
    return np.rint(lab.lab_to_rgb(lab.join(np.asarray(L), np.asarray(ab))) * 255).astype(np.uint8)


def colorfulness(rgb) -> float:
    """Hasler and Süsstrunk's measure (2003) of an 8-bit RGB image, (h, w, 3), on signed opponent channels."""
    red, green, blue = np.moveaxis(np.asarray(rgb, np.float32), -1, 0)
    opponents = red - green, (red + green) / 2 - blue
    spread, mean = (np.hypot(*(statistic(channel) for channel in opponents)) for statistic in (np.std, np.mean))
    return float(spread + 0.3 * mean)


def ab_bins(ab) -> np.ndarray:
    """The bin of each color, ab / 128 (..., 2), as one integer index into a flattened (SIDE, SIDE) table, rows a."""
    bins = np.floor(np.asarray(ab) * (lab.AB_SCALE / BIN) + 0.5).astype(np.int64) + SIDE // 2
    bins = np.clip(bins, 0, SIDE - 1)
    return bins[..., 0] * SIDE + bins[..., 1]


def within(truth, answer) -> np.ndarray:
    """For each pixel, the share of the thresholds t = 0, 1 … 150 ab units within which the answer lies: the mean over
    pixels is the AuC of Zhang et al. (2016). truth, answer: ab / 128, (..., 2). Returns (...) in [0, 1]."""
    distance = np.sqrt(np.square(answer - truth).sum(-1)) * lab.AB_SCALE
    return np.clip(151 - np.ceil(distance), 0, 151) / 151


def class_weights(counts) -> np.ndarray:
    """1 / p of every class of colors, for counts of pixels, as floats; 0 for classes without one.

    Zhang et al. (2016), Eq. 4 with λ = 0, p being counted on the scored pixels: every class that occurs weighs the
    same, that of a single pixel too. The rarest of some 250 classes always are single pixels, and carry tenths of a
    point; so compare answers on the same photos, never figures of two sets.
    """
    share = counts / counts.sum()
    return np.divide(1.0, share, out=np.zeros_like(share), where=share > 0)


def score(L, truth, answers, weights):
    """One photo, L (s, s, 1) and its ab (s, s, 2), and (s, s, 2) of each answer. weights: of the colors' classes.

    Returns sums (answers, measures) and shares (measures,), as `Scores` has them, squared errors in ab units² by true
    color (answers, SIDE²), and the share of pixels with R = G = B.
    """
    true_lab, true_rgb, bins = lab.join(L, truth), to_rgb8(L, truth), ab_bins(truth)
    weight, true_colorfulness = weights[bins], colorfulness(true_rgb)
    sums, planes = [], []
    for answer in answers:
        rgb, near, squared = to_rgb8(L, answer), within(truth, answer), np.square(answer - truth).sum(-1)
        psnr = np.inf if np.array_equal(rgb, true_rgb) else peak_signal_noise_ratio(true_rgb, rgb, data_range=255)
        measured = {
            "mse": squared.mean() / 2,
            "psnr": min(psnr, LOSSLESS),
            "ssim": structural_similarity(true_rgb, rgb, channel_axis=-1, data_range=255),
            "delta_e": deltaE_ciede2000(true_lab, lab.join(L, answer)).mean(),
            "auc": near.mean(),
            "rebalanced_auc": (near * weight).mean(),
            "argmax_agreement": (answer.argmax(-1) == truth.argmax(-1)).mean(),
            "colorfulness": colorfulness(rgb),
            "colorfulness_difference": colorfulness(rgb) - true_colorfulness,
        }
        sums.append([measured[name] for name in MEASURES])
        planes.append(np.bincount(bins.ravel(), squared.ravel() * lab.AB_SCALE**2, minlength=SIDE**2))
    shares = [weight.mean() if name == "rebalanced_auc" else 1.0 for name in MEASURES]
    neutral = (true_rgb == true_rgb[..., :1]).all(-1).mean()
    return np.array(sums), np.array(shares), np.array(planes), neutral


# Many photos.


@dataclasses.dataclass(frozen=True)
class Scores:
    """Scores of several answers on the same photos, photo by photo: of `models`, of `trivial` ones, of the ceiling.

    sums: float64 (answers, photos, measures), and shares: (photos, measures): a measure is the ratio of their means
    over photos. samples: (resamples, answers, measures), the measures of each resample of the photos. plane:
    (answers, SIDE, SIDE), the mean squared error, in ab units², by true color; NaN where no pixel is. neutral:
    share of pixels with R = G = B.
    """

    answers: tuple[str, ...]
    models: tuple[str, ...]
    trivial: tuple[str, ...]
    sums: np.ndarray
    shares: np.ndarray
    samples: np.ndarray
    plane: np.ndarray
    neutral: float

    def value(self, answer: str, measure: str) -> float:
        """The measure of an answer over all photos, in the unit of its heading."""
        i, m = self._at(answer, measure)
        return float(self.sums[i, :, m].mean() / self.shares[:, m].mean() * MEASURES[measure].scale)

    def interval(self, answer: str, measure: str) -> tuple[float, float]:
        """Its 95 % interval, from the bootstrap over photos."""
        i, m = self._at(answer, measure)
        low, high = np.percentile(self.samples[:, i, m], (2.5, 97.5)) * MEASURES[measure].scale
        return float(low), float(high)

    def per_photo(self, answer: str, measure: str) -> np.ndarray:
        """The measure of each photo, (photos,)."""
        i, m = self._at(answer, measure)
        return self.sums[i, :, m] / self.shares[:, m] * MEASURES[measure].scale

    def difference(self, answer: str, other: str, measure: str) -> tuple[float, float, float]:
        """The measure of an answer less that of another, and its 95 % interval, paired: the same photos for both."""
        (i, m), (j, _) = self._at(answer, measure), self._at(other, measure)
        low, high = np.percentile(self.samples[:, i, m] - self.samples[:, j, m], (2.5, 97.5)) * MEASURES[measure].scale
        return self.value(answer, measure) - self.value(other, measure), float(low), float(high)

    def unbeaten(self, answer: str, measure: str) -> list[str]:
        """The trivial answers that a model fails to beat: the 95 % interval of the paired difference reaches 0."""
        better = MEASURES[measure].better
        if answer not in self.models or not better:
            return []
        i, m = self._at(answer, measure)
        samples = self.samples[..., m]
        loss = {"lower": samples, "higher": -samples, "nearest 0": np.abs(samples)}[better]
        lead = loss[:, i, None] - loss[:, [self.answers.index(name) for name in self.trivial]]
        return [name for name, high in zip(self.trivial, np.percentile(lead, 97.5, axis=0), strict=True) if high >= 0]

    def _at(self, answer, measure):
        return self.answers.index(answer), list(MEASURES).index(measure)


def bootstrap(sums, shares, seed: int, resamples: int = RESAMPLES) -> np.ndarray:
    """Measures of `resamples` draws of as many photos, with replacement, the same draws for all answers and measures.

    sums: (answers, photos, measures); shares: (photos, measures). Returns (resamples, answers, measures).
    """
    photos, random = sums.shape[1], np.random.default_rng(seed)
    draws = (random.integers(photos, size=photos) for _ in range(resamples))
    times = (np.bincount(draw, minlength=photos).astype(np.float64) for draw in draws)  # that each photo is drawn
    return np.array([n @ sums / (n @ shares) for n in times])


def evaluate(answers: dict, split, part: str, settings, progress: bool = True) -> Scores:
    """Score answers, and the trivial ones beside them, on a part of a split, photo by photo in constant memory.

    answers: name -> function of a batch, (L, ab) -> ab; see `answer_of`. Two passes over the photos: the first counts
    the classes of colors for the rebalanced AuC. Raises `ColorlibError` for an empty part and for an answer that is
    not finite or of another shape.
    """
    models, trivial = tuple(answers), trivial_answers(split, settings)
    answers = {**answers, **trivial, "truth at 1/4 chroma": quarter_chroma}
    counts = np.zeros(SIDE**2)
    for _, ab in _batches(split, part, settings):
        counts += np.bincount(ab_bins(ab).ravel(), minlength=SIDE**2)
    weights, scored, planes, neutral = class_weights(counts), [], 0.0, 0.0
    bar = tqdm(desc="scoring", total=len(split.photos(part)), unit="photo", disable=not progress)
    with ThreadPoolExecutor() as pool, bar:
        for L, ab in _batches(split, part, settings):
            predicted = np.stack([_checked(name, answer(L, ab), ab) for name, answer in answers.items()], axis=1)
            for photo in pool.map(score, L, ab, predicted, [weights] * len(L)):
                scored.append(photo[:2])
                planes, neutral = planes + photo[2], neutral + photo[3]
                bar.update()
    sums, shares = (np.stack(arrays, axis=-2) for arrays in zip(*scored, strict=True))
    with np.errstate(invalid="ignore"):
        plane = (planes / counts).reshape(-1, SIDE, SIDE)
    samples = bootstrap(sums, shares, settings.seed)
    return Scores(tuple(answers), models, tuple(trivial), sums, shares, samples, plane, neutral / len(shares))


def _batches(split, part, settings):
    with batches.photo_errors(split.paths(part)):
        yield from batches.evaluation(split, part, settings).as_numpy_iterator()


def _checked(name, answer, truth):
    answer = np.asarray(answer, np.float32)
    if answer.shape != truth.shape:
        raise ColorlibError(f"The answer {name!r} has shape {answer.shape}; it must be {truth.shape}, an ab a pixel.")
    if not np.isfinite(answer).all():
        raise ColorlibError(f"The answer {name!r} holds values that are not finite.")
    return answer


# Answers.


def answer_of(model: keras.Model, **choices):
    """The answer of a colorizer. Photos of another size than what it sees are scaled for it, and its ab back.

    choices: how a distribution becomes colors, see `colorize.coloring`.
    """
    given, to_colors = _given(model), colorize.coloring(model, **choices)
    return lambda L, ab: tf.image.resize(to_colors(given(L)), L.shape[1:3])  # what has that size already stays


@functools.lru_cache(maxsize=4)
def _given(model):
    """The function from L to what a model gives. It keeps that of the last array: several answers are made of it."""
    wanted, last = tuple(side or colorize.LOOK for side in model.input_shape[1:3]), [None, None]

    def given(L):
        if L is not last[0]:
            last[:] = L, colorize.traced(model, wanted)(tf.image.resize(L, wanted, antialias=True))
        return last[1]

    return given


def trivial_answers(split, settings) -> dict:
    """Answers that need no learning. Their colors are those of the training split, of evenly taken photos of it."""
    photos = split.photos("train")
    taken = dataclasses.replace(split, train=photos[:: -(-len(photos) // TRAINING_PHOTOS)])
    sums, counts = np.zeros((101, 2)), np.zeros(101)
    for L, ab in _batches(taken, "train", settings):
        level, ab = _level(L).ravel(), ab.reshape(-1, 2)
        counts += np.bincount(level, minlength=101)
        sums += np.stack([np.bincount(level, ab[:, i], minlength=101) for i in (0, 1)], axis=-1)
    mean = sums.sum(0) / counts.sum()
    table = np.where(counts[:, None] > 0, sums / np.maximum(counts, 1)[:, None], mean).astype(np.float32)
    return {
        "all gray": lambda L, ab: np.zeros_like(ab),
        "mean color": lambda L, ab: np.broadcast_to(mean.astype(np.float32), ab.shape),
        "best per lightness": lambda L, ab: table[_level(L)],
    }


def _level(L):
    return np.clip(np.rint(np.asarray(L)[..., 0] * lab.L_SCALE), 0, 100).astype(np.int64)


def quarter_chroma(L, ab):
    """The truth at a quarter of the chroma resolution: the ceiling of a head at stride 4. (b, s, s, 2), as given."""
    small = keras.ops.average_pool(ab, 4, 4, padding="same")
    return keras.ops.image.resize(small, ab.shape[1:3], interpolation="bilinear")


# Table 1.

PAPER = {  # the paper's, its columns in its order, and below them what it says of its models
    "Execution (hours)": {"efficientnet": 4.668333, "baseline": 15.56111, "rebalanced": 15.56111},
    "Val Loss": {"efficientnet": 0.008, "baseline": 0.0086, "rebalanced": 0.0057},
    "Val Accuracy": {"efficientnet": 0.7523, "baseline": 0.7139, "rebalanced": 0.6766},
    "Loss": {"efficientnet": 0.007, "baseline": 0.0082, "rebalanced": 0.0047},
    "Accuracy": {"efficientnet": 0.7662, "baseline": 0.7225, "rebalanced": 0.6886},
    "backbone": {"efficientnet": "EfficientNetB7", "baseline": "VGG-16", "rebalanced": "VGG-16"},
    "data set": dict.fromkeys(("efficientnet", "baseline", "rebalanced"), "Places, 3 %"),
    "image size": dict.fromkeys(("efficientnet", "baseline", "rebalanced"), 224),
}
PAPER_NAMES = {"efficientnet": "New Model", "baseline": "BaseLine", "rebalanced": "BaseLine (3)"}
LEGEND = (
    "± is half of the 95 % interval, by a paired bootstrap over photos. † marks a model that fails to beat a trivial "
    "answer. The Loss of BaseLine (3) is weighted: only plain MSE compares. Accuracy is argmax agreement.\n\n"
    'The "box" is the colorizer that comes with the project, and "box, mean" is its answer at vividness 0. It has '
    "learned from photos of Places2: on a Places data set, some of these photos may have been among them."
)


@dataclasses.dataclass(frozen=True)
class Table1:
    """The paper's table beside ours, and the honest one.

    ours: model -> what `record` says of its run; answers: model -> its answer (see `answer_of`); scores: all answers on
    the test photos; markdown: both tables, ready to print.
    """

    ours: dict
    answers: dict
    scores: Scores
    markdown: str


def table1(settings, split, progress: bool = True) -> Table1:
    """Table 1 of the trained runs in `settings.results_folder`, written there as table1.md and table1.csv.

    The test photos of `split`, which serve nothing else, score the models, the colorizer in the box and the trivial
    answers. Raises `ColorlibError` when no model is trained, or one was trained on another split.
    """
    trained = {name: run for name in PAPER_NAMES if (run := runs.Run(settings, name)).best_epoch}
    if not trained:
        raise ColorlibError("No model is trained. Run notebook 04, 05 or 06, or: python -m colorlib train baseline.")
    for name, run in trained.items():
        if run.split_checksum != split.checksum:
            advice = "perhaps on photos that test it here. Use its settings again, or train it anew"
            raise ColorlibError(f"{name} was trained on another split of {split.dataset}, {advice}.")
    ours = {name: record(run) for name, run in trained.items()}
    answers = {name: answer_of(run.build_model()) for name, run in trained.items()}
    box = colorize.box()
    answers |= {"box": answer_of(box), "box, mean": answer_of(box, vividness=0)}
    scores = evaluate(answers, split, "test", settings, progress)
    heading = f"## On the {len(scores.shares):,} test photos of {split.dataset}"
    text = "\n\n".join((paper_table(ours), heading, scores_table(scores), LEGEND))
    files.put(settings.results_folder / "table1.md", f"# Table 1\n\n{text}\n".encode())
    table = io.StringIO()
    csv.writer(table).writerows(_rows(ours, scores))
    files.put(settings.results_folder / "table1.csv", table.getvalue().encode())
    return Table1(ours, answers, scores, text)


def record(run) -> dict:
    """What a run's own files say for Table 1: the paper's rows, and the facts that explain them."""
    history, settings, best_epoch = run.history, run.settings, run.best_epoch
    best = next(row for row in history if row["epoch"] == best_epoch)
    seconds = sum(row["seconds"] for row in history)
    names = {"box": "ImageNet weights", "imagenet": "ImageNet weights", "none": "random weights"}
    weights = names.get(settings.weights, "weights from a file")
    return {
        "Execution (hours)": seconds / 3600,
        "Val Loss": best["val_loss"],
        "Val Accuracy": best["val_argmax_agreement"],
        "Loss": best["loss"],
        "Accuracy": best["argmax_agreement"],
        "backbone": f"{settings.backbone_of(run.model_name)}, {weights}",
        "data set": Path(settings.data).name,
        "image size": settings.image_size,
        "epochs": len(history),
        "best epoch": f"{best_epoch}" + ("" if run.state == "finished" else ", unfinished"),
        "seconds an epoch": seconds / len(history),
        "photos a second": sum(row["photos_per_second"] for row in history) / len(history),
        "plain val MSE": best["val_mse"],
        "plain MSE": best["mse"],
    }


def paper_table(ours: dict) -> str:
    """The paper's five rows, ours beside the paper's, and below them what each run was, as Markdown."""
    facts = list(next(iter(ours.values())))
    columns = [["", *facts]]
    for model, name in PAPER_NAMES.items():
        values = ours.get(model, dict.fromkeys(facts, "not trained")).values()
        shown = (f"{value:.4g}" if isinstance(value, float) else str(value) for value in values)
        columns.append([f"{name}: our {model}", *shown])
        paper = (str(PAPER.get(fact, {}).get(model, "not stated")) for fact in facts)
        columns.append([f"{name}: the paper's", *paper])
    return _markdown(list(zip(*columns, strict=True)))


def scores_table(scores: Scores) -> str:
    """All answers by all measures, each with half the width of its 95 % interval, as Markdown: two tables, which fit
    a notebook's width where one would not."""
    tables = []
    for names in (list(MEASURES)[:5], list(MEASURES)[5:]):
        rows = [["", *(MEASURES[name].heading for name in names)]]
        rows += [[answer, *(_cell(scores, answer, name) for name in names)] for answer in scores.answers]
        tables.append(_markdown(rows))
    return "\n\n".join(tables)


def _cell(scores, answer, name):
    low, high = scores.interval(answer, name)
    digits = MEASURES[name].decimals
    mark = " †" if scores.unbeaten(answer, name) else ""
    return f"{scores.value(answer, name):.{digits}f} ± {(high - low) / 2:.{digits}f}{mark}"


def _markdown(rows) -> str:
    """A table of strings, its heading first, as Markdown that also reads as plain text."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    rows = [rows[0], ["-" * width for width in widths], *rows[1:]]
    return "\n".join(f"| {' | '.join(map(str.ljust, row, widths))} |" for row in rows)


def _rows(ours: dict, scores: Scores):
    """Both tables as rows of a CSV file, one figure a row; a dagger's trivial answers stand in `unbeaten`."""
    yield "table", "answer", "figure", "value", "low", "high", "paper", "unbeaten"
    for model, facts in ours.items():
        for row, value in facts.items():
            yield "paper", model, row, value, "", "", PAPER.get(row, {}).get(model, ""), ""
    for answer in scores.answers:
        for name, measure in MEASURES.items():
            value, unbeaten = scores.value(answer, name), " + ".join(scores.unbeaten(answer, name))
            yield "test", answer, measure.heading, value, *scores.interval(answer, name), "", unbeaten
