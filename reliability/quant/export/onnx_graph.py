"""Write a candidate's towers as ONNX graphs."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path

import torch
from torch import Tensor, nn

from reliability.errors import MissingExtraError, QuantizationError
from reliability.quant.explicit import FusedProducts, SplitAttention, SplitAttentionPool
from reliability.quant.export.qdq import to_qdq, unsupported
from reliability.quant.layers import QuantConv2d, QuantLinear
from reliability.quant.methods.rotation.modules import Rotation
from reliability.quant.recipe import Tower
from reliability.quant.towers import RangeData, encode, replace_module

OPSET = 20
"""First opset with Gelu as one operator; QuantizeLinear and DequantizeLinear have all that is needed since 13."""

INPUTS: dict[Tower, str] = {"vision": "images", "text": "tokens"}
"""Tower to the name of its graph's input; the output is ``features``."""


def export_tower(network: nn.Module, tower: Tower, path: Path, example: RangeData) -> None:
    """Write one tower of a float model or a simulated candidate.

    Args:
        network: Float, or as :func:`reliability.quant.prepare.prepare` returns it, on the CPU; left as it is.
        tower: Which tower.
        path: File to write; weights are inside.
        example: A picture and a text; the graph takes any number of them.

    Raises:
        QuantizationError: A layer has no exact counterpart among ONNX's quantizing nodes, or
            torch cannot export the tower.
        MissingExtraError: The packages of the extra ``onnx`` are not installed.

    Conventions:
        Every quantized Linear becomes QuantizeLinear, DequantizeLinear, MatMul and Add, with
        the weight as int8 codes behind a DequantizeLinear per output channel (uint8 where
        weights have a zero point); scales and zero points are the simulation's own. A
        rotation, which the simulation computes by additions, becomes one MatMul.
    """
    _require_exporter()
    model = _Tower(_lowered(network), tower)
    # Two, because an exporter may take a batch of one for a constant.
    batch = torch.cat([(example.images if tower == "vision" else example.tokens)[:1]] * 2)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            torch.onnx.export(
                model, (batch,), path, dynamo=True, external_data=False, opset_version=OPSET, verbose=False,
                input_names=[INPUTS[tower]], output_names=["features"],
                dynamic_shapes=({0: torch.export.Dim("batch")},),
            )  # fmt: skip
    except torch.onnx.errors.OnnxExporterError as error:
        raise QuantizationError(
            where=f"{tower} tower", what="torch cannot export this tower to ONNX",
            got=str(error.__cause__ or error).partition("\n")[0],
            next="export the other tower alone with --tower, or report this one's type",
        ) from error  # fmt: skip


class _Tower(nn.Module):
    def __init__(self, clip: nn.Module, tower: Tower) -> None:
        super().__init__()
        self.clip, self.tower = clip, tower

    def forward(self, batch: Tensor) -> Tensor:
        return encode(self.clip, self.tower, batch)


class _Product(nn.Module):
    """A rotation as the matrix that it is."""

    matrix: Tensor

    def __init__(self, rotation: Rotation) -> None:
        super().__init__()
        self.register_buffer("matrix", rotation.turn(torch.eye(rotation.size)))

    def forward(self, x: Tensor) -> Tensor:
        return x @ self.matrix


def _lowered(network: nn.Module) -> nn.Module:
    """A copy whose quantized layers say in ONNX's operators what they simulate."""
    model = copy.deepcopy(network)
    for name, module in list(model.named_modules()):
        if isinstance(module, (SplitAttention, SplitAttentionPool)) and type(module.products) is not FusedProducts:
            raise unsupported(f"layer {name}", "attention's own products are exported in float only", module.products)
        if isinstance(module, (QuantLinear, QuantConv2d)):
            replace_module(model, name, to_qdq(name, module))
        elif isinstance(module, Rotation):
            replace_module(model, name, _Product(module))
    return model.eval()


def _require_exporter() -> None:
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            where="export to ONNX", what="the packages that write ONNX files are not installed", got=str(error),
            next='pip install "quant-reliability[onnx]"',
        ) from error  # fmt: skip
