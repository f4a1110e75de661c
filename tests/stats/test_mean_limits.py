from __future__ import annotations

import numpy as np
import pytest

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.means import mean_evidence, studentised_mean


def test_symmetric_values_get_students_limits():
    values = np.random.default_rng(0).normal(size=40)
    values = np.concatenate([values, -values]) + 0.3
    stats = pytest.importorskip("scipy.stats")
    expected = stats.t.interval(0.9, 79, loc=values.mean(), scale=values.std(ddof=1) / np.sqrt(80))
    limits = mean_evidence(values).limits(0.95)
    assert (limits.lower, limits.upper) == pytest.approx(expected, rel=1e-9)


def test_the_limit_on_the_long_side_is_further_out():
    values = np.random.default_rng(1).exponential(size=200)
    limits = mean_evidence(values).limits(0.95)
    plain = 1.6525 * values.std(ddof=1) / np.sqrt(200)
    assert limits.upper - limits.estimate > 1.02 * plain
    assert limits.estimate - limits.lower == pytest.approx(plain, rel=1e-3)


def test_limits_of_the_opposite_are_the_opposite_limits():
    values = np.random.default_rng(2).exponential(size=90)
    first, second = mean_evidence(values).limits(0.9), mean_evidence(-values).limits(0.9)
    assert (-second.upper, -second.lower) == pytest.approx((first.lower, first.upper))


def test_p_values_and_limits_agree():
    evidence = mean_evidence(np.random.default_rng(3).exponential(size=60))
    limits = evidence.limits(0.95)
    assert evidence.p_below(limits.upper) == pytest.approx(0.05)
    assert evidence.p_above(limits.lower) == pytest.approx(0.05)
    assert evidence.p_below(limits.upper + 0.1) < 0.05 < evidence.p_below(limits.upper - 0.1)


@pytest.mark.parametrize("value", [0.0, -0.25])
def test_values_that_are_all_equal_are_a_certainty(value):
    for limits in (mean_evidence([value] * 9).limits(0.95), studentised_mean([value] * 9, 0.95)):
        assert (limits.lower, limits.upper, limits.standard_error) == (value, value, 0.0)


def test_images_of_a_cluster_count_as_one():
    values = np.random.default_rng(4).normal(size=120)
    once = mean_evidence(values).limits(0.95)
    five_times = mean_evidence(np.repeat(values, 5), np.repeat(np.arange(120), 5)).limits(0.95)
    assert (five_times.lower, five_times.upper) == pytest.approx((once.lower, once.upper))
    assert mean_evidence(np.repeat(values, 5)).limits(0.95).upper < once.upper


def test_the_bootstrap_of_t_agrees_with_a_slow_loop():
    values = np.random.default_rng(5).exponential(size=30)
    from reliability.stats.bootstrap import resample_weights

    t = []
    for row in resample_weights(30, 400, seed=3):
        drawn = np.repeat(values, row)
        t.append((drawn.mean() - values.mean()) / drawn.std() * values.std(ddof=1))
    low, high = np.quantile(t, [0.05, 0.95])
    limits = studentised_mean(values, 0.95, 400, seed=3)
    root = np.sqrt(30)
    # Both standard errors carry the same factor for lost degrees of freedom but for the outer one.
    assert limits.upper == pytest.approx(values.mean() - low * np.sqrt(30) / root, rel=1e-9)
    assert limits.lower == pytest.approx(values.mean() - high * np.sqrt(30) / root, rel=1e-9)


def test_the_bootstrap_of_t_draws_clusters_together():
    values = np.random.default_rng(6).exponential(size=100)
    once = studentised_mean(values, 0.95, 300, seed=1)
    clustered = studentised_mean(np.repeat(values, 3), 0.95, 300, seed=1, clusters=np.repeat(np.arange(100), 3))
    assert (clustered.lower, clustered.upper) == pytest.approx((once.lower, once.upper))


def test_a_resample_without_variance_is_an_error():
    with pytest.raises(UndefinedMetricError, match="no interval"):
        studentised_mean([0.0] * 99 + [1.0], 0.95)


@pytest.mark.parametrize("limits", [lambda v: mean_evidence(v).limits(0.95), lambda v: studentised_mean(v, 0.95)])
@pytest.mark.parametrize("values", [[], [1.0], [1.0, np.nan], [1.0, np.inf]])
def test_numbers_without_a_standard_error_are_refused(limits, values):
    with pytest.raises(UndefinedMetricError):
        limits(values)


def test_senseless_levels_are_refused():
    with pytest.raises(UsageError, match="level"):
        mean_evidence([1.0, 2.0, 3.0]).limits(0.2)
    with pytest.raises(UsageError, match="level"):
        studentised_mean([1.0, 2.0, 3.0], 95)
