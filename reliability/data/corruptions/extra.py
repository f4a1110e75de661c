"""Spatter and saturation, which the benchmark keeps apart for validation."""

from __future__ import annotations

import numpy as np

from reliability.data.corruptions.colour import WHITE, change_saturation
from reliability.data.corruptions.corruption import Corruption, Parameters, stored
from reliability.data.corruptions.filters import gaussian
from reliability.data.counter_rng import U64, normal
from reliability.types import F32, U8

_WATER = np.array([175, 238, 238], dtype=np.float32)
_MUD = np.array([63, 42, 20], dtype=np.float32)
_MUD_FLOOR = np.float32(0.8)
"""Thinner mud is not seen."""


def _water(images: U8, liquid: F32, strength: float) -> U8:
    """Pale drops, shaded by the distance from their rims; the brightest place of each picture has ``strength``."""
    from reliability.data.corruptions.droplets import droplet_shading

    layers = stored(liquid * WHITE)
    drops = layers * np.stack([droplet_shading(layer) for layer in layers])
    peak = np.maximum(drops.max(axis=(1, 2), keepdims=True), 1)
    return stored(images + (drops / peak * np.float32(strength))[..., None] * _WATER)


def _mud(images: U8, liquid: F32, cutoff: float, sigma: float) -> U8:
    thick = gaussian((liquid > np.float32(cutoff)).astype(np.float32)[:, None], sigma)[:, 0]
    thick[thick < _MUD_FLOOR] = 0
    return stored(images * (1 - thick[..., None]) + thick[..., None] * _MUD)


def _spatter(images: U8, parameters: Parameters, key: U64) -> U8:
    mean, spread, sigma, cutoff, strength, mud = parameters
    height, width = images.shape[1:3]
    grains = np.float32(mean) + np.float32(spread) * normal(key, "spatter", height * width)
    liquid = gaussian(grains.reshape(-1, 1, height, width), sigma)[:, 0]
    liquid[liquid < np.float32(cutoff)] = 0
    return _mud(images, liquid, cutoff, strength) if mud else _water(images, liquid, strength)


def _saturate(images: U8, parameters: Parameters, key: U64) -> U8:  # noqa: ARG001 - nothing is drawn
    gain, rise = parameters
    return stored(change_saturation(images, gain, rise))


def _spatter_small(*strengths: float) -> tuple[Parameters, ...]:
    liquids = (
        (0.62, 0.1, 0.7, 0.7), (0.65, 0.1, 0.8, 0.7), (0.65, 0.3, 1, 0.69), (0.65, 0.1, 0.7, 0.68),
        (0.65, 0.1, 0.5, 0.67),
    )  # fmt: skip
    mud = (0, 0, 0, 1, 1)
    return tuple((*liquid, *rest) for liquid, *rest in zip(liquids, strengths, mud, strict=True))


SPATTER = Corruption(
    name="spatter",
    card="Water drops on the lens at severities 1 to 3, mud at 4 and 5.",
    tables={
        224: (
            (0.65, 0.3, 4, 0.69, 0.6, 0), (0.65, 0.3, 3, 0.68, 0.6, 0), (0.65, 0.3, 2, 0.68, 0.5, 0),
            (0.65, 0.3, 1, 0.65, 1.5, 1), (0.67, 0.4, 1, 0.65, 1.5, 1),
        ),
        64: _spatter_small(0.6, 0.6, 0.6, 0.6, 0.6),
        32: _spatter_small(0.5, 0.5, 0.5, 0.6, 0.6),
    },
    apply=_spatter,
    departures="Distances from rims are exact instead of OpenCV's 5 by 5 approximation; a picture without drops stays.",
)  # fmt: skip
"""Parameters: mean, spread, smoothing and cutoff of the liquid; strength of water or smoothing of mud; 1 for mud."""

SATURATE = Corruption(
    name="saturate",
    card="Colours too pale at severities 1 and 2, too strong from 3 on: S of HSV is changed.",
    tables={
        224: ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
        64: ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (30, 0.2)),
        32: ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
    },
    apply=_saturate,
)
"""Parameters: gain and rise of the saturation."""
