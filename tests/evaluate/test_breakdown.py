"""A comparison taken apart adds up to the comparison."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reliability.evaluate.comparison.breakdown import MOST_CROSSINGS, break_down
from reliability.evaluate.comparison.compare import Pair
from reliability.evaluate.comparison.inputs import Side
from reliability.types import Embeddings, Part, PromptSet, Task

CLASSES = 5
CLOSED = Task("id", Part("id"), PromptSet(tuple("abcde"), ("a {c}",)))
OPEN = replace(CLOSED, name="ood/near", familiar=Part("id"))


def part(n: int, seed: int, unfamiliar: bool = False) -> Embeddings:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % CLASSES
    signal = np.zeros((n, CLASSES)) if unfamiliar else np.eye(CLASSES)[labels]
    image = (signal + rng.normal(0, 0.4, (n, CLASSES))).astype(np.float32)
    ids = np.array([f"{seed}/{row}" for row in range(n)])
    none = np.full(n, -1)
    return Embeddings(image, np.eye(CLASSES, dtype=np.float32), 8.0, none if unfamiliar else labels, none, ids)


def moved(embeddings: Embeddings, by: float, seed: int = 9) -> Embeddings:
    noise = np.random.default_rng(seed).normal(0, by, embeddings.image.shape)
    return replace(embeddings, image=(embeddings.image + noise).astype(np.float32))


FAMILIAR, STRANGE = part(200, 0), part(150, 1, unfamiliar=True)


def accuracy(embeddings: Embeddings) -> float:
    return float((embeddings.logits.argmax(axis=1) == embeddings.labels).mean())


def test_classes_add_up_to_the_accuracy_and_the_largest_loss_stands_first() -> None:
    candidate = moved(FAMILIAR, 0.4)
    found = break_down(Pair(CLOSED, Side(FAMILIAR), Side(candidate)))
    total = sum(share.n for share in found.classes)
    assert total == 200
    assert sum(share.n * share.reference for share in found.classes) / total == pytest.approx(accuracy(FAMILIAR))
    assert sum(share.n * share.candidate for share in found.classes) / total == pytest.approx(accuracy(candidate))
    losses = [share.loss for share in found.classes]
    assert losses == sorted(losses, reverse=True)
    assert sum(losses) == round(total * (accuracy(FAMILIAR) - accuracy(candidate)))
    counts = found.changed["counts"]
    assert counts["right_to_wrong"] - counts["wrong_to_right"] == sum(losses)


def test_a_class_that_no_picture_shows_is_left_out() -> None:
    few = replace(FAMILIAR, labels=np.where(FAMILIAR.labels == 2, 3, FAMILIAR.labels))
    assert [share.name for share in break_down(Pair(CLOSED, Side(few), Side(few))).classes] == ["a", "b", "d", "e"]


def test_each_model_s_own_cutoff_accepts_95_per_cent_of_what_is_familiar() -> None:
    pair = Pair(OPEN, Side(STRANGE, FAMILIAR), Side(moved(STRANGE, 0.2), moved(FAMILIAR, 0.2)))
    found = break_down(pair, "mcm")
    familiar, unfamiliar = found.sides
    assert (familiar.reference, familiar.candidate) == (0.95, 0.95)
    false_acceptance = pair.harm("fpr95", "mcm", replicates=20)
    assert unfamiliar.reference == pytest.approx(false_acceptance.reference.estimate)
    assert unfamiliar.candidate == pytest.approx(false_acceptance.candidate.estimate)
    counts = found.changed["counts"]
    assert counts["familiar"] % 2 == 0  # as many came in as went out
    assert counts["unfamiliar"] > 0
    assert 0 < len(found.changed["shown"]) <= MOST_CROSSINGS
    for one in found.changed["shown"]:
        assert {one[side]["answer"] for side in ("reference", "candidate")} == {"accepted", "refused"}


def test_features_that_did_not_move_are_equal_and_others_have_the_noise_they_were_given() -> None:
    images, texts = break_down(Pair(CLOSED, Side(FAMILIAR), Side(FAMILIAR))).features
    assert (images.sqnr_db, texts.sqnr_db) == (None, None)
    assert images.cosine == pytest.approx(1)
    rng = np.random.default_rng(3)
    clean = replace(FAMILIAR, image=rng.normal(size=(4000, CLASSES)).astype(np.float32))
    unit = clean.image / np.linalg.norm(clean.image, axis=1, keepdims=True)
    noisy = replace(clean, image=(unit + rng.normal(0, 0.01, unit.shape)).astype(np.float32))
    images, _ = break_down(
        Pair(replace(OPEN, familiar=None), Side(_unlabelled(clean)), Side(_unlabelled(noisy)))
    ).features
    # Of five directions, the one along the feature is normalised away: 4 x 0.01^2 of noise to 1 of signal.
    assert images.sqnr_db == pytest.approx(10 * np.log10(1 / 4e-4), abs=0.2)
    assert images.cosine == pytest.approx(1 - 2e-4, abs=2e-5)


def _unlabelled(embeddings: Embeddings) -> Embeddings:
    n = len(embeddings.image)
    return replace(embeddings, labels=np.full(n, -1), groups=np.full(n, -1), ids=np.arange(n).astype(str))


def test_without_labels_or_familiar_pictures_only_features_are_compared() -> None:
    pair = Pair(replace(OPEN, familiar=None), Side(STRANGE), Side(moved(STRANGE, 0.2)))
    found = break_down(pair)
    assert (found.classes, found.sides, found.changed) == ((), (), {})
    assert found.features[0].sqnr_db is not None
