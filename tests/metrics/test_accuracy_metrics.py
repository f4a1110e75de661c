from __future__ import annotations

import numpy as np
import pytest

from reliability.errors import UndefinedMetricError
from reliability.metrics.accuracy import balanced_accuracy, top1, top5
from reliability.metrics.registry import get


def test_top5_counts_a_label_among_the_five_largest_logits():
    logits = np.tile([9.0, 8.0, 7.0, 6.0, 5.0, 4.0, 3.0], (7, 1))
    assert top5(logits, range(7)) == pytest.approx(5 / 7)
    assert top1(logits, range(7)) == pytest.approx(1 / 7)


def test_a_tie_for_the_fifth_place_goes_to_the_lower_class_number():
    logits = [[5.0, 5.0, 5.0, 5.0, 1.0, 1.0]] * 2
    assert top5(logits, [4, 5]) == 0.5


@pytest.mark.parametrize("classes", [2, 4, 5])
def test_five_guesses_of_five_classes_or_fewer_are_refused_since_they_cannot_fail(classes):
    with pytest.raises(UndefinedMetricError, match="always right"):
        top5(np.zeros((3, classes)), [0, 0, 1])


def test_balanced_accuracy_counts_a_rare_class_as_much_as_a_common_one():
    # Class 0: three of four right. Class 2: its one image wrong. Class 1 has no image.
    logits = np.eye(3)[[0, 0, 0, 1, 0]]
    assert balanced_accuracy(logits, [0, 0, 0, 0, 2]) == pytest.approx((3 / 4 + 0) / 2)
    assert top1(logits, [0, 0, 0, 0, 2]) == pytest.approx(3 / 5)


def test_balanced_accuracy_of_classes_of_one_size_is_accuracy():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(size=(60, 4)), np.arange(60) % 4
    assert balanced_accuracy(logits, labels) == pytest.approx(top1(logits, labels), abs=1e-12)


def test_a_resample_that_loses_a_class_has_no_balanced_accuracy():
    prepared = get("balanced_accuracy").weighted(np.eye(2), [0, 1])
    values = prepared(np.array([[1, 1], [2, 0]]))
    assert values[0] == 1.0
    assert np.isnan(values[1])


def test_many_classes_cost_no_table_of_images_by_classes():
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 800, 1600)
    prepared = get("balanced_accuracy").weighted(rng.normal(size=(1600, 800)).astype(np.float16), labels)
    assert prepared.statistics.nnz == 3200
