"""Which positions of a text may count for ranges: those, and only those, that can move its embedding."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reliability.quant.prepare import RangeData
from reliability.quant.towers import encode, up_to_end_of_text
from reliability.torchvision_shim import ensure_torchvision_imports

TEXT = {"context_length": 8, "width": 32, "heads": 2, "layers": 2, "vocab_size": 40}
VISION = {
    "image_size": 16, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8,
    "attentional_pool": True, "attn_pooler_heads": 2, "attn_pooler_queries": 3, "output_tokens": True,
}  # fmt: skip


def coca() -> Any:
    """Small, with a class token behind each text."""
    ensure_torchvision_imports()
    from open_clip import CoCa

    torch.manual_seed(0)
    text = TEXT | {"embed_cls": True, "output_tokens": True}
    return CoCa(24, multimodal_cfg=TEXT, text_cfg=text, vision_cfg=VISION).eval()


def embed(clip: nn.Module, tokens: Tensor, first_inputs: Tensor) -> Tensor:
    """The embeddings if the first block saw other inputs."""
    text: Any = getattr(clip, "text", clip)
    handle = text.transformer.resblocks[0].register_forward_pre_hook(lambda _, old: (first_inputs, *old[1:]))
    with torch.no_grad():
        embedded = encode(clip, "text", tokens)
    handle.remove()
    return embedded


def assert_only_kept_positions_count(clip: nn.Module, tokens: Tensor, length: int) -> None:
    keep = up_to_end_of_text(clip, tokens)
    assert keep is not None
    assert 0.2 < keep.float().mean() < 0.9
    generator = torch.Generator().manual_seed(0)
    inputs, noise = (torch.randn(len(tokens), length, 32, generator=generator) for _ in range(2))
    plain = embed(clip, tokens, inputs)
    assert torch.equal(embed(clip, tokens, torch.where(keep[..., None], inputs, noise)), plain)
    for position in range(length):
        moved = inputs.clone()
        moved[:, position] = noise[:, position]
        differs = (embed(clip, tokens, moved) != plain).any(dim=1)
        assert torch.equal(differs, keep[:, position])


def test_up_to_the_end_of_text_under_a_causal_mask(vit: nn.Module, small_data: RangeData) -> None:
    assert_only_kept_positions_count(vit, small_data.tokens, 8)


@pytest.mark.parametrize("corrected", [False, True])
def test_words_and_the_class_token_behind_them_under_cocas_mask(small_data: RangeData, corrected: bool) -> None:
    clip = coca()
    clip.text.correct_cls_mask = corrected
    assert_only_kept_positions_count(clip, small_data.tokens, 9)


def test_every_position_without_a_mask(small_data: RangeData) -> None:
    ensure_torchvision_imports()
    from open_clip import CustomTextCLIP

    text = TEXT | {"no_causal_mask": True, "pool_type": "last"}
    clip = CustomTextCLIP(24, vision_cfg={**VISION, "attentional_pool": False, "output_tokens": False}, text_cfg=text)
    assert up_to_end_of_text(clip, small_data.tokens) is None
