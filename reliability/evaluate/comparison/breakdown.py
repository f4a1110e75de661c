"""A comparison taken apart: classes, sides of an OOD task, pictures that changed sides, and error of the features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from reliability.evaluate.comparison.compare import Pair
from reliability.evaluate.comparison.flips import flips
from reliability.evaluate.comparison.inputs import Asked
from reliability.types import F32, F64, Embeddings

Basis = Literal["as it is", "best scale per channel", "best rotation"]

SCORE = "mcm"
"""Which score tells pictures apart where the case names none."""
_ACCEPTED = 0.95
"""Share of familiar pictures that each model's own cutoff accepts, as FPR95 has it."""
MOST_CROSSINGS = 12


@dataclass(frozen=True)
class Share:
    """Part of the pictures, and each model's share of right answers, or of acceptances, among them.

    Attributes:
        n: Pictures.
    """

    name: str
    n: int
    reference: float
    candidate: float

    @property
    def loss(self) -> int:
        """Right answers that were lost, less those that were gained."""
        return round(self.n * (self.reference - self.candidate))


@dataclass(frozen=True)
class FeatureError:
    """How far features moved that both models make of the same input.

    Attributes:
        of: ``images`` or ``texts``.
        sqnr_db: Energy of the reference's unit features over that of the difference, in dB; None where nothing moved.
        cosine: Mean cosine between both models' features.
    """

    of: str
    sqnr_db: float | None
    cosine: float


@dataclass(frozen=True)
class LayerError:
    """How far one Linear or Conv2d layer's output moved.

    Attributes:
        name: In the model.
        sqnr_db: Energy of the reference's output over that of the difference, in dB; None where nothing differs.
        basis: What the candidate's output was freed of before it was compared.
    """

    name: str
    sqnr_db: float | None
    basis: Basis


@dataclass(frozen=True)
class Breakdown:
    """What one comparison consists of.

    Attributes:
        classes: By class, where pictures have labels; the largest loss first.
        sides: Of an OOD task, familiar and unfamiliar pictures that each model's own cutoff accepts.
        changed: Pictures that the models answer, or accept, differently, as
            :func:`reliability.evaluate.comparison.flips.flips` gives them; empty where nothing is answered.
        features: Of pictures and texts.
    """

    classes: tuple[Share, ...]
    sides: tuple[Share, ...]
    changed: Mapping[str, Any]
    features: tuple[FeatureError, ...]


def break_down(pair: Pair, score: str = "") -> Breakdown:
    """Take a comparison on one task apart.

    Args:
        pair: Both models.
        score: What OOD pictures are told apart by; ``mcm`` where it is empty.
    """
    first, second = pair.reference.part, pair.candidate.part
    features = (_error("images", first.image, second.image), _error("texts", first.text, second.text))
    if pair.reference.familiar is not None:
        return Breakdown((), *_sides(pair, score or SCORE), features)
    if (first.labels < 0).any() or pair.task.matches:
        return Breakdown((), (), {}, features)
    return Breakdown(tuple(_classes(pair)), (), flips(pair.task, first, second), features)


def _classes(pair: Pair) -> list[Share]:
    labels = pair.reference.part.labels
    right = [part.logits.argmax(axis=1) == labels for part in (pair.reference.part, pair.candidate.part)]
    names = pair.task.prompts.class_names
    found = [
        Share(names[label], int(own.sum()), *(float(side[own].mean()) for side in right))
        for label in np.unique(labels).tolist()
        for own in [labels == label]
    ]
    return sorted(found, key=lambda share: (-share.loss, share.name))


def _sides(pair: Pair, score: str) -> tuple[tuple[Share, ...], dict[str, Any]]:
    asked = Asked(pair.task, pair.reference, pair.candidate, score)
    scores: dict[str, list[F64]] = {"familiar": [], "unfamiliar": []}
    accepted: dict[str, list[NDArray[np.bool_]]] = {"familiar": [], "unfamiliar": []}
    for side in (pair.reference, pair.candidate):
        assert side.familiar is not None
        scorer = asked.scorer(side)
        values = {"familiar": scorer(side.familiar), "unfamiliar": scorer(side.part)}
        cutoff = _cutoff(values["familiar"])
        for name, own in values.items():
            scores[name].append(own)
            accepted[name].append(own >= cutoff)
    shares = tuple(Share(f"{n}, accepted", len(a[0]), *(float(s.mean()) for s in a)) for n, a in accepted.items())
    parts = {"familiar": pair.reference.familiar, "unfamiliar": pair.reference.part}
    crossed = [
        one for name, part in parts.items() if part for one in _crossings(name, part, accepted[name], scores[name])
    ]
    counts = {name: int((a[0] != a[1]).sum()) for name, a in accepted.items()}
    return shares, {"score": score, "counts": counts, "shown": crossed}


def _cutoff(familiar: F64) -> float:
    """The highest score at or above which lies the share of familiar pictures that is to be accepted."""
    return float(np.sort(familiar)[::-1][int(np.ceil(_ACCEPTED * len(familiar))) - 1])


def _crossings(
    kind: str, part: Embeddings, accepted: list[NDArray[np.bool_]], scores: list[F64]
) -> Iterator[dict[str, Any]]:
    """Pictures on different sides of both cutoffs, those whose rank moved most first."""
    rows = np.flatnonzero(accepted[0] != accepted[1])
    ranks = [values.argsort().argsort() for values in scores]
    moved = np.abs(ranks[0] - ranks[1])[rows]
    for row in rows[np.argsort(-moved, kind="stable")][: MOST_CROSSINGS // 2].tolist():
        sides = zip(("reference", "candidate"), accepted, scores, strict=True)
        answers = {
            side: {"answer": "accepted" if own[row] else "refused", "confidence": float(values[row])}
            for side, own, values in sides
        }
        yield {"id": str(part.ids[row]), "label": kind, **answers}


def _error(of: str, reference: F32, candidate: F32) -> FeatureError:
    first, second = _unit(reference), _unit(candidate)
    noise = float(np.square(first - second).sum())
    sqnr = 10.0 * np.log10(float(np.square(first).sum()) / noise) if noise > 0 else None
    return FeatureError(of, None if sqnr is None else float(sqnr), float((first * second).sum(axis=1).mean()))


def _unit(features: F32) -> F64:
    wide = features.astype(np.float64)
    norm = np.linalg.norm(wide, axis=1, keepdims=True)
    unit: F64 = wide / np.where(norm > 0, norm, 1.0)
    return unit
