"""Turn scenes into pixels: background, shadow, lit and filled object, sensor noise.

Every pixel is a pure function of its scene, so batch, worker and order change
nothing. Colour is computed in linear RGB and stored as 8-bit values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reliability.data.counter_rng import normal, uniform
from reliability.data.scenes.backgrounds import grid, paint
from reliability.data.scenes.sample import Scenes
from reliability.data.scenes.shapes import DISTANCES
from reliability.data.scenes.vocabulary import ALL_BACKGROUNDS, ALL_COLOURS, ALL_SHAPES, FILLS

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
Outline = Callable[[Scenes, F32, F32], F32]

_CHUNK = 256
"""Scenes rendered at once: bounds memory, and large enough to amortise Python."""

RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Style:
    """Settings of the renderer; the defaults are those of training pictures.

    Attributes:
        palette: Linear RGB of each of ``ALL_COLOURS``.
        sensor_sigma: Standard deviation of the sensor's noise, 1 = white.
        shadow_depth: Share of the light that the shadow takes.
        shadow_shift: How far the shadow lies from the object, as a share of the side.
        shadow_blur: Width of its edge as a share of the side.
        edge_px: Width of the object's edge in pixels.
        shade: How much brighter the side towards the lamp is, and darker the other.
        shine: Strength of a highlight towards the lamp.
        gamma: Exponent of the stored value; 1 stores linear light.
    """

    palette: tuple[RGB, ...] = tuple(ALL_COLOURS.values())
    sensor_sigma: float = 0.015
    shadow_depth: float = 0.45
    shadow_shift: float = 0.05
    shadow_blur: float = 1 / 16
    edge_px: float = 1.0
    shade: float = 0.22
    shine: float = 0.0
    gamma: float = 1.0


TRAINED = Style()


def _pixels(column: NDArray[Any]) -> NDArray[Any]:
    """Let a per-image column [N] meet pixels as [N, 1, 1]."""
    return column[:, None, None]


def object_frame(scenes: Scenes, size: int, shift: float = 0.0) -> tuple[F32, F32]:
    """Pixel centres in object coordinates, moved away from the lamp by ``shift``."""
    x, y = grid(size)
    dx = x - _pixels(scenes.centre[:, 0] - shift * np.cos(scenes.lamp))
    dy = _pixels(scenes.centre[:, 1] + shift * np.sin(scenes.lamp)) - y
    cos, sin = _pixels(np.cos(scenes.angle)), _pixels(np.sin(scenes.angle))
    radius = _pixels(scenes.radius)
    return (cos * dx + sin * dy) / radius, (cos * dy - sin * dx) / radius


def own_shape(scenes: Scenes, x: F32, y: F32) -> F32:
    """Signed distance of each scene's own shape, [N, S, S], in object units."""
    distance = np.empty(x.shape, dtype=np.float32)
    for index in np.unique(scenes.shape):
        rows = scenes.shape == index
        distance[rows] = DISTANCES[ALL_SHAPES[index]](x[rows], y[rows])
    return distance


def coverage(distance: F32, radius: F32, size: int, blur_px: float = 1.0) -> F32:
    """Share of each pixel that the object covers, by its distance in pixels."""
    cover: F32 = np.clip(0.5 - distance * _pixels(radius) * (size / blur_px), 0, 1)
    return cover


def _fill_tone(scenes: Scenes, x: F32, y: F32) -> F32:
    """Surface pattern as a gain in [0.55, 1], [N, S, S]."""
    rate = _pixels(3.0 + 1.5 * uniform(scenes.key, "fill-rate")[:, 0])
    stripes = np.sin(np.pi * rate * x) > 0
    across = np.sin(np.pi * rate * y) > 0
    dots = np.hypot((x * rate / 2) % 1 - 0.5, (y * rate / 2) % 1 - 0.5) < 0.30
    which = _pixels(scenes.fill)
    dark = np.select(
        [which == FILLS.index("striped"), which == FILLS.index("dotted"), which == FILLS.index("checked")],
        [stripes, dots, stripes ^ across],
        default=False,
    )
    return np.where(dark, np.float32(0.55), np.float32(1.0))


def _lit_colour(scenes: Scenes, x: F32, y: F32, style: Style) -> F32:
    """Object colour under fill and light, [N, S, S, 3]."""
    jitter = 0.12 * (uniform(scenes.key, "tint", 3) - 0.5)
    base = np.clip(np.array(style.palette, np.float32)[scenes.colour] + jitter, 0, 1)
    across, along = _pixels(np.cos(scenes.lamp)), _pixels(np.sin(scenes.lamp))
    gain = _fill_tone(scenes, x, y) * (1 + style.shade * np.clip(x * across + y * along, -1, 1))
    lit: F32 = base[:, None, None, :] * gain[..., None]
    if style.shine:
        spot = np.clip(1 - np.hypot(x - 0.4 * across, y - 0.4 * along) / 0.45, 0, 1)
        lit += np.float32(style.shine) * spot[..., None]
    return lit


def _render_chunk(scenes: Scenes, size: int, outline: Outline | None, style: Style) -> U8:
    canvas = paint(ALL_BACKGROUNDS, scenes.background, scenes.key, size)
    if outline is not None:
        x, y = object_frame(scenes, size, shift=style.shadow_shift)
        shadow = coverage(outline(scenes, x, y), scenes.radius, size, blur_px=size * style.shadow_blur)
        canvas *= 1 - style.shadow_depth * shadow[..., None]
        x, y = object_frame(scenes, size)
        cover = coverage(outline(scenes, x, y), scenes.radius, size, blur_px=style.edge_px)[..., None]
        canvas += cover * (_lit_colour(scenes, x, y, style) - canvas)
    return develop(scenes, canvas, style)


def develop(scenes: Scenes, canvas: F32, style: Style) -> U8:
    """8-bit values of linear light [N, S, S, 3], under the overall light and with sensor noise."""
    canvas = canvas * scenes.light[:, None, None, None]
    noise = normal(scenes.key, "sensor", canvas[0].size).reshape(canvas.shape)
    canvas += np.float32(style.sensor_sigma) * noise
    return stored(canvas if style.gamma == 1 else np.clip(canvas, 0, 1) ** np.float32(style.gamma))


def stored(canvas: F32) -> U8:
    """8-bit values of light in [0, 1]; what lies outside is cut off."""
    return np.rint(np.clip(canvas, 0, 1) * 255).astype(np.uint8)


def chunks(scenes: Scenes) -> Iterator[Scenes]:
    """The scenes in order, as many at a time as are drawn at once."""
    for start in range(0, len(scenes), _CHUNK):
        yield scenes.take(slice(start, start + _CHUNK))


def render(scenes: Scenes, size: int, outline: Outline | None = own_shape, style: Style = TRAINED) -> U8:
    """Render scenes as uint8 RGB [N, size, size, 3].

    Args:
        scenes: What to show.
        size: Side in pixels.
        outline: Signed distance ``(scenes, x, y) -> [N, S, S]`` of the object in object
            coordinates; None leaves the background alone (no object, no shadow).
        style: Settings of light, shadow and camera.
    """
    parts = [_render_chunk(chunk, size, outline, style) for chunk in chunks(scenes)]
    return np.concatenate(parts) if parts else np.empty((0, size, size, 3), np.uint8)
