"""Towers as ONNX graphs, run by ONNX Runtime on integers."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from reliability.errors import QuantizationError
from reliability.quant.backends.layers import replace_layers
from reliability.quant.backends.onnx_layers import to_onnx
from reliability.quant.export.onnx_graph import INPUTS, export_tower
from reliability.quant.methods.rotation.modules import Rotation
from reliability.quant.recipe import EACH_TOWER, Recipe, Tower
from reliability.quant.towers import RangeData, encode, gemm_layers, tower_modules

_INTEGER_PRODUCTS = frozenset({"MatMulInteger", "MatMulIntegerToFloat", "QLinearMatMul", "QGemm"})
_FLOAT_PRODUCTS = frozenset({"MatMul", "Gemm", "FusedMatMul", "FusedGemm", "Conv", "FusedConv", "NhwcFusedConv"})
_UNWANTED = ["MatMulAddFusion"]
"""A rewriting that makes a float Gemm of a product and its bias before they can become integer ones."""
_KEPT = frozenset({"visual", "logit_scale", "logit_bias"})
"""What of a CLIP is no part of its text tower."""


class OnnxTower(nn.Module):
    """A tower as a graph, which is part of the state.

    Args:
        graph: A serialised ONNX model; empty in a skeleton.
        input_name: Of the graph's one input.
    """

    graph: Tensor

    def __init__(self, graph: bytes, input_name: str) -> None:
        super().__init__()
        self.input_name = input_name
        self.register_buffer("graph", torch.frombuffer(bytearray(graph), dtype=torch.uint8) if graph else _nothing())
        self._session: Any = None

    def forward(self, batch: Tensor) -> Tensor:
        """Embed images or tokens."""
        if self._session is None:
            self._session = session(self.graph.numpy().tobytes())
        features: Any = self._session.run(None, {self.input_name: batch.numpy()})[0]
        return torch.from_numpy(features)

    def __getstate__(self) -> dict[str, Any]:
        # A session can neither be copied nor sent to another process.
        return self.__dict__ | {"_session": None}

    def _load_from_state_dict(self, state_dict: Mapping[str, Any], prefix: str, *args: Any) -> None:
        """Take a graph of any length."""
        loaded = state_dict.get(f"{prefix}graph")
        if loaded is not None:
            self.graph, self._session = torch.empty_like(loaded), None
        super()._load_from_state_dict(state_dict, prefix, *args)


class OnnxClip(nn.Module):
    """A CLIP some of whose towers are graphs.

    Args:
        rest: The model without those towers.
        towers: Tower to graph.
    """

    def __init__(self, rest: nn.Module, towers: Mapping[Tower, OnnxTower]) -> None:
        super().__init__()
        self.rest, self.towers = rest, nn.ModuleDict({str(tower): graph for tower, graph in towers.items()})

    @property
    def logit_scale(self) -> Any:
        """The log of what multiplies cosines."""
        return self.rest.logit_scale

    def encode_image(self, images: Tensor) -> Tensor:
        """[N, 3, H, W] to [N, D]."""
        return self._encode("vision", images)

    def encode_text(self, tokens: Tensor) -> Tensor:
        """[N, L] to [N, D]."""
        return self._encode("text", tokens)

    def _encode(self, tower: Tower, batch: Tensor) -> Tensor:
        if tower in self.towers:
            return self.towers[tower](batch)  # type: ignore[no-any-return]
        return encode(self.rest, tower, batch)


def convert(simulated: nn.Module, recipe: Recipe, data: RangeData) -> nn.Module:
    """Write the recipe's towers as graphs.

    Raises:
        QuantizationError: A tower cannot be exported, or ONNX Runtime leaves one of its products in float.
    """
    declared = {tower: _declared_float(simulated, tower, recipe) for tower in _towers(recipe)}
    replace_layers(simulated, recipe.towers, to_onnx)
    graphs = {}
    with tempfile.TemporaryDirectory() as folder:
        for tower, left in declared.items():
            path = Path(folder) / f"{tower}.onnx"
            export_tower(simulated, tower, path, data.first(1))
            graphs[tower] = path.read_bytes()
            _require_integer_products(f"recipe {recipe.name}, {tower} tower", graphs[tower], left)
    return _assembled(simulated, graphs)


def structure(simulated: nn.Module, recipe: Recipe) -> nn.Module:
    """The same from a skeleton, with graphs that are still to be loaded."""
    return _assembled(simulated, dict.fromkeys(_towers(recipe), b""))


def session(graph: bytes, keep: Path | None = None) -> Any:
    """A session with as many threads as torch has.

    Args:
        graph: A serialised model.
        keep: Where to write the graph as ONNX Runtime rewrites it.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    if keep is not None:
        options.optimized_model_filepath = str(keep)
    return onnxruntime.InferenceSession(
        graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=_UNWANTED
    )


def products(graph: bytes) -> Counter[str]:
    """How many nodes of each kind multiply by a weight once ONNX Runtime has rewritten a graph."""
    import onnx

    with tempfile.TemporaryDirectory() as folder:
        rewritten = Path(folder) / "rewritten.onnx"
        session(graph, rewritten)
        model = onnx.load(str(rewritten))
    # A weight is stored, or made from what is stored; a factor of attention comes from an input.
    constant = {value.name for value in model.graph.initializer}
    for node in model.graph.node:
        if all(name in constant for name in node.input if name):
            constant.update(node.output)
    known = _INTEGER_PRODUCTS | _FLOAT_PRODUCTS
    return Counter(
        node.op_type for node in model.graph.node if node.op_type in known and constant.intersection(node.input)
    )


def _declared_float(simulated: nn.Module, tower: Tower, recipe: Recipe) -> int:
    """Products that stay in float in the simulation too: layers by declaration, and rotations, one MatMul each."""
    rotations = sum(isinstance(module, Rotation) for module in tower_modules(simulated, tower).values())
    return rotations + sum(map(recipe.leaves_float, gemm_layers(simulated, tower)))


def _require_integer_products(where: str, graph: bytes, declared: int) -> None:
    """Products by a weight are all on integers but so many that the recipe declares float."""
    found = products(graph)
    left = sum(count for name, count in found.items() if name not in _INTEGER_PRODUCTS)
    if left > declared or left == found.total():
        raise QuantizationError(
            where=where,
            what="ONNX Runtime does not run every product with a weight on integers",
            got=", ".join(f"{count} {name}" for name, count in sorted(found.items())) or "no product",
            next="try another version of onnxruntime, or simulate this recipe",
        )


def _assembled(clip: nn.Module, graphs: Mapping[Tower, bytes]) -> OnnxClip:
    for tower in graphs:
        for name in [*clip._modules, *clip._parameters, *clip._buffers]:
            if (name == "visual") if tower == "vision" else name not in _KEPT:
                delattr(clip, name)
    return OnnxClip(clip, {tower: OnnxTower(graph, INPUTS[tower]) for tower, graph in graphs.items()})


def _towers(recipe: Recipe) -> list[Tower]:
    return [tower for tower in EACH_TOWER if recipe.quantizes(tower)]


def _nothing() -> Tensor:
    return torch.zeros(0, dtype=torch.uint8)
