"""Draw samples, compute limits by every method, and count how often they cover the truth."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from benchmarks.coverage import methods
from benchmarks.coverage.figures import Figure, Trial, offered
from benchmarks.coverage.populations import Population
from reliability.errors import UndefinedMetricError

SIZES = (250, 1000, 4000)
_SEEDS = 4
CLUSTERED = " of clusters"
"""Added to the name of a figure whose pictures are not independent."""


@dataclass
class Tally:
    """What became of one method's limits on one figure, population and n.

    Attributes:
        population, metric, method, n: What it is about.
        truth: The figure on the whole population.
        trials: Samples drawn.
        undefined: Samples on which the method gave no limits.
        lower_covers, upper_covers: Limits on the right side of the truth.
        passes: Samples where ``not_worse`` would hold at a margin equal to the truth.
        reach: Sum of the distances from the truth to the upper limit, signed.
    """

    population: str
    metric: str
    method: str
    n: int
    truth: float
    trials: int = 0
    undefined: int = 0
    lower_covers: int = 0
    upper_covers: int = 0
    passes: int = 0
    reach: float = 0.0

    def add(self, trial: Trial) -> None:
        """Compute limits on a sample and count them."""
        self.trials += 1
        try:
            limits = methods.METHODS[self.method](trial)
        except UndefinedMetricError:
            self.undefined += 1
            return
        self.lower_covers += limits.lower <= self.truth
        self.upper_covers += limits.upper >= self.truth
        self.passes += limits.upper <= self.truth
        self.reach += limits.upper - self.truth

    def row(self) -> dict[str, Any]:
        """Counts as shares: coverage where there are limits, passes among all samples."""
        defined = max(self.trials - self.undefined, 1)
        lower, upper = self.lower_covers / defined, self.upper_covers / defined
        return {
            **{name: value for name, value in asdict(self).items() if name not in ("lower_covers", "upper_covers")},
            "lower": lower,
            "upper": upper,
            "lower_error": float(np.sqrt(lower * (1.0 - lower) / defined)),
            "upper_error": float(np.sqrt(upper * (1.0 - upper) / defined)),
            "passes": self.passes / self.trials,
            "reach": self.reach / defined,
        }


@dataclass(frozen=True)
class Plan:
    """How much to simulate.

    Attributes:
        trials: Samples per population and n.
        sizes: The n to draw. For separation half of them are unfamiliar pictures.
        budget: Replicates times n; bounds the bootstrap where n is large.
        metrics: Names to study; empty for all.
        seed: Of the samples.
        report: Called with a line of progress.
    """

    trials: int = 1000
    sizes: tuple[int, ...] = SIZES
    budget: int = 2_000_000
    metrics: tuple[str, ...] = ()
    seed: int = 0
    report: Callable[[str], None] = field(default=print)

    def wanted(self, population: Population) -> list[Figure]:
        """Figures to study on a population."""
        return [figure for figure in offered(population) if not self.metrics or figure.metric in self.metrics]

    def replicates(self, n: int) -> int:
        """As many as the budget allows, 1,000 at most: coverage is an average over them."""
        return max(100, min(1000, self.budget // n))


def study(populations: Iterable[Population], plan: Plan) -> list[dict[str, Any]]:
    """Rows of results, one for each population, figure, n and method."""
    rows: list[dict[str, Any]] = []
    for index, population in enumerate(populations):
        chosen = plan.wanted(population)
        if not chosen:
            continue
        started = time.perf_counter()
        truths = {figure: figure.value(population) for figure in chosen}
        for n in plan.sizes:
            rng = np.random.default_rng([plan.seed, index, n])
            rows += _at_size(population, truths, n, rng, plan)
        plan.report(f"{population.name}: {time.perf_counter() - started:.0f} s")
    return rows


def _at_size(
    population: Population, truths: dict[Figure, float], n: int, rng: np.random.Generator, plan: Plan
) -> list[dict[str, Any]]:
    clustered = CLUSTERED if population.versions > 1 and not population.corrupted else ""
    tallies = [
        (figure, Tally(population.name, figure.name + clustered, method, n, truth))
        for figure, truth in truths.items()
        for method in methods.offered(population, figure.metric)
    ]
    for index in range(plan.trials):
        sample = population.sample(rng, n)
        # A few seeds, so that the weights of resamples come from their cache.
        trials = {figure: Trial(figure, sample, plan.replicates(n), index % _SEEDS) for figure in truths}
        for figure, tally in tallies:
            tally.add(trials[figure])
    return [tally.row() for _, tally in tallies]
