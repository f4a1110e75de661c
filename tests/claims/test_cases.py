from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from reliability.claims.bounds import Bound, Scope, ThresholdFile
from reliability.claims.cases import Plan, choose_recipes
from reliability.errors import ThresholdError, UsageError
from reliability.models.spec import ModelSpec, OwnCandidate
from reliability.quant.recipe import list_recipes, parse_recipe
from reliability.types import Part, PromptSet, Task

LISTED = ("w8a8-minmax", "w4a8-minmax", "w5a8-minmax-s2")
TASKS = {
    name: Task(name, Part("pictures"), PromptSet(("a", "b"), ("{c}",)))
    for name in ("id", "ood/near", "ood/far", "noise/fog/3")
}
MODELS = tuple(ModelSpec("zoo", name, name) for name in ("scenes-web", "scenes-clean"))


def names(*wanted: str) -> list[str]:
    return [recipe.name for recipe in choose_recipes(wanted, LISTED)]


def test_a_name_is_taken_as_it_stands_listed_or_not() -> None:
    assert names("w4a8-minmax", "w3a7-percentile-both-s9", "fp32") == ["w4a8-minmax", "w3a7-percentile-both-s9", "fp32"]
    assert choose_recipes(["w4a8-minmax"], ())[0] == parse_recipe("w4a8-minmax")


def test_a_glob_draws_from_the_files_list_and_the_built_in_one() -> None:
    assert names("w5*") == ["w5a8-minmax-s2"]
    built_in = [name for name in list_recipes() if name.startswith("w8a8-")]
    assert sorted(names("w8a8-*")) == sorted(name for name in built_in if "@" not in name)
    assert names("w?a8-minmax") == ["w8a8-minmax", "w4a8-minmax", "w6a8-minmax"]
    assert names("w[48]a8-minmax") == ["w8a8-minmax", "w4a8-minmax"]


def test_what_is_named_twice_is_run_once_in_the_order_first_named() -> None:
    assert names("w4a8-minmax", "w?a8-minmax", "w4a8-minmax") == ["w4a8-minmax", "w8a8-minmax", "w6a8-minmax"]
    assert names() == []


@pytest.mark.parametrize(
    ("pattern", "advice"), [("w8a8-minmx*", "close: w8a8-minmax"), ("zzz*", "reliability list recipes"), ("W8A8-*", "")]
)
def test_a_glob_that_matches_nothing_is_an_error(pattern: str, advice: str) -> None:
    with pytest.raises(UsageError, match="no known recipe matches") as caught:
        names("w8a8-minmax", pattern)
    assert caught.value.where == f"--recipes {pattern}"
    assert advice in caught.value.next


def test_a_users_own_recipe_is_taken_by_its_name_or_a_glob() -> None:
    own = {"gentle": replace(parse_recipe("w8a8-lsq"), name="gentle", range_images=64)}
    for wanted in ("gentle", "gen*"):
        (recipe,) = choose_recipes([wanted], LISTED, own)
        assert (recipe.name, recipe.range_images) == ("gentle", 64)


@pytest.mark.parametrize("name", ["w8a8", "w8a8-minmxa", "", " w8a8-minmax"])
def test_a_name_that_is_no_recipe_is_an_error(name: str) -> None:
    with pytest.raises(UsageError):
        names(name)


@pytest.fixture
def make_plan(make_bound: Callable[..., Bound]) -> Callable[..., Plan]:
    """A plan of two models, two recipes and four tasks; each bound by its changes."""

    def make(*changes: dict[str, object]) -> Plan:
        bounds = tuple(make_bound(index=index, **change) for index, change in enumerate(changes, start=1))
        file = ThresholdFile("t.toml", "0" * 64, LISTED, bounds, ())
        return Plan(file, MODELS, choose_recipes(LISTED[:2], LISTED), TASKS)

    return make


OOD = {"claim": "ood", "applies": Scope(task=("ood/*",)), "metric": "auroc", "score": "mcm"}


def test_a_case_is_every_meeting_of_model_recipe_task_and_bound(make_plan: Callable[..., Plan]) -> None:
    plan = make_plan({}, OOD, OOD | {"score": "energy"}, OOD | {"metric": "fpr95"})
    assert len(plan.cases("accuracy")) == 2 * 2 * 4
    assert len(plan.cases("ood")) == 2 * 2 * 2 * 3
    assert plan.cases("unheard_of") == []
    for case in plan.cases("ood"):
        assert case.bound.claim == case.claim == "ood"
        assert case.task.role == "ood"


