"""Rendered scenes as an image source, and as range-setting data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from reliability.data.scenes.captions import CLEAN, captions
from reliability.data.scenes.far import FAR_KINDS, render_far
from reliability.data.scenes.render import render
from reliability.data.scenes.sample import TRAINING, Population, Scenes, sample
from reliability.data.scenes.vocabulary import SHAPES
from reliability.types import I64, U8, CaptionedImages, ImageBatch

IMAGE_SIZE = 32
"""Side of every scene in pixels."""

RENDERER = 1
"""Raised whenever the same scene gives other pixels, so that caches notice."""

RANGE_SPLIT = "range"

Mode = Literal["objects", "tied", "far"]


@dataclass(frozen=True)
class SceneSource:
    """``count`` scenes of a split, rendered as they are read.

    Attributes:
        name: Unique within a data set.
        split: Domain of the random numbers; two splits share no scene.
        seed: Non-negative integer.
        count: Number of pictures.
        population: What is drawn from.
        mode: ``objects`` shows the scenes; ``tied`` also numbers groups, 0 where a shape
            stands on the background it is tied to and 1 elsewhere; ``far`` shows
            ``FAR_KINDS`` in turn, without a class.
    """

    name: str
    split: str
    seed: int
    count: int
    population: Population = TRAINING
    mode: Mode = "objects"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything the pixels, labels and groups depend on."""
        return {
            "kind": "scenes",
            "renderer": RENDERER,
            "split": self.split,
            "seed": self.seed,
            "count": self.count,
            "population": {name: list(_as_sequence(value)) for name, value in asdict(self.population).items()},
            "size": IMAGE_SIZE,
            "mode": self.mode,
        }

    def first(self, count: int) -> SceneSource:
        """The same source, ending after ``count`` pictures."""
        return replace(self, count=min(count, self.count))

    def batches(self, size: int) -> Iterator[ImageBatch]:
        """Render batch by batch; the batch size changes no pixel."""
        for start in range(0, self.count, size):
            yield self._batch(np.arange(start, min(start + size, self.count)))

    def _batch(self, indices: I64) -> ImageBatch:
        scenes = sample(self.split, self.seed, indices, self.population)
        return ImageBatch(
            images=list(self._pixels(scenes, indices)),
            labels=self._labels(scenes),
            groups=self._groups(scenes),
            ids=np.array([f"scenes/{self.split}/{self.seed}/{index}" for index in indices]),
        )

    def _pixels(self, scenes: Scenes, indices: I64) -> U8:
        if self.mode == "far":
            return render_far(scenes, indices % len(FAR_KINDS), IMAGE_SIZE)
        return render(scenes, IMAGE_SIZE)

    def _labels(self, scenes: Scenes) -> I64:
        known = (scenes.shape < len(SHAPES)) & (self.mode != "far")
        return np.where(known, scenes.fine_label, -1)

    def _groups(self, scenes: Scenes) -> I64:
        if self.mode != "tied":
            return np.full(len(scenes), -1, dtype=np.int64)
        return np.where(scenes.on_own_background, 0, 1).astype(np.int64)


def _as_sequence(value: Any) -> tuple[Any, ...]:
    return value if isinstance(value, tuple) else (value,)


class SceneRangeSetting:
    """Training-like scenes with clean captions, from a split that no task evaluates."""

    def identity(self, count: int, draw: int) -> Mapping[str, Any]:
        """Everything a draw depends on."""
        source = SceneSource("range", RANGE_SPLIT, draw, count)
        return {**source.identity, "captions": asdict(CLEAN)}

    def __call__(self, count: int, draw: int) -> CaptionedImages:
        """``count`` pictures and captions; ``draw`` is the seed."""
        scenes = sample(RANGE_SPLIT, draw, np.arange(count))
        return CaptionedImages(list(render(scenes, IMAGE_SIZE)), captions(scenes, CLEAN), self.identity(count, draw))
