from __future__ import annotations

import numpy as np
import pytest

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats import resampling
from reliability.stats.bootstrap import interval, jackknife_influence, paired_replicates, resample_weights


def mean_statistic(values):
    """The weighted mean, as metrics offer it."""
    return lambda weights: weights @ values / weights.sum(axis=1)


def test_weights_are_counts_that_sum_to_n():
    weights = resample_weights(37, 250, seed=3)
    assert weights.shape == (250, 37)
    assert weights.dtype == np.uint8
    assert (weights.sum(axis=1, dtype=int) == 37).all()


def test_weights_follow_the_multinomial_distribution():
    weights = resample_weights(50, 2000, seed=0).astype(float)
    assert weights.mean() == 1.0
    assert weights.var() == pytest.approx(1 - 1 / 50, rel=0.02)
    assert (weights == 0).mean() == pytest.approx((1 - 1 / 50) ** 50, abs=0.01)
    np.testing.assert_allclose(weights.mean(axis=0), 1.0, atol=0.12)


def test_equal_seeds_give_equal_weights_and_others_do_not():
    first = resample_weights(40, 120, seed=1)
    resampling._CACHE._blocks.clear()
    np.testing.assert_array_equal(first, resample_weights(40, 120, seed=1))
    assert not np.array_equal(first, resample_weights(40, 120, seed=2))


def test_the_first_replicates_do_not_depend_on_how_many_follow():
    np.testing.assert_array_equal(resample_weights(30, 70, seed=0), resample_weights(30, 350, seed=0)[:70])


def test_strata_of_equal_size_are_resampled_independently():
    a, b = resample_weights(200, 500, seed=0, stratum=0), resample_weights(200, 500, seed=0, stratum=1)
    correlation = np.corrcoef(a.ravel().astype(float), b.ravel().astype(float))[0, 1]
    assert abs(correlation) < 0.02


def test_replicates_are_the_statistic_on_each_resample():
    values = np.random.default_rng(0).normal(size=60)
    replicates = paired_replicates([mean_statistic(values)], (60,), replicates=230, seed=5)
    expected = [np.mean(np.repeat(values, row)) for row in resample_weights(60, 230, seed=5)]
    assert replicates.shape == (1, 230)
    np.testing.assert_allclose(replicates[0], expected, rtol=1e-12, atol=1e-15)


def test_every_stratum_reaches_the_statistic_with_its_own_weights():
    seen = paired_replicates([lambda a, b: a[:, 0] * 1000.0 + b[:, 0]], (5, 9), replicates=130, seed=2)[0]
    a, b = resample_weights(5, 130, seed=2, stratum=0), resample_weights(9, 130, seed=2, stratum=1)
    np.testing.assert_array_equal(seen, a[:, 0] * 1000.0 + b[:, 0])


def test_equal_statistics_differ_by_exactly_nothing():
    values = np.random.default_rng(1).normal(size=777)
    reference, candidate = paired_replicates([mean_statistic(values), mean_statistic(values.copy())], (777,), 300)
    assert (candidate - reference == 0.0).all()
    point = interval(0.0, candidate - reference, level=0.95)
    assert (point.lower, point.upper, point.standard_error) == (0.0, 0.0, 0.0)


def test_pairing_narrows_the_difference_of_similar_statistics():
    rng = np.random.default_rng(2)
    values = rng.normal(size=500)
    a, b = paired_replicates([mean_statistic(values), mean_statistic(values + rng.normal(0, 0.05, 500))], (500,), 400)
    assert np.std(b - a) < 0.1 * np.std(a)


def test_the_standard_error_is_that_of_the_mean():
    values = np.random.default_rng(3).normal(size=400)
    replicates = paired_replicates([mean_statistic(values)], (400,), 2000)[0]
    result = interval(values.mean(), replicates, level=0.95)
    assert result.standard_error == pytest.approx(values.std() / 20, rel=0.05)
    assert result.upper - values.mean() == pytest.approx(1.645 * values.std() / 20, rel=0.1)


def test_slicing_to_bound_memory_does_not_change_the_replicates(monkeypatch):
    values = np.random.default_rng(4).normal(size=50)
    whole = paired_replicates([mean_statistic(values)], (50,), 210)
    monkeypatch.setattr(resampling, "WEIGHTS_AT_ONCE", 350)
    np.testing.assert_allclose(paired_replicates([mean_statistic(values)], (50,), 210), whole, rtol=1e-12)


