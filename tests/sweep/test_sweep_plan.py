"""Plan files: read strictly, and expanded into distinct runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from reliability.errors import UsageError
from reliability.sweep.grid import expand
from reliability.sweep.plan import load_plan
from reliability.sweep.run import chunks_of

CANDIDATES = '[[candidates]]\nmodels = "zoo:scenes-clean"\nrecipes = ["w8a8-minmax"]\n'
QUESTIONS = '[[questions]]\ntasks = "id"\nmetrics = "top1"\n'


def grid_of(tmp_path: Path, text: str):
    path = tmp_path / "plan.toml"
    path.write_text(text if text.startswith("schema") else f"schema = 1\n{text}")
    return expand(load_plan(path))


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("schema = 2\n" + CANDIDATES + QUESTIONS, "unsupported schema"),
        ("schema = 1\nmodels = 3\n", "unknown key"),
        (CANDIDATES, "'questions' is missing"),
        (QUESTIONS, "'candidates' is missing"),
        ("limit = 0\n" + CANDIDATES + QUESTIONS, "whole number above 0"),
        ("level = 0.4\n" + CANDIDATES + QUESTIONS, "between 0.5 and 1"),
        (CANDIDATES + "draws = [0, 0]\n" + QUESTIONS, "different whole numbers"),
        (CANDIDATES + "draws = [true]\n" + QUESTIONS, "different whole numbers"),
        (CANDIDATES + 'towers = "visual"\n' + QUESTIONS, "unknown towers"),
        (CANDIDATES + QUESTIONS + 'limits = "no"\n', "true or false"),
        (CANDIDATES + QUESTIONS.replace("top1", "top-1"), "no metric of one task has such a name"),
        (CANDIDATES + QUESTIONS.replace('"id"', '"ids"'), "no data of this plan have such a task"),
        (CANDIDATES + QUESTIONS.replace('"id"', '"ood/near"'), "asks for no run at all"),
        (CANDIDATES + QUESTIONS.replace("top1", "auroc").replace('"id"', '"ood/near"'), "is about a score"),
        (CANDIDATES + QUESTIONS + 'recipes = "w4a8-*"\n', "no candidate of this plan has such a name"),
        (CANDIDATES + QUESTIONS + 'scores = "msm"\n', "did you mean msp or mcm"),
        (CANDIDATES.replace("minmax", "minmx") + QUESTIONS, "did you mean"),
        (CANDIDATES.replace("w8a8-minmax", "w8a8-minmax-s1") + "draws = [0, 1]\n" + QUESTIONS, "both choose"),
        (CANDIDATES.replace("w8a8-minmax", "w8a8-minmax-both") + 'towers = "text"\n' + QUESTIONS, "both choose"),
    ],
)
def test_what_is_not_understood_is_refused(tmp_path: Path, text: str, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        grid_of(tmp_path, text)


def test_runs_are_candidates_times_tasks_times_metrics_times_scores(tmp_path: Path) -> None:
    text = """
        [[candidates]]
        models = ["zoo:scenes-clean", "zoo:scenes-web"]
        recipes = ["w8a8-minmax", "w4a8-minmax"]
        towers = ["vision", "both"]
        draws = [0, 1, 2]
        [[questions]]
        tasks = "noise/fog/*"
        metrics = ["top1", "ece"]
        [[questions]]
        tasks = "ood/near"
        metrics = ["auroc", "fpr95"]
        scores = ["mcm", "energy", "msp"]
    """
    grid = grid_of(tmp_path, text)
    assert grid.runs == 2 * (2 * 2 * 3) * (5 * 2 + 2 * 3)
    assert not grid.copies
    assert len({(u.model.name, u.recipe.name, u.task) for u in grid.units}) == len(grid.units) == 2 * 12 * 6
    assert {u.recipe.name for u in grid.units} >= {"w8a8-minmax", "w4a8-minmax-both-s2"}


def test_a_question_of_some_recipes_is_asked_of_no_other(tmp_path: Path) -> None:
    candidates = CANDIDATES.replace('"w8a8-minmax"', '"w8a8-minmax", "w8a8-hadamard", "w4a8-minmax"')
    some = QUESTIONS.replace("top1", "ece").replace('"id"', '["id", "noise/fog/1"]') + 'recipes = ["w8a8-h*", "w4*"]\n'
    units = grid_of(tmp_path, candidates + QUESTIONS + some).units
    assert {(u.recipe.name, u.task, *(q.metric for q in u.questions)) for u in units} == {
        ("w8a8-minmax", "id", "top1"),
        ("w8a8-hadamard", "id", "top1", "ece"),
        ("w8a8-hadamard", "noise/fog/1", "ece"),
        ("w4a8-minmax", "id", "top1", "ece"),
        ("w4a8-minmax", "noise/fog/1", "ece"),
    }


def test_copies_of_a_candidate_are_no_runs_of_their_own(tmp_path: Path) -> None:
    text = CANDIDATES.replace('"w8a8-minmax"', '"w8a16-minmax", "w8a16-rtn", "w8a8-dynamic"') + "draws = [0, 1]\n"
    grid = grid_of(tmp_path, text + QUESTIONS)
    assert [u.recipe.name for u in grid.units] == ["w8a16-minmax", "w8a8-dynamic"]
    assert len(grid.copies) == 4


def test_a_metric_is_asked_once_where_two_tables_ask_for_it_and_with_limits_if_one_does(tmp_path: Path) -> None:
    grid = grid_of(tmp_path, CANDIDATES + QUESTIONS + QUESTIONS.replace('"top1"', '"top?"') + "limits = true\n")
    assert sorted(grid.units[0].questions) == [("top1", "", True), ("top5", "", True)]


def test_metrics_are_asked_only_where_they_can_be_had(tmp_path: Path) -> None:
    text = CANDIDATES + '[[questions]]\ntasks = "*"\nmetrics = "*"\nscores = ["mcm", "mahalanobis"]\n'
    by_task = {u.task: {q.metric for q in u.questions} for u in grid_of(tmp_path, text).units}
    assert "auroc" in by_task["ood/near"]
    assert "top1" not in by_task["ood/near"]
    assert "auroc" not in by_task["id"]
    assert "group_gap" in by_task["spurious/background"]
    assert "group_gap" not in by_task["id"]


def test_the_same_plan_always_makes_the_same_files_and_another_makes_others(plan_file: Path) -> None:
    grid = expand(load_plan(plan_file))
    names = [chunk.name for chunk in chunks_of(grid, 4)]
    assert names == [chunk.name for chunk in chunks_of(expand(load_plan(plan_file)), 4)]
    assert len(set(names)) == len(names) == 9
    assert sum(chunk.runs for chunk in chunks_of(grid, 4)) == grid.runs == 36
    plan_file.write_text(plan_file.read_text().replace("nll", "brier"))
    assert not set(names) & {chunk.name for chunk in chunks_of(expand(load_plan(plan_file)), 4)}
