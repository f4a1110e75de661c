"""Agreement of two models' scores by rank: Spearman's correlation, and pairs no longer told apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import spearmanr

from reliability.errors import UndefinedMetricError
from reliability.metrics.rank_agreement import rank_correlation, tie_rate
from reliability.metrics.registry import get

BOTH = (rank_correlation, tie_rate)
both = pytest.mark.parametrize("metric", BOTH, ids=lambda metric: metric.__name__)
PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=2, max_size=25)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LADDERS = st.lists(FLOATS, min_size=7, max_size=7, unique=True).map(sorted)


def columns(pairs):
    return np.array(pairs, dtype=float).T


@both
@settings(max_examples=40, deadline=None)
@given(PAIRS, LADDERS, LADDERS)
def test_equals_its_oracle_and_sees_only_the_order_however_extreme_the_scores(metric, oracles, pairs, one, other):
    reference, candidate = columns(pairs)
    if len(set(reference)) > 1 and len(set(candidate)) > 1:
        value = metric(reference, candidate)
        assert value == pytest.approx(oracles[metric.__name__](reference, candidate), abs=1e-12)
        climbed = np.take(one, reference.astype(int)), np.take(other, candidate.astype(int))
        assert metric(*climbed) == value


@pytest.mark.parametrize("decimals", [0, 1, 9])
def test_correlation_agrees_with_scipy(decimals):
    rng = np.random.default_rng(0)
    reference = np.round(rng.normal(0, 1, 400), decimals)
    candidate = np.round(reference + rng.normal(0, 1, 400), decimals)
    assert rank_correlation(reference, candidate) == pytest.approx(spearmanr(reference, candidate)[0], abs=1e-12)


def test_the_same_and_the_opposite_order_are_exactly_one_and_minus_one():
    scores = np.round(np.random.default_rng(1).normal(0, 1, 500), 1)
    assert rank_correlation(scores, 3.0 * scores - 1.0) == 1.0
    assert rank_correlation(scores, -scores) == -1.0
    draws = np.random.default_rng(2).integers(0, 4, (50, 500))
    assert (get("rank_correlation").weighted(scores, scores)(draws) == 1.0).all()


def test_an_image_drawn_twice_takes_two_ranks():
    reference, candidate = np.array([1.0, 2.0, 4.0, 8.0]), np.array([1.0, 3.0, 2.0, 9.0])
    value = get("rank_correlation").weighted(reference, candidate)(np.array([[2, 1, 3, 1]]))[0]
    repeated = [np.repeat(scores, [2, 1, 3, 1]) for scores in (reference, candidate)]
    assert value == pytest.approx(spearmanr(*repeated)[0], abs=1e-12)


def test_tie_rate_by_hand():
    # Six pairs; the reference ties one of them (2, 2). The candidate ties (1, 2) twice, and (2, 2).
    assert tie_rate([1, 2, 2, 3], [7, 7, 7, 9]) == pytest.approx(2 / 5)


def test_ties_of_the_reference_and_new_distinctions_do_not_count():
    assert tie_rate([1, 1, 2], [5, 6, 7]) == 0.0
    assert tie_rate([1, 2, 3], [3, 1, 2]) == 0.0


def test_a_constant_candidate_ties_everything_and_correlates_with_nothing():
    assert tie_rate([1, 2, 3], [0, 0, 0]) == 1.0
    with pytest.raises(UndefinedMetricError, match=r"candidate_scores\[0\] and all others"):
        rank_correlation([1, 2, 3], [0, 0, 0])


@both
@pytest.mark.parametrize("reference", [[4.0, 4.0], [4.0], [0.0, -0.0]])
def test_a_constant_reference_ranks_nothing(metric, reference):
    with pytest.raises(UndefinedMetricError, match="constant scores rank nothing"):
        metric(reference, np.arange(len(reference)))


@both
def test_a_resample_of_one_level_has_no_value(metric):
    values = get(metric.__name__).weighted([1.0, 2.0, 2.0], [3.0, 4.0, 5.0])(
        np.array([[0, 1, 2], [3, 0, 0], [1, 1, 1]])
    )
    assert np.isnan(values).tolist() == [True, True, False]


def test_coarse_scores_tie_pairs_while_the_correlation_stays_high():
    fine = np.random.default_rng(3).normal(0, 1, 2000)
    coarse = np.round(fine * 4) / 4
    assert rank_correlation(fine, coarse) > 0.99
    assert tie_rate(fine, coarse) > 0.05
