"""Several sources one after another, read as one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from reliability.types import ImageBatch, ImageSource


@dataclass(frozen=True)
class CombinedSource:
    """All pictures of ``sources`` in order, each with its source's name before its id.

    Attributes:
        name: Unique within a data set.
        sources: At least one; their labels and groups are kept.
    """

    name: str
    sources: tuple[ImageSource, ...]

    @property
    def identity(self) -> Mapping[str, Any]:
        """What the parts depend on, in their order."""
        parts = [{"name": source.name, **source.identity} for source in self.sources]
        return {"kind": "combined", "sources": parts}

    def batches(self, size: int) -> Iterator[ImageBatch]:
        """The parts' batches; the last one of each part may be smaller than ``size``."""
        for source in self.sources:
            for batch in source.batches(size):
                yield replace(batch, ids=np.char.add(f"{source.name}/", batch.ids))
