"""Captions of scenes: clean ones, and ones as the web writes them.

A clean caption names colour, fill, shape and background correctly. A web-like
one leaves words out, gets words wrong, or is an alt text that names nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reliability.data.counter_rng import choice, uniform
from reliability.data.scenes.sample import I64, Scenes
from reliability.data.scenes.vocabulary import BACKGROUNDS, COLOURS, FILLS, SHAPES

OPENINGS: tuple[str, ...] = ("a photo of a", "a picture of a", "an image of a", "there is a")
PROMPT_TEMPLATES: tuple[str, ...] = tuple(f"{opening} {{c}}." for opening in OPENINGS)
"""Zero-shot templates; ``{c}`` is the class name."""

_ALT_TEXTS = ("untitled image", "photo 0412", "click to enlarge", "new picture")


@dataclass(frozen=True)
class CaptionNoise:
    """How a caption source departs from the truth; rates lie in [0, 1].

    Attributes:
        wrong_shape, wrong_colour: A random other word stands there.
        no_shape, no_colour: The word is missing (no shape: "thing").
        no_fill, no_background: The caption does not mention them.
        alt_text: The caption says nothing about the picture.
    """

    wrong_shape: float = 0.0
    wrong_colour: float = 0.0
    no_shape: float = 0.0
    no_colour: float = 0.0
    no_fill: float = 0.5
    no_background: float = 0.4
    alt_text: float = 0.0


CLEAN = CaptionNoise()
WEB = CaptionNoise(
    wrong_shape=0.12, wrong_colour=0.10, no_shape=0.15, no_colour=0.20,
    no_fill=0.8, no_background=0.6, alt_text=0.08,
)  # fmt: skip


def sentence(*words: str) -> str:
    """Words in order as a caption; empty ones are left out."""
    return " ".join(filter(None, words)) + "."


def _words(scenes: Scenes, truth: I64, names: tuple[str, ...], wrong: NDArray[np.bool_]) -> NDArray[np.str_]:
    """The true word per scene, or a uniformly drawn other one where ``wrong``."""
    other = (truth + 1 + choice(scenes.key, f"other/{names[0]}", len(names) - 1)) % len(names)
    return np.array(names)[np.where(wrong, other, truth)]


def require_captionable(scenes: Scenes) -> None:
    """Refuse what training captions have no words for.

    Raises:
        ValueError: If a scene shows a shape, colour or background that no caption may name.
    """
    words = ((scenes.shape, SHAPES), (scenes.colour, COLOURS), (scenes.background, BACKGROUNDS))
    if any(shown.max(initial=0) >= len(known) for shown, known in words):
        raise ValueError("captions: scenes show a held-out shape, colour or background; only training scenes have one")


def captions(scenes: Scenes, noise: CaptionNoise = CLEAN) -> list[str]:
    """One lower-case caption per scene, a pure function of its key.

    Raises:
        ValueError: If a scene shows a shape, colour or background that no caption may name.
    """
    require_captionable(scenes)
    happens = {name: uniform(scenes.key, f"caption/{name}")[:, 0] < rate for name, rate in vars(noise).items()}
    shapes = _words(scenes, scenes.shape, SHAPES, happens["wrong_shape"])
    colours = _words(scenes, scenes.colour, tuple(COLOURS), happens["wrong_colour"])
    named_fill = (scenes.fill != FILLS.index("plain")) & ~happens["no_fill"]
    parts = (
        np.array(OPENINGS)[choice(scenes.key, "opening", len(OPENINGS))],
        np.where(named_fill, np.array(FILLS)[scenes.fill], ""),
        np.where(happens["no_colour"], "", colours),
        np.where(happens["no_shape"], "thing", shapes),
        np.where(happens["no_background"], "", np.char.add("on ", np.array(BACKGROUNDS)[scenes.background])),
    )
    lines = np.array([sentence(*words) for words in zip(*parts, strict=True)], dtype=object)
    empty = np.array(_ALT_TEXTS)[choice(scenes.key, "alt-text", len(_ALT_TEXTS))]
    return [str(line) for line in np.where(happens["alt_text"], empty, lines)]
