from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reliability.errors import UndefinedMetricError, UsageError
from reliability.metrics.calibration import ece, mce, overconfidence, reliability_bins, signed_ece, underconfidence
from reliability.metrics.proper_scores import brier, nll
from reliability.metrics.registry import get


def logits_for(confidences):
    """Two-class logits whose first class has these probabilities."""
    p = np.asarray(confidences, dtype=np.float64)
    return np.log(np.stack([p, 1 - p], axis=1))


def test_ece_of_two_bins_by_hand():
    # Bin of 0.6: confidence 0.6, accuracy 1/2, two images. Bin of 0.9: 0.9 against 1, two images.
    logits = logits_for([0.6, 0.6, 0.9, 0.9])
    assert ece(logits, [0, 1, 0, 0]) == pytest.approx(0.5 * 0.1 + 0.5 * 0.1)
    assert signed_ece(logits, [0, 1, 0, 0]) == pytest.approx(0.75 - 0.75)


def test_overconfidence_and_underconfidence_take_the_gaps_of_one_sign_each():
    # 0.6 against 1/2 is too much by 0.1, 0.9 against 1 too little by 0.1, 0.75 against 1/4 too much by 0.5.
    logits = logits_for([0.6, 0.6, 0.9, 0.9, 0.75, 0.75, 0.75, 0.75])
    labels = [0, 1, 0, 0, 1, 1, 1, 0]
    assert overconfidence(logits, labels) == pytest.approx(0.25 * 0.1 + 0.5 * 0.5)
    assert underconfidence(logits, labels) == pytest.approx(0.25 * 0.1)
    assert mce(logits, labels) == pytest.approx(0.5)


def test_the_maximum_is_over_bins_whatever_few_images_they_hold():
    # 99 images at 1/2 and one sure and wrong.
    logits = np.zeros((100, 2))
    logits[-1, 0] = 900.0
    labels = [0, 1] * 49 + [0, 1]
    assert mce(logits, labels) == 1.0
    assert ece(logits, labels) == pytest.approx(0.01 + 0.99 * (50 / 99 - 0.5))


def test_a_resample_without_the_worst_bin_has_the_maximum_of_the_others():
    prepared = get("mce").weighted(logits_for([0.6, 0.9]), [0, 1])
    np.testing.assert_allclose(prepared(np.array([[1, 1], [3, 0], [0, 2]])), [0.9, 0.4, 0.9])


def test_signed_ece_is_negative_for_a_model_too_modest():
    assert signed_ece(logits_for([0.7, 0.7]), [0, 0]) == pytest.approx(-0.3)
    assert signed_ece(logits_for([0.7, 0.7]), [1, 0]) == pytest.approx(0.2)


def test_a_confidence_of_exactly_one_lies_in_the_last_bin():
    sure = [[2000.0, 0.0]] * 4
    assert ece(sure, [0, 0, 0, 0]) == mce(sure, [0, 0, 0, 0]) == 0.0
    assert ece(sure, [0, 0, 0, 1]) == mce(sure, [0, 0, 0, 1]) == overconfidence(sure, [0, 0, 0, 1]) == 0.25
    assert reliability_bins(sure, [0, 0, 0, 1]).counts.tolist() == [0] * 14 + [4]


def test_a_confidence_on_an_edge_lies_in_the_bin_below_it():
    # Five equal logits: confidence 1/5 is the upper edge of bin 2 of 15.
    bins = reliability_bins(np.zeros((1, 5)), [0])
    assert bins.counts[2] == 1


def test_every_edge_belongs_to_the_bin_below_whatever_the_number_of_bins():
    for classes in range(2, 40):
        for factor in range(1, 12):
            counts = reliability_bins(np.zeros((1, classes)), [0], bins=classes * factor).counts
            assert counts[factor - 1] == 1, (classes, factor)


def test_reliability_bins_add_up_to_ece_and_leave_empty_bins_without_a_mean():
    rng = np.random.default_rng(0)
    logits, labels = rng.normal(0, 2, (200, 4)), rng.integers(0, 4, 200)
    bins = reliability_bins(logits, labels)
    filled = bins.counts > 0
    gaps = np.abs(bins.confidence - bins.accuracy)[filled]
    assert (bins.counts[filled] * gaps).sum() / 200 == pytest.approx(ece(logits, labels), abs=1e-12)
    assert gaps.max() == pytest.approx(mce(logits, labels), abs=1e-12)
    assert np.isnan(bins.confidence[~filled]).all()
    assert np.isnan(bins.accuracy[~filled]).all()
    assert not filled[0]


def test_reliability_bins_refuse_bad_input():
    with pytest.raises(UsageError, match="bins must be positive"):
        reliability_bins([[0.0, 1.0]], [0], bins=0)
    with pytest.raises(UndefinedMetricError, match="reliability_bins"):
        reliability_bins([[0.0, np.nan]], [0])


rows = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3), st.integers(0, 1)), min_size=1, max_size=20)


@settings(max_examples=30, deadline=None)
@given(rows)
def test_the_two_signs_add_up_to_ece_and_differ_by_the_signed_error(rows):
    logits, labels = np.array([r[:2] for r in rows], dtype=float), [r[2] for r in rows]
    over, under = overconfidence(logits, labels), underconfidence(logits, labels)
    assert over + under == pytest.approx(ece(logits, labels), abs=1e-12)
    assert over - under == pytest.approx(signed_ece(logits, labels), abs=1e-12)
    assert mce(logits, labels) >= ece(logits, labels) - 1e-12


def test_nll_by_hand_and_for_logits_that_would_overflow():
    assert nll([[0.0, math.log(3.0)]], [1]) == pytest.approx(math.log(4 / 3))
    assert nll([[1e5, 0.0]], [1]) == 1e5
    assert nll([[1e5, 0.0]], [0]) == 0.0
    assert nll([[1e9, 1e9 - 1.0]], [0]) == pytest.approx(math.log1p(math.exp(-1)))


def test_nll_beyond_the_range_of_floats_is_an_error_and_no_warning():
    with np.errstate(all="raise", under="ignore"), pytest.raises(UndefinedMetricError, match="no finite value"):
        nll([[1.5e308, 0.0], [1.5e308, 0.0]], [1, 1])


def test_brier_sums_over_classes():
    assert brier([[1000.0, 0.0, 0.0]], [1]) == 2.0
    assert brier([[0.0, 0.0, 0.0, 0.0]], [2]) == pytest.approx(0.75**2 + 3 * 0.25**2)


def test_one_image_is_enough_where_nothing_needs_two():
    for name in ("ece", "mce", "signed_ece", "overconfidence", "underconfidence", "nll", "brier"):
        assert np.isfinite(get(name).fn([[2.0, 1.0]], [1]))


def test_a_calibrated_model_shows_the_bias_that_is_documented():
    rng = np.random.default_rng(5)
    confidence = rng.uniform(0.5, 1.0, (40, 2000))
    values = [ece(logits_for(c), (rng.random(2000) >= c).astype(int)) for c in confidence]
    assert np.mean(values) == pytest.approx(0.02, abs=0.01)
