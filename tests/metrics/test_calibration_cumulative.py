from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.errors import UndefinedMetricError
from reliability.metrics.calibration import signed_ece
from reliability.metrics.calibration_cumulative import ece_debiased, ece_equal_mass, ece_sweep, ks_calibration
from reliability.metrics.registry import get

FAMILY = ("ece_equal_mass", "ece_debiased", "ece_sweep", "ks_calibration")
every_metric = pytest.mark.parametrize("name", FAMILY)


def with_confidence(confidence, correct):
    """Two-class logits and labels: each image's confidence, and whether it is right."""
    p = np.asarray(confidence, dtype=np.float64)
    return np.log(np.stack([p, 1 - p], axis=1)), 1 - np.asarray(correct, dtype=int)


def test_thirty_images_make_fifteen_bins_of_two():
    # The two least confident images are both wrong; every other pair is half right at 0.9.
    logits, labels = with_confidence([0.6, 0.7] + [0.9] * 28, [0, 0] + [0, 1] * 14)
    assert ece_equal_mass(logits, labels) == pytest.approx((0.65 + 14 * 0.4) / 15)


def test_an_image_that_straddles_an_edge_is_split():
    # Three images in 15 bins: five bins each, so the mean of the three absolute gaps.
    logits, labels = with_confidence([0.6, 0.7, 0.8], [1, 0, 1])
    assert ece_equal_mass(logits, labels) == pytest.approx((0.4 + 0.7 + 0.2) / 3)
    # Sixteen images in 15 bins: the bin of images 8 and 9 is the only one to mix signs.
    confidence = np.linspace(0.6, 0.9, 16)
    correct = np.arange(16) >= 8
    gaps = confidence - correct
    in_the_middle = (gaps[7] * 8 / 15 + gaps[8] * 8 / 15) / (16 / 15)
    rest = (np.abs(gaps).sum() - (abs(gaps[7]) + abs(gaps[8])) * 8 / 15) / 16
    expected = rest + abs(in_the_middle) / 15
    assert ece_equal_mass(*with_confidence(confidence, correct)) == pytest.approx(expected, abs=1e-12)


def test_images_of_one_confidence_share_their_accuracy():
    # Whatever bin they fall in, all 30 are at 0.8 against 0.5; by rows some bins would be all right.
    logits, labels = with_confidence([0.8] * 30, [1] * 15 + [0] * 15)
    assert ece_equal_mass(logits, labels) == pytest.approx(0.3)


def test_debiasing_takes_off_the_variance_of_a_bins_accuracy():
    # 15 bins of 4 images at 0.75 with 2 right: 0.25**2 - 0.5 * 0.5 / 3 is below 0.
    assert ece_debiased(*with_confidence([0.75] * 60, [1, 0] * 30)) == 0.0
    # At 0.95 with 3 right: 0.2**2 - 0.75 * 0.25 / 3 is below 0 too, with none right it is 0.95**2 - 0.
    assert ece_debiased(*with_confidence([0.95] * 60, [0] * 60)) == pytest.approx(0.95)
    logits, labels = with_confidence([0.95] * 600, [1, 0, 0, 0] * 150)
    assert ece_debiased(logits, labels) == pytest.approx(math.sqrt(0.7**2 - 0.25 * 0.75 / 39))


def test_few_images_get_fewer_bins_so_that_each_has_a_variance():
    # Five images: two bins of 2.5 at 0.6 against 0.8.
    expected = math.sqrt(max(0.2**2 - 0.8 * 0.2 / 1.5, 0.0))
    assert ece_debiased(*with_confidence([0.6] * 5, [1, 1, 1, 1, 0])) == pytest.approx(expected)
    with pytest.raises(UndefinedMetricError, match="a variance needs two images"):
        ece_debiased(*with_confidence([0.6], [1]))


def test_debiasing_removes_most_of_the_bias_on_calibrated_models():
    rng = np.random.default_rng(3)
    plain, debiased = [], []
    for _ in range(40):
        confidence = rng.uniform(0.5, 1.0, 500)
        case = with_confidence(confidence, rng.random(500) < confidence)
        plain.append(ece_equal_mass(*case) ** 2)
        debiased.append(ece_debiased(*case) ** 2)
    assert np.mean(debiased) < 0.25 * np.mean(plain)


def test_a_debiased_value_corrects_for_the_size_of_the_sample():
    logits, labels = with_confidence([0.9] * 60, [1, 1, 0] * 20)
    larger = ece_debiased(np.tile(logits, (3, 1)), np.tile(labels, 3))
    assert larger > ece_debiased(logits, labels)
    weights = np.full((1, 60), 3)
    assert get("ece_debiased").weighted(logits, labels)(weights)[0] == pytest.approx(larger, abs=1e-12)
    assert get("ece_debiased").depends_on_size


