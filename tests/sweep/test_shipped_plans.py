"""The plans that come with the project."""

from __future__ import annotations

from pathlib import Path

import pytest

from reliability.models.spec import parse_model
from reliability.quant.recipe import parse_recipe
from reliability.sweep.grid import expand
from reliability.sweep.plan import load_plan

PLANS = Path(__file__).parents[2] / "plans"


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.toml")), ids=lambda path: path.stem)
def test_every_plan_is_read_and_names_models_and_recipes_that_exist(path: Path) -> None:
    for grid in load_plan(path).candidates:
        assert all(parse_model(model) for model in grid.models)
        assert all(parse_recipe(recipe) for recipe in grid.recipes)


def test_the_large_plan_asks_for_seven_hundred_thousand_runs_no_two_of_them_alike() -> None:
    grid = expand(load_plan(PLANS / "scale-700k.toml"))
    runs = {(u.data, u.model.name, u.recipe.name, u.task, q.metric, q.score) for u in grid.units for q in u.questions}
    assert len(runs) == grid.runs >= 700_000
    assert not grid.copies


def test_the_paper_plan_has_ten_models_sixteen_methods_three_widths_and_both_tower_settings() -> None:
    (grid,) = load_plan(PLANS / "paper.toml").candidates
    names = [name.partition("-") for name in grid.recipes]
    assert len(grid.models) == 10
    assert {bits for bits, _, _ in names} == {"w8a8", "w6a8", "w4a8"}
    assert len({method for _, _, method in names}) == 16
    assert len(grid.recipes) == 3 * 16
    assert grid.towers == ("vision", "both")
