"""Write a data set's pictures out, for a device that computes features elsewhere."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from reliability.data.dataset import DataSet
from reliability.errors import UsageError
from reliability.types import ImageSource

_BATCH = 64


def hand_out(data: DataSet, tasks: Sequence[str], folder: Path) -> dict[str, int]:
    """Write every picture that some tasks show as a PNG file, with its id.

    Args:
        data: Where the tasks come from.
        tasks: Names; all of the data set's where there is none.
        folder: Gets ``SOURCE/000000.png`` and on, ``SOURCE.csv`` with the columns ``file`` and
            ``id`` for each source, and ``prompts.json`` with each task's classes and templates.

    Returns:
        Source name to its number of pictures.

    Raises:
        UsageError: The folder is there already and holds something, or a task is unknown.

    Conventions:
        PNG keeps every pixel, before any model's preprocessing.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(where=str(folder), what="the folder is not empty", next="name another one")
    chosen = [data.task(name) for name in tasks or data.tasks]
    parts = [part for task in chosen for part in (task.part, task.familiar) if part is not None]
    sources = dict.fromkeys(part.source for part in parts)
    written = {name: _write(data.sources[name], folder / name) for name in sources}
    prompts = {task.name: {"classes": task.prompts.class_names, "templates": task.prompts.templates} for task in chosen}
    (folder / "prompts.json").write_text(json.dumps(prompts, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return written


def _write(source: ImageSource, folder: Path) -> int:
    folder.mkdir(parents=True)
    rows: list[tuple[str, str]] = []
    for batch in source.batches(_BATCH):
        for picture, name in zip(batch.images, batch.ids.tolist(), strict=True):
            file = f"{len(rows):06d}.png"
            Image.fromarray(picture).save(folder / file)
            rows.append((file, name))
    with (folder.parent / f"{folder.name}.csv").open("w", encoding="utf-8", newline="") as table:
        csv.writer(table).writerows([("file", "id"), *rows])
    return len(rows)
