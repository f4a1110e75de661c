from __future__ import annotations

import json
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reliability.data.corruptions.registry import CORRUPTIONS
from reliability.data.counter_rng import keys
from reliability.data.registry import open_data
from reliability.data.scenes.gallery import main as draw_gallery
from reliability.data.scenes.render import render
from reliability.data.scenes.sample import sample
from reliability.data.scenes.source import RANGE_SPLIT, SceneSource
from reliability.data.scenes.tasks import EVALUATION_SEED, SOURCES
from reliability.types import Part

TRAINING_SPLITS = ("zoo-train", "zoo-validation")
SPLITS = (*(source.split for source in SOURCES), RANGE_SPLIT, *TRAINING_SPLITS)


@pytest.fixture(scope="module")
def data():
    return open_data("scenes", limit=64)


def read(source, size=64):
    batches = list(source.batches(size))
    return [np.concatenate([getattr(b, f) for b in batches]) for f in ("labels", "groups", "ids")] + [
        np.stack([image for b in batches for image in b.images])
    ]


def test_the_tasks_and_their_sizes_are_the_documented_ones():
    data = open_data("scenes")
    noise = [f"noise/{name}/{severity}" for name in CORRUPTIONS for severity in range(1, 6)]
    assert len(noise) == 19 * 5
    assert list(data.tasks) == [
        "id", "ood/near", "ood/far", "shift/unseen_backgrounds", "spurious/background", *noise,
    ]  # fmt: skip
    assert {source.name: source.count for source in SOURCES} == {
        "id": 4000, "near": 2000, "far": 2000, "unseen_backgrounds": 2000, "spurious": 2000,
    }  # fmt: skip
    assert data.sources["id/gaussian_noise/1"].base.count == 1000


def test_every_task_reads_an_existing_source_and_says_what_it_stands_for(data):
    for task in data.tasks.values():
        assert task.part.source in data.sources
        assert len(task.prompts.class_names) == 120
        assert task.card.endswith(".")
        assert (task.familiar == Part("id")) == (task.role == "ood")


def test_no_two_splits_share_a_key_among_their_first_300_000():
    seeds = {"zoo-train": (0,), "zoo-validation": (0,), RANGE_SPLIT: range(3)}
    blocks = [
        keys(f"scenes/{split}", seed, np.arange(300_000))
        for split in SPLITS
        for seed in seeds.get(split, (EVALUATION_SEED,))
    ]
    together = np.sort(np.concatenate(blocks))
    assert (together[1:] != together[:-1]).all()


@pytest.mark.parametrize(("first", "second"), list(combinations(SPLITS, 2)))
def test_the_same_seed_and_index_of_two_splits_give_other_pixels(first, second):
    one, other = (render(sample(split, 0, np.arange(4)), 16) for split in (first, second))
    assert all((a != b).mean() > 0.5 for a, b in zip(one, other, strict=True))


def test_ids_are_unique_within_and_between_clean_sources(data):
    ids = np.concatenate([read(data.sources[source.name])[2] for source in SOURCES])
    assert len(np.unique(ids)) == len(ids)
    assert ids[0] == "scenes/id/20/0"


@settings(max_examples=8, deadline=None)
@given(size=st.integers(1, 70))
def test_batch_size_changes_nothing(size):
    source = open_data("scenes", limit=24).sources["id/gaussian_noise/3"]
    for one, other in zip(read(source, size), read(source, 24), strict=True):
        assert np.array_equal(one, other)


@pytest.mark.parametrize("name", [source.name for source in SOURCES])
def test_labels_say_whether_the_picture_shows_a_class(data, name):
    labels, _, _, images = read(data.sources[name])
    assert images.shape == (64, 32, 32, 3)
    if name in ("near", "far"):
        assert (labels == -1).all()
    else:
        assert ((labels >= 0) & (labels < 120)).all()


def test_only_the_spurious_source_has_groups_and_its_labels_are_tied_shapes(data):
    for source in SOURCES:
        labels, groups, _, _ = read(data.sources[source.name])
        if source.name == "spurious":
            assert set(groups) == {0, 1}
            names = [data.tasks["spurious/background"].prompts.class_names[label] for label in labels]
            assert {name.split()[1] for name in names} == {"star", "pill", "flower", "arrow"}
        else:
            assert (groups == -1).all()


def test_groups_are_about_even():
    source = SceneSource("spurious", "spurious", EVALUATION_SEED, 2000, SOURCES[-1].population, "tied")
    scenes = sample(source.split, source.seed, np.arange(source.count), source.population)
    assert source._groups(scenes).mean() == pytest.approx(0.5, abs=0.04)


def test_unseen_background_pictures_show_no_trained_background():
    source = SOURCES[3]
    scenes = sample(source.split, source.seed, np.arange(200), source.population)
    assert scenes.background.min() >= 8


def test_identity_is_json_and_tells_sources_limits_and_severities_apart():
    identities = [
        json.dumps(dict(source.identity), sort_keys=True)
        for limit in (None, 500)
        for source in open_data("scenes", limit=limit).sources.values()
    ]
    assert len(set(identities)) == len(identities)


def test_a_limit_cuts_every_source_to_its_first_pictures(data):
    shorter = open_data("scenes", limit=10)
    for name, source in shorter.sources.items():
        ids = read(source)[2]
        assert ids.tolist() == read(data.sources[name])[2][:10].tolist()


def test_range_setting_pictures_are_captioned_and_depend_on_the_draw(data):
    one, again, other = (data.range_setting(8, draw) for draw in (0, 0, 1))
    assert len(one.images) == len(one.captions) == 8
    assert one.captions == again.captions
    assert all(np.array_equal(a, b) for a, b in zip(one.images, again.images, strict=True))
    assert not np.array_equal(one.images[0], other.images[0])
    assert one.identity == data.range_setting.identity(8, 0) != other.identity
    assert not any("thing" in caption for caption in one.captions)


def test_the_gallery_is_drawn_and_its_usage_error_is_not_a_picture(tmp_path, capsys):
    assert draw_gallery([str(tmp_path / "out.png")]) == 0
    assert Image.open(tmp_path / "out.png").width > 1000
    assert draw_gallery([]) == 2
    assert "usage" in capsys.readouterr().err
