from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from reliability.errors import QuantizationError
from reliability.quant.layers import QuantConv2d, QuantLinear
from reliability.quant.prepare import RangeData, prepare
from reliability.quant.recipe import EACH_TOWER, Recipe, parse_recipe

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
ort = pytest.importorskip("onnxruntime")

from reliability.quant.export.onnx_graph import INPUTS, OPSET, export_tower  # noqa: E402


def small(name: str) -> Recipe:
    return replace(parse_recipe(name), range_images=24)


@dataclass(frozen=True)
class Exported:
    network: nn.Module
    folder: Path


@pytest.fixture(scope="module")
def w8a8(vit: nn.Module, small_data: RangeData, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Both towers in 8 bits, exported; not to be changed."""
    network, folder = prepare(vit, small("w8a8-minmax-both"), small_data), tmp_path_factory.mktemp("w8a8")
    for tower in EACH_TOWER:
        export_tower(network, tower, folder / f"{tower}.onnx", small_data)
    return Exported(network, folder)


def run(path: Path, batch: torch.Tensor, optimized: bool = True) -> np.ndarray:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    # By default the runtime quantizes activations by itself where only weights are quantized.
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "1")
    if not optimized:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    found: np.ndarray = session.run(["features"], {session.get_inputs()[0].name: batch.numpy()})[0]
    return found


def simulated(network: nn.Module, tower: str, data: RangeData) -> np.ndarray:
    with torch.no_grad():
        return (network.encode_image(data.images) if tower == "vision" else network.encode_text(data.tokens)).numpy()


def constants(model: Any) -> dict[str, np.ndarray]:
    return {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def is_same(first: np.ndarray, second: torch.Tensor) -> bool:
    return np.array_equal(first, second.detach().numpy())


def assert_alike(got: np.ndarray, expected: np.ndarray) -> None:
    """Sums in another order move an activation across a tie now and then; other rows must not move at all."""
    error = np.abs(got - expected).max(axis=1) / np.abs(expected).max()
    assert np.median(error) < 1e-5
    assert error.max() < 0.05


@pytest.mark.parametrize("tower", EACH_TOWER)
@pytest.mark.parametrize("optimized", [False, True])
def test_the_graph_computes_what_the_simulation_does(
    w8a8: Exported, small_data: RangeData, tower: str, optimized: bool
) -> None:
    batch = small_data.images if tower == "vision" else small_data.tokens
    got = run(w8a8.folder / f"{tower}.onnx", batch, optimized)
    assert_alike(got, simulated(w8a8.network, tower, small_data))


@pytest.mark.parametrize("name", ["w4a8_t-percentile", "w4a16_asym-minmax", "w8a16-hadamard", "fp32"])
def test_other_schemes_are_exported_too(vit: nn.Module, small_data: RangeData, tmp_path: Path, name: str) -> None:
    network = prepare(vit, small(name), small_data)
    before = simulated(network, "vision", small_data)
    export_tower(network, "vision", tmp_path / "visual.onnx", small_data)
    assert_alike(run(tmp_path / "visual.onnx", small_data.images), before)
    assert np.array_equal(simulated(network, "vision", small_data), before), "exporting changed the candidate"


@pytest.mark.parametrize("tower", EACH_TOWER)
def test_nodes_hold_exactly_the_candidates_codes_scales_and_zero_points(w8a8: Exported, tower: str) -> None:
    model = onnx.load(w8a8.folder / f"{tower}.onnx")
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    values = constants(model)
    nodes = model.graph.node
    activations = {
        (float(values[node.input[1]]), int(values[node.input[2]])) for node in nodes if node.op_type == "QuantizeLinear"
    }
    weights = [
        (values[node.input[0]], values[node.input[1]])
        for node in nodes
        if node.op_type == "DequantizeLinear" and node.input[0] in values
    ]
    layers = [
        layer
        for name, layer in w8a8.network.named_modules()
        if isinstance(layer, (QuantLinear, QuantConv2d)) and name.startswith("visual") == (tower == "vision")
    ]
    assert activations == {(float(q.activation.scale), int(q.activation.zero_point)) for q in layers}
    assert len(weights) == len(layers)
    for codes, scale in weights:
        assert codes.dtype == np.int8
        plain = codes.astype(np.float32) * (scale if codes.ndim == 2 else scale.reshape(-1, 1, 1, 1))
        as_stored = plain.T if codes.ndim == 2 else plain
        assert any(is_same(as_stored, layer.weight) for layer in layers if layer.weight.shape == as_stored.shape)


def test_a_graph_takes_any_number_of_pictures(w8a8: Exported, small_data: RangeData) -> None:
    for count in (1, 3, 24):
        assert run(w8a8.folder / "vision.onnx", small_data.images[:count]).shape == (count, 24)
    graph = onnx.load(w8a8.folder / "vision.onnx").graph
    assert [value.name for value in (*graph.input, *graph.output)] == [INPUTS["vision"], "features"]


@pytest.mark.parametrize(
    "name", ["w8a8-dynamic", "w8a6-minmax", "w4a8_g32-minmax", "w8a8-minmax+attention", "mxfp8-rtn", "fp8-minmax"]
)
def test_what_onnx_cannot_say_exactly_is_refused(
    vit: nn.Module, small_data: RangeData, tmp_path: Path, name: str
) -> None:
    network = prepare(vit, small(name), small_data)
    with pytest.raises(QuantizationError, match="exported") as caught:
        export_tower(network, "vision", tmp_path / "visual.onnx", small_data)
    assert "layer visual" in str(caught.value)
    assert not (tmp_path / "visual.onnx").exists()
