"""Ratios of means as means of their own."""

from __future__ import annotations

import numpy as np
import pytest

from reliability.errors import UndefinedMetricError
from reliability.stats.means import mean_evidence
from reliability.stats.ratios import linear_mean_ratio


@pytest.fixture
def columns():
    """Numerators and denominators of 400 images for three ratios, correlated within an image."""
    rng = np.random.default_rng(0)
    below = rng.uniform(0.2, 1.0, (400, 3)) * rng.uniform(0.5, 1.5, (400, 1))
    return below * [0.5, 1.0, 2.0] + rng.normal(0, 0.1, (400, 3)), below


def test_their_mean_is_the_mean_of_the_ratios(columns):
    above, below = columns
    expected = (above.mean(axis=0) / below.mean(axis=0)).mean()
    assert linear_mean_ratio(above, below).mean() == pytest.approx(expected, abs=1e-14)


def test_a_model_over_itself_is_one_for_every_image(columns):
    _, below = columns
    assert linear_mean_ratio(below, below).tolist() == [1.0] * 400


def test_by_hand():
    # Ratio 6 / 4; image 0 lies 2 - 1.5 x 1 above it and image 1 as much below, both over the mean of 2.
    assert linear_mean_ratio([2.0, 4.0], [1.0, 3.0]).tolist() == [1.5 + 0.25, 1.5 - 0.25]


def test_leaving_an_image_out_moves_the_ratio_as_its_value_says(columns):
    above, below = columns
    values = linear_mean_ratio(above, below)
    for row in (0, 17, 399):
        rest = np.arange(400) != row
        without = (above[rest].mean(axis=0) / below[rest].mean(axis=0)).mean()
        assert without - values.mean() == pytest.approx(-(values[row] - values.mean()) / 399, abs=2e-5)


def test_the_standard_error_is_that_of_a_bootstrap(columns):
    above, below = columns
    rng = np.random.default_rng(1)
    draws = []
    for _ in range(2000):
        rows = rng.integers(0, 400, 400)
        draws.append((above[rows].mean(axis=0) / below[rows].mean(axis=0)).mean())
    error = mean_evidence(linear_mean_ratio(above, below)).limits(0.95).standard_error
    assert error == pytest.approx(np.std(draws), rel=0.06)


def test_units_of_numerator_and_denominator_only_scale_it(columns):
    above, below = columns
    np.testing.assert_allclose(linear_mean_ratio(6 * above, 3 * below), 2 * linear_mean_ratio(above, below))


@pytest.mark.parametrize("below", [[0.0, 0.0], [1.0, -1.0], [np.nan, 1.0], [-1.0, -2.0]])
def test_a_denominator_that_is_not_positive_is_undefined(below):
    with pytest.raises(UndefinedMetricError, match="denominators must be positive"):
        linear_mean_ratio([1.0, 2.0], below)
