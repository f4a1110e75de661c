"""What one process of a sweep does: embed and measure chunks of units, one after another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from reliability.data.registry import open_data
from reliability.evaluate.cache import Cache
from reliability.evaluate.engine import Engine
from reliability.metrics.scores import SCORES
from reliability.sweep.grid import Unit
from reliability.sweep.measure import Figure, Measurer
from reliability.sweep.rows import FOLDER, write_rows


@dataclass(frozen=True)
class Place:
    """Where a sweep works, the same for all its processes; sent to each.

    Attributes:
        out: The sweep's folder.
        cache: Where embeddings are kept.
        data_root, limit: As of the plan and the command line.
        level: Of limits.
        device: A torch device.
        threads: Torch threads of each process.
    """

    out: Path
    cache: Path
    data_root: Path | None
    limit: int | None
    level: float
    device: str = "cpu"
    threads: int = 1


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
    return write_rows(place.out / FOLDER / chunk.name, _measured(place, chunk))


def _measured(place: Place, chunk: Chunk) -> Iterator[tuple[Unit, Figure]]:
    measurer = _measurer(place)
    for unit in chunk.units:
        engine = _engine(place, unit.data)
        fit = any(q.score and "training" in SCORES[q.score].needs for q in unit.questions)
        pair = engine.pair(unit.model, unit.recipe, engine.data.task(unit.task), fit=fit)
        figures = measurer.figures(pair, unit.questions, (unit.data, unit.model.name, unit.task))
        yield from ((unit, figure) for figure in figures)


# Models and opened data outlive a chunk: the next one mostly needs the same.
@lru_cache(maxsize=4)
def _engine(place: Place, data: str) -> Engine:
    from threadpoolctl import threadpool_limits

    threadpool_limits(place.threads)
    return Engine(Cache(place.cache), open_data(data, place.data_root, place.limit), place.device, place.threads)


@lru_cache(maxsize=1)
def _measurer(place: Place) -> Measurer:
    return Measurer(place.level)
