"""Packages that only some kinds of models need."""

from __future__ import annotations

import importlib
from typing import Any

from reliability.errors import MissingExtraError


def require(module: str, extra: str, where: str) -> Any:
    """Import a module of an optional package.

    Raises:
        MissingExtraError: It is not installed; the extra is named.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingExtraError(
            where=where, what=f"this needs the package {module}, which is not installed", got=str(error),
            next=f'pip install "quant-reliability[{extra}]"',
        ) from error  # fmt: skip
