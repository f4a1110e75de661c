"""The pictures behind the embedded tasks: one source for each set, with a split of its own.

No split here is one that training or range setting draws from, and a split is
part of the address of every random number. So evaluated pictures are other ones
even where seeds are the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from reliability.data.scenes.combined import CombinedSource
from reliability.data.scenes.sample import TRAINING, Population
from reliability.data.scenes.source import SceneSource
from reliability.data.scenes.vocabulary import (
    COUNTER_BACKGROUNDS,
    EVERY_TIE,
    SPURIOUS_TIES,
    UNSEEN_BACKGROUNDS,
    UNSEEN_COLOURS,
    UNSEEN_SHAPES,
)
from reliability.types import ImageSource

EVALUATION_SEED = 20

_TIED = tuple(SPURIOUS_TIES)


def _set(
    name: str, population: Population = TRAINING, mode: str = "objects", *, count: int = 2000, split: str = ""
) -> SceneSource:
    return SceneSource(name, split or name, EVALUATION_SEED, count, population, mode)


SOURCES: tuple[SceneSource, ...] = (
    _set("id", count=4000),
    _set("near", Population(shapes=UNSEEN_SHAPES)),
    _set("far", mode="far"),
    _set("unseen_backgrounds", Population(backgrounds=UNSEEN_BACKGROUNDS)),
    _set("spurious", Population(shapes=_TIED, tie_strength=0.5), "tied"),
    _set("fit"),
    _set("shapes", mode="shapes", count=4000, split="id"),
    _set("colours", mode="colours", count=4000, split="id"),
    _set("unseen_colours", Population(colours=tuple(UNSEEN_COLOURS))),
    _set("held_out_pairs", Population(pairs="held_out")),
    *(_set(name, mode=name) for name in ("backgrounds", "textures", "noise", "glyphs", "blobs")),
    _set("sketch", mode="sketch"),
    _set("silhouette", mode="silhouette"),
    _set("low_light", Population(light=(0.35, 0.55)), "low_light"),
    _set("unseen_palette", mode="faded"),
    _set("scale", Population(radius=(0.16, 0.21))),
    _set("crop", Population(cut=(0.2, 0.4))),
    _set("rotation", Population(turn=360.0)),
    _set("renderer", mode="studio"),
    _set("every_shape", Population(ties=tuple(EVERY_TIE.items()), tie_strength=0.5), "every_tie"),
    _set("common", Population(shapes=_TIED, tie_strength=1.0), "tied", count=1000, split="counterparts"),
    _set(
        "counter", Population(shapes=_TIED, tie_strength=1.0, ties=tuple(COUNTER_BACKGROUNDS.items())), "tied",
        count=1000, split="counterparts",
    ),
    _set("retrieval", mode="captioned", count=1000),
)  # fmt: skip
"""Clean sources. Those with the split of another show the same objects: ``shapes`` and ``colours`` are ``id`` with
coarse labels, ``counter`` is ``common`` on other backgrounds."""

SHIFTED = ("unseen_backgrounds", "low_light", "unseen_palette", "rotation", "renderer")
"""Shifts that keep everything a class name says; together as many pictures as ``id`` in the full spectrum."""


def combined(sources: Sequence[SceneSource]) -> list[ImageSource]:
    """The sets that show others one after another, made of the sources given."""
    by_name = {source.name: source for source in sources}
    share = max(1, by_name["id"].count // len(SHIFTED))
    shifted = (by_name[name].first(share) for name in SHIFTED)
    return [
        CombinedSource("full_spectrum", (by_name["id"], *shifted)),
        CombinedSource("common_counter", (by_name["common"], by_name["counter"])),
    ]
