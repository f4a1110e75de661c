"""Agreement of two models, image by image."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from reliability.errors import UndefinedMetricError
from reliability.metrics.accuracy import top1
from reliability.metrics.agreement import backward_trust_compatibility, flip_rate, js_divergence, negative_flip_rate
from reliability.metrics.registry import get

FIRST, SECOND = [1.0, 0.0], [0.0, 1.0]


def test_flips_count_in_both_directions():
    assert flip_rate([FIRST, FIRST, SECOND], [SECOND, FIRST, FIRST], [0, 0, 0]) == pytest.approx(2 / 3)
    assert flip_rate([FIRST, SECOND], [FIRST, SECOND], [1, 1]) == 0.0


def test_negative_flips_are_those_from_right_to_wrong():
    reference, candidate = [FIRST, FIRST, SECOND, SECOND], [SECOND, FIRST, FIRST, SECOND]
    assert negative_flip_rate(reference, candidate, [0, 0, 0, 0]) == 0.25
    assert flip_rate(reference, candidate, [0, 0, 0, 0]) == 0.5


def test_a_flip_from_one_wrong_class_to_another_is_not_negative():
    assert negative_flip_rate([[0, 1, 0]], [[0, 0, 1]], [0]) == 0.0


def test_the_loss_of_accuracy_is_negative_flips_minus_positive_ones():
    rng = np.random.default_rng(0)
    reference, labels = rng.normal(0, 1, (300, 5)), rng.integers(0, 5, 300)
    candidate = reference + rng.normal(0, 1, (300, 5))
    loss = top1(reference, labels) - top1(candidate, labels)
    flips = negative_flip_rate(reference, candidate, labels) - negative_flip_rate(candidate, reference, labels)
    assert loss == pytest.approx(flips, abs=1e-12)


def test_backward_trust_compatibility_by_hand():
    # Three right answers of the reference, of which the candidate keeps two.
    reference, candidate = [FIRST] * 3 + [SECOND], [FIRST, FIRST, SECOND, FIRST]
    assert backward_trust_compatibility(reference, candidate, [0, 0, 0, 0]) == pytest.approx(2 / 3)


def test_nothing_can_be_kept_of_a_reference_that_is_never_right():
    with pytest.raises(UndefinedMetricError, match="no right answer to keep"):
        backward_trust_compatibility([FIRST], [SECOND], [1])
    values = get("backward_trust_compatibility").weighted([FIRST] * 2, [FIRST] * 2, [0, 1])(np.array([[0, 2], [1, 1]]))
    assert np.isnan(values[0])
    assert values[1] == 1.0


@pytest.mark.parametrize("metric", [negative_flip_rate, backward_trust_compatibility])
def test_right_and_wrong_need_labels(metric):
    with pytest.raises(UndefinedMetricError, match=r"labels\[1\]"):
        metric([FIRST] * 2, [FIRST] * 2, [0, -1])


def test_divergence_by_hand():
    # Probabilities (3/4, 1/4) and (1/4, 3/4) with mean (1/2, 1/2).
    third = math.log(3.0)
    expected = 0.75 * math.log(1.5) + 0.25 * math.log(0.5)
    assert js_divergence([[third, 0.0]], [[0.0, third]], [-1]) == pytest.approx(expected, abs=1e-15)


def test_divergence_agrees_with_the_square_of_scipys_distance():
    rng = np.random.default_rng(1)
    a, b = rng.normal(0, 3, (50, 8)), rng.normal(0, 3, (50, 8))
    p, q = (np.exp(x) / np.exp(x).sum(axis=1, keepdims=True) for x in (a, b))
    assert js_divergence(a, b, [-1] * 50) == pytest.approx(np.mean(jensenshannon(p, q, axis=1) ** 2), abs=1e-12)


def test_divergence_ignores_a_shift_of_all_logits_and_the_order_of_the_models():
    rng = np.random.default_rng(2)
    a, b, labels = rng.normal(0, 3, (40, 5)), rng.normal(0, 3, (40, 5)), [-1] * 40
    assert js_divergence(a, b, labels) == js_divergence(b, a, labels)
    assert js_divergence(a, a + 2.0**10, labels) == pytest.approx(0.0, abs=1e-20)
    assert js_divergence(a, a, labels) == 0.0


def test_a_tiny_divergence_keeps_its_digits():
    # Two classes at logits +-x: the difference of the probabilities is tanh(x), and the divergence
    # x**2 / 2 up to a relative x**2.
    tiny = 1e-9
    value = js_divergence([[tiny, -tiny]], [[-tiny, tiny]], [-1])
    assert value == pytest.approx(tiny**2 / 2, rel=1e-9)


@pytest.mark.parametrize("size", [1e3, 1e30, 1.7e308])
def test_huge_logits_neither_overflow_nor_pass_the_bound(size):
    with np.errstate(all="raise", under="ignore"):
        assert js_divergence([[size, -size, 0.0]], [[-size, size, 0.0]], [-1]) == math.log(2.0)
        assert js_divergence([[size, -size]], [[size, -size]], [-1]) == 0.0


def test_a_class_that_only_one_model_allows_counts_its_share():
    # (1/2, 1/2) against (1, 0): from the definition, (3/4) ln(4/3) for half of both, and so on.
    p, q = (Fraction(1, 2), Fraction(1, 2)), (Fraction(1), Fraction(0))
    mean = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    expected = sum(float(x) * math.log(x / m) / 2 for y in (p, q) for x, m in zip(y, mean, strict=True) if x)
    assert js_divergence([[0.0, 0.0]], [[0.0, -2000.0]], [-1]) == pytest.approx(expected, abs=1e-15)


def test_divergence_is_the_mean_over_blocks_of_any_size():
    rng = np.random.default_rng(3)
    a, b = rng.normal(0, 1, (300, 1000)), rng.normal(0, 1, (300, 1000))
    alone = [js_divergence(a[i : i + 1], b[i : i + 1], [-1]) for i in range(300)]
    assert js_divergence(a, b, [-1] * 300) == pytest.approx(np.mean(alone), rel=1e-12)
