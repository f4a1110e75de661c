"""Captions to find pictures by, and pictures to find captions by.

What a scene shows is known, so which captions are right for it is known too:
every caption whose words are all true of it, whichever picture it was written
for. Many pictures show a red star, and "a photo of a red star." is right for
all of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

from reliability.data.counter_rng import choice, uniform
from reliability.data.scenes.captions import OPENINGS, require_captionable, sentence
from reliability.data.scenes.sample import Scenes
from reliability.data.scenes.vocabulary import BACKGROUNDS, COLOURS, FILLS, SHAPES
from reliability.types import PromptSet

Words = tuple[str, str, str]
"""What can be said of a scene: its fill (empty where it is plain), its object, its background."""

CAPTIONS_PER_PICTURE = 2
"""How many captions are written for each picture; they differ in how they begin."""

_NAMES_FILL, _NAMES_BACKGROUND = 0.5, 0.6
"""Rates at which a caption names them, those of clean training captions."""


def _words(scenes: Scenes) -> Iterator[Words]:
    colours = tuple(COLOURS)
    for shape, colour, fill, background in zip(
        scenes.shape, scenes.colour, scenes.fill, scenes.background, strict=True
    ):
        named = "" if FILLS[fill] == "plain" else FILLS[fill]
        yield named, f"{colours[colour]} {SHAPES[shape]}", f"on {BACKGROUNDS[background]}"


def _true_of(words: Words) -> Iterator[str]:
    """All captions that are true of a scene."""
    fills, grounds = dict.fromkeys(("", words[0])), ("", words[2])
    return (sentence(opening, fill, words[1], ground) for opening, fill, ground in product(OPENINGS, fills, grounds))


def _written(scenes: Scenes, words: list[Words], nth: int) -> list[str]:
    """The nth caption written for each scene."""
    opening = (choice(scenes.key, "retrieval/opening", len(OPENINGS)) + nth) % len(OPENINGS)
    fill = uniform(scenes.key, f"retrieval/fill/{nth}")[:, 0] < _NAMES_FILL
    background = uniform(scenes.key, f"retrieval/background/{nth}")[:, 0] < _NAMES_BACKGROUND
    return [
        sentence(OPENINGS[o], own[0] * f, own[1], own[2] * b)
        for o, f, b, own in zip(opening, fill.tolist(), background.tolist(), words, strict=True)
    ]


def caption_head(scenes: Scenes) -> tuple[PromptSet, tuple[tuple[int, ...], ...]]:
    """Distinct captions of scenes, as prompts, and for each scene the rows of those that are true of it.

    Raises:
        ValueError: If a scene shows a shape, colour or background that no caption may name.

    Conventions:
        Captions stand in the order in which they first occur. What is true is decided by
        meaning: a caption written for one scene matches every other that it describes.

    >>> import numpy as np
    >>> from reliability.data.scenes.sample import sample
    >>> prompts, matches = caption_head(sample("retrieval", 20, np.arange(5)))
    >>> [prompts.class_names[row] for row in matches[2]]
    ['a photo of a purple star on night.', 'a picture of a purple star.', 'there is a purple star.']
    """
    require_captionable(scenes)
    words = list(_words(scenes))
    written = [_written(scenes, words, nth) for nth in range(CAPTIONS_PER_PICTURE)]
    texts = dict.fromkeys(text for own in zip(*written, strict=True) for text in own)
    row = {text: index for index, text in enumerate(texts)}
    matches = tuple(tuple(sorted(row[text] for text in _true_of(own) if text in row)) for own in words)
    return PromptSet(tuple(texts), ("{c}",)), matches
