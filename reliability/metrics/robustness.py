"""Accuracy on corrupted and shifted images, measured against what a baseline loses there.

Every image occurs under all corruptions and severities, so the image is what
resamples draw: its K * S answers come and go together.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit

from reliability.metrics.checks import undefined
from reliability.metrics.prepared import PerImage, Weights, mean_of
from reliability.metrics.registry import register
from reliability.types import F64

# Mean top-1 error over five severities: gaussian, shot, impulse noise; defocus, glass, motion, zoom blur;
# snow, frost, fog, brightness; contrast, elastic, pixelate, jpeg.
_ALEXNET_ERRORS = np.array(
    [
        0.886428, 0.894468, 0.922640, 0.819880, 0.826268, 0.785948, 0.798360, 0.866816,
        0.826572, 0.819324, 0.564592, 0.853204, 0.646056, 0.717840, 0.606500,
    ]
)  # fmt: skip


@register("corruptions", direction="higher", low=0.0, high=1.0, unit="fraction")
def mean_corruption_accuracy(correct: F64) -> PerImage:
    """Accuracy over all corruptions and severities.

    Args:
        correct: [N, K, S] whether each of N images is answered right under K corruptions at S
            severities; booleans, or 0 and 1.

    Raises:
        UndefinedMetricError: Empty or non-finite input, or marks other than 0 and 1.

    Conventions:
        Every corruption and every severity counts the same.

    >>> mean_corruption_accuracy([[[1, 0], [1, 1]]])
    0.75
    """
    return mean_of(correct.mean(axis=(1, 2)))


@register("corruptions", direction="lower", low=0.0, high=math.inf, unit="ratio", defined="K = 15 and S = 5")
def mce_corruption_alexnet(correct: F64) -> PerImage:
    """Mean corruption error of ImageNet-C: errors relative to AlexNet's published ones.

    Args:
        correct: [N, 15, 5] whether each of N images is answered right under the 15 corruptions
            in this order: gaussian, shot and impulse noise; defocus, glass, motion and zoom
            blur; snow, frost, fog, brightness; contrast, elastic, pixelate, jpeg.

    Raises:
        UndefinedMetricError: Empty or non-finite input, marks other than 0 and 1, or another
            number of corruptions or severities.

    Conventions:
        A fraction, where papers give percent: 1 is AlexNet. The published errors are those on
        the 50,000 images of ImageNet-C at 224 px, so the ratio means little on other images;
        prefer :func:`mce_corruption`. They are constants and carry no uncertainty.

    Source:
        Hendrycks & Dietterich, Benchmarking Neural Network Robustness, ICLR 2019. No departure.

    >>> round(mce_corruption_alexnet([[[0] * 5] * 15]), 4)
    1.2935
    """
    if correct.shape[1:] != (15, 5):
        raise undefined(
            "mce_corruption_alexnet", "correct", "the published errors are of 15 corruptions at 5 severities",
            f"{correct.shape[1]} corruptions, {correct.shape[2]} severities", "use mce_corruption with a baseline",
        )  # fmt: skip
    return mean_of(((1.0 - correct.mean(axis=2)) / _ALEXNET_ERRORS).mean(axis=1))


@register(
    "robustness", direction="lower", low=0.0, high=math.inf, unit="ratio",
    defined="the baseline errs under every corruption",
)  # fmt: skip
def mce_corruption(correct: F64, _clean: F64, baseline_correct: F64, _baseline_clean: F64) -> PerImage:
    """Mean corruption error: errors relative to those of a baseline, by default the FP32 model.

    Args:
        correct: [N, K, S] whether each of N images is answered right under K corruptions at S
            severities; booleans, or 0 and 1.
        clean: [N] the same without corruption; not used here.
        baseline_correct, baseline_clean: Of the baseline, on the same images.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, marks other than 0 and 1, or
            a corruption on which the baseline makes no error at any severity.

    Conventions:
        For every corruption the sum of the errors over severities is divided by the baseline's;
        the mean of these ratios counts all corruptions alike. A fraction: 1 is the baseline.
        A resample in which a baseline error vanishes has no value.

    Source:
        Hendrycks & Dietterich, Benchmarking Neural Network Robustness, ICLR 2019. Departure:
        the baseline is the caller's (:func:`mce_corruption_alexnet` has the published one).

    >>> mce_corruption([[[0, 0]], [[1, 1]]], [1, 1], [[[0, 1]], [[1, 1]]], [1, 1])
    2.0
    """
    return _mean_ratio("mce_corruption", _errors(correct), _errors(baseline_correct), "makes no error")


@register(
    "robustness", direction="lower", low=-math.inf, high=math.inf, unit="ratio",
    defined="every corruption costs the baseline accuracy",
)  # fmt: skip
def relative_mce(correct: F64, clean: F64, baseline_correct: F64, baseline_clean: F64) -> PerImage:
    """Mean corruption error of what corruption adds: errors above the clean error, relative to a baseline's.

    Args:
        correct, clean, baseline_correct, baseline_clean: As :func:`mce_corruption`.

    Raises:
        UndefinedMetricError: As :func:`mce_corruption`, or a corruption that the baseline answers as
            well as clean images or better: a ratio to that says nothing, or turns its sign.

    Conventions:
        The clean error of each model is taken off its error at every severity. Below 0 if the
        model gains under corruption. A model with more clean errors can look better here, and
        where the baseline loses little the ratio is unsteady.

    Source:
        Hendrycks & Dietterich, Benchmarking Neural Network Robustness, ICLR 2019. Departures:
        as :func:`mce_corruption`; undefined where the baseline loses nothing.

    >>> relative_mce([[[0, 0]], [[1, 1]]], [1, 1], [[[0, 1]], [[1, 1]]], [1, 1])
    2.0
    """
    added, baseline_added = _errors(correct, clean), _errors(baseline_correct, baseline_clean)
    return _mean_ratio("relative_mce", added, baseline_added, "loses nothing")


def _errors(correct: F64, clean: F64 | float = 1.0) -> F64:
    """Mean error over severities of each image, less that on the clean one, [N, K]."""
    errors: F64 = np.reshape(clean, (-1, 1)) - correct.mean(axis=2)
    return errors


def _mean_ratio(metric: str, model: F64, baseline: F64, fault: str) -> PerImage:
    kinds = model.shape[1]
    # Means of multiples of 1 / S: what is below this is 0 but for rounding.
    nothing = np.flatnonzero(baseline.mean(axis=0) < 1e-12)
    if len(nothing):
        raise undefined(
            metric, f"baseline_correct[:, {nothing[0]}]", f"the baseline {fault} under this corruption",
            f"mean over images and severities {baseline.mean(axis=0)[nothing[0]]:.6g}",
            "leave the corruption out, or use more images",
        )  # fmt: skip

    def finish(means: F64) -> F64:
        below = np.where(means[:, kinds:] < 1e-12, np.nan, means[:, kinds:])
        ratio: F64 = (means[:, :kinds] / below).mean(axis=1)
        return ratio

    return PerImage(np.hstack([model, baseline]), finish)


@register("shift", direction="higher", low=-1.0, high=1.0, unit="fraction", defined="two models to fit on differ")
def effective_robustness(correct: F64, clean: F64, fit_clean: F64, fit_shifted: F64) -> Beyond:
    """Accuracy on shifted images beyond what accuracy on clean ones predicts.

    Args:
        correct: [N] whether each shifted image is answered right; booleans, or 0 and 1.
        clean: [M] the same for clean images; they need not be the same images.
        fit_clean: [F] accuracies of other models on the clean images, strictly between 0 and 1.
        fit_shifted: [F] accuracies of those models on the shifted images.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, marks other than 0 and 1, fitted
            accuracies of 0 or 1, or fewer than two different clean accuracies to fit a line on.

    Conventions:
        The prediction is a line, fitted by least squares on the log-odds of both accuracies. It
        needs at least two other models: through the FP32 model alone there is no line, and
        assuming one would invent the answer. For that comparison use the harm in accuracy on
        the shifted images. The line is held fixed under resamples, so the interval leaves
        out its uncertainty; with few models that is most of it.

    Source:
        Taori et al., Measuring Robustness to Natural Distribution Shifts, NeurIPS 2020.
        No departure; Miller et al., ICML 2021, use probits instead of log-odds.

    >>> round(effective_robustness([1, 0, 1, 1], [1, 1, 1, 0], [0.5, 0.75, 0.9], [0.25, 0.5, 0.75]), 12)
    0.25
    """
    x, y = logit(fit_clean), logit(fit_shifted)
    if (x == x[0]).all():
        raise undefined(
            "effective_robustness", "fit_clean[0] and all others", "a line needs two different clean accuracies",
            fit_clean[0], "fit on more models",
        )  # fmt: skip
    spread = x - x.mean()
    slope = (spread @ y) / (spread @ spread)

    def predict(accuracy: F64) -> F64:
        # A model that is always right, or always wrong, has infinite log-odds, and the limit of the line.
        line: F64 = expit(y.mean() + slope * (logit(accuracy) - x.mean()))
        return line

    return Beyond(mean_of(correct), mean_of(clean), predict)


@dataclass(frozen=True)
class Beyond:
    """One mean less what another, over other images, predicts for it."""

    shifted: PerImage
    clean: PerImage
    predict: Callable[[F64], F64]

    @property
    def sizes(self) -> tuple[int, ...]:
        """Numbers of shifted and of clean images."""
        return (*self.shifted.sizes, *self.clean.sizes)

    def __call__(self, *weights: Weights) -> F64:
        """Values [B] under integer image weights [B, N] and [B, M]."""
        shifted, clean = weights
        return self.shifted(shifted) - self.predict(self.clean(clean))
