"""Benchmarks of spurious cues: pictures in groups with and against the cue."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from reliability.data.assemble import Evaluated, Training
from reliability.data.benchmarks.benchmark import Benchmark
from reliability.data.benchmarks.imagenet import CLASSES
from reliability.data.collection import Index
from reliability.data.csv_table import Table, read_table, table_groups, table_pictures
from reliability.data.files import PictureFiles
from reliability.data.folder import picture_paths, subfolders
from reliability.data.published_prompts import WATERBIRDS, imagenet_prompts
from reliability.errors import DataError
from reliability.types import I64, Part, PromptSet, Task

COMMON_COUNTER = ("common", "counter")
CELEBA = PromptSet(("dark hair", "blond hair"), ("a photo of a celebrity with {c}.",))
_CELEBA_GROUPS = ("dark hair, female", "dark hair, male", "blond hair, female", "blond hair, male")
_CELEBA_PARTS = {"train": "0", "test": "2"}


def _waterbirds_table(place: Path) -> tuple[Table, I64, I64, tuple[str, ...]]:
    table = read_table(place / "metadata.csv")
    if table.place is None or table.split is None:
        raise DataError(
            where=str(table.file), what="no column place, or none named split", next="fetch Waterbirds again"
        )
    labels, _ = table.numbers(table.label, WATERBIRDS.class_names)
    groups, names = table_groups(table, labels, WATERBIRDS.class_names, ("land", "water"))
    assert groups is not None
    return table, labels, groups, names


def _waterbirds(place: Path) -> list[Evaluated]:
    """The four published groups, and the two sides of the cue."""
    table, labels, groups, names = _waterbirds_table(place)
    test = table.rows_of("test")
    against = (groups % 2 != labels).astype(np.int64)
    card = "Birds cut out and put on land or water; in training most stand where they live."
    return [
        Evaluated(
            name, table_pictures(table, test, labels, numbers), WATERBIRDS,
            (Task(f"spurious/{name}", Part(name), WATERBIRDS, group_names=of, card=card),),
        )
        for name, numbers, of in (("waterbirds", groups, names), ("waterbirds_cue", against, COMMON_COUNTER))
    ]  # fmt: skip


def _waterbirds_train(place: Path) -> Training | None:
    table, labels, groups, _ = _waterbirds_table(place)
    train = table.rows_of("train")
    return Training(table_pictures(table, train, labels, groups), WATERBIRDS) if len(train) else None


def _lines(file: Path) -> list[list[str]]:
    try:
        return [line.split() for line in file.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            where=str(file), what="the file cannot be read", got=f"{type(error).__name__}: {error}",
            next="fetch CelebA's annotations again",
        ) from error  # fmt: skip


def _celeba_index(place: Path, part: str) -> Index:
    """Label: blond hair; group: label and gender, as the group-robustness benchmarks pair them."""
    file = place / "list_attr_celeba.txt"
    chosen = {row[0] for row in _lines(place / "list_eval_partition.txt") if row[1:] == [_CELEBA_PARTS[part]]}
    try:
        _, names, *rows = _lines(file)
        blond, male = names.index("Blond_Hair") + 1, names.index("Male") + 1
        kept = [(row[0], int(row[blond]) > 0, int(row[male]) > 0) for row in rows if row[0] in chosen]
    except (ValueError, IndexError) as error:
        raise DataError(
            where=str(file), what="not CelebA's attributes: a count, their names, and a line per picture",
            got=f"{type(error).__name__}: {error}", next="fetch the file again",
        ) from error  # fmt: skip
    labels = np.array([is_blond for _, is_blond, _ in kept], dtype=np.int64)
    genders = np.array([is_male for _, _, is_male in kept], dtype=np.int64)
    return Index(np.array([name for name, _, _ in kept], dtype=np.str_), labels, 2 * labels + genders)


def _celeba_part(place: Path, part: str) -> PictureFiles:
    return PictureFiles(place / "img_align_celeba", partial(_celeba_index, place, part))


def _celeba(place: Path) -> list[Evaluated]:
    task = Task(
        "spurious/celeba", Part("celeba"), CELEBA, group_names=_CELEBA_GROUPS,
        card="Faces by hair colour; in training hardly any blond one is male.",
    )  # fmt: skip
    return [Evaluated("celeba", _celeba_part(place, "test"), CELEBA, (task,))]


def _celeba_train(place: Path) -> Training | None:
    return Training(_celeba_part(place, "train"), CELEBA)


def _animal_folders(place: Path) -> dict[str, int]:
    """Class folders such as ``9 ostrich``, which begin with ImageNet's label.

    Raises:
        DataError: A folder does not, or most are called otherwise than the class of that label.
    """
    found = {name: name.partition(" ") for name in subfolders(place)}
    labels = {name: int(number) for name, (number, _, _) in found.items() if number.isdecimal()}
    if not labels or len(labels) < len(found) or max(labels.values()) >= CLASSES:
        raise DataError(
            where=str(place), what="a class folder is an ImageNet label and a name, such as '9 ostrich'",
            got=", ".join(sorted(set(found) - set(labels))[:5]) or "other numbers", next="fetch CounterAnimal again",
        )  # fmt: skip
    names = imagenet_prompts().class_names
    alike = [_share_a_word(found[name][2], names[label]) for name, label in labels.items()]
    if sum(alike) * 2 < len(alike):
        raise DataError(
            where=str(place), what="the numbers of the class folders are not ImageNet's labels",
            got=f"{len(alike) - sum(alike)} of {len(alike)} have another name", next="fetch CounterAnimal again",
        )  # fmt: skip
    return labels


def _share_a_word(one: str, other: str) -> bool:
    return bool(set(one.lower().replace("_", " ").split()) & set(other.lower().split()))


def _animal_paths(place: Path, labels: dict[str, int]) -> Iterator[tuple[str, int, int]]:
    """Path, label and group: pictures on common backgrounds are group 0, on others 1."""
    for name, label in sorted(labels.items(), key=lambda item: (item[1], item[0])):
        for background in subfolders(place / name):
            for group, side in enumerate(COMMON_COUNTER):
                if background.startswith(side):
                    yield from ((path, label, group) for path in picture_paths(place, f"{name}/{background}"))


def _animal_index(place: Path, labels: dict[str, int]) -> Index:
    found = list(_animal_paths(place, labels))
    numbers = np.array([(label, group) for _, label, group in found], dtype=np.int64).reshape(-1, 2)
    return Index(np.array([path for path, _, _ in found], dtype=np.str_), numbers[:, 0], numbers[:, 1])


def _counteranimal(place: Path) -> list[Evaluated]:
    prompts = imagenet_prompts()
    pictures = PictureFiles(place, partial(_animal_index, place, _animal_folders(place)))
    task = Task(
        "spurious/counteranimal", Part("counteranimal"), prompts, group_names=COMMON_COUNTER,
        card="Animals on backgrounds that they are common on, and on others; told from all 1,000 classes.",
    )  # fmt: skip
    return [Evaluated("counteranimal", pictures, prompts, (task,))]


GROUPS = (
    Benchmark(
        "counteranimal", "spurious/counteranimal", ("counteranimal/LAION-final", "LAION-final", "counteranimal"),
        "13,100 of 45 classes, in 2 groups", "about 1 GB", "see its page; photographs from iNaturalist",
        "counteranimal.github.io", _counteranimal, base="imagenet",
    ),
    Benchmark(
        "waterbirds", "spurious/waterbirds, spurious/waterbirds_cue",
        ("waterbirds", "waterbird_complete95_forest2water2"), "5,794 of 2 classes, in 4 groups; 4,795 for training",
        "0.5 GB", "non-commercial research (CUB, Places)", "github.com/kohpangwei/group_DRO", _waterbirds,
        _waterbirds_train,
    ),
    Benchmark(
        "celeba", "spurious/celeba", ("celeba",), "19,962 of 2 classes, in 4 groups; 162,770 for training", "1.5 GB",
        "non-commercial research", "mmlab.ie.cuhk.edu.hk/projects/CelebA.html, aligned and cropped", _celeba,
        _celeba_train,
    ),
)  # fmt: skip
