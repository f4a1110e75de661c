from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reliability.data.counter_rng import choice, keys, keys_for_ids, normal, uniform

KEY = keys("test", 0, np.arange(4000))


def test_uniform_draws_fill_the_unit_interval_evenly():
    draws = uniform(KEY, "a", 25).ravel()
    assert draws.min() >= 0
    assert draws.max() < 1
    assert stats.kstest(draws, "uniform").pvalue > 1e-4


def test_normal_draws_are_standard_normal():
    draws = normal(KEY, "a", 25).ravel()
    assert draws.mean() == pytest.approx(0, abs=0.015)
    assert draws.std() == pytest.approx(1, abs=0.01)
    assert stats.kstest(draws, "norm").pvalue > 1e-4


def test_choices_are_even():
    counts = np.bincount(choice(KEY, "a", 7), minlength=7)
    assert stats.chisquare(counts).pvalue > 1e-4


@pytest.mark.parametrize(
    "other",
    [
        uniform(KEY, "b", 25),
        uniform(keys("test", 1, np.arange(4000)), "a", 25),
        uniform(keys("other", 0, np.arange(4000)), "a", 25),
        np.roll(uniform(KEY, "a", 25), 1, axis=0),
        np.roll(uniform(KEY, "a", 25), 1, axis=1),
    ],
    ids=["stream", "seed", "domain", "index", "lane"],
)
def test_draws_of_another_address_are_unrelated(other):
    correlation = np.corrcoef(uniform(KEY, "a", 25).ravel(), other.ravel())[0, 1]
    assert abs(correlation) < 5 / np.sqrt(KEY.size * 25)


def test_a_draw_depends_on_its_address_alone():
    order = np.random.default_rng(0).permutation(4000)
    assert np.array_equal(uniform(KEY[order], "a", 3), uniform(KEY, "a", 3)[order])
    assert np.array_equal(uniform(KEY, "a", 8)[:, :3], uniform(KEY, "a", 3))


def test_keys_of_one_domain_never_collide():
    assert len(np.unique(keys("test", 3, np.arange(300_000)))) == 300_000


def test_keys_for_ids_depend_on_name_domain_and_seed_only():
    ids = ["b", "a", "b"]
    key = keys_for_ids("d", 0, ids)
    assert key[0] == key[2] != key[1]
    assert np.array_equal(keys_for_ids("d", 0, np.array(ids[::-1])), key[::-1])
    assert not np.isin(key, keys_for_ids("e", 0, ids)).any()
    assert not np.isin(key, keys_for_ids("d", 1, ids)).any()


def test_keys_for_ids_of_nothing_is_empty():
    assert keys_for_ids("d", 0, []).shape == (0,)