def test_a_sweep_stops_before_accuracy_falls():
    # Two bins rise (1/2, 1); three would be 2/2, 0/2 in part: halves of six images, thirds fall.
    confidence = [0.55, 0.6, 0.65, 0.7, 0.75, 0.8]
    correct = [1, 1, 0, 1, 1, 1]
    # Thirds: accuracies 1, 1/2, 1. Halves: 2/3, 1.
    logits, labels = with_confidence(confidence, correct)
    expected = (abs(0.6 - 2 / 3) + abs(0.75 - 1)) / 2
    assert ece_sweep(logits, labels) == pytest.approx(expected)


def test_a_sweep_that_never_falls_gives_each_confidence_a_bin():
    confidence = [0.55, 0.65, 0.75, 0.85]
    assert ece_sweep(*with_confidence(confidence, [0, 0, 1, 1])) == pytest.approx((0.55 + 0.65 + 0.25 + 0.15) / 4)


def test_a_sweep_that_falls_at_once_has_one_bin():
    assert ece_sweep(*with_confidence([0.6, 0.9], [1, 0])) == pytest.approx(abs(0.75 - 0.5))


def test_a_sweep_over_thousands_of_right_answers_ends():
    rng = np.random.default_rng(0)
    logits, labels = with_confidence(rng.uniform(0.6, 0.9, 5000), np.ones(5000))
    assert ece_sweep(logits, labels) == pytest.approx(-signed_ece(logits, labels))


def test_the_largest_cumulative_gap_by_hand():
    # Gaps 0.6, -0.3, 0.8 from the least confident on: sums 0.6, 0.3, 1.1 over three images.
    assert ks_calibration(*with_confidence([0.6, 0.7, 0.8], [0, 1, 0])) == pytest.approx(1.1 / 3)
    # Gaps 0.6, -0.3, -0.2, -0.1: the first sum is the largest.
    assert ks_calibration(*with_confidence([0.6, 0.7, 0.8, 0.9], [0, 1, 1, 1])) == pytest.approx(0.6 / 4)


def test_tied_images_enter_the_cumulative_gap_together():
    # One by one, the sum would reach 0.8 after a wrong answer.
    assert ks_calibration(*with_confidence([0.8] * 5, [0, 1, 1, 1, 1])) == pytest.approx(0.0, abs=1e-12)


cases = st.lists(st.tuples(st.sampled_from([0.55, 0.7, 0.7, 0.9, 1.0]), st.booleans()), min_size=2, max_size=40)


@settings(max_examples=60, deadline=None)
@given(cases, st.randoms(use_true_random=False))
def test_ties_make_no_difference_to_the_order_of_rows_and_agree_with_the_oracles(oracles, cases, random):
    random.shuffle(cases)
    with np.errstate(divide="ignore"):
        logits, labels = with_confidence(*zip(*cases, strict=True))
    logits = np.maximum(logits, -900.0)
    orders = sorted(range(len(cases)), key=lambda i: cases[i]), list(range(len(cases)))
    for name in FAMILY:
        # A square root near 0 makes 1e-8 of the last bits of what should cancel.
        close = 1e-7 if name.startswith("ece_debiased") else 1e-12
        first, second = (get(name).fn(logits[o], labels[o]) for o in orders)
        assert first == pytest.approx(second, abs=close)
        assert first == pytest.approx(oracles[name](logits.tolist(), labels), abs=close)


@every_metric
def test_resamples_without_some_confidences_are_those_images_alone(name):
    rng = np.random.default_rng(2)
    logits, labels = with_confidence(np.round(rng.uniform(0.5, 0.99, 50), 2), rng.random(50) < 0.7)
    weights = rng.poisson(0.4, (20, 50)).astype(np.uint8)
    values = get(name).weighted(logits, labels)(weights)
    for value, counts in zip(values, weights, strict=True):
        again = np.repeat(np.arange(50), counts)
        assert value == pytest.approx(get(name).fn(logits[again], labels[again]), abs=1e-12)


@every_metric
def test_certain_and_right_is_no_error_and_certain_and_wrong_a_whole_one(name):
    sure = [[2000.0, 0.0]] * 40
    assert get(name).fn(sure, [0] * 40) == 0.0
    assert get(name).fn(sure, [1] * 40) == 1.0


@pytest.mark.parametrize("name", ["ece_equal_mass", "ece_sweep", "ks_calibration"])
def test_of_one_image_the_error_is_its_gap(name):
    assert get(name).fn(*with_confidence([0.8], [1])) == pytest.approx(0.2)
