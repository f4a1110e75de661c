"""Accuracy and calibration error per group: does the average hide a group that fares badly?"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from reliability.metrics.answers import Answers
from reliability.metrics.checks import undefined
from reliability.metrics.prepared import PerImage
from reliability.metrics.registry import get, register
from reliability.types import F64, I64


@register("grouped", direction="higher", low=0.0, high=1.0, unit="fraction")
def worst_group_accuracy(answers: Answers, groups: I64) -> PerImage:
    """Accuracy of the group with the lowest one.

    Args:
        logits: [N, C].
        labels: [N] in 0..C-1.
        groups: [N] group numbers, 0 or more; they need not be consecutive.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, labels outside 0..C-1,
            or a group that is negative or not whole.

    Conventions:
        The minimum over groups that hold an image. A resample that draws none of a
        group's images has no value (NaN), rather than that of the remaining groups.

    Source:
        Sagawa et al., Distributionally Robust Neural Networks for Group Shifts, ICLR 2020.
        Departure: empty groups are left out instead of counted as zero.

    >>> worst_group_accuracy([[1.0, 0.0]] * 3, [0, 0, 1], [0, 1, 1])
    0.5
    """
    return _by_group(answers.correct.astype(np.float64), groups, lambda rates: rates.min(axis=1))


@register("grouped", direction="lower", low=0.0, high=1.0, unit="fraction")
def group_gap(answers: Answers, groups: I64) -> PerImage:
    """Accuracy of the best group minus that of the worst.

    Args:
        logits: [N, C].
        labels: [N] in 0..C-1.
        groups: [N] group numbers, 0 or more; they need not be consecutive.

    Raises:
        UndefinedMetricError: As :func:`worst_group_accuracy`, or fewer than two groups.

    Conventions:
        As :func:`worst_group_accuracy`. Never below 0, so on equally good groups it is biased upwards.

    >>> group_gap([[1.0, 0.0]] * 3, [0, 0, 1], [0, 1, 1])
    0.5
    """
    if (groups == groups[0]).all():
        raise undefined(
            "group_gap", "groups[0] and all others", "a gap needs two groups", groups[0], "check the group column"
        )
    return _by_group(answers.correct.astype(np.float64), groups, lambda rates: rates.max(axis=1) - rates.min(axis=1))


@register("grouped", direction="lower", low=0.0, high=1.0, unit="fraction")
def worst_group_ece(answers: Answers, groups: I64) -> PerImage:
    """Expected calibration error of the group where it is largest, 15 equal-width bins.

    Args:
        logits: [N, C], after the logit scale.
        labels: [N] in 0..C-1.
        groups: [N] group numbers, 0 or more; they need not be consecutive.

    Raises:
        UndefinedMetricError: As :func:`worst_group_accuracy`.

    Conventions:
        :func:`~reliability.metrics.calibration.ece` on the images of each group, and the
        largest. A resample that draws none of a group's images has no value (NaN). The upward
        bias of ECE grows as groups shrink, so of equally good groups the smallest looks worst.

    Source:
        Guo et al., On Calibration of Modern Neural Networks, ICML 2017, per group as in
        Sagawa et al., 2020. No departure in either part.

    >>> worst_group_ece([[0.0, 0.0]] * 3, [0, 0, 1], [0, 1, 1])
    0.5
    """
    member = _membership(groups)
    by_bin: PerImage = get("ece").prepare(answers)
    cells = member[:, :, None] * by_bin.statistics[:, None, :]

    def finish(means: F64) -> F64:
        share, sums = np.split(means, [member.shape[1]], axis=1)
        with np.errstate(invalid="ignore"):
            within = sums.reshape(-1, cells.shape[2]) / share.reshape(-1, 1)
        worst: F64 = by_bin.finish(within).reshape(share.shape).max(axis=1)
        return worst

    return PerImage(np.hstack([member, cells.reshape(len(groups), -1)]), finish)


def _by_group(correct: F64, groups: I64, summarise: Callable[[F64], F64]) -> PerImage:
    member = _membership(groups)
    hits_then_members = np.hstack([member * correct[:, None], member])

    def finish(means: F64) -> F64:
        hits, share = np.hsplit(means, 2)
        with np.errstate(invalid="ignore"):
            return summarise(hits / share)

    return PerImage(hits_then_members, finish)


def _membership(groups: I64) -> F64:
    """[N, G] 1 where an image is in a group, for every group that holds one."""
    member: F64 = (groups[:, None] == np.unique(groups)).astype(np.float64)
    return member
