"""Agreement of two models' scores of the same images, by rank."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reliability.metrics.checks import refuse_constant
from reliability.metrics.prepared import Weights, require_shapes
from reliability.metrics.ranked import Side, a_few_at_once, rank_alone
from reliability.metrics.registry import register
from reliability.types import F64


@dataclass(frozen=True)
class MidrankCorrelation:
    """Correlation of the midranks of two orders of the same images.

    Attributes:
        first, second: All images, each order on its own levels.
    """

    first: Side
    second: Side

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of images, once."""
        return (len(self.first.all_scores),)

    def __call__(self, *weights: Weights) -> F64:
        """Values [B] under integer image weights [B, N]; NaN where either order has one level."""
        require_shapes(weights, self.sizes)
        return a_few_at_once(self._correlation, weights)

    def _correlation(self, *weights: Weights) -> F64:
        drawn = np.asarray(weights[0]).T
        one, other = (_centred_midranks(side, weights) for side in (self.first, self.second))
        weighted = one * drawn
        spread = np.einsum("nb,nb->b", weighted, one)
        common = np.einsum("nb,nb->b", weighted, other)
        np.multiply(other, drawn, out=weighted)
        with np.errstate(invalid="ignore"):
            correlation: F64 = common / np.sqrt(spread * np.einsum("nb,nb->b", weighted, other))
        # An exact 1 may come out a rounding step above it.
        return np.clip(correlation, -1.0, 1.0)


def _centred_midranks(side: Side, weights: tuple[Weights, ...]) -> F64:
    """[N, B] twice the distance of each image's midrank from the middle, among the drawn images."""
    reached = side.counts(weights)
    # The images of a level take the ranks after all above it: their mean is half of what
    # has been reached before and after it, plus one half.
    doubled = reached[:-1] + reached[1:] - reached[-1]
    return np.take(doubled, side.level_of, axis=0).astype(np.float64)


@dataclass(frozen=True)
class LostPairs:
    """Of the pairs of images that the first order tells apart, the share that the second does not.

    Attributes:
        first, second: All images, each order on its own levels.
        both: The images on one level for each pair of levels that occurs.
    """

    first: Side
    second: Side
    both: Side

    @property
    def sizes(self) -> tuple[int, ...]:
        """The number of images, once."""
        return (len(self.first.all_scores),)

    def __call__(self, *weights: Weights) -> F64:
        """Values [B] under integer image weights [B, N]; NaN where the first order has one level."""
        require_shapes(weights, self.sizes)
        return a_few_at_once(self._share, weights)

    def _share(self, *weights: Weights) -> F64:
        told_apart = np.asarray(weights[0]).sum(axis=1, dtype=np.float64) ** 2 - self._ties(self.first, weights)
        lost = self._ties(self.second, weights) - self._ties(self.both, weights)
        with np.errstate(invalid="ignore"):
            share: F64 = lost / told_apart
        return share

    @staticmethod
    def _ties(side: Side, weights: tuple[Weights, ...]) -> F64:
        """[B] ordered pairs of drawn images on one level, an image with itself included."""
        members = np.diff(side.counts(weights), axis=0)
        pairs: F64 = np.einsum("lb,lb->b", members, members, dtype=np.float64)
        return pairs


@register(
    "paired_scores", direction="higher", low=-1.0, high=1.0, unit="correlation",
    defined="neither model scores all images alike",
)  # fmt: skip
def rank_correlation(reference: F64, candidate: F64) -> MidrankCorrelation:
    """Spearman correlation of the two models' scores of the same images.

    Args:
        reference_scores, candidate_scores: [N] of the two models on the same images.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, or scores that are all equal.

    Conventions:
        The Pearson correlation of midranks: equal scores share the mean of their ranks. A
        resample is ranked anew, so an image drawn twice takes two ranks and shares their mean.
        One on which either model's scores are all equal has no value (NaN). Spearman rather
        than Kendall, since midranks follow from counts by level and a resample costs no new
        sort; Kendall's pairs would. For pairs that a candidate stops telling apart see
        :func:`tie_rate`.

    Source:
        Spearman, The Proof and Measurement of Association between Two Things, 1904. No departure.

    >>> rank_correlation([1.0, 2.0, 3.0], [10.0, 30.0, 20.0])
    0.5
    """
    for name, scores in (("reference_scores", reference), ("candidate_scores", candidate)):
        refuse_constant("rank_correlation", name, scores)
    return MidrankCorrelation(rank_alone(reference), rank_alone(candidate))


@register(
    "paired_scores", direction="lower", low=0.0, high=1.0, unit="fraction",
    defined="the reference does not score all images alike",
)  # fmt: skip
def tie_rate(reference: F64, candidate: F64) -> LostPairs:
    """Of the pairs of images that the reference tells apart, the share that the candidate ties.

    Args:
        reference_scores, candidate_scores: [N] of the two models on the same images.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, or a reference whose scores
            are all equal.

    Conventions:
        Scores are equal or they are not; there is no tolerance. Pairs that the reference ties
        do not count, nor do two draws of one image. A resample of one reference score
        only has no value (NaN). Coarse number formats tie scores: a loss that no correlation shows.

    >>> tie_rate([1.0, 2.0, 3.0], [5.0, 5.0, 6.0])
    0.3333333333333333
    """
    refuse_constant("tie_rate", "reference_scores", reference)
    first, second = rank_alone(reference), rank_alone(candidate)
    both = rank_alone(_pair_of_levels(first, second))
    return LostPairs(first, second, both)


def _pair_of_levels(first: Side, second: Side) -> F64:
    """[N] a number for each image that tells pairs of levels apart, exact below 2**53."""
    pair = first.level_of.astype(np.float64)
    pair *= len(second.reached)
    pair += second.level_of
    return pair
