"""Inputs for every kind of metric, and the oracles, for all tests of metrics."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

_ORACLES = Path(__file__).parent.parent / "oracles"


@pytest.fixture(scope="session")
def oracles():
    """The slow second implementations of all families, by the metrics' names."""
    found = {}
    for path in sorted(_ORACLES.glob("slow_metrics*.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found |= {name: value for name, value in vars(module).items() if callable(value) and name[0] != "_"}
    return found


def _labelled(rng, n):
    logits = np.round(rng.normal(0, 2, (n, 7)), 1)
    labels = np.where(rng.random(n) < 0.6, logits.argmax(axis=1), rng.integers(0, 7, n))
    return logits, labels


def _near(rng, array):
    return np.round(array + rng.normal(0, 1, array.shape), 1)


def _robust(rng, n):
    return [rng.random((n, 3, 2)) < 0.6, rng.random(n) < 0.8, rng.random((n, 3, 2)) < 0.5, rng.random(n) < 0.95]


def _captioned(rng, n):
    """More than ten images with one text or several each; some images and some texts are the same."""
    images, ids = rng.normal(0, 1, (n + 6, 6)), 3 * np.arange(n + 6)
    images[1] = images[0]
    owner = np.concatenate([np.arange(n + 6), rng.integers(0, n + 6, n)])
    texts = _near(rng, images[owner])
    texts[-3:] = texts[:3]
    return [[images, ids], [texts, ids[owner]]]


def _directed(rng, n):
    """Features of more than 64 directions near the texts of their classes, which every resample shares."""
    text = rng.normal(0, 1, (5, 70))
    labels = rng.integers(0, 5, n + 80)
    return [[text[labels] + rng.normal(0, 2, (n + 80, 70)) + 1.0, labels], [text]]


def _shifted(rng, n):
    accuracy = rng.uniform(0.3, 0.9, n)
    return [[rng.random(n) < 0.5], [rng.random(n + 5) < 0.7], [accuracy, accuracy * rng.uniform(0.6, 0.9, n)]]


def _sample(kind, n=60, seed=0):
    """Inputs of one kind, as a list of groups of arrays that share their rows; scores and logits hold ties."""
    rng = np.random.default_rng(seed)
    logits, labels = _labelled(rng, n)
    features, groups = rng.normal(0, 1, (n, 6)) * np.arange(1, 7), rng.integers(0, 3, n) * 2
    # However few the images, there is something to lose in group 0 and in another.
    groups[:2], labels[:2] = [0, 2], logits[:2].argmax(axis=1)
    scores = np.round(rng.normal(1, 1, n), 1)
    return {
        "classification": lambda: [[logits, labels]],
        "fitted": lambda: [list(_labelled(rng, n + 20)), [logits, labels]],
        "selective": lambda: [[np.round(rng.random(n), 1), rng.random(n) < 0.6]],
        "separation": lambda: [[scores], [np.round(rng.normal(0, 1, n // 2), 1)]],
        "grouped": lambda: [[logits, labels, groups]],
        "agreement": lambda: [[logits, _near(rng, logits), labels]],
        "grouped_agreement": lambda: [[logits, _near(rng, logits), labels, groups]],
        "paired_scores": lambda: [[scores, _near(rng, scores)]],
        "features": lambda: [[features]],
        "paired_features": lambda: [[features, _near(rng, features)]],
        "directions": lambda: _directed(rng, n),
        "maps": lambda: [[rng.normal(0, 1, (n, 5, 4, 3)) + 0.5]],
        "retrieval": lambda: _captioned(rng, n),
        "corruptions": lambda: [[rng.random((n, 15, 5)) < 0.6]],
        "robustness": lambda: [_robust(rng, n)],
        "shift": lambda: _shifted(rng, n),
    }[kind]()


_NOT_RESAMPLED = {"fitted": [0], "retrieval": [1], "shift": [2], "directions": [1]}
_CLASSES = {"directions": [1]}


@pytest.fixture(scope="session")
def sample():
    """Make inputs of a kind: a list with, per set of images, the arrays that share its rows."""
    return _sample


@pytest.fixture(scope="session")
def resampled():
    """Which of a sample's sets of images have a weight matrix, in the order of the weights."""
    return lambda kind, strata: [k for k in range(len(strata)) if k not in _NOT_RESAMPLED.get(kind, [])]


@pytest.fixture(scope="session")
def in_order():
    """Whether the rows of one of a sample's sets are classes, whose order is their meaning."""
    return lambda kind, k: k in _CLASSES.get(kind, [])


@pytest.fixture(scope="session")
def flat():
    """Join such a list into the arguments of a metric."""
    return lambda strata: [array for arrays in strata for array in arrays]
