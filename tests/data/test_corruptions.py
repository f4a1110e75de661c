from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.data.corruptions import registry
from reliability.data.corruptions.registry import CORRUPTIONS, corrupt
from reliability.data.corruptions.source import CorruptedSource
from reliability.data.scenes.source import SceneSource
from reliability.errors import UsageError

SIDES = (224, 64, 32)


def pictures(count, side=16, seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (count, side, side, 3), dtype=np.uint8))


def names(count):
    return [f"p{i}" for i in range(count)]


@pytest.mark.parametrize("name", CORRUPTIONS)
@settings(max_examples=10, deadline=None)
@given(order=st.permutations(range(9)), split=st.integers(0, 9))
def test_order_and_batch_change_nothing(name, order, split):
    images = pictures(6) + pictures(3, side=20)
    whole = corrupt(images, name, 3, names(9), seed=1)
    parts = [order[:split], order[split:]]
    damaged = [
        image for part in parts for image in corrupt([images[i] for i in part], name, 3, [f"p{i}" for i in part], 1)
    ]
    assert all(np.array_equal(image, whole[i]) for image, i in zip(damaged, order, strict=True))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_the_memory_bound_changes_no_pixel(name, monkeypatch):
    images = pictures(5)
    whole = corrupt(images, name, 2, names(5), 0)
    monkeypatch.setattr(registry, "_CHUNK_VALUES", 16 * 16 * 3 * 2)
    assert all(np.array_equal(a, b) for a, b in zip(whole, corrupt(images, name, 2, names(5), 0), strict=True))


@pytest.mark.parametrize("name", CORRUPTIONS)
@pytest.mark.parametrize("side", SIDES)
def test_severities_hurt_more_and_more(name, side):
    images = pictures(64 if side == 32 else 4, side)
    errors = [
        np.mean([(a.astype(float) - b) ** 2 for a, b in zip(images, damaged, strict=True)])
        for damaged in (corrupt(images, name, severity, names(len(images)), 0) for severity in range(1, 6))
    ]
    assert errors == sorted(set(errors))


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_every_table_has_five_severities_at_the_published_sizes(name):
    tables = CORRUPTIONS[name].tables
    assert set(tables) == set(SIDES)
    assert {len(rows) for rows in tables.values()} == {5}


@pytest.mark.parametrize("side", SIDES)
@pytest.mark.parametrize("severity", [1, 3])
def test_gaussian_noise_has_its_standard_deviation_on_mid_grey(side, severity):
    sigma = {224: (0.08, 0.18), 64: (0.04, 0.12), 32: (0.04, 0.08)}[side][severity // 2]
    count = max(1, 200 * 32 * 32 // side**2)
    grey = [np.full((side, side, 3), 128, np.uint8)] * count
    noise = np.stack(corrupt(grey, "gaussian_noise", severity, names(count), 0)).astype(float) - 128
    assert noise.std() / 255 == pytest.approx(sigma, rel=0.02)
    assert noise.mean() == pytest.approx(-0.5, abs=0.4), "bytes are truncated, as in the released sets"
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.02


@pytest.mark.parametrize(("side", "table"), [(28, 32), (40, 32), (48, 64), (96, 64), (128, 224), (384, 224)])
def test_other_sizes_take_the_nearest_table(side, table):
    noise = CORRUPTIONS["gaussian_noise"]
    assert noise.parameters(side, 5) == noise.tables[table][4]


def test_id_severity_and_seed_each_give_other_noise():
    image = pictures(1)
    variants = [
        corrupt(image, "gaussian_noise", 3, ["a"], 0),
        corrupt(image, "gaussian_noise", 3, ["b"], 0),
        corrupt(image, "gaussian_noise", 3, ["a"], 1),
        corrupt(image, "gaussian_noise", 4, ["a"], 0),
    ]
    assert len({variant[0].tobytes() for variant in variants}) == 4


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
