"""Wrong numbers: scales, zero points, weights, channels, heads, and layers that do not run as declared."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from fault_world import Fault, World
from torch import nn

from reliability.quant.explicit import FusedProducts, SplitAttention
from reliability.quant.formats.values import Scales
from reliability.quant.formats.weights import integer_format
from reliability.quant.layers import QuantConv2d, QuantLinear, put_weight
from reliability.quant.quantizers import StaticQuantizer

LAYER = "visual.transformer.resblocks.1.mlp.c_fc"
HEAD = 32
"""Width of an attention head of the model."""

Damage = Callable[[Any], None]


def run_with(damage: Damage) -> Callable[[World], None]:
    """The network is damaged after it was loaded."""
    return lambda world: world.spoil_network(damage)


def stored_with(damage: Damage) -> Callable[[World], None]:
    """What preparation gives is damaged, and stored so."""
    return lambda world: world.spoil_prepared(damage)


def _layers(clip: Any) -> list[Any]:
    return [module for module in clip.visual.modules() if isinstance(module, (QuantLinear, QuantConv2d))]


def _weights(clip: Any) -> list[torch.Tensor]:
    return [layer.weight for layer in _layers(clip)]


def scale_doubled(clip: Any) -> None:
    """Weights and scale alike, so that every weight still lies on its grid."""
    for block in clip.visual.transformer.resblocks:
        block.mlp.c_fc.weight.mul_(2)
        block.mlp.c_fc.weight_scale.mul_(2)


def input_scales_doubled(clip: Any) -> None:
    for module in clip.visual.modules():
        if isinstance(module, StaticQuantizer):
            module.scale.mul_(0.25)


def zero_points_lost(clip: Any) -> None:
    for module in clip.visual.modules():
        if isinstance(module, StaticQuantizer):
            module.zero_point.zero_()


def zero_points_apart(clip: Any) -> None:
    """Quantized with one zero point, dequantized with another, 8 codes away."""
    for module in clip.visual.modules():
        if isinstance(module, StaticQuantizer):
            module.register_forward_hook(lambda owner, _, out: out + 8 * owner.scale)


def one_scale_per_tensor(clip: Any) -> None:
    for layer in _layers(clip):
        put_weight(layer, layer.weight.clone(), Scales(layer.weight_scale.amax().expand_as(layer.weight_scale)))


def wider_codes(clip: Any) -> None:
    """Eight bits under the name of four."""
    wide = integer_format(8)
    for layer in _layers(clip):
        noisy = layer.weight + 0.3 * layer.weight_scale * torch.randn_like(layer.weight)
        layer.weight.copy_(wide.snap(noisy, wide.scales(noisy)))


def channels_swapped(clip: Any) -> None:
    """The largest and the smallest output channel of every layer, as a wrong packing would."""
    for weight in _weights(clip):
        size = weight.abs().flatten(1).sum(1)
        first, second = int(size.argmax()), int(size.argmin())
        weight[[first, second]] = weight[[second, first]].clone()


def input_channels_rolled(clip: Any) -> None:
    weight = clip.get_submodule(LAYER).weight
    weight.copy_(weight.roll(1, dims=1))


def heads_swapped(clip: Any) -> None:
    weight = clip.visual.transformer.resblocks[-1].attn.v_proj.weight
    weight.copy_(weight.roll(HEAD, dims=0))


def projection_transposed(clip: Any) -> None:
    weight = clip.visual.proj.linear.weight
    weight.copy_(weight.T.clone())


def biases_dropped(clip: Any) -> None:
    for layer in clip.modules():
        if isinstance(layer, QuantLinear) and layer.bias is not None:
            layer.bias.zero_()


def query_and_key_swapped_for_value(clip: Any) -> None:
    attention = clip.visual.transformer.resblocks[0].attn
    key, value = attention.k_proj.weight, attention.v_proj.weight
    kept = key.clone()
    key.copy_(value)
    value.copy_(kept)


def block_skipped(clip: Any) -> None:
    clip.visual.transformer.resblocks[2].forward = lambda x, **_: x


def layer_in_float(clip: Any) -> None:
    mlp, layer = clip.visual.transformer.resblocks[1].mlp, clip.get_submodule(LAYER)
    mlp.c_fc = nn.Linear(layer.in_features, layer.out_features)
    mlp.c_fc.weight.copy_(layer.weight)
    mlp.c_fc.bias.copy_(layer.bias)


def attention_in_float(clip: Any) -> None:
    clip.visual.transformer.resblocks[0].attn.products = FusedProducts()


def quantizer_passed_by(clip: Any) -> None:
    layer = clip.get_submodule(LAYER)
    layer.forward = lambda x: nn.functional.linear(x, layer.weight, layer.bias)


def idle_layer(clip: Any) -> None:
    """It multiplies nothing, so that a share of products cannot see it."""
    clip.visual.spare = copy.deepcopy(clip.visual.proj.linear)


def weights_off_their_grid(clip: Any) -> None:
    clip.get_submodule(LAYER).weight.mul_(1.01)


def one_weight_moved(clip: Any) -> None:
    layer = clip.get_submodule(LAYER)
    layer.weight[0, 0] += 0.3 * layer.weight_scale[0, 0]


def table_moved(clip: Any) -> None:
    clip.visual.positional_embedding.mul_(1.01)


def range_lost(clip: Any) -> None:
    clip.get_submodule(LAYER).activation.scale.fill_(torch.nan)


def infinite_weight(clip: Any) -> None:
    clip.get_submodule(LAYER).weight[0, 0] = torch.inf


def observer_silent(world: World) -> None:
    from reliability.quant import range_setting

    observe = range_setting.observe

    def forgetful(clip: Any, recipe: Any, data: Any, make: Any, names: Any, **settings: Any) -> Any:
        found = observe(clip, recipe, data, make, [name for name in names if name != LAYER], **settings)
        return found | {LAYER: make(LAYER)}

    world.patch.setattr(range_setting, "observe", forgetful)


def layer_forgotten(world: World) -> None:
    from reliability.quant import layers

    found = layers.gemm_layers
    world.patch.setattr(layers, "gemm_layers", lambda *args: {n: m for n, m in found(*args).items() if n != LAYER})


def smoothed(*, norms: int, weights: int) -> Callable[[World], None]:
    """SmoothQuant's scales taken up so many times on either side."""

    def plant(world: World) -> None:
        from reliability.quant.methods import smoothquant

        @torch.no_grad()
        def fold(norm: Any, linears: Any, activation_amax: Any, alpha: float) -> None:
            amax = torch.stack([weight.abs().amax(dim=0) for weight in linears]).amax(dim=0)
            scale = smoothquant.smoothing_scale(activation_amax, amax, alpha)
            for _ in range(norms):
                norm.weight.div_(scale)
                norm.bias.div_(scale)
            for weight in linears:
                weight.mul_(scale**weights)

        world.patch.setattr(smoothquant, "_fold", fold)

    return plant


