"""OpenOOD's lists of familiar, near and far pictures, version 1.5.

::

    ROOT/benchmark_imglist/imagenet/test_ninco.txt     a path and a label per line
    ROOT/images_largescale/ninco/...                   what the paths start from
    ROOT/images_classic/texture/...                    for some sets

Source:
    Zhang et al., OpenOOD v1.5: Enhanced Benchmark for Out-of-Distribution Detection,
    2023. No departure: the lists are read as released.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from reliability.data.assemble import Evaluated, Training
from reliability.data.benchmarks.benchmark import Benchmark
from reliability.data.collection import Index
from reliability.data.files import PictureFiles
from reliability.data.published_prompts import imagenet_prompts
from reliability.data.torchvision_sets import PUBLISHED
from reliability.errors import DataError
from reliability.types import Part, PromptSet, Task

_LARGE, _CLASSIC = "images_largescale", "images_classic"


@dataclass(frozen=True)
class Lists:
    """One of OpenOOD's benchmarks.

    Attributes:
        folder: Of its lists.
        images: What paths of familiar pictures start from.
        range_list: Split that ranges are set on; it is never evaluated.
        near, far: Names of the unfamiliar sets.
        elsewhere: Sets whose paths start from the classic images.
    """

    folder: str
    images: str
    range_list: str
    near: tuple[str, ...]
    far: tuple[str, ...]
    elsewhere: tuple[str, ...] = ()

    @property
    def familiar(self) -> str:
        """Name of the source of familiar pictures."""
        return f"openood-{self.folder}"

    def prompts(self) -> PromptSet:
        """All classes of the familiar pictures."""
        if self.folder == "imagenet":
            return imagenet_prompts()
        published = PUBLISHED[self.folder.upper()]
        return PromptSet(published.class_names, published.templates)

    def pictures(self, place: Path, split: str, name: str, labelled: bool) -> PictureFiles:
        """The pictures of one list."""
        images = _CLASSIC if name in self.elsewhere else self.images
        listed = place / "benchmark_imglist" / self.folder / f"{split}_{name}.txt"
        classes = len(self.prompts().class_names) if labelled else 0
        return PictureFiles(place / images, partial(read_list, listed, classes))


def read_list(file: Path, classes: int) -> Index:
    """Paths and labels of a list; with no classes every label is -1.

    Raises:
        DataError: It cannot be read, or a line is no path and label, or a label is outside the classes.
    """
    try:
        lines = [line.rsplit(maxsplit=1) for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            where=str(file), what="OpenOOD's list cannot be read", got=f"{type(error).__name__}: {error}",
            next="fetch benchmark_imglist from OpenOOD",
        ) from error  # fmt: skip
    labels = []
    for number, line in enumerate(lines, start=1):
        label = int(line[1]) if len(line) == 2 and line[1].lstrip("-").isdecimal() else None
        if label is None or (classes and not 0 <= label < classes):
            raise DataError(
                where=f"{file}, line {number}", what=f"not a path and a label of {classes or 'any'} classes",
                got=" ".join(line), next="fetch benchmark_imglist from OpenOOD again",
            )  # fmt: skip
        labels.append(label if classes else -1)
    return Index(np.array([line[0] for line in lines], dtype=np.str_), np.array(labels, dtype=np.int64))


def _evaluated(lists: Lists, place: Path) -> list[Evaluated]:
    prompts, familiar = lists.prompts(), lists.familiar
    pictures = lists.pictures(place, "test", lists.folder, labelled=True)
    task = Task("id", Part(familiar), prompts, card=f"OpenOOD's test list of {lists.folder}.")
    found = [Evaluated(familiar, pictures, prompts, (task,))]
    for role, names in (("near", lists.near), ("far", lists.far)):
        for name in names:
            task = Task(
                f"ood/{role}/{name}", Part(f"openood-{name}"), prompts, familiar=Part(familiar),
                card=f"OpenOOD's {role} list {name}, to be told from {lists.folder}.",
            )  # fmt: skip
            pictures = lists.pictures(place, "test", name, labelled=False)
            found.append(Evaluated(f"openood-{name}", pictures, prompts, (task,)))
    return found


def _training(lists: Lists, place: Path) -> Training | None:
    pictures = lists.pictures(place, lists.range_list, lists.folder, labelled=True)
    return Training(pictures, lists.prompts())


def _benchmark(lists: Lists, holds: str, size: str) -> Benchmark:
    tasks = ", ".join(["id", *(f"ood/near/{n}" for n in lists.near), *(f"ood/far/{n}" for n in lists.far)])
    return Benchmark(
        lists.familiar, tasks, ("openood", "OpenOOD/data", "openood/data"), holds, size,
        "that of each set; lists MIT", "github.com/Jingkang50/OpenOOD, scripts/download", partial(_evaluated, lists),
        partial(_training, lists),
    )  # fmt: skip


_CIFAR_FAR = ("mnist", "svhn", "texture", "places365")

OPENOOD = (
    _benchmark(
        Lists("imagenet", _LARGE, "val", ("ssb_hard", "ninco"), ("inaturalist", "textures", "openimage_o"),
              elsewhere=("textures",)),
        "45,000 familiar, 54,879 near, 31,029 far", "22 GB",
    ),
    _benchmark(
        Lists("cifar10", _CLASSIC, "train", ("cifar100", "tin"), _CIFAR_FAR),
        "about 9,000 familiar, 17,000 near, 137,000 far", "2 GB",
    ),
    _benchmark(
        Lists("cifar100", _CLASSIC, "train", ("cifar10", "tin"), _CIFAR_FAR),
        "about 9,000 familiar, 16,000 near, 137,000 far", "2 GB",
    ),
)  # fmt: skip
