"""Run models that the user brings, beside the reference that they are held against."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from reliability.errors import ModelError, UsageError
from reliability.evaluate.running.embed import embed_images, embed_prompts
from reliability.evaluate.storage.cache import Arrays
from reliability.evaluate.storage.code_version import code_version
from reliability.models.encoders import Encoders
from reliability.models.kinds import embeddings
from reliability.models.kinds.saved import folder_of
from reliability.models.openclip import ClipModel
from reliability.models.spec import KINDS, ModelSpec, OwnCandidate
from reliability.quant.saved import load_saved
from reliability.types import ImageSource, PromptSet

if TYPE_CHECKING:
    from reliability.evaluate.running.candidates import Candidates
    from reliability.evaluate.running.keeper import Keeper

SAVED_CODE = ("quant",)
"""Parts of the package whose code decides what a saved candidate computes."""

_PROBE_SIZES = ((48, 64), (97, 61), (224, 224))
_ALIKE = 0.06
"""Largest difference of preprocessed values, in units after normalisation, that rounding of pixels explains: libraries
round at other places, which moves a pixel by 1 or 2 of 255 and a value by up to 0.03."""


class OwnModels:
    """The user's models of one process, one loaded at a time."""

    def __init__(self, keeper: Keeper, candidates: Candidates) -> None:
        self._keeper, self._candidates = keeper, candidates
        self._loaded: tuple[ModelSpec, OwnCandidate, ClipModel] | None = None

    def images(self, model: ModelSpec, candidate: OwnCandidate, source: ImageSource) -> Arrays:
        """Image features of a source."""
        if candidate.spec.kind == "embeddings":
            found = self._keeper.reference_images(model, source.name)
            return found | {"image": embeddings.image_features(candidate.spec, source.name, found["ids"])}
        if not candidate.changes("vision"):
            return self._keeper.reference_images(model, source.name)
        loaded = self.load(model, candidate)
        return embed_images(loaded.clip, loaded, source, self._keeper.device)

    def prompts(self, model: ModelSpec, candidate: OwnCandidate, prompts: PromptSet) -> Arrays:
        """Zero-shot head of a prompt set."""
        if candidate.spec.kind == "embeddings":
            found = embeddings.text_features(candidate.spec, prompts.class_names)
            scale = np.array([float(self._reference(model).clip.logit_scale.detach().double().exp())])
            return {"logit_scale": scale} | found
        loaded = self.load(model, candidate)
        return embed_prompts(loaded.clip, loaded, prompts, self._keeper.device)

    def load(self, model: ModelSpec, candidate: OwnCandidate) -> ClipModel:
        """A candidate as a whole CLIP, where what it does not bring is the reference's.

        Raises:
            ModelError: It cannot be loaded, or prepares pictures otherwise than the reference.
        """
        if candidate.spec.kind == "embeddings":
            raise UsageError(
                where=f"candidate {candidate.name}", what="features computed elsewhere cannot be run here",
                got=candidate.spec.text, next="narrow bounds on latency and size to other candidates",
            )  # fmt: skip
        if self._loaded is None or self._loaded[:2] != (model, candidate):
            reference = self._reference(model)
            whole = self._whole(candidate.spec, reference)
            _check_preprocessing(candidate, whole, reference)
            self._loaded = (model, candidate, whole)
        return self._loaded[2]

    def _whole(self, spec: ModelSpec, reference: ClipModel) -> ClipModel:
        load = KINDS[spec.kind].load
        if load is None:
            network: Any = load_saved(folder_of(spec), reference.clip, code_version(*SAVED_CODE)).network
            return ClipModel(network.to(self._keeper.device), reference.tokenizer, reference.preprocess)
        found = load(spec)
        if isinstance(found, Encoders):
            return found.beside(reference)
        if isinstance(found.clip, nn.Module):
            found.clip.to(self._keeper.device)
        return found

    def _reference(self, model: ModelSpec) -> ClipModel:
        return self._candidates.reference(model)


def _check_preprocessing(candidate: OwnCandidate, own: ClipModel, reference: ClipModel) -> None:
    """Both models must see the same picture, or their difference is not the quantization's."""
    if own.preprocess is reference.preprocess:
        return
    for height, width in _PROBE_SIZES:
        picture = Image.fromarray(_gradient(height, width))
        first, second = (torch.as_tensor(side.preprocess(picture)) for side in (reference, own))
        if first.shape != second.shape:
            raise _otherwise(candidate, f"shape {tuple(second.shape)}, and the reference {tuple(first.shape)}")
        difference = float((first - second).abs().max())
        if difference > _ALIKE:
            raise _otherwise(candidate, f"values up to {difference:.3g} away on a picture of {width} x {height}")


def _gradient(height: int, width: int) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """A picture without edges, so that only another size, crop, range or colour order shows, and no other filter."""
    rows, columns = np.linspace(0, 255, height)[:, None], np.linspace(0, 255, width)[None]
    channels = np.broadcast_arrays(rows, columns, 255 - (rows + columns) / 2)
    return np.stack(channels, axis=-1).astype(np.uint8)


def _otherwise(candidate: OwnCandidate, got: str) -> ModelError:
    return ModelError(
        where=f"candidate {candidate.name}", what="its preprocessing is not the reference's", got=got,
        next="give it the reference's picture size, crop, mean and standard deviation; to judge other preprocessing "
        "as part of the candidate, compute its features yourself and name them with --embeddings",
    )  # fmt: skip
