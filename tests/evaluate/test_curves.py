"""Curves in a record are the metric's own, thinned; changed answers are counted and the telling ones named."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from reliability.evaluate.comparison.compare import Pair
from reliability.evaluate.comparison.curves import COVERAGE, FALSE_ACCEPTANCE, risk_coverage, roc
from reliability.evaluate.comparison.flips import MOST_LOST, MOST_SHOWN, flips
from reliability.evaluate.comparison.inputs import Side
from reliability.metrics.registry import get
from reliability.types import Embeddings, Part, PromptSet, Task

CLASSES = 6
TASK = Task("ood/near", Part("far"), PromptSet(tuple("abcdef"), ("{c}",)), familiar=Part("id"))
FEW = 40


def embeddings(n: int = 300, seed: int = 0, noise: float = 0.3) -> Embeddings:
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, n)
    image = (np.eye(CLASSES)[labels] + rng.normal(0, noise, (n, CLASSES))).astype(np.float32)
    ids = np.array([f"p/{i}" for i in range(n)])
    return Embeddings(image, np.eye(CLASSES, dtype=np.float32), 8.0, labels, np.full(n, -1), ids)


def blurred(part: Embeddings, seed: int = 9, noise: float = 0.3) -> Embeddings:
    rng = np.random.default_rng(seed)
    return replace(part, image=part.image + rng.normal(0, noise, part.image.shape).astype(np.float32))


REFERENCE = embeddings()
CANDIDATE = blurred(REFERENCE)


def test_a_roc_curve_is_read_off_the_counts_and_its_area_is_the_metric() -> None:
    rng = np.random.default_rng(1)
    familiar, unfamiliar = rng.normal(1, 1, 2000), rng.normal(0, 1, 1500)
    curve = roc(familiar, unfamiliar)
    for at, accepted in zip(FALSE_ACCEPTANCE, curve, strict=True):
        cutoffs = [c for c in np.concatenate([familiar, unfamiliar]) if (unfamiliar >= c).mean() <= at]
        best = max(((familiar >= c).mean() for c in cutoffs), default=0.0)
        assert accepted == pytest.approx(best, abs=1e-12)
    area = float(np.trapezoid(curve, FALSE_ACCEPTANCE))
    assert area == pytest.approx(get("auroc").fn(familiar, unfamiliar), abs=2e-3)


def test_equal_scores_are_accepted_together() -> None:
    curve = roc(np.array([1.0, 1.0]), np.array([1.0, 1.0]))
    assert curve == pytest.approx(FALSE_ACCEPTANCE)
    assert roc(np.array([0.0, 0.0]), np.array([1.0, 1.0]))[:-1] == pytest.approx(0.0)


@pytest.mark.parametrize("levels", [4, 1000])
def test_risk_at_a_coverage_is_the_error_rate_of_the_most_confident(levels: int) -> None:
    rng = np.random.default_rng(2)
    confidence = rng.integers(0, levels, 400) / levels
    correct = rng.random(400) < confidence
    curve = risk_coverage(confidence, correct)
    for coverage, risk in zip(COVERAGE, curve, strict=True):
        cutoff = max(c for c in confidence if (confidence >= c).mean() >= coverage - 1e-9)
        assert risk == pytest.approx(1.0 - correct[confidence >= cutoff].mean())


def details_of(metric: str, score: str = "") -> Any:
    pair = Pair(TASK, Side(REFERENCE, embeddings(200, 3)), Side(CANDIDATE, blurred(embeddings(200, 3))))
    task = pair if score else Pair(replace(TASK, familiar=None), Side(REFERENCE), Side(CANDIDATE))
    return task.harm(metric, score, replicates=FEW).details


@pytest.mark.parametrize(
    ("metric", "score", "keys"),
    [
        ("ece", "", {"reliability", "risk_coverage"}), ("auroc", "mcm", {"roc"}), ("fpr95", "msp", {"roc"}),
        ("aurc", "", {"risk_coverage"}), ("effective_rank", "", {"spectrum"}), ("cka", "", {"spectrum"}),
        ("top1", "", {"flips"}), ("flip_rate", "", {"flips"}), ("nll", "", set()),
    ],
)  # fmt: skip
def test_a_metric_brings_the_curves_it_is_about_as_plain_json(metric: str, score: str, keys: set[str]) -> None:
    found = details_of(metric, score)
    assert set(found) == keys
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert len(json.dumps(found)) < 4000, "a record crosses process borders with every case"
    for curve in found.values():
        lengths = {len(values) for values in curve.values() if isinstance(values, list)} - {len(curve.get("shown", []))}
        assert len(lengths) <= 1
        assert all(length <= 60 for length in lengths)


def test_an_octave_of_the_spectrum_ends_where_it_says() -> None:
    found = details_of("effective_rank")["spectrum"]
    assert found["last_rank"] == [1, 2, 4, 6]
    assert sum(found["candidate"]) == pytest.approx(1.0)
    assert len(found["noise_to_signal"]) == 4


def test_changed_answers_are_counted_by_what_they_mean() -> None:
    found = flips(TASK, REFERENCE, CANDIDATE)
    before, after = REFERENCE.logits.argmax(1), CANDIDATE.logits.argmax(1)
    was, now, changed = before == REFERENCE.labels, after == REFERENCE.labels, before != after
    counts = {
        "right_to_wrong": int((was & ~now).sum()), "wrong_to_right": int((~was & now).sum()),
        "wrong_to_wrong": int((changed & ~was & ~now).sum()),
    }  # fmt: skip
    assert found["counts"] == counts
    assert min(counts.values()) > 0


def test_lost_answers_come_first_and_the_surest_of_them_before_others() -> None:
    shown = flips(TASK, REFERENCE, CANDIDATE)["shown"]
    assert len(shown) == MOST_SHOWN
    lost = [one["reference"]["answer"] == one["label"] for one in shown]
    assert lost == [True] * MOST_LOST + [False] * (MOST_SHOWN - MOST_LOST)
    confidence = [one["candidate"]["confidence"] for one in shown[:MOST_LOST]]
    assert confidence == sorted(confidence, reverse=True)
    first = shown[0]
    row = int(first["id"].removeprefix("p/"))
    probabilities = np.exp(CANDIDATE.logits[row]) / np.exp(CANDIDATE.logits[row]).sum()
    assert first["candidate"]["confidence"] == pytest.approx(probabilities.max(), abs=1e-4)
    assert first["candidate"]["answer"] == "abcdef"[probabilities.argmax()]


def test_models_that_agree_have_nothing_to_show() -> None:
    assert flips(TASK, REFERENCE, REFERENCE) == {
        "counts": dict.fromkeys(("right_to_wrong", "wrong_to_right", "wrong_to_wrong"), 0), "shown": [],
    }  # fmt: skip
