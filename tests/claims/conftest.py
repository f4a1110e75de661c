from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reliability.claims.bounds import Bound, Scope
from reliability.types import Comparison, Interval

BOUND = Bound(
    claim="accuracy",
    applies=Scope(),
    metric="top1",
    score="",
    relation="not_worse",
    margin=0.01,
    gate=True,
    reason="three times the largest drop",
    level=0.95,
    min_images=1000,
    file="thresholds/a.toml",
    index=7,
    line=41,
)


@pytest.fixture
def make_bound() -> Callable[..., Bound]:
    def make(**changes: Any) -> Bound:
        return replace(BOUND, **changes)

    return make


@pytest.fixture
def make_comparison() -> Callable[..., Comparison]:
    """A comparison whose harm has the given interval; the reference is 0.9 and higher is better."""

    def make(lower: float = 0.001, harm: float = 0.002, upper: float = 0.003, **changes: Any) -> Comparison:
        candidate = 0.9 - harm
        made = Comparison(
            metric="top1",
            score="",
            reference=Interval(0.9, 0.89, 0.91, 0.95, 0.006),
            candidate=Interval(candidate, candidate - 0.01, candidate + 0.01, 0.95, 0.006),
            harm=Interval(harm, lower, upper, 0.95, (upper - lower) / 3.29),
            n=4000,
            seed=0,
        )
        return replace(made, **changes)

    return make
