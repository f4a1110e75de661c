"""What a unit takes in and what it should give, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from reliability.errors import QuantizationError
from reliability.quant.methods.caption_loss import CaptionLoss, inputs_of
from reliability.quant.methods.reconstruction.units import Unit
from reliability.quant.methods.workbench import LayerBench
from reliability.quant.observers import require_finite
from reliability.quant.recipe import Tower
from reliability.quant.towers import encode, up_to_end_of_text


@dataclass(frozen=True)
class Example:
    """One batch of range-setting pairs at a unit.

    Attributes:
        args, kwargs: What the unit takes in behind the quantized units before it.
        float_input: The first of ``args`` in the float model.
        target: What the unit gives in the float model.
        before: What it gives now.
        keep: Positions [B, L] or [L, B] that count, None for all.
        weights: Of the squared errors, broadcastable to the target; None for 1.
    """

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    float_input: Tensor
    target: Tensor
    before: Tensor
    keep: Tensor | None
    weights: Tensor | None = None

    def error(self, output: Tensor) -> Tensor:
        """Squared error of an output, weighted, summed over the positions that count."""
        squared = (output - self.target).square()
        if self.weights is not None:
            squared = squared * self.weights
        # A pooled [B, D] output holds end-of-text positions only.
        return squared.sum() if self.keep is None or squared.ndim < 3 else squared[self.keep].sum()


def examples(bench: LayerBench, unit: Unit, size: int) -> list[Example]:
    """All range-setting pairs at a unit, without weights.

    Args:
        bench: The units before this one are finished in its model.
        unit: Where to look.
        size: Pairs in a batch.

    Raises:
        QuantizationError: The unit gives no tensor, or values that are not finite.
    """
    found = []
    for inputs in torch.split(inputs_of(bench.data, unit.tower), size):
        wanted, now = (_reach(model, unit, inputs) for model in (bench.float_model, bench.model))
        for call in (wanted, now):
            require_finite(call.output, unit.name)
        found.append(
            Example(now.args, now.kwargs, wanted.args[0], wanted.output, now.output, _keep(bench, unit.tower, inputs))
        )
    return found


def squared_gradients(bench: LayerBench, unit: Unit, loss: CaptionLoss) -> Tensor:
    """The mean squared gradient of a loss by a unit's output in the float model, over pairs.

    Returns:
        Of one pair's output's shape, with 1 in place of the pairs; its own mean is 1, so
        that the weighted error stays of the plain one's magnitude. 1 where no gradient is.
    """
    outputs: list[Tensor] = []

    def cut(module: nn.Module, inputs: object, output: Tensor) -> Tensor:
        del module, inputs
        outputs.append(output.detach().requires_grad_())
        return outputs[-1].clone()  # which an activation function may overwrite

    hook = bench.float_model.get_submodule(unit.name).register_forward_hook(cut)
    total: Tensor | float = 0.0
    try:
        for rows, value in zip(loss.rows, loss.batches(bench.float_model, unit.tower), strict=True):
            (gradient,) = torch.autograd.grad(value, outputs.pop())
            # A mean over the batch hides that a larger one makes each pair's gradient smaller.
            squares = (gradient * len(rows)).double().square()
            total = total + squares.sum(dim=0 if len(squares) == len(rows) else 1, keepdim=True)
    finally:
        hook.remove()
    assert isinstance(total, Tensor)
    return (total / total.mean()).float() if bool(total.any()) else torch.ones_like(total, dtype=torch.float32)


class _Reached(Exception):  # noqa: N818
    """Ends a forward pass at a unit; no error."""

    def __init__(self, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> None:
        super().__init__()
        self.args, self.kwargs, self.output = args, kwargs, output


@torch.no_grad()
def _reach(model: nn.Module, unit: Unit, inputs: Tensor) -> _Reached:
    """Run a model as far as a unit."""

    def stop(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        del module
        if not isinstance(output, Tensor):
            raise _no_tensor(unit.name, output)
        raise _Reached(args, kwargs, output)

    hook = model.get_submodule(unit.name).register_forward_hook(stop, with_kwargs=True)
    try:
        encode(model, unit.tower, inputs)
    except _Reached as reached:
        return reached
    finally:
        hook.remove()
    raise AssertionError(f"{unit.name} ran once and does not run again")


def _keep(bench: LayerBench, tower: Tower, inputs: Tensor) -> Tensor | None:
    return up_to_end_of_text(bench.model, inputs) if tower == "text" else None


def _no_tensor(name: str, output: object) -> QuantizationError:
    return QuantizationError(
        where=f"block {name}",
        what="reconstruction needs blocks that give one tensor",
        got=type(output).__name__,
        next="use adaround or gptq, which work layer by layer",
    )
