"""Have in the cache what the claims read, on all cores, before any of them is judged."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from reliability.errors import QuantizationError, ReliabilityError
from reliability.evaluate.filling.fill import Site, engine_at, meet, outstanding
from reliability.evaluate.filling.workers.workers import Workers
from reliability.evaluate.running.inside import INSIDE
from reliability.evaluate.running.need import Need
from reliability.models.spec import ModelSpec
from reliability.quant.recipe import FP32, Recipe
from reliability.study.bench import reason
from reliability.study.names import BITS, NARROW, NOISE_ARM, PTQ, QAT, ROTATED

LAYERED = (FP32.name, *(f"{bits}-{method}" for bits in BITS for method in (PTQ, QAT, NOISE_ARM)), f"{NARROW}-{ROTATED}")
"""Candidates whose layers are looked into."""
WEIGHED = tuple(name for name in LAYERED if name != FP32.name and not name.endswith(ROTATED))
"""Candidates whose weights are compared with FP32's; a rotation leaves no common basis."""

Refused = Mapping[ModelSpec, Mapping[str, str]]
"""Of each model the recipes that it does not take, with the reason."""


@dataclass(frozen=True)
class Wanted:
    """One candidate and where it is judged.

    Attributes:
        tasks: Names.
    """

    model: ModelSpec
    recipe: Recipe
    tasks: tuple[str, ...]


def fill(
    site: Site, wanted: Sequence[Wanted], workers: Workers, progress: Callable[[int], Callable[[], object]]
) -> Refused:
    """Prepare every candidate, then embed it and look into it.

    Args:
        site: Data and cache.
        wanted: Of the plan.
        workers: Who does it.
        progress: Told how many steps a stage has, it gives what to call after each.

    Returns:
        What was refused: a tower without the structure that a recipe rewrites is no fault.

    Raises:
        ReliabilityError: An embedding that cannot be had, of a candidate that was prepared.
    """
    candidates = sorted((one for one in wanted if not one.recipe.is_float), key=lambda one: one.recipe.qat is None)
    prepared = [Need("prepared", one.model, one.recipe) for one in candidates]  # the trainings, which last, first
    refused: dict[ModelSpec, dict[str, str]] = {one.model: {} for one in wanted}
    for need, fault in _met(site, [prepared], workers, progress):
        if isinstance(fault, QuantizationError):
            refused[need.model][need.candidate.name] = reason(fault)
        elif fault is not None:
            raise fault
    taken = [one for one in wanted if one.recipe.name not in refused[one.model]]
    for need, fault in _met(site, outstanding(site, _needs(site, taken)), workers, progress):
        # A tower whose layers are not known has no findings about them, which say so.
        if fault is not None and need.kind not in INSIDE:
            raise fault
    return refused


def _met(
    site: Site, waves: Sequence[Sequence[Need]], workers: Workers, progress: Callable[[int], Callable[[], object]]
) -> Iterator[tuple[Need, ReliabilityError | None]]:
    advance = progress(sum(map(len, waves)))
    for need, fault in meet(site, waves, workers):
        advance()
        yield need, fault


def _needs(site: Site, wanted: Sequence[Wanted]) -> Iterator[Need]:
    engine = engine_at(site)
    inside = engine.data.task("id").part.source
    for one in wanted:
        for name in one.tasks:
            if name in engine.data.tasks:
                yield from engine.needs(one.model, one.recipe, engine.data.task(name))
        if one.recipe.name in WEIGHED:
            yield Need("weights", one.model, one.recipe)
        if one.recipe.name in LAYERED:
            yield Need("layers", one.model, one.recipe, source=inside)
            yield Need("layers", one.model, FP32, source=inside)
