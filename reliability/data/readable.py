"""Leave unreadable pictures out, where the user allowed some.

The evaluated pictures are decoded once to find them, so that every model and task
is judged on the same ones; what was found is remembered by their content.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from reliability.data.collection import Collection, Pending, pending
from reliability.data.fingerprint import memory_folder, recall, remember
from reliability.data.parallel import decoders, in_order
from reliability.data.subset import Subset
from reliability.errors import DataError
from reliability.types import I64


def readable(collection: Collection, allowed: int) -> tuple[Collection, list[str]]:
    """A collection without its unreadable pictures, and the ids of those.

    Args:
        collection: Any pictures.
        allowed: How many may be left out; with 0 nothing is looked for.

    Raises:
        DataError: There are more; the first are named.
    """
    if allowed <= 0:
        return collection, []
    rows = _unreadable_rows(collection)
    ids = [str(name) for name in collection.index.ids[rows]]
    if len(ids) > allowed:
        raise DataError(
            where="--skip-unreadable", what=f"more unreadable pictures than the {allowed} that may be left out",
            got=f"{len(ids)}: {', '.join(ids[:5])}", next="repair or remove the files, or allow more",
        )  # fmt: skip
    return (Subset(collection, partial(np.asarray, rows)), ids) if ids else (collection, [])


def _unreadable_rows(collection: Collection) -> I64:
    """Rows that do not decode; one process looks, and the others read what it found."""
    memory = _memory(collection)
    with _alone(memory):
        found = recall(memory)
        if not isinstance(found, list):
            found = [row for row, fine in enumerate(_look(collection)) if not fine]
            remember(memory, found)
    return np.array(found, dtype=np.int64)


@contextmanager
def _alone(memory: Path) -> Iterator[None]:
    """Let other processes wait; where no lock can be written each looks for itself."""
    from filelock import FileLock

    lock = FileLock(memory.with_suffix(".lock"))
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except OSError:
        yield
        return
    try:
        yield
    finally:
        lock.release()


def _memory(collection: Collection) -> Path:
    identity = json.dumps(dict(collection.identity), sort_keys=True)
    return memory_folder() / f"unreadable-{hashlib.sha256(identity.encode()).hexdigest()[:32]}.json"


def _look(collection: Collection) -> Iterator[bool]:
    rows = np.arange(len(collection.index.ids))
    return in_order((partial(_decodes, picture) for picture in pending(collection, rows)), decoders())


def _decodes(picture: Pending) -> bool:
    try:
        picture()
    except DataError:
        return False
    return True
