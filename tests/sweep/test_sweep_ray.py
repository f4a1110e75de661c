"""Sweeps on a real Ray cluster of two nodes on this machine."""

from __future__ import annotations

import os
import signal
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

import pytest
from sweeping import ALL, sweep

from reliability.errors import MissingExtraError, UsageError
from reliability.evaluate.filling import fill
from reliability.evaluate.filling.fill import Site
from reliability.evaluate.filling.workers.ray_cluster import NoSuchDeviceWarning, RayWorkers
from reliability.evaluate.running.need import Need
from reliability.sweep import run
from reliability.sweep.query import query
from reliability.sweep.work import Chunk, Place, work

SMALL = {"object_store_memory": 80 * 2**20}
PATIENCE_S = 240
"""No wait for another process is longer: a cluster that does not come along fails its test, and hangs none."""


def tasks(count: int) -> list[Chunk]:
    return [Chunk(f"task {number}", ()) for number in range(count)]


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[object]:
    """A head without workers, and two nodes of one core and one GPU each; the GPUs are only counted."""
    ray = pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    # With its monitor Ray ends tasks, and starts them again, for as long as something else fills this memory.
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_memory_monitor_refresh_ms", "0")
        nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "include_dashboard": False, **SMALL})
        nodes.added = [nodes.add_node(num_cpus=1, num_gpus=1, **SMALL) for _ in range(2)]
    ray.init(address=nodes.address, log_to_driver=False)
    yield nodes
    ray.shutdown()
    nodes.shutdown()


def test_a_cluster_gives_the_same_rows_though_a_process_and_a_node_die_under_their_tasks(
    plan_file: Path, tmp_path: Path, embeddings: Path, monkeypatch: pytest.MonkeyPatch, two_nodes: object
) -> None:
    plan_file.write_text(plan_file.read_text().replace("limit = 24", "limit = 6").replace(', "w4a16-minmax"', ""))
    sweep(plan_file, tmp_path / "whole", embeddings)
    killed, lost, fetch = tmp_path / "killed", tmp_path / "lost", fill.fetch
    doomed = two_nodes.added[0].node_id

    # Defined here, so that they travel to the workers by value: they cannot import this module.
    def kills_its_process_once(site: Site, need: Need) -> object:
        if killed.exists():
            return fetch(site, need)
        killed.touch()
        return os.kill(os.getpid(), signal.SIGKILL)

    def waits_for_the_end_of_its_node(place: Place, chunk: Chunk) -> int:
        import ray

        if ray.get_runtime_context().get_node_id() == doomed:
            lost.touch()
            time.sleep(PATIENCE_S)
        begun = time.monotonic()
        # The other node leaves it something to do.
        while not lost.exists() and time.monotonic() < begun + PATIENCE_S:
            time.sleep(0.02)
        return work(place, chunk)

    class LosesANode(RayWorkers):
        def each(self, do, shared, items, *, on_device=False):
            for number, finished in enumerate(super().each(do, shared, items, on_device=on_device)):
                if not on_device and number == 2:
                    two_nodes.remove_node(two_nodes.added.pop(0), allow_graceful=False)
                yield finished

    monkeypatch.setattr(fill, "fetch", kills_its_process_once)
    monkeypatch.setattr(run, "work", waits_for_the_end_of_its_node)
    sweep(plan_file, tmp_path / "out", tmp_path / "cold", LosesANode(), rows=2)
    assert killed.exists()
    assert lost.exists()
    found = query(tmp_path / "out", ALL)
    assert found == query(tmp_path / "whole", ALL)
    assert len(found.rows) == 24
    two_nodes.added.append(two_nodes.add_node(num_cpus=1, num_gpus=1, **SMALL))
    assert {file.name for file in tmp_path.glob("cold/*/*.bin")} <= {file.name for file in embeddings.rglob("*.bin")}


@pytest.mark.usefixtures("two_nodes")
def test_tasks_that_run_models_share_a_gpu_by_the_fraction_asked_for_and_others_take_none(tmp_path: Path) -> None:
    def gpus_of(_: Path, __: Chunk) -> list[str]:
        import ray

        return ray.get_runtime_context().get_accelerator_ids()["GPU"]

    def beside_another(folder: Path, task: Chunk) -> tuple[str, list[str], float, float]:
        import ray

        context, begun = ray.get_runtime_context(), time.monotonic()
        node = folder / context.get_node_id()
        node.mkdir(exist_ok=True)
        (node / task.name).touch()
        while len(list(node.iterdir())) < 2 and time.monotonic() < begun + PATIENCE_S:
            time.sleep(0.02)
        return node.name, context.get_accelerator_ids()["GPU"], begun, time.monotonic()

    found = [told for _, told in RayWorkers(gpus=0.5, cpus=0).each(beside_another, tmp_path, tasks(8), on_device=True)]
    together = [sum(n == node and a <= begun < b for n, _, a, b in found) for node, _, begun, _ in found]
    assert len({node for node, *_ in found}) == 2
    assert all(gpus == ["0"] for _, gpus, *_ in found)
    assert max(together) == 2
    assert [gpus for _, gpus in RayWorkers(gpus=0.5).each(gpus_of, tmp_path, tasks(2))] == [[], []]


@pytest.mark.usefixtures("two_nodes")
def test_gpus_that_the_cluster_does_not_have_are_missed_before_anything_waits_for_them(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", NoSuchDeviceWarning)
        # Two, and for a while one more of a node that was lost before; with fewer asked for, the task would wait.
        with pytest.raises(NoSuchDeviceWarning, match=r"has [23] GPUs now: tasks wait until one with --gpus 9 joins"):
            next(RayWorkers(gpus=9).each(work, tmp_path, tasks(1), on_device=True))


@pytest.mark.parametrize("gpus", [-0.5, 1.5])
def test_a_share_of_a_gpu_that_cannot_be_had_is_refused(gpus: float) -> None:
    with pytest.raises(UsageError, match="part of one GPU, or whole ones"):
        RayWorkers(gpus=gpus)


def test_an_address_without_a_cluster_is_an_error(
    plan_file: Path, tmp_path: Path, embeddings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Whatever this process is connected to for the other tests.
    monkeypatch.setattr(pytest.importorskip("ray"), "is_initialized", lambda: False)
    with pytest.raises(UsageError, match="no Ray cluster can be reached there"):
        sweep(plan_file, tmp_path / "out", embeddings, RayWorkers("127.0.0.1:1"))


def test_a_missing_ray_names_its_extra(
    plan_file: Path, tmp_path: Path, embeddings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"quant-reliability\[ray\]"):
        sweep(plan_file, tmp_path / "out", embeddings, RayWorkers())
