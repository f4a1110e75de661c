from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from reliability.quant.formats.values import E4M3, E5M2, Integers, Minifloat
from reliability.quant.formats.weights import integer_format, weight_format
from reliability.quant.layers import QuantConv2d, QuantLinear, put_weight, scales_of
from reliability.quant.quantizers import (
    ACTIVATIONS,
    BlockQuantizer,
    DynamicQuantizer,
    RangeQuantizer,
    StaticFloatQuantizer,
    StaticQuantizer,
)
from reliability.quant.recipe import parse_recipe

TOKEN, PIXEL = nn.Linear(1, 1), nn.Conv2d(1, 1, 1)
SCALED_BY_DATA = ["w8a8-dynamic", "w4a4-dynamic", "fp8-dynamic", "fp8e5m2-dynamic"] + [
    f"{name}-rtn" for name in ("mxfp8", "mxfp6", "mxfp4", "mxfp4_ceil", "mxint8", "nvfp4")
]
RANGED = [lambda: StaticQuantizer(8), lambda: StaticFloatQuantizer(E4M3), lambda: StaticFloatQuantizer(E5M2)]


def quantizer_of(name: str, layer: nn.Module = TOKEN) -> nn.Module:
    """The activation quantizer that a recipe puts before a layer."""
    recipe = parse_recipe(name)
    return ACTIVATIONS[recipe.activation](recipe, layer)


def images(seed: int = 0) -> Tensor:
    x = torch.randn(4, 37, 5, 5, generator=torch.Generator().manual_seed(seed))
    x[1] *= 100  # a batch mate that would ruin a shared scale
    return x


def tokens(seed: int = 0) -> Tensor:
    x = torch.randn(6, 5, 16, generator=torch.Generator().manual_seed(seed))
    x[2, 3] *= 100  # a batch mate that would ruin a shared scale
    return x


@pytest.mark.parametrize("make", RANGED)
def test_a_quantizer_without_a_range_gives_nan(make: type[RangeQuantizer]) -> None:
    quantizer = make()
    assert not quantizer.has_range
    assert quantizer(torch.ones(3)).isnan().all()
    quantizer.set_range(torch.tensor(-1.0), torch.tensor(1.0))
    assert quantizer.has_range
    assert quantizer(torch.ones(3)).isfinite().all()


@pytest.mark.parametrize("make", RANGED)
def test_static_range_survives_saving_and_loading(make: type[RangeQuantizer]) -> None:
    first, second = make(), make()
    first.set_range(torch.tensor(-0.3), torch.tensor(2.0))
    second.load_state_dict(first.state_dict())
    assert second.has_range
    assert torch.equal(first(tokens()), second(tokens()))


@pytest.mark.parametrize("make", RANGED)
def test_a_preview_is_what_the_quantizer_would_do_and_sets_nothing(make: type[RangeQuantizer]) -> None:
    quantizer, ends = make(), (torch.tensor(-0.3), torch.tensor(2.0))
    shown = quantizer.preview(tokens(), *ends)
    assert not quantizer.has_range
    quantizer.set_range(*ends)
    assert torch.equal(quantizer(tokens()), shown)


