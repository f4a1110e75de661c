"""The record a corruption is registered as, and how its pictures are stored."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reliability.data.counter_rng import U64
from reliability.types import U8

SEVERITIES = (1, 2, 3, 4, 5)

Parameters = tuple[float, ...]
Apply = Callable[[U8, Parameters, U64], U8]

HENDRYCKS_DIETTERICH = (
    "Hendrycks & Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and Perturbations, ICLR 2019"
)

_ROUNDING_SLACK = np.float32(1e-3)
"""Levels added before truncation: weights that sum to 1 but for rounding must not darken a flat area by a level."""


@dataclass(frozen=True)
class Corruption:
    """One way to damage pictures.

    Attributes:
        name: As in the benchmark, such as ``"gaussian_noise"``.
        card: One sentence on what it stands for and how it is made.
        tables: Side in pixels to the parameters of severities 1..5.
        apply: Takes pictures [N, H, W, 3], the parameters of one severity and a key
            [N] per picture; returns the damaged pictures. Each is a function of its
            own pixels and key alone, bit for bit.
        departures: Where it leaves its source; empty where it does not.
        source: Whose algorithm and parameters these are.
    """

    name: str
    card: str
    tables: Mapping[int, tuple[Parameters, ...]]
    apply: Apply
    departures: str = ""
    source: str = HENDRYCKS_DIETTERICH

    def parameters(self, side: int, severity: int) -> Parameters:
        """Parameters for pictures whose shorter side is ``side`` pixels.

        Conventions:
            A size without a table of its own takes the nearest one by ratio:
            28 px that of 32, 96 px that of 64, 128 px that of 224.
        """
        nearest = min(self.tables, key=lambda known: abs(math.log(known / side)))
        return self.tables[nearest][severity - 1]


def single(*values: float) -> tuple[Parameters, ...]:
    """A table of one parameter per severity.

    >>> single(0.1, 0.2, 0.3, 0.4, 0.5)[4]
    (0.5,)
    """
    return tuple((value,) for value in values)


def stored(levels: NDArray[np.floating[Any]]) -> U8:
    """Bytes of levels on a scale of 0..255, clipped and truncated as in the released sets.

    >>> stored(np.array([-3.0, 99.9996, 99.9, 256.0], np.float32))
    array([  0, 100,  99, 255], dtype=uint8)
    """
    truncated: U8 = np.clip(levels + _ROUNDING_SLACK, 0, 255).astype(np.uint8)
    return truncated
