"""What ``--reference`` and ``--candidate`` may say, read without importing torch."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from reliability.errors import ModelError, UsageError
from reliability.models.kinds import embeddings, hf, onnx, open_clip, openvino, pt2, python, saved, zoo
from reliability.models.own import OwnCandidate
from reliability.models.record import Asked, ModelSpec, file_digest

if TYPE_CHECKING:
    from reliability.models.encoders import Encoders
    from reliability.models.openclip import ClipModel

__all__ = ["KINDS", "Kind", "ModelSpec", "OwnCandidate", "file_digest", "parse_candidate", "parse_model"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]*")


@dataclass(frozen=True)
class Kind:
    """One way to name a model.

    Attributes:
        form: How it is written, and what it is.
        parse: Reads what follows the colon.
        load: Loads it in float32, on the CPU; None where only the evaluation can.
        runs_code: Whether loading runs code that comes with the model.
        reference: Whether it may be a reference.
    """

    form: str
    parse: Callable[[Asked], ModelSpec]
    load: Callable[[ModelSpec], ClipModel | Encoders] | None
    runs_code: bool = False
    reference: bool = True


KINDS = {
    "zoo": Kind("zoo:NAME, an embedded model", zoo.parse, zoo.load),
    "open_clip": Kind(
        "open_clip:ARCH/TAG (downloads), open_clip:ARCH/FILE, or open_clip:ARCH with --checkpoint FILE",
        open_clip.parse, open_clip.load,
    ),
    "saved": Kind("saved:DIR, a candidate that reliability quantize wrote", saved.parse, None, reference=False),
    "onnx": Kind(
        "onnx:DIR or onnx:VISUAL.onnx[,TEXT.onnx], run by ONNX Runtime", onnx.parse, onnx.load, reference=False
    ),
    "openvino": Kind("openvino:DIR or openvino:VISUAL.xml[,TEXT.xml]", openvino.parse, openvino.load, reference=False),
    "pt2": Kind(
        "pt2:DIR or pt2:VISUAL.pt2[,TEXT.pt2], saved by torch.export",
        pt2.parse, pt2.load, runs_code=True, reference=False,
    ),
    "hf": Kind("hf:DIR, a local transformers CLIP or SigLIP", hf.parse, hf.load),
    "python": Kind("python:package.module:factory, an object of your own", python.parse, python.load, runs_code=True),
    "embeddings": Kind("embeddings:DIR, features computed elsewhere", embeddings.parse, None, reference=False),
}  # fmt: skip
"""Prefix to what stands behind it; a new kind is one module in ``kinds`` and one entry here."""


def parse_model(text: str, checkpoint: Path | None = None, *, untrusted: bool = False) -> ModelSpec:
    """Read a reference.

    Args:
        text: Such as ``zoo:NAME`` or ``open_clip:ARCH[/TAG]``.
        checkpoint: Value of ``--checkpoint``.
        untrusted: Whether kinds that run code of the model's are refused.

    Raises:
        UsageError: Unknown kind or name, or a kind that cannot be a reference.
        ModelError: A file or folder is not there.
    """
    spec = _parse("--reference", text, checkpoint, untrusted)
    if not KINDS[spec.kind].reference:
        raise UsageError(
            where=f"--reference {text}", what="this kind of model can only be a candidate", got=spec.kind,
            next="name the FP32 model as the reference, and this one with --candidate",
        )  # fmt: skip
    return spec


def parse_candidate(text: str, *, untrusted: bool = False, option: str = "--candidate") -> OwnCandidate:
    """Read a candidate of the user's own.

    Args:
        text: A kind and what follows it, after ``NAME=`` where it is to have another name.
        untrusted: As in :func:`parse_model`.
        option: The option that was used, for messages.

    Raises:
        UsageError: Unknown kind, or a name that no case can have.
        ModelError: A file or folder is not there.

    Example:
        >>> parse_candidate("mine=zoo:scenes-web").name
        'mine'
    """
    name, equals, rest = text.partition("=")
    named = bool(equals) and ":" not in name
    spec = _parse(option, rest if named else text, None, untrusted)
    chosen = name if named else spec.name
    if not spec.towers:
        raise UsageError(
            where=f"{option} {text}", what="this candidate leaves both towers as they are", got=spec.name,
            next="judge a model against itself with --recipes fp32",
        )  # fmt: skip
    if not _NAME.fullmatch(chosen):
        raise UsageError(
            where=f"{option} {text}", what="a candidate's name is letters, digits and . _ + -", got=repr(chosen),
            next=f"name it: {option} my-int8={rest if named else text}",
        )  # fmt: skip
    return OwnCandidate(chosen, replace(spec, name=chosen))


def _parse(option: str, text: str, checkpoint: Path | None, untrusted: bool) -> ModelSpec:
    kind, _, rest = text.partition(":")
    if kind not in KINDS or not rest:
        raise UsageError(
            where=f"{option} {text}",
            what="no model name after the colon" if kind in KINDS else "unknown kind of model",
            got=repr(text),
            next="write " + ", or ".join(known.form for known in KINDS.values()),
        )
    if untrusted and KINDS[kind].runs_code:
        raise UsageError(
            where=f"{option} {text}", what="--untrusted refuses models that run code of their own", got=f"{kind}:",
            next="give it as ONNX, safetensors or embeddings, or leave --untrusted out",
        )  # fmt: skip
    if checkpoint is not None and kind not in ("zoo", "open_clip"):
        raise UsageError(
            where=f"--checkpoint {checkpoint}", what="only an open_clip architecture takes a checkpoint", got=text,
            next="leave --checkpoint out",
        )  # fmt: skip
    try:
        return KINDS[kind].parse(Asked(option, text, rest, checkpoint))
    except (OSError, ValueError) as error:
        raise ModelError(
            where=f"{option} {text}", what="what this names cannot be read", got=f"{type(error).__name__}: {error}",
            next="name a file or folder that is here and can be read",
        ) from error  # fmt: skip
