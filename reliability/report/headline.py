"""The run in one sentence, and in one row per candidate."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from reliability.claims.records import CaseResult
from reliability.claims.runs import RunRecord

_ENDINGS = (
    ("broken", "is broken", "are broken"),
    ("inconclusive", "is inconclusive", "are inconclusive"),
    ("error", "ended in an error", "ended in an error"),
)
WORST_FIRST = ("broken", "error", "inconclusive", "holds")


@dataclass(frozen=True)
class Tally:
    """How some cases ended.

    Attributes:
        gates: Number of gate cases by outcome.
        observed: Number of observed cases by outcome.
    """

    gates: Counter[str]
    observed: Counter[str]

    @classmethod
    def of(cls, results: Sequence[CaseResult]) -> Tally:
        """Count outcomes."""
        gates: Counter[str] = Counter(result.outcome for result in results if result.bound.gate)
        return cls(gates, Counter(result.outcome for result in results if not result.bound.gate))

    def stops(self) -> list[str]:
        """What stops a release, as phrases; empty if nothing does."""
        phrases = [
            f"{count} {one if count == 1 else many}"
            for outcome, one, many in _ENDINGS
            if (count := self.gates[outcome])
        ]
        if phrases:
            # Only the first phrase names the total: "3 of 24 gates are broken, 1 is inconclusive".
            number, _, rest = phrases[0].partition(" ")
            phrases[0] = f"{number} of {_many(self.gates.total(), 'gate')} {rest}"
        errors = self.observed["error"]
        return [*phrases, f"{_many(errors, 'observed claim')} ended in an error"] if errors else phrases

    def only_undecided(self) -> bool:
        """Whether nothing but inconclusive gates stops a release."""
        return not (self.gates["broken"] or self.gates["error"] or self.observed["error"])


def headline(run: RunRecord, results: Sequence[CaseResult]) -> str:
    """One sentence that a reader may act on: only a complete run whose every gate holds says so."""
    tally = Tally.of(results)
    total, stops = tally.gates.total(), tally.stops()
    if stops and is_lenient(run) and tally.only_undecided():
        return f"No verdict: {', '.join(stops)}, which this run only reports; no gate is broken."
    if stops:
        return f"Stopped: {', '.join(stops)}."
    judged = f"{_many(total, 'gate')} that {'was' if total == 1 else 'were'} judged {'holds' if total == 1 else 'hold'}"
    if run.problems:
        return f"Stopped: {_many(len(run.problems), 'problem')} outside the cases."
    if not total:
        return "No verdict: no gate was judged."
    if not run.complete:
        return f"No verdict: the run is partial; the {judged}."
    return "The one gate holds." if total == 1 else f"All {total} gates hold."


def is_lenient(run: RunRecord) -> bool:
    """Whether the run was asked to report inconclusive gates and not to fail on them."""
    return run.run.get("inconclusive") == "report"


def candidates(results: Sequence[CaseResult]) -> dict[tuple[str, str], Tally]:
    """The tally of each (model, recipe), in the order of the results."""
    groups: dict[tuple[str, str], list[CaseResult]] = {}
    for result in results:
        groups.setdefault((result.model, result.recipe), []).append(result)
    return {key: Tally.of(group) for key, group in groups.items()}


def stopping(results: Sequence[CaseResult]) -> list[CaseResult]:
    """Gates that do not hold, and everything without a figure; worst first."""
    return [r for r in worst_first(results) if r.outcome == "error" or (r.bound.gate and r.outcome != "holds")]


def worst_first(results: Sequence[CaseResult]) -> list[CaseResult]:
    """Broken, error, inconclusive, holds; the given order within each."""
    return sorted(results, key=lambda result: WORST_FIRST.index(result.outcome))


def _many(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"
