"""Digests of the pixels that models and ranges are shown, so that mixed-up or shared pictures are noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reliability.data.dataset import RangeSetting
from reliability.errors import DataError
from reliability.types import I64, U8, CaptionedImages, ImageBatch, ImageSource

ALIKE = 0.01
"""Share of pictures that two sets may have in common: published ones hold a few twice."""

Note = Callable[[Mapping[str, Any], Callable[[], I64]], I64]
"""Keeps the digests of what has an identity, and gives those that were kept first."""


def digests(images: Iterable[U8]) -> I64:
    """A number for each picture, the same for the same pixels alone.

    >>> first, second, again = digests([np.zeros((2, 2, 3), np.uint8), np.ones((2, 2, 3), np.uint8)] * 2)[:3].tolist()
    >>> first == again, first == second
    (True, False)
    """
    return np.array([_digest(image) for image in images], dtype=np.int64)


def _digest(image: U8) -> int:
    content = hashlib.blake2b(repr(image.shape).encode(), digest_size=8)
    content.update(np.ascontiguousarray(image).data)
    return int.from_bytes(content.digest(), "little", signed=True)


@dataclass
class WatchedSource:
    """A source that notes the digest of each picture it hands out.

    Attributes:
        source: The pictures.
        seen: Digests of the pictures of the last pass, batch by batch.
    """

    source: ImageSource
    seen: list[I64] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The source's."""
        return self.source.name

    @property
    def identity(self) -> Mapping[str, Any]:
        """The source's."""
        return self.source.identity

    def batches(self, size: int) -> Iterator[ImageBatch]:
        """The source's, noted as they pass."""
        self.seen = []
        for batch in self.source.batches(size):
            self.seen.append(digests(batch.images))
            yield batch

    def digests(self) -> I64:
        """Of all pictures of the last pass, or of one made for it."""
        if not self.seen:
            for _ in self.batches(256):
                pass
        return np.concatenate(self.seen)


@dataclass(frozen=True)
class WatchedRanges:
    """Range-setting data whose pictures are noted as they are drawn."""

    draws: RangeSetting
    note: Note

    def identity(self, count: int, draw: int) -> Mapping[str, Any]:
        """The draw's."""
        return self.draws.identity(count, draw)

    def __call__(self, count: int, draw: int) -> CaptionedImages:
        """The draw, noted."""
        found = self.draws(count, draw)
        drawn = digests(found.images)
        require_same(f"range setting, draw {draw}", self.note(self.identity(count, draw), lambda: drawn), drawn)
        return found


def require_same(where: str, kept: I64, seen: I64) -> None:
    """Refuse pictures that are other ones than at their first pass.

    Raises:
        DataError: The first such picture is named.
    """
    if len(kept) == len(seen) and (kept == seen).all():
        return
    same = min(len(kept), len(seen))
    differ = np.flatnonzero(kept[:same] != seen[:same])
    raise DataError(
        where=f"{where}, picture {int(differ[0]) if len(differ) else same}",
        what="a second pass over these pictures gave other pixels, or another number of them",
        got=f"{len(differ)} of {same} differ, {len(kept)} and {len(seen)} pictures",
        next="a source hands out the same pictures in the same order each time: switch random augmentation off, and "
        "empty the cache if the pictures were changed on purpose",
    )


def require_unfamiliar(task: str, unfamiliar: I64, familiar: I64) -> None:
    """Refuse an OOD task whose unfamiliar pictures are familiar ones.

    Raises:
        DataError: More than ``ALIKE`` of them are.
    """
    shared = _shared(unfamiliar, familiar)
    if shared > ALIKE:
        raise DataError(
            where=f"task {task}", what="the same pictures are familiar and unfamiliar ones",
            got=f"{shared:.1%} of the unfamiliar pictures", next="name another set, or other classes, for one of them",
        )  # fmt: skip


def require_apart(where: str, drawn: I64, evaluated: I64) -> None:
    """Refuse range-setting pictures that are evaluated too, or are hardly different ones.

    Raises:
        DataError: More than ``ALIKE`` of them are evaluated, or less than half are different.
    """
    shared, different = _shared(drawn, evaluated), len(np.unique(drawn))
    if shared > ALIKE:
        raise DataError(
            where=where, what="pictures that ranges are set on are also evaluated", got=f"{shared:.1%} of {len(drawn)}",
            next="set ranges on a train split, or on pictures that are set aside",
        )  # fmt: skip
    if different * 2 < len(drawn):
        raise DataError(
            where=where, what="ranges are set on different pictures, and most of these are repeated",
            got=f"{different} different pictures of {len(drawn)}", next="see what the data set hands out for them",
        )  # fmt: skip


def require_another_draw(where: str, drawn: I64, first: I64) -> None:
    """Refuse a draw that ignores its seed.

    Raises:
        DataError: Its pictures are those of seed 0, in their order.
    """
    if len(drawn) == len(first) and (drawn == first).all():
        raise DataError(
            where=where, what="another seed draws the same range-setting pictures, so it is ignored",
            got="the pictures of seed 0", next="let the data set's draw depend on the seed, or evaluate one seed only",
        )  # fmt: skip


def _shared(some: I64, others: I64) -> float:
    found: NDArray[np.bool_] = np.isin(some, others)
    return float(found.mean()) if len(some) else 0.0
