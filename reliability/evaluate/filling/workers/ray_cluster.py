"""A Ray cluster."""

from __future__ import annotations

import socket
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from reliability.errors import MissingExtraError, ReliabilityError, UsageError
from reliability.evaluate.filling.workers.workers import ItemT, ResultT, SharedT, WorkerDiedError

RETRIES = 5
"""Times a task is started again after the process or the machine under it died."""
_WAITING_PER_CORE = 2
_PATIENCE_S = 5.0


class NoSuchDeviceWarning(UserWarning):
    """Tasks ask for a GPU, and the cluster has none now."""


@dataclass(frozen=True)
class RayWorkers:
    """Processes of a Ray cluster.

    Attributes:
        address: Of an existing cluster, such as ``"auto"`` or ``"ray://head:10001"``; empty
            starts one on this machine.
        gpus: Share of a GPU for each task that runs models: small ones leave room for
            several. 0 for none.
        cpus: Processor cores for each task.

    Raises:
        UsageError: No such share of a GPU can be had.

    Conventions:
        A task whose process or machine dies is started again elsewhere. What a task
        leaves behind is written whole or not at all, under a name of its own, so
        nothing is there twice.
    """

    address: str = ""
    gpus: float = 0.0
    cpus: int = 1

    def __post_init__(self) -> None:
        if self.gpus < 0 or (self.gpus > 1 and self.gpus != int(self.gpus)):
            raise UsageError(
                where="--gpus", what="a task takes part of one GPU, or whole ones", got=self.gpus,
                next="give a share such as 0.25, or a whole number",
            )  # fmt: skip

    def each(
        self,
        do: Callable[[SharedT, ItemT], ResultT],
        shared: SharedT,
        items: Sequence[ItemT],
        *,
        on_device: bool = False,
    ) -> Iterator[tuple[ItemT, ResultT]]:
        """See :meth:`Workers.each`.

        Raises:
            MissingExtraError: Ray is not installed.
            UsageError: There is no cluster at the address.
        """
        ray = _ray(self.address)
        gpus = self.gpus if on_device else 0.0
        have = ray.cluster_resources()
        if have.get("GPU", 0.0) < gpus:
            warnings.warn(
                f"the cluster has {have.get('GPU', 0.0):g} GPUs now: tasks wait until one with --gpus {gpus:g} joins",
                NoSuchDeviceWarning, stacklevel=2,
            )  # fmt: skip
        remote = ray.remote(do).options(num_cpus=self.cpus, num_gpus=gpus or None, max_retries=RETRIES)
        at_once = _WAITING_PER_CORE * max(1, int(have.get("CPU", 1)))
        handed = ray.put(shared)
        waiting = iter(items)
        running: dict[Any, ItemT] = {}
        try:
            while True:
                while len(running) < at_once and (item := next(waiting, None)) is not None:
                    running[remote.remote(handed, item)] = item
                if not running:
                    return
                for done in ray.wait(list(running), num_returns=1)[0]:
                    item = running.pop(done)
                    yield item, _result(ray, done, item.name)
        finally:
            for left in running:
                ray.cancel(left)


def _ray(address: str) -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError(
            where="--engine ray", what="a cluster is reached through Ray", got="not installed",
            next='pip install "quant-reliability[ray]"',
        ) from error  # fmt: skip
    if not ray.is_initialized():
        # Without "local" Ray would join whatever cluster this machine ran last.
        options = {"address": address} if address else {"address": "local", "include_dashboard": False}
        try:
            _knock(address)
            ray.init(log_to_driver=False, **options)
        except (OSError, ValueError, RuntimeError) as error:
            raise UsageError(
                where=f"--ray-address {address}", what="no Ray cluster can be reached there", got=str(error),
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


def _result(ray: Any, done: Any, name: str) -> Any:
    try:
        return ray.get(done)
    except ray.exceptions.RayTaskError as error:
        # What was raised over there, rather than Ray's wrapping of it.
        raise error.cause if isinstance(error.cause, ReliabilityError) else error from None
    except ray.exceptions.RayError as error:
        raise WorkerDiedError(
            where=name, what=f"its workers died {RETRIES + 1} times", got=str(error).splitlines()[0],
            next="look for a lack of memory on the machines; start again: what is finished is kept",
        ) from error  # fmt: skip
