"""The counts by rank that all ranking metrics share."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.metrics import ranked
from reliability.metrics.registry import all_metrics, get

SIDE = st.lists(st.integers(-3, 3), min_size=1, max_size=25)


def outcomes(name, inside, outside, draws=5):
    """A metric of the images as they are and of some resamples."""
    rng = np.random.default_rng(0)
    weights = [rng.integers(0, 3, (draws, len(side))) for side in (inside, outside)]
    for matrix in weights:
        matrix[:, 0] += 1
    prepared = get(name).weighted(inside, outside)
    return [get(name).fn(inside, outside), *prepared(*weights)]


@pytest.mark.parametrize("name", ["auroc", "fpr95", "fpr95_ood_positive", "detection_error", "aupr_in", "aupr_out"])
@settings(max_examples=25, deadline=None)
@given(SIDE, SIDE)
def test_how_scores_are_cut_into_stretches_changes_nothing(name, inside, outside):
    if len({*inside, *outside}) > 1:
        whole = outcomes(name, inside, outside)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ranked, "_STRETCH", 2)
            assert outcomes(name, inside, outside) == pytest.approx(whole, abs=1e-14)


@pytest.mark.parametrize("name", ["auroc", "fpr95", "fpr95_ood_positive", "detection_error", "aupr_in", "aupr_out"])
@settings(max_examples=25, deadline=None)
@given(SIDE, SIDE)
def test_leaving_out_levels_a_metric_does_not_need_changes_nothing(name, inside, outside):
    if len({*inside, *outside}) > 1:
        prepared = get(name).weighted(inside, outside)
        full = ranked.rank_separation(np.array(inside, float), np.array(outside, float), prepared.finish)
        assert len(full.positive.reached) >= len(prepared.positive.reached)
        weights = [np.arange(3 * n).reshape(3, n) % 4 + 1 for n in prepared.sizes]
        np.testing.assert_allclose(prepared(*weights), full(*weights), rtol=0, atol=1e-15)


@pytest.mark.parametrize("columns", [1, 2, 7])
def test_running_counts_are_sums_for_any_number_of_resamples(columns):
    drawn = np.random.default_rng(1).integers(0, 200, (50, columns)).astype(np.uint8)
    sums = ranked._running(drawn)[:, :columns]
    np.testing.assert_array_equal(sums[1:], np.cumsum(drawn, axis=0, dtype=np.int64))
    assert (sums[0] == 0).all()


def test_counts_of_two_thousand_million_do_not_spill_into_the_neighbour():
    drawn = np.array([[2**30, 1], [2**30 - 1, 2]])
    np.testing.assert_array_equal(ranked._running(drawn)[-1], [2**31 - 1, 3])


def test_one_resample_of_every_image_once_is_the_metric_itself():
    rng = np.random.default_rng(2)
    inside, outside = np.round(rng.normal(1, 1, 90), 1), np.round(rng.normal(0, 1, 70), 1)
    prepared = get("aupr_out").weighted(inside, outside)
    once, twice = ([np.full((1, n), count) for n in prepared.sizes] for count in (1, 2))
    assert prepared(*once)[0] == prepared(*twice)[0] == get("aupr_out").fn(inside, outside)


def test_many_scores_with_ties_across_stretches_agree_with_counting():
    rng = np.random.default_rng(3)
    inside, outside = np.round(rng.normal(1, 1, 40_000), 2), np.round(rng.normal(0, 1, 50_000), 2)
    levels, first = np.unique(inside, return_counts=True)
    below, tied = (np.searchsorted(np.sort(outside), levels, side) for side in ("left", "right"))
    wins = (first * (below + tied)).sum() / 2
    assert get("auroc").fn(inside, outside) == wins / (len(inside) * len(outside))


RNG = np.random.default_rng(4)
SCORES = RNG.random(200_000)
RANKED = {
    "separation": (SCORES, RNG.random(200_000)),
    "selective": (SCORES, RNG.random(200_000) < SCORES),
    "paired_scores": (SCORES, SCORES + RNG.normal(0, 0.3, 200_000)),
}


@pytest.mark.parametrize("metric", [m for m in all_metrics() if m.kind in RANKED], ids=lambda m: m.name)
def test_ranking_scores_needs_at_most_three_times_their_memory(metric):
    inputs = RANKED[metric.kind]
    metric.fn(*inputs)
    tracemalloc.start()
    metric.fn(*inputs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * sum(values.nbytes for values in inputs)


@pytest.mark.parametrize("name", ["aurc", "augrc", "coverage_at_risk"])
@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), min_size=1, max_size=25))
def test_how_many_levels_are_summed_at_a_time_changes_nothing(name, answers):
    confidence, correct = np.array([c for c, _ in answers], float), np.array([right for _, right in answers])
    whole = get(name).fn(confidence, correct)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranked, "_LEVELS_AT_ONCE", 1)
        assert get(name).fn(confidence, correct) == pytest.approx(whole, abs=1e-14)
