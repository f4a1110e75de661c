"""A source of damaged pictures over any other source."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from reliability.data.corruptions.registry import corrupt, find_corruption
from reliability.types import ImageBatch, ImageSource

CORRUPTION_SEED = 20
"""Seed of the evaluated corruptions; stated in every identity."""


@dataclass(frozen=True)
class CorruptedSource:
    """Every picture of ``base``, damaged; labels, groups, ids and order stay.

    Attributes:
        base: The clean pictures.
        corruption: One of ``CORRUPTIONS``.
        severity: 1..5.
        seed: Of the damage.
    """

    base: ImageSource
    corruption: str
    severity: int
    seed: int = CORRUPTION_SEED

    def __post_init__(self) -> None:
        find_corruption(self.corruption, self.severity)

    @property
    def name(self) -> str:
        """Such as ``"id/gaussian_noise/3"``."""
        return f"{self.base.name}/{self.corruption}/{self.severity}"

    @property
    def identity(self) -> Mapping[str, Any]:
        """The clean pictures' identity, the damage with its parameter tables, and its seed."""
        return {
            "kind": "corrupted",
            "base": dict(self.base.identity),
            "corruption": self.corruption,
            "severity": self.severity,
            "tables": {str(side): rows[self.severity - 1] for side, rows in self._tables.items()},
            "seed": self.seed,
        }

    @property
    def _tables(self) -> Mapping[int, tuple[tuple[float, ...], ...]]:
        return find_corruption(self.corruption, self.severity).tables

    def batches(self, size: int) -> Iterator[ImageBatch]:
        """Batches of the base, damaged one at a time."""
        for batch in self.base.batches(size):
            yield replace(batch, images=corrupt(batch.images, self.corruption, self.severity, batch.ids, self.seed))
