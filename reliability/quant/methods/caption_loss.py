"""The loss of matching pairs with each other, as something to take gradients of inside a float model."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from reliability.quant.methods.workbench import Workbench
from reliability.quant.qat.losses import Batch, Pairs, total_loss
from reliability.quant.qat.training import teacher_features
from reliability.quant.recipe import Tower
from reliability.quant.towers import RangeData, encode


class CaptionLoss:
    """CLIP's own loss on range-setting pairs, in batches of consecutive ones.

    It has a gradient at the float model, unlike a distance from the float model's own
    embeddings, which is least there.

    Args:
        bench: Its reference gives the features of the tower that no gradient is asked for.
        size: Pairs in a batch.
    """

    def __init__(self, bench: Workbench, size: int) -> None:
        self.data = bench.data
        self.rows = torch.split(torch.arange(len(self.data.images)), size)
        self.features = teacher_features(bench.reference, bench.data)
        self.temperature = bench.reference.get_parameter("logit_scale").detach().exp()

    @torch.enable_grad()
    def batches(self, model: nn.Module, tower: Tower) -> Iterator[Tensor]:
        """The loss of each batch, 0-d, with one tower of a model in the place of the reference's."""
        for rows in self.rows:
            there = self.features.rows(rows)
            here = encode(model, tower, inputs_of(self.data, tower)[rows])
            pairs = Pairs(here, there.text) if tower == "vision" else Pairs(there.image, here)
            yield total_loss("contrastive", Batch(pairs, pairs, self.temperature))


def inputs_of(data: RangeData, tower: Tower) -> Tensor:
    """What a tower takes in: images or tokens."""
    return data.images if tower == "vision" else data.tokens
