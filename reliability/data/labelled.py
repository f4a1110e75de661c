"""Tasks of any labelled data set: accuracy, noise, and near OOD by label split."""

from __future__ import annotations

from collections.abc import Iterator

from reliability.data.collection import Collection, LabelledRangeSetting, LabelledSource
from reliability.data.corruptions.corruption import SEVERITIES
from reliability.data.corruptions.registry import CORRUPTIONS
from reliability.data.corruptions.source import CorruptedSource
from reliability.data.dataset import DataSet
from reliability.types import ImageSource, Part, PromptSet, Task

HELD_OUT = 1000
"""Evaluation pictures given up for range setting where there is no train split."""

NOISE_COUNT = 2000
"""Pictures that each corruption damages."""

LEFT_OUT_EVERY = 5
"""Every fifth class, beginning with label 4, is left out of the prompts of ``ood/near``."""

_HELD_OUT_NOTE = (
    f"no train split: {HELD_OUT:,} pictures (at most a quarter) are set aside for range setting and are not evaluated"
)
_TOO_FEW_CLASSES_NOTE = f"no ood/near task: a label split needs at least {LEFT_OUT_EVERY} classes"


def _label_split(prompts: PromptSet, source: str) -> Task:
    labels = range(len(prompts.class_names))
    left_out = tuple(label for label in labels if label % LEFT_OUT_EVERY == LEFT_OUT_EVERY - 1)
    kept = tuple(label for label in labels if label not in left_out)
    return Task(
        "ood/near",
        Part(source, left_out),
        PromptSet(tuple(prompts.class_names[label] for label in kept), prompts.templates),
        familiar=Part(source, kept),
        card="Pictures of classes whose names are left out of the prompts, to be told from the named ones.",
    )


def _noise_task(source: CorruptedSource, prompts: PromptSet) -> Task:
    return Task(
        f"noise/{source.corruption}/{source.severity}",
        Part(source.name),
        prompts,
        card=f"Some of the pictures under {source.corruption.replace('_', ' ')} of severity {source.severity}.",
    )


def _tasks(prompts: PromptSet, source: str, noisy: list[CorruptedSource]) -> Iterator[Task]:
    yield Task("id", Part(source), prompts, card="All pictures and all classes.")
    if len(prompts.class_names) >= LEFT_OUT_EVERY:
        yield _label_split(prompts, source)
    yield from (_noise_task(noise, prompts) for noise in noisy)


def labelled_data_set(
    name: str, test: Collection, train: Collection | None, prompts: PromptSet, limit: int | None
) -> DataSet:
    """Tasks over one labelled set.

    Args:
        name: The specification it was opened by.
        test: The evaluated pictures.
        train: Where range-setting data come from; None holds some of ``test`` out.
        prompts: Names of all labels, and templates.
        limit: Keeps that many evaluated pictures.
    """
    held_out = HELD_OUT if train is None else 0
    clean = LabelledSource("test", test, held_out, limit)
    noisy = [
        CorruptedSource(clean.first(NOISE_COUNT), corruption, severity)
        for corruption in CORRUPTIONS
        for severity in SEVERITIES
    ]
    notes = [_HELD_OUT_NOTE] if train is None else []
    if len(prompts.class_names) < LEFT_OUT_EVERY:
        notes.append(_TOO_FEW_CLASSES_NOTE)
    sources: list[ImageSource] = [clean, *noisy]
    return DataSet(
        name=name,
        tasks={task.name: task for task in _tasks(prompts, clean.name, noisy)},
        sources={source.name: source for source in sources},
        range_setting=LabelledRangeSetting(test if train is None else train, prompts, held_out),
        notes=tuple(notes),
    )