def test_a_static_float_range_covers_the_larger_magnitude_on_both_sides() -> None:
    quantizer = StaticFloatQuantizer(E4M3)
    quantizer.set_range(torch.tensor(-7.0), torch.tensor(2.0))
    x = torch.tensor([-9.0, -7.0, 0.0, 6.5, 7.0, 9.0])
    assert quantizer(x).tolist() == [-7.0, -7.0, 0.0, 6.5, 7.0, 7.0]
    quantizer.set_range(torch.tensor(0.0), torch.tensor(0.0))
    assert quantizer(torch.zeros(2)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("name", SCALED_BY_DATA)
def test_codes_of_tokens_do_not_depend_on_batch_mates_bit_for_bit(name: str) -> None:
    x, quantizer = torch.cat([tokens(), tokens(1)], dim=2)[..., :21], quantizer_of(name)
    together = quantizer(x)
    for row in range(len(x)):
        assert torch.equal(together[row], quantizer(x[row : row + 1])[0])
    for token in range(x.shape[1]):
        assert torch.equal(together[2, token], quantizer(x[2, token]))


@pytest.mark.parametrize("name", SCALED_BY_DATA)
def test_codes_of_images_do_not_depend_on_batch_mates_bit_for_bit(name: str) -> None:
    x, quantizer = images(), quantizer_of(name, PIXEL)
    together = quantizer(x)
    assert together.shape == x.shape
    for row in range(len(x)):
        assert torch.equal(together[row], quantizer(x[row : row + 1])[0])


@pytest.mark.parametrize("name", SCALED_BY_DATA)
@pytest.mark.parametrize("value", [0.0, 1e-44, 1e37])
def test_constant_tokens_of_any_size_stay_finite(name: str, value: float) -> None:
    out = quantizer_of(name)(torch.full((2, 33), value))
    assert out.isfinite().all()
    if value != 1e-44:
        # The worst case is a power-of-two scale that clips: 6 out of almost 8.
        assert out.flatten().tolist() == pytest.approx([value] * 66, rel=0.25)


@pytest.mark.parametrize("name", ["mxfp8", "mxfp6_ceil", "mxfp4", "mxint8"])
def test_block_scales_of_tokens_match_a_slow_second_implementation(name: str, slow_quant: SimpleNamespace) -> None:
    x = torch.randn(3, 70, generator=torch.Generator().manual_seed(0)) * 3
    expected = slow_quant.snap_weight(x.numpy(), name)
    assert quantizer_of(f"{name}-rtn")(x).tolist() == expected.tolist()


@pytest.mark.parametrize("name", ["fp8", "fp8e5m2"])
def test_dynamic_floats_match_a_slow_second_implementation(name: str, slow_quant: SimpleNamespace) -> None:
    x = torch.randn(3, 70, generator=torch.Generator().manual_seed(0)) * 3
    assert quantizer_of(f"{name}-dynamic")(x).tolist() == slow_quant.snap_weight(x.numpy(), name).tolist()


@pytest.mark.parametrize(("name", "values"), [("fp8-rtn", E4M3), ("fp8e5m2-mse", E5M2)])
def test_static_floats_are_those_of_the_weights(name: str, values: Minifloat) -> None:
    quantizer = quantizer_of(name)
    assert isinstance(quantizer, StaticFloatQuantizer)
    assert quantizer.values == values


def test_the_scale_of_scales_is_a_tokens_own(slow_quant: SimpleNamespace) -> None:
    x = torch.randn(3, 70, generator=torch.Generator().manual_seed(0)) * torch.tensor([[1.0], [50.0], [0.02]])
    expected = [slow_quant.snap_weight(token[None].numpy(), "nvfp4")[0].tolist() for token in x]
    assert quantizer_of("nvfp4-rtn")(x).tolist() == expected


@pytest.mark.parametrize("name", ["mxfp4-rtn", "mxint8-rtn"])
def test_a_pixel_is_quantized_as_a_token_of_its_channels(name: str) -> None:
    x = images()
    pixels = x.permute(0, 2, 3, 1)
    assert torch.equal(quantizer_of(name, PIXEL)(x).permute(0, 2, 3, 1), quantizer_of(name)(pixels))


def test_quantizing_an_activation_twice_changes_nothing_in_microscaling_formats() -> None:
    x = tokens()
    for name in ("mxfp8", "mxfp6", "mxfp4", "mxfp4_ceil", "mxint8"):
        quantizer = quantizer_of(f"{name}-rtn")
        assert torch.equal(quantizer(quantizer(x)), quantizer(x)), name


def test_block_quantizers_pass_gradients_straight_through() -> None:
    x = tokens().requires_grad_()
    quantizer = quantizer_of("mxfp8_ceil-rtn")
    assert isinstance(quantizer, BlockQuantizer)
    quantizer(x).sum().backward()
    assert x.grad is not None
    assert torch.equal(x.grad, torch.ones_like(x))


def test_dynamic_images_have_one_scale_each() -> None:
    x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    together = DynamicQuantizer(Integers(4), (1, 2, 3))(x)
    for row in range(len(x)):
        assert len(together[row].unique()) <= 15


def test_dynamic_scale_is_the_tokens_own_maximum() -> None:
    out = DynamicQuantizer(Integers(8), (-1,))(torch.tensor([[127.0, 1.4, -0.6], [0.0, 0.0, 0.0]]))
    assert out.tolist() == [[127.0, 1.0, -1.0], [0.0, 0.0, 0.0]]


@pytest.mark.parametrize(
    "source",
    [
        nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2),
        nn.Conv2d(4, 6, 3, padding="same", padding_mode="circular", bias=False),
        nn.Conv2d(4, 6, 2, dilation=2),
    ],
    ids=["grouped", "circular", "dilated"],
)
def test_a_quantized_convolution_computes_with_the_snapped_weight(source: nn.Conv2d) -> None:
    layer = QuantConv2d(source, integer_format(8), nn.Identity())
    x = torch.randn(2, 4, 8, 8)
    with torch.no_grad():
        source.weight.copy_(layer.weight)
        assert torch.equal(layer(x), source(x))


