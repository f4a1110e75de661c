"""Limits of the harm in the worst group's accuracy and in the gap between groups.

Both metrics pick groups by the data, and a pick among equals is biased: the worst of two
equal groups seems worse than either. When a candidate then harms one of them, part of the
harm seems to have been there before. The reference's worst group is at most as accurate as
any group. So the harm is at most that in the candidate's worst group, whichever the
reference's is, and where that is in doubt the limit holds for all groups it may be.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.asymptotic import normal_score, read_vector, score_interval
from reliability.stats.proportions import PairedCounts, wilson_limits
from reliability.stats.tango import tango_limits
from reliability.types import I64, Interval

CLEAR = 3.0
"""Standard errors of the difference beyond which one group counts as the less accurate one."""


def worst_group_harm_limits(
    reference_right: ArrayLike, candidate_right: ArrayLike, groups: ArrayLike, level: float = 0.95
) -> Interval:
    """Limits of the worst group's accuracy under the reference minus that under the candidate.

    Args:
        reference_right, candidate_right: [N] true or 1 where that model is right, in one order.
        groups: [N] group of each image, numbers or strings.
        level: Of each one-sided limit, in (0.5, 1).

    Raises:
        UndefinedMetricError: No images, or values other than true and false.
        UsageError: Different lengths, or a level outside (0.5, 1).

    Conventions:
        The upper limit is the largest over groups that may be the candidate's worst; of each it
        is Tango's of the harm in that group, or, where the reference's worst group is another
        one and clear, the limit of a difference of two independent rates. The lower limit is
        the same with the models exchanged. Group sizes are taken as fixed. Never a point.

    Source:
        Tango, 1998; Zou & Donner, Construction of confidence limits about effect measures: a
        general approach, 2008, for independent rates; Berger & Hsu, Bioequivalence trials,
        intersection-union tests and equivalence confidence sets, 1996, for the largest limit.
        Departure: which groups may be the worst is read off the same images.

    >>> limits = worst_group_harm_limits([1, 1, 0, 1] * 50, [1, 0, 0, 1] * 50, [0, 0, 1, 1] * 50)
    >>> limits.estimate, limits.lower < 0.0 < limits.upper
    (0.0, True)
    """
    return _harm_limits(_read(reference_right, candidate_right, groups), _worst, level)


def group_gap_harm_limits(
    reference_right: ArrayLike, candidate_right: ArrayLike, groups: ArrayLike, level: float = 0.95
) -> Interval:
    """Limits of the accuracy gap between best and worst group under the candidate minus that under the reference.

    Args:
        reference_right, candidate_right, groups, level: As for :func:`worst_group_harm_limits`.

    Raises:
        UndefinedMetricError: As :func:`worst_group_harm_limits`, or fewer than two groups.
        UsageError: As :func:`worst_group_harm_limits`.

    Conventions:
        As :func:`worst_group_harm_limits`, over all pairs of groups that may be the worst and
        the best; the limits of two groups are added in squares.

    Source:
        As :func:`worst_group_harm_limits`.
    """
    table = _read(reference_right, candidate_right, groups)
    if len(table) < 2:
        raise UndefinedMetricError(
            where="group_gap_harm_limits: groups", what="a gap needs two groups", got=1, next="check the group column"
        )
    return _harm_limits(table, _pair, level)


@dataclass(frozen=True)
class _Group:
    """How both models fared in one group."""

    both: int
    only_reference: int
    only_candidate: int
    n: int

    @property
    def right(self) -> tuple[int, int]:
        """Images that the reference and that the candidate gets right."""
        return self.both + self.only_reference, self.both + self.only_candidate


@lru_cache(maxsize=4096)
def _part(group: _Group, reference: int, candidate: int, level: float) -> Interval:
    """Limits of ``reference * accuracy - candidate * accuracy`` in one group, factors in -1, 0, 1."""
    if reference < 0 or (reference == 0 and candidate > 0):
        mirrored = _part(group, -reference, -candidate, level)
        return Interval(-mirrored.estimate, -mirrored.upper, -mirrored.lower, level, 0.0)
    if reference == 0 or candidate == 0:
        return wilson_limits(group.right[0 if candidate == 0 else 1], group.n, level)
    if candidate == 1:
        return tango_limits(PairedCounts(group.n, group.only_reference, group.only_candidate), level)
    # A sum of accuracies is 1 plus the harm against the candidate's errors.
    wrong = group.n - group.both - group.only_reference - group.only_candidate
    sum_less_1 = tango_limits(PairedCounts(group.n, group.both, wrong), level)
    return Interval(sum_less_1.estimate + 1.0, sum_less_1.lower + 1.0, sum_less_1.upper + 1.0, level, 0.0)


# For each group 1 if it is picked as the worst and -1 as the best: accuracy times pick is what falls with harm.
_Pick = tuple[int, ...]


@dataclass(frozen=True)
class _Side:
    """Which groups one model may have as its worst, or its best and worst.

    Attributes:
        observed: The pick that the images show.
        possible: All picks not clearly ruled out, that one among them.
    """

    observed: _Pick
    possible: tuple[_Pick, ...]

    def against(self, other: _Pick) -> _Pick:
        """The own pick if it is clear, else the other model's, which cannot overstate this model's accuracy lost."""
        return self.observed if len(self.possible) == 1 else other


def _harm_limits(table: list[_Group], sides: Callable[[I64, I64], _Side], level: float) -> Interval:
    normal_score("group limits", level)
    n = np.array([group.n for group in table])
    old, new = (sides(np.array(right), n) for right in zip(*(group.right for group in table), strict=True))
    estimate = _combined(table, old.observed, new.observed, level).estimate
    upper = max(_combined(table, old.against(pick), pick, level).upper for pick in new.possible)
    lower = min(_combined(table, pick, new.against(pick), level).lower for pick in old.possible)
    return score_interval(estimate, min(lower, estimate), max(upper, estimate), level)


def _worst(right: I64, n: I64) -> _Side:
    doubtful = np.flatnonzero(~_clearly_below(right, n).any(axis=0))
    picks = tuple(_marked(len(n), int(worst), None) for worst in doubtful)
    return _Side(_marked(len(n), int((right / n).argmin()), None), picks)


def _pair(right: I64, n: I64) -> _Side:
    below = _clearly_below(right, n)
    worst, best = (np.flatnonzero(~ruled_out) for ruled_out in (below.any(axis=0), below.any(axis=1)))
    picks = tuple(_marked(len(n), int(w), int(b)) for w, b in itertools.product(worst, best) if w != b)
    return _Side(_marked(len(n), int((right / n).argmin()), int((right / n).argmax())), picks)


def _marked(count: int, worst: int, best: int | None) -> _Pick:
    return tuple((index == worst) - (index == best) for index in range(count))


def _clearly_below(right: I64, n: I64) -> NDArray[np.bool_]:
    """[G, G] whether the row's group is clearly less accurate than the column's."""
    # One right and one wrong image more, so that a group without errors has a standard error too.
    rate = (right + 1.0) / (n + 2.0)
    variance = rate * (1.0 - rate) / (n + 2.0)
    clear: NDArray[np.bool_] = rate - rate[:, None] > CLEAR * np.sqrt(variance + variance[:, None])
    return clear


def _combined(table: list[_Group], reference: _Pick, candidate: _Pick, level: float) -> Interval:
    """Limits of a sum over independent groups."""
    parts = list(_parts(table, reference, candidate, level))
    estimate = sum(part.estimate for part in parts)
    down = math.sqrt(sum((part.estimate - part.lower) ** 2 for part in parts))
    up = math.sqrt(sum((part.upper - part.estimate) ** 2 for part in parts))
    return Interval(estimate, estimate - down, estimate + up, level, 0.0)


def _parts(table: list[_Group], reference: _Pick, candidate: _Pick, level: float) -> Iterator[Interval]:
    for group, first, second in zip(table, reference, candidate, strict=True):
        if first or second:
            yield _part(group, first, second, level)


def _read(reference_right: ArrayLike, candidate_right: ArrayLike, groups: ArrayLike) -> list[_Group]:
    first = read_vector("group limits: reference_right", reference_right)
    second = read_vector("group limits: candidate_right", candidate_right)
    names, member = np.unique(np.asarray(groups), return_inverse=True)
    if not first.shape == second.shape == member.shape:
        raise UsageError(
            where="group limits",
            what="both models and the groups must cover the same images",
            got=f"{len(first)}, {len(second)} and {np.shape(groups)}",
            next="align them",
        )
    if not (np.isin(first, (0.0, 1.0)).all() and np.isin(second, (0.0, 1.0)).all()):
        raise UndefinedMetricError(
            where="group limits", what="an image is right (1) or wrong (0)", got="other values", next="compare first"
        )
    n, old, new, both = (np.bincount(member, w, len(names)).astype(int) for w in (None, first, second, first * second))
    return [_Group(*map(int, row)) for row in zip(both, old - both, new - both, n, strict=True)]
