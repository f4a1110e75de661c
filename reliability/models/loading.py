"""Load a reference of any kind."""

from __future__ import annotations

from reliability.models.encoders import Encoders
from reliability.models.openclip import ClipModel
from reliability.models.spec import KINDS, ModelSpec


def load_reference(spec: ModelSpec) -> ClipModel:
    """Load the model that a specification names, in float32, on the CPU.

    Raises:
        ModelError: It cannot be loaded, or lacks what a reference needs.
    """
    load = KINDS[spec.kind].load
    assert load is not None, "no reference is of a kind that only the evaluation can load"
    found = load(spec)
    return found.alone() if isinstance(found, Encoders) else found
