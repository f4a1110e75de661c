from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reliability.errors import UndefinedMetricError
from reliability.metrics.registry import get
from reliability.metrics.representation import (
    cka,
    embedding_cosine,
    noise_by_direction,
    noise_to_signal_by_rank,
    subspace_overlap,
)

RNG = np.random.default_rng(0)
FEATURES = RNG.normal(size=(40, 8)) * 2.0 ** -np.arange(8)
TURN = np.linalg.qr(RNG.normal(size=(8, 8)))[0]


def test_cka_sees_no_rotation_shift_or_scale():
    assert cka(FEATURES, FEATURES) == pytest.approx(1.0, abs=1e-14)
    assert cka(FEATURES, 1e-120 * FEATURES @ TURN + 3e-121) == pytest.approx(1.0, abs=1e-12)
    assert cka(FEATURES, np.hstack([FEATURES, np.zeros((40, 3))])) == pytest.approx(1.0, abs=1e-12)


def test_cka_by_hand():
    # Centred kernels of a contrast between images 1 and 2, and of one between images 1, 2 and 3, 4.
    first, second = [[1.0], [-1.0], [0.0], [0.0]], [[1.0], [1.0], [-1.0], [-1.0]]
    assert cka(first, second) == pytest.approx(0.0, abs=1e-14)
    # Covariances [2, 0] in units of 1/4, and [[2, 0], [0, 4]]: 2**2 / (2 * sqrt(2**2 + 4**2)).
    assert cka(first, np.hstack([first, second])) == pytest.approx(4 / (2 * np.sqrt(20)))


def test_cka_sees_a_stretched_direction():
    assert cka(FEATURES, FEATURES * [1, 1, 20, 1, 1, 1, 1, 1]) < 0.9


def test_unrelated_features_score_above_zero_when_images_are_few():
    near, far = (cka(*RNG.normal(size=(2, n, 20))) for n in (30, 3000))
    assert near > 0.3
    assert far < 0.02


@pytest.mark.parametrize("constant", ["reference", "candidate"])
def test_cka_of_features_that_never_change_is_undefined(constant):
    pair = {"reference": FEATURES, "candidate": FEATURES} | {constant: np.ones((40, 8))}
    with pytest.raises(UndefinedMetricError, match=rf"{constant}_features.*") as caught:
        cka(*pair.values())
    assert "never change" in str(caught.value)


def test_cosine_is_the_mean_over_images_whatever_their_lengths():
    assert embedding_cosine([[1.0, 0.0], [0.0, 2.0]], [[-3.0, 0.0], [0.0, 1.0]]) == 0.0
    assert embedding_cosine([[1.0, 1.0]], [[1e200, 0.0]]) == pytest.approx(np.sqrt(0.5))
    assert embedding_cosine([[1e-300, 1e-300]], [[1e300, 1e300]]) == 1.0


def test_cosine_and_overlap_cannot_see_a_wrong_scale_but_noise_can():
    doubled = 2.0 * FEATURES
    assert embedding_cosine(FEATURES, doubled) == pytest.approx(1.0)
    np.testing.assert_allclose(subspace_overlap(FEATURES, doubled), 1.0)
    np.testing.assert_allclose(noise_to_signal_by_rank(FEATURES, doubled), 1.0)


@pytest.mark.parametrize("side", ["reference", "candidate"])
def test_a_feature_without_direction_is_named(side):
    broken = FEATURES.copy()
    broken[7] = 0.0
    pair = {"reference": FEATURES, "candidate": FEATURES} | {side: broken}
    with pytest.raises(UndefinedMetricError, match=rf"{side}_features\[7\]"):
        embedding_cosine(*pair.values())


@pytest.mark.parametrize("metric", [embedding_cosine, subspace_overlap, noise_to_signal_by_rank])
def test_features_of_different_widths_share_no_space(metric):
    with pytest.raises(UndefinedMetricError, match="8 and 7 dimensions"):
        metric(FEATURES, FEATURES[:, :7])


