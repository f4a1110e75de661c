"""Calibration error from the least confident image to the most, without bins of a fixed width.

Along the images in order of confidence two sums grow: of right answers, and of
confidence minus right answers. A bin that holds a given share of the images is
two places on this curve, so its mean confidence and accuracy are differences.
Images of one confidence have no order, so the curve is a straight line through
them, and a bin that ends among them takes its share of each. Nothing depends on
the order of rows, and seeing every image twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reliability.metrics.answers import Answers
from reliability.metrics.checks import undefined
from reliability.metrics.prepared import Weights, require_shapes
from reliability.metrics.temperature import register_with_temperature
from reliability.types import F64

_BINS = 15
# A sweep over all bin numbers costs their square, and no more bins than this say anything new.
_MOST_BINS = 500


@register_with_temperature(direction="lower", low=0.0, high=1.0, unit="fraction")
def ece_equal_mass(answers: Answers) -> ByConfidence:
    """Expected calibration error of the top label, 15 bins with equally many images.

    Args:
        logits: [N, C], after the logit scale.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, or labels outside 0..C-1.

    Conventions:
        Each bin holds exactly a fifteenth of the images: an image that straddles an edge is
        split, and images of one confidence share their accuracy and are split alike. Biased
        upwards like ``ece``, by about as much in every bin.

    Source:
        Nguyen & O'Connor, Posterior Calibration and Exploratory Analysis for NLP, EMNLP 2015.
        Departure: exact shares and ties by level, where binning sorted rows depends on their
        order; absolute gaps, where the paper squares them.

    >>> round(ece_equal_mass([[0.0, 0.0]] * 4, [0, 0, 0, 1]), 12)
    0.25
    """
    return _by_confidence(answers, partial(_mean_gap, bins=_BINS))


@register_with_temperature(
    direction="lower", low=0.0, high=1.0, unit="fraction", defined="at least 2 images", depends_on_size=True
)
def ece_debiased(answers: Answers) -> ByConfidence:
    """Root mean square calibration error of the top label, less the variance of accuracies in its bins.

    The square root of the mean over bins of ``gap**2 - acc * (1 - acc) / (n - 1)``,
    where n images of accuracy acc are in the bin.

    Args:
        logits: [N, C], after the logit scale.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: As :func:`ece_equal_mass`, or one image, which has no variance.

    Conventions:
        The bins of :func:`ece_equal_mass`, 15 or, below 30 images, half as many as images. A
        mean square below 0, which chance produces for a well-calibrated model, counts as 0.
        Root mean square is never below the mean gap that ``ece`` estimates: do not compare
        them. Resamples repeat images, which this estimate takes for evidence, so their values
        lie higher than the estimate.

    Source:
        Kumar et al., Verified Uncertainty Calibration, NeurIPS 2019. Departure: bins of exactly
        equal mass, and the value is clipped at 0 before the root.

    >>> round(ece_debiased([[0.0, 0.0]] * 40, [0] * 40), 12)
    0.5
    """
    if len(answers) < 2:
        raise undefined("ece_debiased", "logits", "a variance needs two images", "one image", "use ece_equal_mass")
    return _by_confidence(answers, _debiased)


@register_with_temperature(direction="lower", low=0.0, high=1.0, unit="fraction")
def ece_sweep(answers: Answers) -> ByConfidence:
    """Expected calibration error of the top label, as many equal-mass bins as keep accuracy rising.

    Bins are added one by one until the accuracy of some bin falls below that of
    the bin before it, and the last number without such a fall is used.

    Args:
        logits: [N, C], after the logit scale.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: As :func:`ece_equal_mass`.

    Conventions:
        The bins of :func:`ece_equal_mass`. Accuracies within 1e-9 count as equal. The number of
        bins jumps from resample to resample, so limits are wider than of other estimates.

    Source:
        Roelofs et al., Mitigating Bias in Calibration Error Estimation, AISTATS 2022.
        Departure: absolute gaps, where the authors' default squares them; bins of exactly equal
        mass; no more bins than distinct confidences, nor than 500, where the paper stops at the
        number of images.

    >>> round(ece_sweep([[0.0, 0.0]] * 2 + [[9.0, 0.0]] * 2, [0, 1, 0, 0]), 3)
    0.0
    """
    return _by_confidence(answers, lambda curve: _mean_gap(curve, _rising_bins(curve)))


@register_with_temperature(direction="lower", low=0.0, high=1.0, unit="fraction")
def ks_calibration(answers: Answers) -> ByConfidence:
    """Kolmogorov-Smirnov calibration error: the largest sum of gaps up to any confidence, per image.

    Args:
        logits: [N, C], after the logit scale.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: As :func:`ece_equal_mass`.

    Conventions:
        Needs no bins. Images of one confidence enter together. Never below the absolute value
        of ``signed_ece``, the sum over all images, and equal to it for a model whose gaps have
        one sign.

    Source:
        Gupta et al., Calibration of Neural Networks using Splines, ICLR 2021. Departure: tied
        images are one step, where the paper takes them one by one.

    >>> ks_calibration([[0.0, 0.0]] * 4, [0, 0, 0, 1])
    0.25
    """
    return _by_confidence(answers, lambda curve: float(np.abs(curve.excess).max() / curve.images))


@dataclass(frozen=True)
class Curve:
    """One set of images in order of confidence; position k is after the k least distinct confidences.

    Attributes:
        mass: [L + 1] images so far, from 0; the same twice where a resample lacks a confidence.
        right: [L + 1] right answers among them.
        excess: [L + 1] their summed confidence, less right answers.
    """

    mass: F64
    right: F64
    excess: F64

    @property
    def images(self) -> float:
        """How many images there are."""
        return float(self.mass[-1])

    @property
    def levels(self) -> int:
        """How many distinct confidences they have."""
        return int(np.count_nonzero(np.diff(self.mass)))

    def at_edges(self, sums: F64, bins: int) -> F64:
        """[bins + 1] what ``mass``, ``right`` or ``excess`` has come to where bins of equal mass meet."""
        heights: F64 = np.interp(np.arange(bins + 1) * (self.images / bins), self.mass, sums)
        return heights

    def per_bin(self, sums: F64, bins: int) -> F64:
        """[bins] what ``right`` or ``excess`` grows by in each bin, per image of the bin."""
        # Divided by what mass itself comes to, rounded alike, so that all right is exactly 1.
        rates: F64 = np.diff(self.at_edges(sums, bins)) / np.diff(self.at_edges(self.mass, bins))
        return rates


def _mean_gap(curve: Curve, bins: int) -> float:
    return float(np.abs(curve.per_bin(curve.excess, bins)).mean())


def _debiased(curve: Curve) -> float:
    bins = min(_BINS, int(curve.images) // 2)
    gap, accuracy = curve.per_bin(curve.excess, bins), curve.per_bin(curve.right, bins)
    variance = accuracy * (1.0 - accuracy) / (curve.images / bins - 1.0)
    return float(np.sqrt(max((gap**2 - variance).mean(), 0.0)))


def _rising_bins(curve: Curve) -> int:
    most = min(curve.levels, _MOST_BINS)
    for bins in range(2, most + 1):
        if (np.diff(curve.at_edges(curve.right, bins), n=2) < -1e-9 * curve.images / bins).any():
            return bins - 1
    return most


@dataclass(frozen=True)
class ByConfidence:
    """A metric of the curve of right answers over confidence.

    Attributes:
        confidence: [N].
        correct: [N] whether each answer is right.
        finish: From the curve of some images to their value.
    """

    confidence: F64
    correct: NDArray[np.bool_]
    finish: Callable[[Curve], float]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of images, once."""
        return (len(self.confidence),)

    def __call__(self, *weights: Weights) -> F64:
        """Values [B] under integer image weights [B, N]."""
        require_shapes(weights, self.sizes)
        # Image-major order, as the bootstrap draws it, makes the gather a copy of whole rows.
        drawn = np.take(np.asarray(weights[0]).T, self._order, axis=0)
        mass = self._running(drawn)
        right = self._running(drawn * self.correct[self._order, None])
        excess = np.zeros_like(mass)
        np.cumsum(np.diff(mass, axis=1) * self._levels - np.diff(right, axis=1), axis=1, out=excess[:, 1:])
        return np.array([self.finish(Curve(*sums)) for sums in zip(mass, right, excess, strict=True)])

    def _running(self, drawn: NDArray[Any]) -> F64:
        """[B, L + 1] sums of [N, B] up to each level of confidence, from 0."""
        running = np.zeros((len(drawn) + 1, drawn.shape[1]), dtype=np.int64)
        np.cumsum(drawn, axis=0, dtype=np.int64, out=running[1:])
        return np.ascontiguousarray(running[self._ends].T, dtype=np.float64)

    @cached_property
    def _order(self) -> NDArray[np.intp]:
        return np.argsort(self.confidence, kind="stable")

    @cached_property
    def _ends(self) -> NDArray[np.intp]:
        """[L + 1] how many images there are up to each level, from 0."""
        return np.flatnonzero(np.diff(self.confidence[self._order], prepend=-1.0, append=2.0))

    @cached_property
    def _levels(self) -> F64:
        """[L] the distinct confidences."""
        return self.confidence[self._order][self._ends[:-1]]


def _by_confidence(answers: Answers, finish: Callable[[Curve], float]) -> ByConfidence:
    return ByConfidence(answers.confidence, answers.correct, finish)
