"""Corruptions at 224 px beside the ``imagecorruptions`` package, where it is installed.

Where nothing is drawn, pixels are compared. Where something is, the package gets
the same draws if its code lets them be handed in, and else the statistics are
compared over many pictures. Left out: the elastic transform, which the package
replaced by another one (ours is compared with OpenCV and SciPy doing what the
published code did), and the textures of frost.
"""

from __future__ import annotations

import runpy
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

from reliability.data.corruptions import filters, glass, weather
from reliability.data.corruptions.droplets import canny, droplet_shading, equalize
from reliability.data.corruptions.filters import disk, planes
from reliability.data.corruptions.registry import CORRUPTIONS, corrupt
from reliability.data.corruptions.resample import zoom_crop
from reliability.data.counter_rng import keys_for_ids, normal, uniform
from reliability.data.scenes.render import render
from reliability.data.scenes.sample import sample

BENCHMARK = Path(__file__).parents[2] / "benchmarks" / "corruptions.py"
SAME = (
    "defocus_blur",
    "zoom_blur",
    "brightness",
    "contrast",
    "jpeg_compression",
    "gaussian_blur",
    "saturate",
    "pixelate",
)
NOISE = ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise")
COUNT = 6


@pytest.fixture(scope="module")
def package():
    # Not `importorskip`: the package imports a part of setuptools that is gone, and `published` puts it back first.
    try:
        return runpy.run_path(str(BENCHMARK))["published"]()
    except ModuleNotFoundError as error:
        pytest.skip(f"{error.name} is not installed")


@pytest.fixture(scope="module")
def images():
    return list(render(sample("published", 0, np.arange(COUNT)), 224))


def ours(images, name, severity):
    return np.stack(corrupt(images, name, severity, [f"p{i}" for i in range(len(images))], 0)).astype(float)


def theirs(package, images, name, severity):
    np.random.seed(severity)
    return np.stack([package.corrupt(image, corruption_name=name, severity=severity) for image in images]).astype(float)


def psnr(damaged, clean):
    return 10 * np.log10(255**2 / np.mean((damaged - np.stack(clean)) ** 2))


@pytest.mark.parametrize("severity", range(1, 6))
@pytest.mark.parametrize("name", SAME)
def test_pixels_are_those_of_the_package_to_one_level(package, images, name, severity):
    difference = np.abs(ours(images[:2], name, severity) - theirs(package, images[:2], name, severity))
    assert difference.max() <= 1
    assert difference.mean() < 0.25


@pytest.mark.parametrize("severity", [1, 3, 5])
@pytest.mark.parametrize("name", NOISE)
def test_noise_has_the_mean_the_spread_and_the_distance_of_the_package_s(package, images, name, severity):
    mine, other = ours(images, name, severity), theirs(package, images, name, severity)
    assert mine.mean() == pytest.approx(other.mean(), abs=0.3)
    assert mine.std() == pytest.approx(other.std(), abs=0.3)
    assert psnr(mine, images) == pytest.approx(psnr(other, images), abs=0.1)


@pytest.mark.parametrize(
    ("name", "severity"),
    [("glass_blur", 2), ("motion_blur", 1), ("motion_blur", 5), ("spatter", 1), ("spatter", 3), ("spatter", 5)],
)
def test_damage_in_places_has_about_the_statistics_of_the_package_s(package, images, name, severity):
    few = images[:1] if name == "glass_blur" else images
    mine, other = ours(few, name, severity), theirs(package, few, name, severity)
    assert mine.mean() == pytest.approx(other.mean(), abs=1.5)
    assert mine.std() == pytest.approx(other.std(), abs=1.5)
    assert psnr(mine, few) == pytest.approx(psnr(other, few), abs=3 if name == "spatter" else 1.5)


@pytest.mark.parametrize("severity", range(1, 6))
def test_snow_from_the_same_draws_is_the_package_s(package, images, monkeypatch, severity):
    _, _, factor, *_ = CORRUPTIONS["snow"].parameters(224, severity)
    key = keys_for_ids(f"corruption/snow/{severity}", 0, ["p0"])
    crop = zoom_crop(224, factor)
    top = (224 - crop) // 2

    def drawn(size, loc, scale):
        field = np.zeros(size)
        field[top : top + crop, top : top + crop] = normal(key, "snow", crop * crop).reshape(crop, crop)
        return loc + scale * field

    monkeypatch.setattr(np.random, "normal", drawn)
    monkeypatch.setattr(np.random, "uniform", lambda low, high: low + (high - low) * uniform(key, "wind")[0, 0])
    expected = package.corrupt(images[0], corruption_name="snow", severity=severity).astype(float)
    difference = np.abs(ours(images[:1], "snow", severity)[0] - expected)
    assert difference.max() <= 4, "the original code stores the flakes as bytes before they are smeared, and so do we"
    assert difference.mean() < 1


@pytest.mark.parametrize("severity", range(1, 6))
def test_fog_from_the_same_cloud_is_the_package_s(package, images, monkeypatch, severity):
    _, decay = CORRUPTIONS["fog"].parameters(224, severity)
    key = keys_for_ids(f"corruption/fog/{severity}", 0, ["p0"])
    draws = 2 * uniform(key, "plasma", 256 * 256).reshape(1, 256, 256) - 1
    cloud = weather.plasma_fractal(draws, decay)[0].astype(float)
    monkeypatch.setattr(package.corruptions, "plasma_fractal", lambda mapsize, wibbledecay: cloud)  # noqa: ARG005
    expected = package.corrupt(images[0], corruption_name="fog", severity=severity).astype(float)
    assert np.abs(ours(images[:1], "fog", severity)[0] - expected).max() <= 1


