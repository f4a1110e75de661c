"""Pictures that two models answer differently: how many, and the most telling of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from reliability.types import F64, I64, Embeddings, Task

MOST_SHOWN = 12
MOST_LOST = 8
"""Of those shown, so many at most were right before, as long as there are others."""

KINDS = ("right_to_wrong", "wrong_to_right", "wrong_to_wrong")


def flips(task: Task, reference: Embeddings, candidate: Embeddings) -> dict[str, Any]:
    """Number of changed answers of each kind, and the most telling ones.

    Args:
        task: Names the classes.
        reference, candidate: Both models on labelled pictures, the same ones in the same order.

    Conventions:
        Within a kind the answers that the candidate is most confident of come first. What
        was right and is wrong comes before what was wrong and is right, and that before
        one wrong answer for another.
    """
    before, after = reference.logits.argmax(axis=1), candidate.logits.argmax(axis=1)
    lost, gained, other = (_most_confident_first(rows, candidate) for rows in _kinds(before, after, reference.labels))
    rest = [*gained, *other]
    shown = [*lost[: max(MOST_LOST, MOST_SHOWN - len(rest))], *rest][:MOST_SHOWN]
    return {
        "counts": {kind: len(rows) for kind, rows in zip(KINDS, (lost, gained, other), strict=True)},
        "shown": [_flip(task, row, reference, candidate) for row in shown],
    }


def _kinds(before: I64, after: I64, labels: I64) -> list[I64]:
    changed, was_right, is_right = before != after, before == labels, after == labels
    masks = (changed & was_right, changed & is_right, changed & ~was_right & ~is_right)
    return [np.flatnonzero(mask) for mask in masks]


def _most_confident_first(rows: I64, candidate: Embeddings) -> list[int]:
    ranked: list[int] = rows[np.argsort(-_confidence(candidate.logits[rows]), kind="stable")].tolist()
    return ranked


def _confidence(logits: F64) -> F64:
    """[N] largest probability of each row of logits [N, C]."""
    peak: F64 = 1.0 / np.exp(logits - logits.max(axis=1, keepdims=True)).sum(axis=1)
    return peak


def _flip(task: Task, row: int, reference: Embeddings, candidate: Embeddings) -> dict[str, Any]:
    names = task.prompts.class_names
    answers = {}
    for side, part in (("reference", reference), ("candidate", candidate)):
        logits = part.logits[row]
        confidence = float(_confidence(logits[None])[0])
        answers[side] = {"answer": names[int(logits.argmax())], "confidence": round(confidence, 4)}
    return {"id": str(reference.ids[row]), "label": names[int(reference.labels[row])], **answers}
