"""Data sets that torchvision knows how to fetch and read.

Opening one needs neither torchvision nor the files: names, templates and the
content's checksum are known here. Both are needed once a picture is read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from reliability.data.collection import Index
from reliability.data.dataset import DataSet, unknown
from reliability.data.labelled import labelled_data_set
from reliability.errors import DataError, MissingExtraError, UsageError
from reliability.types import I64, U8, PromptSet

_TEMPLATES = (
    "a photo of a {c}.",
    "a blurry photo of a {c}.",
    "a low contrast photo of a {c}.",
    "a photo of a big {c}.",
    "a photo of a small {c}.",
    "a photo of the {c}.",
)
_CIFAR10 = "airplane automobile bird cat deer dog frog horse ship truck"
_CIFAR100 = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can castle
caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish
forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man maple_tree motorcycle
mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck pine_tree plain plate poppy porcupine
possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel streetcar
sunflower sweet_pepper table tank telephone television tiger tractor train trout tulip turtle wardrobe whale
willow_tree wolf woman worm
"""


@dataclass(frozen=True)
class Published:
    """A set as torchvision publishes it.

    Attributes:
        name: torchvision's class.
        archive: File to fetch, and its address and MD5; torchvision checks the
            unpacked files against sums of its own before it reads them.
        class_names: In label order, words separated by spaces.
    """

    name: str
    archive: str
    url: str
    md5: str
    class_names: tuple[str, ...]


def _names(text: str) -> tuple[str, ...]:
    return tuple(name.replace("_", " ") for name in text.split())


PUBLISHED: dict[str, Published] = {
    "CIFAR10": Published(
        "CIFAR10", "cifar-10-python.tar.gz", "https://www.cs.toronto.edu/~kriz/cifar-10-python.tar.gz",
        "c58f30108f718f92721af3b95e74349a", _names(_CIFAR10),
    ),
    "CIFAR100": Published(
        "CIFAR100", "cifar-100-python.tar.gz", "https://www.cs.toronto.edu/~kriz/cifar-100-python.tar.gz",
        "eb9058c3a382ffc7106e4002c42a8d85", _names(_CIFAR100),
    ),
}  # fmt: skip
"""Name to set; one whose constructor takes ``root``, ``train`` and ``download`` is one more entry."""


@dataclass(frozen=True)
class TorchvisionImages:
    """One split of a published set.

    Attributes:
        published: Which set.
        root: Folder that holds, or will hold, its files.
        train: The train split instead of the test split.
    """

    published: Published
    root: Path
    train: bool

    @property
    def _split(self) -> str:
        return "train" if self.train else "test"

    @property
    def identity(self) -> Mapping[str, Any]:
        """Name, checksum and split: they fix the content without reading it."""
        return {
            "kind": "torchvision", "set": self.published.name, "md5": self.published.md5, "split": self._split,
        }  # fmt: skip

    @cached_property
    def _data(self) -> Any:
        """torchvision's own object, its files fetched where they are missing."""
        data = _load(self.published, self.root, self.train)
        found = tuple(name.replace("_", " ") for name in data.classes)
        if found != self.published.class_names:
            raise DataError(
                where=str(self.root), what="the classes are not those expected", got=", ".join(found[:5]) + ", ...",
                next=f"fetch {self.published.url} again",
            )  # fmt: skip
        return data

    @cached_property
    def index(self) -> Index:
        """Names such as ``CIFAR10/test/17``, and labels."""
        labels = np.array(self._data.targets, dtype=np.int64)
        return Index(np.array([f"{self.published.name}/{self._split}/{i}" for i in range(len(labels))]), labels)

    def read(self, rows: I64) -> Iterator[U8]:
        """Pictures at the given rows, uint8 RGB [H, W, 3]."""
        for row in rows:
            image, _ = self._data[int(row)]
            yield np.asarray(image.convert("RGB"))


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


def _load(published: Published, root: Path, train: bool) -> Any:
    """Open the files under ``root``, or fetch them first; one process at a time fetches.

    Raises:
        DataError: They are not there and cannot be fetched.
    """
    build = getattr(_import_datasets(published.name), published.name)
    try:
        return build(root=str(root), train=train, download=False)
    except RuntimeError:
        # Not there, or damaged. Several workers may notice at once: one fetches,
        # and the others find the files when their turn comes.
        return _fetch(published, root, lambda: build(root=str(root), train=train, download=True))


def _fetch(published: Published, root: Path, build: Callable[[], Any]) -> Any:
    from filelock import FileLock

    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / f".{published.name}.lock"):
            return build()
    except (OSError, RuntimeError) as error:
        raise DataError(
            where=str(root / published.archive),
            what=f"{published.name} is not there and could not be fetched",
            got=f"{type(error).__name__}: {error}",
            next=f"fetch {published.url} (MD5 {published.md5}) to {root / published.archive}, "
            "or name the folder that has it with --data-root",
        ) from error


def default_root() -> Path:
    """Where sets are fetched to when no ``--data-root`` is given: the user's cache folder."""
    from platformdirs import user_cache_path

    return user_cache_path("quant-reliability") / "datasets"


def open_torchvision(location: str, root: Path | None, limit: int | None) -> DataSet:
    """A published set; nothing is fetched or read yet.

    Args:
        location: One of ``PUBLISHED``.
        root: Folder that torchvision calls ``root``; None takes :func:`default_root`.
        limit: Keeps that many evaluated pictures, drawn by name.

    Raises:
        UsageError: No such set.
    """
    if not location:
        raise UsageError(where="--data", what="torchvision needs a set", next="--data torchvision:CIFAR10")
    if location not in PUBLISHED:
        raise unknown("torchvision set", location, PUBLISHED, where=f"--data torchvision:{location}")
    published = PUBLISHED[location]
    folder = root or default_root()
    prompts = PromptSet(published.class_names, _TEMPLATES)
    test, train = (TorchvisionImages(published, folder, train) for train in (False, True))
    return labelled_data_set(f"torchvision:{location}", test, train, prompts, limit)
