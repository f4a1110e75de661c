"""Draw a strip of samples of every embedded set: ``python -m reliability.data.scenes.gallery FOLDER``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reliability.data.corruptions.registry import CORRUPTIONS
from reliability.data.dataset import DataSet
from reliability.data.scenes.tasks import open_scenes
from reliability.types import I64, U8, Task

COLUMNS = 10
NOISE_FILE = "noise.png"

_SCALE = 2
_GAP = 4
_NAME_LINES = 2
_LINE_HEIGHT = 11
_FAINT, _PAPER = (105, 105, 105), (255, 255, 255)
_LOOKED_AT = 40
"""Pictures rendered of a set, so that every group has enough to show."""

_SEVERITY_SHOWN = 4


def file_name(task: Task) -> str:
    """Name of a task's strip."""
    return task.name.replace("/", "-") + ".png"


def _names(task: Task, labels: I64) -> list[str]:
    """What pictures are asked to be told as, empty where they are of no class."""
    return [task.prompts.class_names[label] if label >= 0 else "" for label in labels.tolist()]


def _sheet(images: list[U8], names: list[str]) -> Image.Image:
    """Pictures in rows of ``COLUMNS``, each with its name below, one word to a line."""
    side = images[0].shape[0] * _SCALE
    height = side + _GAP + (_NAME_LINES * _LINE_HEIGHT if any(names) else 0)
    rows = -(-len(images) // COLUMNS)
    sheet = Image.new("RGB", (min(COLUMNS, len(images)) * (side + _GAP) - _GAP, rows * height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for number, (pixels, name) in enumerate(zip(images, names, strict=True)):
        left, top = number % COLUMNS * (side + _GAP), number // COLUMNS * height
        sheet.paste(Image.fromarray(pixels).resize((side, side), Image.Resampling.NEAREST), (left, top))
        for line, word in enumerate(name.split()[:_NAME_LINES]):
            at = (left + side // 2, top + side + line * _LINE_HEIGHT)
            draw.text(at, word, fill=_FAINT, font=ImageFont.load_default(10), anchor="ma")
    return sheet


def _read(data: DataSet, source: str) -> tuple[list[U8], I64, I64]:
    """All pictures of a source, their labels and groups."""
    batches = list(data.sources[source].batches(_LOOKED_AT))
    images = [image for batch in batches for image in batch.images]
    labels, groups = (np.concatenate([getattr(batch, column) for batch in batches]) for column in ("labels", "groups"))
    return images, labels, groups


def strip(task: Task, data: DataSet) -> Image.Image:
    """The first pictures of a task, and a second row where it has groups or familiar pictures of its own."""
    images, labels, groups = _read(data, task.part.source)
    members = [groups == group for group in range(len(task.group_names))] or [np.ones(len(groups), dtype=bool)]
    chosen = np.concatenate([np.flatnonzero(rows)[:COLUMNS] for rows in members])
    shown = [images[row] for row in chosen]
    if task.familiar is not None and task.familiar.source != "id":
        familiar, *_ = _read(data, task.familiar.source)
        shown += familiar[:: len(familiar) // COLUMNS][:COLUMNS]
    return _sheet(shown, _names(task, labels[chosen]) if task.familiar is None else [""] * len(shown))


def _noise_strip(data: DataSet) -> Image.Image:
    """One familiar picture under every corruption."""
    damaged = [next(data.sources[f"id/{name}/{_SEVERITY_SHOWN}"].batches(4)).images[3] for name in CORRUPTIONS]
    clean = next(data.sources["id"].batches(4)).images[3]
    return _sheet([clean, *damaged], ["clean", *(name.replace("_", " ") for name in CORRUPTIONS)])


def strips(data: DataSet) -> Iterator[tuple[str, Image.Image]]:
    """File name and picture of every strip: one for each task, and one for all noise."""
    for task in data.tasks.values():
        if task.role != "noise":
            yield file_name(task), strip(task, data)
    yield NOISE_FILE, _noise_strip(data)


def draw(folder: Path) -> None:
    """Write the strips of the embedded tasks, in 256 colours each."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in strips(open_scenes("", None, _LOOKED_AT)):
        picture.quantize(256, dither=Image.Dither.NONE).save(folder / name, optimize=True)


def main(arguments: list[str]) -> int:
    """Write the strips into the one folder named."""
    if len(arguments) != 1:
        print("usage: python -m reliability.data.scenes.gallery FOLDER", file=sys.stderr)
        return 2
    draw(Path(arguments[0]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
