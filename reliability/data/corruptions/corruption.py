"""The record a corruption is registered as."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from reliability.data.counter_rng import U64
from reliability.types import F32

SEVERITIES = (1, 2, 3, 4, 5)

Parameters = tuple[float, ...]
Apply = Callable[[F32, Parameters, U64], F32]


@dataclass(frozen=True)
class Corruption:
    """One way to damage pictures.

    Attributes:
        name: As in the benchmark, such as ``"gaussian_noise"``.
        tables: Side in pixels to the parameters of severities 1..5.
        apply: Takes pictures [N, H, W, 3] float32 in [0, 1], the parameters of one
            severity and a key [N] per picture; returns the damaged pictures, which
            need not stay in [0, 1].
    """

    name: str
    tables: Mapping[int, tuple[Parameters, ...]]
    apply: Apply

    def parameters(self, side: int, severity: int) -> Parameters:
        """Parameters for pictures whose shorter side is ``side`` pixels.

        Conventions:
            A size without a table of its own takes the nearest one by ratio:
            28 px that of 32, 96 px that of 64, 128 px that of 224.
        """
        nearest = min(self.tables, key=lambda known: abs(math.log(known / side)))
        return self.tables[nearest][severity - 1]
