from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.proportions import PairedCounts, mcnemar, newcombe_limits, paired_counts, wilson_limits
from reliability.stats.tango import tango_limits


@st.composite
def tables(draw):
    """Any four counts with at least one image."""
    cells = draw(st.lists(st.integers(0, 60), min_size=4, max_size=4).filter(any))
    both_right, only_reference, only_candidate, _ = cells
    return PairedCounts(sum(cells), only_reference, only_candidate, both_right)


@pytest.mark.parametrize(("successes", "n"), [(0, 1), (0, 7), (1, 7), (35, 50), (999, 1000)])
@pytest.mark.parametrize("level", [0.9, 0.95, 0.999])
def test_wilson_limits_solve_the_score_test(slow_stats, successes, n, level):
    limits = wilson_limits(successes, n, level)
    assert limits.upper == pytest.approx(slow_stats.wilson_upper(successes, n, level), abs=1e-12)
    assert limits.lower == pytest.approx(1 - slow_stats.wilson_upper(n - successes, n, level), abs=1e-12)


def test_wilson_limits_of_newcombes_example():
    # 81 of 263 at 95 % two-sided: 0.2553 to 0.3662 (Newcombe, Statistics in Medicine 17:857, 1998).
    limits = wilson_limits(81, 263, level=0.975)
    assert (round(limits.lower, 4), round(limits.upper, 4)) == (0.2553, 0.3662)


def test_wilson_limits_at_the_edges_by_hand():
    square = 1.6448536269514722**2
    none, all_of_them, single = wilson_limits(0, 20), wilson_limits(20, 20), wilson_limits(1, 1)
    assert (none.estimate, none.lower) == (0.0, 0.0)
    assert none.upper == pytest.approx(square / (20 + square), rel=1e-12)
    assert (all_of_them.estimate, all_of_them.upper) == (1.0, 1.0)
    assert all_of_them.lower == pytest.approx(20 / (20 + square), rel=1e-12)
    assert single.lower == pytest.approx(1 / (1 + square), rel=1e-12)
    assert none.standard_error > 0.0


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))), st.floats(0.51, 0.9999))
def test_wilson_limits_mirror_stay_in_range_and_widen_with_level(pair, level):
    successes, n = pair
    limits, mirrored = wilson_limits(successes, n, level), wilson_limits(n - successes, n, level)
    assert 0.0 <= limits.lower <= limits.estimate <= limits.upper <= 1.0
    assert limits.upper == pytest.approx(1 - mirrored.lower, abs=1e-15)
    wider = wilson_limits(successes, n, (1 + level) / 2)
    assert wider.lower <= limits.lower
    assert wider.upper >= limits.upper


@pytest.mark.parametrize("arguments", [(0, 0), (3, 2), (-1, 5), (2.0, 5), (math.nan, 5), (1, None)])
def test_senseless_counts_have_no_wilson_limits(arguments):
    with pytest.raises(UndefinedMetricError, match="not defined"):
        wilson_limits(*arguments)


@pytest.mark.parametrize(
    "method", [lambda level: wilson_limits(1, 5, level), lambda level: newcombe_limits(TABLE, level)]
)
@pytest.mark.parametrize("level", [0.5, 1.0, 95.0, math.nan])
def test_a_senseless_level_is_refused(method, level):
    with pytest.raises(UsageError, match="level"):
        method(level)


TABLE = PairedCounts(50, 12, 2, 36)


def test_newcombe_limits_of_published_examples():
    # Newcombe, Statistics in Medicine 17:2635, 1998, table 36, 12, 2, 0.
    limits = newcombe_limits(TABLE, level=0.975)
    assert (round(limits.lower, 4), round(limits.upper, 4)) == (0.0569, 0.3404)
    # Fagerland, Lydersen & Laake, Statistics in Medicine 33:2850, 2014: airway hyper-responsiveness.
    small = newcombe_limits(PairedCounts(21, 1, 7, both_right=1), level=0.975)
    assert (round(small.lower, 3), round(small.upper, 3)) == (-0.507, -0.026)


def test_newcombe_limits_by_hand_without_correlation():
    # One model right on every image: no correlation, so Wilson's arms are added in squares.
    limits = newcombe_limits(PairedCounts(40, 10, 0, both_right=30))
    perfect, candidate = wilson_limits(40, 40), wilson_limits(30, 40)
    arms = perfect.estimate - perfect.lower, candidate.upper - candidate.estimate
    assert limits.lower == pytest.approx(0.25 - math.hypot(*arms), rel=1e-12)
    assert limits.upper == pytest.approx(0.25 + candidate.estimate - candidate.lower, rel=1e-12)


@given(tables(), st.floats(0.6, 0.999))
@settings(max_examples=150, deadline=None)
def test_newcombe_limits_mirror_when_the_models_change_places(counts, level):
    limits, mirrored = newcombe_limits(counts, level), newcombe_limits(counts.exchanged(), level)
    assert -1.0 - 1e-12 <= limits.lower <= limits.estimate <= limits.upper <= 1.0 + 1e-12
    assert limits.lower == pytest.approx(-mirrored.upper, abs=1e-12)
    assert limits.lower < limits.upper


