from __future__ import annotations

import numpy as np
import pytest

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.cutoff_rates import false_positive_harm


def scores(rng, n, m, noise=0.0):
    """Scores of a reference and of a candidate that adds noise: familiar and unfamiliar of each."""
    inside, outside = rng.normal(1.5, 1.0, n), rng.normal(0.0, 1.0, m)
    return inside, outside, inside + noise * rng.normal(size=n), outside + noise * rng.normal(size=m)


def rate_by_loop(inside, outside, percent=95):
    """The first cutoff from above that accepts enough familiar images."""
    for cutoff in sorted(inside, reverse=True):
        if 100 * sum(s >= cutoff for s in inside) >= percent * len(inside):
            return sum(s >= cutoff for s in outside) / len(outside)
    raise AssertionError


def test_the_harm_is_that_of_the_metric():
    reference_id, reference_ood, candidate_id, candidate_ood = scores(np.random.default_rng(0), 120, 90, 0.7)
    evidence = false_positive_harm(reference_id, reference_ood, candidate_id, candidate_ood)
    expected = rate_by_loop(candidate_id, candidate_ood) - rate_by_loop(reference_id, reference_ood)
    assert evidence.estimate == pytest.approx(expected)


def test_another_percentage_is_another_point_of_the_curve():
    reference_id, reference_ood, candidate_id, candidate_ood = scores(np.random.default_rng(1), 100, 100, 0.7)
    evidence = false_positive_harm(reference_id, reference_ood, candidate_id, candidate_ood, percent=80)
    expected = rate_by_loop(candidate_id, candidate_ood, 80) - rate_by_loop(reference_id, reference_ood, 80)
    assert evidence.estimate == pytest.approx(expected)


def test_the_standard_error_is_the_spread_over_samples():
    rng = np.random.default_rng(2)
    harms, errors = zip(
        *(
            (evidence.estimate, evidence.standard_error)
            for evidence in (false_positive_harm(*scores(rng, 600, 600, 0.5)) for _ in range(300))
        ),
        strict=True,
    )
    assert np.mean(errors) == pytest.approx(np.std(harms), rel=0.2)


def test_limits_cover_the_true_harm():
    rng = np.random.default_rng(3)
    truth = np.mean([false_positive_harm(*scores(rng, 100_000, 100_000, 0.5)).estimate for _ in range(5)])
    limits = [false_positive_harm(*scores(rng, 500, 500, 0.5)).limits(0.95) for _ in range(300)]
    assert 0.91 <= np.mean([truth <= limit.upper for limit in limits]) <= 0.99
    assert 0.91 <= np.mean([limit.lower <= truth for limit in limits]) <= 0.99


def test_equal_scores_are_a_certainty():
    inside, outside, *_ = scores(np.random.default_rng(4), 200, 200)
    evidence = false_positive_harm(inside, outside, inside.copy(), outside.copy())
    assert (evidence.estimate, evidence.standard_error) == (0.0, 0.0)


def test_scores_that_differ_without_changing_any_image_are_not_a_certainty():
    inside, outside, *_ = scores(np.random.default_rng(5), 200, 200)
    evidence = false_positive_harm(inside, outside, 2.0 * inside, 2.0 * outside)
    assert evidence.estimate == 0.0
    assert 1 / 200 <= evidence.standard_error < 0.1


def test_exchanging_the_models_mirrors_the_harm():
    reference_id, reference_ood, candidate_id, candidate_ood = scores(np.random.default_rng(6), 300, 200, 0.4)
    forth = false_positive_harm(reference_id, reference_ood, candidate_id, candidate_ood)
    back = false_positive_harm(candidate_id, candidate_ood, reference_id, reference_ood)
    assert (forth.estimate, forth.standard_error) == pytest.approx((-back.estimate, back.standard_error))


def test_ties_that_leave_no_slope_are_an_error():
    outside = np.random.default_rng(7).normal(size=100)
    tied = np.ones(100)
    with pytest.raises(UndefinedMetricError, match="slope"):
        false_positive_harm(tied, outside, tied, outside)


def test_coarse_scores_still_have_limits():
    reference_id, reference_ood, candidate_id, candidate_ood = scores(np.random.default_rng(8), 1000, 1000, 0.3)
    evidence = false_positive_harm(
        reference_id, reference_ood, np.round(5 * candidate_id) / 5, np.round(5 * candidate_ood) / 5
    )
    assert 0.005 < evidence.standard_error < 0.1


def test_input_that_makes_no_sense_is_refused():
    inside, outside, *_ = scores(np.random.default_rng(9), 100, 100)
    with pytest.raises(UsageError, match="same images"):
        false_positive_harm(inside, outside, inside[1:], outside)
    with pytest.raises(UsageError, match="percent"):
        false_positive_harm(inside, outside, inside, outside, percent=100)
    with pytest.raises(UndefinedMetricError, match="at least 20"):
        false_positive_harm(inside[:19], outside, inside[:19], outside)
    with pytest.raises(UndefinedMetricError, match="finite"):
        false_positive_harm(inside, outside, np.full(100, np.nan), outside)
