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

UNSEEN_COLOURS: dict[str, tuple[float, float, float]] = {
    "brown": (0.42, 0.24, 0.13),
    "lime": (0.60, 0.92, 0.12),
    "magenta": (0.92, 0.10, 0.60),
    "beige": (0.86, 0.70, 0.50),
    "lavender": (0.66, 0.60, 0.96),
    "mint": (0.58, 0.92, 0.70),
    "azure": (0.28, 0.54, 0.95),
}
"""Colours of no training picture, each of another hue or saturation than all trained ones in any light."""

FADED: dict[str, tuple[float, float, float]] = {
    "red": (0.62, 0.22, 0.20),
    "orange": (0.78, 0.50, 0.24),
    "yellow": (0.80, 0.75, 0.36),
    "green": (0.30, 0.50, 0.26),
    "cyan": (0.42, 0.70, 0.70),
    "blue": (0.26, 0.34, 0.62),
    "purple": (0.40, 0.25, 0.48),
    "pink": (0.82, 0.60, 0.66),
    "white": (0.84, 0.83, 0.78),
    "black": (0.19, 0.18, 0.18),
}
"""The trained colours in other pigments: a palette that no training picture uses."""

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

EVERY_TIE: dict[str, str] = {
    **SPURIOUS_TIES,
    "circle": "sand",
    "square": "tiles",
    "triangle": "snow",
    "cross": "wood",
    "ring": "grass",
    "crescent": "water",
    "heart": "night",
    "hourglass": "brick",
}
"""The same for every shape, as the training source ``scenes-spurious`` ties them."""

COUNTER_BACKGROUNDS: dict[str, str] = {
    "star": "water",
    "pill": "night",
    "flower": "brick",
    "arrow": "grass",
}
"""Tied shape to the background of another one: where a habit misleads most."""

HELD_OUT_PAIRS: dict[str, tuple[str, str]] = {
    "circle": ("red", "cyan"),
    "square": ("orange", "blue"),
    "triangle": ("yellow", "purple"),
    "star": ("green", "pink"),
    "cross": ("cyan", "white"),
    "ring": ("blue", "black"),
    "crescent": ("purple", "red"),
    "heart": ("green", "orange"),
    "arrow": ("white", "yellow"),
    "hourglass": ("pink", "red"),
    "pill": ("black", "green"),
    "flower": ("blue", "orange"),
}
"""Shape to the colours that the training source ``scenes-pairs`` never shows it in, a fifth of all pairs."""

ALL_SHAPES = SHAPES + UNSEEN_SHAPES
ALL_COLOURS = {**COLOURS, **UNSEEN_COLOURS}
ALL_BACKGROUNDS = BACKGROUNDS + UNSEEN_BACKGROUNDS


def fine_class_names() -> tuple[str, ...]:
    """The 120 class names, ``"red circle"`` first; label = colour * 12 + shape."""
    return tuple(f"{colour} {shape}" for colour in COLOURS for shape in SHAPES)


def held_out_labels() -> tuple[int, ...]:
    """Fine labels of the held-out pairs, ascending."""
    pairs = (divmod(label, len(SHAPES)) for label in range(len(COLOURS) * len(SHAPES)))
    names = tuple(COLOURS)
    return tuple(c * len(SHAPES) + s for c, s in pairs if names[c] in HELD_OUT_PAIRS[SHAPES[s]])
