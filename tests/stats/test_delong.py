from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit, ndtr

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.auroc_score import auroc_score_limits, exponential_variance
from reliability.stats.delong import delong_harm, delong_harm_limits, delong_limits
from reliability.stats.noninferiority import relation_p_value

Z = 1.6448536269514722


def two_models(seed, n=40, m=25, decimals=1):
    """Scores of both models on the same images; rounding makes many ties."""
    rng = np.random.default_rng(seed)
    inside, outside = rng.normal(1.2, 1, n), rng.normal(0, 1, m)
    noisy = [np.round(s + rng.normal(0, 0.4, len(s)), decimals) for s in (inside, outside)]
    return np.round(inside, decimals), np.round(outside, decimals), *noisy


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("decimals", [0, 1, 12])
def test_harm_and_its_error_equal_placement_loops(slow_stats, seed, decimals):
    scores = two_models(seed, decimals=decimals)
    areas, cov = slow_stats.delong([scores[:2], scores[2:]])
    harm = delong_harm_limits(*scores, correction="none")
    assert harm.estimate == pytest.approx(areas[0] - areas[1], abs=1e-14)
    assert harm.standard_error**2 == pytest.approx(cov[0][0] + cov[1][1] - 2 * cov[0][1], rel=1e-10)
    assert harm.upper == pytest.approx(harm.estimate + Z * harm.standard_error, abs=1e-12)
    single = delong_limits(*scores[:2], scale="plain")
    assert single.estimate == pytest.approx(areas[0], abs=1e-14)
    assert single.standard_error**2 == pytest.approx(cov[0][0], rel=1e-10)
    assert single.lower == pytest.approx(areas[0] - Z * single.standard_error, abs=1e-12)


def test_one_auroc_by_hand():
    # Wins of each ID score over 3 OOD ones: 3, 3, 2, 3; of each OOD score under 4: 4, 3, 4.
    # S10 = 1/36 over 4, S01 = 1/48 over 3: a variance of 1/72.
    limits = delong_limits([3.0, 4.0, 2.0, 5.0], [1.0, 2.5, 0.0])
    assert limits.estimate == 11 / 12
    assert limits.standard_error == pytest.approx(math.sqrt(1 / 72), rel=1e-14)
    half = Z * math.sqrt(1 / 72) / (11 / 144)
    assert limits.lower == pytest.approx(expit(logit(11 / 12) - half), rel=1e-12)
    assert limits.upper == pytest.approx(expit(logit(11 / 12) + half), rel=1e-12)


def test_skewness_of_the_harm_by_hand():
    # Lost wins: 0, 0, 1, 0 thirds and 1, 0, 0 quarters. Third central moments: 1/27 * 3/32 and 1/64 * 2/27.
    evidence = delong_harm([3.0, 4.0, 2.0, 5.0], [1.0, 2.5, 0.0], [3.0, 4.0, 0.5, 5.0], [1.0, 2.5, 0.0])
    expected = (3 / 32 / 27 / 16 + 2 / 27 / 64 / 9) / math.sqrt(1 / 72) ** 3
    assert evidence.estimate == pytest.approx(1 / 12)
    assert evidence.skewness == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("correction", ["skewness", "none"])
@pytest.mark.parametrize("seed", range(4))
def test_exchanging_the_models_mirrors_the_limits(seed, correction):
    scores = two_models(seed)
    limits = delong_harm_limits(*scores, correction=correction)
    mirrored = delong_harm_limits(*scores[2:], *scores[:2], correction=correction)
    assert mirrored.estimate == -limits.estimate
    assert mirrored.lower == pytest.approx(-limits.upper, abs=1e-14)
    assert mirrored.upper == pytest.approx(-limits.lower, abs=1e-14)


@pytest.mark.parametrize(
    "change", [lambda s: s**3, lambda s: np.exp(s), lambda s: 5 * s - 3, lambda s: s.astype(np.float32)]
)
def test_only_the_order_of_scores_matters(change):
    scores = two_models(0, decimals=2)
    assert delong_harm_limits(*(change(s) for s in scores)) == delong_harm_limits(*scores)
    assert delong_limits(*(change(s) for s in scores[:2])) == delong_limits(*scores[:2])


def test_the_order_of_images_does_not_matter_but_pairing_does():
    scores = two_models(1, n=200, m=150)
    rng = np.random.default_rng(0)
    rows, columns = rng.permutation(200), rng.permutation(150)
    shuffled = delong_harm_limits(scores[0][rows], scores[1][columns], scores[2][rows], scores[3][columns])
    paired = delong_harm_limits(*scores)
    assert shuffled.estimate == paired.estimate
    assert shuffled.upper == pytest.approx(paired.upper, abs=1e-14)
    torn = delong_harm_limits(scores[0], scores[1], scores[2][rows], scores[3][columns])
    assert torn.estimate == paired.estimate
    assert torn.standard_error > 1.5 * paired.standard_error


