"""Signed distances of the shapes a scene can show.

Every function takes object coordinates (x to the right, y upwards, the shape
within about the unit disc) and returns a distance in the same unit, negative
inside. Distances need only be right near the outline, where they become
anti-aliased coverage.

Source:
    The polygon distance is the point-to-segment minimum with an even-odd
    crossing sign, as in any computational-geometry text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Distance = Callable[[F32, F32], F32]
Point = tuple[float, float]


def polygon(points: Sequence[Point]) -> Distance:
    """Distance to a simple polygon given by its corners in order."""
    corners = np.asarray(points, dtype=np.float32)

    def distance(x: F32, y: F32) -> F32:
        best = np.full_like(x, np.inf)
        inside = np.zeros(x.shape, dtype=bool)
        for (ax, ay), (bx, by) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            ex, ey = bx - ax, by - ay
            t = np.clip(((x - ax) * ex + (y - ay) * ey) / (ex * ex + ey * ey), 0, 1)
            best = np.minimum(best, (x - ax - t * ex) ** 2 + (y - ay - t * ey) ** 2)
            if ey != 0:
                inside ^= ((ay > y) != (by > y)) & (x < ax + (y - ay) * (ex / ey))
        return np.where(inside, -np.sqrt(best), np.sqrt(best))

    return distance


def _regular(n: int, radius: float, start: float = 90.0) -> list[Point]:
    angles = np.deg2rad(start + 360.0 * np.arange(n) / n)
    return [(float(radius * np.cos(a)), float(radius * np.sin(a))) for a in angles]


def _star(n: int, outer: float, inner: float) -> list[Point]:
    points = zip(_regular(n, outer), _regular(n, inner, 90.0 + 180.0 / n), strict=True)
    return [corner for pair in points for corner in pair]


def _disc(cx: float, cy: float, radius: float) -> Distance:
    return lambda x, y: np.hypot(x - np.float32(cx), y - np.float32(cy)) - np.float32(radius)


def _minus(first: Distance, second: Distance) -> Distance:
    return lambda x, y: np.maximum(first(x, y), -second(x, y))


def _union(*parts: Distance) -> Distance:
    return lambda x, y: np.minimum.reduce([part(x, y) for part in parts])


def _half_plane_above(level: float) -> Distance:
    def distance(x: F32, y: F32) -> F32:  # noqa: ARG001 - every distance takes both coordinates
        return np.float32(level) - y

    return distance


def _pill(x: F32, y: F32) -> F32:
    return np.hypot(np.maximum(np.abs(x) - np.float32(0.58), 0), y) - np.float32(0.40)


def _petals(count: int, at: float, radius: float) -> list[Distance]:
    return [_disc(px, py, radius) for px, py in _regular(count, at)]


def _gear() -> Distance:
    return _minus(polygon(_tooth_outline(8, 0.98, 0.72)), _disc(0, 0, 0.28))


def _tooth_outline(teeth: int, outer: float, inner: float) -> list[Point]:
    step = 360.0 / teeth
    points: list[Point] = []
    for k in range(teeth):
        for radius, offset in ((inner, 0.0), (outer, 0.1), (outer, 0.4), (inner, 0.5)):
            angle = np.deg2rad(step * (k + offset))
            points.append((float(radius * np.cos(angle)), float(radius * np.sin(angle))))
    return points


_HEART = _union(
    _disc(-0.40, 0.30, 0.46),
    _disc(0.40, 0.30, 0.46),
    polygon([(-0.80, 0.08), (0.0, 0.45), (0.80, 0.08), (0.0, -0.92)]),
)
_ARROW = [(-0.95, 0.22), (0.05, 0.22), (0.05, 0.68), (0.98, 0.0), (0.05, -0.68), (0.05, -0.22), (-0.95, -0.22)]
_CROSS_HALF, _CROSS_ARM = 0.27, 0.92
_CROSS = [
    (-_CROSS_HALF, _CROSS_ARM), (_CROSS_HALF, _CROSS_ARM), (_CROSS_HALF, _CROSS_HALF),
    (_CROSS_ARM, _CROSS_HALF), (_CROSS_ARM, -_CROSS_HALF), (_CROSS_HALF, -_CROSS_HALF),
    (_CROSS_HALF, -_CROSS_ARM), (-_CROSS_HALF, -_CROSS_ARM), (-_CROSS_HALF, -_CROSS_HALF),
    (-_CROSS_ARM, -_CROSS_HALF), (-_CROSS_ARM, _CROSS_HALF), (-_CROSS_HALF, _CROSS_HALF),
]  # fmt: skip
_HOURGLASS = [(-0.72, 0.92), (0.72, 0.92), (0.10, 0.0), (0.72, -0.92), (-0.72, -0.92), (-0.10, 0.0)]
_BOLT = [(0.15, 0.98), (-0.60, -0.10), (-0.05, -0.10), (-0.20, -0.98), (0.60, 0.20), (0.05, 0.20)]
_TEE = [
    (-0.85, 0.85), (0.85, 0.85), (0.85, 0.35), (0.26, 0.35),
    (0.26, -0.92), (-0.26, -0.92), (-0.26, 0.35), (-0.85, 0.35),
]  # fmt: skip
_CHEVRON = [(-0.75, 0.90), (-0.10, 0.90), (0.75, 0.0), (-0.10, -0.90), (-0.75, -0.90), (0.10, 0.0)]

DISTANCES: dict[str, Distance] = {
    "circle": _disc(0, 0, 0.86),
    "square": polygon([(-0.76, -0.76), (0.76, -0.76), (0.76, 0.76), (-0.76, 0.76)]),
    "triangle": polygon(_regular(3, 1.05)),
    "star": polygon(_star(5, 1.08, 0.42)),
    "cross": polygon(_CROSS),
    "ring": _minus(_disc(0, 0, 0.92), _disc(0, 0, 0.50)),
    "crescent": _minus(_disc(0, 0, 0.92), _disc(0.42, 0.20, 0.72)),
    "heart": _HEART,
    "arrow": polygon(_ARROW),
    "hourglass": polygon(_HOURGLASS),
    "pill": _pill,
    "flower": _minus(_union(*_petals(5, 0.56, 0.38), _disc(0, 0, 0.40)), _disc(0, 0, 0.20)),
    "drop": _union(_disc(0, -0.30, 0.58), polygon([(-0.52, -0.05), (0.0, 1.0), (0.52, -0.05)])),
    "bolt": polygon(_BOLT),
    "tee": polygon(_TEE),
    "gear": _gear(),
    "bowl": _minus(_disc(0, 0.25, 0.95), _half_plane_above(0.25)),
    "chevron": polygon(_CHEVRON),
}
"""Shape name to signed distance; a new shape is one line here and one word in the vocabulary."""
