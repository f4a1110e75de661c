"""Draw samples of every embedded task: ``python -m reliability.data.scenes.gallery OUT.png``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reliability.data.dataset import DataSet
from reliability.data.scenes.tasks import PROMPTS, open_scenes
from reliability.types import I64, U8, ImageBatch, Task

COLUMNS = 10
_SCALE = 3
_GAP = 8
_LABEL_WIDTH = 205
_CAPTION_HEIGHT = 16
_INK, _FAINT, _PAPER = (25, 25, 25), (105, 105, 105), (255, 255, 255)
_NOISE_SHOWN = tuple(f"noise/gaussian_noise/{severity}" for severity in (1, 3, 5))
_LOOKED_AT = 100
"""Pictures rendered per task, so that every group has enough to show."""


@dataclass(frozen=True)
class Row:
    """One line of the gallery."""

    title: str
    note: str
    images: list[U8]
    labels: I64


def _row(title: str, note: str, batch: ImageBatch, chosen: I64) -> Row:
    return Row(title, note, [batch.images[i] for i in chosen[:COLUMNS]], batch.labels[chosen[:COLUMNS]])


def _rows_of(task: Task, batch: ImageBatch) -> Iterator[Row]:
    if task.group_names:
        for number, group in enumerate(task.group_names):
            yield _row(task.name, f"group {number}: {group}", batch, np.flatnonzero(batch.groups == number))
    else:
        note = {"ood": "unfamiliar: of no class", "noise": "corrupted", "shift": "shifted"}.get(task.role, "familiar")
        yield _row(task.name, note, batch, np.arange(len(batch.ids)))


def _rows(data: DataSet) -> Iterator[Row]:
    for task in data.tasks.values():
        if task.role == "noise" and task.name not in _NOISE_SHOWN:
            continue
        yield from _rows_of(task, next(data.sources[task.part.source].batches(_LOOKED_AT)))


def _paste(sheet: Image.Image, row: Row, top: int) -> None:
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, top + 30), row.title, fill=_INK, font=ImageFont.load_default(14))
    draw.text((_GAP, top + 50), row.note, fill=_FAINT, font=ImageFont.load_default(12))
    for column, (pixels, label) in enumerate(zip(row.images, row.labels, strict=True)):
        tile = Image.fromarray(pixels)
        tile = tile.resize((tile.width * _SCALE, tile.height * _SCALE), Image.Resampling.NEAREST)
        left = _LABEL_WIDTH + column * (tile.width + _GAP)
        sheet.paste(tile, (left, top))
        name = PROMPTS.class_names[label] if label >= 0 else ""
        middle = (left + tile.width // 2, top + tile.height + 2)
        draw.text(middle, name, fill=_FAINT, font=ImageFont.load_default(11), anchor="ma")


def gallery(data: DataSet) -> Image.Image:
    """One labelled line of samples per task; noise at severities 1, 3 and 5."""
    rows = list(_rows(data))
    tile = rows[0].images[0].shape[0] * _SCALE
    height = tile + _CAPTION_HEIGHT + _GAP
    size = (_LABEL_WIDTH + COLUMNS * (tile + _GAP), len(rows) * height + _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    for number, row in enumerate(rows):
        _paste(sheet, row, _GAP + number * height)
    return sheet


def main(arguments: list[str]) -> int:
    """Write the gallery of the embedded tasks to the one file named."""
    if len(arguments) != 1:
        print("usage: python -m reliability.data.scenes.gallery OUT.png", file=sys.stderr)
        return 2
    gallery(open_scenes("", None, None)).save(Path(arguments[0]), optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
