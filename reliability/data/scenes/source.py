"""Rendered scenes as an image source, and as range-setting data."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from reliability.data.scenes.captions import CLEAN, captions
from reliability.data.scenes.modes import MODES
from reliability.data.scenes.render import render
from reliability.data.scenes.sample import TRAINING, Population, Scenes, sample
from reliability.types import I64, CaptionedImages, ImageBatch, Strings

IMAGE_SIZE = 32
"""Side of every scene in pixels."""

RENDERER = 1
"""Raised whenever the same scene gives other pixels, so that caches notice."""

TRAINING_SPLIT, VALIDATION_SPLIT, RANGE_SPLIT = "zoo-train", "zoo-validation", "range"
"""Splits of pictures that are trained on, watched while training, and range setting's. No task evaluates one."""

_RECORDED = ("shapes", "backgrounds", "tie_strength", "light", "radius")
"""Fields of a population that every identity states; others only where they differ from training's."""


@dataclass(frozen=True)
class SceneSource:
    """``count`` scenes of a split, rendered as they are read.

    Attributes:
        name: Unique within a data set.
        split: Domain of the random numbers; two splits share no scene.
        seed: Non-negative integer.
        count: Number of pictures.
        population: What is drawn from.
        mode: One of ``MODES``: how scenes are drawn and numbered.
    """

    name: str
    split: str
    seed: int
    count: int
    population: Population = TRAINING
    mode: str = "objects"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Everything the pixels, labels and groups depend on."""
        return {
            "kind": "scenes",
            "renderer": RENDERER,
            "split": self.split,
            "seed": self.seed,
            "count": self.count,
            "population": _described(self.population),
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
        scenes, mode = self.scenes(indices), MODES[self.mode]
        return ImageBatch(
            images=list(mode.paint(scenes, indices, IMAGE_SIZE)),
            labels=mode.label(scenes),
            groups=mode.group(scenes),
            ids=self.ids(indices),
        )

    def ids(self, indices: I64) -> Strings:
        """Names of the pictures at these positions."""
        return np.array([f"scenes/{self.split}/{self.seed}/{index}" for index in indices])

    def scenes(self, indices: I64) -> Scenes:
        """What the pictures at these positions show."""
        return sample(self.split, self.seed, indices, self.population)


def _described(population: Population) -> dict[str, list[Any]]:
    stated = {name: value for name, value in vars(population).items() if name in _RECORDED}
    changed = {name: value for name, value in vars(population).items() if value != getattr(TRAINING, name)}
    return {name: list(value) if isinstance(value, tuple) else [value] for name, value in (stated | changed).items()}


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
