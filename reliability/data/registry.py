"""Open a data set by its specification, ``kind`` or ``kind:location``.

A new kind is a function ``(location, root, limit) -> DataSet`` and one entry of
``KINDS``. For labelled pictures in yet another layout, such as class folders,
the function only supplies a :class:`reliability.data.collection.Collection` and
prompts to :func:`reliability.data.labelled.labelled_data_set`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from reliability.data.dataset import DataSet, RangeSetting, unknown
from reliability.data.scenes.tasks import open_scenes
from reliability.data.torchvision import open_torchvision
from reliability.data.webdataset import open_webdataset
from reliability.errors import UsageError

__all__ = ["KINDS", "DataSet", "RangeSetting", "open_data"]

Opener = Callable[[str, Path | None, int | None], DataSet]

KINDS: dict[str, Opener] = {
    "scenes": open_scenes,
    "webdataset": open_webdataset,
    "torchvision": open_torchvision,
}
"""Kind to opener."""


def open_data(spec: str, root: Path | None = None, limit: int | None = None) -> DataSet:
    """Open a data set without decoding a picture.

    Args:
        spec: Such as ``scenes``, ``webdataset:FOLDER`` or ``torchvision:CIFAR10``.
        root: Where relative locations start and downloads go.
        limit: Keeps at most that many pictures of every source; part of its identity.

    Raises:
        UsageError: Unknown kind, a location that is missing or too many, or a limit below 1.
        DataError: The folder is not what the kind expects.
    """
    kind, _, location = spec.partition(":")
    if kind not in KINDS:
        raise unknown("kind of data", kind, KINDS, where=f"--data {spec}")
    if limit is not None and limit < 1:
        raise UsageError(where="--limit", what="a limit is at least 1", got=limit, next="leave it out to keep all")
    return KINDS[kind](location, root, limit)
