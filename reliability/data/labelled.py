"""Tasks of any labelled data set: accuracy, groups, noise, and near OOD by label split."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from reliability.data.assemble import Evaluated, Training, assemble
from reliability.data.collection import Collection
from reliability.data.dataset import DataSet, Request
from reliability.types import Part, PromptSet, Task

LEFT_OUT_EVERY = 5
"""Every fifth class, beginning with label 4, is left out of the prompts of ``ood/near``."""

_TOO_FEW_CLASSES_NOTE = f"no ood/near task: a label split needs at least {LEFT_OUT_EVERY} classes"


@dataclass(frozen=True)
class Labelled:
    """What a layout supplies.

    Attributes:
        test: The evaluated pictures.
        prompts: Names of all labels, and templates.
        train: Where range-setting data come from; None sets some of ``test`` aside.
        group_names: Names of the groups 0, 1, ... where the pictures have groups.
        notes: What a report must say.
    """

    test: Collection
    prompts: PromptSet
    train: Collection | None = None
    group_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def label_split(prompts: PromptSet, source: str) -> Task:
    """Near OOD made of the set's own classes."""
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


def _tasks(found: Labelled, source: str) -> Iterator[Task]:
    yield Task("id", Part(source), found.prompts, card="All pictures and all classes.")
    if len(found.prompts.class_names) >= LEFT_OUT_EVERY:
        yield label_split(found.prompts, source)
    if found.group_names:
        yield Task(
            "spurious/groups",
            Part(source),
            found.prompts,
            group_names=found.group_names,
            card="The same pictures by the groups that their table names; group 0 counts as common.",
        )


def labelled_data_set(request: Request, found: Labelled) -> DataSet:
    """Tasks over one labelled set, whose pictures are the source ``test``."""
    notes = list(found.notes)
    if len(found.prompts.class_names) < LEFT_OUT_EVERY:
        notes.append(_TOO_FEW_CLASSES_NOTE)
    test = Evaluated("test", found.test, found.prompts, tuple(_tasks(found, "test")), noisy=True)
    training = Training(found.train, found.prompts) if found.train is not None else None
    return assemble(request, [test], training, notes)
