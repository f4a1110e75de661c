"""What ``--reference`` may say, read without importing torch.

A specification knows a model's name and what its outputs depend on, so that a
run whose embeddings are all cached never loads a model.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from reliability.errors import ModelError, UsageError
from reliability.models.zoo import FOLDER, zoo_config, zoo_names, zoo_weights
from reliability.versions import installed

KINDS = {
    "zoo": "zoo:NAME, an embedded model",
    "open_clip": "open_clip:ARCH/TAG (downloads), or open_clip:ARCH with --checkpoint FILE",
}
"""Prefix to what stands behind it."""

_RUN_BY = ("open_clip_torch", "torchvision", "pillow")
"""Packages whose code decides what a model computes from a picture, apart from torch."""


@dataclass(frozen=True)
class ModelSpec:
    """A model by name, not yet loaded.

    Attributes:
        kind: A key of ``KINDS``.
        name: Short and unique, as case ids and reports show it.
        architecture: open_clip's name, or the zoo name.
        tag: open_clip's pretrained tag, or empty.
        checkpoint: Weights file, or None where open_clip finds them by tag.
    """

    kind: str
    name: str
    architecture: str
    tag: str = ""
    checkpoint: Path | None = None

    @property
    def identity(self) -> Mapping[str, Any]:
        """What the model computes with, for cache keys: weights and configuration by content."""
        found: dict[str, Any] = {"kind": self.kind, "architecture": self.architecture, "tag": self.tag}
        found |= {package: installed(package) for package in _RUN_BY}
        if self.kind == "zoo":
            config = json.dumps(zoo_config(self.architecture), sort_keys=True)
            found["config"] = hashlib.sha256(config.encode()).hexdigest()
        if self.checkpoint is not None:
            stat = self.checkpoint.stat()
            found["weights"] = file_digest(self.checkpoint, stat.st_size, stat.st_mtime_ns)
        return found


@lru_cache(maxsize=32)
def file_digest(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001 - they key the memo
    """SHA-256 of a file's content, computed once per process for one size and time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)


def _digest(file: Any) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def parse_model(text: str, checkpoint: Path | None = None) -> ModelSpec:
    """Read a model specification.

    Args:
        text: ``zoo:NAME`` or ``open_clip:ARCH[/TAG]``.
        checkpoint: Value of ``--checkpoint``.

    Raises:
        UsageError: Unknown kind or zoo model, or neither tag nor checkpoint.
        ModelError: The checkpoint is not there.
    """
    kind, _, rest = text.partition(":")
    if kind not in KINDS or not rest:
        raise UsageError(
            where=f"--reference {text}",
            what="no model name after the colon" if kind in KINDS else "unknown kind of model",
            got=repr(text),
            next="write " + ", or ".join(KINDS.values()),
        )
    if checkpoint is not None and not checkpoint.is_file():
        raise ModelError(
            where=f"--checkpoint {checkpoint}",
            what="no such checkpoint file",
            next="name a .safetensors file, or a torch file that loads with weights_only",
        )
    if kind == "zoo" and checkpoint is not None:
        raise UsageError(
            where=f"--checkpoint {checkpoint}",
            what="a zoo model has its own weights",
            got=text,
            next="leave --checkpoint out, or name the architecture with --reference open_clip:ARCH",
        )
    return _zoo(rest) if kind == "zoo" else _open_clip(text, rest, checkpoint)


def _zoo(name: str) -> ModelSpec:
    known = zoo_names()
    if name not in known:
        near = difflib.get_close_matches(name, known, 1)
        raise UsageError(
            where=f"--reference zoo:{name}",
            what="no such zoo model",
            got=repr(name),
            next=f"did you mean zoo:{near[0]}?" if near else f"known: {', '.join(known) or 'none'} (in {FOLDER.name}/)",
        )
    return ModelSpec("zoo", name, name, checkpoint=zoo_weights(name))


def _open_clip(text: str, rest: str, checkpoint: Path | None) -> ModelSpec:
    architecture, _, tag = rest.partition("/")
    if not tag and checkpoint is None:
        raise UsageError(
            where=f"--reference {text}",
            what="an open_clip model needs weights",
            got="neither a tag nor a checkpoint",
            next=f"write open_clip:{architecture}/TAG, or add --checkpoint FILE",
        )
    name = f"{architecture}-{tag}" if tag else f"{architecture}-{checkpoint.stem if checkpoint else ''}"
    return ModelSpec("open_clip", name, architecture, tag, checkpoint)
