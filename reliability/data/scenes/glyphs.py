"""Letters and digits drawn as strokes, without any font.

A glyph is a few polylines on a box of width 4 and height 6 with its origin at
the lower left. Letters that look like a trained shape or like a held-out one
are left out: C, D, I, O, Q, T, U, V, X and the digits 0, 1, 6, 8 and 9.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from reliability.data.counter_rng import choice, uniform
from reliability.data.scenes.sample import F32, Scenes

Stroke = tuple[tuple[float, float], ...]

GLYPHS: dict[str, tuple[Stroke, ...]] = {
    "A": (((0, 0), (2, 6), (4, 0)), ((0.7, 2.1), (3.3, 2.1))),
    "B": (((0, 0), (0, 6), (2.8, 6), (3.6, 4.6), (2.8, 3.2), (0, 3.2)), ((2.8, 3.2), (4, 1.6), (2.8, 0), (0, 0))),
    "E": (((4, 6), (0, 6), (0, 0), (4, 0)), ((0, 3), (3, 3))),
    "F": (((4, 6), (0, 6), (0, 0)), ((0, 3), (3, 3))),
    "G": (((3.8, 5), (2.6, 6), (1.2, 6), (0, 4.6), (0, 1.4), (1.2, 0), (2.8, 0), (4, 1.2), (4, 2.8), (2.2, 2.8)),),
    "H": (((0, 0), (0, 6)), ((4, 0), (4, 6)), ((0, 3), (4, 3))),
    "J": (((1.6, 6), (4, 6)), ((3, 6), (3, 1.2), (1.9, 0), (0.9, 0), (0, 1.2))),
    "K": (((0, 0), (0, 6)), ((3.8, 6), (0, 2.6)), ((1.3, 3.7), (4, 0))),
    "L": (((0, 6), (0, 0), (4, 0)),),
    "M": (((0, 0), (0, 6), (2, 2.6), (4, 6), (4, 0)),),
    "N": (((0, 0), (0, 6), (4, 0), (4, 6)),),
    "P": (((0, 0), (0, 6), (3, 6), (4, 4.6), (3, 3), (0, 3)),),
    "R": (((0, 0), (0, 6), (3, 6), (4, 4.6), (3, 3), (0, 3)), ((2, 3), (4, 0))),
    "S": (((3.8, 5), (2.8, 6), (1.2, 6), (0.1, 4.9), (1, 3.5), (3, 2.7), (3.9, 1.3), (2.8, 0), (1.2, 0), (0, 1)),),
    "W": (((0, 6), (1, 0), (2, 3.8), (3, 0), (4, 6)),),
    "Y": (((0, 6), (2, 3), (4, 6)), ((2, 3), (2, 0))),
    "Z": (((0, 6), (4, 6), (0, 0), (4, 0)),),
    "2": (((0.1, 4.7), (1, 6), (3, 6), (3.9, 4.6), (3.4, 3.2), (0, 0), (4, 0)),),
    "3": (((0.2, 6), (3.8, 6), (1.8, 3.6), (3.2, 3.2), (4, 1.8), (3, 0), (1, 0), (0, 1)),),
    "4": (((3, 0), (3, 6), (0, 1.8), (4, 1.8)),),
    "5": (((3.8, 6), (0.4, 6), (0.2, 3.4), (2.6, 3.6), (4, 2), (2.8, 0), (1, 0), (0, 0.9)),),
    "7": (((0, 6), (4, 6), (1.4, 0)),),
}
"""Character to strokes; a new glyph is one line."""

_THICKNESS = (0.10, 0.17)
"""Half the width of a stroke in object units."""


def _segments(strokes: tuple[Stroke, ...]) -> list[tuple[float, float, float, float]]:
    """Ends of all segments in object units, the glyph centred and 1.8 high."""
    placed = [[((px - 2) * 0.3, (py - 3) * 0.3) for px, py in stroke] for stroke in strokes]
    return [(*a, *b) for stroke in placed for a, b in pairwise(stroke)]


def _distance(strokes: tuple[Stroke, ...], x: F32, y: F32) -> F32:
    """Distance to the middle of the nearest stroke."""
    nearest = np.full_like(x, np.inf)
    for ax, ay, bx, by in _segments(strokes):
        ex, ey = np.float32(bx - ax), np.float32(by - ay)
        t = np.clip(((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey), 0, 1)
        nearest = np.minimum(nearest, np.hypot(x - ax - t * ex, y - ay - t * ey))
    return nearest


def glyph_outline(scenes: Scenes, x: F32, y: F32) -> F32:
    """Signed distance of a letter or digit drawn for each scene, [N, S, S] in object units."""
    low, high = _THICKNESS
    half_width = (low + (high - low) * uniform(scenes.key, "pen")).astype(np.float32)
    which, distance = choice(scenes.key, "glyph", len(GLYPHS)), np.empty(x.shape, dtype=np.float32)
    for index, strokes in enumerate(GLYPHS.values()):
        rows = which == index
        distance[rows] = _distance(strokes, x[rows], y[rows])
    return distance - half_width[:, :, None]
