from __future__ import annotations

import numpy as np
import pytest

from reliability.data.dataset import DataSet
from reliability.models.spec import ModelSpec


@pytest.mark.parametrize("templates", [1, 2])
def test_the_zero_shot_head_is_open_clips(tiny: ModelSpec, data: DataSet, templates: int) -> None:
    from reliability.evaluate.running.embed import embed_prompts
    from reliability.models.openclip import load_model
    from reliability.types import PromptSet

    model = load_model(tiny)
    from open_clip import build_zero_shot_classifier

    whole = data.task("id").prompts
    prompts = PromptSet(whole.class_names, whole.templates[:templates])
    head = embed_prompts(model.clip, model, prompts, "cpu")
    written = [template.replace("{c}", "{}") for template in prompts.templates]
    expected = build_zero_shot_classifier(model.clip, model.tokenizer, prompts.class_names, written)
    np.testing.assert_allclose(head["text"], expected.T.numpy(), rtol=0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(head["text"], axis=1), 1, atol=1e-6)
    assert head["text"].dtype == np.float32
    # The heads of different classes differ by far more than the tolerance.
    assert np.abs(head["text"][0] - head["text"][1]).max() > 1e-3
    # open_clip starts at a temperature of 0.07, and the zoo stores half precision.
    assert head["logit_scale"].item() == pytest.approx(1 / 0.07, rel=1e-3)


def test_batches_are_joined_in_order(tiny: ModelSpec, data: DataSet, monkeypatch: pytest.MonkeyPatch) -> None:
    from reliability.evaluate.running import embed
    from reliability.models.openclip import load_model

    model, source = load_model(tiny), data.sources["pictures"]
    whole = embed.embed_images(model.clip, model, source, "cpu")
    monkeypatch.setattr(embed, "BATCH", 7)
    pieces = embed.embed_images(model.clip, model, source, "cpu")
    assert pieces["ids"].tolist() == whole["ids"].tolist() == source.ids.tolist()
    assert pieces["labels"].tolist() == whole["labels"].tolist()
    np.testing.assert_allclose(pieces["image"], whole["image"], rtol=0, atol=1e-5)
