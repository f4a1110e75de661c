"""Processes of this machine as workers of a sweep."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool

from reliability.errors import ReliabilityError
from reliability.sweep.work import Chunk, Place, work

ATTEMPTS = 3
"""Starts of the pool before a chunk under which processes die is given up."""


class WorkerDiedError(ReliabilityError):
    """A worker process ended without a result, each time."""


def run_here(place: Place, chunks: Sequence[Chunk], workers: int) -> Iterator[tuple[Chunk, int]]:
    """Each chunk with the number of its rows, as they are finished.

    Args:
        place: Sent to every process.
        chunks: In the order in which they are started.
        workers: Processes; 0 works in this one.

    Raises:
        ReliabilityError: What a worker raised; chunks that are finished stay.
        WorkerDiedError: Processes died, say for want of memory, over and over.

    Conventions:
        A process that dies takes the pool with it. What is not finished is started
        again; a chunk that was finished is on disk and is not measured twice.
    """
    if workers == 0:
        yield from ((chunk, work(place, chunk)) for chunk in chunks)
        return
    left = dict.fromkeys(chunks)
    for attempt in range(1, ATTEMPTS + 1):
        try:
            for chunk, rows in _with_pool(place, list(left), workers):
                del left[chunk]
                yield chunk, rows
            return
        except BrokenProcessPool as error:
            if attempt == ATTEMPTS:
                raise WorkerDiedError(
                    where=f"chunk {next(iter(left)).name} or one beside it",
                    what=f"a worker process died, in each of {ATTEMPTS} attempts", got=str(error),
                    next="look for a lack of memory; start again with fewer --workers: finished rows are kept",
                ) from error  # fmt: skip


def _with_pool(place: Place, chunks: list[Chunk], workers: int) -> Iterator[tuple[Chunk, int]]:
    # A fork of a process with threads of its own may hang; a fresh interpreter does not.
    context = multiprocessing.get_context("spawn")
    waiting = iter(chunks)
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        running: dict[Future[int], Chunk] = {}
        try:
            while True:
                # Few at a time, so that an interrupt leaves little to wait for.
                while len(running) < workers + 1 and (chunk := next(waiting, None)) is not None:
                    running[pool.submit(work, place, chunk)] = chunk
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
