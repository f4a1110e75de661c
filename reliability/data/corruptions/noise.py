"""Noise that is independent in every pixel and channel."""

from __future__ import annotations

import numpy as np

from reliability.data.corruptions.corruption import Corruption, Parameters
from reliability.data.counter_rng import U64, normal
from reliability.types import F32


def _gaussian(images: F32, parameters: Parameters, key: U64) -> F32:
    (sigma,) = parameters
    draws = normal(key, "gaussian", images[0].size).reshape(images.shape)
    return images + np.float32(sigma) * draws


GAUSSIAN_NOISE = Corruption(
    name="gaussian_noise",
    tables={
        224: ((0.08,), (0.12,), (0.18,), (0.26,), (0.38,)),
        64: ((0.04,), (0.08,), (0.12,), (0.15,), (0.18,)),
        32: ((0.04,), (0.06,), (0.08,), (0.09,), (0.10,)),
    },
    apply=_gaussian,
)
"""Additive normal noise; the parameter is its standard deviation on a [0, 1] scale."""
