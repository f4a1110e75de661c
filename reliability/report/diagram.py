"""Reliability diagrams: accuracy against confidence, reference and candidate in one panel."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reliability.claims.judge import Verdict
from reliability.claims.records import CaseResult, RecordError
from reliability.report import style
from reliability.report.cells import Cells

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CAPTION = (
    "Accuracy against mean confidence in each bin: above the diagonal a model is underconfident, below it "
    "overconfident. The area of a mark grows with the images in its bin; bars at the foot are the shares of images."
)
MOST_PANELS = 12

_COLUMNS = 4
_SIDES = {"reference": (style.GREY, "o", "--"), "candidate": (style.BLUE, "s", "-")}
_FOOT = 0.22  # of a panel's height, for the bars
_LEFT, _RIGHT, _GAP, _TOP, _BOTTOM, _TITLE, _TICKS = 0.55, 0.12, 0.32, 0.3, 0.25, 0.55, 0.3  # inches


@dataclass(frozen=True)
class Bins:
    """One model's bins that are not empty: share of images, mean confidence and accuracy of each."""

    share: list[float]
    confidence: list[float]
    accuracy: list[float]

    @classmethod
    def of(cls, count: Sequence[float], confidence: Sequence[float], accuracy: Sequence[float]) -> Bins:
        """Drop the empty bins, whose confidence and accuracy mean nothing."""
        total = sum(count)
        filled = [row for row in zip(count, confidence, accuracy, strict=True) if row[0] > 0]
        return cls([n / total for n, _, _ in filled], [c for _, c, _ in filled], [a for _, _, a in filled])


@dataclass(frozen=True)
class Panel:
    """One case that has bins for both models."""

    title: str
    harm: float
    sides: Mapping[str, Bins]


def drawable(results: Sequence[CaseResult]) -> list[Panel]:
    """Panels of the cases whose details hold bins, the largest harm first."""
    panels = [
        _panel(result, result.verdict, result.verdict.comparison.details["reliability"])
        for result in results
        if result.verdict is not None and "reliability" in result.verdict.comparison.details
    ]
    return sorted(panels, key=lambda panel: -panel.harm)


def draw(path: Path, panels: Sequence[Panel]) -> None:
    """Write the panels, four to a row."""
    from matplotlib.figure import Figure

    side = (style.WIDTH_INCHES - _LEFT - _RIGHT - _GAP * (_COLUMNS - 1)) / _COLUMNS
    rows, step = math.ceil(len(panels) / _COLUMNS), side + _TITLE + _TICKS
    width, height = style.WIDTH_INCHES, _TOP + rows * step + _BOTTOM
    figure = Figure(figsize=(width, height))
    for index, panel in enumerate(panels):
        row, column = divmod(index, _COLUMNS)
        left, foot = _LEFT + column * (side + _GAP), height - _TOP - row * step - _TITLE - side
        axes = figure.add_axes((left / width, foot / height, side / width, side / height))
        _draw_panel(axes, panel)
        if column == 0:
            axes.set_ylabel("accuracy", fontsize=9, color=style.INK)
    figure.supxlabel("confidence", fontsize=9, color=style.INK, y=0.05 / height, va="bottom")
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper left", ncols=2, frameon=False, fontsize=9)
    style.save(figure, path)


def _panel(result: CaseResult, verdict: Verdict, bins: Mapping[str, Mapping[str, Any]]) -> Panel:
    cells = Cells.of(result)
    figures = f"{cells.figure} {cells.reference} \N{RIGHTWARDS ARROW} {cells.candidate.split(' [')[0]}"
    try:
        sides = {side: Bins.of(**bins[side]) for side in _SIDES}
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(
            where=result.case,
            what="its reliability bins cannot be drawn",
            got=f"{type(error).__name__}: {error}",
            next="give count, confidence and accuracy, one value per bin, for reference and candidate",
        ) from error
    title = f"{result.recipe}\n{result.task}\n{figures}, {verdict.outcome}"
    return Panel(title, verdict.comparison.harm.estimate, sides)


def _draw_panel(axes: Axes, panel: Panel) -> None:
    axes.plot([0, 1], [0, 1], color=style.INK, linewidth=0.7, zorder=1)
    most = max((share for bins in panel.sides.values() for share in bins.share), default=1.0)
    for (side, bins), shift in zip(panel.sides.items(), (-0.011, 0.011), strict=True):
        colour, shape, line = _SIDES[side]
        axes.plot(bins.confidence, bins.accuracy, line, color=colour, linewidth=1.1, zorder=2, label=side)
        areas = [5 + 45 * share / most for share in bins.share]
        axes.scatter(bins.confidence, bins.accuracy, areas, color=colour, marker=shape, alpha=0.75, lw=0, zorder=3)
        heights = [_FOOT * share / most for share in bins.share]
        feet = [confidence + shift for confidence in bins.confidence]
        axes.vlines(feet, 0, heights, color=colour, alpha=0.4, linewidth=2.6, zorder=0)
    axes.set(xlim=(0, 1), ylim=(0, 1), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.set_title(panel.title, fontsize=8, color=style.INK)
    style.plain(axes)
