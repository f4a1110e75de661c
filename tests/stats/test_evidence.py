from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr
from scipy.stats import t as student

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.evidence import BootstrapEvidence, NormalEvidence
from reliability.stats.noninferiority import relation_outcome, relation_p_value
from reliability.stats.proportions import PairedCounts
from reliability.stats.tango import TangoEvidence, tango_limits
from reliability.types import Interval, Relation

RELATIONS = list(get_args(Relation))


def test_p_values_of_every_relation_by_hand():
    evidence = NormalEvidence(0.004, 0.004)
    expected = {
        "not_worse": ndtr(-1.5),
        "improves": ndtr(1.0),
        "equivalent": max(ndtr(-1.5), ndtr(-3.5)),
        "at_least": ndtr(1.5),
        "at_most": ndtr(-1.5),
        "differs": 2 * ndtr(-1.0),
        "not_better": ndtr(-3.5),
        "worsens": ndtr(-1.0),
    }
    assert list(expected) == RELATIONS
    for relation, p in expected.items():
        assert relation_p_value(relation, evidence, 0.01) == pytest.approx(p, rel=1e-12)


def test_few_draws_are_judged_by_t():
    evidence = NormalEvidence(1.0, 0.5, degrees=4)
    assert evidence.p_above(0.0) == pytest.approx(student.sf(2.0, 4))
    assert evidence.limits(0.95).lower == pytest.approx(1.0 - 0.5 * student.ppf(0.95, 4))


@given(
    st.floats(-0.03, 0.03),
    st.floats(1e-4, 0.02),
    st.floats(-0.8, 0.8),
    st.sampled_from([0.8, 0.95, 0.99]),
    st.sampled_from(RELATIONS),
)
@settings(max_examples=300, deadline=None)
def test_a_p_value_is_at_most_alpha_exactly_where_the_interval_holds(estimate, error, skewness, level, relation):
    evidence = NormalEvidence(estimate, error, skewness=skewness)
    limits = evidence.limits(level)
    ends = [abs(limit - m) for limit in (limits.lower, limits.upper) for m in (0.01, -0.01, 0.0)]
    if min(ends) > 1e-9:
        rate = 2 * (1 - level) if relation == "differs" else 1 - level
        holds = relation_outcome(relation, limits, 0.01) == "holds"
        assert (relation_p_value(relation, evidence, 0.01) <= rate) == holds


@given(st.integers(0, 30), st.integers(0, 30), st.sampled_from(RELATIONS))
@settings(max_examples=150, deadline=None)
def test_score_tests_agree_with_score_limits_for_every_relation(b, c, relation):
    counts = PairedCounts(200, b, c)
    limits = tango_limits(counts)
    if min(abs(limit - m) for limit in (limits.lower, limits.upper) for m in (0.05, -0.05, 0.0)) > 1e-9:
        rate = 0.1 if relation == "differs" else 0.05
        holds = relation_outcome(relation, limits, 0.05) == "holds"
        assert (relation_p_value(relation, TangoEvidence(counts), 0.05) <= rate) == holds


@pytest.mark.parametrize("relation", RELATIONS)
@pytest.mark.parametrize("margin", [0.0, 0.01])
def test_a_point_without_error_is_judged_as_its_interval_is(relation, margin):
    for estimate in (-0.02, 0.0, 0.01, 0.02):
        point = Interval(estimate, estimate, estimate, 0.95, 0.0)
        holds = relation_outcome(relation, point, margin) == "holds"
        assert relation_p_value(relation, NormalEvidence(estimate, 0.0), margin) == (0.0 if holds else 1.0)


def test_a_model_against_itself_never_counts_as_improved():
    assert relation_p_value("improves", NormalEvidence(0.0, 0.0), 0.0) == 1.0
    assert relation_p_value("improves", BootstrapEvidence(0.0, np.zeros(200)), 0.0) == 1.0
    assert relation_p_value("differs", BootstrapEvidence(0.0, np.zeros(200)), 0.0) == 1.0
    assert relation_p_value("not_worse", BootstrapEvidence(0.0, np.zeros(199)), 0.01) == 1 / 200


@given(st.floats(-3, 3), st.floats(-0.9, 0.9))
@settings(max_examples=100, deadline=None)
def test_skewed_limits_and_p_values_undo_each_other_and_mirror(estimate, skewness):
    evidence, mirrored = (
        NormalEvidence(estimate, 0.7, skewness=skewness),
        NormalEvidence(-estimate, 0.7, skewness=-skewness),
    )
    limits = evidence.limits(0.95)
    assert evidence.p_below(limits.upper) == pytest.approx(0.05, rel=1e-6)
    assert evidence.p_above(limits.lower) == pytest.approx(0.05, rel=1e-6)
    assert mirrored.limits(0.95).lower == pytest.approx(-limits.upper, rel=1e-9)
    assert evidence.p_below(0.3) + evidence.p_above(0.3) == pytest.approx(1.0)


