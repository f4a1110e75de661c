"""Sweeps on a real Ray cluster of two nodes on this machine."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import pytest

from reliability.errors import MissingExtraError, UsageError
from reliability.sweep import cluster
from reliability.sweep.cluster import Cluster, run_on_ray
from reliability.sweep.grid import expand
from reliability.sweep.local import run_here
from reliability.sweep.plan import load_plan
from reliability.sweep.query import query
from reliability.sweep.run import run_sweep
from reliability.sweep.work import Chunk, Place, work

ALL = "SELECT * FROM runs ORDER BY ALL"


class Silent:
    def __init__(self, total: int, found: int) -> None:
        self.left = total - found

    def update(self, n: int) -> None:
        self.left -= n

    def close(self) -> None:
        pass


@pytest.fixture
def two_nodes() -> Iterator[object]:
    """A head without workers and two nodes of one core each."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster as Nodes

    small = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
    nodes = Nodes(initialize_head=True, head_node_args={"num_cpus": 0, **small})
    nodes.added = [nodes.add_node(num_cpus=1, object_store_memory=80 * 2**20) for _ in range(2)]
    ray.init(address=nodes.address, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def sweep(plan_file: Path, out: Path, cache: Path, runner) -> list:
    plan = load_plan(plan_file)
    grid = expand(plan)
    place = Place(out, cache, None, plan.limit, plan.level)
    assert run_sweep(plan, grid, place, runner, Silent, rows_a_chunk=2) == grid.runs
    return query(out, ALL).rows


def test_a_cluster_gives_the_same_rows_though_a_process_and_a_node_die(
    plan_file: Path, tmp_path: Path, embeddings: Path, monkeypatch: pytest.MonkeyPatch, two_nodes: object
) -> None:
    whole = sweep(plan_file, tmp_path / "whole", embeddings, partial(run_here, workers=0))
    mark = tmp_path / "killed"

    # Defined here, so that it travels to the workers by value: they cannot import this module.
    def kills_its_process_once(place: Place, chunk: Chunk) -> int:
        if mark.exists():
            return work(place, chunk)
        mark.touch()
        return os.kill(os.getpid(), signal.SIGKILL)

    def loses_a_node(place: Place, chunks: Sequence[Chunk]) -> Iterator[tuple[Chunk, int]]:
        for number, finished in enumerate(run_on_ray(place, chunks, Cluster())):
            if number == 2:
                two_nodes.remove_node(two_nodes.added[0], allow_graceful=False)
            yield finished

    monkeypatch.setattr(cluster, "work", kills_its_process_once)
    rows = sweep(plan_file, tmp_path / "out", embeddings, loses_a_node)
    assert mark.exists()
    assert rows == whole
    assert len(rows) == 36


def test_an_address_without_a_cluster_is_an_error(plan_file: Path, tmp_path: Path, embeddings: Path) -> None:
    pytest.importorskip("ray")
    with pytest.raises(UsageError, match="no Ray cluster can be reached there"):
        sweep(plan_file, tmp_path / "out", embeddings, partial(run_on_ray, cluster=Cluster("127.0.0.1:1")))


def test_a_missing_ray_names_its_extra(
    plan_file: Path, tmp_path: Path, embeddings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"quant-reliability\[ray\]"):
        sweep(plan_file, tmp_path / "out", embeddings, partial(run_on_ray, cluster=Cluster()))
