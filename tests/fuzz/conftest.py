"""Where the files of all inputs lie."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

collect_ignore = ["coverage_guided.py"]  # A program of its own, which needs atheris.


@pytest.fixture(scope="session")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for the files of all inputs, each written over the one before."""
    return tmp_path_factory.mktemp("fuzz")