def test_a_quantized_linear_matches_integer_arithmetic() -> None:
    torch.manual_seed(0)
    source, x = nn.Linear(16, 8), torch.randn(5, 16)
    activation = StaticQuantizer(8)
    activation.set_range(x.min(), x.max())
    layer = QuantLinear(source, integer_format(4), activation)
    weight_codes = (layer.weight / layer.weight_scale).round().to(torch.int64)
    x_codes = (activation(x) / activation.scale).round().to(torch.int64)
    integer = (x_codes @ weight_codes.T).double() * activation.scale.double() * layer.weight_scale.double().T
    assert int(weight_codes.abs().max()) == 7
    torch.testing.assert_close(layer(x).double(), integer + source.bias.double(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "buffers"),
    [
        ("w8a8-minmax", {"weight_scale": (8, 1)}),
        ("w8a8_t-minmax", {"weight_scale": (1, 1)}),
        ("w4a8_g32-minmax", {"weight_scale": (8, 2, 1)}),
        ("w4a8_asym-minmax", {"weight_scale": (8, 1), "weight_zero_point": (8, 1)}),
        ("mxfp4-rtn", {"weight_scale": (8, 2, 1)}),
        ("nvfp4-rtn", {"weight_scale": (8, 3, 1), "weight_outer": (1, 1, 1)}),
    ],
)
def test_a_layer_keeps_the_scales_of_its_format(name: str, buffers: dict[str, tuple[int, ...]]) -> None:
    torch.manual_seed(0)
    form = weight_format(parse_recipe(name))
    layer = QuantLinear(nn.Linear(40, 8), form, nn.Identity())
    assert {key: tuple(value.shape) for key, value in layer.named_buffers()} == buffers
    assert form.steps_off(layer.weight, scales_of(layer)) < 1e-3


@pytest.mark.parametrize("name", ["w4a8-minmax", "w4a8_g32_asym-minmax", "mxfp4-rtn", "nvfp4-rtn"])
def test_another_weight_can_be_put_into_a_layer(name: str) -> None:
    torch.manual_seed(0)
    form = weight_format(parse_recipe(name))
    layer, other = (QuantLinear(nn.Linear(40, 8), form, nn.Identity()) for _ in range(2))
    put_weight(layer, other.weight, scales_of(other))
    assert torch.equal(layer.weight, other.weight)
    for mine, theirs in zip(layer.buffers(), other.buffers(), strict=True):
        assert torch.equal(mine, theirs)
    put_weight(layer, other.weight + 1e-9, scales_of(other))
    assert torch.equal(layer.weight, other.weight)
