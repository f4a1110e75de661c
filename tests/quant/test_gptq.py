from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reliability.errors import QuantizationError, UsageError
from reliability.quant.formats.values import Integers, Scales
from reliability.quant.formats.weights import integer_format
from reliability.quant.layers import QuantConv2d, QuantLayer, QuantLinear, scales_of
from reliability.quant.methods import gptq, pipeline
from reliability.quant.methods.gptq import Columns, GptqSettings, damped, inverse_factor, round_columns
from reliability.quant.methods.layer_inputs import (
    input_columns,
    moments,
    output_error,
    visit_layers,
    weight_columns,
    weight_from_columns,
)
from reliability.quant.methods.workbench import LayerBench
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.recipe import Recipe, parse_recipe

FORMATS = [
    "w4a8-gptq-both", "w4a8_t-gptq", "w4a8_g32_asym-gptq", "w3a16_asym-gptq-both", "w4a4-smoothquant+dynamic+gptq",
    "mxfp4-gptq", "nvfp4-gptq", "fp8-gptq",
]  # fmt: skip


def small(name: str) -> Recipe:
    return replace(parse_recipe(name), range_images=24)


def bench_of(monkeypatch: pytest.MonkeyPatch, clip: nn.Module, data: RangeData, name: str) -> LayerBench:
    """The workbench of a recipe, with its method applied."""
    kept: list[LayerBench] = []
    method = small(name).stages[-1]
    run = pipeline.LAYER_METHODS[method]

    def keep(bench: LayerBench) -> None:
        run(bench)
        kept.append(bench)

    monkeypatch.setitem(pipeline.LAYER_METHODS, method, keep)
    prepare(clip, small(name), data)
    return kept[0]


@torch.no_grad()
def layer_errors(bench: LayerBench, weight_of: Callable[[str, QuantLayer], Tensor]) -> dict[str, float]:
    """Squared error of each layer's output on what it sees, by running the layer itself."""
    found: dict[str, float] = {}

    def visit(name: str, layer: QuantLayer, x: Tensor) -> None:
        difference = bench.float_model.get_parameter(f"{name}.weight") - weight_of(name, layer)
        if isinstance(layer, nn.Conv2d):
            made = layer._conv_forward(x.double(), difference.double(), None)
        else:
            made = nn.functional.linear(x.double(), difference.double())
        found[name] = float(made.square().sum())

    visit_layers(bench, visit)
    return found


@pytest.mark.parametrize("name", FORMATS)
def test_every_layer_is_better_than_rounding_to_nearest(
    monkeypatch: pytest.MonkeyPatch, vit: nn.Module, small_data: RangeData, name: str
) -> None:
    bench = bench_of(monkeypatch, vit, small_data, name)

    def nearest(layer_name: str, layer: QuantLayer) -> Tensor:
        return layer.format.snap(bench.float_model.get_parameter(f"{layer_name}.weight"), scales_of(layer))

    mine, others = layer_errors(bench, lambda _, layer: layer.weight), layer_errors(bench, nearest)
    assert mine.keys() == bench.layers.keys()
    for layer, error in others.items():
        assert mine[layer] < error, layer


def test_convolutions_are_better_too(monkeypatch: pytest.MonkeyPatch, resnet: nn.Module, tokens: Tensor) -> None:
    data = RangeData(torch.randn(24, 3, 32, 32, generator=torch.Generator().manual_seed(1)), tokens)
    bench = bench_of(monkeypatch, resnet, data, "w4a8-gptq")
    mine = layer_errors(bench, lambda _, layer: layer.weight)
    others = layer_errors(
        bench, lambda n, layer: layer.format.snap(bench.float_model.get_parameter(f"{n}.weight"), scales_of(layer))
    )
    assert all(mine[name] < error for name, error in others.items())


@pytest.mark.parametrize("name", ["w4a8-gptq-both", "w4a16_g32_asym-gptq", "mxfp4_ceil-gptq"])
def test_a_skeleton_restores_it_and_a_second_time_gives_the_same_bits(
    vit: nn.Module, small_data: RangeData, name: str
) -> None:
    first, second = prepare(vit, small(name), small_data), prepare(vit, small(name), small_data)
    restored = skeleton(vit, small(name))
    restored.load_state_dict(first.state_dict())
    for other in (second, restored):
        assert all(torch.equal(value, other.state_dict()[key]) for key, value in first.state_dict().items())
        assert torch.equal(first.encode_image(small_data.images), other.encode_image(small_data.images))


@torch.no_grad()
def test_embeddings_come_closer(vit: nn.Module, small_data: RangeData) -> None:
    for tower in ("encode_image", "encode_text"):
        inputs = small_data.images if tower == "encode_image" else small_data.tokens
        nearest, rounded = (
            float((getattr(prepare(vit, small(name), small_data), tower)(inputs) - getattr(vit, tower)(inputs)).norm())
            for name in ("w4a8-rtn-both", "w4a8-gptq-both")
        )
        assert rounded < 0.7 * nearest


