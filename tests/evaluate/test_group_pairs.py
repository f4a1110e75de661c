from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from reliability.errors import DataError, UndefinedMetricError, UsageError
from reliability.evaluate.comparison.compare import Pair
from reliability.evaluate.comparison.group import GroupPair
from reliability.evaluate.comparison.group_inputs import GROUP_INPUTS
from reliability.evaluate.comparison.inputs import Side
from reliability.evaluate.comparison.measure import judgeable
from reliability.metrics.robustness import mce_corruption, mean_corruption_accuracy, relative_mce
from reliability.types import Embeddings, Part, PromptSet, Task, TaskGroup

PROMPTS = PromptSet(("a", "b"), ("{c}",))
PICTURES = 60
GRID = [(name, severity) for name in ("fog", "snow", "frost") for severity in (2, 4)]
METRICS = judgeable(GROUP_INPUTS)
FEW = 200


def answers(right: np.ndarray, first_id: int = 0) -> Embeddings:
    """Pictures of class 0, answered as told."""
    image = np.where(right[:, None], [[1.0, 0.2]], [[0.2, 1.0]]).astype(np.float32)
    zeros = np.zeros(len(right), dtype=np.int64)
    ids = np.array([f"picture {first_id + i}" for i in range(len(right))])
    return Embeddings(image, np.eye(2, dtype=np.float32), 10.0, zeros, zeros - 1, ids)


def task(name: str) -> Task:
    return Task(name, Part(name), PROMPTS)


def pair(name: str, reference: np.ndarray, candidate: np.ndarray, first_id: int = 0) -> Pair:
    return Pair(task(name), Side(answers(reference, first_id)), Side(answers(candidate, first_id)))


@pytest.fixture
def marks() -> dict[str, np.ndarray]:
    """Right answers of both models: under three corruptions at two severities, and on more clean pictures."""
    rng = np.random.default_rng(0)
    easy = rng.random(PICTURES + 20)
    noisy = [rng.random((PICTURES, 3, 2)) < 0.4 + 0.4 * easy[:PICTURES, None, None] for _ in range(2)]
    clean = [rng.random(PICTURES + 20) < 0.7 + 0.3 * easy for _ in range(2)]
    return {"reference": noisy[0], "candidate": noisy[1], "clean": clean[0], "candidate_clean": clean[1]}