def test_the_cache_keeps_to_its_budget_and_to_its_values():
    small = resampling._BlockCache(budget=5000)
    first = small.get(20, 0, 0, 0).copy()
    for index in range(1, 6):
        small.get(20, 0, 0, index)
    assert small._held == sum(block.nbytes for block in small._blocks.values()) <= 5000
    np.testing.assert_array_equal(small.get(20, 0, 0, 0), first)


def test_cached_weights_cannot_be_changed_by_a_statistic():
    def spoil(weights):
        weights[:] = 0
        return weights[:, 0]

    with pytest.raises(ValueError, match="read-only"):
        paired_replicates([spoil], (10,), 100)


def test_limits_cover_a_true_difference_in_accuracy_as_often_as_they_say():
    rng = np.random.default_rng(0)
    n, rounds, truth, covered = 300, 300, 0.03, 0
    for _ in range(rounds):
        # The candidate breaks 5 % of the images and repairs 2 %: a true harm of 3 points.
        kind = rng.random(n)
        harm = np.where(kind < 0.05, 1.0, np.where(kind < 0.07, -1.0, 0.0))
        replicates = paired_replicates([mean_statistic(harm)], (n,), 500)[0]
        covered += interval(harm.mean(), replicates, level=0.95).upper >= truth
    assert 0.91 <= covered / rounds <= 0.99


def test_senseless_sizes_and_seeds_are_refused():
    with pytest.raises(UndefinedMetricError, match="no images"):
        resample_weights(0, 10, seed=0)
    with pytest.raises(UndefinedMetricError, match="no images"):
        paired_replicates([], (10, 0))
    with pytest.raises(UsageError, match="seed"):
        resample_weights(10, 10, seed=-1)
    with pytest.raises(UsageError, match="replicates"):
        resample_weights(10, 0, seed=0)


def test_a_statistic_must_return_one_value_per_resample():
    with pytest.raises(UsageError, match="one value per resample"):
        paired_replicates([lambda weights: weights], (10,), 50)


def test_the_jackknife_gives_the_influence_of_each_image_on_a_mean():
    values = np.random.default_rng(6).exponential(size=40)
    influence = jackknife_influence([mean_statistic(values)], (40,), groups=40)[0]
    np.testing.assert_allclose(np.sort(influence), np.sort((values - values.mean()) / 40), atol=1e-15)


def test_groups_of_the_jackknife_estimate_the_same_variance_and_third_moment():
    values = np.random.default_rng(7).exponential(size=5000)
    influence = jackknife_influence([mean_statistic(values)], (5000,))[0]
    assert influence.shape == (200,)
    pulls = (values - values.mean()) / 5000
    assert (influence**2).sum() == pytest.approx((pulls**2).sum(), rel=0.2)
    assert (influence**3).sum() == pytest.approx((pulls**3).sum(), rel=0.6)


def test_groups_are_dealt_at_random_so_that_sorted_rows_do_no_harm():
    values = np.repeat([0.0, 1.0], 1000)
    influence = jackknife_influence([mean_statistic(values)], (2000,), groups=20)[0]
    assert np.sqrt((influence**2).sum()) == pytest.approx(values.std() / np.sqrt(2000), rel=0.5)


def test_the_jackknife_leaves_out_one_stratum_at_a_time():
    inside, outside = np.arange(30.0), np.arange(20.0)

    def gap(first, second):
        return mean_statistic(inside)(first) - mean_statistic(outside)(second)

    influence = jackknife_influence([gap], (30, 20), groups=50)[0]
    expected = np.concatenate([(inside - inside.mean()) / 30, -(outside - outside.mean()) / 20])
    np.testing.assert_allclose(np.sort(influence), np.sort(expected), atol=1e-14)


def test_slicing_does_not_change_the_jackknife(monkeypatch):
    values = np.random.default_rng(8).normal(size=300)
    whole = jackknife_influence([mean_statistic(values)], (300,))
    monkeypatch.setattr(resampling, "WEIGHTS_AT_ONCE", 900)
    np.testing.assert_allclose(jackknife_influence([mean_statistic(values)], (300,)), whole, atol=1e-15)


def test_a_single_group_leaves_nothing_to_compare():
    with pytest.raises(UsageError, match="groups"):
        jackknife_influence([mean_statistic(np.ones(10))], (10,), groups=1)
