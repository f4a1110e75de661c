"""A model by name, not yet loaded; imports no torch.

A specification knows a model's name and what its outputs depend on, so that a
run whose embeddings are all cached never loads a model.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any, Literal

from reliability.errors import ModelError, UsageError
from reliability.models.zoo import zoo_config
from reliability.versions import installed

Tower = Literal["vision", "text"]
BOTH: tuple[Tower, ...] = ("vision", "text")

_RUN_BY = ("open_clip_torch", "timm", "torchvision", "pillow")
"""Packages whose code decides what a model computes from a picture, apart from torch."""


@dataclass(frozen=True)
class ModelSpec:
    """A model by name, not yet loaded.

    Attributes:
        kind: A key of ``reliability.models.spec.KINDS``.
        name: Short and unique, as case ids and reports show it.
        architecture: open_clip's name, the zoo name, or what else follows the colon.
        tag: open_clip's pretrained tag, or empty.
        checkpoint: Weights file, or None where open_clip finds them by tag.
        towers: The encoders it brings.
        files: What it is read from, for the kinds that are files, in the order of ``towers``.
        packages: Further ones that compute what it does.
    """

    kind: str
    name: str
    architecture: str
    tag: str = ""
    checkpoint: Path | None = None
    towers: tuple[Tower, ...] = BOTH
    files: tuple[Path, ...] = ()
    packages: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """What names it on the command line."""
        return f"{self.kind}:{self.architecture}" + (f"/{self.tag}" if self.tag else "")

    @property
    def shown(self) -> str:
        """As reports show it, without the folders of this machine."""
        names = (Path(part).name for part in self.architecture.split(","))
        return f"{self.kind}:{','.join(names)}" if self.files else self.text

    @property
    def identity(self) -> Mapping[str, Any]:
        """What the model computes with, for cache keys: weights and configuration by content."""
        found: dict[str, Any] = {"kind": self.kind, "tag": self.tag}
        if not self.files:
            found["architecture"] = self.architecture
        found |= {package: _version(package) for package in (*_RUN_BY, *self.packages)}
        if self.kind == "zoo":
            config = json.dumps(zoo_config(self.architecture), sort_keys=True)
            found["config"] = hashlib.sha256(config.encode()).hexdigest()
        if self.checkpoint is not None:
            found["weights"] = content_digest(self.checkpoint)
        if self.files:
            found["files"] = [content_digest(path) for path in self.files]
        return found

    def brings(self, tower: Tower) -> bool:
        """Whether it has an encoder of its own; a reference has both, a candidate may borrow one."""
        return tower in self.towers


@dataclass(frozen=True)
class Asked:
    """What somebody wrote to name a model.

    Attributes:
        option: The option that was used, for messages.
        text: The whole of it.
        rest: What follows the kind and the colon.
        checkpoint: Value of ``--checkpoint``.
    """

    option: str
    text: str
    rest: str
    checkpoint: Path | None = None

    @property
    def where(self) -> str:
        """For error messages."""
        return f"{self.option} {self.text}"

    def folder(self) -> Path:
        """What follows the colon as a folder that is there.

        Raises:
            ModelError: There is none.
        """
        path = Path(self.rest)
        if not path.is_dir():
            raise ModelError(where=self.where, what="no such folder", got=str(path), next="name a folder that is here")
        return path

    def files(self) -> tuple[Path, ...]:
        """What follows the colon as one file, or two with a comma between them.

        Raises:
            UsageError: There are more.
            ModelError: One is not there.
        """
        paths = tuple(Path(part.strip()) for part in self.rest.split(","))
        if len(paths) > len(BOTH):
            raise UsageError(
                where=self.where, what="a model has at most two files, the vision tower's and the text tower's",
                got=f"{len(paths)} files", next="write VISUAL,TEXT",
            )  # fmt: skip
        for path in paths:
            if not path.is_file():
                raise ModelError(where=self.where, what="no such file", got=str(path), next="name a file that is here")
        return paths


def content_digest(path: Path) -> str:
    """SHA-256 of a file's content, computed once per process for one size and time."""
    stat = path.stat()
    return file_digest(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=256)
def file_digest(path: Path, size: int, mtime_ns: int) -> str:  # noqa: ARG001 - they key the memo
    """SHA-256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest(file)


def _digest(file: Any) -> str:
    digest = hashlib.sha256()
    while block := file.read(1 << 20):
        digest.update(block)
    return digest.hexdigest()


def _version(package: str) -> str:
    try:
        return installed(package)
    except PackageNotFoundError:
        return "missing"
