"""Records that cannot be of one run, and bounds that nothing could break."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reliability.claims.bounds import Bound, Scope
from reliability.claims.breakable import require_breakable
from reliability.claims.contradictions import contradictions
from reliability.claims.judge import judge
from reliability.claims.records import CaseResult
from reliability.errors import ThresholdError
from reliability.types import Comparison, Interval

BOUND = Bound("accuracy", Scope(), "top1", "", "not_worse", 0.05, True, "for tests", 0.95, 10, "b.toml", 1, 7)


def result(recipe: str, reference: float, method: str = "") -> CaseResult:
    first = Interval(reference, reference - 0.1, reference + 0.1, 0.95, 0.05)
    comparison = Comparison("top1", "", first, first, Interval(0.0, -0.01, 0.01, 0.95, 0.005), 100, 0, {}, method)
    return CaseResult(f"accuracy[m-{recipe}-id-top1]", "m", recipe, "id", BOUND, judge(BOUND, comparison))


def test_one_reference_has_one_value_whatever_it_is_held_against() -> None:
    assert contradictions([result("a", 0.8), result("b", 0.8)]) == []
    (found,) = contradictions([result("a", 0.8), result("b", 0.8), result("c", 0.7)])
    assert "accuracy[m-a-id-top1] and accuracy[m-c-id-top1]" in found


def test_comparisons_with_something_else_than_the_reference_are_their_own_matter() -> None:
    assert contradictions([result("a", 0.8), result("b", 0.7, "Tango limits, against w8a8-minmax")]) == []


@pytest.mark.parametrize(
    ("metric", "relation", "margin"),
    [
        ("top1", "not_worse", 1.0), ("ece", "equivalent", 5.0), ("flip_rate", "at_most", 1.0),
        ("auroc", "at_least", 0.0), ("top1", "not_better", 1.5), ("signed_ece", "not_worse", 2.0),
    ],
)  # fmt: skip
def test_a_bound_that_takes_in_everything_is_refused(metric: str, relation: str, margin: float) -> None:
    with pytest.raises(ThresholdError, match=r"(?s)nothing could break.*bound 1 \(line 7\).*one per cent is 0.01"):
        require_breakable([BOUND, replace(BOUND, metric=metric, relation=relation, margin=margin)])


@pytest.mark.parametrize(
    ("metric", "relation", "margin"),
    [
        ("top1", "not_worse", 0.99), ("nll", "not_worse", 50.0), ("top1", "improves", 0.0), ("auroc", "at_least", 0.5),
        ("declared_share", "at_least", 1.0), ("latency_ratio", "at_most", 9.0), ("signed_ece", "not_worse", 1.9),
    ],
)  # fmt: skip
def test_a_wide_bound_that_something_can_break_passes(metric: str, relation: str, margin: float) -> None:
    require_breakable([replace(BOUND, metric=metric, relation=relation, margin=margin)])