@pytest.mark.parametrize("severity", range(1, 6))
def test_the_elastic_transform_from_the_same_draws_is_the_published_one(package, images, severity):
    cv2, smooth = package.corruptions.cv2, package.corruptions.gaussian
    alpha, sigma, reach = CORRUPTIONS["elastic_transform"].parameters(224, severity)
    key = keys_for_ids(f"corruption/elastic_transform/{severity}", 0, ["p0"])
    corners = np.float32([[112 + 74, 112 + 74], [112 + 74, 112 - 74], [112 - 74, 112 - 74]])
    moves = reach * (2 * uniform(key, "affine", 6) - 1).reshape(3, 2)
    matrix = cv2.getAffineTransform(corners, corners + moves.astype(np.float32))
    moved = cv2.warpAffine(images[0].astype(np.float32), matrix, (224, 224), borderMode=cv2.BORDER_REFLECT_101)
    draws = (2 * uniform(key, "elastic", 2 * 224 * 224) - 1).reshape(2, 224, 224).astype(float)
    right, down = (alpha * smooth(draw, sigma, mode="reflect", truncate=3) for draw in draws)
    rows, columns = np.mgrid[:224, :224]
    expected = [
        map_coordinates(moved[..., c], [rows + down, columns + right], order=1, mode="reflect") for c in range(3)
    ]
    assert np.abs(ours(images[:1], "elastic_transform", severity)[0] - np.stack(expected, axis=-1)).max() < 1.5


def test_the_lens_is_the_package_s(package):
    for radius, alias in ((3, 0.1), (4, 0.5), (8, 0.5), (10, 0.5)):
        kernel, other = disk(radius, alias), package.corruptions.disk(radius, alias)
        trim = (len(other) - len(kernel)) // 2
        assert np.abs(kernel - other[trim : len(other) - trim, trim : len(other) - trim]).max() < 1e-6


@pytest.mark.parametrize("degrees", [-45.0, -10.0, 33.0, -90.0, -130.0])
def test_motion_along_one_direction_is_the_package_s(package, images, degrees):
    mine = filters.motion_blur(planes(images[0][None]), 15, 8, np.array([degrees], np.float32))[0].transpose(1, 2, 0)
    assert np.abs(mine - package.corruptions._motion_blur(images[0], 15, 8, degrees)).max() < 0.01


def test_copies_behind_glass_are_those_of_the_package_s_swap(images):
    """The statement that the package calls a swap, on the same draws."""
    image = images[0][:60, :50].copy()
    draws = np.random.default_rng(0).random((1, 3000), dtype=np.float32)
    source = glass.follow_copies(glass.near_pixels(draws, 60, 50, 2))[0]
    expected = image.copy()
    cells = (draws.reshape(60, 50) * 16).astype(int)
    for h in range(58, 2, -1):
        for w in range(48, 2, -1):
            h_near, w_near = h + cells[h, w] // 4 - 2, w + cells[h, w] % 4 - 2
            expected[h, w], expected[h_near, w_near] = expected[h_near, w_near], expected[h, w]
    assert np.array_equal(image.reshape(-1, 3)[source].reshape(image.shape), expected)


def test_clouds_from_the_same_draws_are_the_package_s(package, monkeypatch):
    field = np.random.default_rng(1).uniform(-1, 1, (64, 64))
    places, step = [], 64
    while step >= 2:
        half, step = step // 2, step // 2
        places += [(half, half), (0, half), (half, 0)]
    strides = [2 * place[0] or 2 * place[1] for place in places]

    def drawn(_low, high, shape):
        (top, left), stride = places.pop(0), strides.pop(0)
        part = field[top::stride, left::stride]
        assert part.shape == shape
        return part * high

    monkeypatch.setattr(np.random, "uniform", drawn)
    expected = package.corruptions.plasma_fractal(mapsize=64, wibbledecay=1.7)
    assert np.abs(weather.plasma_fractal(field[None].astype(np.float32), 1.7)[0] - expected).max() < 1e-5


def test_edges_levels_and_shading_of_drops_are_opencv_s(package):
    cv2 = package.corruptions.cv2
    smooth = package.corruptions.gaussian(np.random.default_rng(2).normal(0.65, 0.3, (224, 224)), sigma=2)
    layer = np.where(smooth < 0.68, 0, smooth * 255).astype(np.uint8)
    edges = cv2.Canny(layer, 50, 150)
    assert np.array_equal(canny(layer), edges > 0)
    assert np.array_equal(equalize(layer), cv2.equalizeHist(layer))
    distance = np.minimum(cv2.distanceTransform(255 - edges, cv2.DIST_L2, 5), 20)
    levels = cv2.equalizeHist(cv2.blur(distance, (3, 3)).astype(np.uint8))
    lit = cv2.filter2D(levels, cv2.CV_8U, np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]]))
    assert np.abs(droplet_shading(layer) - cv2.blur(lit, (3, 3))).mean() < 3
