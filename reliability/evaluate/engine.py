"""Fetch or compute embeddings on this machine, each exactly once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from reliability.data.registry import DataSet
from reliability.errors import QuantizationError, UsageError
from reliability.evaluate.comparison.compare import Pair
from reliability.evaluate.comparison.group import GroupPair
from reliability.evaluate.comparison.sides import parts_of, side_of
from reliability.evaluate.running.candidate import Candidate, check_own
from reliability.evaluate.running.efficiency import Costs
from reliability.evaluate.running.inside import INSIDE, INSIDE_CODE, look_inside
from reliability.evaluate.running.need import Need
from reliability.evaluate.running.pictures import WatchedRanges
from reliability.evaluate.running.progress import SILENT, Progress, count_of
from reliability.evaluate.running.shown import Shown
from reliability.evaluate.storage.cache import Arrays, Cache, Job
from reliability.evaluate.storage.code_version import code_version
from reliability.models.spec import ModelSpec, OwnCandidate
from reliability.quant.backends.registry import kernel_versions
from reliability.quant.proof import Proof
from reliability.quant.recipe import FP32, Recipe
from reliability.types import ImageSource, PromptSet, Task, TaskGroup
from reliability.versions import installed

if TYPE_CHECKING:
    from reliability.evaluate.running.candidates import Candidates

_CODE = ("types.py", "data", "models", "quant", "evaluate/running/embed.py", "evaluate/running/candidates.py")


@dataclass
class Engine:
    """Embeddings of one data set by address, computed on this machine when they are not cached.

    Attributes:
        cache: Where embeddings and prepared candidates lie.
        data: Tasks, sources and range-setting data.
        device: A torch device; ``cpu`` is the reference platform.
        threads: Torch threads of this process.
        progress: Shows what takes time.
    """

    cache: Cache
    data: DataSet
    device: str = "cpu"
    threads: int = 1
    progress: Progress = SILENT
    _candidates: Candidates | None = field(default=None, init=False, repr=False)
    _shown: Shown = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._shown = Shown(self.cache, self.data)
        self.data = replace(self.data, range_setting=WatchedRanges(self.data.range_setting, self._shown.note))

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
            DataError: The pictures are not those that they must be.
        """
        needed = parts_of(task, fit)
        needs = self.needs(reference, recipe, task, fit=fit, against=against)
        arrays = self.cache.get([self.job(need) for need in needs])
        own, others, texts = arrays[: len(needed)], arrays[len(needed) : -2], arrays[-2:]
        self._shown.check(task, recipe, {name: found["labels"] for name, found in zip(needed, own, strict=True)})
        if against.is_float and not recipe.is_float:
            _check_changed(reference, recipe, task, own, others, texts)
        sides = [
            side_of(dict(zip(needed, found, strict=True)), needed, text)
            for found, text in zip((own, others), texts, strict=True)
        ]
        costs = Costs(
            lambda: self._sizes(reference, (against, recipe)),
            lambda: self.loaded().times(reference, against, recipe),
        )
        name = "" if against.is_float else against.name
        return Pair(task, sides[0], sides[1], lambda: self.proof(reference, recipe), costs, name)

    def needs(
        self, reference: ModelSpec, recipe: Candidate, task: Task, *, fit: bool = False, against: Recipe = FP32
    ) -> list[Need]:
        """What :meth:`pair` reads: pictures of what the candidate is held against, its own, then texts of both."""
        sources = [part.source for part in parts_of(task, fit).values()]
        sides = (against, recipe)
        images = [Need("image", reference, side, source=source) for side in sides for source in sources]
        return images + [Need("text", reference, side, prompts=task.prompts) for side in sides]

    @property
    def version(self) -> str:
        """Of the code and the library that compute: entries of another version are never read."""
        return f"{code_version(*_CODE)} {installed('torch')}"

    def job(self, need: Need) -> Job:
        """An entry's address, and how it is computed here."""
        if need.kind == "image":
            return self._image_job(need.model, need.candidate, need.source)
        if need.prompts is not None:
            return self._text_job(need.model, need.candidate, need.prompts)
        assert isinstance(need.candidate, Recipe), "nothing is known of a model of the user's own"
        if need.kind in INSIDE:
            return self._inside_job(need, need.candidate)
        about = {"prepared": self._prepared_job, "proof": self._proof_job, "size": self._size_job}
        return about[need.kind](need.model, need.candidate)

    def _sizes(self, model: ModelSpec, recipes: tuple[Recipe, Candidate]) -> tuple[int, int]:
        first, second = (self._bytes(model, recipe) for recipe in recipes)
        return first, second

    def _bytes(self, model: ModelSpec, recipe: Candidate) -> int:
        """As stored: tensors of a prepared recipe, files of a model of the user's own."""
        if isinstance(recipe, OwnCandidate):
            return recipe.stored_bytes
        return int(self.cache.get([self._size_job(model, recipe)])[0]["bytes"][0])

    def _size_job(self, model: ModelSpec, recipe: Recipe) -> Job:
        return Job(self._about("size", model, recipe), lambda: self.loaded().size(model, recipe))

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
        shown, what = self.data.sources[source], f"{recipe.name}: {source}"

        def embed(seen: ImageSource) -> Arrays:
            return self.loaded().images(model, recipe, self.progress.watched(what, seen, count_of(shown)))

        return Job(payload, lambda: self._shown.watched(shown, embed))

    def _text_job(self, model: ModelSpec, recipe: Candidate, prompts: PromptSet) -> Job:
        payload = self._payload("text", model, recipe, "text")
        payload["prompts"] = {"classes": prompts.class_names, "templates": prompts.templates}
        return Job(payload, lambda: self.loaded().prompts(model, recipe, prompts))

    def _about(self, kind: str, model: ModelSpec, recipe: Recipe) -> dict[str, Any]:
        """What something known of a candidate itself depends on."""
        return self._payload(kind, model, recipe, "vision" if recipe.changes("vision") else "text")

    def _inside_job(self, need: Need, recipe: Recipe) -> Job:
        payload = self._about(need.kind, need.model, recipe) | {"inside": code_version(*INSIDE_CODE)}
        source = self.data.sources[need.source] if need.source else None
        if source is not None:
            payload["source"] = dict(source.identity)
        return Job(payload, lambda: look_inside(need, source, self.loaded()))

    def _prepared_job(self, model: ModelSpec, recipe: Recipe) -> Job:
        def prepare() -> Arrays:
            with self.progress.busy(f"preparing {recipe.name}"):
                return self.loaded().prepare(model, recipe)

        return Job(self._about("prepared", model, recipe), prepare)

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
        return Proof.from_dict(json.loads(self.cache.get([self._proof_job(model, recipe)])[0]["proof"][0]))

    def _proof_job(self, model: ModelSpec, recipe: Recipe) -> Job:
        simulated = recipe.simulated
        return Job(self._about("proof", model, simulated), lambda: self.loaded().prove(model, simulated))

    def loaded(self) -> Candidates:
        """The part that imports torch, made when the cache first misses."""
        if self._candidates is None:
            from reliability.evaluate.running.candidates import Candidates

            self._candidates = Candidates(self)
        return self._candidates


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
