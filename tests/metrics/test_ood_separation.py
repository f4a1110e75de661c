from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, roc_auc_score

from reliability.metrics.ood import aupr_in, aupr_out, auroc, fpr95

SCORES = st.lists(st.integers(-3, 3), min_size=1, max_size=25)


def test_auroc_by_hand():
    # Of four pairs: 3 > 2, 3 > 1, 2 = 2 (one half), 2 > 1.
    assert auroc([3.0, 2.0], [2.0, 1.0]) == 3.5 / 4


def test_perfect_inverted_and_uninformative_scores():
    assert auroc([2, 3], [0, 1]) == 1.0
    assert auroc([0, 1], [2, 3]) == 0.0
    assert auroc([0, 1], [0, 1]) == 0.5


def test_exchanging_the_sides_mirrors_auroc():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 50), rng.normal(0, 1, 70)
    assert auroc(b, a) == pytest.approx(1 - auroc(a, b), abs=1e-15)
    assert auroc(-b, -a) == auroc(a, b)


def test_no_transformation_saturates_large_scores():
    rng = np.random.default_rng(1)
    a, b = rng.normal(25, 3, 400), rng.normal(22, 3, 400)
    assert auroc(a, b) == auroc(a / 1000, b / 1000)
    assert auroc(a, b) > 0.7


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_areas_agree_with_scikit_learn(decimals):
    rng = np.random.default_rng(2)
    a, b = np.round(rng.normal(1, 1, 300), decimals), np.round(rng.normal(0, 1, 200), decimals)
    truth, scores = np.repeat([1, 0], [300, 200]), np.concatenate([a, b])
    assert auroc(a, b) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert aupr_in(a, b) == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    assert aupr_out(a, b) == pytest.approx(average_precision_score(1 - truth, -scores), abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(SCORES, SCORES)
def test_ranking_metrics_equal_their_oracles_on_heavily_tied_scores(oracles, inside, outside):
    if len({*inside, *outside}) > 1:
        for metric in (auroc, fpr95, aupr_in, aupr_out):
            assert metric(inside, outside) == pytest.approx(oracles[metric.__name__](inside, outside))


def test_fpr95_by_hand():
    # 19 of 20 familiar images score 10 or more: exactly 95 %, so the cutoff is 10 and not lower.
    inside = [10.0 + i for i in range(19)] + [0.0]
    assert fpr95(inside, [9.0, 9.5, 10.0, 50.0]) == 0.5


@pytest.mark.parametrize("n", [20, 40, 60, 100, 140, 1000, 4000])
def test_exactly_95_percent_is_enough_at_any_size(n):
    # The lowest 5 % of the familiar images score below all others, the unfamiliar in between.
    inside = np.where(np.arange(n) < n // 20, 0.0, 2.0)
    assert fpr95(inside, [1.0]) == 0.0


def test_images_tied_with_the_cutoff_are_accepted():
    assert fpr95([1.0, 1.0, 2.0], [1.0, 0.5]) == 0.5


def test_orientation_matters_for_fpr95():
    inside, outside = [1.0, 2.0, 3.0, 4.0], [0.0, 0.5, 3.5]
    assert fpr95(inside, outside) == pytest.approx(1 / 3)
    assert fpr95([-s for s in outside], [-s for s in inside]) == pytest.approx(3 / 4)
