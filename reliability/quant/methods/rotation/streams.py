"""The residual stream of a transformer tower: what starts it, reads it and writes to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from torch import nn

from reliability.errors import QuantizationError
from reliability.quant.explicit import Projection, SplitAttention
from reliability.quant.recipe import EACH_TOWER, Recipe, Tower


@dataclass(frozen=True)
class Stream:
    """A tower of open_clip with plain residual blocks.

    Attributes:
        tower: Which.
        owner: Module with the tower's transformer and embeddings.
        norm: Attribute of the LayerNorm after the last block.
        projection: Attribute of what reads it.
    """

    tower: Tower
    owner: Any
    norm: str
    projection: str

    @property
    def blocks(self) -> list[Any]:
        """Residual blocks, first to last."""
        return list(self.owner.transformer.resblocks)

    @property
    def head(self) -> Any:
        """The Linear after the last LayerNorm."""
        layer = getattr(self.owner, self.projection)
        return layer.linear if isinstance(layer, Projection) else layer


def streams(clip: nn.Module, recipe: Recipe, method: str) -> Iterator[Stream]:
    """The residual streams of a recipe's towers.

    Args:
        clip: Model after surgery.
        recipe: Says which towers.
        method: Name for the error message.

    Raises:
        QuantizationError: A tower is no plain transformer of open_clip.
    """
    for tower in EACH_TOWER:
        if not recipe.quantizes(tower):
            continue
        found = stream(clip, tower)
        fault = _fault(found)
        if fault:
            raise QuantizationError(
                where=f"recipe {recipe.name}, {tower} tower",
                what=f"{method} needs a transformer of open_clip with plain residual blocks",
                got=fault,
                next="use a scheme without it, or quantize the other tower alone",
            )
        yield found


def stream(clip: nn.Module, tower: Tower) -> Stream:
    """The residual stream of a tower, whether it is a plain one or not."""
    if tower == "vision":
        return Stream(tower, clip.visual, "ln_post", "proj")
    return Stream(tower, getattr(clip, "text", clip), "ln_final", "text_projection")


def _fault(found: Stream) -> str:
    """What keeps a tower from being a plain transformer, nothing if it is one."""
    owner = found.owner
    blocks = getattr(getattr(owner, "transformer", None), "resblocks", None)
    if blocks is None:
        return f"{type(owner).__name__} without residual blocks"
    if getattr(owner, "attn_pool", None) is not None:
        return "attention pooling reads the residual stream"
    if getattr(owner, "output_tokens", False):
        return "the tower returns its tokens beside the embedding"
    if not isinstance(getattr(owner, found.norm, None), nn.LayerNorm):
        return f"no LayerNorm {found.norm}"
    if not isinstance(getattr(owner, found.projection, None), (Projection, nn.Linear)):
        return f"no projection {found.projection}"
    odd = [number for number, block in enumerate(blocks) if not _is_plain(block)]
    return f"residual block {odd[0]} is of another make" if odd else ""


def _is_plain(block: Any) -> bool:
    mlp = dict(getattr(block, "mlp", nn.Identity()).named_children())
    return (
        isinstance(getattr(block, "attn", None), SplitAttention)
        and not hasattr(block, "ln_1_kv")
        and all(isinstance(getattr(block, name, None), nn.LayerNorm) for name in ("ln_1", "ln_2"))
        and isinstance(block.mlp, nn.Sequential)
        and all(isinstance(mlp.get(name), nn.Linear) for name in ("c_fc", "c_proj"))
        and list(mlp)[-1] == "c_proj"
    )
