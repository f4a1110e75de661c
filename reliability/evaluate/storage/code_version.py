"""A digest of the code that results depend on, so that a changed library never reads old results."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[2]


@lru_cache(maxsize=8)
def code_version(*parts: str) -> str:
    """SHA-256 over the source files of some parts of the package.

    Args:
        parts: Folders or files relative to ``reliability/``, such as ``"data"``.

    Conventions:
        File names and contents both count; compiled files and documentation do not.
    """
    digest = hashlib.sha256()
    for part in sorted(parts):
        root = _PACKAGE / part
        files = sorted(root.rglob("*.py")) if root.is_dir() else [root]
        for file in files:
            digest.update(file.relative_to(_PACKAGE).as_posix().encode() + b"\0")
            digest.update(file.read_bytes() + b"\0")
    return digest.hexdigest()
