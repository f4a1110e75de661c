"""Charts of one case: reference and candidate on the same pictures."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from reliability.claims.judge import Verdict
from reliability.claims.records import CaseResult, RecordError
from reliability.report.cells import Cells
from reliability.report.diagram import Bins
from reliability.report.html.chart import (
    CANDIDATE,
    REFERENCE,
    Chart,
    Row,
    Spec,
    axis,
    line_of,
    plot,
    share,
    sides,
    tooltip,
)

_SIDES = (REFERENCE, CANDIDATE)
_DIGITS = 4

Details = Mapping[str, Any]
Made = tuple[Spec, Sequence[Row], Mapping[str, str], str]
"""Specification, data, names of the data's columns, and a sentence."""


def pair_charts(results: Sequence[CaseResult]) -> list[Chart]:
    """A chart for every curve that a case brought, once where several cases brought the same.

    Raises:
        RecordError: What a case brought cannot be drawn.
    """
    found: dict[tuple[str, ...], Chart] = {}
    # Of several figures read off one curve the area stands beside it.
    for result in sorted(results, key=lambda result: result.bound.metric != "auroc"):
        if result.verdict is None:
            continue
        for key, (section, make) in _MAKERS.items():
            if key in result.verdict.comparison.details:
                # Of one task and score all metrics bring the same curve.
                same = (section, result.model, result.recipe, result.task, result.bound.score)
                chart = _chart(section, make, result, result.verdict, result.verdict.comparison.details[key])
                found.setdefault(same, chart)
    return list(found.values())


def _chart(section: str, make: Callable[[Details], Made], result: CaseResult, verdict: Verdict, stored: Any) -> Chart:
    cells = Cells.of(result)
    try:
        spec, rows, columns, sentence = make(stored)
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise RecordError(
            where=result.case, what="its curves cannot be drawn", got=f"{type(error).__name__}: {error}",
            next="run the suites again to rebuild the record",
        ) from error  # fmt: skip
    candidate = cells.candidate.split(" [")[0]
    figures = f"{cells.figure} {cells.reference} \N{RIGHTWARDS ARROW} {candidate}, {verdict.outcome}"
    where = f"{result.recipe} on {result.task}" + (f" by {result.bound.score}" if result.bound.score else "")
    return Chart(
        section, where, figures, f"{where}, {figures}. {sentence}", spec, rows, columns, (result,),
        verdict.comparison.harm.estimate,
    )  # fmt: skip


def _reliability(stored: Details) -> Made:
    bins = {side: Bins.of(**stored[side]) for side in _SIDES}
    rows = [
        {"series": side, "x": round(c, _DIGITS), "y": round(a, _DIGITS), "share": round(n, _DIGITS)}
        for side, found in bins.items()
        for n, c, a in zip(found.share, found.confidence, found.accuracy, strict=True)
    ]
    columns = {"series": "model", "x": "mean confidence", "y": "accuracy", "share": "share of pictures"}
    channels = {"x": share("x", "confidence"), "y": share("y", "accuracy"), **sides()}
    size = axis("share", "", scale={"range": [12, 160]}, legend=None)
    spec = plot(
        line_of([{"x": 0, "y": 0}, {"x": 1, "y": 1}]),
        {"mark": {"type": "line"}, "encoding": channels},
        {"mark": {"type": "point", "filled": True},
         "encoding": {**_without_dash(channels), "size": size, "tooltip": tooltip(columns)}},
    )  # fmt: skip
    gaps = {side: sum(n * (c - a) for n, c, a in _columns(found)) for side, found in bins.items()}
    words = " and ".join(f"the {side} {_leaning(gap)}" for side, gap in gaps.items())
    return spec, rows, columns, f"On average {words}."


def _columns(bins: Bins) -> zip[tuple[float, float, float]]:
    return zip(bins.share, bins.confidence, bins.accuracy, strict=True)


def _leaning(gap: float) -> str:
    how = "over" if gap > 0 else "under"
    return f"is {100 * abs(gap):.2f} points {how}confident"


