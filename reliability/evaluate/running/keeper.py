"""What models of a process ask of whoever keeps their results; the engine is that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from numpy.typing import NDArray

from reliability.data.dataset import DataSet
from reliability.evaluate.storage.cache import Arrays
from reliability.models.spec import ModelSpec
from reliability.quant.recipe import Recipe


class Keeper(Protocol):
    """Settings of a process, and results that were kept.

    Attributes:
        data: Tasks, sources and range-setting data.
        device: A torch device.
        threads: Torch threads of this process.
    """

    data: DataSet
    device: str
    threads: int

    def reference_images(self, model: ModelSpec, source: str) -> Arrays:
        """The reference's own features of a source."""
        ...

    def prepared(self, model: ModelSpec, recipe: Recipe) -> Mapping[str, NDArray[Any]]:
        """The state of a prepared candidate."""
        ...
