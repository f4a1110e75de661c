"""Error rates at a cutoff: FPR95 from both ends, and the least detection error."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_curve

from reliability.metrics.ood import detection_error, fpr95, fpr95_ood_positive


def test_fpr95_by_hand():
    # 19 of 20 familiar images score 10 or more: exactly 95 %, so the cutoff is 10 and not lower.
    inside = [10.0 + i for i in range(19)] + [0.0]
    assert fpr95(inside, [9.0, 9.5, 10.0, 50.0]) == 0.5


def test_fpr95_with_ood_positive_by_hand():
    # 19 of 20 unfamiliar images score 0 or less: the cutoff is 0, and two of four familiar ones are flagged.
    outside = [-1.0 * i for i in range(19)] + [9.0]
    assert fpr95_ood_positive([-3.0, 0.0, 0.5, 8.0], outside) == 0.5


@pytest.mark.parametrize("n", [20, 40, 60, 100, 140, 1000, 4000])
def test_exactly_95_percent_is_enough_at_any_size(n):
    # The lowest 5 % of the familiar images score below all others, the unfamiliar in between.
    inside = np.where(np.arange(n) < n // 20, 0.0, 2.0)
    assert fpr95(inside, [1.0]) == 0.0
    assert fpr95_ood_positive([1.0], 2.0 - inside) == 0.0


def test_images_tied_with_the_cutoff_are_on_the_positive_side():
    assert fpr95([1.0, 1.0, 2.0], [1.0, 0.5]) == 0.5
    assert fpr95_ood_positive([1.0, 2.0], [0.0, 1.0, 1.0]) == 0.5


def test_the_orientations_are_each_other_on_negated_scores_and_differ_on_the_same_ones():
    inside, outside = [1.0, 2.0, 3.0, 4.0], [0.0, 0.5, 3.5]
    assert fpr95(inside, outside) == pytest.approx(1 / 3)
    assert fpr95_ood_positive(inside, outside) == pytest.approx(3 / 4)
    assert fpr95(np.negative(outside), np.negative(inside)) == fpr95_ood_positive(inside, outside)


def test_the_orientations_differ_widely_on_scores_of_unequal_spread():
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(1.0, 0.3, 4000), rng.normal(0.0, 2.0, 4000)
    assert fpr95(inside, outside) < 0.45
    assert fpr95_ood_positive(inside, outside) > 0.99


def test_a_curve_without_its_straight_pieces_overshoots_where_scores_tie_evenly():
    # Every level holds one image of each side, so the ROC curve is one straight line of 20 steps.
    both = np.arange(20.0)
    truth, flags = np.repeat([0, 1], 20), -np.concatenate([both, both])
    for drop, expected in ((False, 0.95), (True, 1.0)):
        fpr, tpr, _ = roc_curve(truth, flags, drop_intermediate=drop)
        assert fpr[np.argmax(tpr >= 0.95)] == pytest.approx(expected)
    assert fpr95_ood_positive(both, both) == 0.95


def test_without_ties_the_published_rule_gives_the_same_number():
    rng = np.random.default_rng(3)
    inside, outside = rng.normal(1, 1, 500), rng.normal(0, 2, 300)
    fpr, tpr, _ = roc_curve(np.repeat([0, 1], [500, 300]), -np.concatenate([inside, outside]))
    assert fpr95_ood_positive(inside, outside) == fpr[np.argmax(tpr >= 0.95)]


def test_detection_error_by_hand():
    # A cutoff of 3 misses no familiar image and lets in one of two unfamiliar ones: (0 + 1/2) / 2.
    assert detection_error([3.0, 4.0, 6.0, 7.0], [5.0, 1.0]) == 0.25
    # A cutoff of 6 misses one of four and lets in none: (1/4 + 0) / 2.
    assert detection_error([3.0, 6.0, 6.0, 7.0], [5.0, 5.0]) == 0.125


def test_both_sides_weigh_one_half_whatever_their_size():
    assert detection_error([2.0] * 100, [1.0, 3.0]) == 0.25
    assert detection_error([2.0] * 100, [1.0] * 100 + [3.0] * 100) == 0.25


def test_an_inverted_score_is_no_worse_than_none():
    assert detection_error([0.0, 1.0], [2.0, 3.0]) == 0.5


def test_detection_error_does_not_care_which_side_is_positive():
    rng = np.random.default_rng(1)
    inside, outside = np.round(rng.normal(1, 1, 80), 1), np.round(rng.normal(0, 1, 50), 1)
    assert detection_error(inside, outside) == pytest.approx(detection_error(-outside, -inside), abs=1e-15)
