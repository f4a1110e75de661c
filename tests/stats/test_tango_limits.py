from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.noninferiority import relation_outcome, relation_p_value
from reliability.stats.proportions import PairedCounts, paired_counts
from reliability.stats.tango import TangoEvidence, tango_limits


@st.composite
def pairs(draw):
    """Any discordant counts among any number of images."""
    n = draw(st.integers(1, 400))
    only_reference = draw(st.integers(0, n))
    return PairedCounts(n, only_reference, draw(st.integers(0, n - only_reference)))


def test_limits_of_published_examples():
    # Tango, Statistics in Medicine 17:891, 1998: contact lenses, 90 % two-sided.
    lenses = tango_limits(PairedCounts(44, 0, 1), level=0.95)
    assert (round(lenses.lower, 3), round(lenses.upper, 3)) == (-0.096, 0.037)
    # Fagerland, Lydersen & Laake, Statistics in Medicine 33:2850, 2014, 95 % two-sided.
    airways = tango_limits(PairedCounts(21, 1, 7), level=0.975)
    assert (round(airways.lower, 3), round(airways.upper, 3)) == (-0.517, -0.026)


@pytest.mark.parametrize("counts", [(1, 0, 0), (9, 0, 0), (9, 4, 0), (9, 0, 4), (9, 8, 1), (40, 3, 11), (1000, 45, 38)])
@pytest.mark.parametrize("level", [0.8, 0.95, 0.99])
def test_limits_equal_a_search_with_a_numerically_fitted_null(slow_stats, counts, level):
    n, b, c = counts
    limits = tango_limits(PairedCounts(n, b, c), level)
    assert limits.upper == pytest.approx(slow_stats.tango_upper(n, b, c, level), abs=1e-9)
    assert limits.lower == pytest.approx(-slow_stats.tango_upper(n, c, b, level), abs=1e-9)


@pytest.mark.parametrize("harm", [-0.9, -0.3, -0.01, 0.0, 0.02, 0.5, 0.99])
@pytest.mark.parametrize("counts", [(12, 3, 1), (12, 0, 5), (300, 14, 9), (300, 200, 90)])
def test_the_test_equals_the_score_with_a_numerically_fitted_null(slow_stats, counts, harm):
    evidence = TangoEvidence(PairedCounts(*counts))
    expected = slow_stats.tango_statistic(*counts, harm)
    assert evidence.p_below(harm) == pytest.approx(slow_stats.normal_cdf(expected), rel=1e-6, abs=1e-12)
    assert evidence.p_above(harm) == pytest.approx(slow_stats.normal_cdf(-expected), rel=1e-6, abs=1e-12)


def test_a_null_fitted_by_hand():
    # 20 against 20 of 1,000 at harm 0.02: the quadratic's linear term vanishes, the rarer rate is
    # sqrt(8 * 1000 * 20 * 0.02 * 0.98) / 4000 = 0.014, the variance 1000 * (0.028 + 0.0196) = 47.6.
    p = TangoEvidence(PairedCounts(1000, 20, 20)).p_below(0.02)
    assert p == pytest.approx(math.erfc(20 / math.sqrt(47.6) / math.sqrt(2)) / 2, rel=1e-12)


@pytest.mark.parametrize("n", [1, 20, 1000, 10**9])
def test_no_discordant_image_keeps_a_proper_interval_around_exactly_nothing(n):
    limits, square = tango_limits(PairedCounts(n, 0, 0)), 1.6448536269514722**2
    assert limits.estimate == 0.0
    assert limits.upper == -limits.lower == pytest.approx(square / (n + square), rel=1e-12)
    assert limits.standard_error == pytest.approx(math.sqrt(square) / (n + square), rel=1e-12)


def test_a_model_against_itself_has_harm_zero_and_no_evidence_either_way():
    right = np.random.default_rng(0).random(500) < 0.7
    counts = paired_counts(right, right)
    assert tango_limits(counts).estimate == 0.0
    assert relation_p_value("improves", TangoEvidence(counts), 0.0) == 0.5
    assert relation_outcome("not_worse", tango_limits(counts), 0.01) == "holds"


