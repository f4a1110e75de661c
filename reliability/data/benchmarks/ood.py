"""Unfamiliar pictures for ImageNet models: the four sets that CLIP's OOD papers use."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from reliability.data.assemble import Evaluated
from reliability.data.benchmarks.benchmark import Benchmark
from reliability.data.collection import Index
from reliability.data.files import PictureFiles
from reliability.data.folder import picture_paths
from reliability.data.published_prompts import imagenet_prompts
from reliability.types import Part, Task


def unlabelled(folder: Path) -> PictureFiles:
    """All pictures below a folder, of no class."""
    return PictureFiles(folder, partial(_index, folder))


def _index(folder: Path) -> Index:
    paths = np.array(list(picture_paths(folder)), dtype=np.str_)
    return Index(paths, np.full(len(paths), -1, dtype=np.int64))


def _far(name: str, place: Path) -> list[Evaluated]:
    prompts = imagenet_prompts()
    images = place / "images"
    task = Task(
        f"ood/far/{name}", Part(name), prompts, familiar=Part("imagenet"),
        card=f"Pictures of {name} whose classes ImageNet does not have, to be told from its validation split.",
    )  # fmt: skip
    return [Evaluated(name, unlabelled(images if images.is_dir() else place), prompts, (task,))]


def _benchmark(name: str, places: tuple[str, ...], holds: str, size: str, licence: str, get: str) -> Benchmark:
    return Benchmark(
        name, f"ood/far/{name}", places, holds, size, licence, get, partial(_far, name), base="imagenet",
        needs_base=True,
    )  # fmt: skip


_PAGE = "github.com/deeplearning-wisc/large_scale_ood"

OOD = (
    _benchmark("inaturalist", ("iNaturalist", "inaturalist"), "10,000 of 110 plants", "under 1 GB", "of their owners",
               _PAGE),
    _benchmark("sun", ("SUN", "sun"), "10,000 of 50 scenes", "under 1 GB", "research use", _PAGE),
    _benchmark("places", ("Places", "places"), "10,000 of 50 scenes", "under 1 GB", "research use", _PAGE),
    _benchmark("textures", ("dtd", "dtd/dtd", "Textures/dtd"), "5,640 of 47 textures", "0.6 GB", "research use",
               "robots.ox.ac.uk/~vgg/data/dtd"),
)  # fmt: skip