def by_hand(weight: Tensor, second_moment: Tensor, scale: Tensor, damping: float) -> Tensor:
    """Optimal brain quantization in the order of columns, the inverse cut down anew each time."""
    hessian = 2 * second_moment + damping * 2 * second_moment.diagonal().mean() * torch.eye(len(second_moment)).double()
    left, made = weight.clone(), torch.empty_like(weight)
    for j in range(weight.shape[1]):
        inverse = torch.linalg.inv(hessian[j:, j:])
        made[:, j] = (left[:, j] / scale[:, 0].double()).round().clamp(-7, 7) * scale[:, 0].double()
        left[:, j:] -= ((left[:, j] - made[:, j]) / inverse[0, 0])[:, None] * inverse[0]
    return made


@pytest.mark.parametrize("block", [1, 3, 128])
def test_columns_follow_the_inverse_of_what_is_left(block: int) -> None:
    torch.manual_seed(0)
    x = torch.randn(40, 10).double() @ torch.randn(10, 10).double()
    weight, moment = torch.randn(6, 10).double(), x.T @ x / 40
    scale = (weight.abs().amax(1, keepdim=True) / 7).float()
    columns = Columns(weight[None], moment[None], Integers(4), Scales(scale.expand(6, 10)[None]))
    made = round_columns(columns, GptqSettings(act_order=False, block=block))
    torch.testing.assert_close(made[0], by_hand(weight, moment, scale, 0.01), rtol=1e-6, atol=1e-6)
    order = moment.diagonal().argsort(descending=True)
    expected = by_hand(weight[:, order], moment[order][:, order], scale, 0.01)[:, order.argsort()]
    made = round_columns(columns, GptqSettings(act_order=True, block=block))
    torch.testing.assert_close(made[0], expected, rtol=1e-6, atol=1e-6)


def test_two_columns_by_hand() -> None:
    # Inputs are nearly equal, so the second weight takes up all that the first one lost: .4 + .4 rounds to 1.
    moment = torch.tensor([[[1.0, 0.999], [0.999, 1.0]]]).double()
    weight = torch.tensor([[[0.4, 0.4]]]).double()
    columns = Columns(weight, moment, Integers(4), Scales(torch.ones(1, 1, 2)))
    assert round_columns(columns, GptqSettings(damping=1e-6)).tolist() == [[[0.0, 1.0]]]


def test_the_factor_is_the_upper_cholesky_of_the_inverse() -> None:
    x = torch.randn(2, 30, 8, generator=torch.Generator().manual_seed(0)).double()
    hessian = x.mT @ x
    expected = torch.linalg.cholesky(torch.linalg.inv(hessian), upper=True)
    torch.testing.assert_close(inverse_factor(hessian), expected)


def test_dead_columns_are_zero_and_do_not_weigh_in_the_damping() -> None:
    moment = torch.diag(torch.tensor([2.0, 0.0, 4.0])).double()[None]
    assert damped(moment, 0.1)[0].diagonal().tolist() == pytest.approx([4.6, 1.6, 8.6])
    layer: Any = prepared_linear(torch.tensor([[0.5, 1.0, -0.25], [0.1, 0.2, 0.7]]))
    wanted = layer.weight.detach().clone()
    gptq.round_layer(layer, wanted, moment, gptq.DEFAULTS)
    assert layer.weight[:, 1].tolist() == [0.0, 0.0]
    assert torch.equal(layer.weight[:, ::2], wanted[:, ::2])


def prepared_linear(weight: Tensor) -> nn.Module:
    source = nn.Linear(weight.shape[1], weight.shape[0])
    source.weight.data.copy_(weight)
    return QuantLinear(source, integer_format(4), nn.Identity())


def test_weights_on_the_grid_stay() -> None:
    torch.manual_seed(0)
    layer: Any = prepared_linear(torch.randn(5, 12))
    before = layer.weight.detach().clone()
    after, nearest = gptq.round_layer(layer, before, moments(layer, torch.randn(50, 12)).products, gptq.DEFAULTS)
    assert torch.equal(layer.weight, before)
    assert after == nearest == 0.0


@pytest.mark.parametrize("act_order", [True, False])
def test_groups_of_a_convolution_are_rounded_each_by_its_own_inputs(act_order: bool) -> None:
    torch.manual_seed(0)
    source = nn.Conv2d(6, 12, 3, groups=3, bias=False).requires_grad_(False)
    x = torch.randn(8, 6, 9, 9).cumsum(-1).cumsum(-2)
    layer = QuantConv2d(source, integer_format(4), nn.Identity())
    nearest = layer.weight.clone()
    after, before = gptq.round_layer(
        layer, source.weight, moments(layer, x).products, GptqSettings(act_order=act_order)
    )
    expected, *made = (
        nn.functional.conv2d(x.double(), weight.double(), groups=3) for weight in (source.weight, layer.weight, nearest)
    )
    errors = [float((expected - output).square().mean((0, 2, 3)).sum()) for output in made]
    assert errors == pytest.approx([after, before], rel=1e-4)
    assert after < 0.5 * before


