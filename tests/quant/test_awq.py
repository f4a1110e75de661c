from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reliability.errors import QuantizationError, UsageError
from reliability.quant.formats.weights import WeightFormat, integer_format
from reliability.quant.layers import QuantLinear, put_weight
from reliability.quant.methods import awq
from reliability.quant.methods.awq import activation_scale, diagonal_blocks, scale, search_clip, search_scale
from reliability.quant.methods.folds import find_folds
from reliability.quant.methods.layer_inputs import moments
from reliability.quant.methods.workbench import Workbench
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.range_setting import observe
from reliability.quant.recipe import EACH_TOWER, Recipe, parse_recipe
from reliability.quant.surgery import check_parity, split_attention

FOLDS = 2 * 3 + 1
FORMATS = {
    "channel": integer_format(4),
    "groups": integer_format(4, 32),
    "groups_zero_point": integer_format(3, 32, symmetric=False),
    "tensor": integer_format(4, "tensor"),
}


def small(name: str) -> Recipe:
    return replace(parse_recipe(name), range_images=24)


def bench_for(clip: nn.Module, data: RangeData, name: str) -> Workbench:
    explicit = split_attention(copy.deepcopy(clip)).requires_grad_(False)
    return Workbench(copy.deepcopy(explicit), explicit, parse_recipe(name), data, lambda _: None)


def inputs_with_outliers(rows: int = 200, width: int = 70) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(rows, width, generator=generator)
    x[:, ::9] *= 20
    return x


def test_scale_by_hand() -> None:
    magnitude = torch.tensor([1.0, 16.0, 0.0, 4.0])
    assert activation_scale(magnitude, 0.5).tolist() == pytest.approx([0.5, 2.0, 1.0, 1.0])
    assert activation_scale(magnitude, 0.0).tolist() == [1.0, 1.0, 1.0, 1.0]
    assert activation_scale(torch.zeros(3), 0.5).tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("name", ["w4a16-awq-both", "w3a16_g32_asym-awq-both"])
def test_scaling_is_exact_in_floating_point(vit: nn.Module, small_data: RangeData, name: str) -> None:
    bench = bench_for(vit, small_data, name)
    scale(bench)
    check_parity(vit, bench.model, small_data.images, small_data.tokens)
    before, after = bench.reference.state_dict(), bench.model.state_dict()
    changed = {key for key, value in before.items() if not torch.equal(value, after[key])}
    assert any(".ln_1." in key for key in changed)
    assert not any("c_proj" in key or "ln_pre" in key or "conv1" in key for key in changed)


def test_every_fold_has_an_exponent_of_least_output_error(vit: nn.Module, small_data: RangeData) -> None:
    bench = bench_for(vit, small_data, "w3a16_g32-awq-both")
    folds = [fold for tower in EACH_TOWER for fold in find_folds(bench.model, tower)]
    assert len(folds) == 2 * FOLDS
    form = integer_format(3, 32)
    for fold in folds:
        name = fold.readers[0]
        x = observe(bench.model, bench.recipe, small_data, lambda _: Collect(), [name])[name].rows()
        weights: list[Any] = [bench.model.get_parameter(f"{reader}.weight") for reader in fold.readers]
        layer = nn.Linear(x.shape[1], 1)
        exponent, chosen = search_scale(weights, moments(layer, x), form)

        def error(scales: Tensor, weights: list[Any] = weights, x: Tensor = x) -> float:
            made = (form.snap(w * scales, form.scales(w * scales)) / scales for w in weights)
            return sum(
                float(((w - m).double() @ x.double().T).square().sum()) for w, m in zip(weights, made, strict=True)
            )

        tried = {a: error(activation_scale(x.abs().double().mean(0), a)) for a in awq.EXPONENTS}
        assert exponent == min(tried, key=lambda a: tried[a]), name
        assert error(chosen) == pytest.approx(tried[exponent], rel=1e-4)
        assert tried[exponent] <= tried[0.0]


class Collect:
    def __init__(self) -> None:
        self.seen: list[Tensor] = []

    def update(self, x: Tensor) -> None:
        self.seen.append(x.reshape(-1, x.shape[-1]))

    def rows(self) -> Tensor:
        return torch.cat(self.seen)


