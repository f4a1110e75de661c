"""Corruptions against slow second versions, with the draws handed in."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from reliability.data.corruptions import digital, filters, glass, resample, weather
from reliability.data.corruptions.droplets import canny, droplet_shading, equalize
from reliability.data.corruptions.ice import SHEETS, ice_sheet
from reliability.data.corruptions.registry import CORRUPTIONS, corrupt

ORACLES = Path(__file__).parent.parent / "oracles" / "slow_corruptions.py"
SMALL = (11, 14)


@pytest.fixture(scope="module")
def slow():
    return SimpleNamespace(**runpy.run_path(str(ORACLES)))


def picture(shape=SMALL, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


def planes(*images):
    return filters.planes(np.stack(images))


def assert_levels(found, expected, worst=0.01):
    """Levels on 0..255 equal but for rounding in float32."""
    assert np.abs(np.asarray(found, float) - expected).max() < worst


def assert_bytes(found, levels):
    """Stored bytes are the truncated levels; a level within rounding of an integer may fall either way."""
    exact = np.clip(levels, 0, 255)
    assert np.all((found <= exact + 0.01) & (found > exact - 1.01))


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.5])
def test_gaussian_smoothing(slow, sigma):
    image = picture()
    assert_levels(filters.pictures(filters.gaussian(planes(image), sigma))[0], slow.gaussian_blur(image, sigma))


@pytest.mark.parametrize(
    ("radius", "alias"), [(3, 0.1), (4, 0.5), (8, 0.5), (10, 0.5), (2.5, 0.01), (0.5, 0.6), (0.3, 0.4)]
)
def test_the_disk_of_a_lens_out_of_focus(slow, radius, alias):
    expected, kernel = slow.disk_kernel(radius, alias), filters.disk(radius, alias)
    trim = (len(expected) - len(kernel)) // 2
    assert np.abs(kernel - expected[trim : len(expected) - trim, trim : len(expected) - trim]).max() < 1e-7
    assert kernel.sum() == pytest.approx(expected.sum(), abs=1e-6)


@pytest.mark.parametrize(("radius", "alias"), [(3, 0.1), (4, 0.5), (0.5, 0.6)])
def test_defocus(slow, radius, alias):
    image = picture((13, 20))
    assert_levels(
        filters.pictures(filters.defocus(planes(image), radius, alias))[0], slow.defocus_blur(image, radius, alias)
    )


@pytest.mark.parametrize("degrees", [-44.0, 0.0, 31.5, -90.0, -134.0])
def test_motion_along_any_direction(slow, degrees):
    image = picture()
    blurred = filters.motion_blur(planes(image), 4, 2.5, np.array([degrees], np.float32))
    assert_levels(filters.pictures(blurred)[0], slow.motion_blur(image, 4, 2.5, degrees))


def test_motion_blur_smears_each_picture_along_its_own_direction():
    values = planes(picture(seed=1), picture(seed=2))
    both = filters.motion_blur(values, 3, 2, np.array([10.0, -40.0], np.float32))
    assert np.array_equal(both[1:], filters.motion_blur(values[1:], 3, 2, np.array([-40.0], np.float32)))


@pytest.mark.parametrize("factor", [1.0, 1.06, 1.3, 1.75, 2.25, 4.5])
def test_enlarging_about_the_centre(slow, factor):
    image = picture()
    assert_levels(filters.pictures(resample.clipped_zoom(planes(image), factor))[0], slow.clipped_zoom(image, factor))


def test_zoom_blur(slow):
    image = picture((16, 16))
    factors = [1 + 0.01 * i for i in range(11)]
    assert_bytes(
        corrupt([image], "zoom_blur", 2, ["a"], 0)[0],
        slow.zoom_blur(image, [*factors, 1.11][: len(np.arange(1, 1.11, 0.01))]),
    )


@pytest.mark.parametrize("delta", [1, 2, 4])
@pytest.mark.parametrize("shape", [SMALL, (30, 9), (4, 4)])
def test_copies_followed_at_once_end_where_a_walk_over_the_pixels_ends(slow, delta, shape):
    images = np.stack([picture(shape, seed) for seed in range(3)])
    draws = np.random.default_rng(7).random((3, shape[0] * shape[1]), dtype=np.float32)
    source = glass.follow_copies(glass.near_pixels(draws, *shape, delta))
    for image, drawn, rows in zip(images, draws, source, strict=True):
        walked = slow.glass_walk(image, drawn.reshape(shape), delta)
        assert np.array_equal(image.reshape(-1, 3)[rows].reshape(image.shape), walked)


def test_long_chains_of_copies_are_followed_to_their_end():
    near = np.minimum(np.arange(5000, dtype=np.int32) + 1, 4999)[None]
    assert np.all(glass.follow_copies(near) == 4999)


@pytest.mark.parametrize("decay", [1.4, 3.0])
@pytest.mark.parametrize("side", [2, 16])
def test_clouds(slow, decay, side):
    draws = np.random.default_rng(3).uniform(-1, 1, (2, side, side)).astype(np.float32)
    for cloud, drawn in zip(weather.plasma_fractal(draws, decay), draws, strict=True):
        assert np.abs(cloud - slow.plasma(drawn, decay)).max() < 1e-5


@pytest.mark.parametrize("sigma", [0.3, 1.5, 9.0])
def test_smoothing_by_cosines_is_smoothing_by_taps(slow, sigma):
    field = np.random.default_rng(5).uniform(-1, 1, SMALL).astype(np.float32)
    smooth = filters.gaussian_reflected(field[None, None], sigma, 3.0)[0, 0]
    assert np.abs(smooth - slow.smoothed_reflected(field, sigma, 3.0)).max() < 1e-5


@pytest.mark.parametrize("reach", [0.0, 2.0, 6.0])
def test_affine_moves(slow, reach):
    image = picture()
    corners = np.array([[9.0, 8.0], [9.0, 2.0], [3.0, 2.0]])
    moved = corners + np.random.default_rng(9).uniform(-reach, reach, (3, 2))
    down, right = digital.affine_coordinates(corners, moved[None], *SMALL)
    found = resample.sample(image[None].astype(np.float32), down, right, "mirror")[0]
    assert_levels(found, slow.moved_affinely(image, corners, moved), worst=0.1)


@pytest.mark.parametrize("border", ["reflect", "mirror"])
def test_reading_between_pixels_and_far_outside(slow, border):
    image, rng = picture(), np.random.default_rng(4)
    down, right = (rng.uniform(-40, 50, SMALL).astype(np.float32) for _ in range(2))
    found = resample.sample(image[None].astype(np.float32), down[None], right[None], border)[0]
    outside = slow.reflected if border == "reflect" else slow.mirrored
    for at in np.ndindex(SMALL):
        assert_levels(found[at], slow.between(image, down[at], right[at], outside), worst=0.02)


def colourful():
    """Random colours, with greys, black, white and full hues among them."""
    image = picture()
    image[0, :8] = [
        [0, 0, 0],
        [255, 255, 255],
        [90, 90, 90],
        [255, 0, 0],
        [0, 255, 9],
        [0, 0, 255],
        [9, 0, 0],
        [1, 1, 2],
    ]
    return image


@pytest.mark.parametrize("severity", range(1, 6))
def test_brightness(slow, severity):
    rise = CORRUPTIONS["brightness"].parameters(11, severity)
    assert_bytes(corrupt([colourful()], "brightness", severity, ["a"], 0)[0], slow.brightness(colourful(), *rise))


@pytest.mark.parametrize("severity", range(1, 6))
def test_saturation_tints_greys_red_as_the_published_code_does(slow, severity):
    change = CORRUPTIONS["saturate"].parameters(11, severity)
    assert_bytes(corrupt([colourful()], "saturate", severity, ["a"], 0)[0], slow.saturate(colourful(), *change))


@pytest.mark.parametrize("severity", range(1, 6))
def test_contrast(slow, severity):
    (share,) = CORRUPTIONS["contrast"].parameters(11, severity)
    assert_bytes(corrupt([picture()], "contrast", severity, ["a"], 0)[0], slow.contrast(picture(), share))


def test_pixelate_at_half_the_side_repeats_means_of_four():
    image = picture((64, 64))
    means = image.reshape(32, 2, 32, 2, 3).mean(axis=(1, 3))
    coarse = corrupt([image], "pixelate", 5, ["a"], 0)[0]
    assert np.array_equal(coarse, coarse[::2, ::2].repeat(2, axis=0).repeat(2, axis=1))
    assert np.abs(coarse[::2, ::2] - means).max() <= 1, "rows and columns are rounded one after the other"


def test_jpeg_keeps_flat_blocks_and_wears_down_noise():
    flat = np.full((32, 32, 3), 96, np.uint8)
    assert np.abs(corrupt([flat], "jpeg_compression", 5, ["a"], 0)[0].astype(int) - 96).max() <= 2
    noise = picture((32, 32))
    assert corrupt([noise], "jpeg_compression", 5, ["a"], 0)[0].std() < noise.std()


def liquid(seed, shape=(24, 31)):
    """A layer of drops as spatter makes them."""
    smooth = filters.gaussian(np.random.default_rng(seed).normal(0.65, 0.3, (1, 1, *shape)).astype(np.float32), 2)
    return np.where(smooth[0, 0] < 0.68, 0, smooth[0, 0] * 255).astype(np.uint8)


@pytest.mark.parametrize("seed", range(4))
def test_edges_of_drops(slow, seed):
    assert slow.canny(liquid(seed)).any()
    assert np.array_equal(canny(liquid(seed)), slow.canny(liquid(seed)))


def test_edges_of_soft_gradients(slow):
    layer = (np.random.default_rng(1).random((20, 20)) * 60).astype(np.uint8)
    assert np.array_equal(canny(layer), slow.canny(layer))


@pytest.mark.parametrize("top", [1, 5, 200])
def test_equalizing_levels(slow, top):
    levels = np.random.default_rng(2).integers(0, top, (9, 9), dtype=np.uint8)
    assert np.array_equal(equalize(levels), slow.equalize(levels))


def test_a_layer_without_drops_is_shaded_evenly():
    assert droplet_shading(np.zeros((12, 12), np.uint8)).std() == 0


def test_sheets_of_ice_have_the_photographs_colours_and_join_at_their_edges():
    means = [(78, 149, 166), (201, 205, 215), (201, 205, 215), (138, 153, 165), (112, 123, 135)]
    assert len(means) == SHEETS
    for number, mean in enumerate(means):
        sheet = ice_sheet(number).astype(float)
        assert np.abs(sheet.mean(axis=(0, 1)) - mean).max() < 1
        inside = np.abs(np.diff(sheet, axis=0)).mean()
        assert np.abs(sheet[0] - sheet[-1]).mean() < 1.5 * inside


def test_flat_pictures_stay_flat_under_blur():
    flat = np.full((40, 40, 3), 137, np.uint8)
    for name in (
        "defocus_blur",
        "glass_blur",
        "motion_blur",
        "zoom_blur",
        "gaussian_blur",
        "elastic_transform",
        "contrast",
    ):
        for severity in range(1, 6):
            assert np.all(corrupt([flat], name, severity, ["a"], 0)[0] == 137), (name, severity)
