"""The embedded tasks: scenes with a role each.

Every split is its own domain of random numbers, and the splits used here are
none of those used for training (``zoo-train``, ``zoo-validation``) or for
range setting (``range``).
"""

from __future__ import annotations

from pathlib import Path

from reliability.data.corruptions.corruption import SEVERITIES
from reliability.data.corruptions.registry import CORRUPTIONS
from reliability.data.corruptions.source import CorruptedSource
from reliability.data.dataset import DataSet
from reliability.data.scenes.captions import PROMPT_TEMPLATES
from reliability.data.scenes.sample import Population
from reliability.data.scenes.source import SceneRangeSetting, SceneSource
from reliability.data.scenes.vocabulary import SPURIOUS_TIES, UNSEEN_BACKGROUNDS, UNSEEN_SHAPES, fine_class_names
from reliability.errors import UsageError
from reliability.types import ImageSource, Part, PromptSet, Task

EVALUATION_SEED = 20
NOISE_COUNT = 1000
"""Pictures of ``id`` that each corruption damages."""

GROUP_NAMES = ("common", "counter")
PROMPTS = PromptSet(fine_class_names(), PROMPT_TEMPLATES)

SOURCES: tuple[SceneSource, ...] = (
    SceneSource("id", "id", EVALUATION_SEED, 4000),
    SceneSource("near", "near", EVALUATION_SEED, 2000, Population(shapes=UNSEEN_SHAPES)),
    SceneSource("far", "far", EVALUATION_SEED, 2000, mode="far"),
    SceneSource(
        "unseen_backgrounds", "unseen_backgrounds", EVALUATION_SEED, 2000, Population(backgrounds=UNSEEN_BACKGROUNDS)
    ),
    SceneSource(
        "spurious", "spurious", EVALUATION_SEED, 2000,
        Population(shapes=tuple(SPURIOUS_TIES), tie_strength=0.5), mode="tied",
    ),
)  # fmt: skip
"""Clean sources; each has a split of its own."""

CLEAN_TASKS: tuple[Task, ...] = (
    Task("id", Part("id"), PROMPTS, card="Scenes as in training: a coloured shape on a familiar background."),
    Task(
        "ood/near", Part("near"), PROMPTS, familiar=Part("id"),
        card="Scenes with shapes that no training picture shows, to be told from familiar ones.",
    ),
    Task(
        "ood/far", Part("far"), PROMPTS, familiar=Part("id"),
        card="No known object: bare backgrounds, unseen textures, noise, and lit blobs without a shape.",
    ),
    Task(
        "shift/unseen_backgrounds", Part("unseen_backgrounds"), PROMPTS,
        card="Known shapes and colours on backgrounds that no training picture shows.",
    ),
    Task(
        "spurious/background", Part("spurious"), PROMPTS, group_names=GROUP_NAMES,
        card="Shapes that stood on one background 95 % of the time in training, now on it or off it at even odds.",
    ),
)  # fmt: skip


def _noise_task(source: CorruptedSource) -> Task:
    return Task(
        f"noise/{source.corruption}/{source.severity}",
        Part(source.name),
        PROMPTS,
        card=f"The first pictures of id under {source.corruption.replace('_', ' ')} of severity {source.severity}.",
    )


def open_scenes(location: str, root: Path | None, limit: int | None) -> DataSet:  # noqa: ARG001 - rendered, not stored
    """The embedded data set.

    Args:
        location: Must be empty: scenes are not read from anywhere.
        root: Not used.
        limit: Keeps the first pictures of every source.

    Raises:
        UsageError: A location was given.
    """
    if location:
        raise UsageError(where="--data", what="scenes take no location", got=f"scenes:{location}", next="--data scenes")
    clean = [source if limit is None else source.first(limit) for source in SOURCES]
    noisy = [
        CorruptedSource(clean[0].first(NOISE_COUNT), corruption, severity)
        for corruption in CORRUPTIONS
        for severity in SEVERITIES
    ]
    tasks = [*CLEAN_TASKS, *map(_noise_task, noisy)]
    sources: list[ImageSource] = [*clean, *noisy]
    return DataSet(
        name="scenes",
        tasks={task.name: task for task in tasks},
        sources={source.name: source for source in sources},
        range_setting=SceneRangeSetting(),
    )