def test_ids_are_unique_and_readable(make_plan: Callable[..., Plan]) -> None:
    plan = make_plan({}, OOD, OOD | {"score": "energy"}, OOD | {"metric": "fpr95"}, OOD | {"claim": "accuracy"})
    cases = plan.cases("accuracy") + plan.cases("ood")
    assert len({case.name for case in cases}) == len(cases)
    for claim in ("accuracy", "ood"):
        ids = [case.id for case in plan.cases(claim)]
        assert len(set(ids)) == len(ids)
    first = plan.cases("ood")[0]
    assert first.id == "scenes-web-w8a8-minmax-ood/near-auroc-mcm"
    assert first.name == "ood[scenes-web-w8a8-minmax-ood/near-auroc-mcm]"
    # A metric without a score leaves no trailing dash.
    assert plan.cases("accuracy")[0].id == "scenes-web-w8a8-minmax-id-top1"


def test_cases_of_one_candidate_stand_in_a_row(make_plan: Callable[..., Plan]) -> None:
    groups = [case.worker_group for case in make_plan({}, OOD).cases("accuracy")]
    changes = [group for group, before in zip(groups, [None, *groups], strict=False) if group != before]
    assert changes == [
        "scenes-web/w8a8-minmax",
        "scenes-web/w4a8-minmax",
        "scenes-clean/w8a8-minmax",
        "scenes-clean/w4a8-minmax",
    ]


def test_patterns_choose_models_and_recipes_too(make_plan: Callable[..., Plan]) -> None:
    scope = Scope(model=("*-web",), recipe=("w4*",), task=("id", "noise/*"))
    ids = [case.id for case in make_plan({"applies": scope}).cases("accuracy")]
    assert ids == ["scenes-web-w4a8-minmax-id-top1", "scenes-web-w4a8-minmax-noise/fog/3-top1"]


def test_a_model_of_the_users_own_has_no_case_about_what_runs_quantized(make_plan: Callable[..., Plan]) -> None:
    plan = make_plan({}, {"metric": "declared_share", "claim": "coverage", "relation": "at_least", "margin": 1.0})
    plan.recipes = (*plan.recipes, OwnCandidate("mine", MODELS[0]))
    assert {case.recipe.name for case in plan.cases("accuracy")} == {*LISTED[:2], "mine"}
    assert {case.recipe.name for case in plan.cases("coverage")} == set(LISTED[:2])
    assert "without a proof" in OwnCandidate("mine", MODELS[0]).note("scenes-web")


def test_two_bounds_on_one_figure_of_a_case_are_refused(make_plan: Callable[..., Plan]) -> None:
    with pytest.raises(ThresholdError, match=r"bound 1.*bound 2"):
        make_plan({}, {"applies": Scope(task=("id",))}).cases("accuracy")


def test_used_bounds_are_those_that_met_a_case(make_plan: Callable[..., Plan]) -> None:
    nowhere = OOD | {"applies": Scope(task=("shift/*",))}
    plan = make_plan({}, OOD, nowhere)
    accuracy, ood, idle = plan.thresholds.bounds
    assert plan.used == set()
    plan.cases("accuracy")
    assert plan.used == {accuracy}
    plan.cases("ood")
    plan.cases("ood")
    assert plan.used == {accuracy, ood}
    assert plan.thresholds.unmatched(plan.used) == (idle,)


def test_plans_do_not_share_what_was_used(make_plan: Callable[..., Plan]) -> None:
    make_plan({}).cases("accuracy")
    assert make_plan({}).used == set()


def test_a_recipe_that_nothing_judges_is_an_error(make_plan: Callable[..., Plan]) -> None:
    plan = make_plan({"applies": Scope(recipe=("w8*",))}, OOD | {"applies": Scope(recipe=("w4*",))})
    plan.check_recipes_matched(["accuracy", "ood", "accuracy"])
    # The bound on w4 is there, but its claim was not collected.
    with pytest.raises(UsageError, match=r"(?s)nothing would be judged.*t\.toml.*w4a8-minmax\n.*add a bound") as caught:
        plan.check_recipes_matched(["accuracy"])
    assert caught.value.got == "w4a8-minmax"
    with pytest.raises(UsageError, match="w8a8-minmax, w4a8-minmax"):
        plan.check_recipes_matched([])


def test_a_plan_without_tasks_judges_nothing(make_plan: Callable[..., Plan]) -> None:
    with pytest.raises(UsageError, match="no bound applies"):
        replace(make_plan({}), tasks={}).check_recipes_matched(["accuracy"])


def test_claims_of_improvement_share_their_error_rate_and_others_do_not(make_plan: Callable[..., Plan]) -> None:
    gain = {"claim": "gain", "relation": "improves", "margin": 0.0}
    plan = make_plan({}, gain)
    gains, others = plan.cases("gain"), plan.cases("accuracy")
    assert len(gains) > 1
    assert [case.bound.level for case in gains] == pytest.approx([1 - 0.05 / len(gains)] * len(gains))
    assert [case.bound.level for case in others] == [0.95] * len(others)
    # What counts as used is the bound as the file has it.
    assert plan.thresholds.unmatched(plan.used) == ()
