"""Calibration error by equal-width bins of confidence: does confidence mean what it says?

Each bin of confidence has a gap, its mean confidence minus its accuracy. These
metrics differ in what they make of the gaps; :func:`reliability_bins` draws them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reliability.errors import UsageError
from reliability.metrics.answers import Answers, read_answers
from reliability.metrics.prepared import PerImage, mean_of
from reliability.metrics.temperature import register_with_temperature
from reliability.types import F64, I64

ECE_BINS = 15


@register_with_temperature(direction="lower", low=0.0, high=1.0, unit="fraction")
def ece(answers: Answers) -> PerImage:
    """Expected calibration error of the top label, 15 equal-width bins.

    The mean over images of the absolute gap between mean confidence and
    accuracy in the image's bin.

    Args:
        logits: [N, C], after the logit scale.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, or labels outside 0..C-1.

    Conventions:
        Bins are (l, r], so a confidence of exactly 1 lies in the last bin and one of 0
        would lie in the first. Empty bins weigh nothing. The plug-in estimate is biased
        upwards (about 0.02 at 2,000 images of a perfectly calibrated model), and a
        resample's value more so: compare differences, and do not read small values as error.

    Source:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017. No departure.

    >>> round(ece([[0.0, 0.0], [0.0, 0.0]], [0, 0]), 3)
    0.5
    """
    return PerImage(_gaps_by_bin(answers), lambda gaps: np.abs(gaps).sum(axis=1))


@register_with_temperature(direction="lower", low=0.0, high=1.0, unit="fraction")
def overconfidence(answers: Answers) -> PerImage:
    """The part of the expected calibration error by which confidence exceeds accuracy.

    Args:
        logits: [N, C], after the logit scale.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: As :func:`ece`.

    Conventions:
        The sum over bins of :func:`ece` with gaps below 0 counted as 0, so
        ``overconfidence + underconfidence == ece`` and
        ``overconfidence - underconfidence == signed_ece``. Biased upwards like :func:`ece`.

    >>> overconfidence([[3.0, 3.0], [3.0, 3.0]], [1, 1])
    0.5
    """
    return PerImage(_gaps_by_bin(answers), lambda gaps: np.maximum(gaps, 0.0).sum(axis=1))


@register_with_temperature(direction="lower", low=0.0, high=1.0, unit="fraction")
def underconfidence(answers: Answers) -> PerImage:
    """The part of the expected calibration error by which accuracy exceeds confidence.

    Args:
        logits: [N, C], after the logit scale.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: As :func:`ece`.

    Conventions:
        As :func:`overconfidence`, of the gaps below 0, as a positive number.

    >>> underconfidence([[3.0, 3.0], [3.0, 3.0]], [0, 0])
    0.5
    """
    return PerImage(_gaps_by_bin(answers), lambda gaps: np.maximum(-gaps, 0.0).sum(axis=1))


@register_with_temperature(direction="lower", low=0.0, high=1.0, unit="fraction")
def mce(answers: Answers) -> PerImage:
    """Maximum calibration error of the top label: the largest gap of any of 15 equal-width bins.

    Args:
        logits: [N, C], after the logit scale.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: As :func:`ece`.

    Conventions:
        The bins of :func:`ece`. Every bin that holds an image counts, however few it holds,
        so one image can decide: a bin of one answers 0 or 1. Empty bins count nothing.

    Source:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017. No departure.

    >>> mce([[0.0, 0.0], [0.0, 0.0], [999.0, 0.0]], [0, 1, 1])
    1.0
    """
    members = _members(answers).astype(np.float64)
    return PerImage(np.hstack([_gaps_by_bin(answers), members]), _largest)


def _largest(means: F64) -> F64:
    gaps, share = np.hsplit(np.abs(means), 2)
    largest: F64 = np.divide(gaps, share, out=np.zeros_like(gaps), where=share > 0.0).max(axis=1)
    return largest


@register_with_temperature(direction="neither", low=-1.0, high=1.0, unit="fraction")
def signed_ece(answers: Answers) -> PerImage:
    """Mean confidence minus accuracy: negative is underconfident, positive overconfident.

    Args:
        logits: [N, C], after the logit scale.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, or labels outside 0..C-1.

    Conventions:
        Summing the signed gaps of any binning gives this number, so it has no bins
        and no bin bias. Zero does not mean calibrated: errors of both signs cancel.

    >>> signed_ece([[0.0, 0.0], [0.0, 0.0]], [0, 0])
    -0.5
    """
    return mean_of(answers.confidence - answers.correct)


def _gaps_by_bin(answers: Answers) -> F64:
    """[N, 15] each image's confidence minus whether it is right, in the column of its bin."""
    gaps: F64 = _members(answers) * (answers.confidence - answers.correct)[:, None]
    return gaps


def _members(answers: Answers) -> NDArray[np.bool_]:
    members: NDArray[np.bool_] = equal_width_bin(answers.confidence, ECE_BINS)[:, None] == np.arange(ECE_BINS)
    return members


@dataclass(frozen=True)
class ReliabilityBins:
    """What a reliability diagram draws; bin k is (k / bins, (k + 1) / bins].

    Attributes:
        counts: [bins] images in each bin.
        confidence, accuracy: [bins] their means; NaN for an empty bin, which has neither.
    """

    counts: I64
    confidence: F64
    accuracy: F64


def reliability_bins(logits: ArrayLike, labels: ArrayLike, bins: int = ECE_BINS) -> ReliabilityBins:
    """Counts, mean confidence and accuracy per equal-width bin of confidence.

    Args:
        logits: [N, C], after the logit scale.
        labels: [N] in 0..C-1.
        bins: How many; :func:`ece` uses 15.

    Raises:
        UndefinedMetricError: As :func:`ece`.
        UsageError: ``bins`` is not positive.

    Conventions:
        The bins of :func:`ece`. An empty bin has no mean: NaN, for a diagram to leave out.
    """
    if bins < 1:
        raise UsageError(where="reliability_bins: bins", what="bins must be positive", got=bins, next="pass 15")
    return bins_of(read_answers("reliability_bins", logits, labels), bins)


def bins_of(answers: Answers, bins: int = ECE_BINS) -> ReliabilityBins:
    """As :func:`reliability_bins`, of answers that were read already."""
    place = equal_width_bin(answers.confidence, bins)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(place, answers.confidence, minlength=bins) / counts
        accuracy = np.bincount(place, answers.correct, minlength=bins) / counts
    return ReliabilityBins(counts, mean_confidence, accuracy)


def equal_width_bin(height: NDArray[Any], bins: int) -> I64:
    """Which bin (k / bins, (k + 1) / bins] each number in 0..1 lies in; 0 lies in the first."""
    # Compared with edges that are each k / bins correctly rounded: the shortcut
    # ceil(confidence * bins) puts values a rounding step above an edge below it.
    edges = np.arange(bins + 1) / bins
    return np.clip(np.searchsorted(edges, height, side="left") - 1, 0, bins - 1)
