"""Pictures that are trained on, that set ranges and that are evaluated are never the same."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from reliability.data import counter_rng
from reliability.data.counter_rng import keys
from reliability.data.registry import open_data
from reliability.data.scenes import sample as sampling
from reliability.data.scenes import source as sources
from reliability.data.scenes.render import render
from reliability.data.scenes.sample import sample
from reliability.data.scenes.sets import EVALUATION_SEED, SOURCES
from reliability.data.scenes.source import RANGE_SPLIT, TRAINING_SPLIT, VALIDATION_SPLIT
from reliability.data.scenes.variant import MOST
from training import sources as training

EVALUATED = tuple(dict.fromkeys(source.split for source in SOURCES))
OTHER = (TRAINING_SPLIT, VALIDATION_SPLIT, RANGE_SPLIT)
SEEDS = 1000


def test_no_set_is_evaluated_on_a_split_of_training_or_range_setting():
    assert not set(EVALUATED) & set(OTHER)


def test_no_two_splits_and_seeds_share_a_key_at_any_size_that_can_be_asked_for():
    """A key is a bijection of ``base ^ position``, so two streams meet below 2**24 only if their bases agree above."""
    assert MOST["count"] == 2**24
    above = np.concatenate(
        [
            counter_rng._base(f"scenes/{split}", seed) >> np.uint64(24)
            for split in (*EVALUATED, *OTHER)
            for seed in range(SEEDS)
        ]
    )
    assert len(np.unique(above)) == len(above) == SEEDS * len({*EVALUATED, *OTHER})


def test_the_argument_about_bases_holds_for_keys():
    """The same as above seen from the keys themselves, on fewer positions."""
    blocks = [keys(f"scenes/{split}", seed, np.arange(50_000)) for split in OTHER + EVALUATED for seed in (0, 20)]
    together = np.sort(np.concatenate(blocks))
    assert (together[1:] != together[:-1]).all()


@pytest.mark.parametrize(("first", "second"), list(combinations(EVALUATED[:4] + OTHER, 2)))
def test_the_same_seed_and_position_of_two_splits_give_other_pixels(first, second):
    one, other = (render(sample(split, 0, np.arange(4)), 16) for split in (first, second))
    assert all((a != b).mean() > 0.5 for a, b in zip(one, other, strict=True))


def splits_drawn(monkeypatch, module):
    """Names of the splits that a module draws scenes from, a few scenes each instead of all."""
    drawn = []

    def few(split, seed, indices, *population):
        drawn.append(split)
        return sampling.sample(split, seed, indices[:4], *population)

    monkeypatch.setattr(module, "sample", few)
    return drawn


@pytest.mark.parametrize("name", [name for name in training.SOURCES if name.startswith("scenes-")])
def test_training_draws_from_its_own_splits_alone(monkeypatch, tmp_path, name):
    drawn = splits_drawn(monkeypatch, training)
    pool = training.SOURCES[name](0, tmp_path)
    assert len(pool.images) == len(pool.captions) == 4
    assert set(drawn) == {TRAINING_SPLIT, VALIDATION_SPLIT}


def test_range_setting_draws_from_its_own_split_alone(monkeypatch):
    data = open_data("scenes")
    drawn = splits_drawn(monkeypatch, sources)
    data.range_setting(4, draw=EVALUATION_SEED)
    assert drawn == [RANGE_SPLIT]


def test_what_scores_are_fitted_on_is_evaluated_by_no_task():
    data = open_data("scenes", limit=4)
    parts = [part.source for task in data.tasks.values() for part in (task.part, task.familiar) if part]
    assert {task.fit.source for task in data.tasks.values() if task.fit} == {"fit"}
    assert "fit" not in parts
    assert [source.name for source in SOURCES if source.split == "fit"] == ["fit"]
