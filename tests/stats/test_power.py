from __future__ import annotations

import math

import numpy as np
import pytest

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.noninferiority import relation_outcome
from reliability.stats.power import settling_n, smallest_detectable_effect
from reliability.types import Interval


def around(estimate, below, above=None):
    return Interval(estimate, estimate - below, estimate + (below if above is None else above), 0.95, below / 1.645)


def test_half_the_room_needs_four_times_the_images():
    assert settling_n("not_worse", around(0.0, 0.02), 0.01, 1000) == 4001


@pytest.mark.parametrize(
    ("relation", "interval", "margin"),
    [
        ("not_worse", around(0.004, 0.02), 0.01),
        ("not_worse", around(0.013, 0.02), 0.01),
        ("improves", around(-0.001, 0.01), 0.0),
        ("improves", around(0.003, 0.01), 0.0),
        ("equivalent", around(0.004, 0.02, 0.03), 0.01),
        ("equivalent", around(0.02, 0.03), 0.01),
        ("equivalent", around(-0.02, 0.03), 0.01),
        ("at_least", around(0.71, 0.03), 0.7),
        ("at_least", around(0.69, 0.03), 0.7),
        ("at_most", around(0.05, 0.03), 0.06),
        ("differs", around(0.01, 0.02), 0.0),
        ("differs", around(-0.01, 0.02), 0.0),
    ],
)
def test_the_answer_settles_the_verdict_and_four_fifths_of_it_does_not(relation, interval, margin):
    assert relation_outcome(relation, interval, margin) == "inconclusive"
    needed = settling_n(relation, interval, margin, 1000)
    assert needed > 1000
    assert relation_outcome(relation, shrunk(interval, 1000 / needed), margin) != "inconclusive"
    assert relation_outcome(relation, shrunk(interval, 1000 / (0.8 * needed)), margin) == "inconclusive"


def shrunk(interval, share):
    factor = math.sqrt(share)
    return around(
        interval.estimate,
        factor * (interval.estimate - interval.lower),
        factor * (interval.upper - interval.estimate),
    )


def test_an_estimate_on_the_margin_is_never_settled():
    assert settling_n("not_worse", around(0.01, 0.02), 0.01, 1000) is None
    assert settling_n("equivalent", around(-0.01, 0.02), 0.01, 1000) is None
    assert settling_n("differs", around(0.0, 0.02), 0.0, 1000) is None


def test_an_estimate_a_hair_from_the_margin_does_not_overflow():
    assert settling_n("improves", around(-5e-324, 0.02), 0.0, 1000) is None


def test_a_settled_verdict_needs_no_more_images():
    assert settling_n("not_worse", around(-0.1, 0.02), 0.01, 1000) == 1000


def test_a_biased_interval_beside_its_estimate_still_gets_an_answer():
    beside = Interval(0.002, 0.004, 0.02, 0.95, 0.005)
    assert settling_n("not_worse", beside, 0.01, 500) > 500


def test_paired_accuracy_with_eight_percent_discordant_images():
    assert smallest_detectable_effect(math.sqrt(0.08 / 1000), 0.95) == pytest.approx(0.0222, abs=5e-5)


def test_an_effect_of_that_size_is_found_with_the_stated_power():
    effect = smallest_detectable_effect(1.0, 0.95, power=0.8)
    estimates = np.random.default_rng(0).normal(effect, 1.0, 20_000)
    assert np.mean(estimates > 1.6449) == pytest.approx(0.8, abs=0.01)


def test_no_error_means_every_effect_is_seen():
    assert smallest_detectable_effect(0.0, 0.95) == 0.0


@pytest.mark.parametrize("bad", [-1.0, math.nan, math.inf])
def test_a_senseless_standard_error_is_refused(bad):
    with pytest.raises(UndefinedMetricError, match="standard error"):
        smallest_detectable_effect(bad, 0.95)


@pytest.mark.parametrize(("level", "power"), [(0.4, 0.8), (1.0, 0.8), (0.95, 0.3), (0.95, 1.0)])
def test_a_senseless_level_or_power_is_refused(level, power):
    with pytest.raises(UsageError):
        smallest_detectable_effect(0.1, level, power)
