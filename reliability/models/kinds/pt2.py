"""``pt2:VISUAL.pt2[,TEXT.pt2]``: programs of ``torch.export``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from reliability.models.kinds.graph_files import find_graphs
from reliability.models.record import Asked, ModelSpec
from reliability.models.sidecar import read_sidecar

if TYPE_CHECKING:
    from reliability.models.encoders import Encoder, Encoders

_NAMES = {"vision": ("visual.pt2", "vision.pt2", "image.pt2"), "text": ("text.pt2",)}


def parse(asked: Asked) -> ModelSpec:
    """Find the programs, which must be there."""
    return find_graphs("pt2", asked, _NAMES, ("torchao",))


def load(spec: ModelSpec) -> Encoders:
    """Load the programs.

    Conventions:
        A program takes one tensor and gives one. One of a fixed batch size gets batches
        of it. torchao is imported first where it is installed, since its operators may be
        in the program. An archive may hold pickled constants, so a stranger's is code.
    """
    from reliability.models.encoders import Encoders

    with suppress(ImportError):
        import torchao  # noqa: F401
    encoders = {tower: _encoder(path) for tower, path in zip(spec.towers, spec.files, strict=False)}
    sidecar = read_sidecar(spec.files[0].parent)
    scale = sidecar.logit_scale if sidecar else None
    return Encoders(spec.text, encoders.get("vision"), encoders.get("text"), scale)


def _encoder(path: Path) -> Encoder:
    import torch

    from reliability.errors import ModelError
    from reliability.models.encoders import in_fixed_batches

    try:
        program = torch.export.load(path)
    except Exception as error:
        # A damaged archive, or one with operators that are not here, raises nearly any type.
        raise ModelError(
            where=str(path), what="torch cannot load this exported program",
            got=f"{type(error).__name__}: {next(iter(str(error).splitlines()), '')}",
            next="save it with torch.export.save, and install what its operators come from",
        ) from error  # fmt: skip
    module = program.module()
    names = set(program.graph_signature.user_inputs)
    sizes = [
        node.meta["val"].shape[0] for node in program.graph.nodes if node.op == "placeholder" and node.name in names
    ]
    return in_fixed_batches(module, sizes[0]) if sizes and isinstance(sizes[0], int) else module
