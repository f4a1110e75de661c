"""Single pictures of a source by name, without reading all of it, for a person to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice

import numpy as np

from reliability.data.collection import LabelledSource
from reliability.data.corruptions.registry import corrupt
from reliability.data.corruptions.source import CorruptedSource
from reliability.data.scenes.combined import CombinedSource
from reliability.data.scenes.modes import MODES
from reliability.data.scenes.source import IMAGE_SIZE, SceneSource
from reliability.types import I64, U8, ImageSource

MOST_READ = 256
"""So many pictures are read of a source that knows no way to a single one."""
_AT_ONCE = 32


def pictures_named(source: ImageSource, ids: Sequence[str]) -> Mapping[str, U8]:
    """Those of the named pictures that can be had cheaply, by name.

    Raises:
        DataError: A picture does not decode.
    """
    if isinstance(source, CorruptedSource):
        clean = pictures_named(source.base, ids)
        damaged = corrupt(list(clean.values()), source.corruption, source.severity, list(clean), source.seed)
        return dict(zip(clean, damaged, strict=True))
    if isinstance(source, CombinedSource):
        return _of_parts(source, ids)
    if isinstance(source, SceneSource):
        return _scenes(source, ids)
    if isinstance(source, LabelledSource):
        return _labelled(source, ids)
    return _from_the_start(source, ids)


def _scenes(source: SceneSource, ids: Sequence[str]) -> Mapping[str, U8]:
    names = source.ids(np.arange(source.count))
    rows = _rows(names.tolist(), ids)
    if not len(rows):
        return {}
    images = MODES[source.mode].paint(source.scenes(rows), rows, IMAGE_SIZE)
    return dict(zip(names[rows].tolist(), images, strict=True))


def _labelled(source: LabelledSource, ids: Sequence[str]) -> Mapping[str, U8]:
    shown = source.collection.index.ids[source.rows]
    rows = _rows(shown.tolist(), ids)
    return dict(zip(shown[rows].tolist(), source.collection.read(source.rows[rows]), strict=True))


def _rows(names: Sequence[str], ids: Sequence[str]) -> I64:
    """Where the named pictures stand, increasing."""
    wanted = set(ids)
    return np.array([row for row, name in enumerate(names) if name in wanted], dtype=np.int64)


def _of_parts(source: CombinedSource, ids: Sequence[str]) -> Mapping[str, U8]:
    found: dict[str, U8] = {}
    for part in source.sources:
        prefix = f"{part.name}/"
        own = [name.removeprefix(prefix) for name in ids if name.startswith(prefix)]
        found |= {prefix + name: image for name, image in pictures_named(part, own).items()} if own else {}
    return found


def _from_the_start(source: ImageSource, ids: Sequence[str]) -> Mapping[str, U8]:
    wanted, found = set(ids), dict[str, U8]()
    for batch in islice(source.batches(_AT_ONCE), MOST_READ // _AT_ONCE):
        named = zip(batch.ids.tolist(), batch.images, strict=True)
        found |= {name: image for name, image in named if name in wanted}
        if len(found) == len(wanted):
            break
    return found