def test_a_skewness_of_nothing_is_reached_smoothly():
    plain, hardly = NormalEvidence(0.0, 1.0).limits(0.95), NormalEvidence(0.0, 1.0, skewness=9e-7).limits(0.95)
    above = NormalEvidence(0.0, 1.0, skewness=1.1e-6).limits(0.95)
    assert hardly.upper == pytest.approx(plain.upper, abs=2e-6)
    assert above.upper == pytest.approx(hardly.upper, abs=1e-6)


def test_a_long_right_tail_lengthens_the_upper_limit():
    even, skewed = NormalEvidence(0.0, 1.0).limits(0.95), NormalEvidence(0.0, 1.0, skewness=0.3).limits(0.95)
    assert skewed.upper > even.upper
    assert skewed.lower > even.lower


def test_the_correction_makes_limits_of_a_skewed_mean_cover():
    rng = np.random.default_rng(0)
    hits = {"plain": 0, "corrected": 0}
    for sample in rng.exponential(1.0, (1500, 40)):
        error = sample.std(ddof=1) / math.sqrt(40)
        skewness = ((sample - sample.mean()) ** 3).mean() / 40**2 / error**3
        hits["plain"] += NormalEvidence(sample.mean(), error).limits(0.95).upper >= 1.0
        hits["corrected"] += NormalEvidence(sample.mean(), error, skewness=skewness).limits(0.95).upper >= 1.0
    assert hits["plain"] / 1500 < 0.92
    assert hits["corrected"] / 1500 == pytest.approx(0.95, abs=0.02)


def test_replicates_are_counted_by_hand():
    replicates = np.array([-0.02, -0.01, 0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.06])
    evidence = BootstrapEvidence(0.02, replicates)
    assert evidence.p_below(0.05) == 3 / 10
    assert evidence.p_above(-0.01) == 3 / 10
    # Mirrored at the estimate these are 0.04 three times and -0.06.
    skew = BootstrapEvidence(0.02, np.array([0.0, 0.0, 0.0, 0.1]), "basic")
    assert skew.p_below(0.03) == 4 / 5
    assert skew.p_above(-0.05) == 2 / 5


@pytest.mark.parametrize("method", ["percentile", "basic"])
def test_bootstrap_and_normal_evidence_agree_on_a_normal_estimate(method):
    replicates = np.random.default_rng(0).normal(0.01, 0.005, 20_000)
    bootstrap, normal = BootstrapEvidence(0.01, replicates, method), NormalEvidence(0.01, 0.005)
    for relation in RELATIONS:
        expected = relation_p_value(relation, normal, 0.015)
        assert relation_p_value(relation, bootstrap, 0.015) == pytest.approx(expected, abs=0.01)


def test_a_bootstrap_p_value_is_never_zero():
    evidence = BootstrapEvidence(0.0, np.zeros(999) - 1.0)
    assert relation_p_value("improves", evidence, 0.0) == 0.001


@pytest.mark.parametrize("numbers", [(math.nan, 1.0), (0.0, -1.0), (math.inf, 1.0), (0.0, math.nan), (0.0, 1.0, 0.0)])
def test_numbers_that_are_no_evidence_are_refused(numbers):
    with pytest.raises(UndefinedMetricError, match="must be finite"):
        NormalEvidence(*numbers)


@pytest.mark.parametrize("replicates", [[], [0.0, math.nan], [math.inf]])
def test_a_degenerate_resample_is_no_evidence(replicates):
    with pytest.raises(UndefinedMetricError):
        BootstrapEvidence(0.0, np.array(replicates))
    with pytest.raises(UndefinedMetricError):
        BootstrapEvidence(math.nan, np.zeros(5))


def test_unknown_methods_and_values_without_value_are_refused():
    with pytest.raises(UsageError, match="unknown method"):
        BootstrapEvidence(0.0, np.zeros(5), "bca")
    with pytest.raises(UndefinedMetricError):
        NormalEvidence(0.0, 1.0).p_below(math.nan)
    with pytest.raises(UndefinedMetricError):
        relation_p_value("not_worse", NormalEvidence(0.0, 1.0), math.nan)
    with pytest.raises(UsageError, match="unknown relation"):
        relation_p_value("better", NormalEvidence(0.0, 1.0), 0.0)
    with pytest.raises(UsageError, match="level"):
        NormalEvidence(0.0, 1.0).limits(0.5)
