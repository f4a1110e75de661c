"""Counter-based random numbers: every value is a pure function of its address.

A stateful generator gives an image other pixels when the batch, the worker or
the order changes. Here each draw is addressed by ``(key, stream, lane)``, so
none of these can matter, and a draw is vectorised over images.

Source:
    The mixer is the finaliser of SplitMix64 (Steele, Lea & Flood, OOPSLA 2014).
    Departure: it is used as a keyed hash of an address, not as a sequence.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

U64 = NDArray[np.uint64]
F32 = NDArray[np.float32]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)

_BLOCK = 1 << 14
"""Draws made at once: what they need stays in a core's cache, which is four times faster."""


def _mix(x: U64) -> U64:
    """Spread every input bit over all 64 output bits."""
    x = x + _GOLDEN
    x ^= x >> np.uint64(30)
    x *= _MIX_1
    x ^= x >> np.uint64(27)
    x *= _MIX_2
    x ^= x >> np.uint64(31)
    return x


def _blocks(rows: int, lanes: int) -> Iterator[tuple[slice, slice]]:
    """Cut [rows, lanes] into pieces of about ``_BLOCK`` values."""
    height = max(1, _BLOCK // max(lanes, 1))
    for top in range(0, rows, height):
        for left in range(0, lanes, _BLOCK):
            yield slice(top, min(top + height, rows)), slice(left, min(left + _BLOCK, lanes))


def stream_id(name: str) -> int:
    """A stable number for a stream's name (CRC-32, the same on every platform)."""
    return zlib.crc32(name.encode())


def _base(domain: str, seed: int) -> U64:
    """[1] starting point of a domain and seed."""
    return _mix(np.array([(stream_id(domain) << 32) ^ (seed & 0xFFFFFFFF)], dtype=np.uint64))


def keys(domain: str, seed: int, indices: NDArray[np.integer]) -> U64:
    """One 64-bit key per index; other domains and seeds give unrelated keys.

    Args:
        domain: What the numbers are for, such as a split's name.
        seed: A non-negative integer.
        indices: [N] non-negative integers, such as positions in a data set.

    Returns:
        [N] uint64.

    Conventions:
        For one domain and seed the map from index to key is a bijection, so no
        two images of a split share a key.
    """
    return _mix(_base(domain, seed) ^ np.asarray(indices).astype(np.uint64))


def keys_for_ids(domain: str, seed: int, ids: Sequence[str] | NDArray[np.str_]) -> U64:
    """One 64-bit key per name, for images that have an id but no position.

    Args:
        domain: What the numbers are for.
        seed: A non-negative integer.
        ids: [N] names; equal names get equal keys, wherever they stand.

    Returns:
        [N] uint64.

    Conventions:
        A name enters by its 64-bit BLAKE2b digest, so two of a million distinct
        names share a key with a probability of about 3e-8.
    """
    digests = b"".join(hashlib.blake2b(str(name).encode(), digest_size=8).digest() for name in ids)
    return _mix(_base(domain, seed) ^ np.frombuffer(digests, dtype="<u8").astype(np.uint64))


def uniform(key: U64, stream: str, lanes: int = 1) -> F32:
    """Uniform draws on [0, 1) with 24 random bits, as float32 [N, lanes]."""
    start = _mix(key ^ np.uint64(stream_id(stream)))
    drawn = np.empty((len(start), lanes), np.float32)
    for rows, columns in _blocks(len(start), lanes):
        lane = np.arange(columns.start, columns.stop, dtype=np.uint64) * _GOLDEN
        drawn[rows, columns] = _mix(start[rows, None] + lane) >> np.uint64(40)
    drawn *= np.float32(2.0**-24)
    return drawn


def normal(key: U64, stream: str, lanes: int) -> F32:
    """Standard normal draws by Box-Muller, as float32 [N, lanes]."""
    half = (lanes + 1) // 2
    u = uniform(key, stream, 2 * half)
    drawn = np.empty_like(u)
    first, second = drawn[:, :half], drawn[:, half:]
    for rows, columns in _blocks(len(u), half):
        radius = np.sqrt(-2.0 * np.log1p(-u[:, :half][rows, columns].astype(np.float64)))
        angle = 2.0 * np.pi * u[:, half:][rows, columns].astype(np.float64)
        first[rows, columns] = radius * np.cos(angle)
        second[rows, columns] = radius * np.sin(angle)
    return np.ascontiguousarray(drawn[:, :lanes])


def choice(key: U64, stream: str, n: int) -> NDArray[np.int64]:
    """Uniform integers in [0, n), as int64 [N]."""
    return np.minimum((uniform(key, stream)[:, 0] * n).astype(np.int64), n - 1)
