"""Stored labelled pictures of any layout, and what is made of them.

A layout supplies a :class:`Collection`; sources, hold-outs and range-setting
draws follow from it here and are the same for every layout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from itertools import islice
from typing import Any, Protocol

import numpy as np

from reliability.data.counter_rng import keys_for_ids
from reliability.data.parallel import decoders, in_order
from reliability.data.prompts import captions_from_prompts
from reliability.errors import DataError
from reliability.types import I64, U8, CaptionedImages, ImageBatch, PromptSet, Strings


@dataclass(frozen=True)
class Index:
    """What is known of a collection's pictures without decoding them, in storage order.

    Attributes:
        ids: [N] names, unique in the collection.
        labels: [N] class, -1 where there is none.
        groups: [N] group number, -1 where there is none; None where there are no groups at all.
    """

    ids: Strings
    labels: I64
    groups: I64 | None = None

    def at(self, rows: I64) -> Index:
        """The same facts about some of the pictures."""
        return Index(self.ids[rows], self.labels[rows], None if self.groups is None else self.groups[rows])


Pending = Callable[[], U8]
"""A picture that has been found and waits to be decoded, in any thread."""


class Collection(Protocol):
    """Pictures with labels in a fixed order, of which any rows can be read.

    Two methods more are used where a collection has them: ``pending(rows)``, like
    ``read`` but of :data:`Pending` pictures, so that several are decoded at once; and
    ``identity_of(rows)``, what those pictures alone are, where hashing all is too much.
    """

    @property
    def identity(self) -> Mapping[str, Any]:
        """What the pictures are, by content; found without decoding any."""
        ...

    @property
    def index(self) -> Index:
        """Names and labels, found without decoding a picture; cached."""
        ...

    def read(self, rows: I64) -> Iterator[U8]:
        """Decode the pictures at increasing rows, one at a time."""
        ...


def pending(collection: Collection, rows: I64) -> Iterator[Pending]:
    """Pictures at increasing rows, decoded when called where the collection allows it."""
    deferred = getattr(collection, "pending", None)
    if deferred is not None:
        yield from deferred(rows)
        return
    for image in collection.read(rows):
        yield partial(np.asarray, image)


def identity_of(collection: Collection, rows: Callable[[], I64]) -> Mapping[str, Any]:
    """What the pictures at those rows are, or the whole collection where that is known as quickly.

    The rows are asked for only where they matter: finding them can mean reading every label.
    """
    of_rows = getattr(collection, "identity_of", None)
    return dict(collection.identity if of_rows is None else of_rows(rows()))


def spread(ids: Strings, count: int, purpose: str, draw: int = 0) -> I64:
    """Rows of ``count`` pictures drawn by name, increasing.

    A file is often sorted by class, so its first pictures show few of them. The
    smallest hashed names are a fair draw that depends on no order, and a larger
    count adds pictures to a smaller one.
    """
    ranked = np.argsort(keys_for_ids(f"spread/{purpose}", draw, ids), kind="stable")
    return np.sort(ranked[:count])


def held_out_rows(ids: Strings, count: int) -> I64:
    """Rows set aside for range setting: ``count``, but at most a quarter of the pictures."""
    return spread(ids, min(count, len(ids) // 4), "range-setting")


@dataclass(frozen=True)
class LabelledSource:
    """Pictures of a collection as an image source.

    Attributes:
        name: Unique within a data set.
        collection: Where they are.
        held_out: Pictures set aside for range setting, which this source never shows.
        limit: Keeps that many, drawn by name; None keeps all.
    """

    name: str
    collection: Collection
    held_out: int = 0
    limit: int | None = None

    @cached_property
    def identity(self) -> Mapping[str, Any]:
        """Content of the collection and which of its pictures are shown."""
        return {
            "kind": "labelled",
            "collection": identity_of(self.collection, lambda: self.rows),
            "held_out": self.held_out,
            "limit": self.limit,
        }

    def first(self, count: int) -> LabelledSource:
        """The same source with at most ``count`` pictures."""
        return replace(self, limit=count if self.limit is None else min(count, self.limit))

    @cached_property
    def rows(self) -> I64:
        """Rows of the collection that are shown, increasing."""
        ids = self.collection.index.ids
        rows = np.setdiff1d(np.arange(len(ids)), held_out_rows(ids, self.held_out))
        return rows if self.limit is None else rows[spread(ids[rows], self.limit, "limit")]

    def batches(self, size: int) -> Iterator[ImageBatch]:
        """Decode batch by batch, in storage order."""
        index, rows = self.collection.index, self.rows
        images = in_order(pending(self.collection, rows), decoders())
        for start in range(0, len(rows), size):
            part = index.at(rows[start : start + size])
            yield ImageBatch(
                images=list(islice(images, len(part.ids))),
                labels=part.labels,
                groups=np.full(len(part.ids), -1, dtype=np.int64) if part.groups is None else part.groups,
                ids=part.ids,
            )


@dataclass(frozen=True)
class LabelledRangeSetting:
    """Range-setting draws from a collection that is not evaluated, or from its hold-out.

    Attributes:
        collection: A training split, or the evaluated one where ``held_out`` > 0.
        prompts: Their templates and class names make the captions.
        held_out: As in the :class:`LabelledSource` that evaluates the same collection.
    """

    collection: Collection
    prompts: PromptSet
    held_out: int = 0

    def identity(self, count: int, draw: int) -> Mapping[str, Any]:
        """Everything a draw depends on."""
        return {
            "kind": "labelled-range",
            "collection": identity_of(self.collection, lambda: self._drawn(count, draw)),
            "prompts": asdict(self.prompts),
            "held_out": self.held_out,
            "count": count,
            "draw": draw,
        }

    def _drawn(self, count: int, draw: int) -> I64:
        ids = self.collection.index.ids
        pool = held_out_rows(ids, self.held_out) if self.held_out else np.arange(len(ids))
        if len(pool) < count:
            raise DataError(
                where="range setting",
                what=f"{count} pictures were asked for",
                got=f"{len(pool)} that no task evaluates",
                next="ask for fewer, or put a train split beside the test split",
            )
        return pool[spread(ids[pool], count, "range-draw", draw)]

    def __call__(self, count: int, draw: int) -> CaptionedImages:
        """``count`` pictures, captioned by their class.

        Raises:
            DataError: There are fewer than ``count`` pictures to draw from.
        """
        rows = self._drawn(count, draw)
        drawn = self.collection.index.at(rows)
        images = list(in_order(pending(self.collection, rows), decoders()))
        captions = captions_from_prompts(self.prompts, drawn.labels, drawn.ids, draw)
        return CaptionedImages(images, captions, self.identity(count, draw))
