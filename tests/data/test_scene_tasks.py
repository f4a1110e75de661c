from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from reliability.data.corruptions.registry import CORRUPTIONS
from reliability.data.registry import open_data
from reliability.data.scenes.gallery import NOISE_FILE, file_name
from reliability.data.scenes.gallery import main as draw_gallery
from reliability.data.scenes.sample import sample
from reliability.data.scenes.sets import SOURCES

LABELLED = {"shapes": 12, "sketch": 12, "silhouette": 12, "colours": 10}
"""Sources with coarse labels, and how many there are; the others have 120 or none."""

UNLABELLED = ("near", "far", "unseen_colours", "backgrounds", "textures", "noise", "glyphs", "blobs", "retrieval")
GROUPED = ("spurious", "every_shape", "common", "counter")


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
        "id", "ood/near", "ood/far", "shift/unseen_backgrounds", "spurious/background",
        "id/shapes", "id/colours", "ood/near/unseen_colours", "ood/near/held_out_pairs",
        "ood/far/backgrounds", "ood/far/textures", "ood/far/noise", "ood/far/glyphs", "ood/far/blobs",
        "ood/full_spectrum/near", "ood/full_spectrum/far",
        "shift/sketch", "shift/silhouette", "shift/low_light", "shift/unseen_palette", "shift/scale", "shift/crop",
        "shift/rotation", "shift/renderer", "shift/held_out_pairs",
        "id/common", "shift/counter", "spurious/common_counter", "spurious/every_shape", "retrieval/captions", *noise,
    ]  # fmt: skip
    usual = {source.name for source in SOURCES} - {"id", "shapes", "colours", "common", "counter", "retrieval"}
    assert {source.name: source.count for source in SOURCES} == {
        "id": 4000, "shapes": 4000, "colours": 4000, "common": 1000, "counter": 1000, "retrieval": 1000,
        **dict.fromkeys(usual, 2000),
    }  # fmt: skip
    assert data.sources["id/gaussian_noise/1"].base.count == 1000


def test_every_task_reads_an_existing_source_and_says_what_it_stands_for(data):
    for task in data.tasks.values():
        parts = [part for part in (task.part, task.familiar, task.fit) if part is not None]
        assert {part.source for part in parts} <= set(data.sources)
        assert task.card.endswith(".")
        assert (task.familiar is not None) == (task.fit is not None) == (task.role == "ood")
        assert bool(task.group_names) == (task.role == "spurious")
        assert bool(task.matches) == (task.role == "retrieval")


def test_every_source_is_shown_by_a_task(data):
    used = {part.source for task in data.tasks.values() for part in (task.part, task.familiar, task.fit) if part}
    assert used == set(data.sources)


def test_labels_of_a_task_are_those_of_its_prompts(data):
    for task in data.tasks.values():
        if task.role in ("id", "shift", "spurious"):
            labels = read(data.sources[task.part.source])[0]
            assert ((labels >= 0) & (labels < len(task.prompts.class_names))).all(), task.name


def test_ids_are_unique_within_a_source_and_between_splits(data):
    by_split = {source.split: read(data.sources[source.name])[2] for source in SOURCES}
    ids = np.concatenate(list(by_split.values()))
    assert len(np.unique(ids)) == len(ids)
    assert read(data.sources["id"])[2][0] == "scenes/id/20/0"


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
    if name in UNLABELLED:
        assert (labels == -1).all()
    else:
        assert ((labels >= 0) & (labels < LABELLED.get(name, 120))).all()


def test_only_sources_of_spurious_cues_have_groups(data):
    for source in SOURCES:
        groups = read(data.sources[source.name])[1]
        assert (groups >= 0).all() if source.name in GROUPED else (groups == -1).all()


def test_labels_of_the_spurious_source_are_tied_shapes(data):
    labels, groups, _, _ = read(data.sources["spurious"])
    assert set(groups) == {0, 1}
    names = [data.tasks["spurious/background"].prompts.class_names[label] for label in labels]
    assert {name.split()[1] for name in names} == {"star", "pill", "flower", "arrow"}


def test_groups_are_about_even():
    source = next(source for source in SOURCES if source.name == "spurious")
    groups = np.concatenate([batch.groups for batch in source.batches(500)])
    assert groups.mean() == pytest.approx(0.5, abs=0.04)


def test_unseen_background_pictures_show_no_trained_background():
    source = next(source for source in SOURCES if source.name == "unseen_backgrounds")
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
    for name in [*(source.name for source in SOURCES), "id/gaussian_noise/1", "id/fog/5"]:
        ids = read(shorter.sources[name])[2]
        assert ids.tolist() == read(data.sources[name])[2][:10].tolist()


def test_range_setting_pictures_are_captioned_and_depend_on_the_draw(data):
    one, again, other = (data.range_setting(8, draw) for draw in (0, 0, 1))
    assert len(one.images) == len(one.captions) == 8
    assert one.captions == again.captions
    assert all(np.array_equal(a, b) for a, b in zip(one.images, again.images, strict=True))
    assert not np.array_equal(one.images[0], other.images[0])
    assert one.identity == data.range_setting.identity(8, 0) != other.identity
    assert not any("thing" in caption for caption in one.captions)


def test_the_gallery_has_a_small_strip_of_every_set_and_one_of_noise(data, tmp_path):
    assert draw_gallery([str(tmp_path / "strips")]) == 0
    drawn = {file.name: file.stat().st_size for file in (tmp_path / "strips").iterdir()}
    assert set(drawn) == {NOISE_FILE, *(file_name(task) for task in data.tasks.values() if task.role != "noise")}
    assert sum(drawn.values()) < 700_000
    heights = {
        name: Image.open(tmp_path / "strips" / f"{name}.png").height for name in ("ood-near", "spurious-background")
    }
    assert heights["spurious-background"] > 2 * heights["ood-near"] > 120, "a row for each group"


def test_a_gallery_without_a_folder_is_a_usage_error(capsys):
    assert draw_gallery([]) == 2
    assert "usage" in capsys.readouterr().err
