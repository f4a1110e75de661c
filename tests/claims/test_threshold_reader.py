"""A threshold file is read strictly: what is not understood is refused, where it stands."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest

from reliability.claims.bounds import Scope, ThresholdFile
from reliability.claims.reader import load_thresholds
from reliability.errors import ThresholdError

FILE = """\
schema = 1

[defaults]
level = 0.95
min_images = 1000

[run]
recipes = ["w8a8-minmax", "w8a8-smoothquant"]

[[floor]]
model = "zoo:scenes-*"
task = "id"
metric = "top1"
at_least = 0.80
reason = "measured 0.86, less five standard errors"

[[bound]]
claim = "ood_separation"
applies = { recipe = "w8a8-*", task = ["ood/near", "ood/far"] }
metric = "auroc"
score = "mcm"
relation = "not_worse"
margin = 0.010
gate = true
reason = "three times the largest drop"

[[bound]]
claim = "accuracy"
metric = "top1"
relation = "improves"
gate = false
reason = "the study's first claim"
level = 0.99
min_images = 50
"""
BOUND_1 = FILE.index("[[bound]]")

Load = Callable[[str], ThresholdFile]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def from_text(text: str) -> ThresholdFile:
        path = tmp_path / "t.toml"
        path.write_text(text, encoding="utf-8")
        return load_thresholds(path)

    return from_text


def test_every_key_is_read(load: Load) -> None:
    file = load(FILE)
    first, second = file.bounds
    assert file.recipes == ("w8a8-minmax", "w8a8-smoothquant")
    assert file.digest == hashlib.sha256(FILE.encode()).hexdigest()
    assert (first.claim, first.metric, first.score, first.relation) == ("ood_separation", "auroc", "mcm", "not_worse")
    assert first.applies == Scope(recipe=("w8a8-*",), task=("ood/near", "ood/far"))
    assert (first.margin, first.gate, first.level, first.min_images) == (0.01, True, 0.95, 1000)
    assert (first.index, first.line) == (1, FILE.count("\n", 0, BOUND_1) + 1)
    assert (second.margin, second.gate, second.level, second.min_images) == (0.0, False, 0.99, 50)
    assert second.applies == Scope()
    assert second.place.endswith("t.toml, bound 2")
    (floor,) = file.floors
    assert (floor.model, floor.task, floor.relation, floor.limit) == (("zoo:scenes-*",), "id", "at_least", 0.8)
    assert floor.min_images == 1000


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("schema = 1", "schema = 2", "unsupported schema"),
        ("schema = 1", "schema = true", "unsupported schema"),
        ("schema = 1", "schema = 1.0", "unsupported schema"),
        ("schema = 1\n", "", "'schema' is missing"),
        ("schema = 1", "schema = 1\nlevels = 3", "unknown key"),
        ("schema = 1", "schema = ", "not a TOML file"),
        ("level = 0.95", "level = 0.5", "between 0.5 and 1"),
        ("level = 0.95", "level = 1", "between 0.5 and 1"),
        ("level = 0.95", "level = nan", "'level' must be a finite number"),
        ("level = 0.95\n", "", "no 'level' here nor in [defaults]"),
        ("level = 0.95", "levle = 0.95", "did you mean level?"),
        ("min_images = 1000", "min_images = 0", "whole number above 0"),
        ("min_images = 1000", "min_images = 10.5", "whole number above 0"),
        ("min_images = 1000", "min_images = true", "whole number above 0"),
        ("min_images = 1000\n", "", "no 'min_images' here nor in [defaults]"),
        ("[run]\n", "[runs]\n", "did you mean run?"),
        ('recipes = ["w8a8-minmax", "w8a8-smoothquant"]', "recipes = []", "non-empty string or a list"),
        ('recipes = ["w8a8-minmax", "w8a8-smoothquant"]', 'recipes = ["a", "a"]', "listed twice"),
        ('recipes = ["w8a8-minmax", "w8a8-smoothquant"]', 'recipes = ["a", 3]', "non-empty string or a list"),
        ('recipes = ["w8a8-minmax", "w8a8-smoothquant"]', "", "'recipes' is missing"),
        ('claim = "ood_separation"', 'claim = ""', "'claim' must be a non-empty string"),
        ('claim = "ood_separation"', "claim = 3", "'claim' must be a non-empty string"),
        ('claim = "ood_separation"\n', "", "'claim' is missing"),
        ('recipe = "w8a8-*"', 'recipes = "w8a8-*"', "did you mean recipe?"),
        ('recipe = "w8a8-*"', "recipe = 8", "'recipe' must be a non-empty string or a list"),
        ('applies = { recipe = "w8a8-*", task = ["ood/near", "ood/far"] }', 'applies = "x"', "must be a table"),
        ('metric = "auroc"', 'metirc = "auroc"', "did you mean metric?"),
        ('metric = "auroc"\n', "", "'metric' is missing"),
        ('score = "mcm"', "score = 1", "'score' must be a non-empty string"),
        ('relation = "not_worse"', 'relation = "not_wrose"', "did you mean not_worse?"),
        ("margin = 0.010", "margin = -0.010", "cannot be negative"),
        ("margin = 0.010", "margin = nan", "'margin' must be a finite number"),
        ("margin = 0.010", "margin = inf", "'margin' must be a finite number"),
        ("margin = 0.010", 'margin = "0.010"', "'margin' must be a finite number"),
        ("margin = 0.010", "margin = true", "'margin' must be a finite number"),
        ("margin = 0.010\n", "", "'margin' is missing"),
        ("gate = true", "gate = 1", "'gate' must be true or false"),
        ("gate = true\n", "", "'gate' is missing"),
        ('reason = "three times the largest drop"', 'reason = "  "', "'reason' must be a non-empty string"),
        ('reason = "three times the largest drop"\n', "", "'reason' is missing"),
        ('relation = "improves"', 'relation = "improves"\nmargin = 0.0', "takes no margin"),
        ('relation = "improves"', 'relation = "differs"\nmargin = 0.0', "takes no margin"),
        ("at_least = 0.80", "at_least = 0.8\nat_most = 0.9", "one of at_least and at_most"),
        ("at_least = 0.80\n", "", "one of at_least and at_most"),
        ("at_least = 0.80", "atleast = 0.8", "did you mean at_least"),
        ('model = "zoo:scenes-*"\n', "", "'model' is missing"),
        ('task = "id"', 'task = ["id"]', "'task' must be a non-empty string"),
        ("[[floor]]", "[floor]", "write [[floor]], not [floor]"),
    ],
)
def test_a_fault_is_refused_and_named(load: Load, old: str, new: str, told: str) -> None:
    assert old in FILE
    with pytest.raises(ThresholdError) as caught:
        load(FILE.replace(old, new, 1))
    assert told in str(caught.value)
    assert "t.toml" in caught.value.where
    assert caught.value.next


def test_a_faulty_bound_is_located_by_number_and_line(load: Load) -> None:
    with pytest.raises(ThresholdError) as caught:
        load(FILE.replace('relation = "improves"', 'relation = "better"'))
    line = FILE.count("\n", 0, FILE.rindex("[[bound]]")) + 1
    assert caught.value.where.endswith(f"bound 2 (line {line})")


def test_no_line_is_claimed_when_a_string_holds_a_header(load: Load) -> None:
    file = load(FILE.replace('"three times the largest drop"', '"""see\n[[bound]]\nabove"""'))
    assert [bound.line for bound in file.bounds] == [None, None]


def test_only_relations_on_the_candidate_take_a_negative_margin(load: Load) -> None:
    file = load(FILE.replace('"not_worse"\nmargin = 0.010', '"at_least"\nmargin = -0.02'))
    assert file.bounds[0].margin == -0.02


def test_names_are_checked_against_those_that_exist(tmp_path: Path) -> None:
    path = tmp_path / "t.toml"
    path.write_text(FILE.replace('metric = "auroc"', 'metric = "aurco"'))
    with pytest.raises(ThresholdError, match="did you mean auroc"):
        load_thresholds(path, {"metric": ["auroc", "top1"]})
    path.write_text(FILE)
    with pytest.raises(ThresholdError, match="unknown claim"):
        load_thresholds(path, {"claim": ["accuracy"]})


def test_a_file_without_bounds_judges_nothing_and_is_refused(load: Load) -> None:
    with pytest.raises(ThresholdError, match=r"no \[\[bound\]\]"):
        load(FILE[:BOUND_1])


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ThresholdError, match="cannot be read"):
        load_thresholds(tmp_path / "missing.toml")
    (tmp_path / "bytes.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(ThresholdError, match="not a TOML file"):
        load_thresholds(tmp_path / "bytes.toml")
