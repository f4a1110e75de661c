"""Metrics and scores of other packages, found by their entry points.

A package names the module that registers them in its own pyproject.toml::

    [project.entry-points."reliability.metrics"]
    mine = "my_package.reliability_metrics"
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from reliability.errors import ReliabilityError, UsageError


def load_entry_points(group: str) -> None:
    """Import what the installed packages offer to a group, by name.

    Raises:
        UsageError: One of them cannot be imported.
    """
    for entry in sorted(entry_points(group=group), key=lambda found: (found.name, found.value)):
        _load(entry)


def _load(entry: EntryPoint) -> None:
    try:
        entry.load()
    except ReliabilityError:
        raise
    except Exception as error:
        package = entry.dist.name if entry.dist is not None else "an unknown package"
        raise UsageError(
            where=f"{package}, entry point {entry.group}: {entry.name} = {entry.value}",
            what="what this package adds cannot be imported", got=f"{type(error).__name__}: {error}",
            next=f"mend or uninstall {package}",
        ) from error  # fmt: skip


def require_new(kind: str, name: str, before: object, function: object) -> None:
    """Refuse a second metric or score of one name: threshold files know them by it.

    Args:
        kind: What it is, in words.
        name: Of both.
        before: The function that has the name; None where there is none.
        function: The one that asks for it. The same one again, from a module that was
            imported anew, is let in.

    Raises:
        UsageError: They are different functions.
    """
    if before is None or _place(before) == _place(function):
        return
    raise UsageError(
        where=f"{kind} {name}", what=f"another {kind} has this name", got=f"{_place(before)} and {_place(function)}",
        next="give the function another name",
    )  # fmt: skip


def _place(function: object) -> str:
    return f"{getattr(function, '__module__', '?')}.{getattr(function, '__qualname__', '?')}"
