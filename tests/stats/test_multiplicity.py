from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.multiplicity import benjamini_hochberg, holm

FAMILIES = st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.05, 1.0]), min_size=1, max_size=7)


def test_holm_by_hand():
    got = holm([0.01, 0.04, 0.03, 0.005])
    assert got.adjusted == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert got.rejected.tolist() == [True, False, False, True]


def test_benjamini_hochberg_on_the_example_of_its_paper():
    # Benjamini & Hochberg, 1995, section 4.2: 15 hypotheses, at 0.05 the four smallest are rejected (Holm: three).
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1,
    ]
    assert benjamini_hochberg(p, 0.05).rejected.sum() == 4
    assert holm(p, 0.05).rejected.sum() == 3


@given(FAMILIES)
@settings(max_examples=200, deadline=None)
def test_holm_is_the_closed_bonferroni_test(slow_stats, p_values):
    np.testing.assert_allclose(holm(p_values).adjusted, slow_stats.holm_by_closure(p_values), rtol=1e-12)


@given(FAMILIES, st.floats(0.001, 0.499))
@settings(max_examples=200, deadline=None)
def test_benjamini_hochberg_is_the_step_up_rule(slow_stats, p_values, rate):
    got = benjamini_hochberg(p_values, rate)
    # Away from ties with the rate, where the order of a multiplication decides.
    if np.abs(got.adjusted - rate).min() > 1e-9:
        assert got.rejected.tolist() == slow_stats.benjamini_hochberg_rejections(p_values, rate)


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
@given(st.data())
@settings(max_examples=100, deadline=None)
def test_corrections_follow_their_hypotheses_and_never_help_one(correct, data):
    p_values = np.array(data.draw(FAMILIES))
    order = np.array(data.draw(st.permutations(range(len(p_values)))))
    got = correct(p_values)
    np.testing.assert_array_equal(correct(p_values[order]).adjusted, got.adjusted[order])
    assert (got.adjusted >= p_values - 1e-15).all()
    assert (got.adjusted <= 1.0).all()
    by_size = np.argsort(p_values, kind="stable")
    assert (np.diff(got.adjusted[by_size]) >= 0).all()
    np.testing.assert_array_equal(got.rejected, got.adjusted <= got.error_rate)
    assert (benjamini_hochberg(p_values).adjusted <= holm(p_values).adjusted + 1e-15).all()


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
def test_one_hypothesis_needs_no_correction(correct):
    assert correct([0.04]).adjusted.tolist() == [0.04]
    assert correct([0.04]).rejected.tolist() == [True]


def test_holm_keeps_the_familywise_error_and_benjamini_hochberg_the_discoveries():
    rng = np.random.default_rng(0)
    shared, own = rng.normal(size=(2000, 1)), rng.normal(size=(2000, 8))
    # Eight correlated tests, the first three with a true effect.
    p_values = 1 - ndtr(0.7 * shared + math.sqrt(1 - 0.49) * own + 3.0 * (np.arange(8) < 3))
    families = [holm(p).rejected for p in p_values]
    assert np.mean([r[3:].any() for r in families]) <= 0.06
    found = [benjamini_hochberg(p).rejected for p in p_values]
    assert np.mean([r[3:].sum() / max(r.sum(), 1) for r in found]) <= 0.05
    assert np.mean([r[:3].sum() for r in found]) > np.mean([r[:3].sum() for r in families])


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
@pytest.mark.parametrize("bad", [[], [0.5, math.nan], [0.5, math.inf], [-0.1], [1.1], [[0.5]], ["a"]])
def test_values_that_are_no_p_values_are_refused(correct, bad):
    with pytest.raises(UndefinedMetricError, match="not defined"):
        correct(bad)


@pytest.mark.parametrize("correct", [holm, benjamini_hochberg])
@pytest.mark.parametrize("rate", [0.0, 0.5, 5.0, math.nan])
def test_a_senseless_error_rate_is_refused(correct, rate):
    with pytest.raises(UsageError, match="error_rate"):
        correct([0.5], rate)
