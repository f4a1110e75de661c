"""Embedded sets of any seed and size."""

from __future__ import annotations

import numpy as np
import pytest

from reliability.data.registry import open_data
from reliability.data.scenes.sets import SOURCES
from reliability.data.scenes.variant import Variant, read_variant
from reliability.errors import UsageError


def first(data, name):
    return next(data.sources[name].batches(4))


def test_another_seed_shows_other_pictures_under_the_same_tasks():
    usual, other = open_data("scenes", limit=4), open_data("scenes:seed=7", limit=4)
    assert list(usual.tasks) == list(other.tasks)
    assert other.name == "scenes:seed=7"
    for source in SOURCES:
        one, two = first(usual, source.name), first(other, source.name)
        assert not set(one.ids) & set(two.ids)
        assert all(not np.array_equal(a, b) for a, b in zip(one.images, two.images, strict=True))


def test_a_count_holds_for_every_set_and_larger_sets_begin_with_the_same_pictures():
    data = open_data("scenes:count=5000")
    assert {data.sources[source.name].count for source in SOURCES} == {5000}
    assert data.sources["id/fog/3"].base.count == 5000
    assert sum(part.count for part in data.sources["full_spectrum"].sources) == 10_000
    assert len(data.tasks["retrieval/captions"].matches) == 5000
    usual = open_data("scenes")
    for name in ("id", "sketch", "id/fog/3"):
        few, many = first(usual, name), first(data, name)
        assert np.array_equal(np.stack(few.images), np.stack(many.images))


def test_a_limit_holds_for_a_count_too():
    assert open_data("scenes:count=5000", limit=7).sources["near"].count == 7


def test_range_setting_is_the_same_for_every_variant():
    usual, other = (open_data(spec).range_setting.identity(8, 0) for spec in ("scenes", "scenes:seed=7,count=100"))
    assert usual == other


def test_nothing_asked_for_is_no_variant():
    assert read_variant("") == Variant()
    assert Variant().apply(SOURCES) == list(SOURCES)


@pytest.mark.parametrize(
    ("location", "match"),
    [
        ("x", "no location"),
        ("seed", "seed must be a whole number from 0"),
        ("seed=", "seed must be"),
        ("seed=-1", "seed must be"),
        ("seed=²", "seed must be"),
        ("seed=4294967296", "to 4294967295"),
        ("count=0", "count must be a whole number from 1 to 16777216"),
        ("count=16777217", "count must be"),
        ("count=1e3", "count must be"),
        ("seed=1,seed=2", "each once"),
        ("size=3", "only seed= and count="),
    ],
)
def test_what_is_not_understood_is_a_usage_error(location, match):
    with pytest.raises(UsageError, match=match):
        open_data(f"scenes:{location}")
