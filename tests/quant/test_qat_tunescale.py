from __future__ import annotations

import copy
from dataclasses import replace
from math import exp, log

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.errors import QuantizationError, UsageError
from reliability.quant.methods.tunescale import best_scale, caption_cosines, caption_loss
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.recipe import FP32, Recipe, parse_recipe

NAMES = ["fp32-tunescale", "w8a8-minmax+tunescale", "w4a4-tunescale-both", "w8a8-dynamic+tunescale-text"]


def recipe(name: str) -> Recipe:
    return replace(parse_recipe(name), range_images=24)


@pytest.fixture(scope="module")
def data(vit: nn.Module, small_data: RangeData) -> RangeData:
    """Two thirds of the images get the caption that the random model finds closest, the others keep theirs."""
    with torch.no_grad():
        cosines = F.normalize(vit.encode_image(small_data.images)) @ F.normalize(vit.encode_text(small_data.tokens)).T
    return RangeData(
        small_data.images, torch.cat([small_data.tokens[cosines.argmax(dim=1)[:16]], small_data.tokens[16:]])
    )


def untuned(name: str) -> Recipe:
    wanted = recipe(name)
    if name.startswith("fp32"):
        return FP32
    return replace(wanted, name="plain", method="rtn")


@torch.no_grad()
@pytest.mark.parametrize("name", NAMES)
def test_only_the_logit_scale_changes_and_its_own_loss_falls(name: str, vit: nn.Module, data: RangeData) -> None:
    before, after = prepare(vit, untuned(name), data), prepare(vit, recipe(name), data)
    old, new = before.state_dict(), after.state_dict()
    assert [key for key in old if not torch.equal(old[key], new[key])] == ["logit_scale"]
    assert torch.equal(before.encode_image(data.images), after.encode_image(data.images))
    assert torch.equal(before.encode_text(data.tokens), after.encode_text(data.tokens))
    cosines, captions = caption_cosines(after, data)
    losses = [caption_loss(cosines, captions, float(model.logit_scale.exp())) for model in (before, after)]
    assert losses[1] < losses[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_skeleton_restores_it(name: str, vit: nn.Module, data: RangeData) -> None:
    tuned, restored = prepare(vit, recipe(name), data), skeleton(vit, recipe(name))
    restored.load_state_dict(tuned.state_dict())
    assert torch.equal(tuned.logit_scale, restored.logit_scale)
    assert torch.equal(tuned.encode_text(data.tokens), restored.encode_text(data.tokens))


def test_tuned_fp32_is_the_original_with_another_scale(vit: nn.Module, data: RangeData) -> None:
    tuned = prepare(vit, recipe("fp32-tunescale"), data)
    assert tuned.state_dict().keys() == vit.state_dict().keys()
    assert [type(m) for m in tuned.modules()] == [type(m) for m in vit.modules()]


def test_the_result_does_not_depend_on_the_scale_before(vit: nn.Module, data: RangeData) -> None:
    louder = copy.deepcopy(vit)
    louder.logit_scale.data.fill_(1.0)
    first, second = (prepare(model, recipe("fp32-tunescale"), data).logit_scale for model in (vit, louder))
    assert torch.equal(first, second)


def test_the_best_scale_by_hand() -> None:
    # Own captions at cosine 1 and the other at 0, but for one image in four: sigmoid(s) = 3 / 4.
    cosines = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
    captions = torch.tensor([0, 1, 0, 0])
    scale = best_scale(cosines, captions, "here")
    assert scale == pytest.approx(log(3), rel=1e-9)
    assert caption_loss(cosines, captions, scale) == pytest.approx(-(3 * log(0.75) + log(0.25)) / 4)
    assert caption_loss(cosines, captions, 2.0) == pytest.approx((3 * log(1 + exp(-2)) + log(1 + exp(2))) / 4)


def test_the_best_scale_beats_its_neighbours() -> None:
    cosines = torch.rand(50, 9, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    captions = (cosines + 0.5 * torch.rand(50, 9, generator=torch.Generator().manual_seed(1))).argmax(dim=1)
    scale = best_scale(cosines, captions, "here")
    best = caption_loss(cosines, captions, scale)
    assert all(caption_loss(cosines, captions, scale * factor) > best for factor in (0.5, 0.99, 1.01, 2.0))


def always_right() -> Tensor:
    return torch.eye(3, dtype=torch.float64)


@pytest.mark.parametrize("cosines", [always_right(), -always_right(), torch.ones(3, 3, dtype=torch.float64)])
def test_pairs_that_no_scale_suits_are_refused(cosines: Tensor) -> None:
    with pytest.raises(QuantizationError, match=r"no logit scale is best[\s\S]*more range-setting pairs"):
        best_scale(cosines, torch.arange(3), "here")


def test_equal_captions_are_one_candidate(vit: nn.Module, data: RangeData) -> None:
    twice = RangeData(data.images, data.tokens[[0, 1] * 12])
    cosines, captions = caption_cosines(vit, twice)
    assert cosines.shape == (24, 2)
    text = F.normalize(vit.encode_text(twice.tokens).double(), dim=1)
    image = F.normalize(vit.encode_image(twice.images).double(), dim=1)
    own = cosines.gather(1, captions[:, None])[:, 0]
    torch.testing.assert_close(own, (image * text).sum(dim=1), rtol=1e-5, atol=1e-6)


def test_its_place_in_names() -> None:
    assert parse_recipe("w8a8-tunescale").identity == parse_recipe("w8a8-minmax+rtn+tunescale").identity
    assert parse_recipe("w4a4-smoothquant+lsq+tunescale").stages == ("smoothquant", "lsq", "tunescale")
    tuned = parse_recipe("fp32-tunescale-s3")
    assert (tuned.weight_bits, tuned.activation, tuned.towers, tuned.seed) == (32, "none", "none", 3)
    assert tuned.ends_in_float
    assert not tuned.is_float


def test_evaluations_see_it_through_the_text_side_alone() -> None:
    for name in NAMES:
        tuned = parse_recipe(name)
        assert tuned.changes("text")
        assert tuned.changes("vision") == tuned.quantizes("vision")
    assert not parse_recipe("fp32-tunescale").quantizes("text")
    assert not parse_recipe("w8a8-minmax").changes("text")
    assert not FP32.changes("text")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("fp32-minmax", "quantizes nothing"),
        ("fp32-lsq+tunescale", "quantizes nothing"),
        ("fp32-tunescale-both", "quantizes no tower"),
        ("fp32_t-tunescale", "fp32_t"),
        ("w8a8-tunescale+lsq", "order in which they run"),
    ],
)
def test_senseless_names_are_refused(name: str, part: str) -> None:
    with pytest.raises(UsageError, match=part):
        parse_recipe(name)
