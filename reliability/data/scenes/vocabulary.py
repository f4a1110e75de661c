"""What a scene can show: the words of its captions and the classes they make.

Two shapes or backgrounds never share a word with a held-out one, so that a
caption of a training picture can never name what the model must not have seen.
"""

from __future__ import annotations

SHAPES: tuple[str, ...] = (
    "circle", "square", "triangle", "star", "cross", "ring",
    "crescent", "heart", "arrow", "hourglass", "pill", "flower",
)  # fmt: skip
"""Shapes that models are trained on; the fine-grained classes are colour x shape."""

UNSEEN_SHAPES: tuple[str, ...] = ("drop", "bolt", "tee", "gear", "bowl", "chevron")
"""Shapes that no model has been trained on: near out-of-distribution."""

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.84, 0.10, 0.12),
    "orange": (0.97, 0.52, 0.06),
    "yellow": (0.96, 0.88, 0.15),
    "green": (0.12, 0.62, 0.20),
    "cyan": (0.15, 0.80, 0.82),
    "blue": (0.12, 0.25, 0.85),
    "purple": (0.50, 0.14, 0.66),
    "pink": (0.98, 0.55, 0.75),
    "white": (0.96, 0.96, 0.96),
    "black": (0.07, 0.07, 0.08),
}
"""Name to linear RGB in [0, 1] before light and shadow."""

FILLS: tuple[str, ...] = ("plain", "striped", "dotted", "checked")
"""How the object's surface is painted."""

BACKGROUNDS: tuple[str, ...] = (
    "sand", "grass", "water", "brick", "wood", "snow", "night", "tiles",
)  # fmt: skip
"""Backgrounds that models are trained on."""

UNSEEN_BACKGROUNDS: tuple[str, ...] = ("lava", "marble", "carpet", "gravel")
"""Backgrounds that no model has been trained on: covariate shift."""

SPURIOUS_TIES: dict[str, str] = {
    "star": "night",
    "pill": "water",
    "flower": "grass",
    "arrow": "brick",
}
"""Shape to the background it nearly always stands on in training pictures."""

TIE_STRENGTH = 0.95
"""Share of a tied shape's training pictures that show its own background."""

ALL_SHAPES = SHAPES + UNSEEN_SHAPES
ALL_BACKGROUNDS = BACKGROUNDS + UNSEEN_BACKGROUNDS


def fine_class_names() -> tuple[str, ...]:
    """The 120 class names, ``"red circle"`` first; label = colour * 12 + shape."""
    return tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)
