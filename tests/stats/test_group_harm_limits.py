from __future__ import annotations

import numpy as np
import pytest

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.group_limits import group_gap_harm_limits, worst_group_harm_limits
from reliability.stats.proportions import paired_counts, wilson_limits
from reliability.stats.tango import tango_limits


def draw(rng, n, reference, candidate):
    """Right and wrong of n images in groups with these accuracies, as correlated as can be."""
    groups = np.arange(n) % len(reference)
    height = rng.random(n)
    return height < np.array(reference)[groups], height < np.array(candidate)[groups], groups


def test_with_a_clear_worst_group_the_limits_are_tangos_in_it():
    first, second, groups = draw(np.random.default_rng(0), 2000, [0.9, 0.5], [0.88, 0.45])
    worst = groups == 1
    expected = tango_limits(paired_counts(first[worst], second[worst]))
    limits = worst_group_harm_limits(first, second, groups)
    assert (limits.estimate, limits.lower, limits.upper) == pytest.approx(
        (expected.estimate, expected.lower, expected.upper)
    )


def test_with_a_clear_best_and_worst_group_the_gap_adds_the_squares_of_both():
    first, second, groups = draw(np.random.default_rng(1), 2000, [0.9, 0.5], [0.88, 0.45])
    best, worst = (tango_limits(paired_counts(first[groups == g], second[groups == g])) for g in (0, 1))
    up = np.hypot(worst.upper - worst.estimate, best.estimate - best.lower)
    limits = group_gap_harm_limits(first, second, groups)
    assert limits.estimate == pytest.approx(worst.estimate - best.estimate)
    assert limits.upper == pytest.approx(limits.estimate + up)


def test_different_worst_groups_that_are_clear_get_limits_of_independent_rates():
    first, second, groups = draw(np.random.default_rng(2), 3000, [0.9, 0.6], [0.3, 0.6])
    old = wilson_limits(int(first[groups == 1].sum()), 1500)
    new = wilson_limits(int(second[groups == 0].sum()), 1500)
    limits = worst_group_harm_limits(first, second, groups)
    assert limits.estimate == pytest.approx(old.estimate - new.estimate)
    up = np.hypot(old.upper - old.estimate, new.estimate - new.lower)
    assert limits.upper == pytest.approx(limits.estimate + up)


def test_a_gap_that_turns_round_has_limits_too():
    first, second, groups = draw(np.random.default_rng(3), 3000, [0.9, 0.6], [0.5, 0.6])
    limits = group_gap_harm_limits(first, second, groups)
    assert limits.lower < -0.2 < limits.upper
    assert limits.upper - limits.lower < 0.2


@pytest.mark.parametrize("limits_of", [worst_group_harm_limits, group_gap_harm_limits])
def test_exchanging_the_models_mirrors_the_limits(limits_of):
    first, second, groups = draw(np.random.default_rng(4), 400, [0.7, 0.7, 0.71], [0.7, 0.6, 0.7])
    forth, back = limits_of(first, second, groups), limits_of(second, first, groups)
    assert (-back.upper, -back.estimate, -back.lower) == pytest.approx((forth.lower, forth.estimate, forth.upper))


@pytest.mark.parametrize("limits_of", [worst_group_harm_limits, group_gap_harm_limits])
@pytest.mark.parametrize("seed", range(20))
def test_the_estimate_lies_between_its_limits_and_is_the_metrics(limits_of, seed):
    rng = np.random.default_rng(seed)
    count = rng.integers(2, 6)
    first, second, groups = draw(rng, 120, rng.uniform(0.4, 1, count), rng.uniform(0.4, 1, count))
    limits = limits_of(first, second, groups)
    old, new = (np.array([right[groups == g].mean() for g in range(count)]) for right in (first, second))
    expected = old.min() - new.min() if limits_of is worst_group_harm_limits else np.ptp(new) - np.ptp(old)
    assert limits.estimate == pytest.approx(expected)
    assert limits.lower <= limits.estimate <= limits.upper


@pytest.mark.parametrize("limits_of", [worst_group_harm_limits, group_gap_harm_limits])
def test_a_model_against_itself_has_no_harm_but_keeps_a_width(limits_of):
    first, _, groups = draw(np.random.default_rng(5), 1000, [0.9, 0.8], [0.9, 0.8])
    limits = limits_of(first, first, groups)
    assert limits.estimate == 0.0
    assert -0.02 < limits.lower < 0.0 < limits.upper < 0.02


def test_the_upper_limit_holds_where_one_of_two_equal_groups_is_harmed_and_the_plain_one_does_not():
    rng = np.random.default_rng(6)
    covered, plain = 0, 0
    for _ in range(300):
        first, second, groups = draw(rng, 1000, [0.76, 0.76], [0.76, 0.70])
        limits = worst_group_harm_limits(first, second, groups)
        covered += limits.upper >= 0.06
        error = np.sqrt(0.06 * 0.94 / 500)
        plain += limits.estimate + 1.645 * error >= 0.06
    assert covered >= 0.92 * 300
    assert plain < 0.88 * 300


def test_groups_may_have_any_names():
    first, second, groups = draw(np.random.default_rng(7), 300, [0.9, 0.5], [0.9, 0.4])
    named = worst_group_harm_limits(first, second, np.array(["sand", "grass"])[groups])
    assert named == worst_group_harm_limits(first, second, 10 * groups - 5)


def test_input_that_makes_no_sense_is_refused():
    with pytest.raises(UndefinedMetricError, match="two groups"):
        group_gap_harm_limits([1, 0], [1, 0], [3, 3])
    with pytest.raises(UndefinedMetricError, match="right"):
        worst_group_harm_limits([1, 0.5], [1, 0], [0, 1])
    with pytest.raises(UndefinedMetricError):
        worst_group_harm_limits([], [], [])
    with pytest.raises(UsageError, match="same images"):
        worst_group_harm_limits([1, 0], [1, 0], [0, 1, 1])
    with pytest.raises(UsageError, match="level"):
        worst_group_harm_limits([1, 0], [1, 0], [0, 1], level=0.1)
