from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from reliability.quant.formats import PerChannelInteger
from reliability.quant.layers import QuantConv2d, QuantLinear
from reliability.quant.quantizers import DynamicQuantizer, StaticQuantizer


def tokens(seed: int = 0) -> Tensor:
    x = torch.randn(6, 5, 16, generator=torch.Generator().manual_seed(seed))
    x[2, 3] *= 100  # a batch mate that would ruin a shared scale
    return x


def test_a_quantizer_without_a_range_gives_nan() -> None:
    quantizer = StaticQuantizer(8)
    assert not quantizer.has_range
    assert quantizer(torch.ones(3)).isnan().all()
    quantizer.set_range(torch.tensor(-1.0), torch.tensor(1.0))
    assert quantizer.has_range
    assert quantizer(torch.ones(3)).isfinite().all()


def test_static_range_survives_saving_and_loading() -> None:
    first, second = StaticQuantizer(8), StaticQuantizer(8)
    first.set_range(torch.tensor(-0.3), torch.tensor(2.0))
    second.load_state_dict(first.state_dict())
    assert second.has_range
    assert torch.equal(first(tokens()), second(tokens()))


def test_dynamic_codes_do_not_depend_on_batch_mates_bit_for_bit() -> None:
    x, quantizer = tokens(), DynamicQuantizer(8, (-1,))
    together = quantizer(x)
    for row in range(len(x)):
        assert torch.equal(together[row], quantizer(x[row : row + 1])[0])
    for token in range(x.shape[1]):
        assert torch.equal(together[2, token], quantizer(x[2, token]))


def test_dynamic_images_have_one_scale_each() -> None:
    x, quantizer = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0)), DynamicQuantizer(4, (1, 2, 3))
    together = quantizer(x)
    for row in range(len(x)):
        assert torch.equal(together[row], quantizer(x[row : row + 1])[0])
        assert len(together[row].unique()) <= 15


def test_dynamic_scale_is_the_tokens_own_maximum() -> None:
    out = DynamicQuantizer(8, (-1,))(torch.tensor([[127.0, 1.4, -0.6], [0.0, 0.0, 0.0]]))
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
    layer = QuantConv2d(source, PerChannelInteger(8), nn.Identity())
    x = torch.randn(2, 4, 8, 8)
    with torch.no_grad():
        source.weight.copy_(layer.weight)
        assert torch.equal(layer(x), source(x))


def test_a_quantized_linear_matches_integer_arithmetic() -> None:
    torch.manual_seed(0)
    source, x = nn.Linear(16, 8), torch.randn(5, 16)
    activation = StaticQuantizer(8)
    activation.set_range(x.min(), x.max())
    layer = QuantLinear(source, PerChannelInteger(4), activation)
    weight_codes = (layer.weight / layer.weight_scale).round().to(torch.int64)
    x_codes = (activation(x) / activation.scale).round().to(torch.int64)
    integer = (x_codes @ weight_codes.T).double() * activation.scale.double() * layer.weight_scale.double().T
    assert int(weight_codes.abs().max()) == 7
    torch.testing.assert_close(layer(x).double(), integer + source.bias.double(), rtol=1e-5, atol=1e-5)


def test_weights_scaled_off_their_grid_are_measured_in_steps() -> None:
    weight = torch.randn(3, 7, generator=torch.Generator().manual_seed(0))
    form = PerChannelInteger(8)
    scale = form.scale(weight)
    assert form.steps_off(form.snap(weight, scale), scale) < 1e-4
    assert form.steps_off(form.snap(weight, scale) * 1.5, scale) >= 0.5
    assert form.steps_off(weight, scale) > 0.1
