"""What is to be had of a model between its input and its embeddings. Imports no torch until it is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reliability.evaluate.running.need import Need
from reliability.evaluate.storage.cache import Arrays
from reliability.quant.recipe import Recipe
from reliability.types import ImageSource

if TYPE_CHECKING:
    from reliability.evaluate.running.candidates import Candidates

INSIDE = ("layers", "weights")
"""Kinds of :class:`Need` that are about this."""
INSIDE_CODE = (
    "evaluate/running/feature_maps.py", "evaluate/running/weight_spectra.py",
    "metrics/fourier.py", "metrics/representation.py",
)  # fmt: skip


def look_inside(need: Need, source: ImageSource | None, candidates: Candidates) -> Arrays:
    """Features of layers on a source's pictures, or spectra of weights."""
    from reliability.evaluate.running.feature_maps import layer_features
    from reliability.evaluate.running.weight_spectra import weight_spectra

    assert isinstance(need.candidate, Recipe), "layers of a model of the user's own are not known"
    if source is None:
        return weight_spectra(candidates, need.model, need.candidate)
    return layer_features(candidates, need.model, need.candidate, source)
