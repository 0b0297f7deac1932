"""What is measured of a coloring, photo by photo, and what many photos together say: means and their intervals.

scikit-image's functions wherever it has one. Pure NumPy: no batches, no models.
"""

import dataclasses

import numpy as np
from skimage.color import deltaE_ciede2000
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from colorlib import lab

BIN = 10  # ab units, side of the bins of the class-rebalanced AuC, centred on multiples of it
SIDE = 27  # bins from -130 to 130
LOSSLESS = 10 * np.log10(255**2 * 12)  # dB: the error of rounding to 8 bits, where PSNR would be infinite
RESAMPLES = 1000


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


def colorfulness(rgb) -> float:
    """Hasler and Süsstrunk's measure (2003) of an 8-bit RGB image, (h, w, 3), on signed opponent channels."""
    red, green, blue = np.moveaxis(np.asarray(rgb, np.float32), -1, 0)
    opponents = red - green, (red + green) / 2 - blue
    spread, mean = (np.hypot(*(statistic(channel) for channel in opponents)) for statistic in (np.std, np.mean))
    return float(spread + 0.3 * mean)


def to_rgb8(L, ab) -> np.ndarray:
    """The photo as a reader sees it: uint8 RGB (..., 3) of L / 100, (..., 1), and ab / 128, (..., 2)."""
    return np.rint(lab.lab_to_rgb(lab.join(np.asarray(L), np.asarray(ab))) * 255).astype(np.uint8)


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
    paths: tuple[str, ...]
    part: str
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

    def at_percentile(self, answer: str, percentile: float) -> int:
        """The index of the photo at a percentile of the answer's MSE: 0 is the best photo, 100 the worst."""
        order = np.argsort(self.per_photo(answer, "mse"), kind="stable")
        return int(order[round(percentile / 100 * (len(order) - 1))])

    def unbeaten(self, answer: str, measure: str) -> list[str]:
        """The trivial answers that this one fails to beat: the 95 % interval of the paired difference reaches 0."""
        i, m = self._at(answer, measure)
        sign = {"lower": 1, "higher": -1, "nearest 0": 1, "": 0}[MEASURES[measure].better]
        samples = np.abs(self.samples[..., m]) if MEASURES[measure].better == "nearest 0" else self.samples[..., m]
        rivals = [name for name in self.trivial if name != answer] if sign else []
        return [
            name
            for name in rivals
            if np.percentile(sign * (samples[:, i] - samples[:, self.answers.index(name)]), 97.5) >= 0
        ]

    def _at(self, answer, measure):
        return self.answers.index(answer), list(MEASURES).index(measure)


def score(L, truth, answers, weights):
    """One photo: sums (answers, measures), shares (measures,), squared errors by true color, share of R = G = B."""
    true_lab, true_rgb, bins = lab.join(L, truth), to_rgb8(L, truth), ab_bins(truth)
    weight = weights[bins]
    true_colorfulness = colorfulness(true_rgb)
    sums, planes = [], []
    for answer in answers:
        rgb, near = to_rgb8(L, answer), within(truth, answer)
        squared = np.square(answer - truth).sum(-1)
        identical = np.array_equal(rgb, true_rgb)
        psnr = LOSSLESS if identical else min(peak_signal_noise_ratio(true_rgb, rgb, data_range=255), LOSSLESS)
        colors = colorfulness(rgb)
        sums.append(
            {
                "mse": squared.mean() / 2,
                "psnr": psnr,
                "ssim": structural_similarity(true_rgb, rgb, channel_axis=-1, data_range=255),
                "delta_e": deltaE_ciede2000(true_lab, lab.join(L, answer)).mean(),
                "auc": near.mean(),
                "rebalanced_auc": (near * weight).mean(),
                "argmax_agreement": (answer.argmax(-1) == truth.argmax(-1)).mean(),
                "colorfulness": colors,
                "colorfulness_difference": colors - true_colorfulness,
            }
        )
        planes.append(np.bincount(bins.ravel(), squared.ravel() * lab.AB_SCALE**2, minlength=SIDE**2))
    shares = [weight.mean() if measure == "rebalanced_auc" else 1.0 for measure in MEASURES]
    neutral = (true_rgb == true_rgb[..., :1]).all(-1).mean()
    return np.array([[row[m] for m in MEASURES] for row in sums]), np.array(shares), np.array(planes), neutral


def bootstrap(sums, shares, seed: int, resamples: int = RESAMPLES) -> np.ndarray:
    """Measures of `resamples` draws of as many photos, with replacement, the same draws for all answers and measures.

    sums: (answers, photos, measures); shares: (photos, measures). Returns (resamples, answers, measures).
    """
    photos = sums.shape[1]
    random, drawn = np.random.default_rng(seed), []
    for _ in range(resamples):
        times = np.bincount(random.integers(photos, size=photos), minlength=photos).astype(np.float64)
        drawn.append(times @ sums / (times @ shares))
    return np.array(drawn)
