"""Areas under curves of familiar against unfamiliar scores: AUROC, AUPR, AUTC."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from sklearn.metrics import average_precision_score, roc_auc_score

from reliability.metrics.ood import aupr_in, aupr_out, auroc, autc, detection_error, fpr95, fpr95_ood_positive
from reliability.metrics.registry import get

BY_RANK = (auroc, aupr_in, aupr_out, fpr95, fpr95_ood_positive, detection_error)
by_rank = pytest.mark.parametrize("metric", BY_RANK, ids=lambda metric: metric.__name__)
PLACES = st.lists(st.integers(0, 6), min_size=1, max_size=25)
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
LADDERS = st.lists(FLOATS, min_size=7, max_size=7, unique=True).map(sorted)


def test_auroc_by_hand():
    # Of four pairs: 3 > 2, 3 > 1, 2 = 2 (one half), 2 > 1.
    assert auroc([3.0, 2.0], [2.0, 1.0]) == 3.5 / 4


def test_perfect_inverted_and_uninformative_scores():
    assert auroc([2, 3], [0, 1]) == 1.0
    assert auroc([0, 1], [2, 3]) == 0.0
    assert auroc([0, 1], [0, 1]) == 0.5


def test_one_image_on_each_side():
    assert [metric([2.0], [1.0]) for metric in BY_RANK] == [1.0, 1.0, 1.0, 0.0, 0.0, 0.0]
    assert [metric([1.0], [2.0]) for metric in BY_RANK] == [0.0, 0.5, 0.5, 1.0, 1.0, 0.5]


def test_exchanging_the_sides_mirrors_auroc():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 1, 50), rng.normal(0, 1, 70)
    assert auroc(b, a) == pytest.approx(1 - auroc(a, b), abs=1e-15)
    assert auroc(-b, -a) == auroc(a, b)


@by_rank
def test_no_transformation_saturates_large_scores(metric):
    rng = np.random.default_rng(1)
    a, b = rng.normal(25, 3, 400), rng.normal(22, 3, 400)
    assert metric(a, b) == metric(a / 1024, b / 1024) == metric(a + 2.0**20, b + 2.0**20)
    assert auroc(a, b) > 0.7


@by_rank
@settings(max_examples=40, deadline=None)
@given(PLACES, PLACES, LADDERS)
def test_only_the_order_of_the_scores_counts_however_extreme_they_are(metric, inside, outside, ladder):
    if len({*inside, *outside}) > 1:
        climbed = metric(np.take(ladder, inside), np.take(ladder, outside))
        assert climbed == metric(inside, outside)


@by_rank
@settings(max_examples=30, deadline=None)
@given(PLACES, PLACES)
def test_ranking_metrics_equal_their_oracles_on_heavily_tied_scores(metric, oracles, inside, outside):
    if len({*inside, *outside}) > 1:
        assert metric(inside, outside) == pytest.approx(oracles[metric.__name__](inside, outside))


@by_rank
def test_the_two_zeros_tie(metric):
    assert metric([1.0, 0.0, 0.0], [-0.0, -1.0]) == metric([1.0, -0.0, 0.0], [0.0, -1.0])
    assert auroc([0.0, 1.0], [-0.0, 1.0]) == 0.5


@by_rank
def test_neighbouring_floats_do_not_tie(metric):
    below = np.nextafter(1.0, 0.0)
    for low, high in ((below, 1.0), (0.0, 5e-324), (-1.7e308, 1.7e308)):
        assert metric([high, high], [low]) == metric([1, 1], [0])


@pytest.mark.parametrize("decimals", [0, 1, 8])
def test_areas_agree_with_scikit_learn_and_scipy(decimals):
    rng = np.random.default_rng(2)
    a, b = np.round(rng.normal(1, 1, 300), decimals), np.round(rng.normal(0, 1, 200), decimals)
    truth, scores = np.repeat([1, 0], [300, 200]), np.concatenate([a, b])
    assert auroc(a, b) == pytest.approx(roc_auc_score(truth, scores), abs=1e-12)
    assert auroc(a, b) == pytest.approx(mannwhitneyu(a, b).statistic / (300 * 200), abs=1e-12)
    assert aupr_in(a, b) == pytest.approx(average_precision_score(truth, scores), abs=1e-12)
    assert aupr_out(a, b) == pytest.approx(average_precision_score(1 - truth, -scores), abs=1e-12)


def test_aupr_of_scores_that_say_nothing_is_the_share_of_the_positive_side():
    assert aupr_in([0.0, 1.0] * 3, [0.0, 1.0]) == pytest.approx(6 / 8)
    assert aupr_out([0.0, 1.0] * 3, [0.0, 1.0]) == pytest.approx(2 / 8)


def test_autc_by_hand():
    # On the scale from 0 to 4 the familiar images lie at 1 and 1/2, the unfamiliar ones at 1/4 and 0.
    # The miss rate is 0 up to 1/2 and 1/2 from there; the false alarm rate 1/2 up to 1/4 and then 0.
    assert autc([4.0, 2.0], [1.0, 0.0]) == ((1 / 2) * (1 / 2) + (1 / 4) * (1 / 2)) / 2


def test_autc_sees_how_far_apart_the_sides_are_where_auroc_does_not():
    close, far = ([0.71, 0.8, 1.0], [0.0, 0.6, 0.7]), ([0.98, 0.99, 1.0], [0.0, 0.01, 0.02])
    assert auroc(*close) == auroc(*far) == 1.0
    assert autc(*far) < 0.02 < 0.29 < autc(*close)


@pytest.mark.parametrize(("inside", "outside", "value"), [([1, 3], [0, 0], 1 / 6), ([0], [2], 1.0), ([2], [0], 0.0)])
def test_autc_does_not_depend_on_unit_or_origin(inside, outside, value):
    for slope, shift in ((1.0, 0.0), (5e-324, 0.0), (1e307, 0.0), (0.125, -7.0)):
        moved = [np.array(side) * slope + shift for side in (inside, outside)]
        assert autc(*moved) == pytest.approx(value, abs=1e-15)


def test_autc_of_scores_as_far_apart_as_floats_go():
    assert autc([1.7e308, 1.7e308], [-1.7e308, 0.0]) == pytest.approx(0.125)


def test_a_resample_keeps_the_scale_of_all_images():
    inside, outside = np.array([10.0, 4.0, 5.0]), np.array([0.0, 1.0])
    weighted = get("autc").weighted(inside, outside)
    # Without the highest image, the others stay where they were on the scale from 0 to 10.
    assert weighted(np.array([[0, 2, 1]]), np.array([[1, 1]]))[0] == pytest.approx((1 - 13 / 30 + 0.05) / 2)
    drawn = np.array([[2, 0, 1]]), np.array([[1, 3]])
    assert weighted(*drawn)[0] == pytest.approx(autc([10.0, 10.0, 5.0], [0.0, 1.0, 1.0, 1.0]))
