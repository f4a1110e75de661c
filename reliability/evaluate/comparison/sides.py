"""From what the cache holds of a source to one model's embeddings of a task."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from reliability.errors import ModelError
from reliability.evaluate.comparison.inputs import Side
from reliability.evaluate.storage.cache import Arrays
from reliability.types import F32, Embeddings, Part, Task

_UNIT = 1e-3
"""What rounding may move the length of a text feature by."""


def parts_of(task: Task, fit: bool) -> dict[str, Part]:
    """The pictures of a task by what they are for.

    Args:
        fit: Whether pictures to fit a score on are needed, where the task has them.
    """
    parts = {"part": task.part, "familiar": task.familiar, "fit": task.fit if fit else None}
    return {name: part for name, part in parts.items() if part is not None}


def side_of(images: Mapping[str, Arrays], parts: Mapping[str, Part], text: Arrays) -> Side:
    """One model's embeddings of each part of a task.

    Raises:
        ModelError: Text features are not of unit length, so that cosines would be none.
    """
    _require_unit(text["text"])
    return Side(
        **{
            name: _embeddings(images[name], text, part, unfamiliar=name == "part" and "familiar" in parts)
            for name, part in parts.items()
        }
    )


def _require_unit(text: F32) -> None:
    length = np.linalg.norm(text.astype(np.float64), axis=1)
    worst = int(np.abs(length - 1.0).argmax())
    if not abs(length[worst] - 1.0) <= _UNIT:
        raise ModelError(
            where=f"text feature {worst}", what="text features must be of unit length", got=f"length {length[worst]:g}",
            next="normalise them after the mean over templates is taken, as open_clip's zero-shot classifier does",
        )  # fmt: skip


def _embeddings(images: Arrays, text: Arrays, part: Part, *, unfamiliar: bool) -> Embeddings:
    """Select a part's pictures and number their labels as the task's classes; unfamiliar ones get -1."""
    labels = images["labels"]
    rows = np.ones(len(labels), dtype=bool) if part.labels is None else np.isin(labels, part.labels)
    if unfamiliar:
        labels = np.full_like(labels, -1)
    elif part.labels is not None:
        position = {label: index for index, label in enumerate(part.labels)}
        labels = np.array([position.get(label, -1) for label in labels.tolist()], dtype=np.int64)
    return Embeddings(
        image=images["image"][rows],
        text=text["text"],
        logit_scale=float(text["logit_scale"][0]),
        labels=labels[rows],
        groups=images["groups"][rows],
        ids=images["ids"][rows],
    )
