"""Noise has the law that its parameter says, checked without another package."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from reliability.data.corruptions.registry import corrupt

VALUES = 200 * 32 * 32 * 3


def damaged_grey(name, severity, level, side=32):
    """Many flat pictures under noise, as float [N, side, side, 3]."""
    count = max(1, 200 * 32 * 32 // side**2)
    images = [np.full((side, side, 3), level, np.uint8)] * count
    return np.stack(corrupt(images, name, severity, [f"p{i}" for i in range(count)], 0)).astype(float)


@pytest.mark.parametrize(
    ("side", "severity", "sigma"),
    [(224, 1, 0.08), (224, 3, 0.18), (64, 1, 0.04), (64, 3, 0.12), (32, 1, 0.04), (32, 3, 0.08)],
)
def test_gaussian_noise_has_its_standard_deviation_on_mid_grey(side, severity, sigma):
    noise = damaged_grey("gaussian_noise", severity, 128, side) - 128
    assert noise.std() / 255 == pytest.approx(sigma, rel=0.02)
    assert noise.mean() == pytest.approx(-0.5, abs=0.4), "bytes are truncated, as in the released sets"
    assert abs(np.corrcoef(noise[..., 0].ravel(), noise[..., 1].ravel())[0, 1]) < 0.02


@pytest.mark.parametrize(("severity", "photons"), [(2, 250), (3, 100), (5, 50)])
@pytest.mark.parametrize("level", [13, 128])
def test_shot_noise_is_a_poisson_count(severity, photons, level):
    counts = np.ceil((damaged_grey("shot_noise", severity, level) - 0.01) * photons / 255)
    law = stats.poisson(level / 255 * photons)
    bins = np.unique(law.ppf([0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.999]))
    edges = np.concatenate([[-np.inf], bins, [np.inf]])
    observed, _ = np.histogram(counts.ravel(), np.nextafter(edges, np.inf))
    expected = np.diff(law.cdf(edges)) * VALUES
    assert ((observed - expected) ** 2 / expected).sum() < stats.chi2(len(bins)).ppf(1 - 1e-6)


def test_counts_finer_than_bytes_have_the_spread_of_a_poisson_count():
    noisy = damaged_grey("shot_noise", 1, 128)
    assert noisy.mean() == pytest.approx(127.5, abs=0.05)
    assert noisy.std() == pytest.approx(255 * np.sqrt(128 / 255 / 500), rel=0.01)


def test_shot_noise_leaves_black_black_and_clips_white():
    assert np.all(damaged_grey("shot_noise", 5, 0) == 0)
    assert np.mean(damaged_grey("shot_noise", 5, 255) == 255) == pytest.approx(stats.poisson(50).sf(49), abs=0.01)


@pytest.mark.parametrize(("severity", "amount"), [(1, 0.01), (5, 0.07)])
def test_impulse_noise_hits_each_channel_apart_at_even_odds(severity, amount):
    noisy = damaged_grey("impulse_noise", severity, 100)
    deviation = np.sqrt(amount / 2 / VALUES)
    for value in (0, 255):
        assert np.mean(noisy == value) == pytest.approx(amount / 2, abs=5 * deviation)
    assert np.all(np.isin(noisy, (0, 100, 255)))
    hit = noisy != 100
    assert np.mean(hit[..., 0] & hit[..., 1]) == pytest.approx(amount**2, rel=0.3)


@pytest.mark.parametrize("level", [40, 120])
def test_speckle_noise_grows_with_the_level(level):
    noise = damaged_grey("speckle_noise", 3, level) - level
    assert noise.std() == pytest.approx(0.12 * level, rel=0.03)
    assert noise.mean() == pytest.approx(-0.5, abs=0.2)


def test_noise_of_two_severities_is_unrelated():
    first, second = (damaged_grey("gaussian_noise", severity, 128)[:20] - 128 for severity in (3, 4))
    assert abs(np.corrcoef(first.ravel(), second.ravel())[0, 1]) < 0.02
