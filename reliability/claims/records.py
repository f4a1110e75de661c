"""Results of a run as plain JSON, written whole and read back with suspicion."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from reliability.claims.bounds import Bound, Scope
from reliability.claims.judge import Verdict, judge
from reliability.errors import ReliabilityError
from reliability.types import Comparison, Interval

SCHEMA = 2
"""Written; described in docs/report.md."""
READ = (1, 2)
"""Read: the first had fewer details, and nothing else."""
CaseOutcome = Literal["holds", "broken", "inconclusive", "error"]

_FIGURES = ("reference", "candidate", "harm")
_MEASURED = (*_FIGURES, "n", "seed", "method", "settles_at_n", "smallest_effect")
_CASE_KEYS = {
    *("case", "claim", "model", "recipe", "task", "metric", "score", "gate", "outcome", "relation", "margin"),
    *("level", "bound", *_MEASURED, "details", "error", "seconds"),
}
_BOUND_KEYS = ("file", "index", "line", "reason", "min_images")
_RUN_KEYS = {"schema", "run", "notes", "cases", "complete", "problems"}


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
    return _record(CaseResult(case, model, recipe, task, verdict.bound, verdict, None, seconds))


def error_record(
    case: str, model: str, recipe: str, task: str, bound: Bound, error: str, seconds: float
) -> dict[str, Any]:
    """A case that could not be judged, in the form of :func:`case_record`: null figures, never zeros."""
    return _record(CaseResult(case, model, recipe, task, bound, None, error, seconds))


def load_case(record: Mapping[str, Any]) -> CaseResult:
    """Read a record back, judging its figures anew.

    Raises:
        RecordError: A key is missing, unknown or of the wrong type, or the stored outcome
            is not what the stored figures and bound give.
    """
    where = str(record.get("case", "a case without id"))
    if set(record) != _CASE_KEYS:
        raise _damaged(where, "missing or unknown keys", sorted(set(record) ^ _CASE_KEYS))
    try:
        result = _result(record)
        again = _record(result)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise _damaged(where, "a value of the wrong type", f"{type(error).__name__}: {error}") from error
    except RecordError:
        raise
    except ReliabilityError as error:
        raise _damaged(where, "figures that cannot be judged", str(error)) from error
    differing = [key for key in sorted(_CASE_KEYS) if again[key] != record[key]]
    if differing:
        got = ", ".join(f"{key} {record[key]!r} for {again[key]!r}" for key in differing)
        raise _damaged(where, "the record contradicts its own figures", got)
    return result


@dataclass(frozen=True)
class RunRecord:
    """A whole run.

    Attributes:
        run: Versions, options, hardware, hashes: names to plain values or dicts of them.
        cases: Records of :func:`case_record`, in any order.
        complete: Whether everything the threshold file asks for was judged.
        notes: What a reader should know.
        problems: What went wrong outside the cases; any of them stops a release.
    """

    run: Mapping[str, Any]
    cases: Sequence[Mapping[str, Any]]
    complete: bool
    notes: Sequence[str] = ()
    problems: Sequence[str] = ()
    schema: int = field(default=SCHEMA, init=False)

    def results(self) -> list[CaseResult]:
        """The cases, checked, by model, recipe, claim, task and figure.

        Raises:
            RecordError: A record is damaged, or two records are of one case.
        """
        results = sorted((load_case(record) for record in self.cases), key=_order)
        _refuse_duplicates(result.case for result in results)
        return results

    def to_dict(self) -> dict[str, Any]:
        """Plain data, the cases checked and in the order of :meth:`results`."""
        cases = [_record(result) for result in self.results()]
        lists = {"notes": list(self.notes), "problems": list(self.problems), "cases": cases}
        return {"schema": self.schema, "complete": self.complete, "run": dict(self.run), **lists}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "run record") -> RunRecord:
        """The inverse of :meth:`to_dict`.

        Raises:
            RecordError: The data are not a run record of this schema.
        """
        if not isinstance(data, Mapping) or set(data) != _RUN_KEYS or data["schema"] not in READ:
            raise _damaged(where, f"not a run record of schema {' or '.join(map(str, READ))}", str(data)[:120])
        kinds = {"run": Mapping, "cases": list, "notes": list, "problems": list, "complete": bool}
        wrong = [key for key, kind in kinds.items() if not isinstance(data[key], kind)]
        if wrong:
            raise _damaged(where, "a value of the wrong type", ", ".join(wrong))
        run = cls(data["run"], data["cases"], data["complete"], data["notes"], data["problems"])
        run.results()
        return run


def write_json(path: Path, run: RunRecord) -> None:
    """Write a run in one step, so that a reader never sees half of it.

    Conventions:
        Keys are sorted, and every float is written so that it reads back as itself.

    Raises:
        RecordError: A record is damaged, or holds NaN, an infinity or something JSON has no form for.
    """
    try:
        text = json.dumps(run.to_dict(), indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    except (ValueError, TypeError) as error:
        raise _damaged(str(path), "a value that JSON cannot hold", str(error)) from error
    write_text(path, text + "\n")


def read_json(path: Path) -> RunRecord:
    """Read and check what :func:`write_json` wrote.

    Raises:
        RecordError: The file is missing, is not JSON or is not a run record.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _damaged(str(path), "the report cannot be read", str(error)) from error
    return RunRecord.from_dict(data, str(path))


def write_text(path: Path, text: str) -> None:
    """Replace a text file in one step (UTF-8, ``\\n`` line ends)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not a temporary file of the system's: that one would be readable by its owner alone.
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _record(result: CaseResult) -> dict[str, Any]:
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
        raise _damaged(case, "details that JSON cannot hold", str(error), "make them plain finite values") from error
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


def _order(result: CaseResult) -> tuple[str, ...]:
    bound = result.bound
    return (result.model, result.recipe, bound.claim, result.task, bound.metric, bound.score, result.case)


def _refuse_duplicates(cases: Iterable[str]) -> None:
    seen: set[str] = set()
    for case in cases:
        if case in seen:
            raise _damaged(case, "two records of one case", case, "merge each worker's records once")
        seen.add(case)


def _damaged(where: str, what: str, got: object, next: str = "run the suites again to rebuild it") -> RecordError:
    return RecordError(where=where, what=what, got=got, next=next)
