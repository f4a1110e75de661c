"""Which pictures a run's models and ranges were shown, held against what they must be."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from reliability.data.dataset import DataSet
from reliability.evaluate.running.candidate import Candidate
from reliability.evaluate.running.pictures import (
    WatchedSource,
    digests,
    require_another_draw,
    require_apart,
    require_same,
    require_unfamiliar,
)
from reliability.evaluate.storage.cache import Arrays, Cache, Job
from reliability.evaluate.storage.code_version import code_version
from reliability.quant.recipe import Recipe
from reliability.types import I64, ImageSource, Part, Task

_CODE = ("types.py", "data", "evaluate/running/pictures.py")


@dataclass
class Shown:
    """Digests of the pictures of sources and of range-setting draws, kept in the cache.

    They are taken while a model embeds a source for the first time; where an older run
    did that, the source is gone through once more.

    Attributes:
        cache: Where they lie.
        data: The pictures.
    """

    cache: Cache
    data: DataSet
    _known: dict[str, I64] = field(default_factory=dict)
    _done: set[tuple[object, ...]] = field(default_factory=set)

    def note(self, identity: Mapping[str, Any], compute: Callable[[], I64]) -> I64:
        """Keep digests, or give those that were kept before."""
        payload = {"kind": "pictures", "of": dict(identity), "code": code_version(*_CODE)}
        job = Job(payload, lambda: {"digests": compute()})
        key = job.key
        if key not in self._known:
            self._known[key] = self.cache.get([job])[0]["digests"]
        return self._known[key]

    def watched(self, source: ImageSource, embed: Callable[[ImageSource], Arrays]) -> Arrays:
        """Embed a source, and refuse pictures that are other ones than at the first pass.

        Raises:
            DataError: They are.
        """
        watched = WatchedSource(source)
        arrays = embed(watched)
        if watched.seen:
            seen = watched.digests()
            require_same(f"source {source.name}", self.note(source.identity, lambda: seen), seen)
        return arrays

    def check(self, task: Task, candidate: Candidate, labels: Mapping[str, I64]) -> None:
        """Unfamiliar pictures are no familiar ones, and ranges are set on neither.

        Args:
            task: About to be judged.
            candidate: Likewise.
            labels: Of every picture of the task's parts, by the part's name.

        Raises:
            DataError: They are, or the draw is none that the recipe asks for.
        """
        done = (task.name, candidate.name)
        if done in self._done:
            return
        shown = self._of(task.part, labels["part"])
        if task.familiar is not None:
            require_unfamiliar(task.name, shown, self._of(task.familiar, labels["familiar"]))
        if isinstance(candidate, Recipe) and candidate.range_images and not candidate.is_float:
            self._check_ranges(candidate, task, shown)
        self._done.add(done)

    def _check_ranges(self, recipe: Recipe, task: Task, shown: I64) -> None:
        where = f"recipe {recipe.name}, task {task.name}"
        drawn = self._drawn(recipe.range_images, recipe.seed)
        require_apart(where, drawn, shown)
        if recipe.seed and recipe.depends_on_draw:
            require_another_draw(where, drawn, self._drawn(recipe.range_images, 0))

    def _drawn(self, count: int, draw: int) -> I64:
        ranges = self.data.range_setting
        return self.note(ranges.identity(count, draw), lambda: digests(ranges(count, draw).images))

    def _of(self, part: Part, labels: I64) -> I64:
        source = self.data.sources[part.source]
        found = self.note(source.identity, WatchedSource(source).digests)
        return found if part.labels is None else found[np.isin(labels, part.labels)]
