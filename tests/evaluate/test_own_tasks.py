"""Tasks of the user's own: composed of any data, checked before anything is embedded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from reliability.data.registry import open_data
from reliability.errors import ReliabilityError
from reliability.evaluate.own_tasks import with_own_tasks

BASE = open_data("scenes", limit=20)


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    """A place for a file of tasks, beside class folders of eight pictures in all."""
    for row, name in enumerate(("red circle", "blue square")):
        folder = tmp_path / "photos" / name
        folder.mkdir(parents=True)
        for number in range(4):
            Image.fromarray(np.full((8, 8, 3), 20 * number + row, np.uint8)).save(folder / f"{number}.png")
    return tmp_path / "tasks.toml"


def test_a_task_is_told_by_its_name_and_shows_all_its_pictures(tasks: Path) -> None:
    tasks.write_text('[[task]]\nname = "shift/mine"\ndata = "folder:photos"\n')
    data = with_own_tasks(BASE, tasks)
    task = data.task("shift/mine")
    assert task.prompts.class_names == ("blue square", "red circle")
    source = data.sources[task.part.source]
    assert source.name == task.part.source == "shift/mine/test"
    assert sum(len(batch.ids) for batch in source.batches(3)) == 8
    assert set(BASE.tasks) < set(data.tasks)
    assert data.range_setting is BASE.range_setting
    assert not [note for note in data.notes if "set aside" in note]
    assert [note for note in data.notes if note.startswith("shift/mine: ") and "class folders" in note]


def test_pictures_of_few_classes_are_sought_among_all_classes_of_the_head(tasks: Path) -> None:
    tasks.write_text('[[task]]\nname = "shift/mine"\ndata = "folder:photos"\nhead = "id"\n')
    task = with_own_tasks(BASE, tasks).task("shift/mine")
    names = BASE.task("id").prompts.class_names
    assert task.prompts == BASE.task("id").prompts
    assert task.part.labels is not None
    assert [task.part.labels[names.index(name)] for name in ("blue square", "red circle")] == [0, 1]
    assert sum(label >= 0 for label in task.part.labels) == 2
    assert len(set(task.part.labels)) == len(names)
    assert -1 not in task.part.labels


def test_unfamiliar_pictures_are_told_from_those_of_the_data(tasks: Path) -> None:
    (tasks.parent / "photos" / "classnames.txt").write_text("static\nsnow\n")
    tasks.write_text('[[task]]\nname = "ood/mine"\ndata = "folder:photos"\n')
    task = with_own_tasks(BASE, tasks).task("ood/mine")
    assert task.familiar == BASE.task("id").part
    assert task.prompts == BASE.task("id").prompts


def test_a_task_of_other_data_keeps_its_own_parts(tasks: Path) -> None:
    tasks.write_text('[[task]]\nname = "ood/again"\ndata = "scenes:seed=9"\nof = "ood/near"\n')
    data = with_own_tasks(BASE, tasks, limit=20)
    task, there = data.task("ood/again"), BASE.task("ood/near")
    assert task.familiar is not None
    assert there.familiar is not None
    assert task.familiar.labels == there.familiar.labels
    assert {part.source for part in (task.part, task.familiar)} <= set(data.sources)
    assert data.sources[task.part.source].identity != BASE.sources[there.part.source].identity


def test_the_same_pictures_under_another_name_are_embedded_once(tasks: Path) -> None:
    tasks.write_text('[[task]]\nname = "shift/same"\ndata = "scenes"\n')
    data = with_own_tasks(BASE, tasks, limit=20)
    same = BASE.sources[BASE.task("id").part.source]
    assert data.sources[data.task("shift/same").part.source].identity == same.identity


FAULTS = {
    "no task": ("x = 1", "unknown key"),
    "one table": ('[task]\nname = "shift/a"', "tasks are a list of tables"),
    "unknown key": ('[[task]]\nname = "shift/a"\ndata = "scenes"\nheads = "id"', "did you mean head"),
    "no data": ('[[task]]\nname = "shift/a"', "key 'data' is missing"),
    "no role": ('[[task]]\nname = "mine"\ndata = "scenes"', "does not say what the task stands for"),
    "taken": ('[[task]]\nname = "ood/near"\ndata = "scenes"', "of this name already"),
    "severity": ('[[task]]\nname = "noise/rain"\ndata = "scenes"', "noise/NAME/SEVERITY"),
    "familiar": ('[[task]]\nname = "shift/a"\ndata = "scenes"\nfamiliar = "id"', "only ood/* tasks"),
    "head of ood": ('[[task]]\nname = "ood/a"\ndata = "scenes"\nhead = "id"', "classes of its familiar"),
    "known classes": ('[[task]]\nname = "ood/a"\ndata = "scenes"', "are familiar"),
    "groups": ('[[task]]\nname = "spurious/a"\ndata = "scenes"', "needs groups"),
    "matches": ('[[task]]\nname = "retrieval/a"\ndata = "scenes"', "needs texts"),
    "unknown task": ('[[task]]\nname = "shift/a"\ndata = "scenes"\nof = "idd"', "unknown task"),
    "unknown head": ('[[task]]\nname = "shift/a"\ndata = "scenes"\nhead = "idd"', "unknown task"),
    "strange class": ('[[task]]\nname = "shift/a"\ndata = "folder:photos"\nhead = "id"', "lacks classes"),
    "unknown data": ('[[task]]\nname = "shift/a"\ndata = "sceens"', "did you mean scenes"),
}


@pytest.mark.parametrize(("text", "message"), FAULTS.values(), ids=FAULTS)
def test_a_task_that_makes_no_sense_is_refused(tasks: Path, text: str, message: str) -> None:
    (tasks.parent / "photos" / "red circle").rename(tasks.parent / "photos" / "purple unicorn")
    tasks.write_text(text)
    with pytest.raises(ReliabilityError) as caught:
        with_own_tasks(BASE, tasks)
    assert message in str(caught.value)
    assert "next:" in str(caught.value)
