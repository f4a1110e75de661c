from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reliability.claims.bounds import Bound, Scope
from reliability.claims.judge import judge
from reliability.claims.records import case_record, error_record
from reliability.claims.runs import RunRecord
from reliability.types import Comparison, Interval

Record = dict[str, Any]

BINS = {
    "count": [0, *[200] * 14],
    "confidence": [None, *[(i + 0.5) / 15 for i in range(1, 15)]],
    "accuracy": [0.0, *[(i + 0.8) / 15 for i in range(1, 15)]],
}


def _point(value: float) -> Interval:
    return Interval(value, value - 0.01, value + 0.01, 0.95, 0.006)


@pytest.fixture
def make_case() -> Callable[..., Record]:
    """The record of a case: by default top-1 of 0.9 with a harm of 0.002, which holds."""

    def make(
        harm: float = 0.002,
        half: float = 0.001,
        *,
        model: str = "zoo:scenes-clean",
        recipe: str = "w8a8-minmax",
        task: str = "id",
        metric: str = "top1",
        score: str = "",
        relation: Any = "not_worse",
        margin: float = 0.01,
        gate: bool = True,
        reason: str = "three times the largest drop",
        index: int = 7,
        error: str | None = None,
        details: dict[str, Any] | None = None,
    ) -> Record:
        bound = Bound(
            *("accuracy", Scope(), metric, score, relation, margin, gate, reason, 0.95, 1000),
            *("thresholds/a.toml", index, 41),
        )
        figure = "-".join(filter(None, (metric, score)))
        names = (f"accuracy[{model[4:]}-{recipe}-{task}-{figure}]", model, recipe, task)
        if error is not None:
            return error_record(*names, bound, error, 0.1)
        candidate = _point(0.9 - harm if metric in ("top1", "auroc") else 0.9 + harm)
        interval = Interval(harm, harm - half, harm + half, 0.95, half / 1.645)
        comparison = Comparison(metric, score, _point(0.9), candidate, interval, 4000, 0, details or {})
        return case_record(*names, judge(bound, comparison, names[0]), 0.1)

    return make


@pytest.fixture
def make_run() -> Callable[..., RunRecord]:
    def make(*cases: Record, **changes: Any) -> RunRecord:
        return RunRecord(**{"run": {"seed": 0}, "cases": cases, "complete": True, **changes})

    return make


@pytest.fixture
def bins() -> dict[str, Any]:
    return {"reliability": {"reference": BINS, "candidate": BINS}}
