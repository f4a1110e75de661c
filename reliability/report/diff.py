"""Two runs beside each other: what changed its verdict, what is only in one, what moved, and which bounds changed."""

from __future__ import annotations

from dataclasses import dataclass

from tabulate import tabulate

from reliability.claims.records import CaseResult
from reliability.claims.runs import RunRecord
from reliability.claims.wording import inert
from reliability.report.cells import Cells

NOTABLE = 0.5
"""A figure whose harm moved by half its limits' width or more is listed, though the verdict stayed."""


@dataclass(frozen=True)
class RunDiff:
    """Cases of two runs, told apart.

    Attributes:
        changed: Before and after, where the outcome differs; for the worse first.
        moved: Where the outcome is the same and the harm moved notably.
        rebound: Where the two runs do not judge by the same bound, whatever came of it.
        gone, new: Only in the first run, only in the second.
        same: How many cases are left.
        settings: What the runs were made with, where that differs: name, before, after.
        partial: Which of the runs did not judge all that it was to judge: ``before``, ``after``.
    """

    changed: tuple[tuple[CaseResult, CaseResult], ...]
    moved: tuple[tuple[CaseResult, CaseResult], ...]
    rebound: tuple[tuple[CaseResult, CaseResult], ...]
    gone: tuple[CaseResult, ...]
    new: tuple[CaseResult, ...]
    same: int
    settings: tuple[tuple[str, str, str], ...]
    partial: tuple[str, ...] = ()


_ORDER = ("holds", "inconclusive", "broken", "error")


def compare_runs(before: RunRecord, after: RunRecord) -> RunDiff:
    """Tell the cases of two runs apart by their names.

    Raises:
        RecordError: A run is damaged.
    """
    first, second = ({result.case: result for result in run.results()} for run in (before, after))
    both = [(first[case], second[case]) for case in first if case in second]
    changed = [pair for pair in both if pair[0].outcome != pair[1].outcome]
    moved = [pair for pair in both if pair[0].outcome == pair[1].outcome and _moved(*pair)]
    return RunDiff(
        changed=tuple(sorted(changed, key=_for_the_worse, reverse=True)),
        moved=tuple(moved),
        rebound=tuple(pair for pair in both if _terms(pair[0]) != _terms(pair[1])),
        gone=tuple(result for case, result in first.items() if case not in second),
        new=tuple(result for case, result in second.items() if case not in first),
        same=len(both) - len(changed) - len(moved),
        settings=_settings(before, after),
        partial=tuple(name for name, run in (("before", before), ("after", after)) if not run.complete),
    )


def worsened(diff: RunDiff) -> bool:
    """Whether a verdict changed for the worse."""
    return any(_for_the_worse(pair) > 0 for pair in diff.changed)


def diff_lines(diff: RunDiff) -> list[str]:
    """The difference as text for a terminal."""
    lines = [
        f"{len(diff.changed)} verdicts changed, {len(diff.moved)} figures moved, {diff.same} cases as before, "
        f"{len(diff.new)} new, {len(diff.gone)} gone"
    ]
    lines += [f"the run {name} is partial: not all that it was to judge was judged" for name in diff.partial]
    for title, pairs in (("changed", diff.changed), ("moved", diff.moved)):
        rows = [[_outcomes(*pair), inert(pair[0].case), *(_harm(result) for result in pair)] for pair in pairs]
        lines += _table(rows, [title, "case", "harm before", "harm after"])
    rows = [[inert(pair[0].case), *map(_allowed, pair)] for pair in diff.rebound]
    lines += _table(rows, ["judged by another bound", "allowed before", "allowed after"])
    for title, results in (("new", diff.new), ("gone", diff.gone)):
        rows = [[result.outcome, _weight(result), inert(result.case), _harm(result)] for result in results]
        lines += _table(rows, [title, "", "case", "harm"])
    return lines + _table([[inert(cell) for cell in row] for row in diff.settings], ["made with", "before", "after"])


def _table(rows: list[list[str]], header: list[str]) -> list[str]:
    return ["", *tabulate(rows, header, tablefmt="simple", disable_numparse=True).splitlines()] if rows else []


def _outcomes(before: CaseResult, after: CaseResult) -> str:
    return before.outcome if before.outcome == after.outcome else f"{before.outcome} -> {after.outcome}"


def _for_the_worse(pair: tuple[CaseResult, CaseResult]) -> int:
    return _ORDER.index(pair[1].outcome) - _ORDER.index(pair[0].outcome)


def _moved(before: CaseResult, after: CaseResult) -> bool:
    if before.verdict is None or after.verdict is None:
        return False
    first, second = before.verdict.comparison.harm, after.verdict.comparison.harm
    width = max(first.upper - first.lower, second.upper - second.lower)
    return abs(second.estimate - first.estimate) > NOTABLE * width


def _harm(result: CaseResult) -> str:
    return "none" if result.verdict is None else Cells.of(result).harm


def _terms(result: CaseResult) -> tuple[object, ...]:
    bound = result.bound
    return bound.relation, bound.margin, bound.level, bound.gate, bound.min_images


def _allowed(result: CaseResult) -> str:
    bound = result.bound
    return f"{Cells.of(result).allowed}, level {bound.level:g}, {bound.min_images:,} pictures, {_weight(result)}"


def _weight(result: CaseResult) -> str:
    return "gate" if result.bound.gate else "observed"


def _settings(before: RunRecord, after: RunRecord) -> tuple[tuple[str, str, str], ...]:
    first, second = (_flat(run.run) for run in (before, after))
    names = sorted({*first, *second} - {"seconds"})
    return tuple((n, first.get(n, ""), second.get(n, "")) for n in names if first.get(n) != second.get(n))


def _flat(values: object, prefix: str = "") -> dict[str, str]:
    if not isinstance(values, dict):
        return {prefix.rstrip("."): str(values)}
    return {name: text for key, value in values.items() for name, text in _flat(value, f"{prefix}{key}.").items()}
