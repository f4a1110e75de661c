"""Real kernels: names, refusals, and the same codes and sums as the simulation."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.errors import MissingExtraError, QuantizationError, UsageError
from reliability.quant.backends import registry
from reliability.quant.backends.layers import KernelLayer
from reliability.quant.backends.registry import BACKENDS, require_available
from reliability.quant.backends.scaled_fp8 import Fp8Layer
from reliability.quant.backends.torch_int8 import Int8Layer
from reliability.quant.backends.windows import Windows
from reliability.quant.formats.sharing import columns
from reliability.quant.layers import QuantConv2d, QuantLinear
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.quantizers import ACTIVATIONS
from reliability.quant.recipe import Recipe, list_recipes, parse_recipe
from reliability.quant.towers import gemm_layers


def small(name: str) -> Recipe:
    return replace(parse_recipe(name), range_images=24)


@pytest.mark.parametrize("name", ["w8a8-dynamic@torch-int8", "w8a8-smoothquant-a0.75-both-s3@onnxruntime"])
def test_a_backend_stands_at_the_end_of_a_name_and_changes_nothing_else(name: str) -> None:
    recipe, plain = parse_recipe(name), parse_recipe(name.partition("@")[0])
    assert recipe.name == name
    assert recipe.backend == name.partition("@")[2]
    assert recipe.simulated == plain
    assert recipe.identity == {**plain.identity, "backend": recipe.backend}
    assert plain.simulated is plain


def test_a_simulated_recipe_keeps_the_address_it_had_before_there_were_backends() -> None:
    assert "backend" not in parse_recipe("w8a8-minmax").identity


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("w8a8-dynamic@", "unknown backend"),
        ("w8a8-dynamic@torchaoo", r"did you mean @torchao\?"),
        ("w8a8-dynamic@torchao@fp8", "unknown backend"),
        ("fp32@torch-int8", "fp32 quantizes nothing"),
        ("w8a8-noise@torch-int8", "ends in float"),
        ("w8a8-minmax+attention@torch-int8", "attention's own products"),
        ("w8a16-minmax@torch-int8", r"a16 leaves activations in float[\s\S]*take @torchao"),
        ("w4a8_g64-minmax@torch-int8", r"several scales[\s\S]*simulate it: w4a8_g64-minmax"),
        ("w8a8_asym-minmax@onnxruntime", "without a zero point"),
        ("w4a4-minmax@onnxruntime", r"8 bits, not 4[\s\S]*take @torch-int8"),
        ("w8a4-minmax@torchao", "8 bits, not 4"),
        ("w8a8_g32-minmax@torchao", "several scales"),
        ("mxfp4-rtn@torch-int8", "codes of mxfp4"),
        ("fp8e5m2-rtn@fp8", r"fp8e5m2 is something else"),
        ("w8a8-minmax@fp8", "E4M3 by E4M3"),
        ("w8a9-minmax@torch-int8", "the format"),
    ],
)
def test_what_a_backend_cannot_run_is_refused_with_the_reason_and_what_can(name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_recipe(name)


@given(
    st.sampled_from(list(BACKENDS)),
    st.sampled_from([name for name in list_recipes() if "@" not in name]),
    st.sampled_from(["", "-both", "-s1"]),
)
@settings(max_examples=300, deadline=None)
def test_every_recipe_is_either_run_or_refused_by_every_backend(backend: str, plain: str, rest: str) -> None:
    try:
        recipe = parse_recipe(f"{plain}{rest}@{backend}")
    except UsageError:
        return
    assert recipe.backend == backend
    assert not recipe.ends_in_float


def test_typical_recipes_of_every_backend_are_listed() -> None:
    listed = [name for name in list_recipes() if "@" in name]
    assert {parse_recipe(name).backend for name in listed} == set(BACKENDS)


def test_names_with_a_backend_are_read_without_torch() -> None:
    code = "import sys; from reliability.quant.recipe import *; parse_recipe('w8a8-dynamic@torchao'); list_recipes(); "
    code += "sys.exit(bool({'torch', 'torchao', 'onnx', 'onnxruntime'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_missing_package_is_an_error_only_when_its_kernels_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda name: None if name == "torchao" else object())
    require_available([parse_recipe("w8a8-minmax"), parse_recipe("w8a8-minmax@torch-int8")], "cpu")
    with pytest.raises(MissingExtraError, match=r"no torchao[\s\S]*quant-reliability\[torchao\]"):
        require_available([parse_recipe("w8a8-dynamic@torchao")], "cpu")


def test_kernels_of_another_device_are_refused_there(vit: nn.Module, small_data: RangeData) -> None:
    with pytest.raises(QuantizationError, match=r"run on cuda only[\s\S]*simulate it: fp8-rtn"):
        require_available([parse_recipe("fp8-rtn@fp8")], "cpu")
    with pytest.raises(QuantizationError, match="run on cuda only"):
        prepare(vit, small("fp8-rtn@fp8"), small_data)


def test_kernels_of_a_cpu_are_refused_on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "find_spec", lambda _: object())
    with pytest.raises(QuantizationError, match="run on cpu only"):
        require_available([parse_recipe("w8a8-minmax@onnxruntime")], "cuda:1")


CONVOLUTIONS: dict[str, dict[str, Any]] = {
    "patches": {"kernel_size": 4, "stride": 4},
    "overlapping": {"kernel_size": 3, "stride": 2, "padding": 1},
    "oblong": {"kernel_size": (3, 2), "stride": (1, 2), "padding": (2, 0), "dilation": (2, 1)},
    "reflected": {"kernel_size": 3, "padding": 1, "padding_mode": "reflect"},
    "leaving pixels out": {"kernel_size": 2, "stride": 3},
}


@pytest.mark.parametrize("settings", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_a_convolution_is_the_product_of_its_windows(settings: dict[str, Any]) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(5, 7, **settings).double()
    images = torch.randn(3, 5, 12, 16, dtype=torch.float64)
    windows = Windows.of("conv", layer)
    got = windows.images(windows.rows(images) @ columns(layer.weight).T + layer.bias, images)
    torch.testing.assert_close(got, layer(images), rtol=1e-12, atol=1e-12)


def test_a_grouped_convolution_is_refused_by_name() -> None:
    with pytest.raises(QuantizationError, match=r"layer stem[\s\S]*2 groups"):
        Windows.of("stem", nn.Conv2d(4, 4, 3, groups=2))


def simulated_layer(name: str, layer: nn.Linear | nn.Conv2d, x: Tensor) -> QuantLinear | QuantConv2d:
    from reliability.quant.formats.weights import weight_format

    recipe = parse_recipe(name)
    activation = ACTIVATIONS[recipe.activation](recipe, layer)
    if hasattr(activation, "set_range"):
        activation.set_range(x.min(), x.max())
    kind = QuantLinear if isinstance(layer, nn.Linear) else QuantConv2d
    return kind(layer, weight_format(recipe), activation)  # type: ignore[arg-type]


@torch.no_grad()
def integer_oracle(layer: Any, x: Tensor) -> Tensor:
    """The simulated layer in float64: sums of whole numbers below 2^53 are exact."""
    given = layer.activation(x).double()
    if isinstance(layer, QuantConv2d):
        return layer._conv_forward(given, layer.weight.double(), layer.bias.double())
    return F.linear(given, layer.weight.double(), layer.bias.double())


INTEGER_FORMATS = ["w8a8-minmax", "w8a8-dynamic", "w4a8_t-minmax", "w3a5-dynamic", "w2a2-minmax", "w8a4-minmax"]


@pytest.mark.parametrize("name", INTEGER_FORMATS)
@pytest.mark.parametrize("shift", [0.0, 3.0, -5.0], ids=["around 0", "positive", "negative"])
def test_integer_products_are_the_simulation_to_the_last_bits(name: str, shift: float) -> None:
    torch.manual_seed(1)
    x = torch.randn(5, 3, 50) * torch.logspace(-2, 1, 5)[:, None, None] + shift
    layer = simulated_layer(name, nn.Linear(50, 21), x)
    real = Int8Layer("linear", layer)
    expected = integer_oracle(layer, x)
    torch.testing.assert_close(real(x).double(), expected, rtol=1e-6, atol=2e-6 * float(expected.abs().max()))


@pytest.mark.parametrize("name", ["w8a8-minmax", "w8a8-dynamic", "w4a4-minmax"])
@pytest.mark.parametrize("settings", CONVOLUTIONS.values(), ids=CONVOLUTIONS)
def test_integer_convolutions_pad_with_the_code_of_zero(name: str, settings: dict[str, Any]) -> None:
    torch.manual_seed(2)
    x = torch.randn(2, 3, 12, 16) * torch.tensor([1.0, 20.0])[:, None, None, None] + 4
    layer = simulated_layer(name, nn.Conv2d(3, 6, **settings), x)
    expected = integer_oracle(layer, x)
    got = Int8Layer("conv", layer)(x).double()
    torch.testing.assert_close(got, expected, rtol=1e-6, atol=2e-6 * float(expected.abs().max()))


@pytest.mark.parametrize("rows", [1, 16, 17, 33])
def test_few_rows_are_filled_up_and_the_filling_is_cut_off(rows: int) -> None:
    torch.manual_seed(3)
    x = torch.randn(rows, 24)
    layer = simulated_layer("w8a8-minmax", nn.Linear(24, 10), x)
    whole = Int8Layer("linear", layer)(x)
    alone = torch.cat([Int8Layer("linear", layer)(row[None]) for row in x])
    assert whole.shape == (rows, 10)
    assert torch.equal(whole, alone)


@pytest.mark.parametrize("name", ["fp8-rtn", "fp8-dynamic"])
@pytest.mark.parametrize("kind", ["linear", "conv"])
def test_fp8_products_are_the_simulation_to_the_last_bits(name: str, kind: str) -> None:
    # A CPU has the operator too, in emulation; recipes only run it on a GPU.
    torch.manual_seed(4)
    x = torch.randn(20, 30) * torch.logspace(-3, 2, 20)[:, None] if kind == "linear" else torch.randn(2, 3, 12, 16)
    layer: nn.Linear | nn.Conv2d = nn.Linear(30, 9) if kind == "linear" else nn.Conv2d(3, 6, 3, padding=1)
    simulated = simulated_layer(name, layer, x)
    expected = integer_oracle(simulated, x)
    got = Fp8Layer("layer", simulated)(x).double()
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max()))


def test_fp8_codes_are_stored_as_bytes_of_the_nearest_values() -> None:
    x = torch.randn(4, 30)
    simulated = simulated_layer("fp8-rtn", nn.Linear(30, 9), x)
    real = Fp8Layer("layer", simulated)
    assert real.codes.dtype == torch.uint8
    assert real.codes.shape == (16, 32)
    torch.testing.assert_close(real.weight, simulated.weight, rtol=1e-6, atol=0)


WHOLE = ["w8a8-dynamic-both@torch-int8", "w8a8-minmax-both@torch-int8"]


@pytest.mark.parametrize("name", WHOLE)
def test_every_layer_of_a_candidate_on_kernels_computes_what_its_simulation_does(
    clip: nn.Module, data: RangeData, name: str
) -> None:
    _require_equal_layers(clip, data, small(name))


def test_rotated_layers_compute_what_their_simulation_does(vit: nn.Module, small_data: RangeData) -> None:
    _require_equal_layers(vit, small_data, small("w4a8-hadamard+percentile-both@torch-int8"))


def _require_equal_layers(clip: nn.Module, data: RangeData, recipe: Recipe) -> None:
    simulated, real = prepare(clip, recipe.simulated, data), prepare(clip, recipe, data)
    inputs: dict[str, Tensor] = {}
    layers = gemm_layers(simulated, recipe.towers)
    for layer_name, layer in layers.items():
        layer.register_forward_pre_hook(lambda _, x, name=layer_name: inputs.update({name: x[0]}))
    with torch.no_grad():
        simulated.encode_image(data.images)
        simulated.encode_text(data.tokens)
        for layer_name, layer in layers.items():
            kernel = real.get_submodule(layer_name)
            assert isinstance(kernel, KernelLayer)
            expected = layer(inputs[layer_name])
            torch.testing.assert_close(
                kernel(inputs[layer_name]), expected, rtol=1e-5, atol=1e-5 * float(expected.abs().max())
            )


@pytest.mark.parametrize("name", WHOLE)
def test_a_skeleton_restores_a_candidate_on_kernels_bit_for_bit(clip: nn.Module, data: RangeData, name: str) -> None:
    recipe = small(name)
    real, restored = prepare(clip, recipe, data), skeleton(clip, recipe)
    restored.load_state_dict({key: torch.from_numpy(value.numpy().copy()) for key, value in real.state_dict().items()})
    with torch.no_grad():
        assert torch.equal(real.encode_image(data.images), restored.encode_image(data.images))
        assert torch.equal(real.encode_text(data.tokens), restored.encode_text(data.tokens))
    assert not restored.training


def test_an_unloaded_skeleton_on_kernels_cannot_pass_for_a_model(vit: nn.Module, small_data: RangeData) -> None:
    with torch.no_grad():
        assert skeleton(vit, small("w8a8-minmax@torch-int8")).encode_image(small_data.images).isnan().all()


@torch.no_grad()
def test_dynamic_integer_results_do_not_depend_on_batch_mates(vit: nn.Module, small_data: RangeData) -> None:
    images = small_data.images[:3] * torch.tensor([1.0, 50.0, 0.1]).view(3, 1, 1, 1)
    real = prepare(vit, small("w8a8-dynamic@torch-int8"), small_data)
    layers = {name: layer for name, layer in real.named_modules() if isinstance(layer, KernelLayer)}
    inputs: dict[str, Tensor] = {}
    for name, layer in layers.items():
        layer.register_forward_pre_hook(lambda _, x, name=name: inputs.update({name: x[0]}))
    real.encode_image(images)
    for name, x in dict(inputs).items():
        alone = torch.cat([layers[name](x[i : i + 1]) for i in range(3)])
        assert torch.equal(layers[name](x), alone), name


def test_weights_take_up_a_quarter(vit: nn.Module, small_data: RangeData) -> None:
    def weights(clip: nn.Module) -> int:
        return sum(v.nbytes for k, v in clip.visual.state_dict().items() if k.endswith(("c_fc.weight", "c_fc.codes")))

    assert 4 * weights(prepare(vit, small("w8a8-minmax@torch-int8"), small_data)) == weights(vit)


def test_a_product_left_in_float_is_refused(vit: nn.Module, small_data: RangeData, monkeypatch: Any) -> None:
    from reliability.quant.backends import torch_int8

    def forget_one(clip: nn.Module, towers: Any, make: Any) -> nn.Module:
        kept = clip.get_submodule("visual.transformer.resblocks.0.mlp.c_fc")
        whole = replace_layers(clip, towers, make)
        whole.get_submodule("visual.transformer.resblocks.0.mlp").c_fc = kept
        return whole

    replace_layers = torch_int8.replace_layers
    monkeypatch.setattr(torch_int8, "replace_layers", forget_one)
    with pytest.raises(QuantizationError, match=r"other operators than aten\._int_mm"):
        prepare(vit, small("w8a8-minmax@torch-int8"), small_data)


def test_layers_that_are_float_by_declaration_may_stay_in_float(vit: nn.Module, small_data: RangeData) -> None:
    recipe = replace(small("w8a8-minmax@torch-int8"), float_layers="visual.conv1")
    real = prepare(vit, recipe, small_data)
    assert type(real.visual.conv1) is nn.Conv2d
    assert isinstance(real.visual.transformer.resblocks[0].mlp.c_fc, Int8Layer)
