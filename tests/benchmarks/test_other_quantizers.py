from __future__ import annotations

import pytest
import torch

from benchmarks.other_quantizers import other_quantizers
from reliability.quant.formats.values import Integers
from reliability.quant.quantizers import DynamicQuantizer
from reliability.torchvision_shim import ensure_torchvision_imports


@pytest.fixture(scope="module")
def made():
    ensure_torchvision_imports()
    return other_quantizers()


def test_each_library_that_is_compared_with_really_quantizes_to_8_bits(made):
    """On at most 256 values and near the input, or the comparison of speed would be empty.

    Brevitas takes a 128th of the range as its step, so the largest value is off by a whole one.
    """
    x = torch.randn(6, 50, 128, generator=torch.Generator().manual_seed(0))
    per_token = (DynamicQuantizer(Integers(8), (-1,))(x) - x).abs().amax()
    for name, make in made.items():
        if make is None:
            continue
        with torch.no_grad():
            values = make(x.abs().amax())(x)
        assert not torch.equal(values, x), name
        if name.endswith("static"):
            assert len(values.unique()) <= 256, name
            assert (values - x).abs().amax() <= 1.01 * x.abs().amax() / 127, name
        else:
            assert max(len(token.unique()) for token in values.flatten(0, 1)) <= 256, name
            assert (values - x).abs().amax() <= 1.1 * per_token, name


def test_torchs_own_kernel_is_always_there(made):
    assert made["torch's fake_quantize_per_tensor_affine, static"] is not None
