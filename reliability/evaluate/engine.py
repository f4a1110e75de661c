"""Fetch or compute embeddings on this machine, each exactly once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from reliability.data.registry import DataSet
from reliability.errors import QuantizationError, UsageError
from reliability.evaluate.cache import Arrays, Cache, Job
from reliability.evaluate.candidate import Candidate, check_own
from reliability.evaluate.code_version import code_version
from reliability.evaluate.compare import Pair
from reliability.evaluate.efficiency import Costs
from reliability.evaluate.group import GroupPair
from reliability.evaluate.inputs import Side
from reliability.models.spec import ModelSpec, OwnCandidate
from reliability.quant.backends.registry import kernel_versions
from reliability.quant.proof import Proof
from reliability.quant.recipe import FP32, Recipe
from reliability.types import Embeddings, Part, PromptSet, Task, TaskGroup
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

    def pair(
        self, reference: ModelSpec, recipe: Candidate, task: Task, *, fit: bool = False, against: Recipe = FP32
    ) -> Pair:
        """Reference and candidate on a task.

        Args:
            fit: Whether pictures to fit a score on are needed, where the task has them.
            against: What the candidate is held against, such as its own simulation; the FP32
                model unless said otherwise.

        Raises:
            QuantizationError: A recipe was asked for and changed nothing at all.
        """
        parts = {"part": task.part, "familiar": task.familiar, "fit": task.fit if fit else None}
        needed = {name: part for name, part in parts.items() if part is not None}
        jobs = [self._image_job(reference, r, part.source) for r in (against, recipe) for part in needed.values()]
        images = len(jobs) // 2
        jobs += [self._text_job(reference, r, task.prompts) for r in (against, recipe)]
        arrays = self.cache.get(jobs)
        own, others, texts = arrays[:images], arrays[images : 2 * images], arrays[2 * images :]
        if against.is_float and not recipe.is_float:
            _check_changed(reference, recipe, task, own, others, texts)
        sides = [
            _side(dict(zip(needed, found, strict=True)), needed, text)
            for found, text in zip((own, others), texts, strict=True)
        ]
        costs = Costs(
            lambda: self._sizes(reference, (against, recipe)),
            lambda: self.loaded().times(reference, against, recipe),
        )
        name = "" if against.is_float else against.name
        return Pair(task, sides[0], sides[1], lambda: self.proof(reference, recipe), costs, name)

    def _sizes(self, model: ModelSpec, recipes: tuple[Recipe, Candidate]) -> tuple[int, int]:
        first, second = (self._bytes(model, recipe) for recipe in recipes)
        return first, second

    def _bytes(self, model: ModelSpec, recipe: Candidate) -> int:
        """As stored: tensors of a prepared recipe, files of a model of the user's own."""
        if isinstance(recipe, OwnCandidate):
            return recipe.stored_bytes
        payload = self._payload("size", model, recipe, "vision" if recipe.changes("vision") else "text")
        job = Job(payload, lambda: self.loaded().size(model, recipe))
        return int(self.cache.get([job])[0]["bytes"][0])

    def group_pair(self, reference: ModelSpec, recipe: Candidate, group: TaskGroup) -> GroupPair:
        """Reference and candidate on a group of tasks, embedded one task after another.

        Raises:
            UsageError, DataError: The tasks are not the same pictures under corruptions.
            QuantizationError: As of :meth:`pair`.
        """
        clean = self.pair(reference, recipe, group.clean) if group.clean is not None else None
        return GroupPair.of(group, (self.pair(reference, recipe, task) for task in group.tasks), clean)

    def _payload(
        self, kind: str, model: ModelSpec, recipe: Candidate, tower: Literal["vision", "text"]
    ) -> dict[str, Any]:
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
        if isinstance(applied, OwnCandidate):
            return found
        if applied.backend:
            found["kernels"] = kernel_versions(applied)
        if not applied.is_float:
            found["range_setting"] = dict(self.data.range_setting.identity(applied.range_images, applied.seed))
        return found

    def reference_images(self, model: ModelSpec, source: str) -> Arrays:
        """The reference's own features of a source."""
        return self.cache.get([self._image_job(model, FP32, source)])[0]

    def _image_job(self, model: ModelSpec, recipe: Candidate, source: str) -> Job:
        payload = self._payload("image", model, recipe, "vision")
        payload["source"] = dict(self.data.sources[source].identity)
        return Job(payload, lambda: self.loaded().images(model, recipe, self.data.sources[source]))

    def _text_job(self, model: ModelSpec, recipe: Candidate, prompts: PromptSet) -> Job:
        payload = self._payload("text", model, recipe, "text")
        payload["prompts"] = {"classes": prompts.class_names, "templates": prompts.templates}
        return Job(payload, lambda: self.loaded().prompts(model, recipe, prompts))

    def _prepared_job(self, model: ModelSpec, recipe: Recipe) -> Job:
        payload = self._payload("prepared", model, recipe, "vision" if recipe.changes("vision") else "text")
        return Job(payload, lambda: self.loaded().prepare(model, recipe))

    def prepared(self, model: ModelSpec, recipe: Recipe) -> Mapping[str, NDArray[Any]]:
        """The state of a prepared candidate: ranges set, weights rounded, training done."""
        return self.cache.get([self._prepared_job(model, recipe)])[0]

    def proof(self, model: ModelSpec, recipe: Candidate) -> Proof:
        """What of a candidate runs quantized; of its simulation, where kernels run it with the same codes.

        Raises:
            UsageError: The candidate is a model of the user's own.
        """
        if isinstance(recipe, OwnCandidate):
            raise UsageError(
                where=f"candidate {recipe.name}", what="what of this model runs quantized cannot be seen from outside",
                got=recipe.spec.text, next="narrow the bound to recipes, or observe latency and size instead",
            )  # fmt: skip
        simulated = recipe.simulated
        payload = self._payload("proof", model, simulated, "vision" if simulated.changes("vision") else "text")
        job = Job(payload, lambda: self.loaded().prove(model, simulated))
        return Proof.from_dict(json.loads(self.cache.get([job])[0]["proof"][0]))

    def loaded(self) -> Candidates:
        """The part that imports torch, made when the cache first misses."""
        if self._candidates is None:
            from reliability.evaluate.candidates import Candidates

            self._candidates = Candidates(self)
        return self._candidates


