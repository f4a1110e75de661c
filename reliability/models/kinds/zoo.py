"""``zoo:NAME``: an embedded model."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from reliability.errors import UsageError
from reliability.models.record import Asked, ModelSpec
from reliability.models.zoo import FOLDER, zoo_names, zoo_weights

if TYPE_CHECKING:
    from reliability.models.openclip import ClipModel


def parse(asked: Asked) -> ModelSpec:
    """Find an embedded model by name."""
    if asked.checkpoint is not None:
        raise UsageError(
            where=f"--checkpoint {asked.checkpoint}",
            what="a zoo model has its own weights",
            got=asked.text,
            next="leave --checkpoint out, or name the architecture with --reference open_clip:ARCH",
        )
    known = zoo_names()
    if asked.rest not in known:
        near = difflib.get_close_matches(asked.rest, known, 1)
        raise UsageError(
            where=asked.where,
            what="no such zoo model",
            got=repr(asked.rest),
            next=f"did you mean zoo:{near[0]}?" if near else f"known: {', '.join(known) or 'none'} (in {FOLDER.name}/)",
        )
    return ModelSpec("zoo", asked.rest, asked.rest, checkpoint=zoo_weights(asked.rest))


def load(spec: ModelSpec) -> ClipModel:
    """Load it."""
    from reliability.models.openclip import load_model

    return load_model(spec)
