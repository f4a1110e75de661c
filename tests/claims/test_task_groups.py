"""Bounds on several tasks at once, files that include others, and lists of metrics and scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from reliability.claims.bounds import EVERYTHING, Group, Scope, ThresholdFile
from reliability.claims.cases import Plan
from reliability.claims.reader import load_thresholds
from reliability.errors import ThresholdError
from reliability.models.spec import ModelSpec
from reliability.quant.recipe import parse_recipe
from reliability.types import Part, PromptSet, Task

NAMES = ("id", "noise/fog/1", "noise/fog/3", "noise/snow/1", "noise/snow/3", "shift/sketch")
TASKS = {name: Task(name, Part("pictures"), PromptSet(("a", "b"), ("{c}",))) for name in NAMES}

FILE = """
schema = 1
[defaults]
level = 0.95
min_images = 10
[run]
recipes = ["fp32"]
[[group]]
name = "weather"
task = ["noise/fog/*", "noise/snow/*"]
clean = "id"
[[bound]]
claim = "noise_robustness"
applies = { group = "weather" }
metric = "mce_corruption"
relation = "not_worse"
margin = 0.1
gate = true
reason = "for tests"
"""
BOUND = FILE[FILE.index("[[bound]]") :]


def read(tmp_path: Path, text: str, **others: str) -> ThresholdFile:
    for name, content in others.items():
        (tmp_path / f"{name}.toml").write_text(content)
    (tmp_path / "main.toml").write_text(text)
    return load_thresholds(tmp_path / "main.toml")


def plan(file: ThresholdFile, names: tuple[str, ...] = NAMES) -> Plan:
    return Plan(
        file, (ModelSpec("zoo", "tiny", "tiny"),), (parse_recipe("fp32"),), {name: TASKS[name] for name in names}
    )


def test_a_bound_on_a_group_is_one_case_over_all_its_tasks(tmp_path: Path) -> None:
    (case,) = plan(read(tmp_path, FILE)).cases("noise_robustness")
    assert case.name == "noise_robustness[tiny-fp32-weather-mce_corruption]"
    assert [task.name for task in case.task.tasks] == list(NAMES[1:5])
    assert case.task.clean == TASKS["id"]


def test_a_bound_on_a_group_covers_no_single_task_and_the_other_way_round(tmp_path: Path) -> None:
    single = BOUND.replace('group = "weather"', 'task = "*"').replace("mce_corruption", "top1")
    cases = plan(read(tmp_path, FILE + single)).cases("noise_robustness")
    assert [case.task.name for case in cases] == [*NAMES, "weather"]
    assert [case.bound.metric for case in cases] == ["top1"] * len(NAMES) + ["mce_corruption"]


def test_data_without_any_task_of_a_group_have_no_case_of_it(tmp_path: Path) -> None:
    file = read(tmp_path, FILE)
    made = plan(file, ("id", "shift/sketch"))
    assert made.cases("noise_robustness") == []
    assert file.unmatched(made.used) == file.bounds


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('"noise/snow/*"', '"noise/hail/*"'), r"(?s)only some tasks.*group 1 \(line 8\).*noise/hail/\*"),
        (('clean = "id"', 'clean = "clean"'), r"(?s)no such task.*'clean'"),
        (('"weather"', '"id"'), r"(?s)a task has the name.*'id'"),
    ],
)
def test_a_group_that_the_data_do_not_have_whole_is_an_error(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    with pytest.raises(ThresholdError, match=message):
        plan(read(tmp_path, FILE.replace(*change))).cases("noise_robustness")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ('applies = { group = "weather" }', 'applies = { group = "wether" }'),
            r"(?s)no \[\[group\]\].*wether.*weather",
        ),
        (('{ group = "weather" }', '{ group = "weather", task = "id" }'), "to tasks or to groups"),
        (('name = "weather"', 'name = "noise/weather"'), "name is a word"),
        (('task = ["noise/fog/*", "noise/snow/*"]', "task = []"), "non-empty"),
        (('clean = "id"', 'clen = "id"'), "did you mean clean"),
        (("[[bound]]", '[[group]]\nname = "weather"\ntask = "id"\n[[bound]]'), "two groups have one name"),
    ],
)
def test_a_group_that_makes_no_sense_is_refused(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    with pytest.raises(ThresholdError, match=message):
        read(tmp_path, FILE.replace(*change))


def test_two_bounds_on_one_figure_of_a_group_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ThresholdError, match=r"(?s)two entries judge one figure.*weather"):
        plan(read(tmp_path, FILE + BOUND)).cases("noise_robustness")


def test_a_list_of_metrics_and_scores_is_one_bound_for_each(tmp_path: Path) -> None:
    both = BOUND.replace('"mce_corruption"', '["auroc", "fpr95"]\nscore = ["mcm", "msp"]').replace("group", "task")
    file = read(tmp_path, FILE + both.replace('"weather"', '"id"'))
    listed = [bound for bound in file.bounds if bound.index == 2]
    assert [(bound.metric, bound.score) for bound in listed] == [
        ("auroc", "mcm"), ("auroc", "msp"), ("fpr95", "mcm"), ("fpr95", "msp"),
    ]  # fmt: skip
    assert len({bound.place for bound in listed}) == 1


@pytest.mark.parametrize(
    ("metric", "known", "message"),
    [
        ('["top1", "top1"]', {}, "listed twice"),
        ('["top1", "topp"]', {"metric": ["top1"]}, r"(?s)unknown metric.*topp.*did you mean top1"),
        ("[]", {}, "non-empty"),
        ("[1]", {}, "non-empty"),
    ],
)
def test_a_list_that_makes_no_sense_is_refused(
    tmp_path: Path, metric: str, known: dict[str, list[str]], message: str
) -> None:
    (tmp_path / "main.toml").write_text(FILE.replace('"mce_corruption"', metric))
    with pytest.raises(ThresholdError, match=message):
        load_thresholds(tmp_path / "main.toml", known)


WIDER = """
schema = 1
include = "base.toml"
[defaults]
level = 0.9
min_images = 20
[run]
recipes = ["w8a8-minmax"]
"""


def test_an_including_file_judges_by_both_and_keeps_its_own_recipes(tmp_path: Path) -> None:
    more = WIDER + BOUND.replace("mce_corruption", "relative_mce")
    file = read(tmp_path, more, base=FILE)
    assert [bound.metric for bound in file.bounds] == ["mce_corruption", "relative_mce"]
    assert [(bound.level, bound.min_images) for bound in file.bounds] == [(0.95, 10), (0.9, 20)]
    assert [Path(bound.file).name for bound in file.bounds] == ["base.toml", "main.toml"]
    assert [group.name for group in file.groups] == ["weather"]
    assert file.recipes == ("w8a8-minmax",)
    assert len(plan(file).cases("noise_robustness")) == 2


def test_the_digest_tells_when_an_included_file_changes(tmp_path: Path) -> None:
    digests = {read(tmp_path, WIDER, base=text).digest for text in (FILE, FILE, FILE.replace("0.1", "0.2"))}
    assert len(digests) == 2
    assert read(tmp_path, FILE).digest not in digests


def test_included_files_include_nothing_and_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ThresholdError, match="includes no other"):
        read(tmp_path, WIDER, base=WIDER)
    with pytest.raises(ThresholdError, match=r"other\.toml"):
        read(tmp_path, WIDER.replace("base", "other"))


def test_an_including_file_cannot_quietly_judge_a_figure_twice(tmp_path: Path) -> None:
    with pytest.raises(ThresholdError, match=r"(?s)base\.toml, bound 1.*main\.toml, bound 1"):
        plan(read(tmp_path, WIDER + BOUND, base=FILE)).cases("noise_robustness")


def test_scopes_of_groups_match_by_glob() -> None:
    scope = Scope(recipe=("w8*",), group=("noise_*",))
    assert scope.covers_group("m", "w8a8-minmax", "noise_all")
    assert not scope.covers_group("m", "w4a8-minmax", "noise_all")
    assert not scope.covers_group("m", "w8a8-minmax", "weather")
    assert not Scope().covers_group("m", "w8a8-minmax", "noise_all")


def test_every_group_and_bound_of_the_shipped_files_meets_the_embedded_tasks(
    make_full_plan: Callable[[str], Plan],
) -> None:
    for name in ("embedded.toml", "embedded_full.toml"):
        made = make_full_plan(name)
        assert made.all_cases()
        idle = made.thresholds.unmatched(made.used)
        assert [bound.place for bound in idle if bound.applies.recipe == EVERYTHING] == []
        assert isinstance(made.thresholds.groups[0], Group)


@pytest.fixture
def make_full_plan() -> Callable[[str], Plan]:
    from reliability.claims.cases import choose_recipes
    from reliability.data.registry import open_data

    def make(name: str) -> Plan:
        file = load_thresholds(Path(__file__).resolve().parents[2] / "thresholds" / name)
        model = ModelSpec("zoo", "scenes-clean", "scenes-clean")
        return Plan(file, (model,), choose_recipes(file.recipes, ()), open_data("scenes").tasks)

    return make
