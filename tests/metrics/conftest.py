"""Inputs for every kind of metric, and the oracles, for all tests of metrics."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

_ORACLES = Path(__file__).parent.parent / "oracles" / "slow_metrics.py"


@pytest.fixture(scope="session")
def oracles():
    """The module of slow second implementations, by the metrics' names."""
    spec = importlib.util.spec_from_file_location("slow_metrics", _ORACLES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _labelled(rng, n):
    logits = np.round(rng.normal(0, 2, (n, 5)), 1)
    labels = np.where(rng.random(n) < 0.6, logits.argmax(axis=1), rng.integers(0, 5, n))
    return logits, labels


def _sample(kind, n=60, seed=0):
    """Inputs of one kind, as a list of groups of arrays that share their rows; scores and logits hold ties."""
    rng = np.random.default_rng(seed)
    logits, labels = _labelled(rng, n)
    return {
        "classification": lambda: [[logits, labels]],
        "separation": lambda: [[np.round(rng.normal(1, 1, n), 1)], [np.round(rng.normal(0, 1, n // 2), 1)]],
        "grouped": lambda: [[logits, labels, rng.integers(0, 3, n) * 2]],
        "agreement": lambda: [[logits, np.round(logits + rng.normal(0, 1, logits.shape), 1), labels]],
    }[kind]()


@pytest.fixture(scope="session")
def sample():
    """Make inputs of a kind: a list with, per weight matrix, the arrays that share its rows."""
    return _sample


@pytest.fixture(scope="session")
def flat():
    """Join such a list into the arguments of a metric."""
    return lambda strata: [array for arrays in strata for array in arrays]
