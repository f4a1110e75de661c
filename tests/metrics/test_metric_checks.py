"""What each kind of metric refuses, and how the error reads."""

from __future__ import annotations

import numpy as np
import pytest

from reliability.errors import UndefinedMetricError
from reliability.metrics.accuracy import top1
from reliability.metrics.agreement import flip_rate
from reliability.metrics.groups import group_gap, worst_group_accuracy
from reliability.metrics.ood import auroc

LOGITS = [[2.0, 1.0], [0.0, 3.0], [5.0, 4.0]]


def refusal(fn, *inputs):
    with pytest.raises(UndefinedMetricError) as caught:
        fn(*inputs)
    return caught.value


@pytest.mark.parametrize("label", [-1, 2])
def test_a_label_outside_the_classes_is_named(label):
    error = refusal(top1, LOGITS, [0, label, 1])
    assert error.where == "top1: labels[1]"
    assert "in 0..1" in error.what
    assert error.got == label


def test_a_label_that_is_not_whole_is_named_and_a_whole_float_is_taken():
    assert refusal(top1, LOGITS, [0, 1, 0.5]).where == "top1: labels[2]"
    assert refusal(top1, LOGITS, [0, np.nan, 1]).where == "top1: labels[1]"
    assert top1(LOGITS, [0.0, 1.0, 1.0]) == top1(LOGITS, [0, 1, 1])


@pytest.mark.parametrize("group", [-1, 0.5, np.inf])
def test_a_group_must_be_a_whole_number_of_zero_or_more(group):
    assert refusal(worst_group_accuracy, LOGITS, [0, 1, 0], [0, 0, group]).where == "worst_group_accuracy: groups[2]"


def test_groups_may_be_any_whole_numbers():
    assert worst_group_accuracy(LOGITS, [0, 1, 1], [7, 7, 10**12]) == 0.0


def test_a_single_class_column_leaves_nothing_to_choose():
    assert "nothing to choose" in str(refusal(top1, [[1.0], [2.0]], [0, 0]))


def test_labels_of_one_class_only_are_fine():
    assert top1(LOGITS, [0, 0, 0]) == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("logits", "complaint"),
    [
        ([0.0, 1.0], "2 axes"),
        ([["a", "b"]], "real numbers"),
        ([[1.0], [1.0, 2.0]], "cannot be read"),
        ([[1j, 2.0]], "real numbers"),
    ],
)
def test_what_is_no_table_of_numbers_is_refused(logits, complaint):
    assert complaint in str(refusal(top1, logits, [0]))


def test_a_tensor_that_numpy_cannot_read_says_why():
    class OnDevice:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("it requires a gradient")

    error = refusal(top1, OnDevice(), [0])
    assert "it requires a gradient" in error.got
    assert "host memory" in error.next


def test_different_lengths_name_both():
    error = refusal(top1, LOGITS, [0, 1])
    assert "logits 3" in error.got
    assert "labels 2" in error.got


def test_constant_scores_rank_nothing():
    assert "constant" in str(refusal(auroc, [0.2, 0.2], [0.2]))


def test_constant_but_different_sides_are_a_ranking():
    assert auroc([1.0, 1.0], [0.0, 0.0]) == 1.0


def test_a_gap_needs_two_groups_and_a_worst_group_does_not():
    assert "two groups" in str(refusal(group_gap, LOGITS, [0, 1, 1], [3, 3, 3]))
    assert worst_group_accuracy(LOGITS, [0, 1, 1], [3, 3, 3]) == pytest.approx(2 / 3)


def test_agreement_needs_the_same_classes_and_no_labels():
    assert "same classes" in str(refusal(flip_rate, LOGITS, [[1.0, 2.0, 3.0]] * 3, [0, 0, 0]))
    assert flip_rate(LOGITS, LOGITS, [-1, -1, -1]) == 0.0
