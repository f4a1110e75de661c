"""What one process of a sweep does: measure chunks of units, one after another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from reliability.evaluate.filling.fill import Site, engine_at
from reliability.evaluate.storage.store import Location, open_store
from reliability.models.spec import ModelSpec
from reliability.quant.recipe import Recipe
from reliability.sweep.grid import Unit
from reliability.sweep.measure import Figure, Measurer
from reliability.sweep.rows import FOLDER, write_rows


@dataclass(frozen=True)
class Place:
    """Where a sweep works, the same for all its processes; sent to each.

    Attributes:
        out: The sweep's folder or URL.
        cache: Where embeddings are kept.
        data_root, limit: As of the plan and the command line.
        level: Of limits.
        device: A torch device.
        threads: Torch threads of each process.
        folder: Where relative paths start, on machines that have it.
        refused: Why candidates cannot be had, which their rows say.
    """

    out: Location
    cache: Location
    data_root: Path | None
    limit: int | None
    level: float
    device: str = "cpu"
    threads: int = 1
    folder: Path = Path()
    refused: Mapping[tuple[ModelSpec, Recipe], str] = field(default_factory=dict)

    def site(self, data: str) -> Site:
        """Where some of its data are embedded."""
        return Site(
            self.cache, data, self.data_root, self.limit, device=self.device, threads=self.threads, folder=self.folder
        )


@dataclass(frozen=True)
class Chunk:
    """Units of one model that become one file.

    Attributes:
        name: Of the file, below the folder of rows.
    """

    name: str
    units: tuple[Unit, ...]

    @property
    def runs(self) -> int:
        """Number of evaluation runs."""
        return sum(len(unit.questions) for unit in self.units)


def work(place: Place, chunk: Chunk) -> int:
    """Measure a chunk and write its rows; returns their number.

    Raises:
        ReliabilityError: A model, data set or folder is at fault. A metric without a value is
            no error here: its row says why.
    """
    return write_rows(open_store(place.out, "--out"), f"{FOLDER}/{chunk.name}", _measured(place, chunk))


def _measured(place: Place, chunk: Chunk) -> Iterator[tuple[Unit, Figure]]:
    measurer = _measurer(place.level)
    for unit in chunk.units:
        why = place.refused.get((unit.model, unit.recipe))
        if why is not None:
            yield from ((unit, Figure(question, 0, undefined=why)) for question in unit.questions)
            continue
        site = place.site(unit.data)
        engine = engine_at(site)
        pair = engine.pair(unit.model, unit.recipe, engine.data.task(unit.task), fit=unit.fits)
        figures = measurer.figures(pair, unit.questions, (site, unit.model, unit.task))
        yield from ((unit, figure) for figure in figures)


# What references scored outlives a chunk: the next one mostly asks the same.
@lru_cache(maxsize=1)
def _measurer(level: float) -> Measurer:
    return Measurer(level)
