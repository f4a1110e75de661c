"""Static and per-token int8 quantizers of other libraries, to stand where ours do in the same tower."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.peers import make_importable

Make = Callable[[Tensor], nn.Module]
"""Takes a layer's largest input magnitude to a quantizer of its inputs."""


def other_quantizers() -> dict[str, Make | None]:
    """Name to a factory; None for a library that is not installed."""
    os.environ.setdefault("TORCHAO_FORCE_SKIP_LOADING_SO_FILES", "1")
    make_importable()
    return {
        "torch's fake_quantize_per_tensor_affine, static": _TorchKernel,
        "optimum-quanto's quantize and dequantize, static": _library("optimum.quanto", _quanto),
        "brevitas' QuantIdentity, static": _library("brevitas.nn", _brevitas),
        "torchao's IntxFakeQuantizer, per token": _library("torchao.quantization.qat", _torchao),
    }


def _library(name: str, make: Callable[[Any], Make]) -> Make | None:
    try:
        return make(importlib.import_module(name))
    except ModuleNotFoundError:
        return None


class _TorchKernel(nn.Module):
    def __init__(self, amax: Tensor) -> None:
        super().__init__()
        self.scale, self.zero_point = amax / 127, torch.tensor(0, dtype=torch.int32)

    def forward(self, x: Tensor) -> Tensor:
        return torch.fake_quantize_per_tensor_affine(x, self.scale, self.zero_point, -127, 127)


def _quanto(library: Any) -> Make:
    class Quanto(nn.Module):
        def __init__(self, amax: Tensor) -> None:
            super().__init__()
            self.scale = amax / 127

        def forward(self, x: Tensor) -> Tensor:
            return library.quantize_activation(x, qtype=library.qint8, scale=self.scale).dequantize()  # type: ignore[no-any-return]

    return Quanto


def _brevitas(library: Any) -> Make:
    form = importlib.import_module("brevitas.quant").Int8ActPerTensorFloat

    def make(amax: Tensor) -> nn.Module:
        quantizer: nn.Module = library.QuantIdentity(act_quant=form, return_quant_tensor=False).train()
        quantizer(torch.stack([-amax, amax]).expand(64, 2))
        return quantizer.eval()

    return make


def _torchao(library: Any) -> Make:
    settings = library.IntxFakeQuantizeConfig(torch.int8, "per_token", is_symmetric=False)

    def make(amax: Tensor) -> nn.Module:
        del amax  # every token has its own
        quantizer: nn.Module = library.FakeQuantizerBase.from_config(settings)
        return quantizer

    return make