def test_reversing_all_scores_mirrors_the_limits_of_one_model():
    inside, outside = two_models(2)[:2]
    limits, mirrored = delong_limits(inside, outside), delong_limits(-inside, -outside)
    assert mirrored.estimate == pytest.approx(1 - limits.estimate, abs=1e-15)
    assert mirrored.upper == pytest.approx(1 - limits.lower, abs=1e-12)


@given(st.integers(0, 10**6), st.floats(0.6, 0.99))
@settings(max_examples=60, deadline=None)
def test_limits_stay_in_range_and_widen_with_level(seed, level):
    scores = two_models(seed, n=12, m=9, decimals=0)
    single, wider = delong_limits(*scores[:2], level), delong_limits(*scores[:2], (1 + level) / 2)
    assert 0.0 <= wider.lower <= single.lower <= single.estimate <= single.upper <= wider.upper <= 1.0
    harm, broad = delong_harm_limits(*scores, level), delong_harm_limits(*scores, (1 + level) / 2)
    assert -1.0 <= broad.lower <= harm.lower <= harm.upper <= broad.upper <= 1.0


@given(st.integers(0, 10**6), st.floats(0.6, 0.99), st.floats(-0.3, 0.3))
@settings(max_examples=60, deadline=None)
def test_a_p_value_is_below_alpha_exactly_where_the_limit_excludes_the_harm(seed, level, harm):
    scores = two_models(seed)
    limits, evidence = delong_harm_limits(*scores, level), delong_harm(*scores)
    if min(abs(harm - limits.lower), abs(harm - limits.upper)) > 1e-9:
        assert (evidence.p_below(harm) < 1 - level) == (limits.upper < harm)
        assert (evidence.p_above(harm) < 1 - level) == (limits.lower > harm)


def test_a_model_against_itself_has_a_harm_of_exactly_nothing():
    inside, outside = two_models(3, n=500, m=400)[:2]
    limits = delong_harm_limits(inside, outside, inside.copy(), np.exp(outside) * 0 + outside)
    assert (limits.lower, limits.estimate, limits.upper, limits.standard_error) == (0.0, 0.0, 0.0, 0.0)
    evidence = delong_harm(inside, outside, inside, outside)
    assert relation_p_value("improves", evidence, 0.0) == 1.0
    assert relation_p_value("not_worse", evidence, 0.0) == 0.0


def test_equal_areas_with_different_placements_are_no_point():
    inside, outside = [1.0, 2.0, 3.0, 4.0], [0.0, 1.5, 2.5]
    limits = delong_harm_limits(inside, outside, [2.0, 1.0, 3.0, 4.0], outside)
    assert limits.estimate == 0.0
    assert limits.lower < 0.0 < limits.upper


def test_a_reversed_candidate_has_no_variance_and_is_refused():
    for n in (2, 5, 7, 49, 1000):
        inside, outside = np.arange(n) + 5000.0, np.arange(n + 1.0)
        with pytest.raises(UndefinedMetricError, match="no variance to judge by"):
            delong_harm_limits(inside, outside, -inside, -outside)


def test_a_perfect_separation_keeps_a_lower_limit():
    limits = delong_limits(np.arange(500.0) + 1000, np.arange(500.0))
    assert (limits.estimate, limits.upper) == (1.0, 1.0)
    assert 0.99 < limits.lower < 1.0
    assert limits == auroc_score_limits(1.0, 500, 500)
    with pytest.raises(UndefinedMetricError, match="perfect separation"):
        delong_limits([3.0, 4.0], [1.0, 2.0], scale="plain")


@pytest.mark.parametrize(
    "scores",
    [
        ([1.0], [0.0, 2.0]),
        ([1.0, 2.0], [0.0]),
        ([], [0.0, 1.0]),
        ([1.0, math.nan], [0.0, 2.0]),
        ([1.0, math.inf], [0.0, 2.0]),
        ([1.0, 1.0], [1.0, 1.0]),
        ([[1.0, 2.0]], [0.0, 1.0]),
        (["a", "b"], [0.0, 1.0]),
    ],
)
def test_scores_that_rank_nothing_are_refused(scores):
    with pytest.raises(UndefinedMetricError):
        delong_limits(*scores)
    with pytest.raises(UndefinedMetricError):
        delong_harm_limits([1.0, 2.0], [0.0, 1.5], *scores)


def test_models_on_different_numbers_of_images_are_refused():
    with pytest.raises(UndefinedMetricError, match="same images") as caught:
        delong_harm_limits([1.0, 2.0], [0.0, 1.5], [1.0, 2.0], [0.0, 1.5, 3.0])
    assert "ood" in caught.value.where


