"""Versions of installed packages, for cache keys and reports."""

from __future__ import annotations

from functools import cache
from importlib import metadata


@cache
def installed(package: str) -> str:
    """Version of a distribution, read once per process: metadata files take milliseconds each."""
    return metadata.version(package)
