from __future__ import annotations

import numpy as np
import pytest

from reliability.metrics.accuracy import top1
from reliability.metrics.agreement import flip_rate
from reliability.metrics.groups import group_gap, worst_group_accuracy
from reliability.metrics.registry import get
from reliability.metrics.selective import aurc

FIRST, SECOND = [1.0, 0.0], [0.0, 1.0]


def test_top1_by_hand_and_ties_go_to_the_lowest_class():
    assert top1([FIRST, SECOND, FIRST, SECOND], [0, 1, 1, 1]) == 0.75
    assert top1([[1.0, 1.0]], [0]) == 1.0
    assert top1([[1.0, 1.0]], [1]) == 0.0


def test_worst_group_and_gap_by_hand():
    logits, labels, groups = [FIRST] * 6, [0, 0, 1, 0, 1, 1], [0, 0, 0, 5, 5, 5]
    assert worst_group_accuracy(logits, labels, groups) == pytest.approx(1 / 3)
    assert group_gap(logits, labels, groups) == pytest.approx(1 / 3)


def test_group_numbers_without_images_are_not_groups():
    assert worst_group_accuracy([FIRST] * 2, [0, 0], [0, 9]) == 1.0


@pytest.mark.parametrize("name", ["worst_group_accuracy", "group_gap"])
def test_a_resample_without_a_group_has_no_value(name):
    prepared = get(name).weighted([FIRST] * 3, [0, 0, 1], [0, 0, 1])
    values = prepared(np.array([[2, 1, 0], [1, 1, 1]]))
    assert np.isnan(values[0])
    assert np.isfinite(values[1])


def test_flips_count_in_both_directions():
    assert flip_rate([FIRST, FIRST, SECOND], [SECOND, FIRST, FIRST], [0, 0, 0]) == pytest.approx(2 / 3)
    assert flip_rate([FIRST, SECOND], [FIRST, SECOND], [1, 1]) == 0.0


def test_aurc_by_hand():
    # Most confident right, then wrong, then right: error rates 0, 1/2, 1/3 at the three cutoffs.
    assert aurc([0.9, 0.8, 0.7], [True, False, True]) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)


def test_images_tied_in_confidence_share_one_error_rate_in_any_order():
    assert aurc([0.7] * 4, [1, 1, 0, 0]) == aurc([0.7] * 4, [0, 0, 1, 1]) == 0.5


def test_a_model_that_is_always_right_or_wrong_has_an_extreme_aurc():
    assert aurc([0.9, 0.6], [True, True]) == 0.0
    assert aurc([0.9, 0.6], [False, False]) == 1.0