def attention_split_wrongly(world: World) -> None:
    sound = SplitAttention._to_heads

    def interleaved(self: Any, x: Any) -> Any:
        order = torch.arange(x.shape[-1]).reshape(-1, self.heads).T.reshape(-1)
        return sound(self, x[..., order])

    world.patch.setattr(SplitAttention, "_to_heads", interleaved)


PREPARED = "what preparation stores"
NETWORK = "the network that is run"
METHOD = "preparation itself"

FAULTS = (
    Fault("a weight scale twice too large", f"{PREPARED}, first layer of every MLP", stored_with(scale_doubled),
          "agreement", start="reference"),
    Fault("input scales four times too small", f"{PREPARED}, every layer", stored_with(input_scales_doubled),
          "agreement", start="reference"),
    Fault("zero points read as 0", f"{PREPARED}, every layer", stored_with(zero_points_lost),
          "agreement", start="reference"),
    Fault("zero points 8 codes apart between quantizing and dequantizing", f"{NETWORK}, every layer",
          run_with(zero_points_apart), "agreement"),
    Fault("one scale per tensor where one per channel was said", PREPARED, stored_with(one_scale_per_tensor),
          "coverage_faults", recipe="narrow", start="reference"),
    Fault("8-bit weights under the name of 4-bit", PREPARED, stored_with(wider_codes),
          "coverage_faults", recipe="narrow", start="reference"),
    Fault("two output channels swapped", f"{NETWORK}, every layer", run_with(channels_swapped), "agreement"),
    Fault("input channels off by one", f"{NETWORK}, one layer", run_with(input_channels_rolled), "agreement"),
    Fault("heads swapped", f"{NETWORK}, values of the last block", run_with(heads_swapped), "agreement"),
    Fault("heads read interleaved", "the split of attention", attention_split_wrongly,
          "agreement", "QuantizationError", "embeddings differ by more than", start="reference"),
    Fault("projection transposed", NETWORK, run_with(projection_transposed), "agreement"),
    Fault("biases dropped", f"{NETWORK}, every layer of both towers", run_with(biases_dropped), "agreement",
          recipe="towers"),
    Fault("keys and values swapped", f"{NETWORK}, first block", run_with(query_and_key_swapped_for_value), "agreement"),
    Fault("a block skipped", NETWORK, run_with(block_skipped), "agreement"),
    Fault("smoothing applied twice to the weights", METHOD, smoothed(norms=1, weights=2),
          "agreement", "QuantizationError", "embeddings differ by more than", recipe="smooth", start="reference"),
    Fault("LayerNorm left unfolded", METHOD, smoothed(norms=0, weights=1),
          "agreement", "QuantizationError", "embeddings differ by more than", recipe="smooth", start="reference"),
    Fault("a layer left in float", NETWORK, run_with(layer_in_float), "coverage", part=LAYER),
    Fault("attention left in float", NETWORK, run_with(attention_in_float), "coverage", recipe="whole",
          part="attention's own products"),
    Fault("a quantizer passed by", NETWORK, run_with(quantizer_passed_by), "coverage", part=LAYER),
    Fault("a quantized layer that never runs", NETWORK, run_with(idle_layer), "coverage_faults", part="visual.spare"),
    Fault("weights off their grid by 1 %", f"{PREPARED}, one layer", stored_with(weights_off_their_grid),
          "coverage", start="reference", part=LAYER),
    Fault("one weight moved by a third of a step", PREPARED, stored_with(one_weight_moved),
          "coverage", start="reference", part=LAYER),
    Fault("an embedding table off its grid", PREPARED, stored_with(table_moved),
          "coverage_faults", recipe="whole", start="reference", part="visual.positional_embedding"),
    Fault("a range lost after preparation", PREPARED, stored_with(range_lost),
          "agreement", "ModelError", "not finite", start="reference", part=LAYER),
    Fault("an observer that never fired", METHOD, observer_silent,
          "agreement", "QuantizationError", "showed this layer no data", start="reference"),
    Fault("a layer that preparation forgets", METHOD, layer_forgotten,
          "agreement", "QuantizationError", f"left in float: {LAYER}", start="reference"),
    Fault("infinity in one layer", NETWORK, run_with(infinite_weight), "agreement", "ModelError", "not finite"),
)  # fmt: skip
