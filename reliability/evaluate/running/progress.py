"""What a person at a terminal sees while pictures are embedded; nothing, unless somebody asks for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Protocol

from reliability.data.collection import LabelledSource
from reliability.data.corruptions.source import CorruptedSource
from reliability.data.scenes.source import SceneSource
from reliability.types import ImageBatch, ImageSource


class Screen(Protocol):
    """What a bar is drawn on."""

    def write(self, text: str, /) -> object:
        """Draw."""
        ...

    def flush(self) -> None:
        """Draw now."""
        ...


class Progress:
    """Shows nothing; the base of what shows something."""

    def watched(self, what: str, source: ImageSource, count: int | None) -> ImageSource:  # noqa: ARG002
        """A source that is about to be read, and shows how far that is.

        Args:
            what: It is read for.
            source: To be read.
            count: Of its pictures, where it is known.
        """
        return source

    def busy(self, what: str) -> AbstractContextManager[Any]:  # noqa: ARG002
        """Around something that takes time and has no steps to count."""
        return nullcontext()


SILENT = Progress()


@dataclass(frozen=True)
class Bars(Progress):
    """Bars that vanish when they are done.

    Attributes:
        screen: Where they are drawn.
        width: In characters.
    """

    screen: Screen
    width: int

    def watched(self, what: str, source: ImageSource, count: int | None) -> ImageSource:
        """The source, with a bar of its pictures while it is read."""
        return _Watched(source, count, what, self)

    def busy(self, what: str) -> AbstractContextManager[Any]:
        """One line that says what is done."""
        line: AbstractContextManager[Any] = self.bar(what, bar_format="{desc}")
        return line

    def bar(self, what: str, **settings: Any) -> Any:
        """One line, drawn a few times a second at most."""
        from tqdm import tqdm

        return tqdm(desc=what, file=self.screen, leave=False, mininterval=0.3, ncols=self.width, **settings)


@dataclass(frozen=True)
class _Watched:
    source: ImageSource
    count: int | None
    what: str
    bars: Bars

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def identity(self) -> Mapping[str, Any]:
        return self.source.identity

    def batches(self, size: int) -> Iterator[ImageBatch]:
        with self.bars.bar(self.what, total=self.count, unit=" pictures") as bar:
            for batch in self.source.batches(size):
                yield batch
                bar.update(len(batch.ids))


def count_of(source: ImageSource) -> int | None:
    """How many pictures a source has, where that is known before they are read."""
    if isinstance(source, SceneSource):
        return source.count
    if isinstance(source, LabelledSource):
        return len(source.rows)
    return count_of(source.base) if isinstance(source, CorruptedSource) else None
