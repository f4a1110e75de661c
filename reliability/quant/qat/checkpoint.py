"""A training's state on disk, from which it can go on."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
from pathlib import Path
from typing import Any

import torch

from reliability.errors import QuantizationError
from reliability.quant.qat.losses import Pairs
from reliability.quant.recipe import Recipe


class Checkpoint:
    """One file that holds the state of one training.

    Args:
        path: Of the file; its folder is made.
        recipe: What is trained.
        teacher: Features of all pairs, which stand for the model and the data.

    Conventions:
        A file is written beside its place and then moved there, so one that exists is
        whole. It is read without running code from it.
    """

    def __init__(self, path: Path, recipe: Recipe, teacher: Pairs) -> None:
        self.path, self.name = path, recipe.name
        digest = hashlib.sha256(json.dumps(dict(recipe.identity), sort_keys=True).encode())
        for features in (teacher.image, teacher.text):
            digest.update(features.cpu().numpy().tobytes())
        self.key = digest.hexdigest()

    def save(self, state: dict[str, Any]) -> None:
        """Replace what the file holds."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        beside = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        torch.save({"key": self.key, "state": state}, beside)
        beside.replace(self.path)

    def load(self) -> dict[str, Any] | None:
        """The state, None if there is no file.

        Raises:
            QuantizationError: The file is no checkpoint, or that of another recipe,
                model or data.
        """
        if not self.path.exists():
            return None
        try:
            found = torch.load(self.path, map_location="cpu", weights_only=True)
            key, state = found["key"], found["state"]
        except (OSError, RuntimeError, pickle.UnpicklingError, EOFError, TypeError, KeyError) as error:
            raise self._refused("the file is not a checkpoint of a training", type(error).__name__) from error
        if key != self.key:
            raise self._refused("the checkpoint is of another recipe, model or range-setting data", key[:12])
        return dict(state)

    def remove(self) -> None:
        """The training is done."""
        self.path.unlink(missing_ok=True)

    def _refused(self, what: str, got: str) -> QuantizationError:
        return QuantizationError(
            where=f"recipe {self.name}, checkpoint {self.path}", what=what, got=got,
            next="give another path, or delete the file",
        )  # fmt: skip
