"""Tasks of the user's own, in a TOML file, beside those of the run's data.

::

    [[task]]
    name = "shift/warehouse"             # what it stands for, and what bounds call it
    data = "folder:photos/warehouse"     # as of --data
    of = "id"                            # the task of these data that is meant: id unless said otherwise
    head = "id"                          # answers are sought among the classes of this task of the run's data
    card = "Photographs of our goods under the lamps of the warehouse."

    [[task]]
    name = "ood/empty-shelves"
    data = "folder:photos/shelves"
    familiar = "id"                      # the task whose pictures they are to be told from; id unless said otherwise

Data of a file are opened as any other, so every layout serves; ``prompts = "FILE"`` is as of
--prompts. Relative places start at the data root, or at the file if they are there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from reliability.data.collection import LabelledSource
from reliability.data.corruptions.source import CorruptedSource
from reliability.data.registry import DataSet, open_data
from reliability.toml_tables import Entry, read_toml
from reliability.types import ImageBatch, ImageSource, Part, PromptSet, Task

ROLES = {
    "shift": r"shift/.+",
    "ood": r"ood/.+",
    "spurious": r"spurious/.+",
    "noise": r"noise/.+/[1-5]",
    "retrieval": r"retrieval/.+",
}
"""What a task of one's own can stand for, and how its name reads."""

_KEYS = ("name", "data", "of", "head", "familiar", "prompts", "card")


@dataclass(frozen=True)
class Renamed:
    """A source under another name; the same pictures, so the same embeddings."""

    name: str
    source: ImageSource

    @property
    def identity(self) -> Mapping[str, Any]:
        """That of the source."""
        return self.source.identity

    def batches(self, size: int) -> Iterator[ImageBatch]:
        """Those of the source."""
        return self.source.batches(size)


def with_own_tasks(base: DataSet, file: Path, root: Path | None = None, limit: int | None = None) -> DataSet:
    """A data set with the tasks of a file in addition.

    Args:
        base: The run's data; its range-setting data stay.
        file: TOML, as above.
        root: Where relative places start and benchmarks lie.
        limit: Keeps that many pictures of every source.

    Raises:
        UsageError: The file cannot be read, or a task in it is not understood.
        DataError: Its data cannot be used.
    """
    content, _ = read_toml(file)
    tables = Entry.of(content, str(file), ("task",)).required("task", "write [[task]] above name = ... and data = ...")
    if not isinstance(tables, list):
        raise Entry(str(file), content).error("tasks are a list of tables", "one table", "write [[task]]")
    for number, table in enumerate(tables, start=1):
        entry = Entry.of(table, f"{file}, task {number}", _KEYS)
        base = _added(base, entry, _opened(entry, file.parent, root, limit))
    return base


def _opened(entry: Entry, folder: Path, root: Path | None, limit: int | None) -> DataSet:
    spec = entry.text("data")
    location = spec.partition(":")[2]
    beside = root is None and location and (folder / location).exists()
    prompts = folder / entry.text("prompts") if "prompts" in entry else None
    return open_data(spec, folder if beside else root, limit, prompts)


def _added(base: DataSet, entry: Entry, data: DataSet) -> DataSet:
    name = _name(entry, base)
    task = data.task(entry.text("of") if "of" in entry else "id")
    own = {part.source: f"{name}/{part.source}" for part in (task.part, task.familiar, task.fit) if part is not None}
    card = entry.text("card") if "card" in entry else task.card
    moved = replace(
        task,
        name=name,
        card=card,
        part=_moved(task.part, own),
        familiar=_moved(task.familiar, own) if task.familiar else None,
        fit=_moved(task.fit, own) if task.fit else None,
    )
    made = _fitting(entry, moved, base)
    return replace(
        base,
        tasks={**base.tasks, name: made},
        sources={**base.sources, **{new: Renamed(new, _whole(data.sources[old])) for old, new in own.items()}},
        notes=(*base.notes, *(f"{name}: {note}" for note in _notes(data))),
        missing=(*base.missing, *data.missing),
    )


def _whole(source: ImageSource) -> ImageSource:
    """All pictures: ranges are set on those of the run's own data, and the engine refuses pictures that both hold."""
    if isinstance(source, CorruptedSource):
        return replace(source, base=_whole(source.base))
    return replace(source, held_out=0) if isinstance(source, LabelledSource) else source


def _notes(data: DataSet) -> tuple[str, ...]:
    """Without the first one where it says that pictures are set aside, which they are not here."""
    sources = data.sources.values()
    set_aside = any(isinstance(source, LabelledSource) and source.held_out for source in sources)
    return data.notes[1:] if set_aside else data.notes


def _name(entry: Entry, base: DataSet) -> str:
    name = entry.text("name")
    if not any(re.fullmatch(form, name) for form in ROLES.values()):
        known = "shift/NAME, ood/NAME, spurious/NAME, noise/NAME/SEVERITY, retrieval/NAME"
        raise entry.error("the name does not say what the task stands for", name, f"known: {known}")
    if name in base.tasks:
        raise entry.error("there is a task of this name already", name, "give it another name")
    return name


def _moved(part: Part, own: Mapping[str, str]) -> Part:
    return replace(part, source=own[part.source])


def _fitting(entry: Entry, task: Task, base: DataSet) -> Task:
    """The task with what its role asks for.

    Raises:
        UsageError: It lacks that, or has a key that says nothing about its role.
    """
    if task.role == "ood":
        return _unfamiliar(entry, task, base)
    if "familiar" in entry:
        raise entry.error("only ood/* tasks tell pictures from familiar ones", "familiar", "remove it")
    lacking = {"spurious": not task.group_names, "retrieval": not task.matches}
    if lacking.get(task.role):
        what = {"spurious": "groups", "retrieval": "texts that are true of its pictures"}[task.role]
        raise entry.error(f"this task needs {what}", f"data without, as {task.name}", "name another task with `of`")
    if "head" not in entry:
        return task
    head = base.task(entry.text("head")).prompts
    return replace(task, prompts=head, part=replace(task.part, labels=_labels_in(entry, task, head)))


def _unfamiliar(entry: Entry, task: Task, base: DataSet) -> Task:
    if "head" in entry:
        raise entry.error("an ood/* task has the classes of its familiar pictures", "head", "write familiar = ...")
    if task.familiar is not None and "familiar" not in entry:
        return task
    known = base.task(entry.text("familiar") if "familiar" in entry else "id")
    shared = sorted(set(known.prompts.class_names) & set(task.prompts.class_names)) if task.familiar is None else []
    if shared:
        raise entry.error("classes of the unfamiliar pictures are familiar", ", ".join(shared[:5]), "leave them out")
    return replace(task, prompts=known.prompts, familiar=known.part, fit=known.fit)


def _labels_in(entry: Entry, task: Task, head: PromptSet) -> tuple[int, ...]:
    """For each class of the head the label that its pictures have, or one that no picture has."""
    names = task.prompts.class_names
    strange = [name for name in names if name not in head.class_names]
    if strange:
        raise entry.error(
            "the head lacks classes of these pictures", ", ".join(strange[:5]), "rename them: prompts = ..."
        )
    labels = task.part.labels or tuple(range(len(names)))
    # Labels count from 0, and -1 is a picture of no class.
    return tuple(labels[names.index(n)] if n in names else -2 - row for row, n in enumerate(head.class_names))
