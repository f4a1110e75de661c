"""Limits of a plain mean over images, such as the harm in log-likelihood or Brier score."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from reliability.errors import UndefinedMetricError
from reliability.stats.asymptotic import read_vector
from reliability.stats.bootstrap import paired_replicates
from reliability.stats.evidence import NormalEvidence
from reliability.stats.limits import require_enough, require_level
from reliability.stats.resampling import units_of
from reliability.types import F64, Interval


@dataclass(frozen=True)
class SplitEvidence:
    """An estimate whose upper and lower limits rest on different evidence.

    Attributes:
        estimate: The value on the images as they are.
        below: Judges "the truth is less than ..." and gives the upper limit.
        above: Judges "the truth is more than ..." and gives the lower limit.
    """

    estimate: float
    below: NormalEvidence
    above: NormalEvidence

    def p_below(self, value: float) -> float:
        """P-value of "the truth is ``value`` or more"; a small one says it is less."""
        return self.below.p_below(value)

    def p_above(self, value: float) -> float:
        """P-value of "the truth is ``value`` or less"; a small one says it is more."""
        return self.above.p_above(value)

    def limits(self, level: float) -> Interval:
        """The values that neither one-sided test rejects at ``level``.

        Raises:
            UsageError: A level outside (0.5, 1).
        """
        upper, lower = self.below.limits(level).upper, self.above.limits(level).lower
        error = max(self.below.standard_error, self.above.standard_error)
        return Interval(self.estimate, lower, upper, level, error)


@dataclass(frozen=True)
class UnitSums:
    """Sums over the units that are independent: images, or clusters of them.

    Attributes:
        values: [U, K] sums of K values over the images of each unit.
        sizes: [U] images in each unit.
    """

    values: F64
    sizes: F64

    @cached_property
    def means(self) -> F64:
        """[K] means over images."""
        means: F64 = self.values.sum(axis=0) / self.sizes.sum()
        return means

    @cached_property
    def influence(self) -> F64:
        """[U, K] what each unit adds to the error of the means."""
        influence: F64 = (self.values - self.sizes[:, None] * self.means) / self.sizes.sum()
        return influence

    @cached_property
    def errors(self) -> F64:
        """[K] standard errors of the means."""
        errors: F64 = np.sqrt((self.influence**2).sum(axis=0) * len(self.sizes) / (len(self.sizes) - 1))
        return errors


def unit_sums(values: F64, clusters: ArrayLike | None = None) -> UnitSums:
    """Sum the values [N, K] of images over their clusters.

    Raises:
        UndefinedMetricError: Fewer than two images, or too few clusters.
        UsageError: Cluster ids that are not one per image.
    """
    if len(values) < 2:
        raise UndefinedMetricError(
            where="mean over images",
            what="a standard error needs at least two images",
            got=len(values),
            next="check what was selected",
        )
    units = units_of(len(values), clusters)
    if units.members is None:
        return UnitSums(values, np.ones(len(values)))
    sums: F64 = np.stack([np.bincount(units.members, column, units.count) for column in values.T], axis=1)
    sizes: F64 = np.bincount(units.members, minlength=units.count).astype(np.float64)
    return UnitSums(sums, sizes)


def mean_evidence(values: ArrayLike, clusters: ArrayLike | None = None) -> SplitEvidence:
    """Evidence on the mean of per-image values, such as a paired difference.

    Normal theory errs towards the long tail of a skewed distribution, and its correction for
    skewness errs where a few images of either sign carry the variance and their skewness is a
    guess. So each limit is the further one of the two.

    Args:
        values: [N], at least two; for a harm, candidate minus reference of each image.
        clusters: [N] ids of images that are not independent, or None.

    Raises:
        UndefinedMetricError: Numbers that are not finite, fewer than two, or too few clusters.
        UsageError: Cluster ids that are not one per image.

    Conventions:
        Student's t with one degree less than there are images or clusters. Values that are
        all equal give a certainty. That also happens where too few images differ at all, so
        demand a minimum number of images before trusting it.

    Source:
        Hall, On the removal of skewness by transformation, 1992. Departure: applied to the
        limit on the long side only.

    >>> limits = mean_evidence([0.0, 1.0, 0.0, 0.0, 3.0]).limits(0.95)
    >>> limits.upper - limits.estimate > limits.estimate - limits.lower
    True
    """
    sums = unit_sums(read_vector("mean_evidence: values", values)[:, None], clusters)
    pulls, error = sums.influence[:, 0], float(sums.errors[0])
    estimate, degrees = float(sums.means[0]), len(pulls) - 1.0
    skewness = float((pulls**3).sum()) / error**3 if error**3 > 0 else 0.0
    return SplitEvidence(
        estimate,
        below=NormalEvidence(estimate, error, degrees, max(skewness, 0.0)),
        above=NormalEvidence(estimate, error, degrees, min(skewness, 0.0)),
    )


def studentised_mean(
    values: ArrayLike, level: float, replicates: int = 2000, seed: int = 0, clusters: ArrayLike | None = None
) -> Interval:
    """Limits of a mean by the bootstrap of its t statistic.

    Costs no more than the bootstrap of the mean: the replicates' standard errors come out of
    the same matrix product.

    Args:
        values: [N], at least two.
        level: Of each one-sided limit, in (0.5, 1).
        replicates, seed: As for ``paired_replicates``.
        clusters: [N] ids of images that are drawn together, or None.

    Raises:
        UndefinedMetricError: As :func:`mean_evidence`; too few replicates; or a resample
            without variance, as where few images differ from the rest.
        UsageError: A level outside (0.5, 1), no replicates, or ids that do not fit.

    Conventions:
        Values that all equal one another give a point. Right to second order for skewed
        values of many images, but no better than :func:`mean_evidence` there, and worse where
        few images carry the variance (measured by ``benchmarks.coverage``).

    Source:
        Efron & Tibshirani, An Introduction to the Bootstrap, 1993, section 12.5. No departure.
    """
    require_level(level)
    sums = unit_sums(read_vector("studentised_mean: values", values)[:, None], clusters)
    mean, error = float(sums.means[0]), float(sums.errors[0])
    if error == 0.0:
        return Interval(mean, mean, mean, level, 0.0)
    # About the mean, so that the mean of a resample is small beside its spread.
    pulls, sizes = sums.influence[:, 0] * sums.sizes.sum(), sums.sizes
    columns = np.column_stack([pulls, sizes, pulls**2, pulls * sizes, sizes**2])

    def t(weights: F64) -> F64:
        total, images, square, cross, size_square = (weights.astype(np.float64) @ columns).T
        shift = total / images
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio: F64 = shift * images / np.sqrt(square - 2.0 * shift * cross + shift**2 * size_square)
        return ratio

    draws = paired_replicates([t], (len(pulls),), replicates, seed)[0]
    require_enough(mean, draws, level)
    low, high = np.quantile(draws, [1.0 - level, level])
    return Interval(mean, mean - high * error, mean - low * error, level, error)
