"""Calibration error and proper scores: does confidence mean what it says?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from reliability.errors import UsageError
from reliability.metrics.answers import Answers, read_answers
from reliability.metrics.prepared import PerImage, mean_of
from reliability.metrics.registry import register
from reliability.types import F64, I64

ECE_BINS = 15


@register("classification", direction="lower", low=0.0, high=1.0, unit="fraction")
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
    gaps = answers.confidence - answers.correct
    members = _bin_of(answers.confidence, ECE_BINS)[:, None] == np.arange(ECE_BINS)
    return PerImage(members * gaps[:, None], lambda means: np.abs(means).sum(axis=1))


@register("classification", direction="neither", low=-1.0, high=1.0, unit="fraction")
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


@register("classification", direction="lower", low=0.0, high=float("inf"), unit="nats")
def nll(answers: Answers) -> PerImage:
    """Mean negative log-likelihood of the label, in nats.

    Args:
        logits: [N, C], after the logit scale.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, or labels outside 0..C-1.

    Conventions:
        By log-softmax from logits, never as the logarithm of a probability, so a label
        the model thinks all but impossible costs its true, finite amount.

    >>> nll([[0.0, 800.0]], [0])
    800.0
    """
    return mean_of(answers.surprise)


@register("classification", direction="lower", low=0.0, high=2.0, unit="squared probability")
def brier(answers: Answers) -> PerImage:
    """Brier score: squared distance of the probabilities to the label, summed over classes.

    Args:
        logits: [N, C], after the logit scale.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, or labels outside 0..C-1.

    Conventions:
        A sum over classes, so it lies in [0, 2]; libraries that average over classes
        give this divided by C.

    Source:
        Brier, Verification of forecasts expressed in terms of probability, 1950. No departure.

    >>> brier([[0.0, 0.0]], [0])
    0.5
    """
    return mean_of(answers.brier)


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
    answers = read_answers("reliability_bins", logits, labels)
    place = _bin_of(answers.confidence, bins)
    counts = np.bincount(place, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean_confidence = np.bincount(place, answers.confidence, minlength=bins) / counts
        accuracy = np.bincount(place, answers.correct, minlength=bins) / counts
    return ReliabilityBins(counts, mean_confidence, accuracy)


def _bin_of(height: F64, bins: int) -> I64:
    # Compared with edges that are each k / bins correctly rounded: the shortcut
    # ceil(confidence * bins) puts values a rounding step above an edge below it.
    edges = np.arange(bins + 1) / bins
    return np.clip(np.searchsorted(edges, height, side="left") - 1, 0, bins - 1)
