"""Pictures are read once, in the same batches, and a set that is too large is read again."""

from __future__ import annotations

import numpy as np
import pytest

from reliability.data.registry import open_data
from reliability.evaluate.running.remembered import PictureMemory, RememberedSource, remembered
from reliability.types import ImageBatch


class Counted:
    """Ten pictures of 12 bytes."""

    def __init__(self, name="some"):
        self.name, self.identity, self.passes = name, {"name": name}, 0

    def batches(self, size):
        self.passes += 1
        for start in range(0, 10, size):
            rows = np.arange(start, min(start + size, 10))
            yield ImageBatch([np.full((2, 2, 3), row, np.uint8) for row in rows], rows, rows, rows.astype(str))


def read(source, size=4):
    return [image[0, 0, 0] for batch in source.batches(size) for image in batch.images]


def test_a_second_pass_gives_the_same_pictures_and_reads_nothing():
    counted = Counted()
    source = RememberedSource(counted, PictureMemory())
    assert read(source) == read(source) == list(range(10))
    assert counted.passes == 1
    assert [len(batch.ids) for batch in source.batches(3)] == [3, 3, 3, 1]
    assert (source.name, source.identity) == ("some", {"name": "some"})


def test_sets_beyond_the_memory_are_read_again_and_others_stay():
    memory = PictureMemory(most_bytes=200)
    first, second = Counted("first"), Counted("second")
    for counted in (first, second, first, second):
        assert read(RememberedSource(counted, memory)) == list(range(10))
    assert (first.passes, second.passes) == (1, 2)
    assert memory.used_bytes == 120


@pytest.mark.parametrize("stop", [1, 2])
def test_a_reader_that_stops_early_leaves_nothing_half_remembered(stop):
    counted = Counted()
    source = RememberedSource(counted, PictureMemory())
    batches = source.batches(4)
    for _ in range(stop):
        next(batches)
    batches.close()
    assert read(source) == list(range(10))
    assert counted.passes == 2


def test_remembered_data_show_the_same_pictures():
    plain = open_data("scenes", limit=5)
    data = remembered(plain)
    assert set(data.sources) == set(plain.sources)
    for name in ("id", "id/gaussian_noise/3"):
        expected = [image for batch in plain.sources[name].batches(4) for image in batch.images]
        for _ in range(2):
            got = [image for batch in data.sources[name].batches(4) for image in batch.images]
            assert all((a == b).all() for a, b in zip(got, expected, strict=True))