def _side(images: Mapping[str, Arrays], parts: Mapping[str, Part], text: Arrays) -> Side:
    """One model's embeddings of each part of a task."""
    return Side(
        **{
            name: _embeddings(images[name], text, part, unfamiliar=name == "part" and "familiar" in parts)
            for name, part in parts.items()
        }
    )


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


def _check_changed(
    model: ModelSpec,
    recipe: Candidate,
    task: Task,
    reference: list[Arrays],
    candidate: list[Arrays],
    texts: list[Arrays],
) -> None:
    """A candidate equal to its reference in every bit means that nothing was quantized.

    Raises:
        QuantizationError: It is.
        ModelError: So is a model of the user's own, or its features are of another dimension.
    """
    same_images = all(np.array_equal(a["image"], b["image"]) for a, b in zip(reference, candidate, strict=True))
    same_text = np.array_equal(texts[0]["text"], texts[1]["text"])
    if isinstance(recipe, OwnCandidate):
        check_own(recipe, (reference[0]["image"], candidate[0]["image"], texts[1]["text"]), same_images, same_text)
    elif (recipe.quantizes("vision") and same_images) or (recipe.quantizes("text") and same_text):
        raise QuantizationError(
            where=f"{model.name}, recipe {recipe.name}, task {task.name}",
            what="the candidate's embeddings equal the reference's in every bit, although a quantization was asked for",
            next="check that the recipe reaches the tower's layers; judge a model against itself with --recipes fp32",
        )