def axes(*lengths):
    return np.diag(np.array(lengths, dtype=float))


def test_overlap_counts_shared_directions_at_each_size():
    reference, candidate = axes(5, 4, 3, 2, 1), axes(5, 3, 4, 2, 1)
    np.testing.assert_allclose(subspace_overlap(reference, candidate), [1.0, 0.5, 1.0], atol=1e-12)


def test_overlap_of_directions_at_an_angle_is_the_squared_cosine():
    angle = 0.3
    turned = [[np.cos(angle), np.sin(angle)]]
    np.testing.assert_allclose(subspace_overlap([[1.0, 0.0]], turned), [np.cos(angle) ** 2])


def test_directions_that_the_candidate_lost_overlap_with_nothing():
    np.testing.assert_allclose(subspace_overlap(axes(3, 2, 1), axes(3, 0, 0)), [1.0, 0.5], atol=1e-12)


def test_rotating_features_leaves_their_kernel_but_moves_their_subspaces():
    assert cka(FEATURES, FEATURES @ TURN) == pytest.approx(1.0)
    assert subspace_overlap(FEATURES, FEATURES @ TURN).min() < 0.7


def test_one_dimension_has_no_subspaces():
    with pytest.raises(UndefinedMetricError, match="one direction only"):
        subspace_overlap([[1.0], [2.0]], [[1.0], [2.0]])


def test_equal_models_have_no_noise_in_any_band():
    np.testing.assert_array_equal(noise_to_signal_by_rank(FEATURES, FEATURES), np.zeros(4))


def test_even_noise_weighs_more_on_the_weak_directions():
    noisy = FEATURES + RNG.normal(0, 1e-3, FEATURES.shape)
    ratio = noise_to_signal_by_rank(FEATURES, noisy)
    assert (np.diff(ratio) > 0).all()
    # In decibels: each octave of signal power 2**-2 per rank loses some 6 dB per rank.
    decibels = -10 * np.log10(ratio)
    assert decibels[0] - decibels[1] == pytest.approx(6.0, abs=3.0)


def test_noise_along_a_planted_direction_stays_in_its_band():
    left = np.linalg.qr(RNG.normal(size=(40, 8)))[0]
    reference = left @ axes(*range(80, 0, -10)) @ TURN.T
    planted = reference + np.outer(left[:, 0], 0.5 * TURN[:, 4])
    np.testing.assert_allclose(
        noise_to_signal_by_rank(reference, planted), [0, 0, 0, 0.25 / (40**2 + 30**2 + 20**2 + 10**2)], atol=1e-12
    )
    signal, noise = noise_by_direction(reference, planted)
    assert (np.diff(signal) < 0).all()
    assert noise.argmax() == 4


def test_noise_outside_the_references_span_is_left_out():
    np.testing.assert_allclose(noise_to_signal_by_rank([[2.0, 0.0]], [[2.0, 9.0]]), [0.0])


def test_noise_too_large_for_a_ratio_is_no_number():
    with pytest.raises(UndefinedMetricError, match="no finite value"):
        noise_to_signal_by_rank([[1e-200, 0.0]], [[1e200, 0.0]])


finite = arrays(np.float64, (6, 3), elements=st.sampled_from([0.0, 1e-200, -1e-200, 1e200, 1.0, -3.0, 1e-310]))


@settings(max_examples=60, deadline=None)
@given(finite, finite)
def test_any_finite_features_give_values_in_range_or_a_stated_reason(reference, candidate):
    for name in ("cka", "embedding_cosine", "subspace_overlap", "noise_to_signal_by_rank"):
        metric = get(name)
        try:
            value = metric.fn(reference, candidate)
        except UndefinedMetricError:
            continue
        assert np.all(value >= metric.low)
        assert np.all(value <= metric.high + 1e-12)
