from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.errors import UndefinedMetricError
from reliability.metrics.registry import get
from reliability.metrics.robustness import (
    effective_robustness,
    mce_corruption,
    mce_corruption_alexnet,
    mean_corruption_accuracy,
    relative_mce,
)


def marks(*errors, n=20, severities=2):
    """[n, K, S] answers of which this many are wrong under each corruption at every severity."""
    right = np.arange(n)[:, None] >= np.array(errors)
    return np.repeat(right[:, :, None], severities, axis=2)


CLEAN = np.arange(20) >= 2
"""Two of twenty clean answers are wrong."""


def test_accuracy_counts_corruptions_and_severities_alike():
    correct = np.stack([marks(0, 10, severities=1)[..., 0], marks(20, 10, severities=1)[..., 0]], axis=2)
    assert mean_corruption_accuracy(correct) == pytest.approx((1 + 0 + 0.5 + 0.5) / 4)


def test_the_baseline_itself_has_an_error_of_one():
    rng = np.random.default_rng(0)
    correct, clean = rng.random((50, 15, 5)) < 0.5, rng.random(50) < 0.9
    assert mce_corruption(correct, clean, correct, clean) == pytest.approx(1.0, abs=1e-14)
    assert relative_mce(correct, clean, correct, clean) == pytest.approx(1.0, abs=1e-13)


def test_corruption_errors_by_hand():
    # Errors 4 and 12 against 8 and 8 of 20, at each severity; 2 and 4 on clean images.
    correct, baseline, baseline_clean = marks(4, 12), marks(8, 8), np.arange(20) >= 4
    assert mce_corruption(correct, CLEAN, baseline, baseline_clean) == pytest.approx((4 / 8 + 12 / 8) / 2)
    assert relative_mce(correct, CLEAN, baseline, baseline_clean) == pytest.approx((2 / 4 + 10 / 4) / 2)


def test_severities_are_summed_before_the_ratio_and_not_after():
    correct = np.concatenate([marks(2, severities=1), marks(18, severities=1)], axis=2)
    baseline = np.concatenate([marks(1, severities=1), marks(19, severities=1)], axis=2)
    assert mce_corruption(correct, CLEAN, baseline, CLEAN) == pytest.approx(1.0)


def test_alexnets_errors_give_one_and_its_hardest_corruption_counts_least():
    def with_errors_under(corruption):
        correct = np.ones((10, 15, 5))
        correct[:, corruption] = 0
        return mce_corruption_alexnet(correct)

    assert with_errors_under(2) == pytest.approx(1 / 15 / 0.922640)
    assert with_errors_under(10) == pytest.approx(1 / 15 / 0.564592)
    # All at once: 1.2935 is what a model that is always wrong scores.
    assert sum(map(with_errors_under, range(15))) == pytest.approx(mce_corruption_alexnet(np.zeros((10, 15, 5))))


@pytest.mark.parametrize("shape", [(4, 14, 5), (4, 19, 5), (4, 15, 4)])
def test_alexnets_errors_belong_to_fifteen_corruptions_at_five_severities(shape):
    with pytest.raises(UndefinedMetricError, match=rf"{shape[1]} corruptions, {shape[2]} severities"):
        mce_corruption_alexnet(np.zeros(shape))


def test_a_baseline_without_errors_is_no_measure_and_its_corruption_is_named():
    with pytest.raises(UndefinedMetricError, match=r"(?s)makes no error.*baseline_correct\[:, 1\]"):
        mce_corruption(marks(1, 1), CLEAN, marks(3, 0), CLEAN)


@pytest.mark.parametrize("errors", [2, 1])
def test_a_baseline_that_loses_nothing_or_gains_is_no_measure_of_losses(errors):
    with pytest.raises(UndefinedMetricError, match=r"(?s)loses nothing.*baseline_correct\[:, 1\]"):
        relative_mce(marks(5, 5), CLEAN, marks(3, errors), CLEAN)


def test_a_loss_that_is_zero_but_for_rounding_is_zero():
    # 0.1 + 0.2 - 0.3 is not 0 in floats; three severities of one image in ten are.
    baseline = marks(1, n=10, severities=3)
    with pytest.raises(UndefinedMetricError, match="loses nothing"):
        relative_mce(baseline, baseline[:, 0, 0], baseline, baseline[:, 0, 0])


