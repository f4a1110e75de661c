"""How one case came about, for a terminal: everything there is to say about it, in plain tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate

from reliability.claims.explained import Again, Attempt, Known, Missing
from reliability.claims.records import CaseResult
from reliability.claims.wording import inert
from reliability.evaluate.comparison.breakdown import Breakdown, FeatureError, LayerError, Share
from reliability.report.cells import Cells
from reliability.report.coverage import coverage_lines, proof_of

MOST_CLASSES = 8
MOST_LAYERS = 8

_COUNTED = {
    "right_to_wrong": "were right and are wrong",
    "wrong_to_right": "were wrong and are right",
    "wrong_to_wrong": "are wrong in another way",
    "familiar": "familiar ones changed sides",
    "unfamiliar": "unfamiliar ones changed sides",
}


def explain_lines(result: CaseResult, again: Again | None = None) -> list[str]:
    """The figures, their limits and bound, and what they break down to.

    Args:
        result: As it was judged; an error is shown as such.
        again: The case taken apart anew; without it, what its record holds.
    """
    breakdown = again.breakdown if again is not None and isinstance(again.breakdown, Breakdown) else None
    details = result.verdict.comparison.details if result.verdict is not None else {}
    changed = breakdown.changed if breakdown is not None else details.get("flips", {})
    sections = [
        _verdict(result),
        _groups(details.get("groups", {})),
        *([_shares(breakdown.sides), _classes(breakdown.classes)] if breakdown is not None else []),
        _changed(changed),
        _features(breakdown.features) if breakdown is not None else [],
        _layers(again.layers) if again is not None and not isinstance(again.layers, Missing) else [],
        _coverage(result, again),
        _absent(again, details) if again is not None else [],
    ]
    return [line for section in sections if section for line in ("", *section)][1:]


def known_lines(known: Sequence[Known]) -> list[str]:
    """Recipes of the run that hold where this one does not."""
    if not known:
        return ["no other recipe of this run is known to hold here; --search judges recipes near this one"]
    first = known[0]
    size = "at the same bits" if first.same_bits else "at other bits"
    rows = [[inert(one.recipe), "same" if one.same_bits else "other", f"{one.holding} of {one.gates}"] for one in known]
    lines = [f"smallest change known to hold here: {inert(first.recipe)}, {size}"]
    return lines + _table(rows, ["recipe that holds", "bits", "gates that hold"])


def attempt_lines(attempts: Sequence[Attempt]) -> list[str]:
    """Recipes that were searched, and the first that holds."""
    rows = [
        [inert(one.recipe), one.verdict.outcome if one.verdict is not None else "error", *_attempted(one)]
        for one in attempts
    ]
    held = next((one.recipe for one in attempts if one.verdict), None)
    last = (
        f"smallest change found to hold here: {inert(held)}; this case alone was judged, so run the gate on it: "
        f"pytest suites/ --recipes {inert(held)}"
        if held
        else "none of them holds; leave layers in float (float_layers in a recipe file), or quantize one tower less"
    )
    return [*_table(rows, ["searched", "outcome", "harm", "allowed"]), last]


def _attempted(attempt: Attempt) -> tuple[str, str]:
    verdict = attempt.verdict
    if verdict is None:
        return inert(attempt.error), ""
    cells = Cells.of(CaseResult(attempt.recipe, "", attempt.recipe, "", verdict.bound, verdict))
    return cells.harm, cells.allowed


def _verdict(result: CaseResult) -> list[str]:
    if result.verdict is None:
        return [f"error: {inert(result.case)}", *(f"  {inert(line)}" for line in str(result.error).splitlines())]
    # The verdict's own last line points to this very explanation.
    return [inert(line) for line in result.verdict.explain().splitlines() if not line.startswith("  next:")]


def _groups(groups: Mapping[str, Mapping[str, float]]) -> list[str]:
    rows = [
        [inert(name), f"{sides['reference']:.4f}", f"{sides['candidate']:.4f}",
         f"{sides['candidate'] - sides['reference']:+.4f}"]
        for name, sides in groups.items()
    ]  # fmt: skip
    return _table(rows, ["group", "reference top1", "candidate top1", "change"])


def _shares(shares: Sequence[Share]) -> list[str]:
    rows = [[inert(s.name), f"{s.n:,}", f"{s.reference:.4f}", f"{s.candidate:.4f}"] for s in shares]
    return _table(rows, ["pictures", "number", "reference", "candidate"])


def _classes(classes: Sequence[Share]) -> list[str]:
    """The classes that lost most and those that gained most."""
    lost, gained = ([share for share in classes if sign * share.loss > 0] for sign in (1, -1))
    if not classes:
        return []
    shown = [*lost[:MOST_CLASSES], *reversed(gained[-MOST_CLASSES:])]
    rows = [
        [inert(s.name), f"{s.n:,}", f"{s.reference:.4f}", f"{s.candidate:.4f}", f"{-s.loss:+d}"] for s in shown
    ]  # fmt: skip
    same = len(classes) - len(lost) - len(gained)
    line = (
        f"{len(classes)} classes: {len(lost)} lost right answers, {len(gained)} gained some, {same} kept their number"
    )
    return [line, *_table(rows, ["class", "pictures", "reference top1", "candidate top1", "right answers"])]


def _changed(changed: Mapping[str, Any]) -> list[str]:
    if not changed:
        return []
    counts = ", ".join(f"{count:,} {_COUNTED.get(kind, kind)}" for kind, count in changed["counts"].items())
    rows = [
        [inert(one["id"]), inert(one["label"]), *(_answer(one[side]) for side in ("reference", "candidate"))]
        for one in changed["shown"]
    ]
    what, value = (
        (f"accepted by {inert(changed['score'])}", "score") if "score" in changed else ("answered", "confidence")
    )
    return [
        f"pictures {what} differently: {counts}",
        *_table(rows, ["picture", "is", f"reference ({value})", f"candidate ({value})"]),
    ]


def _answer(answer: Mapping[str, Any]) -> str:
    return f"{inert(answer['answer'])} ({answer['confidence']:.4f})"


def _features(features: Sequence[FeatureError]) -> list[str]:
    rows = [[error.of, _decibels(error.sqnr_db), f"{error.cosine:.6f}"] for error in features]
    return _table(rows, ["features of", "signal to noise", "mean cosine"])


def _layers(layers: Sequence[LayerError]) -> list[str]:
    """The layers with the largest errors."""
    worst = sorted(layers, key=lambda layer: float("inf") if layer.sqnr_db is None else layer.sqnr_db)
    rows = [[inert(layer.name), _decibels(layer.sqnr_db), layer.basis] for layer in worst[:MOST_LAYERS]]
    line = f"{len(layers)} layers against the reference's own on range-setting pairs; the largest errors, which add up:"
    return [line, *_table(rows, ["layer", "signal to noise", "compared"])] if rows else []


def _decibels(value: float | None) -> str:
    return "equal" if value is None else f"{value:.1f} dB"


def _coverage(result: CaseResult, again: Again | None) -> list[str]:
    found = proof_of(result)
    if found is None and again is not None and not isinstance(again.proof, Missing):
        found = again.proof
    return [inert(line) for line in coverage_lines(found)] if found is not None else []


def _absent(again: Again, details: Mapping[str, Any]) -> list[str]:
    """What could not be had, each reason once."""
    parts = {"classes and pictures": again.breakdown, "layers": again.layers, "coverage": again.proof}
    reasons: dict[str, list[str]] = {}
    for name, part in parts.items():
        if isinstance(part, Missing) and not (name == "coverage" and "coverage" in details):
            reasons.setdefault(part.why, []).append(name)
    return [f"not shown: {' and '.join(names)}: {inert(why)}" for why, names in reasons.items()]


def _table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> list[str]:
    return tabulate(rows, header, tablefmt="simple", disable_numparse=True).splitlines() if rows else []
