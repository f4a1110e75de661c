from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from reliability.metrics.calibration import ece
from reliability.metrics.calibration_classwise import ece_classwise
from reliability.metrics.registry import get


def test_every_class_is_judged_by_its_own_probability():
    # Probabilities 1/2, 1/4, 1/4 for both images. Class 0: 1/2 against 1/2. Class 1: 1/4 against 1/2. Class 2: 1/4.
    logits = np.log([[0.5, 0.25, 0.25]] * 2)
    assert ece_classwise(logits, [0, 1]) == pytest.approx((0.0 + 0.25 + 0.25) / 3)


def test_two_classes_have_the_same_error_twice():
    # Confidences 0.7 and 0.9 as seen from either class: the bins are mirrored.
    p = np.array([0.7, 0.7, 0.9, 0.9])
    logits, labels = np.log(np.stack([p, 1 - p], axis=1)), [0, 1, 0, 0]
    assert ece_classwise(logits, labels) == pytest.approx(ece(logits, labels))


def test_probabilities_of_exactly_zero_and_one_are_in_the_first_and_the_last_bin():
    sure = np.eye(3)[[0, 1, 2]] * 5000.0
    assert ece_classwise(sure, [0, 1, 2]) == 0.0
    assert ece_classwise(sure, [1, 2, 0]) == pytest.approx(2 / 3)


def test_a_class_that_never_occurs_adds_its_mean_probability():
    logits = np.log([[0.98, 0.02]] * 10)
    assert ece_classwise(logits, [0] * 10) == pytest.approx(0.02)


def test_resamples_are_those_images_alone():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 3, (70, 20)), rng.integers(0, 20, 70)
    weights = rng.poisson(0.7, (6, 70))
    values = get("ece_classwise").weighted(logits, labels)(weights)
    for value, counts in zip(values, weights, strict=True):
        again = np.repeat(np.arange(70), counts)
        assert value == pytest.approx(ece_classwise(logits[again], labels[again]), abs=1e-12)


def test_memory_does_not_grow_with_images_times_classes():
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(0, 3, (6000, 500)).astype(np.float32), rng.integers(0, 500, 6000)
    tracemalloc.start()
    ece_classwise(logits, labels)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < logits.nbytes
