"""What a set of scenes shows, and what its pictures are asked about: one mode each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from reliability.data.scenes.far import FAR_KINDS, blob_outline, render_far
from reliability.data.scenes.glyphs import glyph_outline
from reliability.data.scenes.looks import FADED_PAINT, LOW_LIGHT, STUDIO, silhouette, sketch
from reliability.data.scenes.render import TRAINED, Outline, Style, own_shape, render
from reliability.data.scenes.sample import Scenes
from reliability.data.scenes.textures import noise, textures
from reliability.data.scenes.vocabulary import COLOURS, EVERY_TIE, SHAPES, SPURIOUS_TIES
from reliability.types import I64, U8

Paint = Callable[[Scenes, I64, int], U8]
Number = Callable[[Scenes], I64]


def unnumbered(scenes: Scenes) -> I64:
    """-1 for every scene: no class, or no group."""
    return np.full(len(scenes), -1, dtype=np.int64)


def fine(scenes: Scenes) -> I64:
    """Colour x shape class, -1 where either is held out."""
    return np.where(_known(scenes), scenes.fine_label, -1)


def shape_only(scenes: Scenes) -> I64:
    """Coarse class by shape, in the order of ``SHAPES``."""
    return np.where(_known(scenes), scenes.shape, -1)


def colour_only(scenes: Scenes) -> I64:
    """Coarse class by colour, in the order of ``COLOURS``."""
    return np.where(_known(scenes), scenes.colour, -1)


def _known(scenes: Scenes) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return (scenes.shape < len(SHAPES)) & (scenes.colour < len(COLOURS))


def _tied_to(ties: dict[str, str]) -> Number:
    return lambda scenes: np.where(scenes.follows(ties), 0, 1).astype(np.int64)


def _as_trained(scenes: Scenes, _: I64, size: int) -> U8:
    return render(scenes, size)


def _scene(outline: Outline | None = own_shape, style: Style = TRAINED) -> Paint:
    return lambda scenes, _, size: render(scenes, size, outline, style)


def _drawn(draw: Callable[[Scenes, int], U8]) -> Paint:
    return lambda scenes, _, size: draw(scenes, size)


@dataclass(frozen=True)
class Mode:
    """How scenes are drawn and numbered.

    Attributes:
        paint: Scenes, their positions in the set and a size to uint8 [N, size, size, 3].
        label: Class of each scene, -1 for none.
        group: Group of each scene, -1 for none.
    """

    paint: Paint = _as_trained
    label: Number = fine
    group: Number = unnumbered


MODES: dict[str, Mode] = {
    "objects": Mode(),
    "tied": Mode(group=_tied_to(SPURIOUS_TIES)),
    "every_tie": Mode(group=_tied_to(EVERY_TIE)),
    "shapes": Mode(label=shape_only),
    "colours": Mode(label=colour_only),
    "captioned": Mode(label=unnumbered),
    "far": Mode(lambda scenes, at, size: render_far(scenes, at % len(FAR_KINDS), size), unnumbered),
    "backgrounds": Mode(_scene(outline=None), unnumbered),
    "textures": Mode(_drawn(textures), unnumbered),
    "noise": Mode(_drawn(noise), unnumbered),
    "glyphs": Mode(_scene(glyph_outline), unnumbered),
    "blobs": Mode(_scene(blob_outline), unnumbered),
    "low_light": Mode(_scene(style=LOW_LIGHT)),
    "faded": Mode(_scene(style=FADED_PAINT)),
    "studio": Mode(_scene(style=STUDIO)),
    "sketch": Mode(_drawn(sketch), shape_only),
    "silhouette": Mode(_drawn(silhouette), shape_only),
}  # fmt: skip
"""Name, as identities state it, to mode: ``objects`` shows the scenes; ``tied`` and ``every_tie`` also number groups,
0 where a shape stands on the background it is tied to and 1 elsewhere; ``far`` shows ``FAR_KINDS`` in turn."""
