"""A model of the sigmoid loss has a logit bias; what is judged does not move with it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from reliability.errors import ModelError
from reliability.models.openclip import ClipModel, load_model, read_state
from reliability.models.spec import parse_model
from reliability.models.zoo import zoo_weights
from reliability.types import Embeddings

PICTURES = [np.random.default_rng(seed).integers(0, 256, (32, 32, 3), dtype=np.uint8) for seed in range(8)]
TEXTS = ["a photo of a red circle.", "a photo of a blue star.", "there is a white heart."]


@pytest.fixture(scope="module")
def model() -> ClipModel:
    torch.set_num_threads(1)
    return load_model(parse_model("zoo:scenes-siglip"))


def embeddings(clip: Any, model: ClipModel) -> Embeddings:
    with torch.inference_mode():
        image = clip.encode_image(model.to_input(PICTURES)).numpy()
        text = torch.nn.functional.normalize(clip.encode_text(model.tokenizer(TEXTS)), dim=-1).numpy()
    count = len(PICTURES)
    nothing = np.full(count, -1)
    return Embeddings(image, text, clip.logit_scale.exp().item(), nothing, nothing, np.arange(count).astype(str))


def softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True))


def test_scale_and_bias_are_those_of_the_file(model: ClipModel) -> None:
    stored = read_state(zoo_weights("scenes-siglip"))
    assert model.clip.logit_bias.item() == stored["logit_bias"].item() < -5
    assert model.clip.logit_scale.item() == stored["logit_scale"].item()


def test_judged_logits_are_the_models_own_without_its_bias_and_confidences_are_the_same(model: ClipModel) -> None:
    with torch.inference_mode():
        own, _ = model.clip.get_logits(model.to_input(PICTURES), model.tokenizer(TEXTS))
    judged = embeddings(model.clip, model).logits
    assert np.allclose(own.numpy() - model.clip.logit_bias.item(), judged, atol=1e-4)
    assert np.allclose(softmax(own.numpy().astype(float)), softmax(judged), atol=1e-5)


def test_a_checkpoint_that_lost_its_bias_is_refused(tmp_path: Path) -> None:
    state = {name: value for name, value in read_state(zoo_weights("scenes-siglip")).items() if name != "logit_bias"}
    save_file(state, tmp_path / "w.safetensors")
    spec = replace(parse_model("zoo:scenes-siglip"), checkpoint=tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match="missing or unexpected: logit_bias"):
        load_model(spec)
