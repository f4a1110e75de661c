"""What running a candidate costs against its reference: size, latency, throughput."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from reliability.errors import UndefinedMetricError, UsageError
from reliability.stats.limits import interval
from reliability.types import F64, Comparison, Interval

FEWEST_ROUNDS, MOST_ROUNDS = 10, 60
_BUDGET_S = 5.0
_MIB = 2**20

Work = Callable[[], object]


@dataclass(frozen=True)
class Times:
    """Both models run in turn, round by round.

    Attributes:
        single, batch: [2, R] seconds of the reference and of the candidate, for one picture
            and for a batch of them.
        pictures: In a batch.
        setting: Where they ran, in words.
    """

    single: F64
    batch: F64
    pictures: int
    setting: str


@dataclass(frozen=True)
class Costs:
    """What both models cost, measured when it is first asked for and never kept for another run.

    Attributes:
        sizes: Gives the bytes of all tensors of the reference and of the candidate, as they are stored.
        timing: Gives times of this machine, now.
    """

    sizes: Callable[[], tuple[int, int]]
    timing: Callable[[], Times]

    @cached_property
    def times(self) -> Times:
        """The times, measured once."""
        return self.timing()


@dataclass(frozen=True)
class Cost:
    """One figure of what models cost.

    Attributes:
        direction: Whether higher or lower is better.
        unit: ``ms``, ``images/s``, ``ratio`` or ``MiB``.
        summary: One sentence.
        rows: Which times it is about; empty for a size.
        of: Seconds of the reference and of the model in question, [..., R] each, and the
            pictures in a batch, to values [...]; None for a size.
    """

    direction: Literal["higher", "lower"]
    unit: str
    summary: str
    rows: Literal["single", "batch", ""] = ""
    of: Callable[[F64, F64, int], F64] | None = None


def _median(values: F64) -> F64:
    middle: F64 = np.median(values, axis=-1)
    return middle


COSTS: Mapping[str, Cost] = {
    "stored_mib": Cost("lower", "MiB", "Size of all tensors of a model as they are stored, whichever kernels run it."),
    "latency_ms": Cost(
        "lower", "ms", "Median time for one picture, both models run in turn.",
        "single", lambda _, own, __: 1000.0 * _median(own),
    ),
    "latency_ratio": Cost(
        "lower", "ratio", "Median over rounds of the time for one picture over the reference's in the same round.",
        "single", lambda reference, own, _: _median(own / reference),
    ),
    "images_per_second": Cost(
        "higher", "images/s", "Pictures per second at the gate's batch, from the median time.",
        "batch", lambda _, own, pictures: pictures / _median(own),
    ),
    "throughput_ratio": Cost(
        "higher", "ratio", "Median over rounds of pictures per second over the reference's in the same round.",
        "batch", lambda reference, own, _: _median(reference / own),
    ),
}  # fmt: skip
"""Name as in threshold files to figure; a new one is an entry here."""


def measured_cost(name: str, score: str, costs: Costs, level: float, seed: int, replicates: int) -> Comparison:
    """A cost of both models.

    Args:
        name: A key of ``COSTS``.
        score: Must be empty.
        costs: Of both.
        level: Confidence of each one-sided limit.
        seed, replicates: Of the resampling of rounds.

    Raises:
        UsageError: A score was named.
        UndefinedMetricError: A time is not positive.

    Conventions:
        Limits resample rounds, the same ones for both models, and speak of these rounds on
        this machine: another machine, or the same one under another load, is another
        matter. A size is counted, and its limits are the size.
    """
    if score:
        raise UsageError(
            where=f"metric {name}", what="this figure takes no score", got=f"score {score!r}", next="remove the score"
        )
    if COSTS[name].of is None:
        return _stored(name, costs.sizes(), level)
    return _timed(name, costs.times, level, seed, replicates)


def _stored(name: str, sizes: tuple[int, int], level: float) -> Comparison:
    reference, candidate = (size / _MIB for size in sizes)
    first, second, harm = (Interval(x, x, x, level, 0.0) for x in (reference, candidate, candidate - reference))
    return Comparison(name, "", first, second, harm, n=1, seed=0, method="counted")


def _timed(name: str, times: Times, level: float, seed: int, replicates: int) -> Comparison:
    figure, seconds = COSTS[name], getattr(times, COSTS[name].rows)
    if not (np.isfinite(seconds) & (seconds > 0)).all():
        raise UndefinedMetricError(
            where=f"metric {name}", what="a time is not a positive number of seconds", got=float(seconds.min()),
            next="run again; is the clock of this machine being set?",
        )  # fmt: skip
    rounds = seconds.shape[1]
    chosen = np.random.default_rng(seed).integers(0, rounds, (replicates, rounds))
    values, draws = (_both(figure, rows, times.pictures) for rows in (seconds, seconds[:, chosen]))
    sign = 1.0 if figure.direction == "lower" else -1.0
    harms = [sign * (own - reference) for reference, own in (values, draws)]
    pictures = rounds * (times.pictures if figure.rows == "batch" else 1)
    return Comparison(
        metric=name,
        score="",
        reference=interval(float(values[0]), draws[0], level),
        candidate=interval(float(values[1]), draws[1], level),
        harm=interval(float(harms[0]), harms[1], level),
        n=pictures,
        seed=seed,
        details={"rounds": rounds, "batch": times.pictures, "setting": times.setting},
        method=f"{rounds} rounds in turn on {times.setting}, paired bootstrap of {replicates:,}",
    )


def _both(figure: Cost, seconds: F64, pictures: int) -> tuple[F64, F64]:
    assert figure.of is not None
    reference, candidate = seconds
    return figure.of(reference, reference, pictures), figure.of(reference, candidate, pictures)


def in_turn(
    reference: Work, candidate: Work, budget_s: float = _BUDGET_S, clock: Callable[[], float] = time.perf_counter
) -> F64:
    """Time two pieces of work in turn.

    Args:
        reference, candidate: Return when their work is done.
        budget_s: After so many seconds no further round begins, once there are ``FEWEST_ROUNDS``.
        clock: Seconds from anywhere.

    Returns:
        [2, R] seconds, R from ``FEWEST_ROUNDS`` to ``MOST_ROUNDS``.

    Conventions:
        Both run once before any round. Which goes first changes from round to round, so
        that neither always finds the other's data in the processor's cache.
    """
    works = (reference, candidate)
    for work in works:
        work()
    started, rows = clock(), list[list[float]]()
    while len(rows) < FEWEST_ROUNDS or (len(rows) < MOST_ROUNDS and clock() - started < budget_s):
        row = [0.0, 0.0]
        for index in (0, 1) if len(rows) % 2 == 0 else (1, 0):
            before = clock()
            works[index]()
            row[index] = clock() - before
        rows.append(row)
    return np.array(rows).T
