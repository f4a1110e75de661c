"""A plan whose candidates need no preparation, on a few pictures."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

# Helpers of these tests are imported by name, by the processes that they start too.
sys.path.insert(0, str(Path(__file__).parent))

pytest.importorskip("pyarrow")

PLAN = """
schema = 1
limit = 24

[[candidates]]
models = ["zoo:scenes-clean"]
recipes = ["fp32", "w8a16-minmax", "w4a16-minmax"]

[[questions]]
tasks = ["id", "noise/gaussian_noise/*"]
metrics = ["top1", "nll"]
"""


@pytest.fixture
def plan_file(tmp_path: Path) -> Path:
    path = tmp_path / "plan.toml"
    path.write_text(PLAN)
    return path


@pytest.fixture(scope="session")
def embeddings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests of a process."""
    return tmp_path_factory.mktemp("embeddings")
