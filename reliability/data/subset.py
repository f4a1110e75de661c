"""A collection without some of its pictures, or some of its classes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from reliability.data.collection import Collection, Index, Pending, identity_of, pending
from reliability.types import I64, U8


@dataclass(frozen=True)
class Subset:
    """Some pictures of another collection, in its order.

    Attributes:
        collection: The whole.
        left_out: Gives the rows of it that are not shown; called once, when first needed.
    """

    collection: Collection
    left_out: Callable[[], I64]

    @cached_property
    def _rows(self) -> I64:
        return np.setdiff1d(np.arange(len(self.collection.index.ids)), self.left_out())

    @cached_property
    def index(self) -> Index:
        """Names and labels of the pictures that are shown."""
        return self.collection.index.at(self._rows)

    @property
    def identity(self) -> Mapping[str, Any]:
        """The whole, and which rows of it are shown."""
        return self.identity_of(np.arange(len(self._rows)))

    def identity_of(self, rows: I64) -> Mapping[str, Any]:
        """Some of the pictures, and which rows of the whole all are."""
        shown = hashlib.sha256(self._rows.astype("<i8").tobytes()).hexdigest()
        return {"kind": "subset", "of": identity_of(self.collection, lambda: self._rows[rows]), "rows": shown}

    def pending(self, rows: I64) -> Iterator[Pending]:
        """The pictures at increasing rows, yet to be decoded."""
        return pending(self.collection, self._rows[rows])

    def read(self, rows: I64) -> Iterator[U8]:
        """Decode the pictures at increasing rows, one at a time."""
        return (picture() for picture in self.pending(rows))


@dataclass(frozen=True)
class OfClasses:
    """The pictures of some classes of a collection, in its order.

    Attributes:
        collection: The whole.
        classes: Its labels that are shown; they become 0, 1, ... in this order.
        known: Without it the pictures are of no class: their labels are -1.
    """

    collection: Collection
    classes: tuple[int, ...]
    known: bool = True

    @cached_property
    def _shown(self) -> Subset:
        return Subset(self.collection, lambda: np.flatnonzero(~np.isin(self.collection.index.labels, self.classes)))

    @cached_property
    def index(self) -> Index:
        """Names and new labels of the pictures that are shown."""
        found = self._shown.index
        order = np.argsort(self.classes)
        numbers = order[np.searchsorted(self.classes, found.labels, sorter=order)]
        return Index(found.ids, numbers if self.known else np.full(len(found.ids), -1), found.groups)

    @property
    def identity(self) -> Mapping[str, Any]:
        """The whole, and which classes of it are shown as what."""
        return self.identity_of(np.arange(len(self.index.ids)))

    def identity_of(self, rows: I64) -> Mapping[str, Any]:
        """Some of the pictures, and which classes of the whole all are."""
        return {"kind": "classes", "of": self._shown.identity_of(rows), "classes": self.classes, "known": self.known}

    def pending(self, rows: I64) -> Iterator[Pending]:
        """The pictures at increasing rows, yet to be decoded."""
        return self._shown.pending(rows)

    def read(self, rows: I64) -> Iterator[U8]:
        """Decode the pictures at increasing rows, one at a time."""
        return self._shown.read(rows)
