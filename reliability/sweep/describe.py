"""What a grid holds, in a few words."""

from __future__ import annotations

from reliability.sweep.grid import Grid

_NAMED = 3


def described(grid: Grid) -> str:
    """Counts of a grid, and the candidates it leaves out as copies of others."""
    models, recipes, tasks = (
        len({getter(unit) for unit in grid.units})
        for getter in (lambda u: (u.data, u.model.name), lambda u: u.recipe.name, lambda u: (u.data, u.task))
    )
    text = f"{grid.runs:,} runs: {models} models, {recipes} recipes, {tasks} tasks, {len(grid.units):,} units"
    if not grid.copies:
        return text
    shown = ", ".join(grid.copies[:_NAMED]) + (" ..." if len(grid.copies) > _NAMED else "")
    return f"{text}\n{len(grid.copies)} candidates left out as copies of others: {shown}"
