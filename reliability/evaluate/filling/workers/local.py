"""Processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass

from reliability.evaluate.filling.workers.workers import ItemT, ResultT, SharedT, WorkerDiedError

ATTEMPTS = 3
"""Starts of the pool before an item under which processes die is given up."""


@dataclass(frozen=True)
class LocalWorkers:
    """Processes of this machine.

    Attributes:
        count: How many; 0 works in this one.

    Conventions:
        A process that dies takes the pool with it. What is not finished is started
        again; what was finished is not done twice. When this process is killed, its
        workers end too.
    """

    count: int

    def each(
        self,
        do: Callable[[SharedT, ItemT], ResultT],
        shared: SharedT,
        items: Sequence[ItemT],
        *,
        on_device: bool = False,  # noqa: ARG002 - processes here share what there is
    ) -> Iterator[tuple[ItemT, ResultT]]:
        """See :meth:`Workers.each`."""
        if self.count == 0:
            yield from ((item, do(shared, item)) for item in items)
            return
        left = dict.fromkeys(items)
        for attempt in range(1, ATTEMPTS + 1):
            try:
                for item, result in self._with_pool(do, shared, list(left)):
                    del left[item]
                    yield item, result
                return
            except BrokenProcessPool as error:
                if attempt == ATTEMPTS:
                    raise WorkerDiedError(
                        where=f"{next(iter(left)).name} or what ran beside it",
                        what=f"a worker process died, in each of {ATTEMPTS} attempts", got=str(error),
                        next="look for a lack of memory; start again with fewer --workers: what is finished is kept",
                    ) from error  # fmt: skip

    def _with_pool(
        self, do: Callable[[SharedT, ItemT], ResultT], shared: SharedT, items: list[ItemT]
    ) -> Iterator[tuple[ItemT, ResultT]]:
        # A fork of a process with threads of its own may hang; a fresh interpreter does not.
        context = multiprocessing.get_context("spawn")
        waiting = iter(items)
        with ProcessPoolExecutor(self.count, mp_context=context, initializer=_end_with_parent) as pool:
            running: dict[Future[ResultT], ItemT] = {}
            try:
                while True:
                    # Few at a time, so that an interrupt leaves little to wait for.
                    while len(running) < self.count + 1 and (item := next(waiting, None)) is not None:
                        running[pool.submit(do, shared, item)] = item
                    if not running:
                        return
                    for future in wait(running, return_when=FIRST_COMPLETED).done:
                        yield running.pop(future), future.result()
            finally:
                pool.shutdown(wait=False, cancel_futures=True)


def _end_with_parent() -> None:
    """Nobody would take what a worker goes on to compute once its parent is gone, by whatever signal."""
    parent = multiprocessing.parent_process()
    assert parent is not None, "runs in workers only"

    def wait_for_it() -> None:
        parent.join()
        os._exit(1)  # Not sys.exit: the worker's own thread is in the middle of something.

    threading.Thread(target=wait_for_it, daemon=True).start()
