"""What a quantization method works on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from reliability.quant.recipe import Recipe
from reliability.quant.towers import RangeData


@dataclass(frozen=True)
class Workbench:
    """The inputs of a method, and the model it changes in place.

    Attributes:
        model: Float copy after surgery; the method turns it into the result.
        reference: The same model, to be left as it is.
        recipe: What to do.
        data: Exactly the recipe's range-setting pairs.
        report: Takes one line of progress.
    """

    model: nn.Module
    reference: nn.Module
    recipe: Recipe
    data: RangeData
    report: Callable[[str], None]


Method = Callable[[Workbench], None]
