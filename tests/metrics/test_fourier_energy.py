from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from reliability.errors import UndefinedMetricError
from reliability.metrics import fourier
from reliability.metrics.fourier import fourier_energy, high_frequency_energy


def wave(across, down, size=16):
    """A plane wave with so many cycles over the map in each direction."""
    y, x = np.mgrid[:size, :size] / size
    return np.cos(2 * np.pi * (across * x + down * y))[None]


@pytest.mark.parametrize(
    ("across", "down", "band"),
    [(0, 0, 0), (1, 0, 1), (2, 0, 1), (0, 2, 1), (2, 2, 2), (4, 0, 2), (0, 5, 3), (6, 0, 3), (6, 1, 4), (8, 8, 4)],
)
def test_a_plane_wave_lies_in_the_band_of_its_frequency(across, down, band):
    np.testing.assert_allclose(fourier_energy(wave(across, down)), np.eye(5)[band], atol=1e-12)


def test_shares_are_energies_so_a_wave_twice_as_high_holds_four_times_as_much():
    maps = 2.0 * wave(1, 0) + wave(8, 8) * np.sqrt(0.5)  # a wave at the Nyquist corner has twice the power
    np.testing.assert_allclose(fourier_energy(maps), [0, 0.8, 0, 0, 0.2], atol=1e-12)
    assert high_frequency_energy(maps) == pytest.approx(0.2)


def test_a_planted_low_pass_filter_moves_energy_to_the_low_bands():
    noise = np.random.default_rng(0).normal(size=(20, 16, 16, 3))
    blurred = sum(np.roll(noise, (dy, dx), (1, 2)) for dy in (-1, 0, 1) for dx in (-1, 0, 1)) / 9
    before, after = fourier_energy(noise), fourier_energy(blurred)
    assert (after[:2] > 2 * before[:2]).all()
    assert (after[3:] < before[3:] / 2).all()
    assert high_frequency_energy(blurred) < high_frequency_energy(noise) / 2


def test_white_noise_spreads_over_the_bands_by_their_number_of_frequencies():
    noise = np.random.default_rng(1).normal(size=(500, 8, 8))
    radius = 2 * np.hypot(np.fft.fftfreq(8)[:, None], np.fft.fftfreq(8))
    expected = np.histogram(radius, [-1, 1e-9, 0.25 + 1e-9, 0.5 + 1e-9, 0.75 + 1e-9, 2])[0] / 64
    np.testing.assert_allclose(fourier_energy(noise), expected, atol=0.01)


def test_a_map_without_channels_is_a_map_with_one():
    maps = np.random.default_rng(2).normal(size=(3, 7, 5))
    np.testing.assert_array_equal(fourier_energy(maps), fourier_energy(maps[..., None]))


def test_constant_maps_and_maps_of_one_pixel_hold_frequency_zero_only():
    np.testing.assert_allclose(fourier_energy(np.full((2, 6, 6, 1), 0.1)), [1, 0, 0, 0, 0], atol=1e-15)
    np.testing.assert_array_equal(fourier_energy([[[3.0]]]), [1, 0, 0, 0, 0])


def test_blocks_of_images_change_nothing(monkeypatch):
    maps = np.random.default_rng(3).normal(size=(9, 6, 6, 2))
    whole = fourier_energy(maps)
    monkeypatch.setattr(fourier, "_BLOCK_VALUES", 200)
    np.testing.assert_allclose(fourier_energy(maps), whole, rtol=1e-14)


@pytest.mark.parametrize("maps", [np.zeros((2, 3, 3)), np.zeros((1, 2, 2, 4))])
def test_maps_of_zeros_have_no_energy(maps):
    with pytest.raises(UndefinedMetricError, match="all zero"):
        fourier_energy(maps)


@pytest.mark.parametrize("maps", [[1.0, 2.0], np.ones((2, 2)), np.ones((1, 2, 2, 2, 2)), [[[1.0], [1.0, 2.0]]]])
def test_other_shapes_are_refused(maps):
    with pytest.raises(UndefinedMetricError, match=r"axes|cannot be read"):
        fourier_energy(maps)


extreme = st.sampled_from([0.0, 1e-310, 1e-200, -1e-200, 1.0, 1e200, -1.7e308])


@settings(max_examples=40, deadline=None)
@given(arrays(np.float64, (2, 3, 4), elements=extreme))
def test_maps_of_any_magnitude_have_shares_that_sum_to_one(maps):
    if maps.any():
        shares = fourier_energy(maps)
        assert shares.sum() == pytest.approx(1.0)
        assert (shares >= 0.0).all()
        assert high_frequency_energy(maps) == pytest.approx(shares[3:].sum())
