"""Results of other threads, in order."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest

from reliability.data.parallel import AHEAD, in_order, prefetched
from reliability.data.registry import open_data


def slow(value, seconds):
    def task():
        time.sleep(seconds)
        return value

    return task


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_results_come_in_the_order_of_the_tasks(workers):
    assert list(in_order((slow(i, 0.02 if i % 3 == 0 else 0) for i in range(20)), workers)) == list(range(20))


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_comes_where_its_result_would_have(workers):
    def fail():
        raise ValueError("third")

    results = in_order([slow(0, 0.05), slow(1, 0), fail, slow(3, 0)], workers)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="third"):
        next(results)


def test_only_a_few_tasks_are_taken_ahead():
    taken = []
    tasks = (taken.append(i) or slow(i, 0) for i in range(1000))
    results = in_order(tasks, 3)
    next(results)
    assert len(taken) <= AHEAD * 3 + 1
    results.close()


def test_items_are_made_in_another_thread_and_come_in_order():
    makers = set()

    def items():
        for i in range(10):
            makers.add(threading.current_thread())
            yield i

    assert list(prefetched(items())) == list(range(10))
    assert makers.isdisjoint({threading.current_thread()})


def test_items_are_made_while_the_caller_works():
    def items():
        for i in range(6):
            time.sleep(0.05)
            yield i

    started = time.perf_counter()
    for _ in prefetched(items()):
        time.sleep(0.05)
    assert time.perf_counter() - started < 0.55


def test_an_error_reaches_the_caller_after_the_items_before_it():
    def items():
        yield 1
        raise KeyError("lost")

    found = prefetched(items())
    assert next(found) == 1
    with pytest.raises(KeyError, match="lost"):
        next(found)


def test_a_caller_that_stops_early_stops_the_thread():
    closed = threading.Event()

    def items():
        try:
            yield from range(1000)
        finally:
            closed.set()

    found = prefetched(items())
    assert next(found) == 0
    before = {thread for thread in threading.enumerate() if thread.name == "prefetch"}
    found.close()
    assert all(not thread.is_alive() for thread in before)


def test_few_items_wait_however_slow_the_caller_is():
    made = []
    found = prefetched(made.append(i) or i for i in range(1000))
    next(found)
    time.sleep(0.2)
    assert len(made) <= AHEAD + 2
    found.close()


@pytest.mark.parametrize("workers", [1, 4])
def test_decoding_in_threads_changes_no_picture_and_no_order(webdataset_root, monkeypatch, workers):
    from reliability.data import collection

    def read():
        batches = list(open_data(f"webdataset:{webdataset_root}").sources["test/fog/2"].batches(7))
        return [image.tobytes() for b in batches for image in b.images], np.concatenate(
            [b.ids for b in batches]
        ).tolist()

    expected = read()
    monkeypatch.setattr(collection, "decoders", lambda: workers)
    assert read() == expected
