"""Training with products in bfloat16, as on a GPU; the CPU's own autocast stands in for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.quant.coverage import coverage
from reliability.quant.layers import QuantLinear
from reliability.quant.prepare import RangeData, prepare
from reliability.quant.qat import training
from reliability.quant.qat.precision import bfloat16_products, pays
from reliability.quant.recipe import QatSettings, parse_recipe

RECIPE = replace(
    parse_recipe("w8a8-lsq"), range_images=24, qat=QatSettings(steps=12, batch=12, learning_rate=1e-3)
)  # fmt: skip


@pytest.fixture
def rounded(vit: nn.Module, small_data: RangeData) -> nn.Module:
    return prepare(vit, replace(parse_recipe("w8a8-minmax"), range_images=24), small_data)


def test_only_a_gpu_trains_in_bfloat16() -> None:
    assert pays(torch.device("cuda:0"))
    assert not pays(torch.device("cpu"))


@pytest.mark.parametrize("name", ["w8a8-minmax", "w8a8-dynamic", "mxint8-rtn", "fp8-rtn"])
def test_quantizers_see_float32_and_products_are_in_bfloat16(name: str, vit: nn.Module, small_data: RangeData) -> None:
    model = prepare(vit, replace(parse_recipe(name), range_images=24), small_data)
    layer = next(module for module in model.modules() if isinstance(module, QuantLinear))
    seen: dict[str, torch.dtype] = {}
    layer.activation.register_forward_hook(lambda _m, given, made: seen.update(given=given[0].dtype, made=made.dtype))
    layer.register_forward_hook(lambda _m, _given, made: seen.update(product=made.dtype))
    with bfloat16_products(model, torch.device("cpu")), torch.no_grad():
        model.encode_image(small_data.images)
    assert seen == {"given": torch.float32, "made": torch.float32, "product": torch.bfloat16}


def test_nothing_of_it_stays_behind(rounded: nn.Module, small_data: RangeData) -> None:
    def embed() -> Tensor:
        with torch.no_grad():
            features: Tensor = rounded.encode_image(small_data.images)
        return features

    before = embed()
    with bfloat16_products(rounded, torch.device("cpu")):
        assert not torch.equal(embed(), before)
    assert torch.equal(embed(), before)


def test_a_training_in_bfloat16_ends_in_float32_near_the_one_in_float32(
    vit: nn.Module, small_data: RangeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = prepare(vit, RECIPE, small_data)
    monkeypatch.setattr(training, "pays", lambda _: True)
    mixed = prepare(vit, RECIPE, small_data)
    assert {value.dtype for value in mixed.state_dict().values() if value.is_floating_point()} == {torch.float32}
    assert coverage(mixed, small_data.images[:1], small_data.tokens[:1], "vision").complete
    with torch.no_grad():
        near = F.cosine_similarity(mixed.encode_image(small_data.images), plain.encode_image(small_data.images))
    assert 0.98 < float(near.min()) < 1.0