def test_large_activations_get_large_weights() -> None:
    x = inputs_with_outliers()
    weight = nn.Parameter(torch.randn(12, 70, generator=torch.Generator().manual_seed(1)))
    exponent, scales = search_scale([weight], moments(nn.Linear(70, 1), x), integer_format(3))
    assert exponent > 0
    assert float(scales[::9].min()) > float(scales[1::9].max())


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_clipping_lowers_the_error_of_each_scales_own_part_of_the_output(form: WeightFormat) -> None:
    x = inputs_with_outliers()
    weight = torch.randn(12, 70, generator=torch.Generator().manual_seed(1)) ** 3
    source = nn.Linear(70, 12)
    source.weight.data.copy_(weight)
    layer = QuantLinear(source, form, nn.Identity())

    def errors() -> Tensor:
        difference = (weight - layer.weight).double()
        if not isinstance(form.sharing.unit, int):
            each = (x.double() @ difference.T).square().mean(0)
            return each if form.sharing.unit == "channel" else each.sum()
        parts = torch.split(difference, form.sharing.unit, dim=1), torch.split(x.double(), form.sharing.unit, dim=1)
        return torch.stack([(b @ a.T).square().mean(0) for a, b in zip(*parts, strict=True)])

    before = errors()
    put_weight(layer, weight, search_clip(layer, weight, moments(layer, x).products))
    assert bool((errors() <= before * (1 + 1e-9)).all())
    assert float(errors().sum()) < float(before.sum())


def test_blocks_of_the_diagonal_by_hand() -> None:
    matrix = torch.arange(9.0).reshape(1, 3, 3)
    blocks = diagonal_blocks(matrix + matrix.mT, 2)
    assert blocks.tolist() == [[[[0.0, 4.0], [4.0, 8.0]], [[16.0, 0.0], [0.0, 0.0]]]]


@torch.no_grad()
@pytest.mark.parametrize("name", ["w3a16_g32-awq-both", "w4a16-awq-both"])
def test_embeddings_come_closer(vit: nn.Module, small_data: RangeData, name: str) -> None:
    nearest, searched = (
        float(
            (
                prepare(vit, small(n), small_data).encode_image(small_data.images) - vit.encode_image(small_data.images)
            ).norm()
        )
        for n in (name.replace("awq", "rtn"), name)
    )
    assert searched < nearest


@pytest.mark.parametrize("name", ["w4a16_g32-awq-both", "w4a16_g32-awq+gptq-both"])
def test_a_skeleton_restores_it_and_a_second_time_gives_the_same_bits(
    vit: nn.Module, small_data: RangeData, name: str
) -> None:
    first, second = prepare(vit, small(name), small_data), prepare(vit, small(name), small_data)
    restored = skeleton(vit, small(name))
    restored.load_state_dict(first.state_dict())
    for other in (second, restored):
        assert all(torch.equal(value, other.state_dict()[key]) for key, value in first.state_dict().items())


def test_queries_and_keys_are_not_clipped(vit: nn.Module, small_data: RangeData) -> None:
    prepared: Any = prepare(vit, small("w3a16-awq"), small_data)
    attention = prepared.visual.transformer.resblocks[0].attn
    for layer in (attention.q_proj, attention.k_proj):
        largest = layer.weight.abs().amax(1, keepdim=True)
        torch.testing.assert_close(layer.weight_scale, largest / 3)


def test_a_tower_without_folds_is_refused(resnet: nn.Module, small_data: RangeData) -> None:
    with pytest.raises(QuantizationError, match=r"LayerNorms[\s\S]*vision tower[\s\S]*rtn, hqq or gptq"):
        scale(bench_for(resnet, small_data, "w4a16-awq"))


@pytest.mark.parametrize("name", ["w4a8-awq", "mxfp4-awq", "w4a16-hadamard+awq", "w4a16-smoothquant+awq"])
def test_where_it_makes_no_sense_it_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"weights alone[\s\S]*smoothquant|no LayerNorm|about quantizing them"):
        parse_recipe(name)
