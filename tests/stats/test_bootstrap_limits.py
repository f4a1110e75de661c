from __future__ import annotations

import numpy as np
import pytest

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.bootstrap import jackknife_influence, paired_replicates
from reliability.stats.limits import acceleration, interval


def test_one_sided_limits_by_hand():
    replicates = np.arange(101) / 100.0
    percentile = interval(0.4, replicates, level=0.95)
    assert (percentile.lower, percentile.upper) == pytest.approx((0.05, 0.95))
    basic = interval(0.4, replicates, level=0.95, method="basic")
    assert (basic.lower, basic.upper) == pytest.approx((-0.15, 0.75))
    assert percentile.level == basic.level == 0.95


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_degenerate_resample_is_an_error_and_is_never_dropped(bad):
    replicates = np.linspace(0, 1, 100)
    replicates[17] = bad
    with pytest.raises(UndefinedMetricError, match="no interval") as caught:
        interval(0.5, replicates, level=0.9)
    assert "replicate 17" in caught.value.where
    assert "1 of 100" in caught.value.got


def test_an_estimate_without_value_has_no_interval():
    with pytest.raises(UndefinedMetricError, match="no interval"):
        interval(np.nan, np.linspace(0, 1, 100), level=0.9)


def test_a_limit_needs_enough_replicates():
    with pytest.raises(UndefinedMetricError, match="too few replicates"):
        interval(0.5, np.linspace(0, 1, 19), level=0.95)
    assert interval(0.5, np.linspace(0, 1, 20), level=0.95).upper <= 1.0
    assert interval(0.5, np.linspace(0, 1, 10), level=0.9).upper <= 1.0


@pytest.mark.parametrize(
    "arguments", [{"level": 0.5}, {"level": 1.0}, {"level": 95}, {"level": 0.9, "method": "studentized"}]
)
def test_senseless_interval_options_are_refused(arguments):
    with pytest.raises(UsageError):
        interval(0.5, np.linspace(0, 1, 100), **arguments)


def bca_by_hand(estimate, draws, level, influence):
    """The textbook formula, one limit at a time."""
    from statistics import NormalDist

    normal = NormalDist()
    bias = normal.inv_cdf(sum(1.0 if d < estimate else 0.5 if d == estimate else 0.0 for d in draws) / len(draws))
    a = sum(i**3 for i in influence) / (6 * sum(i**2 for i in influence) ** 1.5)
    ends = []
    for tail in (1 - level, level):
        z = bias + normal.inv_cdf(tail)
        ends.append(np.quantile(draws, normal.cdf(bias + z / (1 - a * z))))
    return ends


def test_bca_agrees_with_the_formula_by_hand():
    rng = np.random.default_rng(0)
    draws, influence = rng.gamma(4.0, size=1999), rng.exponential(size=50) - 1.0
    limits = interval(3.7, draws, 0.95, "bca", influence)
    assert [limits.lower, limits.upper] == pytest.approx(bca_by_hand(3.7, draws, 0.95, influence), rel=1e-12)


def test_bca_agrees_with_scipy_on_a_skewed_mean():
    stats = pytest.importorskip("scipy.stats")
    values = np.random.default_rng(1).exponential(size=80)
    theirs = stats.bootstrap((values,), np.mean, n_resamples=9999, confidence_level=0.9, method="BCa", rng=2)
    statistic = [lambda weights: weights @ values / weights.sum(axis=1)]
    draws = paired_replicates(statistic, (80,), 9999)[0]
    ours = interval(values.mean(), draws, 0.95, "bca", jackknife_influence(statistic, (80,))[0])
    assert (ours.lower, ours.upper) == pytest.approx(tuple(theirs.confidence_interval), abs=0.02)


def test_without_bias_or_acceleration_bca_is_percentile():
    draws = np.linspace(-1.0, 1.0, 2001)
    plain, corrected = (interval(0.0, draws, 0.95, method, np.zeros(10)) for method in ("percentile", "bca"))
    assert (corrected.lower, corrected.upper) == pytest.approx((plain.lower, plain.upper))


def test_replicates_equal_to_the_estimate_count_one_half():
    # 400 below, 300 equal, 300 above: the share below is 0.55.
    draws = np.repeat([0.0, 1.0, 2.0], [400, 300, 300]) + 0.0
    smooth = np.concatenate([np.linspace(-1, 0.9, 550), np.linspace(1.1, 3, 450)])
    tied = interval(1.0, draws, 0.8, "bca", np.zeros(5))
    assert tied.upper == 2.0
    assert interval(1.0, smooth, 0.8, "bca", np.zeros(5)).upper > np.quantile(smooth, 0.8)


