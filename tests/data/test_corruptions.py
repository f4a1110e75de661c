"""What every corruption promises, whatever it does."""

from __future__ import annotations

import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from threadpoolctl import threadpool_limits

from reliability.data.corruptions import filters, gallery, registry
from reliability.data.corruptions.registry import COMMON, CORRUPTIONS, EXTRA, corrupt
from reliability.data.corruptions.source import CorruptedSource
from reliability.data.scenes.render import render
from reliability.data.scenes.sample import sample
from reliability.data.scenes.source import SceneSource
from reliability.errors import UsageError

SIDES = (224, 64, 32)
DETERMINISTIC = {
    "defocus_blur", "zoom_blur", "brightness", "contrast", "pixelate", "jpeg_compression", "gaussian_blur", "saturate",
}  # fmt: skip
NOT_ORDERED = {"glass_blur", "elastic_transform", "saturate"}
"""Whose published tables do not grow in every parameter."""


def pictures(count, side=16, seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8))


def names(count):
    return [f"p{i}" for i in range(count)]


def scenes(count, side):
    return list(render(sample("corruption-test", 0, np.arange(count)), side))


def errors_by_severity(name, images):
    return [
        np.mean((np.stack(corrupt(images, name, severity, names(len(images)), 0)).astype(float) - images) ** 2)
        for severity in range(1, 6)
    ]


def test_all_of_the_benchmark_are_there():
    assert COMMON == (
        "gaussian_noise", "shot_noise", "impulse_noise", "defocus_blur", "glass_blur", "motion_blur", "zoom_blur",
        "snow", "frost", "fog", "brightness", "contrast", "elastic_transform", "pixelate", "jpeg_compression",
    )  # fmt: skip
    assert EXTRA == ("speckle_noise", "gaussian_blur", "spatter", "saturate")
    assert list(CORRUPTIONS) == [*COMMON, *EXTRA]


@pytest.mark.parametrize("name", CORRUPTIONS)
@settings(max_examples=5, deadline=None)
@given(order=st.permutations(range(9)), split=st.integers(0, 9), severity=st.integers(1, 5))
def test_order_and_batch_change_nothing(name, order, split, severity):
    images = pictures(6) + pictures(3, side=20)
    whole = corrupt(images, name, severity, names(9), seed=1)
    parts = [order[:split], order[split:]]
    damaged = [
        image
        for part in parts
        for image in corrupt([images[i] for i in part], name, severity, [f"p{i}" for i in part], 1)
    ]
    assert all(np.array_equal(image, whole[i]) for image, i in zip(damaged, order, strict=True))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_memory_bound_changes_no_pixel(name, monkeypatch):
    images = pictures(5)
    whole = corrupt(images, name, 2, names(5), 0)
    monkeypatch.setattr(registry, "_CHUNK_VALUES", 16 * 16 * 3 * 2)
    assert all(np.array_equal(a, b) for a, b in zip(whole, corrupt(images, name, 2, names(5), 0), strict=True))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_number_of_threads_changes_no_pixel(name):
    images = scenes(2, 64)
    damaged = []
    for threads in (1, 2):
        filters._cosine_response.cache_clear()
        with threadpool_limits(threads):
            damaged.append(np.stack(corrupt(images, name, 3, names(2), 0)))
    assert np.array_equal(*damaged)


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_pictures_that_were_given_stay_as_they_are(name):
    images = pictures(2)
    before = [image.copy() for image in images]
    for image in images:
        image.flags.writeable = False
    for severity in range(1, 6):
        corrupt(images, name, severity, names(2), 0)
    assert all(np.array_equal(a, b) for a, b in zip(images, before, strict=True))


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - NOT_ORDERED - {"snow", "frost", "fog"}))
@pytest.mark.parametrize("side", SIDES)
def test_severities_hurt_more_and_more(name, side):
    errors = errors_by_severity(name, scenes(16 if side < 224 else 3, side))
    assert errors == sorted(set(errors))


