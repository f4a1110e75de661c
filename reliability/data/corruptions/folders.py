"""Where the corruptions of a set released in folders lie, such as those of ImageNet-C and Tiny-ImageNet-C.

::

    DIR/fog/1/CLASS/picture.JPEG ...        severities 1 to 5 of each corruption
    DIR/weather/fog/1/CLASS/picture.JPEG    the archives' own folders may lie between
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from reliability.data.corruptions.corruption import SEVERITIES
from reliability.data.corruptions.registry import CORRUPTIONS
from reliability.errors import DataError


def corrupted_folders(place: Path) -> Iterator[tuple[str, int, Path]]:
    """Corruption, severity and folder of class folders, in the benchmark's order; nothing where there is none.

    Raises:
        DataError: A corruption lacks a severity.
    """
    for name in CORRUPTIONS:
        inside = next(
            (found for found in (place / name, *sorted(place.glob(f"*/{name}"))) if _has_severity(found)), None
        )
        if inside is None:
            continue
        for severity in SEVERITIES:
            if not (inside / str(severity)).is_dir():
                raise DataError(
                    where=str(inside), what="a severity is missing", got=severity, next="fetch this corruption again"
                )
            yield name, severity, inside / str(severity)


def _has_severity(folder: Path) -> bool:
    """Told from a class folder that is called like a corruption, such as one of snow."""
    return any((folder / str(severity)).is_dir() for severity in SEVERITIES)
