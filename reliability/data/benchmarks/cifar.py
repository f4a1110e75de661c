"""CIFAR-10 and CIFAR-100, CIFAR-10.1, and CIFAR-10-C as released."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

from reliability.data.assemble import Evaluated, Training
from reliability.data.benchmarks.benchmark import Benchmark
from reliability.data.collection import Collection
from reliability.data.labelled import label_split
from reliability.data.npy import ArrayImages, array_pairs, released_noise
from reliability.data.prompts import CLASS_NAMES_FILE, read_class_names
from reliability.data.shards import Shards
from reliability.data.torchvision import TorchvisionImages
from reliability.data.torchvision_sets import PUBLISHED, Published
from reliability.data.webdataset import numbered_shards, train_collection
from reliability.errors import DataError
from reliability.types import Part, PromptSet, Task

_PREFERRED = "cifar10.1_v6"
"""The version that its authors call the default; v4 is used where it is the only one."""


def _prompts(name: str) -> PromptSet:
    published = PUBLISHED[name]
    return PromptSet(published.class_names, published.templates)


def _is_sharded(place: Path) -> bool:
    return place.name == "test"


def _test(published: Published, place: Path) -> Collection:
    """The test split, from CLIP_benchmark's shards or from torchvision's files."""
    if not _is_sharded(place):
        return TorchvisionImages(published, place.parent, train=False)
    file = place.parent / CLASS_NAMES_FILE
    names = read_class_names(file)
    if names != published.class_names:
        raise DataError(
            where=str(file), what="the classes are not those expected",
            got=", ".join(names[:5]) + ", ...", next="fetch the set again, or open it with --data webdataset:DIR",
        )  # fmt: skip
    return Shards(numbered_shards(place), names)


def _cifar(name: str, set_name: str, place: Path) -> list[Evaluated]:
    prompts = _prompts(set_name)
    task = Task("id", Part(name), prompts, card=f"The test split of {set_name}, all classes.")
    collection = _test(PUBLISHED[set_name], place)
    return [Evaluated(name, collection, prompts, (task, label_split(prompts, name)), noisy=True)]


def _training(set_name: str, place: Path) -> Training | None:
    published, prompts = PUBLISHED[set_name], _prompts(set_name)
    if not _is_sharded(place):
        return Training(TorchvisionImages(published, place.parent, train=True), prompts)
    found = train_collection(place, prompts.class_names)
    return Training(found, prompts) if found is not None else None


def _ten_one(place: Path) -> list[Evaluated]:
    pairs = array_pairs(place)
    if not pairs:
        raise DataError(
            where=str(place), what=f"no {_PREFERRED}_data.npy with its labels", next="fetch both files from its page"
        )
    images, labels = pairs.get(_PREFERRED) or next(iter(pairs.values()))
    prompts = _prompts("CIFAR10")
    task = Task(
        "shift/cifar10.1", Part("cifar10.1"), prompts, card="New pictures collected as CIFAR-10's were, years later."
    )
    return [Evaluated("cifar10.1", ArrayImages(images, labels, len(prompts.class_names)), prompts, (task,))]


def _c(place: Path) -> list[Evaluated]:
    noisy = released_noise(place, _prompts("CIFAR10"))
    return [replace(entry, twin_of="cifar10", twin_by="row") for entry in noisy]


_NONE_STATED = "none stated; pictures from the web"

CIFAR = (
    Benchmark(
        "cifar10", "id, ood/near, noise/*", ("cifar-10-batches-py", "cifar10/cifar-10-batches-py", "cifar10/test"),
        "10,000 of 10 classes, and 50,000 for training", "0.2 GB", _NONE_STATED,
        "reliability fetch torchvision:CIFAR10, or CLIP_benchmark's shards",
        partial(_cifar, "cifar10", "CIFAR10"), partial(_training, "CIFAR10"),
    ),
    Benchmark(
        "cifar100", "id, ood/near, noise/*", ("cifar-100-python", "cifar100/cifar-100-python", "cifar100/test"),
        "10,000 of 100 classes, and 50,000 for training", "0.2 GB", _NONE_STATED,
        "reliability fetch torchvision:CIFAR100, or CLIP_benchmark's shards",
        partial(_cifar, "cifar100", "CIFAR100"), partial(_training, "CIFAR100"),
    ),
    Benchmark(
        "cifar10.1", "shift/cifar10.1", ("cifar10.1", "CIFAR-10.1/datasets", "CIFAR-10.1"), "2,000 of 10 classes",
        "6 MB", "MIT for the lists; pictures from the web", "github.com/modestyachts/CIFAR-10.1, folder datasets",
        _ten_one, base="cifar10",
    ),
    Benchmark(
        "cifar10-c", "noise/*", ("cifar10-c", "CIFAR-10-C"), "10,000 per corruption and severity", "2.9 GB",
        "CC BY 4.0", "zenodo.org/records/2535967", _c, base="cifar10", twin=True,
    ),
)  # fmt: skip
