"""What a chart on the page is, and the pieces that Vega-Lite specifications are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reliability.claims.records import CaseResult

Spec = Mapping[str, Any]
Row = Mapping[str, Any]

HEIGHT_PX = 220
REFERENCE, CANDIDATE = "reference", "candidate"
MOST_SERIES = 7
"""Colours that can be told apart; a chart of more candidates repeats them, with other dashes and marks."""


@dataclass(frozen=True)
class Chart:
    """One chart.

    Attributes:
        section: Key of the section it belongs to.
        title, subtitle: Plain text, not escaped.
        description: What a reader who does not see it should know.
        spec: Vega-Lite without data; a colour ``$name`` stands for the page's own of that name.
        rows: The data, one mapping per row.
        columns: Keys of the rows and what the table of the data calls them.
        results: The cases it shows.
        harm: For order: the largest comes first.
    """

    section: str
    title: str
    subtitle: str
    description: str
    spec: Spec
    rows: Sequence[Row]
    columns: Mapping[str, str]
    results: Sequence[CaseResult] = field(repr=False)
    harm: float = 0.0

    @property
    def model(self) -> str:
        """The reference it is about."""
        return self.results[0].model

    @property
    def facets(self) -> dict[str, list[str]]:
        """What the page's filters can ask of it."""
        found: dict[str, list[str]] = {
            "claim": [r.bound.claim for r in self.results],
            "model": [r.model for r in self.results],
            "recipe": [r.recipe for r in self.results],
            "task": [r.task for r in self.results],
            "outcome": [r.outcome for r in self.results],
            "gate": ["gate" if r.bound.gate else "observed" for r in self.results],
        }
        return {name: list(dict.fromkeys(values)) for name, values in found.items()}


def axis(field_name: str, title: str, **more: Any) -> dict[str, Any]:
    """A quantitative channel; ``more`` goes to the channel, such as a scale."""
    return {"field": field_name, "type": "quantitative", "title": title, **more}


def share(field_name: str, title: str) -> dict[str, Any]:
    """A channel of shares from none to all, in percent."""
    return axis(field_name, title, scale={"domain": [0, 1]}, axis={"format": ".0%", "tickCount": 5})


def sides() -> dict[str, Any]:
    """Colour and dash of reference and candidate."""
    return _told_apart("series", [REFERENCE, CANDIDATE], ["$reference", "$candidate"], [[4, 3], [1, 0]])


def series(names: Sequence[str], field_name: str = "series") -> dict[str, Any]:
    """Colour and dash of the reference and of several candidates."""
    dashes = [[1, 0], [6, 2], [2, 2]]
    colours = [f"$series{1 + i % MOST_SERIES}" for i in range(len(names))]
    own = [dashes[i // MOST_SERIES % len(dashes)] for i in range(len(names))]
    return _told_apart(field_name, [REFERENCE, *names], ["$reference", *colours], [[4, 3], *own])


def _told_apart(
    field_name: str, names: Sequence[str], colours: Sequence[str], dashes: Sequence[Sequence[int]]
) -> dict[str, Any]:
    shared = {"type": "nominal", "title": None, "sort": None, "legend": {"symbolType": "stroke"}}
    return {
        "color": {**shared, "field": field_name, "scale": {"domain": names, "range": colours}},
        "strokeDash": {**shared, "field": field_name, "scale": {"domain": names, "range": dashes}},
    }


def plot(*layers: Spec, **more: Any) -> dict[str, Any]:
    """A chart as wide as its place on the page; ``more`` goes to its top level."""
    return {"width": "container", "height": HEIGHT_PX, "layer": list(layers), **more}


def tooltip(columns: Mapping[str, str]) -> list[dict[str, str]]:
    """What is shown of the row under the pointer."""
    return [{"field": key, "title": title} for key, title in columns.items()]


def line_of(points: Sequence[Row], colour: str = "$rule") -> dict[str, Any]:
    """A thin line through points ``x``, ``y`` of its own, for the eye to compare with."""
    return {
        "data": {"values": list(points)},
        "mark": {"type": "line", "color": colour, "strokeWidth": 1},
        "encoding": {"x": axis("x", ""), "y": axis("y", "")},
    }
