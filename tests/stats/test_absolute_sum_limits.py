from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.absolute_sums import absolute_sum_harm


def binned(rng, n, gaps, bins=15):
    """Gaps of n images spread over bins, around the bins' true gaps; [n, bins]."""
    place = rng.integers(bins, size=n)
    values = rng.normal(gaps[place], 0.4)
    return (place[:, None] == np.arange(bins)) * values[:, None]


def test_clear_signs_give_plain_limits_of_a_mean():
    rng = np.random.default_rng(0)
    gaps = np.where(np.arange(15) % 2, 0.5, -0.5)
    reference, candidate = binned(rng, 3000, gaps), binned(rng, 3000, 1.2 * gaps)
    signs = np.sign(gaps)
    harms = candidate @ signs - reference @ signs
    limits = absolute_sum_harm(reference, candidate).limits(0.95)
    error = 1.6454 * harms.std(ddof=1) / np.sqrt(3000)
    assert limits.estimate == pytest.approx(harms.mean())
    assert (limits.lower, limits.upper) == pytest.approx((harms.mean() - error, harms.mean() + error), rel=1e-3)


def test_a_model_against_itself_is_a_point():
    values = binned(np.random.default_rng(1), 500, np.zeros(15))
    limits = absolute_sum_harm(values, values.copy()).limits(0.95)
    assert (limits.lower, limits.estimate, limits.upper) == (0.0, 0.0, 0.0)


def test_exchanging_the_models_mirrors_the_limits():
    rng = np.random.default_rng(2)
    first, second = binned(rng, 800, np.full(15, 0.02)), binned(rng, 800, np.full(15, -0.1))
    forth, back = absolute_sum_harm(first, second).limits(0.95), absolute_sum_harm(second, first).limits(0.95)
    assert (-back.upper, -back.estimate, -back.lower) == pytest.approx((forth.lower, forth.estimate, forth.upper))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 60), st.integers(1, 6))
def test_the_estimate_always_lies_between_its_limits(seed, n, columns):
    rng = np.random.default_rng(seed)
    first, second = rng.normal(size=(2, n, columns)) * rng.integers(0, 2, size=(2, n, columns))
    limits = absolute_sum_harm(first, second).limits(0.95)
    assert limits.lower <= limits.estimate + 1e-12
    assert limits.upper >= limits.estimate - 1e-12


def test_the_upper_limit_holds_where_the_reference_is_calibrated_and_percentile_does_not():
    rng = np.random.default_rng(3)
    truth, covered, plain = 0.15, 0, 0
    for _ in range(300):
        reference = binned(rng, 1000, np.zeros(15))
        candidate = reference + (reference != 0) * rng.normal(truth, 0.3, reference.shape)
        evidence = absolute_sum_harm(reference, candidate)
        limits = evidence.limits(0.95)
        covered += limits.upper >= truth
        plain += limits.estimate + 1.645 * limits.standard_error >= truth
    assert covered >= 0.92 * 300
    assert plain < 0.5 * 300


def test_a_small_shift_of_every_bin_is_not_understated_where_both_models_share_their_noise():
    rng = np.random.default_rng(7)
    truth, covered = 0.06, 0
    for _ in range(300):
        reference = binned(rng, 1000, np.zeros(15))
        candidate = reference + (reference != 0) * rng.normal(truth, 0.15, reference.shape)
        covered += absolute_sum_harm(reference, candidate).limits(0.95).upper >= truth
    assert covered >= 0.92 * 300


def test_a_model_with_a_small_error_of_one_sign_in_every_bin_can_be_seen_to_improve():
    rng = np.random.default_rng(8)
    reference = binned(rng, 3000, np.full(15, 0.05))
    assert (np.abs(reference.mean(axis=0)) < 3 * reference.std(axis=0) / np.sqrt(3000)).mean() > 0.7
    candidate = reference - (reference != 0) * rng.normal(0.05, 0.1, reference.shape)
    assert absolute_sum_harm(reference, candidate).limits(0.95).upper < 0.0


def test_zeros_for_the_reference_give_limits_of_the_candidate_alone():
    rng = np.random.default_rng(4)
    candidate = binned(rng, 2000, np.full(15, 0.3))
    limits = absolute_sum_harm(np.zeros_like(candidate), candidate).limits(0.95)
    assert limits.estimate == pytest.approx(np.abs(candidate.mean(axis=0)).sum())
    assert limits.lower < 0.3 < limits.upper


def test_clusters_widen_the_limits():
    rng = np.random.default_rng(5)
    first, second = binned(rng, 300, np.full(15, 0.1)), binned(rng, 300, np.full(15, 0.2))
    once = absolute_sum_harm(first, second).limits(0.95)
    copies = [np.repeat(values, 4, axis=0) for values in (first, second)]
    together = absolute_sum_harm(*copies, clusters=np.repeat(np.arange(300), 4)).limits(0.95)
    assert (together.lower, together.upper) == pytest.approx((once.lower, once.upper))
    assert absolute_sum_harm(*copies).limits(0.95).upper < once.upper


def test_p_values_and_limits_agree():
    rng = np.random.default_rng(6)
    evidence = absolute_sum_harm(binned(rng, 400, np.zeros(15)), binned(rng, 400, np.full(15, 0.1)))
    limits = evidence.limits(0.95)
    assert evidence.p_below(limits.upper) == pytest.approx(0.05)
    assert evidence.p_above(limits.lower) == pytest.approx(0.05)


def test_shapes_that_do_not_match_and_numbers_that_are_not_finite_are_refused():
    with pytest.raises(UsageError, match="same images"):
        absolute_sum_harm(np.ones((5, 3)), np.ones((4, 3)))
    with pytest.raises(UndefinedMetricError, match="finite"):
        absolute_sum_harm(np.ones((5, 3)), np.full((5, 3), np.nan))
    with pytest.raises(UndefinedMetricError, match="finite numbers"):
        absolute_sum_harm(np.ones(5), np.ones(5))
    with pytest.raises(UndefinedMetricError, match="two images"):
        absolute_sum_harm(np.ones((1, 3)), np.ones((1, 3)))
