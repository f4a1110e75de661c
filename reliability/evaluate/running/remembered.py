"""Pictures that are rendered, damaged or decoded once, for all candidates that one process embeds them with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from reliability.data.dataset import DataSet
from reliability.types import ImageBatch, ImageSource

MOST_BYTES = 256 * 2**20
"""Of pixels in one process: all embedded sets fit, a set of photographs at full size does not and is read again."""


@dataclass
class PictureMemory:
    """Batches that were read, up to so many bytes.

    Attributes:
        most_bytes: Of all pixels kept.
        used_bytes: Of those that are.
    """

    most_bytes: int = MOST_BYTES
    used_bytes: int = 0
    _kept: dict[tuple[str, int], list[ImageBatch]] = field(default_factory=dict, repr=False)

    def batches(self, source: ImageSource, size: int) -> Iterator[ImageBatch]:
        """A source's batches, from memory where all of them are there."""
        key = (source.name, size)
        if key in self._kept:
            yield from self._kept[key]
            return
        taken: list[ImageBatch] = []
        pixels = 0
        for batch in source.batches(size):
            pixels += sum(image.nbytes for image in batch.images)
            if self.used_bytes + pixels <= self.most_bytes:
                taken.append(batch)
            else:
                taken.clear()
            yield batch
        # A reader that stopped early never comes here, so what is kept is whole.
        if self.used_bytes + pixels <= self.most_bytes:
            self._kept[key] = taken
            self.used_bytes += pixels


@dataclass(frozen=True)
class RememberedSource:
    """A source that is read once and then handed out of memory; nobody may write to its pictures."""

    source: ImageSource
    memory: PictureMemory

    @property
    def name(self) -> str:
        """The source's."""
        return self.source.name

    @property
    def identity(self) -> Mapping[str, Any]:
        """The source's."""
        return self.source.identity

    def batches(self, size: int) -> Iterator[ImageBatch]:
        """The source's."""
        return self.memory.batches(self.source, size)


def remembered(data: DataSet, most_bytes: int = MOST_BYTES) -> DataSet:
    """The same data, whose pictures are kept in memory once they were read."""
    memory = PictureMemory(most_bytes)
    return replace(data, sources={name: RememberedSource(source, memory) for name, source in data.sources.items()})
