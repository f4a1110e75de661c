"""Have torchvision read a data set's files, or fetch them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from reliability.data.dataset import unknown
from reliability.data.torchvision_sets import PUBLISHED, Published
from reliability.errors import DataError, MissingExtraError, UsageError


def _import_datasets(name: str) -> Any:
    """``torchvision.datasets``, also where torchvision's compiled part does not load."""
    try:
        from reliability.torchvision_shim import ensure_torchvision_imports

        ensure_torchvision_imports()
        import torchvision.datasets
    except ImportError as error:
        raise MissingExtraError(
            where=f"torchvision:{name}", what="reading this set needs torchvision", next="pip install torchvision"
        ) from error
    return torchvision.datasets


def build(published: Published, root: Path, train: bool, download: bool = False) -> Any:
    """torchvision's own object for one split."""
    split = published.train if train else published.test
    options = {"download": download} if published.downloads else {}
    return getattr(_import_datasets(published.name), published.name)(root=str(root), **(split or {}), **options)


def load(published: Published, root: Path, train: bool) -> Any:
    """Open the files under ``root``, or fetch them first where the set allows it.

    Raises:
        DataError: They are not there, or damaged, and were not or cannot be fetched.
    """
    try:
        return build(published, root, train)
    except (RuntimeError, OSError, ValueError) as error:
        if not published.fetched:
            raise missing(published, root, error) from error
    # Several workers may notice at once: one fetches, and the others find the files when their turn comes.
    return fetch(published, root, train)


def missing(published: Published, root: Path, error: Exception | None = None) -> DataError:
    """The error for files that are not there: how to get them, and where they go."""
    return DataError(
        where=str(root / (published.content or (published.archive,))[0]),
        what=f"{published.name} is not there, or damaged",
        got=None if error is None else f"{type(error).__name__}: {error}",
        next=f"reliability fetch torchvision:{published.name} --data-root {root}, or put {published.archive} "
        f"from {published.url} there",
    )


def fetch(published: Published, root: Path, train: bool) -> Any:
    """Have torchvision download one split, one process at a time.

    Raises:
        DataError: It cannot be fetched.
    """
    from filelock import FileLock

    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{published.name}.lock"):
            return build(published, root, train, download=True)
    except (OSError, RuntimeError) as error:
        md5 = f" (MD5 {published.md5})" if published.md5 and published.fetched else ""
        raise DataError(
            where=str(root / published.archive),
            what=f"{published.name} is not there and could not be fetched",
            got=f"{type(error).__name__}: {error}",
            next=f"fetch {published.url}{md5} to {root / published.archive}, "
            "or name the folder that has it with --data-root",
        ) from error


def default_root() -> Path:
    """Where sets lie and are fetched to when no ``--data-root`` is given: in the user's cache folder."""
    from platformdirs import user_cache_path

    return user_cache_path("quant-reliability") / "datasets"


def find_published(location: str) -> Published:
    """The set of that name.

    Raises:
        UsageError: No such set.
    """
    if not location:
        raise UsageError(where="--data", what="torchvision needs a set", next="--data torchvision:CIFAR10")
    if location not in PUBLISHED:
        raise unknown("torchvision set", location, PUBLISHED, where=f"--data torchvision:{location}")
    return PUBLISHED[location]
