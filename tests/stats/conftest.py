"""The slow second versions of the statistics, for all tests of them."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

_ORACLES = Path(__file__).parent.parent / "oracles" / "slow_stats.py"


@pytest.fixture(scope="session")
def slow_stats():
    """The module of slow second versions."""
    spec = importlib.util.spec_from_file_location(_ORACLES.stem, _ORACLES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
