"""What the cases of a run read from the cache."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from reliability.claims.cases import Case
from reliability.evaluate.comparison.counted import COUNTED
from reliability.evaluate.engine import Engine
from reliability.evaluate.running.need import Need
from reliability.quant.recipe import FP32, Recipe
from reliability.session.gate import GateSession, needs_fit
from reliability.types import Task, TaskGroup


def needs_of(session: GateSession, cases: Iterable[Case]) -> Iterator[Need]:
    """What some cases read, and the floors of all references."""
    for case in cases:
        yield from _of_case(session.engine, case)
    for model in session.plan.models:
        for floor in session.thresholds.floors_for(model.name):
            yield from session.engine.needs(model, FP32, session.data.task(floor.task))


def all_cases(session: GateSession) -> Iterator[Case]:
    """The cases of every claim that the threshold file speaks of."""
    for claim in {bound.claim for bound in session.thresholds.bounds}:
        yield from session.plan.cases(claim)


def _of_case(engine: Engine, case: Case) -> Iterator[Need]:
    recipe = case.recipe
    for task in _tasks(case.task):
        yield from engine.needs(case.model, recipe, task, fit=needs_fit(case))
        if isinstance(recipe, Recipe) and recipe.backend:
            yield from engine.needs(case.model, recipe, task, against=recipe.simulated)
    if isinstance(recipe, Recipe) and not recipe.is_float:
        yield Need("prepared", case.model, recipe)
    if isinstance(recipe, Recipe) and case.bound.metric in COUNTED:
        yield Need("proof", case.model, recipe)


def _tasks(task: Task | TaskGroup) -> tuple[Task, ...]:
    if isinstance(task, Task):
        return (task,)
    return task.tasks if task.clean is None else (task.clean, *task.tasks)
