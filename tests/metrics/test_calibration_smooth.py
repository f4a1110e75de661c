from __future__ import annotations

import numpy as np
import pytest

from reliability.metrics.calibration import signed_ece
from reliability.metrics.calibration_smooth import ece_smooth
from reliability.metrics.registry import get


def with_confidence(confidence, correct):
    p = np.asarray(confidence, dtype=np.float64)
    return np.log(np.stack([p, 1 - p], axis=1)), 1 - np.asarray(correct, dtype=int)


def without_a_grid(confidence, correct, width):
    """Integral of the smoothed gaps, by the kernel itself at the confidences themselves."""
    t = (np.arange(20_000) + 0.5) / 20_000
    total = np.zeros_like(t)
    for c, right in zip(confidence, correct, strict=True):
        for centre in (c, -c, 2 - c):
            total += (c - right) * np.exp(-0.5 * ((t - centre) / width) ** 2)
    return np.abs(total).mean() / (width * np.sqrt(2 * np.pi)) / len(confidence)


def test_gaps_of_one_sign_are_not_smoothed_away():
    assert ece_smooth(*with_confidence([0.6, 0.7, 0.95], [1, 1, 1])) == pytest.approx((0.4 + 0.3 + 0.05) / 3)
    assert ece_smooth(*with_confidence([0.6, 0.7, 0.95], [0, 0, 0])) == pytest.approx(0.75)


def test_gaps_of_both_signs_at_one_confidence_cancel():
    assert ece_smooth(*with_confidence([0.75] * 4, [1, 1, 1, 0])) == pytest.approx(0.0, abs=1e-12)


def test_the_value_is_the_width_that_leaves_just_that_error():
    rng = np.random.default_rng(0)
    for slope in (0.0, 1.0, 2.5):
        confidence = rng.uniform(0.5, 1.0, 80)
        correct = rng.random(80) < 0.75 + slope * (confidence - 0.75)
        value = ece_smooth(*with_confidence(confidence, correct))
        assert 0.02 < value < 0.4
        assert without_a_grid(confidence, correct, value) == pytest.approx(value, abs=2e-5)


def test_it_changes_little_when_confidences_move_a_little_though_bins_would_jump():
    rng = np.random.default_rng(1)
    correct = rng.random(200) < 0.6
    below, above = (ece_smooth(*with_confidence(np.full(200, 2 / 3 + d), correct)) for d in (-1e-6, 1e-6))
    assert below == pytest.approx(above, abs=1e-5)


def test_a_calibrated_model_has_a_small_smooth_error():
    rng = np.random.default_rng(2)
    confidence = rng.uniform(0.5, 1.0, 20_000)
    logits, labels = with_confidence(confidence, rng.random(20_000) < confidence)
    assert abs(signed_ece(logits, labels)) <= ece_smooth(logits, labels) < 0.012


def test_confidences_of_exactly_one_half_and_exactly_one_have_their_place():
    logits = [[0.0, 0.0], [0.0, 0.0], [1e4, 0.0], [1e4, 0.0]]
    assert ece_smooth(logits, [0, 1, 0, 0]) == pytest.approx(0.0, abs=1e-12)
    assert ece_smooth(logits, [1, 1, 1, 1]) == pytest.approx(0.75)
    assert ece_smooth([[1e4, 0.0]], [1]) == pytest.approx(1.0)


def test_resamples_of_very_different_errors_are_all_solved():
    confidence, correct = [0.5 + 1e-9, 0.9, 0.9, 1 - 1e-9], [1, 1, 0, 1]
    logits, labels = with_confidence(confidence, correct)
    weights = np.array([[0, 0, 0, 1], [0, 0, 5, 0], [200, 1, 1, 1], [1, 9, 1, 250], [1, 1, 1, 1]])
    values = get("ece_smooth").weighted(logits, labels)(weights)
    assert values[0] == pytest.approx(1e-9, abs=1e-12)
    assert values[1] == pytest.approx(0.9)
    for value, counts in zip(values[2:], weights[2:], strict=True):
        again = np.repeat(np.arange(4), counts)
        assert value == pytest.approx(ece_smooth(logits[again], labels[again]), abs=1e-12)
