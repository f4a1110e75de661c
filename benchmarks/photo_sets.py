"""Photographs with unfamiliar sets beside them, and the embedded model that was trained on their kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from reliability.data.dataset import DataSet
from reliability.data.registry import open_data
from reliability.models.spec import ModelSpec, parse_model
from reliability.types import ImageSource, Part, Task

_SHARED_CONCEPTS = frozenset(
    (
        "bullfrog", "tailed frog", "goose", "black stork", "king penguin", "albatross", "Chihuahua",
        "Yorkshire terrier",
        "golden retriever", "Labrador retriever", "German shepherd", "standard poodle", "tabby", "Persian cat",
        "Egyptian cat", "cougar", "lion", "gazelle", "beach wagon", "convertible", "go-kart", "gondola", "lifeboat",
        "limousine", "moving van", "police van", "school bus", "sports car", "tractor", "trolleybus",
    )
)  # fmt: skip
"""Tiny-ImageNet's classes that are animals or vehicles of CIFAR-10's ten, or near kin of them."""


@dataclass(frozen=True)
class Photographs:
    """What is measured.

    Attributes:
        model: Trained on photographs of this kind.
        data: Familiar, near, far and noisy tasks.
    """

    model: ModelSpec
    data: DataSet


def cifar10(root: Path, limit: int | None, model: str = "zoo:photos") -> Photographs:
    """CIFAR-10's test split, with Tiny-ImageNet's and scenes without an object as far sets."""
    other = open_data(f"webdataset:{root / 'tinyimagenet'}", limit=limit)
    names = other.task("id").prompts.class_names
    missing = _SHARED_CONCEPTS - set(names)
    if missing:
        raise SystemExit(f"{root / 'tinyimagenet'}: not Tiny-ImageNet's classes: no {', '.join(sorted(missing))}")
    unshared = tuple(label for label, name in enumerate(names) if name not in _SHARED_CONCEPTS)
    data = open_data(f"webdataset:{root / 'cifar10'}", limit=limit)
    far = {"tinyimagenet": (Part("tinyimagenet", unshared), other.sources["test"]), "scenes": _objectless(limit)}
    return Photographs(parse_model(model), _beside(data, far))


def tinyimagenet(root: Path, limit: int | None, model: str = "zoo:tiny-clean") -> Photographs:
    """Tiny-ImageNet's 160 trained classes, its 40 others as near set, scenes without an object as far set."""
    data = open_data("tinyimagenet", root, limit)
    return Photographs(parse_model(model), _beside(data, {"scenes": _objectless(limit)}))


SETS = {"cifar10": cifar10, "tinyimagenet": tinyimagenet}


def _objectless(limit: int | None) -> tuple[Part, ImageSource]:
    return Part("far"), open_data("scenes", limit=limit).sources["far"]


def _beside(data: DataSet, far: Mapping[str, tuple[Part, ImageSource]]) -> DataSet:
    """The data with far sets, told from all of its classes."""
    known, fit = data.task("id"), data.task("ood/near").fit
    tasks = {
        f"ood/far/{name}": Task(
            f"ood/far/{name}", part, known.prompts, familiar=known.part, fit=Part(fit.source) if fit else None
        )
        for name, (part, _) in far.items()
    }
    sources = {part.source: source for part, source in far.values()}
    return replace(data, tasks={**data.tasks, **tasks}, sources={**data.sources, **sources})
