"""``openvino:DIR`` or ``openvino:VISUAL.xml[,TEXT.xml]``: graphs in OpenVINO's own format, run on the CPU."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from reliability.models.extras import require
from reliability.models.kinds.graph_files import find_graphs
from reliability.models.record import Asked, ModelSpec
from reliability.models.sidecar import read_sidecar

if TYPE_CHECKING:
    from reliability.models.encoders import Encoder, Encoders

_NAMES = {
    "vision": ("visual.xml", "vision.xml", "vision_model.xml", "image.xml"),
    "text": ("text.xml", "text_model.xml"),
}


def parse(asked: Asked) -> ModelSpec:
    """Find the graphs, which must be there."""
    return find_graphs("openvino", asked, _NAMES, ("openvino",), beside=".bin")


def load(spec: ModelSpec) -> Encoders:
    """Compile the graphs for the CPU, with OpenVINO's own choice of precision for what is not quantized.

    Conventions:
        A graph has one input and its first output counts. One of a fixed batch size gets
        batches of it.
    """
    from reliability.models.encoders import Encoders

    runtime = require("openvino", "openvino", spec.text)
    encoders = {tower: _encoder(runtime, path) for tower, path in zip(spec.towers, spec.files, strict=False)}
    sidecar = read_sidecar(spec.files[0].parent)
    scale = sidecar.logit_scale if sidecar else None
    return Encoders(spec.text, encoders.get("vision"), encoders.get("text"), scale)


def _encoder(runtime: Any, path: Path) -> Encoder:
    import torch
    from torch import Tensor

    from reliability.errors import ModelError
    from reliability.models.encoders import in_fixed_batches

    try:
        compiled = runtime.Core().compile_model(path, "CPU", {"INFERENCE_NUM_THREADS": torch.get_num_threads()})
        source = compiled.input(0)
    except Exception as error:
        # OpenVINO raises RuntimeError and types of its own.
        raise ModelError(
            where=str(path), what="OpenVINO cannot compile this graph", got=str(error).strip().partition("\n")[0],
            next="convert it again, with its .bin file beside it",
        ) from error  # fmt: skip
    numbers = source.element_type.to_dtype()

    def encode(batch: Tensor) -> Tensor:
        return torch.from_numpy(compiled(batch.cpu().numpy().astype(numbers))[0].copy())

    size = source.partial_shape[0]
    return encode if size.is_dynamic else in_fixed_batches(encode, size.get_length())