@pytest.mark.parametrize(
    ("counts", "lower", "upper"),
    [((30, 30, 0), (30 - 1.645**2) / (30 + 1.645**2), 1.0), ((1, 1, 0), (1 - 1.645**2) / (1 + 1.645**2), 1.0)],
)
def test_limits_where_every_image_is_discordant_one_way_by_hand(counts, lower, upper):
    limits = tango_limits(PairedCounts(*counts))
    assert limits.lower == pytest.approx(lower, abs=2e-4)
    assert limits.upper == upper
    mirrored = tango_limits(PairedCounts(*counts).exchanged())
    assert (mirrored.lower, mirrored.upper) == (-limits.upper, -limits.lower)


@given(pairs(), st.floats(0.51, 0.9999))
@settings(max_examples=200, deadline=None)
def test_limits_mirror_contain_the_estimate_and_widen_with_level(counts, level):
    limits, mirrored = tango_limits(counts, level), tango_limits(counts.exchanged(), level)
    assert -1.0 <= limits.lower <= limits.estimate <= limits.upper <= 1.0
    assert limits.lower < limits.upper
    assert (mirrored.lower, mirrored.estimate, mirrored.upper) == (-limits.upper, -limits.estimate, -limits.lower)
    wider = tango_limits(counts, (1 + level) / 2)
    assert wider.lower <= limits.lower
    assert wider.upper >= limits.upper


@given(pairs(), st.floats(0.6, 0.999), st.floats(-1, 1))
@settings(max_examples=300, deadline=None)
def test_a_p_value_is_below_alpha_exactly_where_the_limit_excludes_the_harm(counts, level, harm):
    limits, evidence = tango_limits(counts, level), TangoEvidence(counts)
    if min(abs(harm - limits.lower), abs(harm - limits.upper)) > 1e-9:
        assert (evidence.p_below(harm) < 1 - level) == (limits.upper < harm)
        assert (evidence.p_above(harm) < 1 - level) == (limits.lower > harm)


@pytest.mark.parametrize("counts", [(7, 2, 1), (30, 0, 0), (30, 30, 0), (30, 0, 4), (2000, 100, 60)])
def test_p_values_grow_and_fall_steadily_with_the_harm_tested(counts):
    evidence = TangoEvidence(PairedCounts(*counts))
    values = [evidence.p_below(h) for h in np.linspace(-1, 1, 501)]
    assert (np.diff(values) <= 1e-12).all()


def test_impossible_harms_are_settled():
    evidence = TangoEvidence(PairedCounts(10, 1, 1))
    assert evidence.p_below(1.5) == evidence.p_above(-1.5) == 0.0
    assert evidence.p_below(-1.5) == evidence.p_above(1.5) == 1.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_harm_that_is_no_number_is_refused(bad):
    with pytest.raises(UndefinedMetricError, match="must be finite"):
        TangoEvidence(PairedCounts(10, 1, 1)).p_below(bad)


def test_a_senseless_level_is_refused():
    with pytest.raises(UsageError, match="level"):
        tango_limits(PairedCounts(10, 1, 1), 0.5)


def exact_coverage(n, b, c):
    """Probability that each limit covers, summed over all counts that are not all but impossible."""
    first = np.flatnonzero(binom.pmf(np.arange(n + 1), n, b) > 1e-6)
    upper = lower = 0.0
    for x in first:
        chances = binom.pmf(x, n, b) * binom.pmf(np.arange(n - x + 1), n - x, c / (1 - b))
        for y in np.flatnonzero(chances > 1e-7):
            limits = tango_limits(PairedCounts(n, x, y))
            upper += chances[y] * (limits.upper >= b - c)
            lower += chances[y] * (limits.lower <= b - c)
    return upper, lower


@pytest.mark.parametrize(("n", "b", "c"), [(250, 0.03, 0.01), (250, 0.02, 0.02), (1000, 0.012, 0.008)])
def test_one_sided_limits_cover_as_often_as_they_say(n, b, c):
    assert exact_coverage(n, b, c) == pytest.approx((0.95, 0.95), abs=0.008)


def test_a_harm_at_the_margin_rarely_passes_even_where_discordance_is_sparse():
    upper, lower = exact_coverage(1000, 0.004, 0.001)
    assert upper >= 0.95
    # The known price of score limits: the other one errs 9 times in 100 with 5 discordant images.
    assert lower == pytest.approx(0.913, abs=0.002)
