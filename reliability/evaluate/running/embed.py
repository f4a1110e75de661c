"""Run a CLIP over pictures and prompts: the only step that needs a model."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reliability.data.parallel import prefetched
from reliability.errors import ModelError
from reliability.evaluate.storage.cache import Arrays
from reliability.models.openclip import ClipModel
from reliability.types import ImageSource, PromptSet

BATCH = 32
"""Pictures per forward pass. Fixed, since a batch size can move a last bit, and small: activations that fit the
processor cache ran 1.6 times faster than at 100 on the embedded models. This file is part of cache keys."""


def embed_images(clip: Any, model: ClipModel, source: ImageSource, device: str) -> Arrays:
    """Image features of a whole source.

    Args:
        clip: The network to run, the reference's or a candidate's.
        model: Whose preprocessing to use.

    Returns:
        ``image`` [N, D] float32, not normalised; ``labels``, ``groups`` [N]; ``ids`` [N].

    Raises:
        ModelError: A feature is not finite; the first such picture is named.

    Conventions:
        The next batches are decoded and preprocessed while the model runs, in the
        source's order and in the same batches, so that no bit of a feature depends on it.
    """
    features, labels, groups, ids = [], [], [], []
    inputs = prefetched((batch, model.to_input(batch.images)) for batch in source.batches(BATCH))
    with closing(inputs), torch.inference_mode():
        for batch, pictures in inputs:
            rows = clip.encode_image(pictures.to(device)).float().cpu().numpy()
            _check_finite(rows, batch.ids, source.name)
            features.append(rows)
            labels.append(batch.labels)
            groups.append(batch.groups)
            ids.append(batch.ids)
    return {
        "image": np.concatenate(features),
        "labels": np.concatenate(labels),
        "groups": np.concatenate(groups),
        "ids": np.concatenate(ids),
    }


def embed_prompts(clip: Any, model: ClipModel, prompts: PromptSet, device: str) -> Arrays:
    """The zero-shot head of a prompt set.

    Returns:
        ``text`` [C, D] float32 of unit length and ``logit_scale`` [1] float64.

    Conventions:
        Each prompt's feature is normalised, the mean over templates is taken and
        normalised again, as in open_clip's ``build_zero_shot_classifier``.
    """
    with torch.inference_mode():
        rows = [_class_feature(clip, model, prompts.texts(index), device) for index in range(len(prompts.class_names))]
        scale = float(clip.logit_scale.detach().double().exp())
    text = np.stack(rows)
    _check_finite(text, np.array(prompts.class_names), "the prompts")
    return {"text": text, "logit_scale": np.array([scale])}


def _class_feature(clip: Any, model: ClipModel, texts: list[str], device: str) -> NDArray[np.float32]:
    features = clip.encode_text(model.tokenizer(texts).to(device)).float()
    mean = torch.nn.functional.normalize(features, dim=-1).mean(0)
    row: NDArray[np.float32] = torch.nn.functional.normalize(mean, dim=-1).cpu().numpy()
    return row


def _check_finite(rows: NDArray[np.float32], names: NDArray[np.str_], where: str) -> None:
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise ModelError(
            where=f"{where}, {names[bad[0]]}",
            what="the model's features are not finite",
            got=f"NaN or infinity in {len(bad)} of {len(rows)} rows of a batch",
            next="check the weights and the quantizer scales of the layer that overflows",
        )
