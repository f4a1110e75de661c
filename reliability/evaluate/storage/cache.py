"""A content-addressed store of arrays, shared by processes, safe against crashes.

An entry's address is the digest of everything its content depends on. A reader
sees all of it or nothing; it carries a checksum, so damage is noticed; and in a
folder it is computed under a lock, so several workers compute it once.
"""

from __future__ import annotations

import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reliability.evaluate.storage.store import Location, open_store

Arrays = dict[str, NDArray[Any]]

_MAGIC = b"QRC1"
_DIGEST_BYTES = 32


class DamagedEntryWarning(UserWarning):
    """A cache entry failed its checksum and is computed again."""


@dataclass(frozen=True)
class Job:
    """Something to be had from the cache, or computed.

    Attributes:
        payload: Everything the content depends on, JSON-serialisable.
        compute: Makes the arrays when they are not there.
    """

    payload: Mapping[str, Any]
    compute: Callable[[], Arrays]

    @cached_property
    def key(self) -> str:
        """Digest of the payload in canonical JSON, as 64 hexadecimal digits."""
        text = json.dumps(self.payload, sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()


class Cache:
    """Arrays by address at one place.

    Args:
        root: A folder, created when missing, or a URL.

    Raises:
        CacheError: It cannot be reached or written.
    """

    def __init__(self, root: Location) -> None:
        self.root = root
        self._store = open_store(root, "--cache-dir")

    def get(self, jobs: Sequence[Job]) -> list[Arrays]:
        """Fetch or compute several entries, returned in the order given.

        Entries that another process is computing are left for last, so that two
        workers in need of the same two entries compute one each.
        """
        found: dict[int, Arrays] = {}
        for blocking in (False, True):
            for index, job in enumerate(jobs):
                if index not in found and (arrays := self._one(job, blocking)) is not None:
                    found[index] = arrays
        return [found[index] for index in range(len(jobs))]

    def lacking(self, jobs: Iterable[Job]) -> set[str]:
        """Keys of the jobs that have no entry; damage is noticed only where one is read."""
        names = self._store.names()
        return {job.key for job in jobs if _file_of(job.key) not in names}

    def _one(self, job: Job, blocking: bool) -> Arrays | None:
        """One entry, or None if it is not there and another process holds its lock."""
        name = _file_of(job.key)
        arrays = self._read(name)
        if arrays is not None:
            return arrays
        with self._store.claim(name, blocking=blocking) as held:
            if not held:
                return None
            arrays = self._read(name)
            if arrays is None:
                body = _pack(job.compute(), job.payload)
                self._store.publish(name, _MAGIC + hashlib.sha256(body).digest() + body)
                # Handing out what was stored keeps a cold run identical to a warm one.
                arrays = _unpack(body)
            return arrays

    def _read(self, name: str) -> Arrays | None:
        """An entry's arrays; None when it is missing, or damaged (with a warning)."""
        blob = self._store.read(name)
        if blob is None:
            return None
        start = len(_MAGIC) + _DIGEST_BYTES
        body = blob[start:]
        whole = blob[: len(_MAGIC)] == _MAGIC and blob[len(_MAGIC) : start] == hashlib.sha256(body).digest()
        arrays = _own_arrays(body, name) if whole else None
        if arrays is None:
            file = name.rpartition("/")[2]
            warnings.warn(f"cache entry {file} is damaged and is computed again", DamagedEntryWarning, stacklevel=2)
        return arrays


def _file_of(key: str) -> str:
    return f"{key[:2]}/{key}.bin"


def _pack(arrays: Arrays, payload: Mapping[str, Any]) -> bytes:
    """Serialise arrays; strings are stored as UTF-8 bytes, since safetensors knows numbers only."""
    from safetensors.numpy import save

    plain, strings = {}, []
    for name, array in arrays.items():
        if array.dtype.kind == "U":
            encoded = np.char.encode(array, "utf-8")
            width = max(encoded.dtype.itemsize, 1)
            plain[name] = np.frombuffer(encoded.astype(f"S{width}").tobytes(), np.uint8).reshape(len(array), width)
            strings.append(name)
        else:
            plain[name] = np.require(array, requirements="C")
    metadata = {"strings": json.dumps(strings), "payload": json.dumps(payload, sort_keys=True)}
    return save(plain, metadata)


def _own_arrays(body: bytes, name: str) -> Arrays | None:
    """The arrays of an entry that belongs under this name: a checksum tells that it is whole, not what it is of."""
    from safetensors import SafetensorError

    try:
        payload = json.loads(_metadata(body)["payload"])
        return _unpack(body) if _file_of(Job(payload, dict).key) == name else None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, SafetensorError):
        return None


def _metadata(body: bytes) -> dict[str, str]:
    found: dict[str, str] = json.loads(body[8 : 8 + int.from_bytes(body[:8], "little")])["__metadata__"]
    return found


def _unpack(body: bytes) -> Arrays:
    from safetensors.numpy import load

    arrays: Arrays = load(body)
    for name in json.loads(_metadata(body)["strings"]):
        raw = arrays[name]
        arrays[name] = np.char.decode(np.frombuffer(raw.tobytes(), f"S{raw.shape[1]}"), "utf-8")
    return arrays
