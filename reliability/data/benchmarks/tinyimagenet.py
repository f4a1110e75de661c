"""Tiny-ImageNet in which 40 classes are kept from training, to be told from the other 160.

::

    ROOT/tinyimagenet/classnames.txt, wnids.txt      200 names and WordNet ids, label order
    ROOT/tinyimagenet/test/nshards.txt, 0.tar ...    CLIP_benchmark's shards
    ROOT/tinyimagenet/train/                         shards or Parquet files
"""

from __future__ import annotations

from pathlib import Path

from reliability.data.assemble import Evaluated, Training
from reliability.data.benchmarks.benchmark import Benchmark
from reliability.data.collection import Collection
from reliability.data.prompts import find_prompts
from reliability.data.shards import Shards
from reliability.data.subset import OfClasses
from reliability.data.webdataset import numbered_shards, train_collection
from reliability.errors import DataError
from reliability.types import Part, PromptSet, Task

CLASSES = 200
WNIDS_FILE = "wnids.txt"

UNSEEN: tuple[str, ...] = (
    "n01698640", "n01774750", "n01917289", "n01984695", "n02085620", "n02113799", "n02129165", "n02226429",
    "n02279972", "n02403003", "n02480495", "n02666196", "n02788148", "n02808440", "n02837789", "n02906734",
    "n02950826", "n03014705", "n03100240", "n03250847", "n03400231", "n03544143", "n03649909", "n03763968",
    "n03837869", "n03930313", "n03980874", "n04067472", "n04133789", "n04254777", "n04311004", "n04376876",
    "n04465501", "n04532106", "n04596742", "n07614500", "n07720875", "n07768694", "n09193705", "n12267677",
)  # fmt: skip
"""Every fifth of the 200 WordNet ids in their order, beginning with the fifth, so that most have a trained relative."""


def seen_and_unseen(place: Path) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Labels of the classes that models may be trained on, and of those they may not.

    Args:
        place: The folder of the test shards; the list of ids lies beside it.

    Raises:
        DataError: The list is missing, or not that of Tiny-ImageNet.
    """
    file = place.parent / WNIDS_FILE
    wnids = file.read_text(encoding="utf-8").split() if file.is_file() else []
    if len(set(wnids)) != CLASSES or not set(UNSEEN) <= set(wnids):
        raise DataError(
            where=str(file), what=f"not the {CLASSES} WordNet ids of Tiny-ImageNet, one per line in label order",
            got=f"{len(set(wnids))} ids" if file.is_file() else "no such file", next="fetch the set again",
        )  # fmt: skip
    unseen = tuple(label for label, wnid in enumerate(wnids) if wnid in UNSEEN)
    return tuple(label for label in range(CLASSES) if label not in unseen), unseen


def _all_prompts(place: Path) -> PromptSet:
    prompts = find_prompts([place.parent])
    if len(prompts.class_names) != CLASSES:
        raise DataError(
            where=str(place.parent), what=f"Tiny-ImageNet has {CLASSES} class names", got=len(prompts.class_names),
            next="fetch the set again",
        )  # fmt: skip
    return prompts


def _named(prompts: PromptSet, labels: tuple[int, ...]) -> PromptSet:
    return PromptSet(tuple(prompts.class_names[label] for label in labels), prompts.templates)


def _evaluated(place: Path) -> list[Evaluated]:
    everything, (seen, unseen) = _all_prompts(place), seen_and_unseen(place)
    prompts = _named(everything, seen)
    test: Collection = Shards(numbered_shards(place), everything.class_names)
    familiar = Task("id", Part("tinyimagenet"), prompts, card="The test pictures of the 160 classes.")
    near = Task(
        "ood/near", Part("tinyimagenet_unseen"), prompts, familiar=Part("tinyimagenet"),
        card="Pictures of the 40 classes kept from training, to be told from the other 160.",
    )  # fmt: skip
    return [
        Evaluated("tinyimagenet", OfClasses(test, seen), prompts, (familiar,), noisy=True),
        Evaluated("tinyimagenet_unseen", OfClasses(test, unseen, known=False), prompts, (near,)),
    ]


def _training(place: Path) -> Training | None:
    everything, (seen, _) = _all_prompts(place), seen_and_unseen(place)
    found = train_collection(place, everything.class_names)
    return Training(OfClasses(found, seen), _named(everything, seen)) if found is not None else None


TINY_IMAGENET = (
    Benchmark(
        "tinyimagenet", "id, ood/near, noise/*", ("tinyimagenet/test",),
        "8,000 of 160 classes, 2,000 of 40 others; 40,000 for training", "0.1 GB", "non-commercial research",
        "CLIP_benchmark's shards, with wnids.txt; cs231n.stanford.edu/tiny-imagenet-200.zip",
        _evaluated, _training,
    ),
)  # fmt: skip
