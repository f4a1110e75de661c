"""Candidates run by torchao and by ONNX Runtime against their simulation; skipped where a package is missing."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from reliability.errors import QuantizationError
from reliability.quant.layers import QuantLinear, scales_of
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.recipe import Recipe, parse_recipe
from reliability.quant.towers import gemm_layers

EXACT = 1e-5
"""Relative error that float rounding alone explains."""


def small(name: str) -> Recipe:
    return replace(parse_recipe(name), range_images=24)


@torch.no_grad()
def embeddings(clip: nn.Module, data: RangeData) -> tuple[Tensor, Tensor]:
    return clip.encode_image(data.images), clip.encode_text(data.tokens)


def relative_errors(first: nn.Module, second: nn.Module, data: RangeData) -> list[float]:
    pairs = zip(embeddings(first, data), embeddings(second, data), strict=True)
    return [float((a - b).norm() / a.norm()) for a, b in pairs]


def restored(clip: nn.Module, recipe: Recipe, real: nn.Module) -> nn.Module:
    """As another process gets it: through NumPy arrays."""
    network = skeleton(clip, recipe)
    network.load_state_dict({k: torch.from_numpy(np.array(v.numpy())) for k, v in real.state_dict().items()})
    return network


TORCHAO = [
    "w8a8-minmax-both", "w4a8_t-minmax-both", "w8a16-minmax-both", "w8a16_t-minmax-text", "w4a16-minmax-both",
    "w4a16_asym-minmax-both", "w4a16_t_asym-minmax", "w4a16_g32-rtn-both", "w3a16_g64_asym-rtn-both",
]  # fmt: skip


@pytest.mark.parametrize("name", TORCHAO)
def test_torchao_computes_the_simulation(vit: nn.Module, small_data: RangeData, name: str) -> None:
    pytest.importorskip("torchao")
    recipe = small(f"{name}@torchao")
    simulated, real = prepare(vit, recipe.simulated, small_data), prepare(vit, recipe, small_data)
    assert max(relative_errors(simulated, real, small_data)) < EXACT
    assert relative_errors(real, restored(vit, recipe, real), small_data) == [0.0, 0.0]


def test_torchao_runs_convolutions_of_every_kind(resnet: nn.Module, tokens: Tensor) -> None:
    pytest.importorskip("torchao")
    data = RangeData(torch.randn(24, 3, 32, 32, generator=torch.Generator().manual_seed(1)), tokens)
    for name in ("w8a8-minmax@torchao", "w4a16_g32-rtn@torchao"):
        recipe = small(name)
        simulated, real = prepare(resnet, recipe.simulated, data), prepare(resnet, recipe, data)
        assert relative_errors(simulated, real, data)[0] < EXACT, name


def test_torchaos_own_tokenwise_scales_are_as_close_to_fp32_as_ours(vit: nn.Module, small_data: RangeData) -> None:
    pytest.importorskip("torchao")
    recipe = small("w8a8-dynamic@torchao")
    simulated, real = prepare(vit, recipe.simulated, small_data), prepare(vit, recipe, small_data)
    ours, theirs = relative_errors(vit, simulated, small_data)[0], relative_errors(vit, real, small_data)[0]
    assert 0.5 * ours < theirs < 2 * ours
    # Two roundings of the same size, independent of each other: no further apart than both together.
    assert EXACT < relative_errors(simulated, real, small_data)[0] < ours + theirs


def simulated_linears(clip: nn.Module, data: RangeData) -> list[QuantLinear]:
    layers = gemm_layers(prepare(clip, small("w8a8-minmax"), data), "vision").values()
    return [layer for layer in layers if isinstance(layer, QuantLinear)]


def test_torchao_gives_our_codes_for_our_scales_and_its_own_differ_by_one_at_most(
    vit: nn.Module, small_data: RangeData
) -> None:
    quantization = pytest.importorskip("torchao.quantization")
    weights = [layer for layer in gemm_layers(vit, "vision").values() if isinstance(layer, nn.Linear)]
    simulated = {layer.weight.shape: layer for layer in simulated_linears(vit, small_data)}
    for layer in weights:
        ours = simulated[layer.weight.shape]
        scale = layer.weight.detach().abs().amax(dim=1, keepdim=True) / 127
        codes = (layer.weight.detach() / scale).round()
        given = quantization.Int8Tensor.from_hp(layer.weight.detach(), quantization.PerRow(), scale=scale)
        own = quantization.Int8Tensor.from_hp(layer.weight.detach(), quantization.PerRow())
        # torchao multiplies by the reciprocal, so a weight within float rounding of a tie may go either way.
        assert float((given.qdata != codes).float().mean()) < 1e-3
        assert int((own.qdata - codes).abs().max()) <= 1
        torch.testing.assert_close(own.scale, scale * 127 / 127.5)
        assert scales_of(ours).scale.shape == scale.shape


@pytest.fixture(scope="module")
def shallow(vit: nn.Module) -> nn.Module:
    """One block per tower, since writing graphs takes its time."""
    clip: Any = copy.deepcopy(vit)
    clip.visual.transformer.resblocks = clip.visual.transformer.resblocks[:1]
    clip.transformer.resblocks = clip.transformer.resblocks[:1]
    return clip


@pytest.mark.parametrize("name", ["w8a8-hadamard+dynamic", "w8a8-minmax-both"])
def test_onnx_runtime_computes_the_simulation_on_integers(shallow: nn.Module, small_data: RangeData, name: str) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from reliability.quant.backends import onnx_runtime

    recipe = small(f"{name}@onnxruntime")
    simulated, real = prepare(shallow, recipe.simulated, small_data), prepare(shallow, recipe, small_data)
    assert max(relative_errors(simulated, real, small_data)) < EXACT
    assert relative_errors(real, restored(shallow, recipe, real), small_data) == [0.0, 0.0]
    state = real.state_dict()
    counted = onnx_runtime.products(state["towers.vision.graph"].numpy().tobytes())
    # A rotation is additions in the simulation, and a MatMul in a graph.
    rotations = counted.pop("MatMul", 0)
    assert (rotations > 0) == ("hadamard" in name)
    assert counted == {"MatMulIntegerToFloat": len(gemm_layers(simulated, "vision"))}
    assert not any(key.startswith("rest.visual.") for key in state), "the tower would be stored twice"


def test_a_product_that_onnx_runtime_leaves_in_float_is_refused(
    shallow: nn.Module, small_data: RangeData, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    from reliability.quant.backends import onnx_runtime

    def leave_patches(name: str, layer: Any) -> nn.Module:
        return layer if name.endswith("conv1") else to_onnx(name, layer)

    to_onnx = onnx_runtime.to_onnx
    monkeypatch.setattr(onnx_runtime, "to_onnx", leave_patches)
    with pytest.raises(QuantizationError, match=r"every product with a weight on integers[\s\S]*1 \w*Conv"):
        prepare(shallow, small("w8a8-minmax@onnxruntime"), small_data)


def test_onnx_runtimes_own_weight_codes_are_ours(vit: nn.Module) -> None:
    quant_utils = pytest.importorskip("onnxruntime.quantization.quant_utils")
    onnx = pytest.importorskip("onnx")
    for layer in gemm_layers(vit, "vision").values():
        for channel in layer.weight.detach().flatten(1):
            *_, scale, codes = quant_utils.quantize_data(channel.numpy(), onnx.TensorProto.INT8, True)
            ours = channel.abs().max() / 127
            assert float(scale) == pytest.approx(float(ours), rel=1e-6)
            assert np.abs(codes.astype(int) - (channel / ours).round().int().numpy()).max() <= 1
            assert (codes.astype(int) != (channel / ours).round().int().numpy()).mean() < 0.02
