"""Limits of one proportion, and of the difference of two proportions on the same images."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import bdtr, gammaln

from reliability.errors import UsageError
from reliability.stats.asymptotic import normal_score, read_count, read_vector, score_interval, undefined
from reliability.types import Interval


def wilson_limits(successes: int, n: int, level: float = 0.95) -> Interval:
    """Score limits of one proportion: the values p0 that the score test of p = p0 does not reject.

    Args:
        successes: In 0..n.
        n: Independent images, at least one.
        level: Of each one-sided limit.

    Raises:
        UndefinedMetricError: No images, or counts that are not whole or contradict one another.
        UsageError: A level outside (0.5, 1).

    Conventions:
        Defined for every n from one image on. The lower limit is exactly 0 at no success and
        the upper exactly 1 at n. ``standard_error`` is the width in normal units, not 0 there.

    Source:
        Wilson, Probable inference, the law of succession, and statistical inference, 1927.
        No departure; one-sided, so z is the quantile of ``level`` itself.

    >>> limits = wilson_limits(0, 1000)
    >>> limits.lower, round(limits.upper, 5)
    (0.0, 0.0027)
    """
    z, total = normal_score("wilson_limits", level), read_count("wilson_limits: n", n, 1)
    count = read_count("wilson_limits: successes", successes)
    if count > total:
        raise undefined(
            "wilson_limits: successes", "there are more successes than images", f"{count} of {total}", "swap"
        )
    lower, upper = _wilson_lower(count, total, z), 1.0 - _wilson_lower(total - count, total, z)
    return score_interval(count / total, lower, upper, level)


def _wilson_lower(count: int, n: int, z: float) -> float:
    # The smaller root of a quadratic as constant term over larger root: exactly 0 at no success.
    p, square = count / n, z * z / n
    return p * p / (p + square / 2 + math.sqrt(square * (p * (1 - p) + square / 4)))


@dataclass(frozen=True)
class PairedCounts:
    """How two models fared on the same independent images, each right or wrong.

    Attributes:
        n: Images.
        only_reference_right, only_candidate_right: The discordant ones.
        both_right: None where it is not known; only :func:`newcombe_limits` needs it.

    Raises:
        UndefinedMetricError: No images, or counts that are negative, not whole, or more than n in all.

    >>> PairedCounts(1000, 30, 20).harm
    0.01
    """

    n: int
    only_reference_right: int
    only_candidate_right: int
    both_right: int | None = None

    def __post_init__(self) -> None:
        # Read as Python integers: unsigned NumPy counts would wrap around in differences.
        for name, value in vars(self).copy().items():
            if value is not None:
                object.__setattr__(self, name, read_count(f"PairedCounts: {name}", value, int(name == "n")))
        if self.discordant + (self.both_right or 0) > self.n:
            raise undefined("PairedCounts", "the counts add up to more than n", self, "check how they were counted")

    @property
    def discordant(self) -> int:
        """Images on which exactly one model is right."""
        return self.only_reference_right + self.only_candidate_right

    @property
    def harm(self) -> float:
        """Reference accuracy minus candidate accuracy."""
        return (self.only_reference_right - self.only_candidate_right) / self.n

    def exchanged(self) -> PairedCounts:
        """The same with the models' parts exchanged, which mirrors the harm."""
        return PairedCounts(self.n, self.only_candidate_right, self.only_reference_right, self.both_right)


def paired_counts(reference_right: ArrayLike, candidate_right: ArrayLike) -> PairedCounts:
    """Count the four outcomes of two models on the same images.

    Args:
        reference_right, candidate_right: [N] true or 1 where that model is right, in one order.

    Raises:
        UndefinedMetricError: No images, different lengths, or values other than true and false.

    >>> paired_counts([1, 1, 0, 0], [1, 0, 1, 0])
    PairedCounts(n=4, only_reference_right=1, only_candidate_right=1, both_right=1)
    """
    reference = read_vector("paired_counts: reference_right", reference_right)
    candidate = read_vector("paired_counts: candidate_right", candidate_right)
    if len(reference) != len(candidate):
        raise undefined(
            "paired_counts", "both models see the same images", f"{len(reference)} and {len(candidate)}", "align them"
        )
    for name, values in (("reference_right", reference), ("candidate_right", candidate)):
        other = values[(values != 0.0) & (values != 1.0)]
        if len(other):
            raise undefined(f"paired_counts: {name}", "an image is right (1) or wrong (0)", other[0], "compare first")
    both, first, second = (int(np.sum(values)) for values in (reference * candidate, reference, candidate))
    return PairedCounts(len(reference), first - both, second - both, both)


