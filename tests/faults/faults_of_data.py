"""Wrong pictures, labels, prompts and groups, and range-setting data that are none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from fault_world import Fault, World, with_task

from reliability.data.dataset import DataSet
from reliability.evaluate.running.candidates import Candidates
from reliability.types import CaptionedImages, ImageBatch, ImageSource, Part, PromptSet


@dataclass(frozen=True)
class Spoiled:
    """A source whose batches pass through a function; its identity says nothing of that."""

    source: ImageSource
    change: Callable[[list[ImageBatch]], list[ImageBatch]]

    @property
    def name(self) -> str:
        return self.source.name

    @property
    def identity(self) -> Any:
        return self.source.identity

    def batches(self, size: int) -> Iterator[ImageBatch]:
        yield from self.change(list(self.source.batches(size)))


def handed_out(change: Callable[[list[ImageBatch]], list[ImageBatch]], source: str = "id") -> Callable[[World], None]:
    """The source hands it out: to both models, or to the candidate alone where the reference has been before."""

    def spoil(data: DataSet) -> DataSet:
        return replace(data, sources={**data.sources, source: Spoiled(data.sources[source], change)})

    return lambda world: world.spoil_data(spoil)


def between(change: Callable[[list[ImageBatch]], list[ImageBatch]]) -> Callable[[World], None]:
    """It happens between the source and the candidate."""

    def plant(world: World) -> None:
        sound = Candidates.images

        def images(self: Any, model: Any, recipe: Any, source: ImageSource) -> Any:
            return sound(self, model, recipe, source if recipe.is_float else Spoiled(source, change))

        world.patch.setattr(Candidates, "images", images)

    return plant


def backwards(batches: list[ImageBatch]) -> list[ImageBatch]:
    return [
        ImageBatch(batch.images[::-1], batch.labels[::-1], batch.groups[::-1], batch.ids[::-1])
        for batch in reversed(batches)
    ]


def pictures_mixed_up(batches: list[ImageBatch]) -> list[ImageBatch]:
    """Names, labels and groups stay where they are."""
    return [replace(batch, images=batch.images[1:] + batch.images[:1]) for batch in batches]


def two_pictures_mixed_up(batches: list[ImageBatch]) -> list[ImageBatch]:
    first, second, *rest = batches[0].images
    return [replace(batches[0], images=[second, first, *rest]), *batches[1:]]


def last_batch_lost(batches: list[ImageBatch]) -> list[ImageBatch]:
    return batches[:-1]


def labels_shifted(batches: list[ImageBatch]) -> list[ImageBatch]:
    return [replace(batch, labels=(batch.labels + 1) % 120) for batch in batches]


def one_group(batches: list[ImageBatch]) -> list[ImageBatch]:
    return [replace(batch, groups=np.zeros_like(batch.groups)) for batch in batches]


def prompts(change: Callable[[tuple[str, ...]], tuple[str, ...]]) -> Callable[[World], None]:
    def spoil(data: DataSet) -> DataSet:
        old = data.tasks["id"].prompts
        return with_task(data, "id", prompts=PromptSet(change(old.class_names), old.templates))

    return lambda world: world.spoil_data(spoil)


def last_class_missing(world: World) -> None:
    """The prompts end before the highest label of the pictures."""

    def spoil(data: DataSet) -> DataSet:
        shown = max(int(batch.labels.max()) for batch in data.sources["id"].batches(100))
        old = data.tasks["id"].prompts
        return with_task(data, "id", prompts=PromptSet(old.class_names[:shown], old.templates))

    world.spoil_data(spoil)


def duplicate_class(world: World) -> None:
    path = world.folder / "prompts.toml"
    path.write_text('classes = ["red star", "blue star", "red star"]\n')
    world.settings["prompts"] = path


def familiar_for_unfamiliar(world: World) -> None:
    world.spoil_data(lambda data: with_task(data, "ood/near", part=Part("id")))


def familiar_copied(world: World) -> None:
    """The familiar pictures once more, from a source of another name and with other ids."""

    def renamed(batches: list[ImageBatch]) -> list[ImageBatch]:
        return [replace(batch, ids=np.char.add("copy/", batch.ids)) for batch in batches]

    def spoil(data: DataSet) -> DataSet:
        return replace(data, sources={**data.sources, "near": Copy(Spoiled(data.sources["id"], renamed))})

    world.spoil_data(spoil)


@dataclass(frozen=True)
class Copy:
    """Under a name and an identity of its own."""

    source: ImageSource
    name: str = "near"

    @property
    def identity(self) -> Any:
        return {"copy": dict(self.source.identity)}

    def batches(self, size: int) -> Iterator[ImageBatch]:
        return self.source.batches(size)


def few_pictures(world: World) -> None:
    world.settings["limit"] = 60


def ranges_from(change: Callable[[DataSet, int], CaptionedImages]) -> Callable[[World], None]:
    """Range-setting data are drawn otherwise; their identity says nothing of that."""

    @dataclass(frozen=True)
    class Drawn:
        data: DataSet

        def identity(self, count: int, draw: int) -> Any:
            return self.data.range_setting.identity(count, draw)

        def __call__(self, count: int, draw: int) -> CaptionedImages:  # noqa: ARG002 - that is the fault
            return change(self.data, count)

    return lambda world: world.spoil_data(lambda data: replace(data, range_setting=Drawn(data)))


def evaluated(data: DataSet, count: int) -> CaptionedImages:
    images = [image for batch in data.sources["id"].batches(32) for image in batch.images]
    return replace(data.range_setting(count, 0), images=images[:count])


def one_image(data: DataSet, count: int) -> CaptionedImages:
    found = data.range_setting(count, 0)
    return replace(found, images=found.images[:1] * count)


def seed_ignored(data: DataSet, count: int) -> CaptionedImages:
    return data.range_setting(count, 0)


BOTH = "the pictures of both models"
CANDIDATE = "the pictures of the candidate"
PROMPTS = "the task's prompts"
RANGES = "the draw of range-setting pictures"

FAULTS = (
    Fault("shuffled image order", CANDIDATE, between(backwards),
          "agreement", "DataError", "same pictures in the same order"),
    Fault("pictures mixed up under their names, by the source", CANDIDATE, handed_out(pictures_mixed_up),
          "agreement", "DataError", "gave other pixels"),
    Fault("two pictures of 200 mixed up, by the source", CANDIDATE, handed_out(two_pictures_mixed_up),
          "agreement", "DataError", "gave other pixels"),
    Fault("pictures mixed up under their names, on the way to the model", CANDIDATE, between(pictures_mixed_up),
          "agreement"),
    Fault("the last batch lost", CANDIDATE, between(last_batch_lost),
          "agreement", "DataError", "same pictures in the same order"),
    Fault("shifted labels", BOTH, handed_out(labels_shifted),
          "agreement", "ModelError", "misses its own floor", start="empty"),
    Fault("missing class", f"{PROMPTS}, the last that a picture shows", last_class_missing,
          "agreement", "UndefinedMetricError", "every number must be in 0.."),
    Fault("missing class, the others moving up", f"{PROMPTS}, the first of 120", prompts(lambda names: names[1:]),
          "agreement", "ModelError", "misses its own floor"),
    Fault("wrong prompt set", f"{PROMPTS}, sorted by name", prompts(lambda names: tuple(sorted(names))),
          "agreement", "ModelError", "misses its own floor"),
    Fault("duplicate class name", "the prompt file", duplicate_class, "run", "DataError", "duplicate class name"),
    Fault("OOD set identical to ID", "the task", familiar_for_unfamiliar,
          "ood_separation", "DataError", "familiar and unfamiliar", tasks=("ood/near",)),
    Fault("OOD set a renamed copy of ID", "the pictures of the task", familiar_copied,
          "ood_separation", "DataError", "familiar and unfamiliar", tasks=("ood/near",)),
    Fault("groups collapsed to one", BOTH, handed_out(one_group, "spurious"),
          "worst_group", "UndefinedMetricError", "group", tasks=("spurious/background",), start="empty"),
    Fault("too few images", "--limit", few_pictures, "agreement", "UndefinedMetricError", "too few images",
          start="empty"),
    Fault("ranges set on evaluation images", RANGES, ranges_from(evaluated),
          "agreement", "DataError", "are also evaluated", start="reference"),
    Fault("ranges set on one image", RANGES, ranges_from(one_image),
          "agreement", "DataError", "different pictures", start="reference"),
    Fault("seed ignored", RANGES, ranges_from(seed_ignored),
          "agreement", "DataError", "another seed", recipe="draw-1", start="reference"),
)  # fmt: skip
