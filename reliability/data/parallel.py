"""Do things in other threads and get the results in order.

Pillow, NumPy and torch let go of the interpreter's lock while they work, so
threads decode and preprocess pictures while a model runs, without a copy
between processes.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

T = TypeVar("T")

AHEAD = 2
"""Results that wait to be taken; more would hold more memory and gain nothing."""


def decoders() -> int:
    """Threads that decode: one core is left to the model, and more than eight wait for the disk."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, min(8, cores - 1))


def in_order(tasks: Iterable[Callable[[], T]], workers: int) -> Iterator[T]:
    """Results of tasks in the order of the tasks, ``workers`` of them under way at once.

    Args:
        tasks: Taken one by one in the caller's thread, a few ahead of the results.
        workers: One runs each task in the caller's thread when its result is asked for.

    Raises:
        Exception: What a task raised, where its result would have come.

    >>> list(in_order([lambda: 1, lambda: 2], workers=2))
    [1, 2]
    """
    if workers <= 1:
        yield from (task() for task in tasks)
        return
    pending = iter(tasks)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="decode")
    try:
        waiting: deque[Future[T]] = deque(pool.submit(task) for task in islice(pending, AHEAD * workers))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(pool.submit(task) for task in islice(pending, 1))
    finally:
        pool.shutdown(cancel_futures=True)


class _Failure:
    def __init__(self, error: BaseException) -> None:
        self.error = error


_END = object()


def prefetched(items: Iterable[T]) -> Generator[T, None, None]:
    """The same items in the same order, made in another thread while the caller works.

    At most ``AHEAD`` wait. An error comes out where the item would have; a caller
    that stops early closes the generator, which stops the thread.
    """
    ready: queue.Queue[Any] = queue.Queue(AHEAD)
    stopped = threading.Event()
    producer = threading.Thread(target=_produce, args=(items, ready, stopped), name="prefetch", daemon=True)
    producer.start()
    try:
        while (item := ready.get()) is not _END:
            if isinstance(item, _Failure):
                raise item.error
            yield item
    finally:
        stopped.set()
        producer.join()


def _produce(items: Iterable[Any], ready: queue.Queue[Any], stopped: threading.Event) -> None:
    last: Any = _END
    try:
        for item in items:
            if not _put(item, ready, stopped):
                break
    except BaseException as error:
        last = _Failure(error)  # for the thread that asked
    _put(last, ready, stopped)


def _put(item: Any, ready: queue.Queue[Any], stopped: threading.Event) -> bool:
    """Wait for a place in the queue; False once nobody takes items any more."""
    while not stopped.is_set():
        try:
            ready.put(item, timeout=0.1)
        except queue.Full:
            continue
        return True
    return False
