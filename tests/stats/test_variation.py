from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chi2
from scipy.stats import t as student

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.variation import image_covariance, variation_over_draws

LEVEL = 0.95


def crossed(rng, draws, images, between, shared, own):
    """Contributions [R, N] of draws that see the same images, with known standard deviations."""
    effects = rng.normal(0, between, (draws, 1))
    return effects + rng.normal(0, shared, images) + rng.normal(0, own, (draws, images))


def of_table(table, level=LEVEL):
    return variation_over_draws(table.mean(axis=1), image_covariance(table), level)


@pytest.mark.parametrize("seed", range(4))
def test_estimates_are_those_of_the_two_way_analysis_of_variance(slow_stats, seed):
    draws, images = 4, 30
    table = crossed(np.random.default_rng(seed), draws, images, 0.5, 1.0, 0.8)
    between_draws, between_images, residual = slow_stats.mean_squares(table.tolist())
    got = of_table(table)
    variance = max(between_draws - residual, 0.0) / images
    assert got.between_draws.estimate == pytest.approx(math.sqrt(variance), rel=1e-9)
    assert got.image_standard_error == pytest.approx(math.sqrt(between_images / (draws * images)), rel=1e-9)
    whole = (max(between_draws, residual) + max(between_images - residual, 0.0)) / (draws * images)
    assert got.mean.standard_error == pytest.approx(math.sqrt(whole), rel=1e-9)
    assert got.mean.estimate == got.new_draw.estimate == pytest.approx(table.mean(), abs=1e-12)


def test_without_image_noise_the_limits_are_the_textbook_ones():
    harms = np.array([0.010, 0.014, 0.009, 0.021, 0.016])
    got = variation_over_draws(harms, np.zeros((5, 5)))
    spread, mean = harms.std(ddof=1), harms.mean()
    assert got.between_draws.estimate == pytest.approx(spread)
    assert got.between_draws.lower == pytest.approx(spread * math.sqrt(4 / chi2.ppf(0.95, 4)))
    assert got.between_draws.upper == pytest.approx(spread * math.sqrt(4 / chi2.ppf(0.05, 4)))
    assert got.mean.upper == pytest.approx(mean + student.ppf(0.95, 4) * spread / math.sqrt(5))
    assert got.new_draw.upper == pytest.approx(mean + student.ppf(0.95, 4) * spread * math.sqrt(1.2))
    assert got.image_standard_error == 0.0
    assert got.draws == 5


def test_image_noise_that_all_draws_share_is_no_variation_over_draws():
    harms = [0.01, 0.02, 0.03]
    quiet, noisy = (variation_over_draws(harms, np.full((3, 3), v)) for v in (0.0, 1e-3))
    assert noisy.between_draws == quiet.between_draws
    assert noisy.image_standard_error == pytest.approx(math.sqrt(1e-3))
    assert noisy.mean.standard_error > quiet.mean.standard_error
    assert noisy.new_draw.upper > quiet.new_draw.upper


def test_image_noise_of_each_draw_is_taken_off():
    got = variation_over_draws([0.01, 0.02, 0.03], np.diag([0.5e-4, 0.6e-4, 0.4e-4]))
    # A sample variance of 1e-4, half of it image noise.
    assert got.between_draws.estimate == pytest.approx(math.sqrt(0.5e-4))
    assert got.image_standard_error == pytest.approx(math.sqrt(1.5e-4) / 3)


def test_draws_that_agree_by_luck_are_not_taken_for_equal():
    got = variation_over_draws([0.02, 0.02, 0.02, 0.02], np.diag(np.full(4, 1e-4)))
    assert got.between_draws.estimate == got.between_draws.lower == 0.0
    assert got.between_draws.upper > 0.01
    assert got.mean.upper > 0.02 + 1.6 * math.sqrt(1e-4 / 4)


def test_draws_that_give_the_same_model_have_no_spread_at_all():
    row = np.random.default_rng(0).normal(0.01, 1, 300)
    got = of_table(np.stack([row, row, row, row]))
    spread = got.between_draws
    assert (spread.lower, spread.estimate, spread.upper, spread.standard_error) == (0.0, 0.0, 0.0, 0.0)
    assert got.mean.standard_error == pytest.approx(row.std(ddof=1) / math.sqrt(300))
    assert got.new_draw == got.mean


