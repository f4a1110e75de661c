"""The record a benchmark is registered as, and how one is found below a data root."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from reliability.data.assemble import Evaluated, Training
from reliability.errors import DataError


def no_training(_: Path) -> Training | None:
    """For benchmarks without pictures that are never evaluated."""
    return None


@dataclass(frozen=True)
class Benchmark:
    """A published set.

    Attributes:
        name: As in ``--data``, such as ``"imagenet-a"``.
        tasks: What it is evaluated as, such as ``"shift/imagenet-a"``.
        places: Folders below the data root where it may lie; it goes to the first.
        holds: Pictures and classes, in words.
        size: What it takes on disk, in words.
        licence: Terms, in a few words; the publisher's page has the last word.
        get: Where it comes from.
        evaluated: What is evaluated, given the place where it lies.
        training: Pictures for range setting that are never evaluated, given the place.
        base: Benchmark whose training pictures serve this one too, and which OOD sets
            are told from.
        needs_base: Whether it means nothing without the base.
        twin: Whether its pictures are the base's, damaged.
    """

    name: str
    tasks: str
    places: tuple[str, ...]
    holds: str
    size: str
    licence: str
    get: str
    evaluated: Callable[[Path], list[Evaluated]]
    training: Callable[[Path], Training | None] = no_training
    base: str = ""
    needs_base: bool = False
    twin: bool = False

    def find(self, root: Path) -> Path | None:
        """Where it lies below a root; None where it does not."""
        return next((root / place for place in self.places if (root / place).exists()), None)

    def missing(self, root: Path) -> str:
        """One line on where it goes and how to get it."""
        return f"{self.name} is not there: put it at {root / self.places[0]} ({self.size}; {self.get})"

    def require(self, root: Path) -> Path:
        """Where it lies.

        Raises:
            DataError: It is not there; says where it goes.
        """
        found = self.find(root)
        if found is None:
            raise DataError(
                where=str(root), what=f"benchmark {self.name} is not there",
                got="looked for " + ", ".join(self.places),
                next=f"put it at {root / self.places[0]} ({self.size}; {self.get}), or name its folder's parent with "
                "--data-root; reliability doctor lists all",
            )  # fmt: skip
        return found


def registry(*families: tuple[Benchmark, ...]) -> Mapping[str, Benchmark]:
    """Benchmarks of all families by name."""
    return {benchmark.name: benchmark for family in families for benchmark in family}
