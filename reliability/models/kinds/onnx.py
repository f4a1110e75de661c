"""``onnx:DIR`` or ``onnx:VISUAL.onnx[,TEXT.onnx]``: graphs, run by ONNX Runtime on the CPU."""

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
    "vision": ("visual.onnx", "vision.onnx", "vision_model.onnx", "image.onnx"),
    "text": ("text.onnx", "text_model.onnx"),
}
_FEATURES = ("features", "image_embeds", "text_embeds")
_TYPES = {"tensor(float)": "float32", "tensor(float16)": "float16", "tensor(int64)": "int64", "tensor(int32)": "int32"}


def parse(asked: Asked) -> ModelSpec:
    """Find the graphs, which must be there."""
    return find_graphs("onnx", asked, _NAMES, ("onnxruntime",))


def load(spec: ModelSpec) -> Encoders:
    """Open the graphs.

    Conventions:
        ONNX Runtime's own optimizations are on, as in a deployment, and it gets as many
        threads as torch. The output is ``features``, ``image_embeds`` or ``text_embeds``
        where there is one of that name, and the first one otherwise. A graph of a fixed
        batch size gets batches of it.
    """
    from reliability.models.encoders import Encoders

    runtime = require("onnxruntime", "onnx", spec.text)
    encoders = {tower: _encoder(runtime, path) for tower, path in zip(spec.towers, spec.files, strict=False)}
    sidecar = read_sidecar(spec.files[0].parent)
    scale = sidecar.logit_scale if sidecar else None
    return Encoders(spec.text, encoders.get("vision"), encoders.get("text"), scale)


def _encoder(runtime: Any, path: Path) -> Encoder:
    import torch
    from torch import Tensor

    from reliability.errors import ModelError
    from reliability.models.encoders import in_fixed_batches

    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = runtime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        # The runtime's errors have no common base but Exception.
        raise ModelError(
            where=str(path), what="ONNX Runtime cannot open this graph", got=str(error).partition("\n")[0],
            next="export it again, or update onnxruntime",
        ) from error  # fmt: skip
    inputs, outputs = session.get_inputs(), [output.name for output in session.get_outputs()]
    if len(inputs) != 1 or inputs[0].type not in _TYPES:
        raise ModelError(
            where=str(path), what="a tower's graph takes one input, pictures or tokens",
            got=", ".join(f"{i.name} {i.type}" for i in inputs),
            next="export pictures [batch, 3, S, S] or tokens [batch, L] to features, without further inputs",
        )  # fmt: skip
    wanted = next((name for name in _FEATURES if name in outputs), outputs[0])

    def encode(batch: Tensor) -> Tensor:
        given = {inputs[0].name: batch.cpu().numpy().astype(_TYPES[inputs[0].type])}
        return torch.from_numpy(session.run([wanted], given)[0])

    size = inputs[0].shape[0]
    return in_fixed_batches(encode, size) if isinstance(size, int) else encode