def test_replicates_on_common_resamples_serve_as_well_as_contributions():
    rng = np.random.default_rng(1)
    table = crossed(rng, 5, 400, 0.05, 1.0, 0.5)
    weights = rng.multinomial(400, np.full(400, 1 / 400), size=4000)
    replicates = weights @ table.T / 400
    got = variation_over_draws(table.mean(axis=1), np.cov(replicates.T))
    expected = of_table(table)
    assert got.mean.standard_error == pytest.approx(expected.mean.standard_error, rel=0.04)
    assert got.between_draws.estimate == pytest.approx(expected.between_draws.estimate, rel=0.1)


@given(st.integers(2, 12), st.integers(0, 10**6), st.floats(0.7, 0.99), st.floats(-5, 5), st.floats(0.01, 100))
@settings(max_examples=60, deadline=None)
def test_order_shift_scale_and_level_act_as_they_must(draws, seed, level, shift, scale):
    rng = np.random.default_rng(seed)
    table = crossed(rng, draws, 20, 0.5, 1.0, 0.5)
    got, mirrored = of_table(table, level), of_table(-table, level)
    assert mirrored.mean.lower == pytest.approx(-got.mean.upper, rel=1e-9, abs=1e-12)
    assert mirrored.between_draws.upper == pytest.approx(got.between_draws.upper, rel=1e-9)
    moved = of_table(scale * table[rng.permutation(draws)] + shift, level)
    assert moved.between_draws.upper == pytest.approx(scale * got.between_draws.upper, rel=1e-6)
    assert moved.new_draw.upper == pytest.approx(scale * got.new_draw.upper + shift, rel=1e-6, abs=1e-6)
    assert 0.0 <= got.between_draws.lower <= got.between_draws.estimate <= got.between_draws.upper
    assert got.new_draw.lower <= got.mean.lower <= got.mean.estimate <= got.mean.upper <= got.new_draw.upper
    wider = of_table(table, (1 + level) / 2)
    assert wider.new_draw.upper >= got.new_draw.upper
    assert wider.between_draws.lower <= got.between_draws.lower
    assert wider.between_draws.upper >= got.between_draws.upper


@pytest.mark.parametrize(("draws", "between"), [(3, 0.2), (5, 0.05), (5, 0.0), (20, 0.1)])
def test_limits_cover_a_known_mean_spread_and_new_draw(draws, between):
    rng = np.random.default_rng(0)
    rounds, hits = 400, np.zeros(5)
    for _ in range(rounds):
        got = of_table(crossed(rng, draws, 100, between, 0.5, 0.5))
        new = rng.normal(0, between) if between else 0.0
        hits += [
            got.mean.upper >= 0,
            got.new_draw.upper >= new,
            got.new_draw.lower <= new,
            got.between_draws.upper >= between,
            got.between_draws.lower <= between,
        ]
    assert (hits / rounds >= 0.92).all()


@pytest.mark.parametrize(
    ("harms", "covariance"),
    [
        ([0.1], [[1.0]]),
        ([], []),
        ([0.1, math.nan], np.eye(2)),
        ([0.1, 0.2], [[1.0, math.nan], [0.0, 1.0]]),
        ([0.1, 0.2], np.eye(3)),
        ([0.1, 0.2], [1.0, 1.0]),
        ([0.1, 0.2], [[-1.0, 0.0], [0.0, 1.0]]),
        ([0.1, 0.2], [[1.0, 0.5], [0.0, 1.0]]),
        ([0.1, 0.2], [[1.0, -2.0], [-2.0, 1.0]]),
    ],
)
def test_what_says_nothing_about_draws_is_refused(harms, covariance):
    with pytest.raises(UndefinedMetricError, match="not defined"):
        variation_over_draws(harms, covariance)


@pytest.mark.parametrize("table", [[1.0, 2.0], [[1.0, 2.0]], [[1.0], [2.0]], [[1.0, math.inf], [0.0, 1.0]]])
def test_contributions_need_two_draws_and_two_images(table):
    with pytest.raises(UndefinedMetricError, match="not defined"):
        image_covariance(table)


def test_a_senseless_level_is_refused():
    with pytest.raises(UsageError, match="level"):
        variation_over_draws([0.1, 0.2], np.eye(2), level=0.4)
