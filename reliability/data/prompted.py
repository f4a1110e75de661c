"""Put the user's class names and templates in place of a data set's own."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from reliability.data.collection import LabelledRangeSetting
from reliability.data.dataset import DataSet
from reliability.data.prompt_file import PromptFile
from reliability.errors import DataError
from reliability.types import PromptSet


def with_prompts(data: DataSet, own: PromptFile | None) -> DataSet:
    """The same pictures and tasks under other prompts.

    Raises:
        DataError: The file names another number of classes than ``id`` has, renames a
            class that no task has, or leaves two classes of a task with one name.

    Conventions:
        A task of only some classes finds its new names by the old ones. Templates are
        replaced in every task but ``retrieval/*``, whose texts are captions and stay.
    """
    if own is None:
        return data
    heads = [task.prompts for task in data.tasks.values() if not task.matches]
    whole = data.tasks["id"].prompts if "id" in data.tasks else max(heads, key=lambda head: len(head.class_names))
    _check(own, whole, {name for head in heads for name in head.class_names})
    tasks = {
        name: task if task.matches else replace(task, prompts=_replaced(task.prompts, whole, own))
        for name, task in data.tasks.items()
    }
    range_setting = data.range_setting
    if isinstance(range_setting, LabelledRangeSetting):
        range_setting = replace(range_setting, prompts=_replaced(range_setting.prompts, whole, own))
    return replace(data, tasks=tasks, range_setting=range_setting)


def _check(own: PromptFile, whole: PromptSet, known: set[str]) -> None:
    if own.classes and len(own.classes) != len(whole.class_names):
        raise DataError(
            where=own.where, what=f"the data set has {len(whole.class_names)} classes",
            got=f"{len(own.classes)} names", next="name all classes in label order, or only some under [rename]",
        )  # fmt: skip
    unused = sorted(set(own.rename) - known - set(own.classes))
    if unused:
        raise DataError(
            where=f"{own.where}, rename", what="no class has this name", got=", ".join(unused[:5]),
            next=f"known: {', '.join(sorted(known)[:8])}, ...",
        )  # fmt: skip


def _replaced(prompts: PromptSet, whole: PromptSet, own: PromptFile) -> PromptSet:
    """One head after ``classes``, then ``rename``, then ``templates``."""
    names = prompts.class_names
    if own.classes:
        # By position where all classes are there: a published list may hold a name twice.
        by_name = dict(zip(whole.class_names, own.classes, strict=True))
        all_there = names == whole.class_names
        names = own.classes if all_there else tuple(by_name.get(name, name) for name in names)
    names = tuple(own.rename.get(name, name) for name in names)
    before = Counter(prompts.class_names)
    twice = [name for name, times in Counter(names).items() if times > max(1, before[name])]
    if twice:
        raise DataError(
            where=own.where, what="two classes of one task would share a name", got=", ".join(twice[:5]),
            next="give each class a name of its own",
        )  # fmt: skip
    return PromptSet(names, own.templates or prompts.templates)
