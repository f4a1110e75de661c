"""ObjectNet's overlap with ImageNet: 113 household objects from unusual views.

The overlap is that of the release's own ``mappings`` folder, and the classes are
called what ObjectNet calls them, so that each picture has one right answer although
some stand for several of ImageNet's classes. The release paints a red border
around every picture, which is cut off.

Source:
    Barbu et al., ObjectNet: A Large-scale Bias-controlled Dataset for Pushing the
    Limits of Object Recognition Models, NeurIPS 2019. Departure: accuracy is over the
    113 classes, not over all of ImageNet's.
"""

from __future__ import annotations

import json
from pathlib import Path

from reliability.data.assemble import Evaluated
from reliability.data.benchmarks.benchmark import Benchmark
from reliability.data.files import PictureFiles
from reliability.data.folder import class_folders
from reliability.data.published_prompts import imagenet_prompts
from reliability.errors import DataError
from reliability.types import Part, PromptSet, Task

BORDER = 2
"""Pixels cut off at each side, as in the release's own reader."""


def _mapping(place: Path, name: str) -> dict[str, str]:
    file = place / "mappings" / name
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return {str(key): str(value) for key, value in found.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise DataError(
            where=str(file), what="the release's class list cannot be read", got=f"{type(error).__name__}: {error}",
            next="fetch ObjectNet again, with its mappings folder",
        ) from error  # fmt: skip


def _overlap(place: Path) -> dict[str, str]:
    """Folder to class name, of the classes that ImageNet has too, sorted by folder."""
    names = _mapping(place, "folder_to_objectnet_label.json")
    shared = _mapping(place, "objectnet_to_imagenet_1k.json")
    found = {folder: name for folder, name in sorted(names.items()) if name in shared}
    if len(found) != len(shared):
        raise DataError(
            where=str(place / "mappings"), what="a class of the overlap has no folder",
            got=", ".join(sorted(set(shared) - set(found.values()))[:5]), next="fetch ObjectNet's mappings again",
        )  # fmt: skip
    return found


def _objectnet(place: Path) -> list[Evaluated]:
    found = _overlap(place)
    prompts = PromptSet(tuple(name.lower() for name in found.values()), imagenet_prompts().templates)
    files = class_folders(place / "images", {folder: label for label, folder in enumerate(found)})
    pictures = PictureFiles(files.folder, files.find, border=BORDER)
    task = Task(
        "shift/objectnet", Part("objectnet"), prompts,
        card="Household objects turned, on odd backgrounds and from odd views; the classes that ImageNet has too.",
    )  # fmt: skip
    return [Evaluated("objectnet", pictures, prompts, (task,))]


OBJECTNET = (
    Benchmark(
        "objectnet", "shift/objectnet", ("objectnet-1.0", "objectnet/objectnet-1.0"),
        "18,574 of the 113 classes shared with ImageNet", "200 GB",
        "CC BY 4.0, for evaluation only: never to be trained on", "objectnet.dev", _objectnet, base="imagenet",
    ),
)  # fmt: skip
