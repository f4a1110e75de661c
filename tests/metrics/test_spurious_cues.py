"""What a spurious cue costs: within one model, and added by the candidate."""

from __future__ import annotations

import numpy as np
import pytest

from reliability.errors import UndefinedMetricError
from reliability.metrics.registry import get
from reliability.metrics.spurious import added_vulnerability, relative_spurious_gap

FIRST, SECOND = [1.0, 0.0], [0.0, 1.0]
NAMES = ["relative_spurious_gap", "added_vulnerability"]


def guesses(*classes):
    return [FIRST if c == 0 else SECOND for c in classes]


def inputs(name, logits, labels, groups):
    """Arguments of either metric, the reference standing in for the candidate."""
    models = [logits] * (2 if name == "added_vulnerability" else 1)
    return [*models, labels, groups]


def test_relative_spurious_gap_by_hand():
    # Common: 4 of 5 right; counter: 2 of 4.
    labels, groups = [0] * 9, [0] * 5 + [1] * 4
    assert relative_spurious_gap(guesses(0, 0, 0, 0, 1, 0, 0, 1, 1), labels, groups) == pytest.approx(0.3 / 0.8)


def test_all_groups_but_the_common_one_are_counter():
    # Counter images together: 2 of 4 right, though their groups hold 1 and 3.
    logits, labels = guesses(0, 0, 1, 1, 0), [0] * 5
    assert relative_spurious_gap(logits, labels, [0, 1, 2, 2, 2]) == 0.5
    assert relative_spurious_gap(logits, labels, [0, 8, 8, 8, 8]) == 0.5


def test_a_model_better_without_the_cue_has_a_negative_gap():
    assert relative_spurious_gap(guesses(0, 1, 0, 0), [0] * 4, [0, 0, 1, 1]) == -1.0


def test_added_vulnerability_by_hand():
    # Common: from 4 to 3 of 5 right, a loss of 1/4; counter: from 2 to 1 of 4, a loss of 1/2.
    reference = guesses(0, 0, 0, 0, 1, 0, 0, 1, 1)
    candidate = guesses(0, 0, 0, 1, 1, 0, 1, 1, 1)
    assert added_vulnerability(reference, candidate, [0] * 9, [0] * 5 + [3] * 4) == pytest.approx(0.25)


def test_equal_relative_losses_add_no_vulnerability_though_they_widen_or_close_the_gap():
    # Both sides lose half: the candidate is worse, but no more so where the cue misleads.
    reference, candidate = guesses(0, 0, 0, 0, 0, 0, 1, 1), guesses(0, 0, 1, 1, 0, 1, 1, 1)
    assert added_vulnerability(reference, candidate, [0] * 8, [0] * 4 + [1] * 4) == 0.0


def test_a_model_against_itself_adds_none():
    rng = np.random.default_rng(0)
    logits, groups = rng.normal(0, 1, (60, 3)), rng.integers(0, 3, 60)
    assert added_vulnerability(logits, logits, rng.integers(0, 3, 60), groups) == 0.0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("groups", [[0, 0, 0], [1, 2, 1]], ids=["no_counter", "no_common"])
def test_both_sides_must_hold_images(name, groups):
    with pytest.raises(UndefinedMetricError, match=r"group 0 \(common\)") as caught:
        get(name).fn(*inputs(name, [FIRST] * 3, [0] * 3, groups))
    assert "groups" in caught.value.where


@pytest.mark.parametrize("name", NAMES)
def test_there_must_be_accuracy_to_lose_on_common_images(name):
    with pytest.raises(UndefinedMetricError, match="no right answer among 2 common images"):
        get(name).fn(*inputs(name, [FIRST] * 4, [1, 1, 0, 0], [0, 0, 1, 1]))


def test_there_must_be_accuracy_to_lose_on_counter_images_too():
    with pytest.raises(UndefinedMetricError, match="no right answer among 1 counter images"):
        added_vulnerability([FIRST] * 3, [SECOND] * 3, [0, 0, 1], [0, 0, 1])
    assert relative_spurious_gap([FIRST] * 3, [0, 0, 1], [0, 0, 1]) == 1.0


@pytest.mark.parametrize("name", NAMES)
def test_a_resample_without_a_side_or_without_accuracy_to_lose_has_no_value(name):
    weighted = get(name).weighted(*inputs(name, guesses(0, 1, 0, 1), [0] * 4, [0, 0, 1, 1]))
    no_counter, no_common, nothing_to_lose, whole = [1, 3, 0, 0], [0, 0, 2, 2], [0, 2, 1, 1], [1, 1, 1, 1]
    values = weighted(np.array([no_counter, no_common, nothing_to_lose, whole]))
    assert np.isnan(values).tolist() == [True, True, True, False]