def test_unknown_options_are_refused():
    with pytest.raises(UsageError, match="scale"):
        delong_limits([1.0, 2.0], [0.0, 1.5], scale="log")
    with pytest.raises(UsageError, match="correction"):
        delong_harm([1.0, 2.0], [0.0, 1.5], [1.0, 2.0], [0.0, 1.5], correction="yes")
    with pytest.raises(UsageError, match="level"):
        delong_limits([1.0, 2.0], [0.0, 1.5], level=95)


def test_a_hundred_thousand_images_a_side_take_no_table_of_pairs():
    rng = np.random.default_rng(0)
    inside, outside = rng.normal(1, 1, 100_000), rng.normal(0, 1, 100_000)
    limits = delong_limits(inside, outside)
    assert limits.estimate == pytest.approx(ndtr(1 / math.sqrt(2)), abs=0.004)
    assert limits.standard_error == pytest.approx(0.00105, rel=0.05)


def simulated_limits(truth, correction, n=300, rounds=400):
    rng = np.random.default_rng(0)
    limits = []
    for _ in range(rounds):
        inside, outside = rng.normal(0, 1, (2, n)), rng.normal(0, 1, (2, n))
        candidate = [0.95 * s[0] + math.sqrt(1 - 0.95**2) * s[1] for s in (inside, outside)]
        limits.append(
            delong_harm_limits(
                inside[0] + truth[0], outside[0], candidate[0] + truth[1], candidate[1], 0.95, correction
            )
        )
    return limits


def test_limits_cover_a_true_harm_and_the_skewness_correction_is_why_near_one():
    harm = float(ndtr(1.0 / math.sqrt(2)) - ndtr(0.9 / math.sqrt(2)))
    moderate = np.mean([i.upper >= harm for i in simulated_limits((1.0, 0.9), "skewness")])
    assert 0.92 <= moderate <= 0.98
    near_one = float(ndtr(3.4 / math.sqrt(2)) - ndtr(3.1 / math.sqrt(2)))
    corrected = np.mean([i.upper >= near_one for i in simulated_limits((3.4, 3.1), "skewness")])
    published = np.mean([i.upper >= near_one for i in simulated_limits((3.4, 3.1), "none")])
    assert corrected >= 0.92
    assert corrected > published + 0.02


@pytest.mark.parametrize(
    ("auroc", "n", "m"), [(0.5, 10, 10), (0.9, 30, 80), (0.999, 500, 20), (0.0, 7, 9), (1.0, 7, 9)]
)
def test_score_limits_solve_the_test_with_the_variance_of_the_value_tested(slow_stats, auroc, n, m):
    limits = auroc_score_limits(auroc, n, m)
    mean = (n + m) / 2
    for limit in (limits.lower, limits.upper):
        if 0.0 < limit < 1.0:
            # Newcombe's variance is Hanley and McNeil's with both sizes replaced by their mean, over n m.
            variance = slow_stats.hanley_mcneil_variance(limit, mean, mean) * mean**2 / (n * m)
            assert abs(auroc - limit) / math.sqrt(variance) == pytest.approx(Z, rel=1e-9)
    mirrored = auroc_score_limits(1.0 - auroc, m, n)
    assert limits.lower == pytest.approx(1 - mirrored.upper, abs=1e-12)


def test_score_limits_at_the_ends_are_proper():
    perfect, reversed_ = auroc_score_limits(1.0, 1, 1), auroc_score_limits(0.0, 200, 300)
    assert perfect.upper == 1.0
    # One image of each kind: a single comparison won, so Wilson's limit for 1 of 1.
    assert perfect.lower == pytest.approx(1 / (1 + Z**2), rel=1e-9)
    assert reversed_.lower == 0.0 < reversed_.upper < 0.02
    assert reversed_.standard_error > 0.0


@pytest.mark.parametrize("auroc", [-0.1, 1.1, math.nan, 93.0])
def test_an_auroc_out_of_range_has_no_limits(auroc):
    with pytest.raises(UndefinedMetricError, match="lies in"):
        auroc_score_limits(auroc, 10, 10)


@pytest.mark.parametrize("auroc", [0.0, 0.3, 0.5, 0.94, 1.0])
def test_the_factored_variance_is_hanley_and_mcneils(slow_stats, auroc):
    assert exponential_variance(auroc, 30, 70, 29, 69) == pytest.approx(
        slow_stats.hanley_mcneil_variance(auroc, 30, 70), rel=1e-12, abs=1e-18
    )


def test_delong_areas_equal_scikit_learns():
    metrics = pytest.importorskip("sklearn.metrics")
    inside, outside = two_models(5, n=300, m=200)[:2]
    labels = np.repeat([1, 0], [300, 200])
    expected = metrics.roc_auc_score(labels, np.concatenate([inside, outside]))
    assert delong_limits(inside, outside).estimate == pytest.approx(expected, abs=1e-14)
