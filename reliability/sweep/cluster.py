"""A Ray cluster as workers of a sweep."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reliability.errors import MissingExtraError, ReliabilityError, UsageError
from reliability.sweep.work import Chunk, Place, work

RETRIES = 5
"""Times a chunk is started again after the process or the machine under it died."""
_WAITING_PER_CORE = 2
_PATIENCE_S = 5.0


@dataclass(frozen=True)
class Cluster:
    """Where and with what each chunk runs.

    Attributes:
        address: Of an existing cluster, such as ``"auto"`` or ``"ray://head:10001"``; empty
            starts one on this machine.
        gpus: Share of a GPU for each chunk: small models leave room for several. 0 for none.
    """

    address: str = ""
    gpus: float = 0.0


def run_on_ray(place: Place, chunks: Sequence[Chunk], cluster: Cluster) -> Iterator[tuple[Chunk, int]]:
    """Each chunk with the number of its rows, as they are finished anywhere on the cluster.

    Args:
        place: Its folders must be the same ones on every machine, such as a network file system.
        chunks: In the order in which they are started.
        cluster: Where to run them.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: There is no cluster at the address.
        ReliabilityError: What a worker raised, or a chunk under which workers died over and over.

    Conventions:
        A chunk whose process or machine dies is started again elsewhere. Its file is
        written whole or not at all, under a name of its own, so each row is there once.
    """
    ray = _ray(cluster)
    device = cluster.gpus and {"num_gpus": cluster.gpus}
    remote = ray.remote(work).options(num_cpus=place.threads, max_retries=RETRIES, **(device or {}))
    at_once = _WAITING_PER_CORE * max(1, int(ray.cluster_resources().get("CPU", 1)))
    shared = ray.put(place)
    waiting = iter(chunks)
    running: dict[Any, Chunk] = {}
    try:
        while True:
            while len(running) < at_once and (chunk := next(waiting, None)) is not None:
                running[remote.remote(shared, chunk)] = chunk
            if not running:
                return
            for done in ray.wait(list(running), num_returns=1)[0]:
                yield running[done], _result(ray, done, running.pop(done))
    finally:
        for left in running:
            ray.cancel(left)


def _ray(cluster: Cluster) -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(
            where="--engine ray", what="a cluster is reached through Ray", got="not installed",
            next='pip install "quant-reliability[ray]"',
        ) from error  # fmt: skip
    if not ray.is_initialized():
        options = {"address": cluster.address} if cluster.address else {"include_dashboard": False}
        try:
            _knock(cluster.address)
            ray.init(log_to_driver=False, **options)
        except (OSError, ValueError, RuntimeError) as error:
            raise UsageError(
                where=f"--ray-address {cluster.address}", what="no Ray cluster can be reached there", got=str(error),
                next="start one with ray start --head, or leave the address out to use this machine alone",
            ) from error  # fmt: skip
    return ray


def _knock(address: str) -> None:
    """See that somebody listens, where the address names a port: Ray itself tries for minutes.

    Raises:
        OSError: Nobody does.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=_PATIENCE_S).close()


def _result(ray: Any, done: Any, chunk: Chunk) -> int:
    try:
        return int(ray.get(done))
    except ray.exceptions.RayTaskError as error:
        # What was raised over there, rather than Ray's wrapping of it.
        raise error.cause if isinstance(error.cause, ReliabilityError) else error from None
    except ray.exceptions.RayError as error:
        raise UsageError(
            where=f"chunk {chunk.name}", what=f"its workers died {RETRIES + 1} times", got=str(error).splitlines()[0],
            next="look for a lack of memory on the machines; start again: finished rows are kept",
        ) from error  # fmt: skip
