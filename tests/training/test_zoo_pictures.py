from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from training.pictures import augment, pixels, resized, to_input
from training.plans import PLANS

IMAGES = np.random.default_rng(1).integers(60, 196, (3, 32, 32, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", PLANS)
def test_a_model_is_trained_on_what_its_own_preprocessing_gives_it(name: str) -> None:
    """Pillow rounds to bytes after each direction of resizing; training does not, so over a byte may lie between."""
    from open_clip.transform import PreprocessCfg, image_transform_v2

    plan, size = PLANS[name], PLANS[name].vision["image_size"]
    preprocess = image_transform_v2(PreprocessCfg(**plan.preprocessing, size=size), is_train=False)
    expected = torch.stack([preprocess(Image.fromarray(image)) for image in IMAGES])
    got = to_input(pixels(IMAGES), size, plan.statistics)
    assert got.shape == expected.shape == (3, 3, size, size)
    assert (got - expected).abs().max().item() <= 1.1 / 255 / min(plan.statistics[1])


def test_pictures_of_the_right_size_are_left_alone() -> None:
    x = torch.rand(2, 3, 8, 8)
    assert resized(x, 8) is x


def test_resized_values_stay_within_black_and_white() -> None:
    """Bicubic overshoots at edges; bytes cannot."""
    edge = torch.zeros(1, 3, 8, 8)
    edge[..., 4:] = 1.0
    got = resized(edge, 16)
    assert (got.min().item(), got.max().item()) == (0.0, 1.0)
    assert torch.nn.functional.interpolate(edge, (16, 16), mode="bicubic", antialias=True).max() > 1.01


def shifted(pad: int, flip: bool, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.arange(40 * 36, dtype=torch.float32).view(40, 1, 6, 6).expand(-1, 3, -1, -1)
    return x, augment(x, flip, pad, torch.Generator().manual_seed(seed))


def test_every_shift_up_to_the_largest_comes_and_edges_are_reflected() -> None:
    x, got = shifted(1, flip=False)
    seen = set()
    for before, after in zip(x, got, strict=True):
        padded = np.pad(before[0].numpy(), 1, mode="reflect")
        windows = {(i, j): padded[i : i + 6, j : j + 6] for i in range(3) for j in range(3)}
        seen |= {offset for offset, window in windows.items() if np.array_equal(window, after[0].numpy())}
    assert len(seen) == 9


def test_scenes_are_never_mirrored_and_about_half_of_photographs_are() -> None:
    for flip, low, high in ((False, 0, 0), (True, 12, 28)):
        x, got = shifted(0, flip)
        mirrored = [torch.equal(a.flip(-1), b) for a, b in zip(x, got, strict=True)]
        assert low <= sum(mirrored) <= high
        assert all(same or torch.equal(a, b) for same, a, b in zip(mirrored, x, got, strict=True))


def test_what_is_drawn_depends_on_the_generator_alone() -> None:
    assert torch.equal(shifted(2, True, 5)[1], shifted(2, True, 5)[1])
    assert not torch.equal(shifted(2, True, 5)[1], shifted(2, True, 6)[1])
