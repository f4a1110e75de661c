"""Procedural backgrounds: one function per name, vectorised over images.

A painter gets keys [N] and a size S and returns linear RGB as float32
[N, S, S, 3], roughly in [0, 1]. Coordinates run over the unit square, so a
background means the same at every size.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reliability.data.counter_rng import uniform

F32 = NDArray[np.float32]
U64 = NDArray[np.uint64]
Painter = Callable[[U64, int], F32]
RGB = tuple[float, float, float]


@lru_cache(maxsize=64)
def _interpolation(size: int, cells: int) -> F32:
    """[size, cells + 1] weights that blend a lattice smoothly over the pixels."""
    at = (np.arange(size) + 0.5) / size * cells
    left = np.minimum(at.astype(int), cells - 1)
    t = at - left
    t = t * t * (3 - 2 * t)
    weights = np.zeros((size, cells + 1), dtype=np.float32)
    weights[np.arange(size), left] = 1 - t
    weights[np.arange(size), left + 1] = t
    return weights


def value_noise(key: U64, stream: str, size: int, rows: int, columns: int | None = None) -> F32:
    """Smooth noise in [0, 1) on a hashed lattice, as float32 [N, size, size]."""
    columns = rows if columns is None else columns
    lattice = uniform(key, stream, (rows + 1) * (columns + 1))
    lattice = lattice.reshape(-1, rows + 1, columns + 1)
    smooth: F32 = np.matmul(np.matmul(_interpolation(size, rows), lattice), _interpolation(size, columns).T)
    return smooth


def grid(size: int) -> tuple[F32, F32]:
    """Pixel centres (x to the right, y downwards) in [0, 1], each [1, size, size]."""
    centre = ((np.arange(size) + 0.5) / size).astype(np.float32)
    x, y = np.meshgrid(centre, centre)
    return x[None], y[None]


def _draw(key: U64, stream: str, low: float, high: float) -> F32:
    """One uniform draw per image, shaped [N, 1, 1] to meet pixels."""
    return (low + (high - low) * uniform(key, stream)[:, 0]).astype(np.float32)[:, None, None]


def blend(amount: NDArray[np.floating[Any]], first: RGB, second: RGB) -> F32:
    """Mix two colours by amount [N, S, S]: 0 gives the first, 1 the second."""
    a, b = np.asarray(first, np.float32), np.asarray(second, np.float32)
    mixed: F32 = a + np.clip(amount, 0, 1)[..., None] * (b - a)
    return mixed


def _sand(key: U64, size: int) -> F32:
    grain = 0.55 * value_noise(key, "grain", size, 24) + 0.45 * value_noise(key, "dune", size, 4)
    return blend(grain, (0.62, 0.50, 0.32), (0.90, 0.79, 0.58))


def _grass(key: U64, size: int) -> F32:
    blades = 0.7 * value_noise(key, "blade", size, 6, 28) + 0.3 * value_noise(key, "patch", size, 4)
    return blend(blades, (0.10, 0.28, 0.06), (0.46, 0.66, 0.22))


def _water(key: U64, size: int) -> F32:
    x, y = grid(size)
    bend = 0.10 * value_noise(key, "bend", size, 4)
    waves = np.sin(2 * np.pi * (_draw(key, "rate", 5, 8) * (y + bend) + _draw(key, "phase", 0, 1)))
    glint = value_noise(key, "glint", size, 14, 5)
    return blend(0.32 + 0.22 * waves + 0.4 * glint + 0 * x, (0.05, 0.22, 0.42), (0.50, 0.74, 0.86))


def _brick(key: U64, size: int) -> F32:
    x, y = grid(size)
    rows = y * _draw(key, "rows", 5, 7) + _draw(key, "shift", 0, 1)
    columns = x * _draw(key, "columns", 2.5, 3.5) + 0.5 * (np.floor(rows) % 2)
    mortar = np.maximum(np.abs(rows % 1 - 0.5), 0.5 - 1.6 * (0.5 - np.abs(columns % 1 - 0.5))) > 0.41
    tone = value_noise(key, "tone", size, 8)
    stone = blend(tone, (0.42, 0.18, 0.13), (0.68, 0.34, 0.24))
    return np.where(mortar[..., None], np.float32(0.72), stone)


def _wood(key: U64, size: int) -> F32:
    x, _ = grid(size)
    warp = value_noise(key, "warp", size, 3, 3)
    rings = np.sin(2 * np.pi * (x * _draw(key, "rate", 3, 5) + 1.4 * warp + _draw(key, "phase", 0, 1)))
    fibre = value_noise(key, "fibre", size, 4, 26)
    return blend(0.45 + 0.3 * rings + 0.3 * (fibre - 0.5), (0.36, 0.20, 0.09), (0.70, 0.47, 0.25))


def _snow(key: U64, size: int) -> F32:
    drift = 0.7 * value_noise(key, "drift", size, 3) + 0.3 * value_noise(key, "flake", size, 20)
    return blend(drift, (0.70, 0.78, 0.90), (0.97, 0.98, 1.0))


def _night(key: U64, size: int) -> F32:
    _, y = grid(size)
    stars = value_noise(key, "stars", size, 26) > 0.88
    sky = blend(y + 0.3 * value_noise(key, "cloud", size, 3), (0.02, 0.02, 0.10), (0.12, 0.10, 0.30))
    return np.where(stars[..., None], np.float32(0.85), sky)


def _tiles(key: U64, size: int) -> F32:
    x, y = grid(size)
    count = np.floor(_draw(key, "count", 4, 7))
    at_x, at_y = x * count + _draw(key, "x", 0, 1), y * count + _draw(key, "y", 0, 1)
    odd = (np.floor(at_x) + np.floor(at_y)) % 2
    return blend(odd * 0.85 + 0.15 * value_noise(key, "wear", size, 12), (0.36, 0.40, 0.44), (0.78, 0.80, 0.80))


def _lava(key: U64, size: int) -> F32:
    crust = np.abs(value_noise(key, "crust", size, 6) - 0.5) * 2
    glow = np.clip(1.2 - 3.5 * crust, 0, 1)
    return blend(glow, (0.13, 0.08, 0.08), (1.0, 0.42, 0.05))


def _marble(key: U64, size: int) -> F32:
    x, y = grid(size)
    warp = value_noise(key, "warp", size, 5) + 0.5 * value_noise(key, "fine", size, 11)
    vein = np.abs(np.sin(np.pi * (2 * (x + y) + 2.2 * warp)))
    return blend(vein**0.5, (0.40, 0.42, 0.45), (0.88, 0.87, 0.84))


def _carpet(key: U64, size: int) -> F32:
    x, y = grid(size)
    rate = _draw(key, "rate", 3, 5)
    weave = np.sin(2 * np.pi * rate * (x + y)) * np.sin(2 * np.pi * rate * (x - y))
    pile = value_noise(key, "pile", size, 26)
    return blend(0.5 + 0.4 * weave + 0.3 * (pile - 0.5), (0.34, 0.10, 0.22), (0.66, 0.52, 0.40))


def _gravel(key: U64, size: int) -> F32:
    stones = value_noise(key, "stone", size, 13)
    edges = np.abs(value_noise(key, "edge", size, 13) - 0.5) < 0.07
    tone = blend(stones, (0.30, 0.29, 0.28), (0.68, 0.66, 0.62))
    return np.where(edges[..., None], np.float32(0.16), tone)


PAINTERS: dict[str, Painter] = {
    "sand": _sand, "grass": _grass, "water": _water, "brick": _brick,
    "wood": _wood, "snow": _snow, "night": _night, "tiles": _tiles,
    "lava": _lava, "marble": _marble, "carpet": _carpet, "gravel": _gravel,
}  # fmt: skip
"""Background name to painter; a new one is one function, one line here, one word in the vocabulary."""


def paint(names: tuple[str, ...], which: NDArray[np.int64], key: U64, size: int) -> F32:
    """Paint background ``names[which[i]]`` for image i, as float32 [N, size, size, 3]."""
    canvas = np.empty((len(key), size, size, 3), dtype=np.float32)
    for index in np.unique(which):
        rows = which == index
        canvas[rows] = PAINTERS[names[index]](key[rows], size)
    return canvas
