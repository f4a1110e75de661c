"""``python:package.module:factory``: an object of the user's own code."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from reliability.errors import ModelError, UsageError
from reliability.models.record import Asked, ModelSpec, Tower, content_digest

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from reliability.models.encoders import Encoders


_ENCODERS: dict[Tower, str] = {"vision": "encode_image", "text": "encode_text"}


class OwnModel(Protocol):
    """What a factory returns.

    Attributes:
        identity: Any JSON-serialisable value that changes whenever the model does, such as
            a digest of its weights. Embeddings are cached by it.
        logit_scale: Natural logarithm of what cosines are multiplied by, as open_clip and
            transformers keep it; a number or a tensor of one.

    All but ``identity`` and one encoder may be left out or None, such as ``preprocess`` (a PIL
    picture to [3, S, S]) and ``tokenizer`` (texts to int64 [N, L]): what is not there is the
    reference's.
    """

    identity: Any
    logit_scale: Any

    def encode_image(self, pictures: Tensor) -> Tensor:
        """[B, 3, S, S] float32 to [B, D]."""
        ...

    def encode_text(self, tokens: Tensor) -> Tensor:
        """[B, L] int64 to [B, D]."""
        ...

    preprocess: Callable[[Image.Image], Tensor]
    tokenizer: Callable[[Sequence[str]], Tensor]


@dataclass(frozen=True)
class PythonSpec(ModelSpec):
    """A model whose own object says what it is; asking makes the object."""

    @property
    def identity(self) -> Mapping[str, Any]:
        """What the object says, and the file that makes it."""
        module, _, _ = self.architecture.partition(":")
        made, source = _made(self.architecture), getattr(importlib.import_module(module), "__file__", None)
        if getattr(made, "identity", None) is None:
            raise _unusable(self.text, "the object has no identity, by which its embeddings could be kept", made)
        code = content_digest(Path(source)) if source else ""
        return {"kind": self.kind, "name": self.architecture, "identity": made.identity, "code": code}

    def brings(self, tower: Tower) -> bool:
        """Whether the object has the encoder.

        Raises:
            ModelError: It has neither.
        """
        made = _made(self.architecture)
        has = {part: getattr(made, name, None) is not None for part, name in _ENCODERS.items()}
        if not any(has.values()):
            raise _unusable(self.text, "the object has neither encode_image nor encode_text", made)
        return has[tower]


def parse(asked: Asked) -> ModelSpec:
    """Read module and factory; the module is imported when the model is needed."""
    module, _, factory = asked.rest.partition(":")
    if not module or not factory.isidentifier():
        raise UsageError(
            where=asked.where, what="a Python model is a module and a factory in it", got=asked.rest,
            next="write python:package.module:factory",
        )  # fmt: skip
    return PythonSpec("python", factory, asked.rest)


def load(spec: ModelSpec) -> Encoders:
    """Call the factory, once per process."""
    from reliability.models.encoders import Encoders

    made = _made(spec.architecture)
    found = {name: getattr(made, name, None) for name in ("encode_image", "encode_text", "tokenizer", "preprocess")}
    return Encoders(spec.text, logit_scale=_scale(getattr(made, "logit_scale", None)), **found)


@cache
def _made(name: str) -> Any:
    module, _, factory = name.partition(":")
    try:
        return getattr(importlib.import_module(module), factory)()
    except Exception as error:
        # Whatever the user's code raises, its traceback stays attached.
        raise ModelError(
            where=f"python:{name}", what="the factory cannot be imported or called",
            got=f"{type(error).__name__}: {error}",
            next="see that the module is on PYTHONPATH and that factory() takes no argument",
        ) from error  # fmt: skip


def _scale(logarithm: Any) -> float | None:
    import math

    return None if logarithm is None else math.exp(float(logarithm))


def _unusable(where: str, what: str, made: object) -> ModelError:
    return ModelError(
        where=where, what=what, got=type(made).__name__,
        next="see reliability.models.kinds.python.OwnModel for what the object must have",
    )  # fmt: skip
