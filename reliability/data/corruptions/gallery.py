"""Draw every corruption at every severity: ``python -m reliability.data.corruptions.gallery OUT.png [PICTURE]``."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from reliability.data.corruptions.corruption import SEVERITIES
from reliability.data.corruptions.registry import CORRUPTIONS, EXTRA, corrupt
from reliability.data.decode import decode_rgb
from reliability.data.scenes.render import render
from reliability.data.scenes.sample import sample
from reliability.types import U8

SIDE = 224
"""Pixels of the damaged picture; tiles show it smaller."""

_TILE = 112
_GAP = 4
_LABEL_WIDTH = 150
_HEADER = 22
_INK, _FAINT, _PAPER = (25, 25, 25), (105, 105, 105), (255, 255, 255)
_SCENE = 15
"""A scene that shows a texture, a filled shape and a shadow."""


def rendered() -> U8:
    """The scene that the gallery shows where no picture is named."""
    scene: U8 = render(sample("gallery", 0, np.array([_SCENE])), SIDE)[0]
    return scene


def cropped(file: Path) -> U8:
    """The middle of a picture file, enlarged or reduced to the gallery's side."""
    picture = Image.fromarray(decode_rgb(file, str(file)))
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    return np.asarray(picture.crop((left, top, left + side, top + side)).resize((SIDE, SIDE)))


def _paste_row(sheet: Image.Image, images: list[U8], top: int) -> None:
    for column, image in enumerate(images):
        tile = Image.fromarray(image).resize((_TILE, _TILE), Image.Resampling.BOX)
        sheet.paste(tile, (_LABEL_WIDTH + column * (_TILE + _GAP), top))


def gallery(picture: U8) -> Image.Image:
    """One line per corruption: the clean picture and severities 1 to 5."""
    width = _LABEL_WIDTH + (1 + len(SEVERITIES)) * (_TILE + _GAP)
    sheet = Image.new("RGB", (width, _HEADER + len(CORRUPTIONS) * (_TILE + _GAP)), _PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, title in enumerate(["clean", *map(str, SEVERITIES)]):
        middle = _LABEL_WIDTH + column * (_TILE + _GAP) + _TILE // 2
        draw.text((middle, 4), title, fill=_FAINT, font=ImageFont.load_default(12), anchor="ma")
    for number, name in enumerate(CORRUPTIONS):
        top = _HEADER + number * (_TILE + _GAP)
        draw.text((_GAP, top + 40), name.replace("_", " "), fill=_INK, font=ImageFont.load_default(14))
        note = "extra" if name in EXTRA else ""
        draw.text((_GAP, top + 60), note, fill=_FAINT, font=ImageFont.load_default(12))
        damaged = [corrupt([picture], name, severity, ["gallery"], 0)[0] for severity in SEVERITIES]
        _paste_row(sheet, [picture, *damaged], top)
    return sheet


def main(arguments: list[str]) -> int:
    """Write the gallery of a rendered scene, or of the picture named, to the file named first."""
    if len(arguments) not in (1, 2):
        print("usage: python -m reliability.data.corruptions.gallery OUT.png [PICTURE]", file=sys.stderr)
        return 2
    picture = cropped(Path(arguments[1])) if len(arguments) == 2 else rendered()
    gallery(picture).quantize(256, dither=Image.Dither.NONE).save(Path(arguments[0]), optimize=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
