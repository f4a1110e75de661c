from __future__ import annotations

import math

import pytest

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.noninferiority import relation_outcome
from reliability.types import Interval


def limits(lower, upper, estimate=None):
    middle = (lower + upper) / 2 if estimate is None else estimate
    return Interval(middle, lower, upper, 0.95, 0.01)


@pytest.mark.parametrize(
    ("relation", "lower", "upper", "outcome"),
    [
        ("not_worse", -0.01, 0.01, "holds"),
        ("not_worse", -0.01, 0.0100001, "inconclusive"),
        ("not_worse", 0.01, 0.03, "inconclusive"),
        ("not_worse", 0.0100001, 0.03, "broken"),
        ("not_worse", -0.5, -0.4, "holds"),
        ("improves", -0.02, -0.001, "holds"),
        ("improves", -0.02, 0.0, "inconclusive"),
        ("improves", -0.0001, 0.02, "inconclusive"),
        ("improves", 0.0, 0.02, "broken"),
        ("improves", 0.0, 0.0, "broken"),
        ("equivalent", -0.01, 0.01, "holds"),
        ("equivalent", -0.02, 0.005, "inconclusive"),
        ("equivalent", -0.005, 0.02, "inconclusive"),
        ("equivalent", -0.02, 0.02, "inconclusive"),
        ("equivalent", 0.0100001, 0.03, "broken"),
        ("equivalent", -0.03, -0.0100001, "broken"),
        ("at_least", 0.01, 0.9, "holds"),
        ("at_least", 0.005, 0.01, "inconclusive"),
        ("at_least", 0.0, 0.0099, "broken"),
        ("at_most", 0.0, 0.01, "holds"),
        ("at_most", 0.01, 0.02, "inconclusive"),
        ("at_most", 0.0101, 0.02, "broken"),
        ("differs", 0.001, 0.02, "holds"),
        ("differs", -0.02, -0.001, "holds"),
        ("differs", -0.01, 0.01, "inconclusive"),
        ("differs", 0.0, 0.01, "inconclusive"),
        ("differs", -0.01, 0.0, "inconclusive"),
        ("differs", 0.0, 0.0, "broken"),
    ],
)
def test_outcomes_at_margin_one_percent(relation, lower, upper, outcome):
    assert relation_outcome(relation, limits(lower, upper), 0.01) == outcome


def test_a_model_against_itself_is_never_worse_and_never_better():
    same = limits(0.0, 0.0)
    assert relation_outcome("not_worse", same, 0.0) == "holds"
    assert relation_outcome("equivalent", same, 0.0) == "holds"
    assert relation_outcome("improves", same, 0.0) == "broken"
    assert relation_outcome("differs", same, 0.0) == "broken"


@pytest.mark.parametrize("relation", ["not_worse", "improves", "equivalent", "at_least", "at_most", "differs"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("place", ["estimate", "lower", "upper", "margin"])
def test_a_number_that_is_not_finite_never_gives_a_verdict(relation, bad, place):
    numbers = {"estimate": 0.0, "lower": -0.01, "upper": 0.01, "margin": 0.01, place: bad}
    interval = limits(numbers["lower"], numbers["upper"], numbers["estimate"])
    with pytest.raises(UndefinedMetricError) as caught:
        relation_outcome(relation, interval, numbers["margin"])
    assert caught.value.where == place


def test_limits_in_the_wrong_order_are_refused():
    with pytest.raises(UndefinedMetricError, match="above the upper"):
        relation_outcome("not_worse", limits(0.02, 0.01), 0.05)


def test_an_unknown_relation_is_refused_with_a_close_match():
    with pytest.raises(UsageError, match="not_worse"):
        relation_outcome("not_wors", limits(0.0, 0.1), 0.05)


def test_equivalence_needs_a_margin_that_is_not_negative():
    with pytest.raises(UsageError, match="must not be negative"):
        relation_outcome("equivalent", limits(0.0, 0.1), -0.05)
