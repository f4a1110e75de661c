"""Familiar and unfamiliar images of a small made-up model, and the oracles."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np
import pytest

from reliability.metrics.scores import SCORES, Evidence, Training

_ORACLES = Path(__file__).parents[2] / "oracles" / "slow_scores.py"
CLASSES, DIMENSIONS, SPAN = 5, 12, 6
SCALE = 25.0


def unit(rows):
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def fields_of(record):
    return {field.name: getattr(record, field.name) for field in fields(record)}


@dataclass(frozen=True)
class World:
    """Class directions span the first half of the dimensions, and unfamiliar images lie in the other half."""

    training: Training
    familiar: Evidence
    unfamiliar: Evidence

    def scorer(self, name, training=None):
        return SCORES[name].fit(training or self.training)

    def oracle(self, oracles, name, evidence):
        return getattr(oracles, name)(fields_of(evidence), fields_of(self.training))


def rows_of(record, rows):
    """The record with some of its images only, in that order."""
    return replace(
        record,
        **{
            name: np.asarray(value)[rows]
            for name, value in fields_of(record).items()
            if value is not None and name not in ("text", "logit_scale")
        },
    )


def make_world(seed=0, images=40, trained=400, negatives=7, scale=SCALE):
    rng = np.random.default_rng(seed)
    text = np.zeros((CLASSES, DIMENSIONS))
    text[:, :SPAN] = np.linalg.qr(rng.normal(0, 1, (SPAN, SPAN)))[0][:CLASSES]
    words = np.zeros((negatives, DIMENSIONS))
    words[:, SPAN:] = unit(rng.normal(0, 1, (negatives, SPAN)))
    spread = np.repeat([0.08, 0.05], SPAN)

    def around(directions):
        lengths = rng.uniform(0.5, 20.0, (len(directions), 1))
        return lengths * unit(directions + spread * rng.normal(0, 1, directions.shape))

    def evidence(directions):
        features = around(directions)
        patches = np.stack([unit(around(directions)) for _ in range(3)], axis=1)
        return Evidence(
            unit(features) @ text.T, scale, features, text, patches @ text.T, unit(features) @ words.T
        )  # fmt: skip

    labels = rng.integers(0, CLASSES, trained)
    features = around(text[labels])
    wrong = rng.random(trained) < 0.1
    noted = np.where(wrong, rng.integers(0, CLASSES, trained), labels)
    elsewhere = np.zeros((images, DIMENSIONS))
    elsewhere[:, SPAN:] = unit(rng.normal(0, 1, (images, SPAN)))
    return World(
        Training(features, noted, unit(features) @ text.T, scale),
        evidence(text[rng.integers(0, CLASSES, images)]),
        evidence(elsewhere),
    )


@pytest.fixture(scope="session")
def world():
    return make_world()


@pytest.fixture(scope="session")
def other_worlds():
    return make_world


@pytest.fixture(scope="session")
def some_rows():
    return rows_of


@pytest.fixture(scope="session")
def oracles():
    """The module of slow second implementations, by the scores' names."""
    spec = importlib.util.spec_from_file_location("slow_scores", _ORACLES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
