"""Fetch or compute embeddings on this machine, each exactly once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from reliability.data.registry import DataSet
from reliability.errors import QuantizationError
from reliability.evaluate.cache import Arrays, Cache, Job
from reliability.evaluate.code_version import code_version
from reliability.evaluate.compare import Pair
from reliability.evaluate.inputs import Side
from reliability.models.spec import ModelSpec
from reliability.quant.recipe import FP32, Recipe
from reliability.types import Embeddings, Part, PromptSet, Task
from reliability.versions import installed

if TYPE_CHECKING:
    from reliability.evaluate.candidates import Candidates

_CODE = ("types.py", "data", "models", "quant", "evaluate/embed.py", "evaluate/candidates.py")


@dataclass
class Engine:
    """Embeddings of one data set by address, computed on this machine when they are not cached.

    Attributes:
        cache: Where embeddings and prepared candidates lie.
        data: Tasks, sources and range-setting data.
        device: A torch device; ``cpu`` is the reference platform.
        threads: Torch threads of this process.
    """

    cache: Cache
    data: DataSet
    device: str = "cpu"
    threads: int = 1
    _candidates: Candidates | None = field(default=None, init=False, repr=False)

    def pair(self, reference: ModelSpec, recipe: Recipe, task: Task) -> Pair:
        """Reference and candidate on a task.

        Raises:
            QuantizationError: A recipe was asked for and changed nothing at all.
        """
        parts = [task.part] if task.familiar is None else [task.part, task.familiar]
        wanted = [(r, part) for r in (FP32, recipe) for part in parts]
        jobs = [self._image_job(reference, r, part.source) for r, part in wanted]
        jobs += [self._text_job(reference, r, task.prompts) for r in (FP32, recipe)]
        arrays = self.cache.get(jobs)
        texts = dict(zip((FP32.name, recipe.name), arrays[len(wanted) :], strict=False))
        if not recipe.is_float:
            _check_changed(reference, recipe, task, arrays[: len(parts)], arrays[len(parts) : len(wanted)], texts)
        sides = []
        for index, r in enumerate((FP32, recipe)):
            images = arrays[index * len(parts) : (index + 1) * len(parts)]
            unfamiliar = task.familiar is not None
            part = _embeddings(images[0], texts[r.name], task.part, unfamiliar)
            familiar = _embeddings(images[1], texts[r.name], task.familiar, False) if task.familiar else None
            sides.append(Side(part, familiar))
        return Pair(task, sides[0], sides[1])

    def _payload(self, kind: str, model: ModelSpec, recipe: Recipe, tower: Literal["vision", "text"]) -> dict[str, Any]:
        """What an embedding depends on apart from its input.

        A tower that the recipe leaves alone is the reference's own, so its
        embeddings are shared.
        """
        applied = recipe if recipe.changes(tower) else FP32
        settings = {"device": self.device.partition(":")[0], "threads": self.threads, "torch": installed("torch")}
        found: dict[str, Any] = {
            "kind": kind,
            "model": dict(model.identity),
            "recipe": dict(applied.identity),
            "settings": settings,
            "code": code_version(*_CODE),
        }
        if not applied.is_float:
            found["range_setting"] = dict(self.data.range_setting.identity(recipe.range_images, recipe.seed))
        return found

    def _image_job(self, model: ModelSpec, recipe: Recipe, source: str) -> Job:
        payload = self._payload("image", model, recipe, "vision")
        payload["source"] = dict(self.data.sources[source].identity)
        return Job(payload, lambda: self._loaded().images(model, recipe, self.data.sources[source]))

    def _text_job(self, model: ModelSpec, recipe: Recipe, prompts: PromptSet) -> Job:
        payload = self._payload("text", model, recipe, "text")
        payload["prompts"] = {"classes": prompts.class_names, "templates": prompts.templates}
        return Job(payload, lambda: self._loaded().prompts(model, recipe, prompts))

    def _prepared_job(self, model: ModelSpec, recipe: Recipe) -> Job:
        payload = self._payload("prepared", model, recipe, "vision" if recipe.changes("vision") else "text")
        return Job(payload, lambda: self._loaded().prepare(model, recipe))

    def prepared(self, model: ModelSpec, recipe: Recipe) -> Mapping[str, NDArray[Any]]:
        """The state of a prepared candidate: ranges set, weights rounded, training done."""
        return self.cache.get([self._prepared_job(model, recipe)])[0]

    def _loaded(self) -> Candidates:
        """The part that imports torch, made when the cache first misses."""
        if self._candidates is None:
            from reliability.evaluate.candidates import Candidates

            self._candidates = Candidates(self)
        return self._candidates


def _embeddings(images: Arrays, text: Arrays, part: Part, unfamiliar: bool) -> Embeddings:
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


def _check_changed(
    model: ModelSpec,
    recipe: Recipe,
    task: Task,
    reference: list[Arrays],
    candidate: list[Arrays],
    texts: Mapping[str, Arrays],
) -> None:
    """A candidate equal to its reference in every bit means that nothing was quantized."""
    same_images = all(np.array_equal(a["image"], b["image"]) for a, b in zip(reference, candidate, strict=True))
    same_text = np.array_equal(texts[FP32.name]["text"], texts[recipe.name]["text"])
    if (recipe.quantizes("vision") and same_images) or (recipe.quantizes("text") and same_text):
        raise QuantizationError(
            where=f"{model.name}, recipe {recipe.name}, task {task.name}",
            what="the candidate's embeddings equal the reference's in every bit, although a quantization was asked for",
            next="check that the recipe reaches the tower's layers; judge a model against itself with --recipes fp32",
        )
