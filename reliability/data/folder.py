"""Class folders of picture files, as ``torchvision.datasets.ImageFolder`` reads them.

::

    ROOT/classnames.txt                 optional: one name per line
    ROOT/wnids.txt                      optional: names of the folders in label order
    ROOT/val/CLASS/picture.jpg ...      or test/, validation/, or the class folders right here
    ROOT/train/CLASS/picture.jpg ...    optional, for range setting

or, as ImageNet-C and Tiny-ImageNet-C are released, a task for each corruption and severity::

    ROOT/fog/1/CLASS/picture.jpg ...    severities 1 to 5 of each corruption that is there

The label of a class is the position of its folder in ``wnids.txt``, or among the
sorted folder names. Pictures are read class by class, sorted by their path;
files whose name begins with a dot, or ends like no picture, are passed over.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from reliability.data.assemble import Evaluated, assemble
from reliability.data.collection import Index
from reliability.data.corruptions.folders import corrupted_folders
from reliability.data.dataset import DataSet, Request
from reliability.data.files import PICTURE_SUFFIXES, PictureFiles
from reliability.data.labelled import Labelled, labelled_data_set
from reliability.data.prompts import CLASS_NAMES_FILE, find_prompts, read_class_names
from reliability.data.published_prompts import imagenet_names, imagenet_wnids
from reliability.errors import DataError
from reliability.types import Part, PromptSet, Task

FOLDERS_FILE = "wnids.txt"
SPLITS = ("val", "test", "validation")
"""Names of an evaluated split, the first that is there."""


def subfolders(folder: Path) -> tuple[str, ...]:
    """Sorted names of the folders in a folder, without hidden ones.

    Raises:
        DataError: No such folder.
    """
    try:
        with os.scandir(folder) as entries:
            return tuple(sorted(e.name for e in entries if e.is_dir() and not e.name.startswith(".")))
    except OSError as error:
        raise DataError(
            where=str(folder), what="no such folder", got=error.strerror, next="name the folder that holds the classes"
        ) from error


def picture_paths(folder: Path, below: str = "") -> Iterator[str]:
    """Paths of all pictures below ``folder/below``, relative to ``folder``, sorted."""
    found = []
    for place, folders, names in os.walk(folder / below):
        folders[:] = [name for name in folders if not name.startswith(".")]
        start = Path(place).relative_to(folder)
        pictures = (n for n in names if not n.startswith(".") and os.path.splitext(n)[1].lower() in PICTURE_SUFFIXES)
        found += [(start / name).as_posix() for name in pictures]
    yield from sorted(found)


def list_classes(folder: Path, labels: Mapping[str, int]) -> Index:
    """The pictures of some class folders, in label order.

    Args:
        folder: Holds the class folders.
        labels: Name of a class folder to label.

    Raises:
        DataError: A class folder is missing or has no picture.
    """
    paths: list[str] = []
    numbers: list[int] = []
    for name, label in sorted(labels.items(), key=lambda item: item[1]):
        inside = list(picture_paths(folder, name))
        if not inside:
            raise DataError(
                where=str(folder / name), what="no picture of this class", next="add some, or remove the class folder"
            )
        paths += inside
        numbers += [label] * len(inside)
    return Index(np.array(paths, dtype=np.str_), np.array(numbers, dtype=np.int64))


def class_folders(folder: Path, labels: Mapping[str, int]) -> PictureFiles:
    """Pictures of some class folders; they are listed once they are needed."""
    return PictureFiles(folder, partial(list_classes, folder, dict(labels)))


def _split(folder: Path) -> Path:
    """The evaluated folder: a split below the one that was named, or that folder itself."""
    for name in SPLITS:
        # A class of that name holds pictures; a split holds class folders.
        if (folder / name).is_dir() and subfolders(folder / name):
            return folder / name
    return folder


def _train(split: Path) -> Path | None:
    train = split.parent / "train"
    return train if split.name in SPLITS and train.is_dir() and subfolders(train) else None


def _folder_names(split: Path, beside: list[Path]) -> tuple[str, ...]:
    """Names of the class folders in label order."""
    found = subfolders(split)
    if set(found) <= {*SPLITS, "train"}:
        raise DataError(
            where=str(split), what="no class folder here", got=", ".join(found) or None,
            next="sort the pictures of each split into one folder per class",
        )  # fmt: skip
    for folder in beside:
        if (folder / FOLDERS_FILE).is_file():
            listed = read_class_names(folder / FOLDERS_FILE)
            _require_same(listed, found, str(folder / FOLDERS_FILE))
            return listed
    return found


def _require_same(listed: tuple[str, ...], found: tuple[str, ...], where: str) -> None:
    differ = sorted(set(listed) ^ set(found))
    if differ:
        raise DataError(
            where=where, what="the class folders are not those listed",
            got=f"{len(differ)} differ, such as {differ[0]}", next="mend the list, or the folders",
        )  # fmt: skip


def _prompts(folders: tuple[str, ...], beside: list[Path], request: Request) -> tuple[PromptSet, list[str]]:
    """Class names and templates, and what a report must say about them."""
    notes = []
    if any((folder / CLASS_NAMES_FILE).is_file() for folder in beside) or (request.prompts and request.prompts.classes):
        prompts = find_prompts(beside, request.prompts)
    elif set(folders) <= set(imagenet_wnids()):
        published = imagenet_names(folders)
        prompts = find_prompts(beside, names=published.class_names, templates=published.templates)
    else:
        prompts = find_prompts(beside, names=_speaking(folders, beside[0]))
        notes.append(f"no {CLASS_NAMES_FILE}: the names of the class folders are the class names")
    if len(prompts.class_names) != len(folders):
        raise DataError(
            where=str(beside[0]), what=f"there are {len(folders)} class folders",
            got=f"{len(prompts.class_names)} class names",
            next=f"write one name for each, in the order of {FOLDERS_FILE}, or of the sorted folders",
        )  # fmt: skip
    return prompts, notes


def _speaking(folders: tuple[str, ...], where: Path) -> tuple[str, ...]:
    """Folder names as class names, if they can be words at all."""
    mute = [name for name in folders if not any(letter.isalpha() for letter in name) or name[1:].isdigit()]
    if mute:
        raise DataError(
            where=str(where), what="no class names, and the names of the class folders say nothing",
            got=", ".join(mute[:5]), next=f"write {CLASS_NAMES_FILE}, one name per line, or use --prompts FILE",
        )  # fmt: skip
    return tuple(name.replace("_", " ") for name in folders)


def _open_released(request: Request, place: Path, found: Sequence[tuple[str, int, Path]]) -> DataSet:
    """A task for each corruption and severity; what one sets aside for range setting, all do."""
    names = _folder_names(found[0][2], [place, place.parent])
    prompts, notes = _prompts(names, [place, place.parent], request)
    labels = {name: label for label, name in enumerate(names)}
    first = f"released/{found[0][0]}/{found[0][1]}"
    evaluated = []
    for corruption, severity, folder in found:
        _require_same(names, subfolders(folder), str(folder))
        source = f"released/{corruption}/{severity}"
        task = Task(
            f"noise/{corruption}/{severity}", Part(source), prompts,
            card=f"Pictures as released under {corruption.replace('_', ' ')} of severity {severity}.",
        )  # fmt: skip
        twin = "" if source == first else first
        evaluated.append(Evaluated(source, class_folders(folder, labels), prompts, (task,), twin_of=twin))
    return assemble(request, evaluated, None, notes)


def open_folder(request: Request) -> DataSet:
    """A folder of class folders, or of corruptions as released; pictures are listed, not read.

    Raises:
        UsageError: No location.
        DataError: No class folder, no usable class names, a train split of other classes, or
            corruptions that lack a severity or a class.
    """
    place = request.path("FOLDER")
    released = list(corrupted_folders(place))
    if released:
        return _open_released(request, place, released)
    split = _split(place)
    beside = [split, split.parent]
    names = _folder_names(split, beside)
    prompts, notes = _prompts(names, beside, request)
    labels = {name: label for label, name in enumerate(names)}
    train = _train(split)
    if train is not None:
        _require_same(tuple(labels), subfolders(train), str(train))
    return labelled_data_set(
        request,
        Labelled(
            test=class_folders(split, labels),
            prompts=prompts,
            train=class_folders(train, labels) if train is not None else None,
            notes=tuple(notes),
        ),
    )
