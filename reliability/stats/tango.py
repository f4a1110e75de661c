"""Score limits and tests of the difference of two accuracies on the same images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import scipy
from scipy.special import ndtr

from reliability.stats.asymptotic import normal_score, score_interval, undefined
from reliability.stats.proportions import PairedCounts
from reliability.types import Interval


def tango_limits(counts: PairedCounts, level: float = 0.95) -> Interval:
    """Score limits of the harm in accuracy: the harms that the score test does not reject.

    The upper limit is the harm h at which the one-sided test of "harm >= h" has a p-value
    of exactly 1 - level, and the lower limit likewise for "harm <= h".

    Args:
        counts: Of independent images; ``both_right`` is not needed.
        level: Of each one-sided limit.

    Raises:
        UsageError: A level outside (0.5, 1).

    Conventions:
        With no discordant image the estimate is exactly 0 and the limits are
        +-z^2 / (n + z^2): that no image was seen to differ does not make two models equal.
        Limits stay within [-1, 1]. ``standard_error`` is the width in normal units. Exchanging
        the models mirrors the limits exactly.
        Each limit at 0.95 covers with probability 0.94 to 0.96 (exact sums) from some 10
        discordant images on, at n from 250 to 4,000. With fewer, most in one direction, the
        limit towards 0 is too tight: 0.91 at 4 and 1 expected of 1,000, where the limit away
        from 0, which decides whether a worse candidate passes, covers with 0.96.

    Source:
        Tango, Equivalence test and confidence interval for the difference in proportions for
        the paired-sample design, 1998. Departure: none in the limits; they are solved for by a
        bracketing root search where the paper uses the secant method.

    >>> limits = tango_limits(PairedCounts(1000, 0, 0))
    >>> limits.estimate, round(limits.lower, 5), round(limits.upper, 5)
    (0.0, -0.0027, 0.0027)
    """
    z = normal_score("tango_limits", level)
    lower, upper = -_upper_limit(counts.exchanged(), z), _upper_limit(counts, z)
    # Adding 0.0 turns a mirrored -0.0 into 0.0.
    return score_interval(counts.harm, lower + 0.0, upper, level)


@dataclass(frozen=True)
class TangoEvidence:
    """P-values for one-sided hypotheses about the harm in accuracy, by the score test.

    Attributes:
        counts: Of independent images.

    Conventions:
        A value below 1 - level and a limit of :func:`tango_limits` at ``level`` that excludes
        the harm tested always go together. Where neither the counts nor the hypothesis leave
        any variance (no discordant image and a harm of 0), the test says nothing: 0.5.

    Source:
        Tango, 1998, as :func:`tango_limits`. No departure.

    >>> round(TangoEvidence(PairedCounts(1000, 20, 20)).p_below(0.02), 4)
    0.0019
    """

    counts: PairedCounts

    def p_below(self, value: float) -> float:
        """P-value of "the harm is ``value`` or more"; a small one says it is less."""
        return float(ndtr(_score(self.counts, value)))

    def p_above(self, value: float) -> float:
        """P-value of "the harm is ``value`` or less"; a small one says it is more."""
        return float(ndtr(-_score(self.counts, value)))


def _upper_limit(counts: PairedCounts, z: float) -> float:
    n, square = counts.n, z * z
    if counts.only_reference_right == n:
        return 1.0
    # On the two other corners the estimate is itself a root, with no variance; these are the other ones.
    if counts.discordant == 0:
        return square / (n + square)
    if counts.only_candidate_right == n:
        return (square - n) / (n + square)

    def excess(harm: float) -> float:
        return _deviation(counts, harm) + z * math.sqrt(_null_variance(counts, harm))

    return float(scipy.optimize.brentq(excess, counts.harm, 1.0, xtol=1e-15, rtol=1e-15))


def _score(counts: PairedCounts, harm: float) -> float:
    """Tango's statistic: how far the counts lie above a harm, in standard errors under it."""
    if not math.isfinite(harm):
        raise undefined("TangoEvidence: value", "the harm tested must be finite", harm, "pass a margin")
    if abs(harm) > 1.0:
        return math.copysign(math.inf, -harm)
    deviation, variance = _deviation(counts, harm), _null_variance(counts, harm)
    if variance > 0.0:
        return deviation / math.sqrt(variance)
    return math.copysign(math.inf, deviation) if deviation else 0.0


def _deviation(counts: PairedCounts, harm: float) -> float:
    return counts.only_reference_right - counts.only_candidate_right - counts.n * harm


def _null_variance(counts: PairedCounts, harm: float) -> float:
    """Variance of the difference of discordant counts where the harm is as given.

    The rate of the rarer kind of discordance is fitted by maximum likelihood under the
    constraint that the other exceeds it by |harm|.
    """
    n, size = counts.n, abs(harm)
    common, rare = counts.only_reference_right, counts.only_candidate_right
    if harm < 0.0:
        common, rare = rare, common
    linear = (2 * n - common + rare) * size - common - rare
    constant = 2.0 * rare * size * (1.0 - size)
    root = math.sqrt(linear * linear + 4.0 * n * constant)
    # Of the two ways to write the positive root of the quadratic, the one that does not cancel.
    rate = constant / (root + linear) if linear > 0.0 else (root - linear) / (4.0 * n)
    return n * (2.0 * rate + size * (1.0 - size))
