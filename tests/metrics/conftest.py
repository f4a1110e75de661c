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
    logits = np.round(rng.normal(0, 2, (n, 5)), 1)
    labels = np.where(rng.random(n) < 0.6, logits.argmax(axis=1), rng.integers(0, 5, n))
    return logits, labels


def _near(rng, array):
    return np.round(array + rng.normal(0, 1, array.shape), 1)


def _robust(rng, n):
    return [rng.random((n, 3, 2)) < 0.6, rng.random(n) < 0.8, rng.random((n, 3, 2)) < 0.5, rng.random(n) < 0.7]


def _sample(kind, n=60, seed=0):
    """Inputs of one kind, as a list of groups of arrays that share their rows; scores and logits hold ties."""
    rng = np.random.default_rng(seed)
    logits, labels = _labelled(rng, n)
    features, groups = rng.normal(0, 1, (n, 6)) * np.arange(1, 7), rng.integers(0, 3, n) * 2
    scores = np.round(rng.normal(1, 1, n), 1)
    return {
        "classification": lambda: [[logits, labels]],
        "fitted": lambda: [list(_labelled(rng, n)), [logits, labels]],
        "selective": lambda: [[np.round(rng.random(n), 1), rng.random(n) < 0.6]],
        "separation": lambda: [[scores], [np.round(rng.normal(0, 1, n // 2), 1)]],
        "grouped": lambda: [[logits, labels, groups]],
        "agreement": lambda: [[logits, _near(rng, logits), labels]],
        "grouped_agreement": lambda: [[logits, _near(rng, logits), labels, groups]],
        "paired_scores": lambda: [[scores, _near(rng, scores)]],
        "features": lambda: [[features]],
        "paired_features": lambda: [[features, _near(rng, features)]],
        "retrieval": lambda: [[features, _near(rng, features), np.arange(n)]],
        "robustness": lambda: [_robust(rng, n)],
    }[kind]()


_NOT_RESAMPLED = {"fitted": [0]}


@pytest.fixture(scope="session")
def sample():
    """Make inputs of a kind: a list with, per set of images, the arrays that share its rows."""
    return _sample


@pytest.fixture(scope="session")
def resampled():
    """Which of a sample's sets of images have a weight matrix, in the order of the weights."""
    return lambda kind, strata: [k for k in range(len(strata)) if k not in _NOT_RESAMPLED.get(kind, [])]


@pytest.fixture(scope="session")
def flat():
    """Join such a list into the arguments of a metric."""
    return lambda strata: [array for arrays in strata for array in arrays]
