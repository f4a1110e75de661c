"""How every figure looks: colours that survive colour blindness, and a shape for each outcome."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# From the palette of Okabe & Ito, made to be told apart under the common colour-vision deficiencies.
BLUE, ORANGE, VERMILLION, GREY, INK = "#0072B2", "#E69F00", "#D55E00", "#6E6E6E", "#222222"

OUTCOMES = {"holds": (BLUE, "o"), "inconclusive": (ORANGE, "D"), "broken": (VERMILLION, "X")}

# GitHub shows a picture some 900 pixels wide.
WIDTH_INCHES = 9.0
DOTS_PER_INCH = 110


def marker(outcome: str, observed: bool = False) -> dict[str, Any]:
    """Arguments of ``Axes.plot`` for one case; observed cases are hollow."""
    colour, shape = OUTCOMES[outcome]
    face = "white" if observed else colour
    return {"marker": shape, "color": colour, "markerfacecolor": face, "markersize": 7, "markeredgewidth": 1.3}


def outcome_key(outcome: str) -> Line2D:
    """A legend entry for an outcome."""
    from matplotlib.lines import Line2D

    return Line2D([], [], linestyle="none", label=outcome, **marker(outcome))


def plain(axes: Axes, sides: Sequence[str] = ("top", "right")) -> None:
    """Take away the frame's given sides and everything that is louder than the data."""
    for side in sides:
        axes.spines[side].set_visible(False)
    axes.tick_params(labelsize=8, colors=INK, length=3)


def save(figure: Figure, path: Path) -> None:
    """Write a PNG that is the same, bit for bit, for the same figure."""
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=DOTS_PER_INCH, facecolor="white", metadata={"Software": None})
