"""Blur by the lens, by zooming, by moving, and by plain smoothing."""

from __future__ import annotations

import numpy as np

from reliability.data.corruptions.corruption import Corruption, Parameters, single, stored
from reliability.data.corruptions.filters import defocus, gaussian, motion_blur, pictures, planes
from reliability.data.corruptions.resample import clipped_zoom
from reliability.data.counter_rng import U64, uniform
from reliability.types import U8

_MOTION_DEGREES = 45.0


def _defocus(images: U8, parameters: Parameters, key: U64) -> U8:  # noqa: ARG001 - nothing is drawn
    radius, alias_sigma = parameters
    return stored(pictures(defocus(planes(images), radius, alias_sigma)))


def _motion(images: U8, parameters: Parameters, key: U64) -> U8:
    radius, sigma = parameters
    degrees = _MOTION_DEGREES * (2 * uniform(key, "motion")[:, 0] - 1)
    return stored(pictures(motion_blur(planes(images), radius, sigma, degrees)) + np.float32(0.5))


def _zoom(images: U8, parameters: Parameters, key: U64) -> U8:  # noqa: ARG001 - nothing is drawn
    factors = np.arange(1, *parameters)
    values = planes(images)
    total = values.copy()
    for factor in factors:
        total += clipped_zoom(values, float(factor))
    return stored(pictures(total / np.float32(len(factors) + 1)))


def _gaussian(images: U8, parameters: Parameters, key: U64) -> U8:  # noqa: ARG001 - nothing is drawn
    (sigma,) = parameters
    return stored(pictures(gaussian(planes(images), sigma)))


DEFOCUS_BLUR = Corruption(
    name="defocus_blur",
    card="A lens out of focus: every point becomes a disk with a softened rim.",
    tables={
        224: ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
        64: ((0.5, 0.6), (1, 0.1), (1.5, 0.1), (2.5, 0.01), (3, 0.1)),
        32: ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
    },
    apply=_defocus,
)
"""Parameters: radius of the disk and sigma of its rim, in pixels."""

MOTION_BLUR = Corruption(
    name="motion_blur",
    card="A camera that moves: every point is smeared along a line of random direction within 45 degrees of level.",
    tables={
        224: ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
        64: ((10, 1), (10, 1.5), (10, 2), (10, 2.5), (12, 3)),
        32: ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
    },
    apply=_motion,
    departures="ImageMagick's path and weights are computed here in floating point; rounded once, as it rounds.",
)
"""Parameters: radius and sigma of the path in pixels; the path has 2 * radius + 1 taps."""

_ZOOM_SMALL = ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01))

ZOOM_BLUR = Corruption(
    name="zoom_blur",
    card="A camera that moves towards the scene: the mean of the picture and of enlargements about its centre.",
    tables={
        224: ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
        64: _ZOOM_SMALL,
        32: _ZOOM_SMALL,
    },
    apply=_zoom,
    departures="A picture that is not square is cropped along each side by itself.",
)
"""Parameters: end and step of the factors, as ``numpy.arange(1, end, step)`` lists them, its rounding included."""

GAUSSIAN_BLUR = Corruption(
    name="gaussian_blur",
    card="A plain Gaussian blur.",
    tables={
        224: single(1, 2, 3, 4, 6),
        64: single(0.5, 0.75, 1, 1.25, 1.5),
        32: single(0.4, 0.6, 0.7, 0.8, 1),
    },
    apply=_gaussian,
)
"""Parameter: sigma in pixels."""
