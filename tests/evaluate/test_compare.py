from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reliability.errors import DataError, UndefinedMetricError, UsageError
from reliability.evaluate.comparison.compare import Pair
from reliability.evaluate.comparison.inputs import INPUTS, Side, fitting_half
from reliability.evaluate.comparison.measure import judgeable
from reliability.metrics.registry import Metric, get
from reliability.types import Embeddings, Part, PromptSet, Task

CLASSES = 7
JUDGED = [get(name) for name in judgeable(INPUTS)]
SCORED = ("separation", "paired_scores")
TASK = Task(
    "ood/near",
    Part("far"),
    PromptSet(tuple("abcdefg"), ("a {c}",)),
    familiar=Part("id"),
    group_names=("sand", "grass"),
)
FEW = 40
"""Replicates, where the limits themselves are not under test."""


def part(n: int = 200, seed: int = 0, noise: float = 0.25, unfamiliar: bool = False) -> Embeddings:
    """Pictures whose features are their class's text feature plus noise; groups alternate between 0 and 1."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n)
    signal = np.zeros((n, CLASSES)) if unfamiliar else np.eye(CLASSES)[labels]
    return Embeddings(
        image=(signal + rng.normal(0, noise, (n, CLASSES))).astype(np.float32),
        text=np.eye(CLASSES, dtype=np.float32),
        logit_scale=8.0,
        labels=np.full(n, -1) if unfamiliar else labels,
        groups=np.arange(n) % 2,
        ids=np.array([f"{seed}/{i}" for i in range(n)]),
    )


FAMILIAR, UNFAMILIAR = part(), part(150, seed=1, unfamiliar=True)


def closed(reference: Embeddings, candidate: Embeddings) -> Pair:
    """A pair on a task without unfamiliar pictures."""
    return Pair(replace(TASK, familiar=None), Side(reference), Side(candidate))


def captioned(reference: Embeddings, candidate: Embeddings) -> Pair:
    """A pair on a task of 30 captions, each true of every picture of the class it was drawn for."""
    classes = np.arange(30) % CLASSES
    text = np.eye(CLASSES)[classes] + np.random.default_rng(5).normal(0, 0.3, (30, CLASSES))
    matches = tuple(tuple(np.flatnonzero(classes == label).tolist()) for label in reference.labels)
    task = Task("retrieval/captions", Part("id"), PromptSet(tuple(map(str, range(30))), ("{c}",)), matches=matches)
    return Pair(task, *(Side(replace(part, text=text.astype(np.float32))) for part in (reference, candidate)))


def wide(embeddings: Embeddings) -> Embeddings:
    """The same angles but for some noise, among more than 64 directions."""
    rng = np.random.default_rng(6)
    basis = np.linalg.qr(rng.normal(size=(80, CLASSES)))[0].T
    image = embeddings.image @ basis + rng.normal(0, 0.1, (len(embeddings.ids), 80))
    return replace(embeddings, image=image.astype(np.float32), text=(embeddings.text @ basis).astype(np.float32))


def for_metric(metric: Metric, candidate: Callable[[Embeddings], Embeddings]) -> tuple[Pair, str]:
    """A pair that the metric can judge, with the score it needs."""
    if metric.kind == "retrieval":
        return captioned(FAMILIAR, candidate(FAMILIAR)), ""
    if metric.kind == "directions":
        return closed(wide(FAMILIAR), wide(candidate(FAMILIAR))), ""
    if metric.kind != "separation":
        return closed(FAMILIAR, candidate(FAMILIAR)), "mcm" if metric.kind in SCORED else ""
    return Pair(TASK, Side(UNFAMILIAR, FAMILIAR), Side(candidate(UNFAMILIAR), candidate(FAMILIAR))), "mcm"


def blurred(embeddings: Embeddings) -> Embeddings:
    """Every picture drawn towards one and the same feature, and then noise."""
    noise = np.random.default_rng(9).normal(0, 0.35, embeddings.image.shape)
    return replace(embeddings, image=(embeddings.image * 0.5 + noise).astype(np.float32))


def right(embeddings: Embeddings) -> np.ndarray:
    return embeddings.image.argmax(axis=1) == embeddings.labels


@pytest.mark.parametrize("metric", JUDGED, ids=lambda metric: metric.name)
def test_a_model_is_exactly_as_good_as_itself(metric: Metric) -> None:
    pair, score = for_metric(metric, lambda same: replace(same, image=same.image.copy()))
    found = pair.harm(metric.name, score, replicates=FEW)
    assert found.harm.estimate == 0.0
    assert found.reference == found.candidate
    # Score limits stay open even where no picture differs: the next one might.
    if "score limits" in found.method:
        assert -0.05 < found.harm.lower < 0 < found.harm.upper < 0.05
    else:
        assert (found.harm.lower, found.harm.upper) == (0.0, 0.0)


@pytest.mark.parametrize("metric", JUDGED, ids=lambda metric: metric.name)
def test_harm_has_the_sign_of_the_metrics_direction(metric: Metric) -> None:
    pair, score = for_metric(metric, blurred)
    found = pair.harm(metric.name, score, replicates=FEW)
    change = found.candidate.estimate - found.reference.estimate
    # Distinct scores stay so, coverage is what conformal prediction holds fast, the right class stays among five,
    # and of ten pictures that a caption finds one is of its class.
    assert change != 0 or metric.name in (
        "tie_rate", "conformal_coverage_aps", "conformal_coverage_lac", "top5", "text_to_image_recall_at_10",
    )  # fmt: skip
    assert found.harm.estimate == pytest.approx(-change if metric.direction == "higher" else change, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "score"), [("top1", ""), ("nll", ""), ("flip_rate", ""), ("auroc", "mcm"), ("fpr95", "max_logit")]
)
def test_a_worse_candidate_does_harm_and_a_better_one_the_opposite(name: str, score: str) -> None:
    good, bad = Side(UNFAMILIAR, FAMILIAR), Side(blurred(UNFAMILIAR), blurred(FAMILIAR))
    if not score:
        good, bad = Side(FAMILIAR), Side(blurred(FAMILIAR))
    assert Pair(TASK, good, bad).harm(name, score).harm.lower > 0
    if name != "flip_rate":
        assert Pair(TASK, bad, good).harm(name, score).harm.upper < 0


def test_signed_ece_counts_from_reference_to_candidate() -> None:
    bolder = replace(FAMILIAR, logit_scale=80.0)
    found = closed(FAMILIAR, bolder).harm("signed_ece", replicates=FEW)
    assert found.harm.estimate == pytest.approx(found.candidate.estimate - found.reference.estimate)
    assert found.harm.estimate > 0


def test_destroying_a_twentieth_of_the_answers_costs_a_twentieth_of_the_accuracy() -> None:
    reference = part(2000)
    lost = np.random.default_rng(3).permutation(2000)[:100]
    image = reference.image.copy()
    # The class next to the right one wins by far.
    image[lost] = np.eye(CLASSES, dtype=np.float32)[(reference.labels[lost] + 1) % CLASSES]
    found = closed(reference, replace(reference, image=image)).harm("top1")
    accuracy = right(reference).mean()
    assert 0.8 < accuracy < 1
    assert found.reference.estimate == pytest.approx(accuracy)
    assert found.harm.estimate == pytest.approx(right(reference)[lost].sum() / 2000)
    assert found.harm.estimate == pytest.approx(0.05 * accuracy, abs=0.005)
    assert 0 < found.harm.lower < 0.05 * accuracy < found.harm.upper < 0.07
    assert found.n == 2000


def test_every_picture_that_entered_is_counted() -> None:
    assert closed(FAMILIAR, blurred(FAMILIAR)).harm("top1", replicates=FEW).n == 200
    pair = Pair(TASK, Side(UNFAMILIAR, FAMILIAR), Side(blurred(UNFAMILIAR), blurred(FAMILIAR)))
    assert pair.harm("auroc", "mcm", replicates=FEW).n == 350


def test_level_and_seed_reach_the_limits() -> None:
    pair = closed(FAMILIAR, blurred(FAMILIAR))
    narrow, wide = (pair.harm("aurc", level=level, replicates=200) for level in (0.8, 0.99))
    for found, level in ((narrow, 0.8), (wide, 0.99)):
        assert {found.harm.level, found.reference.level, found.candidate.level} == {level}
    assert wide.harm.lower < narrow.harm.lower < narrow.harm.upper < wide.harm.upper
    assert pair.harm("aurc", level=0.8, replicates=200) == narrow
    other = pair.harm("aurc", level=0.8, replicates=200, seed=1)
    assert other.seed == 1
    assert other.harm.estimate == narrow.harm.estimate
    assert other.harm.standard_error != narrow.harm.standard_error


def with_ids(changes: Callable[[np.ndarray], np.ndarray]) -> Embeddings:
    return replace(FAMILIAR, ids=changes(FAMILIAR.ids.copy()))


def swap(ids: np.ndarray) -> np.ndarray:
    ids[[3, 8]] = ids[[8, 3]]
    return ids


def rename_last(ids: np.ndarray) -> np.ndarray:
    ids[-1] = "other"
    return ids


def first(n: int) -> Embeddings:
    rows = {name: getattr(FAMILIAR, name)[:n] for name in ("image", "labels", "groups", "ids")}
    return replace(FAMILIAR, **rows)


@pytest.mark.parametrize(
    ("candidate", "row"),
    [(with_ids(swap), 3), (with_ids(rename_last), 199), (first(0), 0), (first(199), 199)],
    ids=["swapped", "renamed", "empty", "cut at its end"],
)
@pytest.mark.parametrize("place", ["part", "familiar"])
def test_other_pictures_are_refused_and_the_row_is_named(candidate: Embeddings, row: int, place: str) -> None:
    sides = [Side(FAMILIAR), Side(candidate)]
    if place == "familiar":
        sides = [Side(UNFAMILIAR, FAMILIAR), Side(UNFAMILIAR, candidate)]
    with pytest.raises(DataError, match=rf"(?s)same pictures.*task ood/near, row {row}\n.*not paired"):
        Pair(TASK, *sides)


@pytest.mark.parametrize(
    "metric", [m for m in JUDGED if m.kind not in (*SCORED, "selective")], ids=lambda metric: metric.name
)
def test_a_score_is_refused_where_none_is_used(metric: Metric) -> None:
    with pytest.raises(UsageError, match=r"(?s)takes no score.*'mcm'"):
        closed(FAMILIAR, FAMILIAR).harm(metric.name, "mcm")


def test_separation_needs_familiar_pictures() -> None:
    with pytest.raises(UsageError, match=r"(?s)needs an ood/\* task"):
        closed(UNFAMILIAR, UNFAMILIAR).harm("auroc", "mcm")


@pytest.mark.parametrize("metric", ["auroc", "rank_correlation"])
def test_a_metric_of_scores_needs_the_name_of_one(metric: str) -> None:
    side = Side(UNFAMILIAR, FAMILIAR)
    with pytest.raises(UsageError, match=r"(?s)about a score of each picture.*score = \"mcm\""):
        Pair(TASK, side, side).harm(metric)


def test_a_metric_without_limits_is_refused() -> None:
    with pytest.raises(UsageError, match=r"(?s)no interval can be given.*top1"):
        closed(FAMILIAR, FAMILIAR).harm("spectrum_energy")


def test_what_is_fitted_is_judged_on_the_other_pictures_whatever_their_order() -> None:
    pair = closed(FAMILIAR, blurred(FAMILIAR))
    found = pair.harm("nll_after_temperature", replicates=FEW)
    fit = fitting_half(FAMILIAR.ids)
    assert found.n == (~fit).sum()
    assert 0.35 < fit.mean() < 0.65
    assert (fitting_half(FAMILIAR.ids[::-1]) == fit[::-1]).all()
    # One temperature for both halves undoes a change of scale alone.
    bolder = closed(FAMILIAR, replace(FAMILIAR, logit_scale=80.0)).harm("nll_after_temperature", replicates=FEW)
    assert bolder.harm.estimate == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("metric", "score"), [("top2", ""), ("auroc", "mmc")])
def test_an_unknown_name_is_refused(metric: str, score: str) -> None:
    side = Side(UNFAMILIAR, FAMILIAR)
    with pytest.raises(UsageError, match="unknown"):
        Pair(TASK, side, side).harm(metric, score)


@pytest.mark.parametrize("metric", ["top1", "worst_group_accuracy", "ece"])
def test_no_picture_at_all_is_undefined(metric: str) -> None:
    with pytest.raises(UndefinedMetricError):
        closed(first(0), first(0)).harm(metric)


def test_unfamiliar_pictures_have_no_accuracy() -> None:
    with pytest.raises(UndefinedMetricError):
        closed(UNFAMILIAR, UNFAMILIAR).harm("top1")


def plain(details: Any) -> Any:
    return json.loads(json.dumps(details, allow_nan=False))


def test_ece_brings_both_reliability_diagrams_as_plain_json() -> None:
    candidate = blurred(FAMILIAR)
    details = closed(FAMILIAR, candidate).harm("ece", replicates=FEW).details
    assert plain(details) == details
    for name, side in (("reference", FAMILIAR), ("candidate", candidate)):
        diagram = details["reliability"][name]
        count, accuracy = np.array(diagram["count"]), np.array(diagram["accuracy"])
        assert count.sum() == 200
        assert (count * accuracy).sum() == pytest.approx(right(side).sum())
        empty = count == 0
        assert empty.any()
        assert not accuracy[empty].any()
        assert not np.array(diagram["confidence"])[empty].any()


def test_worst_group_accuracy_brings_each_groups_figures() -> None:
    groups = np.repeat([0, 1, 2], [100, 60, 40])
    image = np.eye(CLASSES, dtype=np.float32)[FAMILIAR.labels]
    wrong = np.eye(CLASSES, dtype=np.float32)[(FAMILIAR.labels + 1) % CLASSES]
    hit = np.arange(200) % 4 != 0
    reference = replace(FAMILIAR, image=image, groups=groups)
    candidate = replace(reference, image=np.where((groups == 1)[:, None] & ~hit[:, None], wrong, image))
    found = closed(reference, candidate).harm("worst_group_accuracy", replicates=FEW)
    assert found.harm.estimate == 0.25
    assert plain(found.details) == found.details
    # The third group has no name, so its number stands for it.
    assert found.details["groups"] == {
        "sand": {"reference": 1.0, "candidate": 1.0},
        "grass": {"reference": 1.0, "candidate": 0.75},
        "2": {"reference": 1.0, "candidate": 1.0},
    }


def test_other_metrics_bring_no_details() -> None:
    assert closed(FAMILIAR, FAMILIAR).harm("nll", replicates=FEW).details == {}
