"""Doubles of a quantized model that share one trait with it: a gain they show too is not the grid's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from reliability.evaluate.comparison.compare import Pair
from reliability.evaluate.comparison.inputs import Side
from reliability.metrics.features import principal_directions
from reliability.types import F64


def truncated(pair: Pair, rank: int) -> Pair:
    """FP32 beside itself with only its strongest directions left.

    Conventions:
        Directions are the right singular vectors of FP32's features on the task's own pictures
        (the familiar ones of an OOD task), uncentred.
    """
    directions = _directions(pair.reference)[:rank]
    return _changed(pair, lambda reference, _: (reference @ directions.T) @ directions)


def with_matched_noise(pair: Pair, seed: int = 0) -> Pair:
    """FP32 beside itself with noise of the candidate's energy in each direction, and none of its pattern.

    Conventions:
        The candidate's difference from FP32 is measured direction by direction over all
        pictures of a part; independent normal noise of that energy is added to each picture.
    """
    directions = _directions(pair.reference)
    rng = np.random.default_rng(seed)

    def noisy(reference: F64, candidate: F64) -> F64:
        error = (candidate - reference) @ directions.T
        noise: F64 = rng.normal(size=error.shape) * np.sqrt((error**2).mean(axis=0))
        return reference + noise @ directions

    return _changed(pair, noisy)


def with_permuted_labels(pair: Pair, seed: int = 0) -> Pair:
    """The same two models on labels that mean nothing: no claim about right answers may come out."""
    order = np.random.default_rng(seed).permutation(len(pair.reference.part.labels))
    reference, candidate = (
        replace(side, part=replace(side.part, labels=side.part.labels[order]))
        for side in (pair.reference, pair.candidate)
    )
    return Pair(pair.task, reference, candidate)


def with_permuted_membership(pair: Pair, seed: int = 0) -> Pair:
    """An OOD task whose familiar and unfamiliar pictures are dealt anew: nothing is left to be told apart."""
    assert pair.reference.familiar is not None, "only OOD tasks have familiar pictures"
    few, total = len(pair.reference.part.ids), len(pair.reference.part.ids) + len(pair.reference.familiar.ids)
    unfamiliar = np.isin(np.arange(total), np.random.default_rng(seed).permutation(total)[:few])
    return Pair(pair.task, _dealt(pair.reference, unfamiliar), _dealt(pair.candidate, unfamiliar))


def _dealt(side: Side, unfamiliar: NDArray[np.bool_]) -> Side:
    assert side.familiar is not None, "only OOD tasks have familiar pictures"
    joined = {
        name: np.concatenate([getattr(side.part, name), getattr(side.familiar, name)])
        for name in ("image", "labels", "groups", "ids")
    }
    part, familiar = (
        replace(
            side.part, image=joined["image"][rows], labels=joined["labels"][rows], groups=joined["groups"][rows],
            ids=joined["ids"][rows],
        )
        for rows in (unfamiliar, ~unfamiliar)
    )  # fmt: skip
    return Side(part, familiar)


def _directions(side: Side) -> F64:
    basis = side.familiar if side.familiar is not None else side.part
    return principal_directions(basis.image.astype(np.float64))[1]


def _changed(pair: Pair, change: Callable[[F64, F64], F64]) -> Pair:
    """The reference beside itself with other image features, made of both models' own."""
    parts = {}
    for name in ("part", "familiar"):
        first, second = getattr(pair.reference, name), getattr(pair.candidate, name)
        if first is not None:
            image = change(first.image.astype(np.float64), second.image.astype(np.float64))
            parts[name] = replace(first, image=image.astype(np.float32))
    return Pair(pair.task, pair.reference, replace(pair.reference, **parts))
