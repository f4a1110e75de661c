"""From stored pictures and their tasks to a data set: limits, noise, hold-outs and range setting.

Whatever the layout, a quantizer's ranges are set on pictures that no task shows:
on a train split, or on pictures of the first evaluated set that are set aside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np

from reliability.data.collection import Collection, LabelledRangeSetting, LabelledSource, held_out_rows
from reliability.data.corruptions.corruption import SEVERITIES
from reliability.data.corruptions.registry import CORRUPTIONS
from reliability.data.corruptions.source import CorruptedSource
from reliability.data.dataset import DataSet, Request
from reliability.data.readable import readable
from reliability.data.subset import Subset
from reliability.errors import DataError
from reliability.types import I64, ImageSource, Part, PromptSet, Task

HELD_OUT = 1000
"""Evaluation pictures given up for range setting where there is no train split."""

NOISE_COUNT = 2000
"""Pictures that each corruption damages."""

FIT_COUNT = 10_000
"""Pictures of a train split that scores are fitted on, drawn by name."""

FIT = "fit"
"""Name of their source."""

_HELD_OUT_NOTE = (
    f"no train split: {HELD_OUT:,} pictures (at most a quarter) are set aside for range setting and are not evaluated"
)


@dataclass(frozen=True)
class Evaluated:
    """Stored pictures and the tasks they make.

    Attributes:
        source: Name of the image source, as the tasks use it.
        collection: The pictures.
        prompts: Names of all its labels, and templates; for captions of pictures set aside.
        tasks: Clean tasks.
        noisy: Whether the pictures are also evaluated under every corruption.
        twin_of: Source of which these are the same pictures, damaged. What the first
            evaluated source sets aside, its twins do not show either.
        twin_by: Whether the same picture has the same id, or the same row.
    """

    source: str
    collection: Collection
    prompts: PromptSet
    tasks: tuple[Task, ...]
    noisy: bool = False
    twin_of: str = ""
    twin_by: Literal["id", "row"] = "id"


@dataclass(frozen=True)
class Training:
    """Pictures that are never evaluated, with the names of their labels."""

    collection: Collection
    prompts: PromptSet


def assemble(
    request: Request, evaluated: Sequence[Evaluated], training: Training | None, notes: Sequence[str] = ()
) -> DataSet:
    """A data set of what was found.

    Args:
        request: Its limit, and how many unreadable pictures may be left out, hold here.
        evaluated: At least one; without training pictures some of the first are set aside.
        training: Where range-setting pictures come from; None sets some aside.
        notes: What a report must say.

    Raises:
        DataError: More unreadable pictures than may be left out.
    """
    allowed = request.skip_unreadable
    first: Evaluated | None = None
    left_out: list[str] = []
    sources: list[ImageSource] = []
    tasks: list[Task] = []
    for entry in evaluated:
        collection, unreadable = readable(entry.collection, allowed - len(left_out))
        left_out += unreadable
        if training is None and first is not None and entry.twin_of == first.source:
            collection = Subset(collection, partial(_set_aside, first, entry, collection))
        first = first or replace(entry, collection=collection)
        held_out = HELD_OUT if training is None and first.source == entry.source else 0
        clean = LabelledSource(entry.source, collection, held_out, request.limit)
        noisy = list(_noisy(clean)) if entry.noisy else []
        sources += [clean, *noisy]
        tasks += [*entry.tasks, *(_noise_task(source, entry.prompts) for source in noisy)]
    if training is not None:
        sources.append(LabelledSource(FIT, training.collection, limit=min(FIT_COUNT, request.limit or FIT_COUNT)))
        tasks = list(_with_fit(tasks, evaluated, training))
    if left_out:
        notes = [*notes, f"unreadable pictures left out ({allowed} allowed): {', '.join(left_out)}"]
    return DataSet(
        name=request.spec,
        tasks={task.name: task for task in tasks},
        sources={source.name: source for source in sources},
        range_setting=_range_setting(first, training),
        notes=tuple(notes) if training is not None else (_HELD_OUT_NOTE, *notes),
    )


def _with_fit(tasks: Sequence[Task], evaluated: Sequence[Evaluated], training: Training) -> Iterator[Task]:
    """Give tasks of unfamiliar pictures the train split to fit scores on, where it has the classes of familiar ones."""
    names = {entry.source: entry.prompts.class_names for entry in evaluated}
    for task in tasks:
        known = task.familiar is not None and names.get(task.familiar.source) == training.prompts.class_names
        yield replace(task, fit=Part(FIT, task.familiar.labels)) if known and task.familiar else task


def _range_setting(first: Evaluated | None, training: Training | None) -> LabelledRangeSetting:
    if training is not None:
        return LabelledRangeSetting(training.collection, training.prompts)
    assert first is not None, "a data set evaluates something"
    return LabelledRangeSetting(first.collection, first.prompts, HELD_OUT)


def _noisy(clean: LabelledSource) -> Iterator[CorruptedSource]:
    few = clean.first(NOISE_COUNT)
    for corruption in CORRUPTIONS:
        for severity in SEVERITIES:
            yield CorruptedSource(few, corruption, severity)


def _noise_task(source: CorruptedSource, prompts: PromptSet) -> Task:
    return Task(
        f"noise/{source.corruption}/{source.severity}",
        Part(source.name),
        prompts,
        card=f"Some of the pictures under {source.corruption.replace('_', ' ')} of severity {source.severity}.",
    )


def _set_aside(base: Evaluated, twin: Evaluated, collection: Collection) -> I64:
    """Rows of a twin whose pictures are set aside in the set it was made from.

    Raises:
        DataError: Twins by row do not have the same labels in the same order.
    """
    ids, labels = base.collection.index.ids, base.collection.index.labels
    held_out = held_out_rows(ids, HELD_OUT)
    if twin.twin_by == "id":
        return np.flatnonzero(np.isin(collection.index.ids, ids[held_out]))
    if not np.array_equal(labels, collection.index.labels):
        raise DataError(
            where=f"source {twin.source}", what=f"these pictures do not stand in the order of {base.source}",
            got="other labels, so those set aside for range setting cannot be told",
            next=f"put a train split of {base.source} beside it, or open this set alone",
        )  # fmt: skip
    return held_out
