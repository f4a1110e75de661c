"""Which modules belong to which tower, and which text positions count."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reliability.errors import QuantizationError
from reliability.quant.recipe import Tower, Towers, includes

_DECODER = "text_decoder"


@dataclass(frozen=True)
class RangeData:
    """Image-caption pairs that ranges are set on; never evaluation data.

    Attributes:
        images: [N, 3, H, W] float32, preprocessed.
        tokens: [N, L] token numbers of the captions.
    """

    images: Tensor
    tokens: Tensor

    def to(self, device: torch.device) -> RangeData:
        """The same pairs on a device."""
        return RangeData(self.images.to(device), self.tokens.to(device))

    def first(self, count: int) -> RangeData:
        """The first pairs.

        Raises:
            QuantizationError: There are fewer, or images and captions differ in number.
        """
        available = len(self.images)
        if len(self.tokens) != available or available < count:
            raise QuantizationError(
                where="range-setting data",
                what=f"the recipe needs {count} image-caption pairs",
                got=f"{available} images, {len(self.tokens)} captions",
                next="provide more pairs, or replace the recipe's range_images",
            )
        return RangeData(self.images[:count], self.tokens[:count])


def tower_modules(clip: nn.Module, towers: Towers) -> dict[str, nn.Module]:
    """Name to module, for all modules below ``visual``, below everything else, or both.

    Conventions:
        A decoder that writes captions, as CoCa has one, is part of neither: no embedding depends on it.

    Raises:
        QuantizationError: The model has no ``visual`` tower.
    """
    if not isinstance(getattr(clip, "visual", None), nn.Module):
        raise QuantizationError(
            where=type(clip).__name__,
            what="the model has no vision tower under the attribute 'visual'",
            next="give an open_clip model, or one with its attributes visual, encode_image and encode_text",
        )
    named = ((name, module, _tower(name)) for name, module in clip.named_modules() if name)
    return {name: module for name, module, tower in named if tower and includes(towers, tower)}


def gemm_layers(clip: nn.Module, towers: Towers) -> dict[str, nn.Linear | nn.Conv2d]:
    """Name to layer, for every Linear and Conv2d of the towers."""
    modules = tower_modules(clip, towers)
    return {name: layer for name, layer in modules.items() if isinstance(layer, (nn.Linear, nn.Conv2d))}


def replace_module(root: nn.Module, name: str, replacement: nn.Module) -> None:
    """Put a module in the place of the one with this dotted name."""
    owner, _, attribute = name.rpartition(".")
    setattr(root.get_submodule(owner), attribute, replacement)


def encode(clip: nn.Module, tower: Tower, batch: Tensor) -> Tensor:
    """Embed images (``vision``) or tokens (``text``)."""
    return (clip.encode_image if tower == "vision" else clip.encode_text)(batch)  # type: ignore[operator,no-any-return]


def up_to_end_of_text(clip: nn.Module, tokens: Tensor) -> Tensor | None:
    """Positions of a text that can influence its embedding.

    Args:
        clip: A model whose text tower is its own or under ``text``.
        tokens: [B, L].

    Returns:
        Boolean in the order in which the tower's layers see the tokens, [B, L] or
        [L, B], where L counts a class token at the end of the text, as CoCa has
        one; None where every position counts: no mask that hides any, or pooling
        that does not stop at the end of text.
    """
    text: Any = getattr(clip, "text", clip)
    keep = _before_end(text, tokens) if getattr(text, "cls_emb", None) is None else _before_class(text, tokens)
    return keep if keep is None or getattr(text.transformer, "batch_first", True) else keep.T


def _before_end(text: Any, tokens: Tensor) -> Tensor | None:
    pool = getattr(text, "text_pool_type", getattr(text, "pool_type", ""))
    if getattr(text, "attn_mask", None) is None:
        return None
    if pool == "argmax":
        last = tokens.argmax(dim=-1)
    elif pool == "eos":
        end = getattr(text, "text_eos_id", getattr(text, "eos_id", -1))
        last = torch.eq(tokens, end).int().argmax(dim=-1)
    else:
        return None
    return torch.arange(tokens.shape[1], device=tokens.device) <= last[:, None]


def _before_class(text: Any, tokens: Tensor) -> Tensor:
    """What the class token at the end may look at, and itself.

    CoCa's mask stands one place too far right, as its published weights want it:
    the first padding counts, and its later versions have it right.
    """
    words, always = tokens != text.pad_id, tokens.new_ones(len(tokens), 1, dtype=torch.bool)
    seen = [words, always] if text.correct_cls_mask else [always, words[:, :-1], always]
    return torch.cat(seen, dim=1)


def _tower(name: str) -> Tower | None:
    top = name.partition(".")[0]
    return None if top == _DECODER else "vision" if top == "visual" else "text"