def test_newcombe_and_tango_agree_in_large_samples():
    counts = PairedCounts(4000, 170, 130, both_right=3000)
    newcombe, tango = newcombe_limits(counts), tango_limits(counts)
    assert newcombe.lower == pytest.approx(tango.lower, abs=5e-5)
    assert newcombe.upper == pytest.approx(tango.upper, abs=5e-5)


def test_newcombe_limits_need_all_four_counts():
    with pytest.raises(UndefinedMetricError, match="all four counts"):
        newcombe_limits(PairedCounts(50, 12, 2))


def test_counts_of_two_models_do_not_depend_on_the_order_of_images():
    rng = np.random.default_rng(0)
    reference, candidate, order = rng.random(200) < 0.8, rng.random(200) < 0.7, rng.permutation(200)
    counts = paired_counts(reference, candidate)
    assert counts.only_reference_right == sum(a and not b for a, b in zip(reference, candidate, strict=True))
    assert counts.both_right == sum(a and b for a, b in zip(reference, candidate, strict=True))
    assert counts.harm == pytest.approx(reference.mean() - candidate.mean())
    assert paired_counts(reference[order], candidate[order]) == counts
    assert paired_counts(reference.astype(int).tolist(), candidate.astype(np.float32)) == counts


def test_a_model_against_itself_has_no_discordant_image():
    right = np.random.default_rng(1).random(100) < 0.5
    assert paired_counts(right, right).discordant == 0
    assert paired_counts(right, right).harm == 0.0


@pytest.mark.parametrize(
    ("reference", "candidate"),
    [([], []), ([1, 0], [1]), ([1, 2], [1, 0]), ([1, math.nan], [1, 0]), ([[1]], [[1]]), (["a"], ["b"])],
)
def test_anything_but_right_and_wrong_is_refused(reference, candidate):
    with pytest.raises(UndefinedMetricError):
        paired_counts(reference, candidate)


@pytest.mark.parametrize("counts", [(0, 0, 0), (5, 3, 3), (5, 1, 1, 4), (5, -1, 2), (5.0, 1, 2), (5, 1.5, 2)])
def test_counts_that_contradict_one_another_are_refused(counts):
    with pytest.raises(UndefinedMetricError):
        PairedCounts(*counts)


def test_unsigned_counts_do_not_wrap_around():
    counts = PairedCounts(np.uint8(200), np.uint8(3), np.uint8(5))
    assert counts.harm == -0.01
    assert all(type(value) is int for value in dataclasses.astuple(counts)[:3])


def test_mcnemar_of_the_published_example():
    # Fagerland, Lydersen & Laake, BMC Medical Research Methodology 13:91, 2013: 1 and 7 discordant.
    counts = PairedCounts(21, 1, 7)
    assert mcnemar(counts, "differs", "exact") == 18 / 256
    assert mcnemar(counts, "differs", "mid_p") == pytest.approx(10 / 256, rel=1e-12)
    assert mcnemar(counts, "better", "exact") == 9 / 256
    assert mcnemar(counts, "worse", "exact") == 255 / 256


@pytest.mark.parametrize("pair", [(0, 0), (0, 1), (1, 1), (3, 4), (0, 20), (30, 12), (150, 151)])
@pytest.mark.parametrize("mid", [True, False])
def test_mcnemar_equals_the_enumerated_binomial(slow_stats, pair, mid):
    counts = PairedCounts(1000, *pair)
    better, differs = slow_stats.mcnemar(*pair, mid)
    method = "mid_p" if mid else "exact"
    assert mcnemar(counts, "better", method) == pytest.approx(better, rel=1e-11)
    assert mcnemar(counts, "differs", method) == pytest.approx(differs, rel=1e-11)
    assert mcnemar(counts.exchanged(), "worse", method) == mcnemar(counts, "better", method)
    assert mcnemar(counts.exchanged(), "differs", method) == mcnemar(counts, "differs", method)


def test_no_discordant_image_is_no_evidence():
    counts = PairedCounts(100, 0, 0)
    assert [mcnemar(counts, which, "exact") for which in ("better", "worse", "differs")] == [1.0, 1.0, 1.0]
    assert [mcnemar(counts, which, "mid_p") for which in ("better", "worse", "differs")] == [0.5, 0.5, 1.0]


def test_the_exact_test_never_errs_more_often_than_it_says_and_mid_p_hardly_does():
    rejections = {"exact": 0, "mid_p": 0}
    outcomes = np.random.default_rng(0).multinomial(200, [0.05, 0.05, 0.9], size=2000)
    for b, c, _ in outcomes:
        for method in rejections:
            rejections[method] += mcnemar(PairedCounts(200, int(b), int(c)), "better", method) <= 0.05
    assert rejections["exact"] / 2000 <= 0.05
    assert rejections["exact"] < rejections["mid_p"] <= 2000 * 0.065


@pytest.mark.parametrize("arguments", [("less",), ("better", "asymptotic")])
def test_an_unknown_mcnemar_test_is_refused(arguments):
    with pytest.raises(UsageError, match="unknown test"):
        mcnemar(TABLE, *arguments)
