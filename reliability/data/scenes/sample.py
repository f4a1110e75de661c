"""Decide what each scene shows, from its key alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from reliability.data.counter_rng import U64, choice, keys, uniform
from reliability.data.scenes.vocabulary import (
    ALL_BACKGROUNDS,
    ALL_COLOURS,
    ALL_SHAPES,
    BACKGROUNDS,
    COLOURS,
    FILLS,
    HELD_OUT_PAIRS,
    SHAPES,
    SPURIOUS_TIES,
    TIE_STRENGTH,
)

I64 = NDArray[np.int64]
F32 = NDArray[np.float32]


@dataclass(frozen=True)
class Population:
    """Which scenes a set draws from; the defaults are the training population.

    Attributes:
        shapes: Names drawn uniformly.
        backgrounds: Names drawn uniformly for shapes without a tie.
        tie_strength: Probability that a tied shape stands on its own background;
            otherwise it stands on one of the others.
        light: Range of the overall light, 1 = as painted.
        radius: Range of the object's radius as a share of the picture's side.
        colours: Names drawn uniformly.
        pairs: Which pairs of shape and colour: any, only ``held_out`` ones, or only the ones ``kept``.
        ties: Pairs of a tied shape and its own background.
        turn: Width of the range of angles in degrees, around upright.
        cut: Range of the share of the object's diameter that lies beyond one edge of
            the picture; (0, 0) keeps objects whole.
    """

    shapes: tuple[str, ...] = SHAPES
    backgrounds: tuple[str, ...] = BACKGROUNDS
    tie_strength: float = TIE_STRENGTH
    light: tuple[float, float] = (0.85, 1.12)
    radius: tuple[float, float] = (0.26, 0.40)
    colours: tuple[str, ...] = tuple(COLOURS)
    pairs: Literal["any", "kept", "held_out"] = "any"
    ties: tuple[tuple[str, str], ...] = tuple(SPURIOUS_TIES.items())
    turn: float = 50.0
    cut: tuple[float, float] = (0.0, 0.0)


TRAINING = Population()


@dataclass(frozen=True)
class Scenes:
    """N scenes as columns, everything a renderer, a caption or a label needs.

    Attributes:
        key: [N] uint64, the address of each scene's random numbers.
        shape, background: [N] indices into ``ALL_SHAPES`` and ``ALL_BACKGROUNDS``.
        colour, fill: [N] indices into ``ALL_COLOURS`` and ``FILLS``.
        centre: [N, 2] x and y in [0, 1] of the picture's side, y downwards.
        radius: [N] share of the side.
        angle: [N] radians, counter-clockwise.
        light: [N] overall gain.
        lamp: [N] direction of the light in radians.
    """

    key: U64
    shape: I64
    colour: I64
    fill: I64
    background: I64
    centre: F32
    radius: F32
    angle: F32
    light: F32
    lamp: F32

    def __len__(self) -> int:
        return len(self.key)

    @property
    def fine_label(self) -> I64:
        """[N] colour x shape class; only defined for trained shapes and colours."""
        return self.colour * len(SHAPES) + self.shape

    @property
    def on_own_background(self) -> NDArray[np.bool_]:
        """[N] whether a tied shape stands on the background it is tied to."""
        return self.follows(SPURIOUS_TIES)

    def follows(self, ties: Mapping[str, str]) -> NDArray[np.bool_]:
        """[N] whether a shape stands on the background that ``ties`` names for it."""
        own = np.full(len(ALL_SHAPES), -1)
        for shape, background in ties.items():
            own[ALL_SHAPES.index(shape)] = ALL_BACKGROUNDS.index(background)
        on_own: NDArray[np.bool_] = own[self.shape] == self.background
        return on_own

    def take(self, rows: slice | NDArray[np.bool_]) -> Scenes:
        """Some of the scenes, in order."""
        return Scenes(**{name: column[rows] for name, column in vars(self).items()})


def _indices(names: Iterable[str], universe: Iterable[str]) -> I64:
    position = {name: index for index, name in enumerate(universe)}
    return np.array([position[name] for name in names], dtype=np.int64)


def _colours(key: U64, shape: I64, population: Population) -> I64:
    """Draw colours, from each shape's own list where pairs are left out."""
    drawn = _drawn(key, "colour", _indices(population.colours, ALL_COLOURS))
    if population.pairs == "any":
        return drawn
    for name, held_out in HELD_OUT_PAIRS.items():
        allowed = [c for c in population.colours if (c in held_out) == (population.pairs == "held_out")]
        own = _drawn(key, "colour", _indices(allowed, ALL_COLOURS))
        drawn = np.where(shape == ALL_SHAPES.index(name), own, drawn)
    return drawn


def _drawn(key: U64, stream: str, pool: I64) -> I64:
    return pool[choice(key, stream, len(pool))]


def _backgrounds(key: U64, shape: I64, population: Population) -> I64:
    """Draw backgrounds, honouring the ties of tied shapes."""
    pool = _indices(population.backgrounds, ALL_BACKGROUNDS)
    drawn = _drawn(key, "background", pool)
    keep_tie = uniform(key, "tie")[:, 0] < population.tie_strength
    for name, background in population.ties:
        own = ALL_BACKGROUNDS.index(background)
        others = pool[pool != own]
        if own not in pool or len(others) == 0:
            continue
        tied = shape == ALL_SHAPES.index(name)
        elsewhere = _drawn(key, "elsewhere", others)
        drawn = np.where(tied, np.where(keep_tie, own, elsewhere), drawn)
    return drawn


def _centres(key: U64, radius: F32, spread: F32, population: Population) -> F32:
    """[N, 2] centres: inside the picture, or so that one edge cuts the object."""
    room = np.maximum(0.5 - radius, 0)[:, None]
    centre = 0.5 + room * (2 * spread - 1)
    low, high = population.cut
    if high > 0:
        inside = radius * (1 - 2 * (low + (high - low) * uniform(key, "cut")[:, 0]))
        edge = choice(key, "edge", 4)
        rows = np.arange(len(key))
        centre[rows, edge % 2] = np.where(edge < 2, inside, 1 - inside)
    return np.asarray(centre, np.float32)


def sample(split: str, seed: int, indices: NDArray[np.integer], population: Population = TRAINING) -> Scenes:
    """The scenes at given positions of a split.

    Args:
        split: Domain of the random numbers; different splits never share a key stream.
        seed: Non-negative integer.
        indices: [N] positions; any subset in any order gives the same scenes.
        population: What is drawn from.
    """
    key = keys(f"scenes/{split}", seed, indices)
    shape = _drawn(key, "shape", _indices(population.shapes, ALL_SHAPES))
    spread = uniform(key, "pose", 6)
    low, high = population.radius
    radius = low + (high - low) * spread[:, 0]
    return Scenes(
        key=key,
        shape=shape,
        colour=_colours(key, shape, population),
        fill=choice(key, "fill", len(FILLS)),
        background=_backgrounds(key, shape, population),
        centre=_centres(key, radius, spread[:, 1:3], population),
        radius=radius.astype(np.float32),
        angle=np.deg2rad(population.turn * (spread[:, 3] - 0.5)).astype(np.float32),
        light=(population.light[0] + np.ptp(population.light) * spread[:, 4]).astype(np.float32),
        lamp=(2 * np.pi * spread[:, 5]).astype(np.float32),
    )