def test_ties_are_found_in_spite_of_rounding():
    steps = np.random.default_rng(2).integers(-3, 4, size=1000)
    exact = interval(0.0, steps / 8.0, 0.9, "bca", np.zeros(5))
    rounded = interval(0.0, steps / 8.0 + np.random.default_rng(3).normal(0, 1e-17, 1000), 0.9, "bca", np.zeros(5))
    assert (rounded.lower, rounded.upper) == pytest.approx((exact.lower, exact.upper), abs=1e-12)


def test_replicates_that_all_equal_the_estimate_are_a_point():
    point = interval(0.25, np.full(100, 0.25), 0.95, "bca", np.zeros(10))
    assert (point.lower, point.estimate, point.upper, point.standard_error) == (0.25, 0.25, 0.25, 0.0)


@pytest.mark.parametrize("estimate", [-0.1, 1.1])
def test_an_infinite_bias_is_an_error_and_never_a_limit(estimate):
    with pytest.raises(UndefinedMetricError, match="one side of the estimate"):
        interval(estimate, np.linspace(0, 1, 200), 0.95, "bca", np.ones(10))


def test_equal_replicates_beside_the_estimate_are_an_error():
    with pytest.raises(UndefinedMetricError, match="one side of the estimate"):
        interval(0.3, np.full(100, 0.2), 0.95, "bca", np.zeros(10))


def test_limits_beyond_the_replicates_are_an_error():
    with pytest.raises(UndefinedMetricError, match="further out than the replicates reach"):
        interval(0.002, np.linspace(0, 1, 1000), 0.95, "bca", np.zeros(10))
    with pytest.raises(UndefinedMetricError, match="further out than the replicates reach"):
        interval(0.5, np.linspace(0, 1, 1000), 0.999, "bca", np.eye(50)[0] + 1e-3)


def test_bca_without_the_jackknife_is_a_usage_error():
    with pytest.raises(UsageError, match="jackknife"):
        interval(0.5, np.linspace(0, 1, 100), 0.9, "bca")


def test_a_statistic_that_loses_its_value_without_some_images_has_no_bca_limits():
    with pytest.raises(UndefinedMetricError, match="without some images"):
        interval(0.5, np.linspace(0, 1, 100), 0.9, "bca", np.array([0.1, np.nan]))


def test_acceleration_by_hand():
    assert acceleration(np.array([-1.0, -1.0, 2.0])) == pytest.approx(6 / (6 * 6**1.5))
    assert acceleration(np.zeros(7)) == 0.0
    tiny = 1e-120 * np.array([-1.0, -1.0, 2.0])
    assert acceleration(tiny) == pytest.approx(6 / (6 * 6**1.5))


@pytest.mark.parametrize("method", ["percentile", "basic", "bca"])
def test_limits_move_and_stretch_with_the_statistic(method):
    rng = np.random.default_rng(4)
    draws, influence = rng.gamma(3.0, size=999), rng.exponential(size=40) - 1.0
    first = interval(2.8, draws, 0.95, method, influence)
    second = interval(5 + 2 * 2.8, 5 + 2 * draws, 0.95, method, 2 * influence)
    assert (second.lower, second.upper) == pytest.approx((5 + 2 * first.lower, 5 + 2 * first.upper))


@pytest.mark.parametrize("method", ["percentile", "basic", "bca"])
def test_limits_of_the_opposite_are_the_opposite_limits(method):
    rng = np.random.default_rng(5)
    draws, influence = rng.gamma(3.0, size=999), rng.exponential(size=40) - 1.0
    first = interval(2.8, draws, 0.95, method, influence)
    mirrored = interval(-2.8, -draws, 0.95, method, -influence)
    assert (-mirrored.upper, -mirrored.lower) == pytest.approx((first.lower, first.upper))


def test_bca_covers_a_skewed_mean_better_than_basic():
    rng = np.random.default_rng(6)
    covered = {"basic": 0, "bca": 0}
    for _ in range(400):
        values = rng.exponential(size=60) ** 1.5
        statistic = [lambda weights, values=values: weights @ values / weights.sum(axis=1)]
        draws, influence = paired_replicates(statistic, (60,), 400)[0], jackknife_influence(statistic, (60,))[0]
        for method in covered:
            covered[method] += interval(values.mean(), draws, 0.95, method, influence).upper >= 1.3293
    assert covered["bca"] > covered["basic"] + 10
