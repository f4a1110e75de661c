"""Selective classification: areas under risk curves, and their height at fixed places."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from reliability.metrics.registry import get
from reliability.metrics.selective import accuracy_at_coverage, augrc, aurc, coverage_at_risk, eaurc

ALL = (aurc, eaurc, augrc, accuracy_at_coverage, coverage_at_risk)
every = pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.__name__)
ANSWERS = st.lists(st.tuples(st.integers(0, 6), st.booleans()), min_size=1, max_size=25)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LADDERS = st.lists(FLOATS, min_size=7, max_size=7, unique=True).map(sorted)


def columns(answers):
    return np.array([place for place, _ in answers]), np.array([right for _, right in answers])


@every
@settings(max_examples=30, deadline=None)
@given(ANSWERS)
def test_equals_its_oracle_on_heavily_tied_confidence(metric, oracles, answers):
    confidence, correct = columns(answers)
    assert metric(confidence, correct) == pytest.approx(oracles[metric.__name__](confidence, correct), abs=1e-12)


@every
@settings(max_examples=40, deadline=None)
@given(ANSWERS, LADDERS)
def test_only_the_order_of_confidence_counts_however_extreme_it_is(metric, answers, ladder):
    confidence, correct = columns(answers)
    assert metric(np.take(ladder, confidence), correct) == metric(confidence, correct)


@every
def test_images_tied_in_confidence_are_accepted_together_in_any_order(metric):
    assert metric([0.7] * 4, [1, 1, 0, 0]) == metric([0.7] * 4, [0, 1, 0, 1])
    assert metric([0.0, -0.0, 0.5], [1, 0, 1]) == metric([0.0, 0.0, 0.5], [0, 1, 1])


def test_aurc_by_hand():
    # Most confident right, then wrong, then right: error rates 0, 1/2, 1/3 at the three cutoffs.
    assert aurc([0.9, 0.8, 0.7], [True, False, True]) == pytest.approx((0 + 1 / 2 + 1 / 3) / 3)
    assert aurc([0.7] * 4, [1, 1, 0, 0]) == 0.5


def test_a_model_that_is_always_right_or_wrong():
    right, wrong = ([0.9, 0.6], [True, True]), ([0.9, 0.6], [False, False])
    assert [metric(*right) for metric in ALL] == [0.0, 0.0, 0.0, 1.0, 1.0]
    assert [metric(*wrong) for metric in ALL] == [1.0, 0.0, 0.5, 0.0, 0.0]


def test_one_image():
    assert [metric([0.3], [True]) for metric in ALL] == [0.0, 0.0, 0.0, 1.0, 1.0]


def test_eaurc_by_hand():
    # Half of two answers are wrong, the confident one: error rates 1 and 1/2.
    assert eaurc([0.9, 0.6], [False, True]) == pytest.approx(0.75 - (0.5 + 0.5 * math.log(0.5)))


def test_eaurc_of_a_perfect_order_shrinks_with_the_number_of_images_and_is_never_negative():
    values = [eaurc(np.arange(n), np.arange(n) >= n // 4) for n in (8, 80, 800)]
    assert values[0] > values[1] > values[2] > 0.0
    assert values[2] < 0.001


def test_eaurc_of_the_worst_order_stays_below_the_entropy():
    value = eaurc(np.arange(2000), np.arange(2000) < 1000)
    assert math.log(2) - 0.001 < value < math.log(2)


def test_augrc_by_hand():
    # Shares accepted and wrong: 0, then 1/3 from the second image on. Trapezoid over thirds.
    assert augrc([0.9, 0.8, 0.7], [True, False, True]) == pytest.approx((0 + 1 / 6 + 1 / 3) / 3)


@pytest.mark.parametrize("decimals", [1, 9])
def test_augrc_is_what_its_paper_derives_from_auroc_and_accuracy(decimals):
    rng = np.random.default_rng(0)
    confidence = np.round(rng.random(500), decimals)
    correct = rng.random(500) < confidence
    a, area = correct.mean(), roc_auc_score(correct, confidence)
    assert augrc(confidence, correct) == pytest.approx((1 - area) * a * (1 - a) + (1 - a) ** 2 / 2, abs=1e-12)


def test_accuracy_at_80_percent_coverage_by_hand():
    assert accuracy_at_coverage([5, 4, 3, 2, 1], [1, 0, 1, 1, 0]) == 0.75
    # Of three images 2.4 count: the third with 0.4 of its weight.
    assert accuracy_at_coverage([3, 2, 1], [1, 1, 0]) == pytest.approx(2 / 2.4)


def test_images_tied_at_the_cutoff_enter_with_their_mean_accuracy():
    # Eight of ten are wanted: four clear ones, and four of the six tied, a third of which are right.
    confidence, correct = [9] * 4 + [5] * 6, [1, 1, 1, 0, 1, 1, 0, 0, 0, 0]
    assert accuracy_at_coverage(confidence, correct) == pytest.approx((3 + 4 / 3) / 8)


def test_coverage_at_5_percent_risk_by_hand():
    # One wrong in exactly twenty is allowed, one in nineteen is not.
    confidence = np.arange(40, 0, -1)
    correct = np.ones(40, dtype=bool)
    correct[[10, 30]] = False
    assert coverage_at_risk(confidence, correct) == 1.0
    correct[39] = False
    assert coverage_at_risk(confidence, correct) == 30 / 40


def test_coverage_may_pass_through_cutoffs_that_err_too_often():
    assert coverage_at_risk(np.arange(40, 0, -1), [False] + [True] * 39) == 1.0


def test_no_coverage_where_no_cutoff_is_safe():
    assert coverage_at_risk([0.9, 0.8, 0.7], [False, True, True]) == 0.0
    assert coverage_at_risk([0.5] * 10, [True] * 9 + [False]) == 0.0


@every
def test_a_resample_of_the_wrong_answers_only_is_a_model_that_is_always_wrong(metric):
    weighted = get(metric.__name__).weighted([0.9, 0.8, 0.7], [True, False, False])
    assert weighted(np.array([[0, 2, 1]]))[0] == metric([0.8, 0.8, 0.7], [False, False, False])