def _roc(stored: Details) -> Made:
    rows = _two_curves(stored, "false_acceptance")
    columns = {"series": "model", "x": "unfamiliar pictures accepted", "y": "familiar pictures accepted"}
    spec = _curve(share("x", columns["x"]), share("y", columns["y"]), columns)
    at = _nearest(stored["false_acceptance"], 0.05)
    kept = " and ".join(f"with the {side} {100 * stored[side][at]:.1f} %" for side in _SIDES)
    accepted = 100 * stored["false_acceptance"][at]
    return (
        spec,
        rows,
        columns,
        f"Where {accepted:.0f} % of the unfamiliar pictures are accepted, of the familiar ones {kept} are.",
    )


def _risk_coverage(stored: Details) -> Made:
    rows = _two_curves(stored, "coverage")
    columns = {"series": "model", "x": "pictures answered", "y": "wrong among them"}
    risk = axis("y", columns["y"], axis={"format": ".0%", "tickCount": 5})
    at = _nearest(stored["coverage"], 0.8)
    wrong = " and ".join(f"the {side} gets {100 * stored[side][at]:.1f} % wrong" for side in _SIDES)
    sentence = f"Answering the {100 * stored['coverage'][at]:.0f} % it is most confident of, {wrong}."
    return _curve(share("x", columns["x"]), risk, columns), rows, columns, sentence


def _spectrum(stored: Details) -> Made:
    ranks = stored["last_rank"]
    rows = [
        {"series": side, "x": last, "y": energy}
        for side in _SIDES
        for last, energy in zip(ranks, stored[side], strict=True)
        if energy > 0.0
    ]
    columns = {"series": "model", "x": "last rank of the octave", "y": "share of energy"}
    octave = axis("x", columns["x"], scale={"type": "log", "base": 2}, axis={"values": ranks, "format": "d"})
    energy = axis("y", columns["y"], scale={"type": "log"}, axis={"format": "~e", "tickCount": 5})
    sentence = "Energy of the features in each octave of rank, strongest directions first."
    noise = stored.get("noise_to_signal", [])
    heard = [(last, -10.0 * math.log10(ratio)) for last, ratio in zip(ranks, noise, strict=False) if ratio > 0.0]
    if heard:
        first, end = heard[0], heard[-1]
        sentence += (
            f" The candidate's features stand {first[1]:.1f} dB above its noise at rank {first[0]} and {end[1]:.1f} dB "
            f"at rank {end[0]}."
        )
    return _curve(octave, energy, columns, mark={"type": "line", "point": True}), rows, columns, sentence


def _two_curves(stored: Details, x: str) -> list[Row]:
    return [
        {"series": side, "x": at, "y": value}
        for side in _SIDES
        for at, value in zip(stored[x], stored[side], strict=True)
    ]


def _nearest(values: Sequence[float], wanted: float) -> int:
    return min(range(len(values)), key=lambda i: abs(values[i] - wanted))


def _curve(x: Spec, y: Spec, columns: Mapping[str, str], mark: Spec | None = None) -> dict[str, Any]:
    channels = {"x": x, "y": y, **sides()}
    # A wide invisible line, so that a pointer need not hit the thin one.
    reach = {"mark": {"type": "point", "opacity": 0, "size": 160}}
    return plot(
        {"mark": mark or {"type": "line"}, "encoding": channels},
        {**reach, "encoding": {**_without_dash(channels), "tooltip": tooltip(columns)}},
    )


def _without_dash(channels: Mapping[str, Any]) -> dict[str, Any]:
    return {name: channel for name, channel in channels.items() if name != "strokeDash"}


_MAKERS: Mapping[str, tuple[str, Callable[[Details], Made]]] = {
    "reliability": ("reliability", _reliability),
    "roc": ("roc", _roc),
    "risk_coverage": ("risk", _risk_coverage),
    "spectrum": ("spectra", _spectrum),
}
"""Key of a case's details to the section and what makes the chart."""
