"""Accuracy and calibration error per group."""

from __future__ import annotations

import numpy as np
import pytest

from reliability.metrics.calibration import ece
from reliability.metrics.groups import group_gap, worst_group_accuracy, worst_group_ece
from reliability.metrics.registry import get

FIRST, SECOND = [1.0, 0.0], [0.0, 1.0]


def test_worst_group_and_gap_by_hand():
    logits, labels, groups = [FIRST] * 6, [0, 0, 1, 0, 1, 1], [0, 0, 0, 5, 5, 5]
    assert worst_group_accuracy(logits, labels, groups) == pytest.approx(1 / 3)
    assert group_gap(logits, labels, groups) == pytest.approx(1 / 3)


def test_group_numbers_without_images_are_not_groups():
    assert worst_group_accuracy([FIRST] * 2, [0, 0], [0, 9]) == 1.0


def test_worst_group_ece_is_the_largest_of_the_groups_own():
    rng = np.random.default_rng(0)
    logits, labels, groups = rng.normal(0, 2, (200, 4)), rng.integers(0, 4, 200), rng.integers(0, 3, 200) * 7
    apart = [ece(logits[groups == g], labels[groups == g]) for g in (0, 7, 14)]
    assert worst_group_ece(logits, labels, groups) == pytest.approx(max(apart), abs=1e-12)


def test_errors_of_opposite_sign_cancel_in_the_whole_but_not_in_the_groups():
    # Confidence 1/2 everywhere; group 0 always right, group 1 always wrong.
    logits, labels, groups = [[0.0, 0.0]] * 4, [0, 0, 1, 1], [0, 0, 1, 1]
    assert ece(logits, labels) == 0.0
    assert worst_group_ece(logits, labels, groups) == 0.5


@pytest.mark.parametrize("name", ["worst_group_accuracy", "group_gap", "worst_group_ece"])
def test_a_resample_without_a_group_has_no_value(name):
    prepared = get(name).weighted([FIRST] * 3, [0, 0, 1], [0, 0, 1])
    values = prepared(np.array([[2, 1, 0], [1, 1, 1]]))
    assert np.isnan(values[0])
    assert np.isfinite(values[1])