def grouped(marks: dict[str, np.ndarray], order: Callable[[list[Pair]], list[Pair]] = list) -> GroupPair:
    pairs = [
        pair(f"noise/{name}/{severity}", *(marks[side][:, i // 2, i % 2] for side in ("reference", "candidate")))
        for i, (name, severity) in enumerate(GRID)
    ]
    clean = pair("id", marks["clean"], marks["candidate_clean"])
    group = TaskGroup("noise", tuple(p.task for p in pairs), clean.task)
    return GroupPair.of(group, order(pairs), clean)


def test_figures_are_those_of_the_metrics_on_all_answers(marks: dict[str, np.ndarray]) -> None:
    made, (first, second) = grouped(marks), (marks["reference"], marks["candidate"])
    plain = [marks[name][:PICTURES] for name in ("clean", "candidate_clean")]
    accuracy = made.harm("mean_corruption_accuracy")
    assert accuracy.reference.estimate == pytest.approx(mean_corruption_accuracy(first))
    assert accuracy.candidate.estimate == pytest.approx(mean_corruption_accuracy(second))
    assert accuracy.harm.estimate == pytest.approx(first.mean() - second.mean())
    for name, fn in (("mce_corruption", mce_corruption), ("relative_mce", relative_mce)):
        found = made.harm(name, replicates=FEW)
        assert found.reference.estimate == pytest.approx(1.0)
        assert found.candidate.estimate == pytest.approx(fn(second, plain[1], first, plain[0]))
        assert found.harm.estimate == pytest.approx(found.candidate.estimate - 1.0)


def test_pictures_are_counted_and_not_their_answers(marks: dict[str, np.ndarray]) -> None:
    assert grouped(marks).harm("mean_corruption_accuracy").n == PICTURES


def test_versions_of_a_picture_are_no_evidence_of_their_own(marks: dict[str, np.ndarray]) -> None:
    """Repeating every answer under further names leaves the limits as they are."""
    once = {
        name: value if "clean" in name else value[:, :1, :1].repeat(3, 1).repeat(2, 2) for name, value in marks.items()
    }
    several, one = grouped(once), grouped(once)
    one = replace(
        one,
        corruptions=("fog",),
        reference=replace(one.reference, correct=one.reference.correct[:, :1, :1]),
        candidate=replace(one.candidate, correct=one.candidate.correct[:, :1, :1]),
    )
    for metric in METRICS:
        if metric != "mce_corruption_alexnet":
            first, second = (made.harm(metric, replicates=FEW).harm for made in (several, one))
            assert (first.lower, first.upper) == pytest.approx((second.lower, second.upper))


@pytest.mark.parametrize("metric", ["mean_corruption_accuracy", "mce_corruption", "relative_mce"])
def test_a_model_is_exactly_as_robust_as_itself(metric: str, marks: dict[str, np.ndarray]) -> None:
    same = marks | {"candidate": marks["reference"], "candidate_clean": marks["clean"]}
    found = grouped(same).harm(metric, replicates=FEW)
    assert found.reference == found.candidate
    assert (found.harm.lower, found.harm.estimate, found.harm.upper) == (0.0, 0.0, 0.0)


def test_limits_of_the_ratio_agree_with_a_bootstrap_of_pictures() -> None:
    rng = np.random.default_rng(1)
    easy = rng.random((2000, 1, 1))
    noisy = [rng.random((2000, 3, 2)) < 0.3 + 0.5 * easy for _ in range(2)]
    clean = np.ones(2020, dtype=bool)
    made = grouped({"reference": noisy[0], "candidate": noisy[1], "clean": clean, "candidate_clean": clean})
    found = made.harm("mce_corruption").harm
    draws = []
    for _ in range(1000):
        rows = rng.integers(0, 2000, 2000)
        errors = [1.0 - side[rows].mean(axis=(0, 2)) for side in noisy]
        draws.append((errors[1] / errors[0]).mean() - 1.0)
    assert (found.lower, found.upper) == pytest.approx(tuple(np.quantile(draws, [0.05, 0.95])), abs=0.004)
    assert found.standard_error == pytest.approx(np.std(draws), rel=0.1)


def test_tasks_may_come_in_any_order(marks: dict[str, np.ndarray]) -> None:
    backwards = grouped(marks, lambda pairs: pairs[::-1])
    assert backwards.corruptions == ("frost", "snow", "fog")
    there, back = (made.harm("mce_corruption").harm for made in (grouped(marks), backwards))
    assert (there.lower, there.upper) == pytest.approx((back.lower, back.upper))


def test_a_report_learns_which_corruption_costs_what(marks: dict[str, np.ndarray]) -> None:
    details = grouped(marks).harm("mean_corruption_accuracy").details
    assert json.loads(json.dumps(details)) == details
    assert list(details["groups"]) == ["fog", "snow", "frost"]
    assert details["tasks"][:2] == ["noise/fog/2", "noise/fog/4"]
    for side in ("reference", "candidate"):
        shown = [figures[side] for figures in details["groups"].values()]
        assert shown == pytest.approx(marks[side].mean(axis=(0, 2)).tolist())


def test_severities_must_be_the_same_for_all(marks: dict[str, np.ndarray]) -> None:
    with pytest.raises(UsageError, match=r"(?s)same severities.*noise/frost/4"):
        grouped(marks, lambda pairs: pairs[:-1])


@pytest.mark.parametrize("name", ["id", "noise/fog", "noise/fog/strong", "shift/fog/2"])
def test_only_corruptions_are_grouped(name: str, marks: dict[str, np.ndarray]) -> None:
    stranger = pair(name, *(marks[side][:, 0, 0] for side in ("reference", "candidate")))
    with pytest.raises(UsageError, match="noise/<corruption>/<severity>"):
        grouped(marks, lambda pairs: [*pairs, stranger])


def test_other_pictures_are_refused(marks: dict[str, np.ndarray]) -> None:
    shifted = pair("noise/fog/4", *(marks[side][:, 0, 1] for side in ("reference", "candidate")), first_id=1)
    with pytest.raises(DataError, match=r"(?s)same pictures in the same order.*noise/fog/4"):
        grouped(marks, lambda pairs: [pairs[0], shifted])


def test_the_clean_task_must_show_all_of_the_pictures(marks: dict[str, np.ndarray]) -> None:
    with pytest.raises(DataError, match=r"(?s)does not show all.*1 of 60 missing, such as picture 59"):
        grouped(marks | {name: marks[name][: PICTURES - 1] for name in ("clean", "candidate_clean")})


def test_what_is_about_clean_pictures_needs_them(marks: dict[str, np.ndarray]) -> None:
    made = grouped(marks)
    bare = replace(made, reference=replace(made.reference, clean=None), candidate=replace(made.candidate, clean=None))
    assert bare.harm("mean_corruption_accuracy").n == PICTURES
    assert bare.harm("mce_corruption") == made.harm("mce_corruption")
    with pytest.raises(UsageError, match=r"(?s)about the clean pictures.*group noise"):
        bare.harm("relative_mce")


def test_a_corruption_without_an_error_of_the_reference_has_no_ratio(marks: dict[str, np.ndarray]) -> None:
    perfect = marks["reference"].copy()
    perfect[:, 1] = True
    with pytest.raises(UndefinedMetricError, match="makes no error"):
        grouped(marks | {"reference": perfect}).harm("mce_corruption")


def test_metrics_of_one_task_and_scores_are_refused(marks: dict[str, np.ndarray]) -> None:
    with pytest.raises(UsageError, match=r"(?s)a group of tasks.*mce_corruption"):
        grouped(marks).harm("top1")
    with pytest.raises(UsageError, match="takes no score"):
        grouped(marks).harm("mce_corruption", "mcm")
    with pytest.raises(UsageError, match="on one task"):
        pair("id", marks["clean"], marks["clean"]).harm("mce_corruption")