@pytest.mark.parametrize("settings", [{}, {"padding": 1, "stride": 2}, {"groups": 4, "padding": "same", "dilation": 2}])
@pytest.mark.parametrize("mode", ["zeros", "circular"])
def test_columns_times_weights_are_the_convolution(settings: dict[str, Any], mode: str) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(8, 12, (3, 3), bias=False, padding_mode=mode, **settings)
    x = torch.randn(3, 8, 7, 6)
    taken = torch.cat(list(input_columns(layer, x)), dim=1)
    rows = weight_columns(layer, layer.weight)
    made = (taken @ rows.mT).reshape(layer.groups, 3, -1, 12 // layer.groups).permute(1, 0, 3, 2)
    expected = layer(x).detach()
    torch.testing.assert_close(made.reshape(expected.shape), expected, rtol=1e-4, atol=1e-5)
    assert torch.equal(weight_from_columns(layer, rows), layer.weight)


def test_moments_do_not_depend_on_how_inputs_are_split() -> None:
    layer, x = nn.Linear(5, 3), torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(0))
    whole, split = moments(layer, x), moments(layer, x[:1])
    split.update(x[1:])
    flat = x.reshape(-1, 5).double()
    torch.testing.assert_close(whole.products[0], flat.T @ flat / 24)
    torch.testing.assert_close(split.products, whole.products)
    torch.testing.assert_close(whole.mean[0], flat.mean(0))
    torch.testing.assert_close(split.magnitude[0], flat.abs().mean(0))


def test_the_error_is_that_of_the_outputs() -> None:
    layer, x = nn.Linear(5, 3), torch.randn(20, 5, generator=torch.Generator().manual_seed(0))
    difference = torch.randn(1, 3, 5).double()
    expected = (x.double() @ difference[0].T).square().mean(0)
    torch.testing.assert_close(output_error(difference, moments(layer, x).products)[0], expected)


def test_layers_are_visited_in_order_behind_those_that_were_changed(
    monkeypatch: pytest.MonkeyPatch, vit: nn.Module, small_data: RangeData
) -> None:
    bench = bench_of(monkeypatch, vit, small_data, "w4a16-rtn")
    seen: dict[str, Tensor] = {}

    def silence(name: str, layer: QuantLayer, x: Tensor) -> None:
        seen[name] = x
        layer.weight.zero_()
        if layer.bias is not None:
            layer.bias.zero_()

    visit_layers(bench, silence)
    names = list(seen)
    assert names[0] == "visual.conv1"
    assert names[-1] == "visual.proj.linear"
    assert seen["visual.transformer.resblocks.0.attn.out_proj"].abs().max() == 0
    assert len(seen["visual.conv1"]) == 24


def test_text_after_its_end_is_left_out(vit: nn.Module, small_data: RangeData) -> None:
    from_padding = RangeData(small_data.images, small_data.tokens.clone())
    after_end = torch.arange(8) > from_padding.tokens.argmax(1)[:, None]
    from_padding.tokens[after_end] = 7
    plain, other = (prepare(vit, small("w4a8-gptq-text"), data) for data in (small_data, from_padding))
    assert all(torch.equal(value, other.state_dict()[key]) for key, value in plain.state_dict().items())


def test_a_layer_that_never_runs_is_refused(vit: nn.Module, small_data: RangeData) -> None:
    idle: Any = copy.deepcopy(vit)
    idle.visual.spare = nn.Linear(4, 4)
    with pytest.raises(QuantizationError, match=r"visual\.spare"):
        prepare(idle, small("w4a16-gptq"), small_data)


@pytest.mark.parametrize("name", ["w4a4-gptq+lsq", "w4a8-gptq+hqq"])
def test_senseless_pairs_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match=r"training rounds to nearest|both are about rounding"):
        parse_recipe(name)


@pytest.mark.parametrize("name", ["w4a8-gptq", "w4a8-mixed", "w4a8-raana", "w4a8-brecq"])
def test_declaring_every_layer_float_is_refused_before_any_method_runs(
    vit: nn.Module, small_data: RangeData, name: str
) -> None:
    with pytest.raises(QuantizationError, match="names every layer, so nothing would be quantized"):
        prepare(vit, replace(small(name), float_layers="*"), small_data)


@pytest.mark.parametrize("name", ["w4a8-gptq", "w4a8-mixed+hqq", "w4a8-raana+biascorr"])
def test_declared_layers_stay_in_float_and_the_others_are_rounded(
    vit: nn.Module, small_data: RangeData, name: str
) -> None:
    prepared = prepare(vit, replace(small(name), float_layers="visual.conv1 *.c_fc"), small_data)
    for layer in ("visual.conv1", "visual.transformer.resblocks.0.mlp.c_fc"):
        assert torch.equal(prepared.get_parameter(f"{layer}.weight"), vit.get_parameter(f"{layer}.weight"))
        assert not hasattr(prepared.get_submodule(layer), "format")
