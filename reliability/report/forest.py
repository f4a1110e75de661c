"""A forest plot: every harm with its limits, against what its bound allows."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from reliability.claims.judge import Verdict
from reliability.claims.records import CaseResult
from reliability.report import style
from reliability.report.cells import Cells
from reliability.report.words import Unit, unit_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CAPTION = (
    "Each row is a case: the harm (positive is worse) and its one-sided limits. A black tick is the edge of what the "
    "bound allows, the shaded side is not allowed. A case holds when its whole line lies outside the shade, is broken "
    "when all of it lies inside, and is inconclusive when it straddles the tick. Hollow marks are observed only. An "
    "arrow marks a line that leaves the panel. Claims about the candidate alone are in the tables."
)
MOST_ROWS = 40
"""Rows of one plot; more take seconds to draw and are not read. ``report.html`` has them all."""

_ROW, _PANEL, _TOP, _BOTTOM = 0.23, 0.62, 0.42, 0.1  # inches
_POINTS = 72  # per inch
_LETTER = 0.066  # inches, a wide letter at the size of the labels
_LONGEST_LABEL = 44  # letters
_HARM_COLUMN, _ALLOWED_COLUMN = 0.72, 1.05  # inches
# Beyond so many margins a line leaves the panel, or the rows that hold would shrink to dots.
_MOST_MARGINS = 4.0


@dataclass(frozen=True)
class Row:
    """One case, in the unit it is shown in.

    Attributes:
        label: Recipe and task.
        text: Harm, and what is allowed.
        low, harm, high: The interval.
        forbidden: Ranges of harm that are not allowed.
        outcome, observed: How it ended, and whether it is a gate.
    """

    label: str
    text: tuple[str, str]
    low: float
    harm: float
    high: float
    forbidden: tuple[tuple[float, float], ...]
    outcome: str
    observed: bool

    @property
    def edges(self) -> list[float]:
        """Where what is allowed ends."""
        return [edge for span in self.forbidden for edge in span if math.isfinite(edge)]

    @property
    def urgency(self) -> tuple[int, bool, float]:
        """Sorts rows by how much a reader must know of them: outcome, gates, share of the margin used up."""
        used = [(self.low if edge < 0.0 else self.high) / edge for edge in self.edges if edge != 0.0]
        return ("holds", "inconclusive", "broken").index(self.outcome), not self.observed, max(used, default=0.0)


def drawable(results: Sequence[CaseResult]) -> dict[str, list[Row]]:
    """Rows by metric and score, for cases that are judged by their harm."""
    panels: dict[str, list[Row]] = {}
    for result in results:
        verdict = result.verdict
        if verdict is not None and verdict.judged is verdict.comparison.harm:
            unit = unit_of(result.bound.metric)
            title = Cells.of(result).figure + (f", {unit.change.strip()}" if unit.change else "")
            panels.setdefault(title, []).append(_row(result, verdict, unit))
    return dict(sorted(panels.items()))


def most_telling(panels: dict[str, list[Row]], most: int = MOST_ROWS) -> dict[str, list[Row]]:
    """The rows that do not hold, then those that use up most of what is allowed; in their given order."""
    rows = [row for panel in panels.values() for row in panel]
    kept = {id(row) for row in sorted(rows, key=lambda row: row.urgency, reverse=True)[:most]}
    chosen = {title: [row for row in panel if id(row) in kept] for title, panel in panels.items()}
    return {title: panel for title, panel in chosen.items() if panel}


def draw(path: Path, panels: dict[str, list[Row]]) -> None:
    """Write the plot; its height grows with the rows."""
    from matplotlib.figure import Figure

    rows = [row for panel in panels.values() for row in panel]
    height = _TOP + _BOTTOM + len(rows) * _ROW + len(panels) * _PANEL
    width = style.WIDTH_INCHES
    left = 0.15 + _LETTER * max(len(row.label) for row in rows)
    right = width - _HARM_COLUMN - _ALLOWED_COLUMN
    figure = Figure(figsize=(width, height))
    _legend(figure, {row.outcome for row in rows}, left / width, 1 - 0.04 / height)
    top = height - _TOP
    for title, panel in panels.items():
        tall = len(panel) * _ROW
        box = (left / width, (top - _PANEL / 2 - tall) / height, (right - left) / width, tall / height)
        _draw_panel(figure.add_axes(box), title, panel, right - left)
        top -= tall + _PANEL
    style.save(figure, path)


def _row(result: CaseResult, verdict: Verdict, unit: Unit) -> Row:
    harm, cells, factor = verdict.comparison.harm, Cells.of(result), unit.factor
    return Row(
        label=_shortened(f"{result.recipe}   {result.task}"),
        text=(cells.change.removesuffix(unit.change), cells.allowed.removesuffix(unit.change)),
        low=factor * harm.lower,
        harm=factor * harm.estimate,
        high=factor * harm.upper,
        forbidden=forbidden(result.bound.relation, factor * result.bound.margin),
        outcome=verdict.outcome,
        observed=not result.bound.gate,
    )


def _shortened(label: str) -> str:
    half = _LONGEST_LABEL // 2 - 1
    return label if len(label) <= _LONGEST_LABEL else f"{label[:half]}\N{HORIZONTAL ELLIPSIS}{label[-half:]}"


def forbidden(relation: str, margin: float) -> tuple[tuple[float, float], ...]:
    """Ranges of harm that a relation does not allow."""
    if relation == "equivalent":
        return ((-math.inf, -margin), (margin, math.inf))
    if relation in ("not_better", "worsens"):
        return ((-math.inf, -margin),)
    return ((0.0, 0.0),) if relation == "differs" else ((margin, math.inf),)


def _draw_panel(axes: Axes, title: str, rows: Sequence[Row], width_inches: float) -> None:
    low, high = _extent(rows)
    axes.set_xlim(low, high)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.axvline(0.0, color=style.GREY, linewidth=0.8, zorder=1)
    _draw_allowed(axes, rows)
    _draw_harms(axes, rows)
    columns = (1 + _HARM_COLUMN / width_inches, 1 + (_HARM_COLUMN + 0.15) / width_inches)
    places = (-0.01, *columns)
    for y, texts in enumerate([("", "harm", "allowed"), *((row.label, *row.text) for row in rows)], start=-1):
        for x, text, side in zip(places, texts, ("right", "right", "left"), strict=True):
            axes.text(x, y, text, ha=side, va="center", fontsize=8, transform=axes.get_yaxis_transform())
    # A tick for each row would cost several times what its text does.
    axes.yaxis.set_visible(False)
    axes.locator_params(axis="x", nbins=6)
    axes.set_title(title, loc="left", fontsize=9, fontweight="bold", color=style.INK, pad=4)
    style.plain(axes, ("top", "right", "left"))


def _draw_allowed(axes: Axes, rows: Sequence[Row]) -> None:
    low, high = axes.get_xlim()
    spans = [(y, max(start, low), min(end, high)) for y, row in enumerate(rows) for start, end in row.forbidden]
    ys, starts, ends = ([span[i] for span in spans] for i in range(3))
    # One thick line per row is drawn many times faster than one rectangle per row.
    axes.hlines(ys, starts, ends, color=style.VERMILLION, alpha=0.09, linewidth=_ROW * _POINTS, zorder=0)
    edges = [(edge, y) for y, row in enumerate(rows) for edge in row.edges]
    xs, tops, feet = [x for x, _ in edges], [y - 0.36 for _, y in edges], [y + 0.36 for _, y in edges]
    axes.vlines(xs, tops, feet, color=style.INK, linewidth=1.6, zorder=2)


def _draw_harms(axes: Axes, rows: Sequence[Row]) -> None:
    """All rows of one look together: an artist for each row would take most of the time."""
    low, high = axes.get_xlim()
    # A mark that would leave the panel stands short of its edge, where the arrow is.
    inset = 0.03 * (high - low)
    for outcome, observed in dict.fromkeys((row.outcome, row.observed) for row in rows):
        look = style.marker(outcome, observed)
        own = [(y, row) for y, row in enumerate(rows) if (row.outcome, row.observed) == (outcome, observed)]
        ys = [y for y, _ in own]
        starts, ends = [max(row.low, low) for _, row in own], [min(row.high, high) for _, row in own]
        axes.hlines(ys, starts, ends, color=look["color"], linewidth=1.8, zorder=3)
        marks = [min(max(row.harm, low + inset), high - inset) for _, row in own]
        axes.plot(marks, ys, linestyle="none", zorder=4, **look)
        for edge, head, left in ((low, "<", [row.low < low for _, row in own]),
                                 (high, ">", [row.high > high for _, row in own])):  # fmt: skip
            at = [y for y, leaves in zip(ys, left, strict=True) if leaves]
            arrow = {"marker": head, "color": look["color"], "markersize": 6, "zorder": 5, "clip_on": False}
            axes.plot([edge] * len(at), at, linestyle="none", **arrow)


def _extent(rows: Sequence[Row]) -> tuple[float, float]:
    """Ends of the axis: all limits and edges, but no more than some margins where a row stays inside that."""
    edges = [abs(edge) for row in rows for edge in row.edges]
    low = min(0.0, *(min([row.low, *row.edges]) for row in rows))
    high = max(0.0, *(max([row.high, *row.edges]) for row in rows))
    reach = _MOST_MARGINS * max(edges, default=0.0)
    if reach > 0 and any(abs(row.harm) < reach for row in rows):
        low, high = max(low, -reach), min(high, reach)
    pad = 0.06 * (high - low) or 1.0
    return low - pad, high + pad


def _legend(figure: Figure, outcomes: set[str], left: float, top: float) -> None:
    from matplotlib.lines import Line2D

    keys = [style.outcome_key(outcome) for outcome in style.OUTCOMES if outcome in outcomes]
    edge = Line2D([], [], linestyle="none", marker="|", color=style.INK, markersize=10, label="edge of what is allowed")
    look = {"frameon": False, "fontsize": 9, "handletextpad": 0.3, "columnspacing": 1.5, "borderaxespad": 0.0}
    figure.legend(handles=[*keys, edge], loc="upper left", bbox_to_anchor=(left, top), ncols=len(keys) + 1, **look)
