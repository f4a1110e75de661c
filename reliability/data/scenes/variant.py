"""Other seeds and sizes of the embedded sets: ``scenes:seed=7,count=20000``."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from reliability.data.scenes.source import SceneSource
from reliability.errors import UsageError

MOST = {"seed": 2**32 - 1, "count": 2**24}
"""Largest value of each setting; below these no two splits share a picture."""

_LEAST = {"seed": 0, "count": 1}


@dataclass(frozen=True)
class Variant:
    """Which pictures the embedded sets hold.

    Attributes:
        seed: Of every evaluated set; None keeps theirs.
        count: Pictures of every evaluated set, damaged ones too; None keeps theirs.
    """

    seed: int | None = None
    count: int | None = None

    def apply(self, sources: Iterable[SceneSource]) -> list[SceneSource]:
        """The sources with this seed and size."""
        wanted = {name: value for name, value in vars(self).items() if value is not None}
        return [replace(source, **wanted) for source in sources]


def read_variant(location: str) -> Variant:
    """Read what follows ``scenes:``.

    Args:
        location: Settings with a comma between them, or nothing.

    Raises:
        UsageError: An unknown setting, one that stands twice, or a value out of its range.

    >>> read_variant("seed=7,count=500")
    Variant(seed=7, count=500)
    """
    wanted: dict[str, int] = {}
    for setting in filter(None, location.split(",")):
        name, _, value = setting.partition("=")
        if name not in MOST or name in wanted:
            raise _refused(location, "scenes are on no disk and take no location, only seed= and count=, each once")
        if not (value.isascii() and value.isdigit() and _LEAST[name] <= int(value) <= MOST[name]):
            raise _refused(location, f"{name} must be a whole number from {_LEAST[name]} to {MOST[name]}")
        wanted[name] = int(value)
    return Variant(**wanted)


def _refused(location: str, what: str) -> UsageError:
    return UsageError(
        where="--data", what=what, got=f"scenes:{location}", next="--data scenes, or --data scenes:seed=7,count=20000"
    )
