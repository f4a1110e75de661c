"""What all kinds of workers have in common."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Protocol, TypeVar

from reliability.errors import ReliabilityError


class Item(Hashable, Protocol):
    """What one task is about.

    Attributes:
        name: For messages.
    """

    @property
    def name(self) -> str:
        """For messages."""
        ...


SharedT = TypeVar("SharedT")
ItemT = TypeVar("ItemT", bound=Item)
ResultT = TypeVar("ResultT")


class WorkerDiedError(ReliabilityError):
    """A worker ended without a result, each time."""


class Workers(Protocol):
    """Does tasks, several at a time."""

    def each(
        self,
        do: Callable[[SharedT, ItemT], ResultT],
        shared: SharedT,
        items: Sequence[ItemT],
        *,
        on_device: bool = False,
    ) -> Iterator[tuple[ItemT, ResultT]]:
        """Each item with what ``do(shared, item)`` gave, as they are finished.

        Args:
            do: A function of a module, which may be called twice for an item under which a
                worker died: it must leave what is finished alone.
            shared: The same for all items.
            items: In the order in which they are started.
            on_device: Whether a task runs models, and so needs its share of a GPU.

        Raises:
            ReliabilityError: What a task raised; finished ones stay.
            WorkerDiedError: Workers died, say for want of memory, over and over.
        """
        ...
