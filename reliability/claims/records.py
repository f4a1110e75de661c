"""One case's result as plain data, read back with suspicion."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from reliability.claims.bounds import Bound, Scope
from reliability.claims.judge import Verdict, judge
from reliability.errors import ReliabilityError
from reliability.types import Comparison, Interval

CaseOutcome = Literal["holds", "broken", "inconclusive", "error"]

_FIGURES = ("reference", "candidate", "harm")
_MEASURED = (*_FIGURES, "n", "seed", "method", "settles_at_n", "smallest_effect")
_CASE_KEYS = {
    *("case", "claim", "model", "recipe", "task", "metric", "score", "gate", "outcome", "relation", "margin"),
    *("level", "bound", *_MEASURED, "details", "error", "seconds"),
}
_BOUND_KEYS = ("file", "index", "line", "reason", "min_images")


class RecordError(ReliabilityError):
    """A stored result that is damaged or contradicts itself."""


@dataclass(frozen=True)
class CaseResult:
    """One case as it ended: judged, or stopped by an error.

    Attributes:
        case: Readable id, unique within a run.
        model, recipe, task: What was compared.
        bound: What it was held against.
        verdict: None exactly when ``error`` is set.
        error: The message of what prevented a verdict.
        seconds: Wall-clock time of the case.
    """

    case: str
    model: str
    recipe: str
    task: str
    bound: Bound
    verdict: Verdict | None = None
    error: str | None = None
    seconds: float = 0.0

    def __post_init__(self) -> None:
        if (self.verdict is None) == (not self.error):
            raise RecordError(
                where=self.case,
                what="a case ends in a verdict or in an error, never both or neither",
                got=f"verdict {self.verdict}, error {self.error!r}",
                next="report the error alone where there is one",
            )

    @property
    def outcome(self) -> CaseOutcome:
        """``error`` where nothing could be judged."""
        return self.verdict.outcome if self.verdict is not None else "error"


def case_record(case: str, model: str, recipe: str, task: str, verdict: Verdict, seconds: float) -> dict[str, Any]:
    """A judged case as a plain dict of strings, numbers, lists and dicts.

    Raises:
        RecordError: The details hold NaN, an infinity or something JSON has no form for.
    """
    return as_record(CaseResult(case, model, recipe, task, verdict.bound, verdict, None, seconds))


def error_record(
    case: str, model: str, recipe: str, task: str, bound: Bound, error: str, seconds: float
) -> dict[str, Any]:
    """A case that could not be judged, in the form of :func:`case_record`: null figures, never zeros."""
    return as_record(CaseResult(case, model, recipe, task, bound, None, error, seconds))


def load_case(record: Mapping[str, Any]) -> CaseResult:
    """Read a record back, judging its figures anew.

    Raises:
        RecordError: A key is missing, unknown or of the wrong type, or the stored outcome
            is not what the stored figures and bound give.
    """
    where = str(record.get("case", "a case without id"))
    if set(record) != _CASE_KEYS:
        raise damaged(where, "missing or unknown keys", sorted(set(record) ^ _CASE_KEYS))
    try:
        result = _result(record)
        again = as_record(result)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise damaged(where, "a value of the wrong type", f"{type(error).__name__}: {error}") from error
    except RecordError:
        raise
    except ReliabilityError as error:
        raise damaged(where, "figures that cannot be judged", str(error)) from error
    differing = [key for key in sorted(_CASE_KEYS) if again[key] != record[key]]
    if differing:
        got = ", ".join(f"{key} {record[key]!r} for {again[key]!r}" for key in differing)
        raise damaged(where, "the record contradicts its own figures", got)
    return result


def as_record(result: CaseResult) -> dict[str, Any]:
    """The form that :func:`load_case` reads."""
    bound, verdict = result.bound, result.verdict
    return {
        "case": result.case,
        "claim": bound.claim,
        "model": result.model,
        "recipe": result.recipe,
        "task": result.task,
        "metric": bound.metric,
        "score": bound.score,
        "gate": bound.gate,
        "outcome": result.outcome,
        "relation": bound.relation,
        "margin": bound.margin,
        "level": bound.level,
        "bound": {key: getattr(bound, key) for key in _BOUND_KEYS},
        **(_measured(verdict) if verdict is not None else dict.fromkeys(_MEASURED)),
        "details": _plain(verdict.comparison.details, result.case) if verdict is not None else {},
        "error": result.error,
        "seconds": result.seconds,
    }


def _measured(verdict: Verdict) -> dict[str, Any]:
    got = verdict.comparison
    return {
        **{name: _floats(asdict(getattr(got, name))) for name in _FIGURES},
        "n": int(got.n),
        "seed": int(got.seed),
        "method": got.method,
        "settles_at_n": verdict.settles_at_n,
        "smallest_effect": float(verdict.smallest_effect),
    }


def _floats(values: Mapping[str, float]) -> dict[str, float]:
    # NumPy's float64 passes for a float in JSON, but not between xdist workers.
    return {name: float(value) for name, value in values.items()}


def _plain(details: Mapping[str, Any], case: str) -> dict[str, Any]:
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(details), allow_nan=False))
    except (ValueError, TypeError) as error:
        raise damaged(case, "details that JSON cannot hold", str(error), "make them plain finite values") from error
    return plain


def _result(record: Mapping[str, Any]) -> CaseResult:
    bound = _stored_bound(record)
    verdict = None if record["outcome"] == "error" else judge(bound, _stored_comparison(record), record["case"])
    return CaseResult(
        case=_text(record["case"]),
        model=_text(record["model"]),
        recipe=_text(record["recipe"]),
        task=_text(record["task"]),
        bound=bound,
        verdict=verdict,
        error=None if record["error"] is None else _text(record["error"]),
        seconds=float(record["seconds"]),
    )


def _stored_bound(record: Mapping[str, Any]) -> Bound:
    """The bound as it applied to this one case; its patterns are not stored."""
    return Bound(
        claim=_text(record["claim"]),
        applies=Scope((record["model"],), (record["recipe"],), (record["task"],)),
        metric=_text(record["metric"]),
        score=_text(record["score"]),
        relation=record["relation"],
        margin=float(record["margin"]),
        gate=record["gate"] is True,
        level=float(record["level"]),
        **record["bound"],
    )


def _stored_comparison(record: Mapping[str, Any]) -> Comparison:
    figures = {name: Interval(**record[name]) for name in _FIGURES}
    return Comparison(
        metric=record["metric"],
        score=record["score"],
        n=record["n"],
        seed=record["seed"],
        method=_text(record["method"]),
        details=record["details"],
        **figures,
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is not a string")
    return value


def damaged(where: str, what: str, got: object, next: str = "run the suites again to rebuild it") -> RecordError:
    """The error for stored results that cannot be trusted."""
    return RecordError(where=where, what=what, got=got, next=next)
