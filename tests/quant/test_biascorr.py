from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reliability.errors import UsageError
from reliability.quant.formats.weights import integer_format
from reliability.quant.layers import QuantLinear
from reliability.quant.methods import biascorr, pipeline
from reliability.quant.methods.workbench import LayerBench
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.recipe import Recipe, parse_recipe
from reliability.quant.towers import gemm_layers, up_to_end_of_text


def small(name: str) -> Recipe:
    return replace(parse_recipe(name), range_images=24)


@torch.no_grad()
def mean_outputs(clip: Any, data: RangeData) -> dict[str, Tensor]:
    """Mean of every layer's output per channel, text up to its end."""
    found: dict[str, Tensor] = {}
    keep = None
    handles = []

    def hook(name: str, layer: nn.Module) -> Any:
        def note(_: nn.Module, inputs: Any, output: Tensor) -> None:
            del inputs
            if isinstance(layer, nn.Conv2d):
                output = output.movedim(1, -1)
            elif keep is not None and output.ndim == 3:
                output = output[keep]
            found[name] = output.double().flatten(0, -2).mean(0)

        return note

    for name, layer in gemm_layers(clip, "both").items():
        handles.append(layer.register_forward_hook(hook(name, layer)))
    clip.encode_image(data.images)
    keep = up_to_end_of_text(clip, data.tokens)
    clip.encode_text(data.tokens)
    for handle in handles:
        handle.remove()
    return found


@pytest.mark.parametrize("name", ["w4a4-biascorr-both", "w3a8_g32_asym-gptq+biascorr-both", "mxfp4-biascorr"])
def test_every_layer_with_a_bias_has_the_mean_output_of_the_float_model(
    monkeypatch: pytest.MonkeyPatch, clip: nn.Module, data: RangeData, name: str
) -> None:
    kept: list[LayerBench] = []

    def keep(bench: LayerBench) -> None:
        biascorr.apply(bench)
        kept.append(bench)

    monkeypatch.setitem(pipeline.LAYER_METHODS, "biascorr", keep)
    prepared = prepare(clip, small(name), data)
    plain = prepare(clip, small(name.replace("+biascorr", "").replace("biascorr", "rtn")), data)
    wanted, made, before = (mean_outputs(model, data) for model in (kept[0].float_model, prepared, plain))
    biased = [key for key, layer in kept[0].layers.items() if layer.bias is not None]
    assert biased
    for key in biased:
        size = float(wanted[key].abs().max())
        assert float((made[key] - wanted[key]).abs().max()) < 1e-5 * max(size, 1.0), key
        assert float((before[key] - wanted[key]).abs().max()) > 1e-4 * size, key


def test_a_linear_layer_by_hand() -> None:
    source = nn.Linear(2, 1)
    source.weight.data.copy_(torch.tensor([[0.6, 7.0]]))
    source.bias.data.fill_(0.5)
    layer = QuantLinear(source, integer_format(4), nn.Identity())
    layer.bias = nn.Parameter(source.bias.detach().clone())
    # The weight becomes (1, 7). Means: (1, 1) in float, (3, 1) in quantized inputs: .6 + 7 - (3 + 7) = -2.4.
    wanted = torch.tensor([[1.0, 1.0]]).double()
    for _ in range(2):
        biascorr.correct(layer, torch.tensor([[2.0, 0.0], [4.0, 2.0]]), source, wanted)
        assert layer.bias.tolist() == pytest.approx([0.5 - 2.4])


def test_weights_and_layers_without_a_bias_stay(vit: nn.Module, small_data: RangeData) -> None:
    plain, corrected = (prepare(vit, small(name), small_data).state_dict() for name in ("w4a8-rtn", "w4a8-biascorr"))
    changed = {key for key, value in plain.items() if not torch.equal(value, corrected[key])}
    assert changed == {key for key in plain if key.endswith(".bias") and is_quantized(key, plain)}


def is_quantized(bias: str, state: dict[str, Any]) -> bool:
    return f"{bias.removesuffix('bias')}weight_scale" in state


@pytest.mark.parametrize("name", ["w4a8-biascorr-both", "w4a16-hqq+biascorr"])
def test_a_skeleton_restores_it_and_a_second_time_gives_the_same_bits(
    vit: nn.Module, small_data: RangeData, name: str
) -> None:
    first, second = prepare(vit, small(name), small_data), prepare(vit, small(name), small_data)
    restored = skeleton(vit, small(name))
    restored.load_state_dict(first.state_dict())
    for other in (second, restored):
        assert all(torch.equal(value, other.state_dict()[key]) for key, value in first.state_dict().items())


def test_the_original_model_keeps_its_biases(vit: nn.Module, small_data: RangeData) -> None:
    before = {key: value.clone() for key, value in vit.state_dict().items()}
    prepare(vit, small("w4a4-biascorr"), small_data)
    assert all(torch.equal(value, before[key]) for key, value in vit.state_dict().items())


def test_before_training_it_is_refused() -> None:
    with pytest.raises(UsageError, match="training moves the biases itself"):
        parse_recipe("w4a4-biascorr+lsq")
