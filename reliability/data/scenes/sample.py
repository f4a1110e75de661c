"""Decide what each scene shows, from its key alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from reliability.data.counter_rng import choice, keys, uniform
from reliability.data.scenes.vocabulary import (
    ALL_BACKGROUNDS,
    ALL_SHAPES,
    BACKGROUNDS,
    COLOURS,
    FILLS,
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
    """

    shapes: tuple[str, ...] = SHAPES
    backgrounds: tuple[str, ...] = BACKGROUNDS
    tie_strength: float = TIE_STRENGTH
    light: tuple[float, float] = (0.85, 1.12)
    radius: tuple[float, float] = (0.26, 0.40)


TRAINING = Population()


@dataclass(frozen=True)
class Scenes:
    """N scenes as columns, everything a renderer, a caption or a label needs.

    Attributes:
        key: [N] uint64, the address of each scene's random numbers.
        shape, background: [N] indices into ``ALL_SHAPES`` and ``ALL_BACKGROUNDS``.
        colour, fill: [N] indices into ``COLOURS`` and ``FILLS``.
        centre: [N, 2] x and y in [0, 1] of the picture's side, y downwards.
        radius: [N] share of the side.
        angle: [N] radians, counter-clockwise.
        light: [N] overall gain.
        lamp: [N] direction of the light in radians.
    """

    key: NDArray[np.uint64]
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
        """[N] colour x shape class; only defined for trained shapes."""
        return self.colour * len(SHAPES) + self.shape

    @property
    def on_own_background(self) -> NDArray[np.bool_]:
        """[N] whether a tied shape stands on the background it is tied to."""
        own = np.full(len(ALL_SHAPES), -1)
        for shape, background in SPURIOUS_TIES.items():
            own[ALL_SHAPES.index(shape)] = ALL_BACKGROUNDS.index(background)
        on_own: NDArray[np.bool_] = own[self.shape] == self.background
        return on_own

    def take(self, rows: slice | NDArray[np.bool_]) -> Scenes:
        """Some of the scenes, in order."""
        return Scenes(**{name: column[rows] for name, column in vars(self).items()})


def _indices(names: Sequence[str], universe: Sequence[str]) -> I64:
    return np.array([universe.index(name) for name in names], dtype=np.int64)


def _backgrounds(key: NDArray[np.uint64], shape: I64, population: Population) -> I64:
    """Draw backgrounds, honouring the ties of tied shapes."""
    pool = _indices(population.backgrounds, ALL_BACKGROUNDS)
    drawn = pool[choice(key, "background", len(pool))]
    keep_tie = uniform(key, "tie")[:, 0] < population.tie_strength
    for name, background in SPURIOUS_TIES.items():
        own = ALL_BACKGROUNDS.index(background)
        others = pool[pool != own]
        if own not in pool or len(others) == 0:
            continue
        tied = shape == ALL_SHAPES.index(name)
        elsewhere = others[choice(key, "elsewhere", len(others))]
        drawn = np.where(tied, np.where(keep_tie, own, elsewhere), drawn)
    return drawn


def sample(split: str, seed: int, indices: NDArray[np.integer], population: Population = TRAINING) -> Scenes:
    """The scenes at given positions of a split.

    Args:
        split: Domain of the random numbers; different splits never share a key stream.
        seed: Non-negative integer.
        indices: [N] positions; any subset in any order gives the same scenes.
        population: What is drawn from.
    """
    key = keys(f"scenes/{split}", seed, indices)
    shape = _indices(population.shapes, ALL_SHAPES)[choice(key, "shape", len(population.shapes))]
    spread = uniform(key, "pose", 6)
    low, high = population.radius
    radius = low + (high - low) * spread[:, 0]
    room = np.maximum(0.5 - radius, 0)[:, None]
    return Scenes(
        key=key,
        shape=shape,
        colour=choice(key, "colour", len(COLOURS)),
        fill=choice(key, "fill", len(FILLS)),
        background=_backgrounds(key, shape, population),
        centre=(0.5 + room * (2 * spread[:, 1:3] - 1)).astype(np.float32),
        radius=radius.astype(np.float32),
        angle=np.deg2rad(50 * (spread[:, 3] - 0.5)).astype(np.float32),
        light=(population.light[0] + np.ptp(population.light) * spread[:, 4]).astype(np.float32),
        lamp=(2 * np.pi * spread[:, 5]).astype(np.float32),
    )
