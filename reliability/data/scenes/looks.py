"""Pictures of the same scenes by other means: covariate shift.

Some differ from training pictures only in the renderer's settings, the others
are drawn in another way and keep the shape but not the colour.
"""

from __future__ import annotations

import numpy as np

from reliability.data.counter_rng import normal
from reliability.data.scenes.backgrounds import paint, value_noise
from reliability.data.scenes.render import TRAINED, Style, chunks, coverage, develop, object_frame, own_shape, stored
from reliability.data.scenes.sample import F32, Scenes
from reliability.data.scenes.vocabulary import ALL_BACKGROUNDS, ALL_COLOURS, FADED
from reliability.types import U8

LOW_LIGHT = Style(sensor_sigma=0.02)
"""A sensor at its limits; the light itself is the population's."""

FADED_PAINT = Style(palette=tuple((ALL_COLOURS | FADED).values()))
"""The same colour names in other pigments."""

STUDIO = Style(
    sensor_sigma=0.0, shadow_depth=0.8, shadow_shift=0.11, shadow_blur=1 / 40,
    edge_px=2.0, shade=0.5, shine=0.5, gamma=0.7,
)  # fmt: skip
"""Another renderer: one hard lamp, gloss, soft edges, gamma-encoded values and no noise."""

_GRAPHITE, _PAPER = 0.18, 0.93
_SILHOUETTE = 0.03


def _wobble(scenes: Scenes, size: int) -> F32:
    """How far a drawn line strays from the true one, [N, S, S] in object units."""
    stray: F32 = 0.12 * (value_noise(scenes.key, "hand", size, 5) - 0.5)
    return stray


def _sketched(scenes: Scenes, size: int) -> U8:
    x, y = object_frame(scenes, size)
    distance = own_shape(scenes, x, y) + _wobble(scenes, size)
    line = coverage(np.abs(distance) - np.float32(0.055), scenes.radius, size)
    pressure = 0.75 + 0.25 * value_noise(scenes.key, "pressure", size, 6)
    strokes = np.sin(2 * np.pi * 2.2 * (x + 0.6 * y)) > 0.55
    hatching = 0.35 * strokes * coverage(distance + np.float32(0.05), scenes.radius, size)
    paper = _PAPER - 0.06 * value_noise(scenes.key, "paper", size, 20)
    ink = np.maximum(line * pressure, hatching)
    grey = paper + ink * (_GRAPHITE - paper)
    grain = 0.012 * normal(scenes.key, "sensor", size * size).reshape(grey.shape)
    return np.repeat(stored(grey + grain)[..., None], 3, axis=-1)


def sketch(scenes: Scenes, size: int) -> U8:
    """Pencil on paper: a wandering outline and hatching, no colour, background, light or shadow."""
    return np.concatenate([_sketched(chunk, size) for chunk in chunks(scenes)])


def _against_light(scenes: Scenes, size: int) -> U8:
    canvas = 0.35 + 0.65 * paint(ALL_BACKGROUNDS, scenes.background, scenes.key, size)
    x, y = object_frame(scenes, size)
    cover = coverage(own_shape(scenes, x, y), scenes.radius, size)[..., None]
    return develop(scenes, canvas + cover * (_SILHOUETTE - canvas), TRAINED)


def silhouette(scenes: Scenes, size: int) -> U8:
    """Against the light: a black object without colour, fill or shadow on a bright background."""
    return np.concatenate([_against_light(chunk, size) for chunk in chunks(scenes)])
