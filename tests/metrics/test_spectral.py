from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from reliability.errors import UndefinedMetricError
from reliability.metrics import features as arithmetic
from reliability.metrics.registry import get
from reliability.metrics.spectral import (
    effective_rank,
    effective_rank_centred,
    participation_ratio,
    spectrum_energy,
    stable_rank,
)

RANKS = [effective_rank, effective_rank_centred, stable_rank, participation_ratio]
CENTRED = [effective_rank_centred, participation_ratio]
every_rank = pytest.mark.parametrize("rank", RANKS, ids=lambda fn: fn.__name__)


def cross(*lengths):
    """Images on both ends of every axis: zero mean, and one singular value per length."""
    axes = np.diag(np.array(lengths, dtype=float))
    return np.vstack([axes, -axes])


def rotation(width, seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(width, width)))[0]


@every_rank
@pytest.mark.parametrize("width", [1, 2, 7])
def test_features_alike_in_all_directions_have_all_dimensions(rank, width):
    assert rank(cross(*[3.0] * width)) == pytest.approx(width, abs=1e-12)


@every_rank
def test_features_along_one_line_have_rank_one(rank):
    line = np.outer([1.0, -2.0, 5.0], [0.3, 0.1, -0.7])
    assert rank(line) == pytest.approx(1.0, abs=1e-12)


def test_ranks_of_two_unequal_directions_by_hand():
    # Energies 9 and 1, shares 0.9 and 0.1.
    features = cross(3.0, 1.0)
    entropy = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    assert effective_rank(features) == pytest.approx(math.exp(entropy))
    assert effective_rank_centred(features) == pytest.approx(math.exp(entropy))
    assert stable_rank(features) == pytest.approx(10 / 9)
    assert participation_ratio(features) == pytest.approx(100 / 82)


def test_a_mean_that_all_images_share_hides_the_other_directions_unless_taken_off():
    features = cross(1.0, 1.0, 1.0) + np.array([0.0, 0.0, 50.0])
    assert effective_rank(features) < 1.01
    assert stable_rank(features) < 1.01
    assert effective_rank_centred(features) == pytest.approx(3.0)
    assert participation_ratio(features) == pytest.approx(3.0)


def test_centring_keeps_its_digits_far_from_the_origin():
    features = np.random.default_rng(0).integers(-50, 50, (40, 3)).astype(float)
    for rank in CENTRED:
        assert rank(features + 2.0**40) == pytest.approx(rank(features), rel=1e-9)


@every_rank
def test_units_and_rotations_do_not_matter(rank):
    features = np.random.default_rng(1).normal(size=(30, 5)) * [1, 2, 3, 4, 5]
    expected = rank(features)
    assert rank(features @ rotation(5)) == pytest.approx(expected, rel=1e-12)
    assert rank(features * 2.0**-900) == expected
    assert rank(features * 1e300) == pytest.approx(expected, rel=1e-12)


@every_rank
def test_fewer_images_than_dimensions_bound_the_rank(rank):
    features = np.random.default_rng(2).normal(size=(4, 50))
    assert 1.0 <= rank(features) <= 4.0


@pytest.mark.parametrize("rank", CENTRED, ids=lambda fn: fn.__name__)
@pytest.mark.parametrize("features", [[[0.1, 0.7]] * 3, [[5.0, 1.0]]], ids=["constant", "one image"])
def test_features_that_never_change_have_no_covariance(rank, features):
    with pytest.raises(UndefinedMetricError, match="never change"):
        rank(features)


@pytest.mark.parametrize("name", ["effective_rank_centred", "participation_ratio", "cka"])
def test_a_resample_of_one_image_only_has_no_value(name):
    metric = get(name)
    features = np.random.default_rng(3).normal(size=(5, 3)) + 100.0
    prepared = metric.weighted(*[features] * (2 if metric.kind == "paired_features" else 1))
    values = prepared(np.array([[0, 5, 0, 0, 0], [1, 1, 1, 1, 1], [0, 0, 0, 0, 0]]))
    assert np.isnan(values[[0, 2]]).all()
    assert np.isfinite(values[1])


def test_features_that_are_all_zero_have_no_rank():
    with pytest.raises(UndefinedMetricError, match="all zero"):
        effective_rank(np.zeros((3, 2)))


def test_a_resample_that_draws_only_zeros_has_no_rank():
    values = get("stable_rank").weighted([[0.0, 0.0], [1.0, 2.0]])(np.array([[2, 0], [0, 2]]))
    assert np.isnan(values[0])
    assert values[1] == pytest.approx(1.0)


@every_rank
def test_working_through_blocks_of_rows_changes_nothing(rank, monkeypatch):
    features = np.random.default_rng(4).normal(size=(50, 4)) + 1.0
    whole = rank(features)
    monkeypatch.setattr(arithmetic, "_BLOCK_VALUES", 12)
    assert rank(features) == pytest.approx(whole, rel=1e-13)


def test_bands_are_octaves_of_rank():
    energy = np.arange(1, 11)[::-1].astype(float)
    shares = energy / energy.sum()
    expected = [shares[0], shares[1], shares[2:4].sum(), shares[4:8].sum(), shares[8:].sum()]
    np.testing.assert_allclose(spectrum_energy(cross(*np.sqrt(energy))), expected, atol=1e-14)


@pytest.mark.parametrize(("width", "bands"), [(1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (8, 4), (9, 5), (64, 7), (65, 8)])
def test_the_number_of_bands_depends_on_the_dimensions_alone(width, bands):
    shares = spectrum_energy(np.random.default_rng(5).normal(size=(3, width)))
    assert shares.shape == (bands,)
    assert shares.sum() == pytest.approx(1.0)


magnitudes = st.one_of(
    st.just(0.0),
    st.floats(1e-320, 1.7e308),
    st.floats(-1.7e308, -1e-320),
    st.sampled_from([1e-200, -1e-200, 1e200, 1.0, 5e-324]),
)


@settings(max_examples=60, deadline=None)
@given(arrays(np.float64, array_shapes(min_dims=2, max_dims=2, max_side=5), elements=magnitudes))
def test_any_finite_features_have_ranks_in_range_or_a_stated_reason(features):
    for rank in RANKS:
        try:
            value = rank(features)
        except UndefinedMetricError:
            assert rank in CENTRED or not features.any()
        else:
            assert 1.0 - 1e-9 <= value <= min(features.shape) + 1e-9
    if features.any():
        shares = spectrum_energy(features)
        assert (shares >= 0.0).all()
        assert shares.sum() == pytest.approx(1.0)