def newcombe_limits(counts: PairedCounts, level: float = 0.95) -> Interval:
    """Square-and-add limits of the harm in accuracy, from Wilson limits of each model.

    They belong to no exact test; read them as the harms that agree with the images. Prefer
    ``tango_limits`` where a p-value must agree with the limit.

    Args:
        counts: With ``both_right``.
        level: Of each one-sided limit.

    Raises:
        UndefinedMetricError: ``both_right`` is not known.
        UsageError: A level outside (0.5, 1).

    Conventions:
        A model right or wrong on every image has no correlation with the other: 0 is used.
        ``standard_error`` is the width in normal units.

    Source:
        Newcombe, Improved confidence intervals for the difference between binomial proportions
        based on paired data, 1998, method 10 (continuity correction of the correlation only).
        No departure.

    >>> limits = newcombe_limits(PairedCounts(50, 12, 2, both_right=36), level=0.975)
    >>> round(limits.lower, 4), round(limits.upper, 4)
    (0.0569, 0.3404)
    """
    if counts.both_right is None:
        raise undefined("newcombe_limits: both_right", "the limits need all four counts", None, "use tango_limits")
    reference = wilson_limits(counts.both_right + counts.only_reference_right, counts.n, level)
    candidate = wilson_limits(counts.both_right + counts.only_candidate_right, counts.n, level)
    phi = _correlation(counts, counts.both_right)
    down = _add_squares(reference.estimate - reference.lower, candidate.upper - candidate.estimate, phi)
    up = _add_squares(reference.upper - reference.estimate, candidate.estimate - candidate.lower, phi)
    return score_interval(counts.harm, counts.harm - down, counts.harm + up, level)


def _add_squares(first: float, second: float, phi: float) -> float:
    return math.sqrt(max(0.0, first * first - 2.0 * phi * first * second + second * second))


def _correlation(counts: PairedCounts, both_right: int) -> float:
    both_wrong = counts.n - counts.discordant - both_right
    reference, candidate = both_right + counts.only_reference_right, both_right + counts.only_candidate_right
    spread = reference * (counts.n - reference) * candidate * (counts.n - candidate)
    product = both_right * both_wrong - counts.only_reference_right * counts.only_candidate_right
    corrected = product if product < 0 else max(product - counts.n / 2, 0.0)
    return corrected / math.sqrt(spread) if spread else 0.0


def mcnemar(
    counts: PairedCounts,
    alternative: Literal["better", "worse", "differs"] = "differs",
    method: Literal["mid_p", "exact"] = "mid_p",
) -> float:
    """P-value of equal accuracy on the same images, given how many are discordant.

    Given d discordant images, those only the reference gets right follow Binomial(d, 1/2)
    where both models are equally accurate. ``better`` tests harm >= 0 against a better
    candidate, ``worse`` tests harm <= 0, and ``differs`` tests harm = 0.

    Args:
        counts: ``both_right`` is not needed.
        alternative: What a small value speaks for.
        method: ``exact`` never errs more often than it says; ``mid_p`` counts half of the
            observed outcome's probability and is closer to the nominal level.

    Raises:
        UsageError: An unknown alternative or method.

    Conventions:
        No discordant image: 1, and 0.5 for a one-sided mid-p. The two-sided value is twice
        the smaller one-sided value, at most 1. No margin other than 0: use ``TangoEvidence``.

    Source:
        McNemar, Note on the sampling error of the difference between correlated proportions,
        1947, in its exact conditional form; Fagerland, Lydersen & Laake, The McNemar test for
        binary matched-pairs data: mid-p and asymptotic are better than exact conditional, 2013,
        for mid-p. No departure.

    >>> pairs = PairedCounts(21, 1, 7)
    >>> mcnemar(pairs, method="exact"), round(mcnemar(pairs), 7)
    (0.0703125, 0.0390625)
    """
    if method not in ("mid_p", "exact") or alternative not in ("better", "worse", "differs"):
        raise UsageError(
            where="mcnemar",
            what="unknown test",
            got=f"{alternative}, {method}",
            next="better, worse or differs; mid_p or exact",
        )
    better = _lower_tail(counts.only_reference_right, counts.discordant, method == "mid_p")
    worse = _lower_tail(counts.only_candidate_right, counts.discordant, method == "mid_p")
    return {"better": better, "worse": worse, "differs": min(1.0, 2.0 * min(better, worse))}[alternative]


def _lower_tail(count: int, trials: int, mid: bool) -> float:
    """P(X <= count) of Binomial(trials, 1/2), less half of P(X = count) for mid-p."""
    tail = float(bdtr(count, trials, 0.5))
    if not mid:
        return tail
    log_choices = gammaln(trials + 1) - gammaln(count + 1) - gammaln(trials - count + 1)
    return tail - 0.5 * math.exp(log_choices - trials * math.log(2.0))
