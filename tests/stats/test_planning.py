from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.delong import delong_harm
from reliability.stats.power import (
    images_needed,
    paired_images_needed,
    planned_auroc_error,
    smallest_detectable_effect,
    smallest_paired_effect,
)
from reliability.stats.proportions import PairedCounts
from reliability.stats.tango import TangoEvidence


def test_a_thousand_images_with_eight_percent_discordant_show_two_points():
    assert smallest_paired_effect(1000, 0.08) == pytest.approx(0.0222, abs=5e-5)


def test_an_effect_of_that_size_is_found_with_the_stated_power():
    n, discordance = 1000, 0.08
    effect = smallest_paired_effect(n, discordance)
    worse, better = (discordance + effect) / 2, (discordance - effect) / 2
    outcomes = np.random.default_rng(0).multinomial(n, [worse, better, 1 - discordance], size=3000)
    found = [TangoEvidence(PairedCounts(n, int(b), int(c))).p_above(0.0) <= 0.05 for b, c, _ in outcomes]
    assert np.mean(found) == pytest.approx(0.8, abs=0.025)


@given(st.integers(50, 10**6), st.floats(0.01, 1.0), st.floats(0.55, 0.99), st.floats(0.5, 0.99))
def test_effect_and_number_of_images_undo_each_other(n, discordance, level, power):
    effect = smallest_paired_effect(n, discordance, level, power)
    if effect is not None:
        assert 0.0 < effect <= discordance
        assert abs(paired_images_needed(effect, discordance, level, power) - n) <= 1


def test_the_generic_effect_and_number_of_images_undo_each_other():
    effect = smallest_detectable_effect(0.004, 0.95)
    assert images_needed(effect, 0.004, 2000) == pytest.approx(2000, abs=1)
    assert images_needed(effect / 2, 0.004, 2000) == pytest.approx(8000, abs=1)
    assert images_needed(1.0, 0.0, 2000) == 1


def test_too_few_discordant_images_show_nothing_at_all():
    assert smallest_paired_effect(100, 0.01) is None
    assert smallest_paired_effect(1, 0.5, level=0.999) is None


def test_paired_auroc_error_by_hand():
    # Hanley & McNeil at an AUROC of 0.5: each variance is (0.25 + 18 (1/3 - 1/4)) / 100.
    assert planned_auroc_error(0.5, 0.0, 10, 10) == pytest.approx(math.sqrt(2 * 1.75 / 100))
    assert planned_auroc_error(0.5, 0.75, 10, 10) == pytest.approx(math.sqrt(2 * 1.75 / 100) / 2)
    assert planned_auroc_error(0.94, 1.0, 100, 100) == 0.0


def test_the_planned_auroc_error_meets_the_one_found():
    rng = np.random.default_rng(0)
    inside, outside = rng.exponential(4.0, 3000), rng.exponential(1.0, 3000)
    other = [rng.permutation(scores) for scores in (inside, outside)]
    found = delong_harm(inside, outside, *other).standard_error
    assert planned_auroc_error(0.8, 0.0, 3000, 3000) == pytest.approx(found, rel=0.05)


@pytest.mark.parametrize(
    "call",
    [
        lambda: images_needed(0.0, 0.1, 100),
        lambda: images_needed(math.nan, 0.1, 100),
        lambda: images_needed(0.1, -0.1, 100),
        lambda: images_needed(0.1, 0.1, 0),
        lambda: smallest_paired_effect(0, 0.1),
        lambda: smallest_paired_effect(100, 0.0),
        lambda: smallest_paired_effect(100, 8.0),
        lambda: paired_images_needed(0.2, 0.1),
        lambda: paired_images_needed(-0.01, 0.1),
        lambda: planned_auroc_error(1.2, 0.5, 10, 10),
        lambda: planned_auroc_error(0.9, 1.5, 10, 10),
        lambda: planned_auroc_error(0.9, 0.5, 0, 10),
        lambda: planned_auroc_error(math.nan, 0.5, 10, 10),
    ],
)
def test_senseless_plans_are_refused(call):
    with pytest.raises(UndefinedMetricError):
        call()


@pytest.mark.parametrize(("level", "power"), [(0.4, 0.8), (0.95, 1.0), (95, 0.8)])
def test_a_senseless_level_or_power_is_refused(level, power):
    for call in (
        lambda: images_needed(0.1, 0.1, 100, level, power),
        lambda: smallest_paired_effect(100, 0.1, level, power),
        lambda: paired_images_needed(0.01, 0.1, level, power),
    ):
        with pytest.raises(UsageError):
            call()