def test_a_resample_in_which_a_baseline_error_vanishes_has_no_value():
    for name in ("mce_corruption", "relative_mce"):
        prepared = get(name).weighted(marks(5, 5), CLEAN, marks(3, 3), CLEAN)
        values = prepared(np.array([[0] * 3 + [1] * 17, [1] * 20]))
        assert np.isnan(values[0])
        assert np.isfinite(values[1])


def test_an_image_brings_all_its_corruptions_along():
    rng = np.random.default_rng(1)
    correct, baseline = rng.random((30, 4, 3)) < 0.6, rng.random((30, 4, 3)) < 0.5
    clean = np.ones(30)
    drawn = rng.integers(0, 30, 30)
    weights = np.bincount(drawn, minlength=30)[None].astype(np.uint8)
    value = get("mce_corruption").weighted(correct, clean, baseline, clean)(weights)[0]
    assert value == pytest.approx(mce_corruption(correct[drawn], clean, baseline[drawn], clean))


def test_answers_must_be_right_or_wrong_and_both_models_see_the_same_corruptions():
    half = marks(2, 2).astype(float)
    half[3, 1, 0] = 0.5
    with pytest.raises(UndefinedMetricError, match=r"correct\[3, 1, 0\]"):
        mean_corruption_accuracy(half)
    with pytest.raises(UndefinedMetricError, match="same corruptions"):
        mce_corruption(marks(2, 2), CLEAN, marks(2, 2, 2), CLEAN)


def odds(p):
    return np.log(p / (1 - p))


def along(clean, slope=1.2, level=-0.8):
    """Shifted accuracies on a line in log-odds."""
    return 1 / (1 + np.exp(-(slope * odds(np.asarray(clean)) + level)))


FIT = np.array([0.55, 0.65, 0.7, 0.8])


def test_a_model_on_the_line_has_no_effective_robustness_and_one_above_has_its_height():
    clean = np.arange(100) < 75
    expected = along(0.75)
    for extra in (0.0, 0.1, -0.2):
        correct = np.arange(10_000) < round(1e4 * (expected + extra))
        assert effective_robustness(correct, clean, FIT, along(FIT)) == pytest.approx(extra, abs=1e-4)


def test_shifted_and_clean_images_are_resampled_apart():
    prepared = get("effective_robustness").weighted([1, 0], [1, 1, 1, 0], FIT, along(FIT))
    assert prepared.sizes == (2, 4)
    values = prepared(np.array([[2, 0], [0, 2]]), np.array([[1, 1, 1, 1], [2, 0, 0, 2]]))
    assert values == pytest.approx([1 - along(0.75), 0 - along(0.5)])


def test_a_model_that_is_always_right_meets_the_end_of_the_line():
    assert effective_robustness([1, 1, 0, 1], [1, 1], FIT, along(FIT)) == pytest.approx(0.75 - 1.0)
    assert effective_robustness([1, 1, 0, 1], [0, 0], FIT, along(FIT)) == pytest.approx(0.75)


def test_one_model_gives_no_line():
    for fit in (([0.7], [0.5]), ([0.7, 0.7], [0.5, 0.6])):
        with pytest.raises(UndefinedMetricError, match="a line needs two"):
            effective_robustness([1, 0], [1, 1], *fit)


@pytest.mark.parametrize(("place", "rate"), [("fit_clean", 1.0), ("fit_shifted", 0.0)])
def test_accuracies_without_finite_log_odds_cannot_be_fitted(place, rate):
    fit = {"fit_clean": [0.6, 0.7, 0.8], "fit_shifted": [0.4, 0.5, 0.6]}
    fit[place][1] = rate
    with pytest.raises(UndefinedMetricError, match=rf"{place}\[1\]"):
        effective_robustness([1, 0], [1, 1], **fit)


rates = st.lists(st.floats(1e-12, 1 - 1e-12), min_size=2, max_size=5)


@settings(max_examples=60, deadline=None)
@given(rates, rates)
def test_any_line_gives_a_value_in_range_or_a_stated_reason(fit_clean, fit_shifted):
    size = min(len(fit_clean), len(fit_shifted))
    try:
        value = effective_robustness([1, 0, 1], [1, 1, 0], fit_clean[:size], fit_shifted[:size])
    except UndefinedMetricError:
        assert np.ptp(odds(np.array(fit_clean[:size]))) < 1e-12
    else:
        assert -1.0 <= value <= 1.0
