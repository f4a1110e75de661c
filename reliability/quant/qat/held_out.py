"""Early stop on pairs that no training step sees."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

_PATIENCE = 3
_EVERY = 10


class HeldOut:
    """Remembers the state that did best on held-out pairs.

    Args:
        model: Whose state it is.
        loss: On the held-out pairs, for the model as it stands.

    Conventions:
        The state before the first step counts, so the result is never worse on these
        pairs than where the training began. It is over after three looks in a row
        without a lower loss.
    """

    every = _EVERY

    def __init__(self, model: nn.Module, loss: Callable[[], float]) -> None:
        self._model, self._loss = model, loss
        self.best_loss, self._best_step, self._misses = float("inf"), 0, 0
        self._looked_at = -1
        self._best: dict[str, Any] = {}

    @property
    def over(self) -> bool:
        """Whether training should stop."""
        return self._misses >= _PATIENCE

    def look(self, step: int) -> None:
        """Take in the loss after so many steps; a second look at one step counts once."""
        if step == self._looked_at:
            return
        self._looked_at = step
        loss = self._loss()
        if not self._best or loss < self.best_loss:
            self.best_loss, self._best_step, self._misses = loss, step, 0
            self._best = {name: value.clone() for name, value in self._model.state_dict().items()}
        else:
            self._misses += 1

    @torch.no_grad()
    def restore(self) -> int:
        """Put the best state back; the number of its step."""
        self._model.load_state_dict(self._best)
        return self._best_step

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        return {"loss": self.best_loss, "step": self._best_step, "misses": self._misses, "best": self._best}

    def load_state(self, state: dict[str, Any]) -> None:
        """Undo :meth:`state`."""
        self.best_loss, self._best_step, self._misses = state["loss"], state["step"], state["misses"]
        self._best = state["best"]