@pytest.mark.parametrize("name", ["snow", "frost", "fog"])
@pytest.mark.parametrize("side", SIDES)
def test_weather_that_differs_between_pictures_is_worst_at_the_end(name, side):
    errors = errors_by_severity(name, scenes(16 if side < 224 else 4, side))
    assert errors[4] > 1.1 * errors[0]


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("side", SIDES)
def test_every_severity_changes_a_picture_and_leaves_something_of_it(name, side):
    image = scenes(1, side)[0]
    for severity in range(1, 6):
        damaged = corrupt([image], name, severity, ["a"], 0)[0]
        assert damaged.dtype == np.uint8
        assert damaged.shape == image.shape
        assert not np.array_equal(damaged, image)
        assert damaged.std() > 1


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (5, 40), (41, 9)])
@pytest.mark.parametrize("level", [0, 255, None])
def test_any_shape_and_any_flat_picture_can_be_damaged(name, shape, level, recwarn):
    image = pictures(1, 41)[0][: shape[0], : shape[1]] if level is None else np.full((*shape, 3), level, np.uint8)
    for severity in (1, 5):
        assert corrupt([image], name, severity, ["a"], 0)[0].shape == image.shape
    assert not recwarn.list


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_corruption_has_a_card_and_five_severities_at_the_published_sizes(name):
    corruption = CORRUPTIONS[name]
    assert corruption.card.endswith(".")
    assert set(corruption.tables) == set(SIDES)
    assert {len(rows) for rows in corruption.tables.values()} == {5}
    assert len({len(row) for rows in corruption.tables.values() for row in rows}) == 1


@pytest.mark.parametrize(("side", "table"), [(28, 32), (40, 32), (48, 64), (96, 64), (128, 224), (384, 224)])
def test_other_sizes_take_the_nearest_table(side, table):
    noise = CORRUPTIONS["gaussian_noise"]
    assert noise.parameters(side, 5) == noise.tables[table][4]


@pytest.mark.parametrize("name", sorted(set(CORRUPTIONS) - DETERMINISTIC))
def test_id_severity_and_seed_each_give_other_damage(name):
    image = scenes(1, 32)
    variants = [
        corrupt(image, name, 4, ["a"], 0),
        corrupt(image, name, 4, ["b"], 0),
        corrupt(image, name, 4, ["a"], 1),
        corrupt(image, name, 5, ["a"], 0),
    ]
    assert len({variant[0].tobytes() for variant in variants}) == 4


@pytest.mark.parametrize("name", sorted(DETERMINISTIC))
def test_damage_without_chance_does_not_depend_on_id_or_seed(name):
    image = scenes(1, 32)
    assert np.array_equal(corrupt(image, name, 3, ["a"], 0)[0], corrupt(image, name, 3, ["b"], 7)[0])


def test_gaussian_noise_keeps_the_bytes_that_cached_embeddings_were_made_of():
    images = pictures(3, 32) + pictures(2, 64) + pictures(1, 224)
    damaged = corrupt(images, "gaussian_noise", 3, names(6), 20)
    assert zlib.crc32(b"".join(image.tobytes() for image in damaged)) == 2495403110


def test_the_gallery_is_drawn_to_the_file_named(tmp_path):
    assert gallery.main([str(tmp_path / "out.png")]) == 0
    assert gallery.main([]) == 2
    with Image.open(tmp_path / "out.png") as sheet:
        assert sheet.height > len(CORRUPTIONS) * 50


def test_nothing_to_corrupt_is_an_empty_list():
    assert corrupt([], "gaussian_noise", 1, [], 0) == []


@pytest.mark.parametrize(
    ("name", "severity", "match"), [("gausian_noise", 1, "gaussian_noise"), ("gaussian_noise", 6, "6")]
)
def test_unknown_corruptions_and_severities_are_refused(name, severity, match):
    with pytest.raises(UsageError, match=match):
        corrupt(pictures(1), name, severity, ["a"], 0)
    with pytest.raises(UsageError, match=match):
        CorruptedSource(SceneSource("id", "id", 0, 1), name, severity)


def test_a_corrupted_source_keeps_labels_ids_and_order():
    base = SceneSource("id", "id", 0, 10)
    (clean,), (noisy,) = (list(source.batches(10)) for source in (base, CorruptedSource(base, "gaussian_noise", 2)))
    assert np.array_equal(clean.labels, noisy.labels)
    assert np.array_equal(clean.ids, noisy.ids)
    assert all(not np.array_equal(a, b) for a, b in zip(clean.images, noisy.images, strict=True))


def test_a_corrupted_sources_identity_holds_its_base_parameters_and_seed():
    source = CorruptedSource(SceneSource("id", "id", 0, 10), "gaussian_noise", 2)
    assert source.identity["base"] == source.base.identity
    assert source.identity["tables"]["32"] == (0.06,)
    assert source.identity != CorruptedSource(source.base, "gaussian_noise", 2, seed=1).identity
