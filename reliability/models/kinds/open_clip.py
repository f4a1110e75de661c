"""``open_clip:ARCH/TAG``, or ``open_clip:ARCH`` with a checkpoint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from reliability.errors import ModelError, UsageError
from reliability.models.record import Asked, ModelSpec

if TYPE_CHECKING:
    from reliability.models.openclip import ClipModel


def parse(asked: Asked) -> ModelSpec:
    """Read architecture and tag, or a file in its place; whether open_clip knows them is found out on loading."""
    checkpoint = asked.checkpoint
    if checkpoint is not None and not checkpoint.is_file():
        raise ModelError(
            where=f"--checkpoint {checkpoint}",
            what="no such checkpoint file",
            next="name a .safetensors file, or a torch file that loads with weights_only",
        )
    architecture, _, tag = asked.rest.partition("/")
    if checkpoint is None and Path(tag).is_file():
        checkpoint, tag = Path(tag), ""
    if not tag and checkpoint is None:
        raise UsageError(
            where=asked.where,
            what="an open_clip model needs weights",
            got="neither a tag nor a checkpoint",
            next=f"write open_clip:{architecture}/TAG, or add --checkpoint FILE",
        )
    name = f"{architecture}-{tag}" if tag else f"{architecture}-{checkpoint.stem if checkpoint else ''}"
    return ModelSpec("open_clip", name, architecture, tag, checkpoint)


def load(spec: ModelSpec) -> ClipModel:
    """Load it."""
    from reliability.models.openclip import load_model

    return load_model(spec)
