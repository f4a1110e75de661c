"""ImageNet, and the sets that share its classes.

Sets of some classes, ImageNet-A and -R, take their class list from their own
folders, which are named by WordNet ids.
"""

from __future__ import annotations

from pathlib import Path

from reliability.data.assemble import Evaluated, Training
from reliability.data.benchmarks.benchmark import Benchmark
from reliability.data.corruptions.folders import corrupted_folders
from reliability.data.folder import class_folders, subfolders
from reliability.data.labelled import label_split
from reliability.data.published_prompts import imagenet_names, imagenet_prompts, imagenet_wnids
from reliability.errors import DataError
from reliability.types import Part, PromptSet, Task

CLASSES = 1000
PARTIAL_CLASSES = 200
"""Of ImageNet-A and of ImageNet-R."""


def require_count(folder: Path, found: tuple[str, ...], expected: int) -> tuple[str, ...]:
    """The class folders, if there are as many as were published.

    Raises:
        DataError: There are not: figures on part of a set cannot be compared.
    """
    if len(found) != expected:
        raise DataError(
            where=str(folder), what=f"the published set has {expected} class folders", got=len(found),
            next="fetch it again, or open this part of it with --data folder:DIR",
        )  # fmt: skip
    return found


def _by_wnid(folder: Path) -> dict[str, int]:
    """All of ImageNet's class folders with their labels."""
    found = require_count(folder, subfolders(folder), CLASSES)
    imagenet_names(found)  # an unknown id is an error
    return {wnid: label for label, wnid in enumerate(imagenet_wnids())}


def _shift(name: str, folder: Path, labels: dict[str, int], prompts: PromptSet, card: str) -> list[Evaluated]:
    task = Task(f"shift/{name}", Part(name), prompts, card=card)
    return [Evaluated(name, class_folders(folder, labels), prompts, (task,))]


def _imagenet(place: Path) -> list[Evaluated]:
    prompts = imagenet_prompts()
    tasks = (
        Task("id", Part("imagenet"), prompts, card="ImageNet's validation split, all 1,000 classes."),
        label_split(prompts, "imagenet"),
    )
    return [Evaluated("imagenet", class_folders(place, _by_wnid(place)), prompts, tasks, noisy=True)]


def _imagenet_train(place: Path) -> Training | None:
    train = place.parent / "train"
    if not train.is_dir():
        return None
    return Training(class_folders(train, _by_wnid(train)), imagenet_prompts())


def _v2(place: Path) -> list[Evaluated]:
    found = require_count(place, subfolders(place), CLASSES)
    labels = {name: int(name) for name in found if name.isdecimal() and int(name) < CLASSES}
    if len(set(labels.values())) != CLASSES:
        raise DataError(
            where=str(place), what="the class folders are not the labels 0 to 999",
            got=", ".join(sorted(set(found) - set(labels))[:5]) or None, next="fetch the set again",
        )  # fmt: skip
    card = "New photographs collected as ImageNet's were, matched in how often people select them."
    return _shift("imagenet-v2", place, labels, imagenet_prompts(), card)


def _some_classes(name: str, place: Path, card: str) -> list[Evaluated]:
    wnids = require_count(place, subfolders(place), PARTIAL_CLASSES)
    labels = {wnid: label for label, wnid in enumerate(wnids)}
    return _shift(name, place, labels, imagenet_names(wnids), card)


def _a(place: Path) -> list[Evaluated]:
    return _some_classes("imagenet-a", place, "Photographs of 200 classes that a ResNet-50 got wrong.")


def _r(place: Path) -> list[Evaluated]:
    return _some_classes("imagenet-r", place, "Renditions of 200 classes: art, cartoons, graffiti, toys and others.")


def _sketch(place: Path) -> list[Evaluated]:
    card = "Black and white sketches of all classes, found by searching the web."
    return _shift("imagenet-sketch", place, _by_wnid(place), imagenet_prompts(), card)


def _c(place: Path) -> list[Evaluated]:
    prompts = imagenet_prompts()
    labels = {wnid: label for label, wnid in enumerate(imagenet_wnids())}
    found = []
    for name, severity, folder in corrupted_folders(place):
        source = f"imagenet-c/{name}/{severity}"
        task = Task(
            f"noise/{name}/{severity}", Part(source), prompts,
            card=f"ImageNet-C as released: {name.replace('_', ' ')} of severity {severity}.",
        )  # fmt: skip
        found.append(Evaluated(source, class_folders(folder, labels), prompts, (task,), twin_of="imagenet"))
    if not found:
        raise DataError(
            where=str(place), what="no corruption here", got=", ".join(subfolders(place)[:8]) or "no folder",
            next="unpack the archives so that fog/1/n01440764/ and so on lie here",
        )  # fmt: skip
    return found


_RESEARCH = "non-commercial research"
_FLICKR = "MIT for the lists; pictures of their owners"

IMAGENET = (
    Benchmark(
        "imagenet", "id, ood/near, noise/*", ("imagenet/val", "imagenet1k/val", "ILSVRC2012/val", "ILSVRC-2012/val"),
        "50,000 of 1,000 classes", "6.7 GB; train/ beside val/ 138 GB, optional", f"{_RESEARCH}, on request",
        "image-net.org; sort val/ into class folders", _imagenet, _imagenet_train,
    ),
    Benchmark(
        "imagenet-v2", "shift/imagenet-v2",
        ("imagenet-v2", "imagenetv2-matched-frequency-format-val", "imagenetv2-matched-frequency"),
        "10,000 of 1,000 classes", "1.3 GB", _FLICKR, "github.com/modestyachts/ImageNetV2, matched-frequency",
        _v2, base="imagenet",
    ),
    Benchmark(
        "imagenet-a", "shift/imagenet-a", ("imagenet-a",), "7,500 of 200 classes", "0.7 GB", _FLICKR,
        "github.com/hendrycks/natural-adv-examples", _a, base="imagenet",
    ),
    Benchmark(
        "imagenet-r", "shift/imagenet-r", ("imagenet-r",), "30,000 of 200 classes", "2.2 GB", _FLICKR,
        "github.com/hendrycks/imagenet-r", _r, base="imagenet",
    ),
    Benchmark(
        "imagenet-sketch", "shift/imagenet-sketch", ("imagenet-sketch", "sketch"), "50,889 of 1,000 classes",
        "7.1 GB", _FLICKR, "github.com/HaohanWang/ImageNet-Sketch", _sketch, base="imagenet",
    ),
    Benchmark(
        "imagenet-c", "noise/*", ("imagenet-c", "ImageNet-C"), "50,000 per corruption and severity", "about 65 GB",
        "CC BY 4.0", "zenodo.org/records/2235448; any of its archives", _c, base="imagenet", twin=True,
    ),
)  # fmt: skip
