"""Small panels side by side: lines by recipe, or points, with one legend for all."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from reliability.report import style
from reliability.study.finding import Curve

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PANEL, _TITLE, _FOOT, _LEFT, _RIGHT, _GAP, _LEGEND_ROW = 1.4, 0.3, 0.42, 0.6, 0.1, 0.36, 0.2  # inches
_SLANTED = 0.22  # inches more for ticks with names
_LEGEND_COLUMNS = 5
_LINE, _POINT = 1.4, 6.0
_FAR, _EDGE = 1.0, 0.08  # of what the middle four fifths of the marks take up
# Okabe & Ito's palette, and black.
_METHODS = {
    "fp32": style.INK, "minmax": style.VERMILLION, "hadamard": "#009E73", "lsq": style.BLUE, "hadamard+lsq": "#56B4E9",
    "noise": style.GREY,
}  # fmt: skip
_SHAPES = {"fp32": "*", "w8a8": "o", "w6a8": "s", "w4a8": "v", "w4a4": "X"}
_DASHES = {"w8a8": "--", "w4a8": "-"}
_MODELS = (
    (style.BLUE, "o"),
    (style.VERMILLION, "s"),
    ("#009E73", "D"),
    (style.ORANGE, "v"),
    ("#CC79A7", "X"),
    (style.INK, "P"),
)


@dataclass(frozen=True)
class Look:
    """How one line or mark is drawn, and what it is called."""

    label: str
    colour: str
    shape: str
    dash: str = "-"

    @classmethod
    def of_model(cls, name: str) -> Look:
        """By model; :func:`draw_panels` deals out the colours in the order of the names."""
        return cls(name, "", "")


@dataclass(frozen=True)
class Panel:
    """One set of axes.

    Attributes:
        title, x, y: In words; a title may have two lines.
        curves: With how each looks.
        log: Whether y is logarithmic.
        zero, cross: Lines at y = 0 and x = 0.
        points: Marks without lines; one far from the others is put on the frame, so that they can be told apart.
        bars: Each curve is lower limit, estimate and upper limit at one x.
        ticks: Names of x = 0, 1, 2, ...
    """

    title: str
    x: str
    y: str
    curves: tuple[tuple[Curve, Look], ...]
    log: bool = False
    zero: bool = False
    cross: bool = False
    points: bool = False
    bars: bool = False
    ticks: tuple[str, ...] = ()


def look_of(recipe: str) -> Look:
    """Colour by method, shape and dash by widths."""
    bits, _, method = recipe.partition("-")
    dash, shape = _DASHES.get(bits, ":" if bits != "fp32" else "-"), _SHAPES.get(bits, "P")
    return Look(recipe, _METHODS.get(method or bits, style.ORANGE), shape, dash)


def draw_panels(path: Path, panels: Sequence[Panel], most_columns: int) -> None:
    """Write panels, so many to a row, with one name of the axes for each row."""
    from matplotlib.figure import Figure

    columns = min(most_columns, len(panels))
    rows = math.ceil(len(panels) / columns)
    looks = _looks(panels)
    legend = _LEGEND_ROW * math.ceil(len(looks) / _LEGEND_COLUMNS) + 0.05
    lines = max(panel.title.count("\n") + 1 for panel in panels)
    below = _FOOT + (_SLANTED if any(panel.ticks for panel in panels) else 0.0)
    tall = _PANEL + _TITLE + 0.14 * (lines - 1) + below
    width, height = style.WIDTH_INCHES, legend + rows * tall
    wide = (width - _LEFT - _RIGHT - (columns - 1) * _GAP) / columns
    figure = Figure(figsize=(width, height))
    for number, panel in enumerate(panels):
        row, column = divmod(number, columns)
        left, foot = _LEFT + column * (wide + _GAP), height - legend - (row + 1) * tall + below
        axes = figure.add_axes((left / width, foot / height, wide / width, _PANEL / height))
        _draw(axes, panel, looks)
        if column == columns // 2:
            axes.set_xlabel(panel.x, fontsize=7.5, color=style.INK, labelpad=2)
        if column == 0:
            axes.set_ylabel(panel.y, fontsize=7.5, color=style.INK)
    keys = [_key(look, panels[0]) for look in looks.values()]
    figure.legend(
        handles=keys, loc="upper left", bbox_to_anchor=(0.05, 1.0), ncols=_LEGEND_COLUMNS, frameon=False, fontsize=8,
        columnspacing=1.4, handletextpad=0.5, borderaxespad=0.2,
    )  # fmt: skip
    style.save(figure, path)


def _looks(panels: Sequence[Panel]) -> dict[str, Look]:
    """Every label once; models get their colours here."""
    found: dict[str, Look] = {}
    for look in (look for panel in panels for _, look in panel.curves):
        if look.label not in found:
            colour, shape = _MODELS[len(found) % len(_MODELS)]
            found[look.label] = look if look.colour else Look(look.label, colour, shape)
    return found


def _draw(axes: Axes, panel: Panel, looks: dict[str, Look]) -> None:
    rule: dict[str, Any] = {"color": style.GREY, "linewidth": 0.7, "zorder": 1}
    if panel.zero:
        axes.axhline(0.0, **rule)
    if panel.cross:
        axes.axvline(0.0, **rule)
    if panel.points:
        across, up = (_span([v for curve, _ in panel.curves for v in getattr(curve, axis)]) for axis in ("x", "y"))
        axes.set(xlim=across, ylim=up)
    for curve, given in panel.curves:
        look = looks[given.label]
        if panel.bars:
            axes.plot(curve.x[:1] * 2, (curve.y[0], curve.y[-1]), color=look.colour, linewidth=_LINE, zorder=2)
            axes.plot(curve.x[1:2], curve.y[1:2], color=look.colour, marker=look.shape, markersize=_POINT, zorder=3)
        elif panel.points:
            axes.plot(
                np.clip(curve.x, *across), np.clip(curve.y, *up), color=look.colour, marker=look.shape,
                markersize=_POINT, alpha=0.85, zorder=2, clip_on=False,
            )  # fmt: skip
        else:
            axes.plot(
                curve.x, curve.y, color=look.colour, linestyle=look.dash, linewidth=_LINE, zorder=2, **_marks(curve)
            )
    if panel.log:
        axes.set_yscale("log")
    if panel.ticks:
        axes.set_xticks(range(len(panel.ticks)), panel.ticks, rotation=35)
    axes.set_title(panel.title, fontsize=7.5, color=style.INK, pad=3, fontweight="bold")
    style.plain(axes)
    axes.tick_params(labelsize=6.5, length=2)
    if not panel.points:
        axes.margins(x=0.04)


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis over what lies together."""
    found = np.asarray(values, np.float64)
    low, high = np.quantile(found, (0.1, 0.9))
    reach = _FAR * (high - low)
    near = found[(found >= low - reach) & (found <= high + reach)]
    edge = _EDGE * (near.max() - near.min()) or 0.5
    return float(near.min() - edge), float(near.max() + edge)


def _marks(curve: Curve) -> dict[str, Any]:
    """Marks where there are few points."""
    return {"marker": ".", "markersize": 4} if len(curve.x) < 8 else {}


def _key(look: Look, panel: Panel) -> Any:
    from matplotlib.lines import Line2D

    marked: dict[str, Any] = {"marker": look.shape, "markersize": _POINT, "linestyle": "none"}
    lined: dict[str, Any] = {"linestyle": look.dash, "linewidth": _LINE}
    return Line2D([], [], color=look.colour, label=look.label, **(marked if panel.points or panel.bars else lined))
