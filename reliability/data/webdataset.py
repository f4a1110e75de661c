"""Webdatasets: tar shards of pictures and labels, as CLIP_benchmark lays them out, or plain.

::

    ROOT/classnames.txt                              one name per line, label order
    ROOT/zeroshot_classification_templates.txt       {c} stands for the class
    ROOT/test/nshards.txt                            the number of shards
    ROOT/test/0.tar ...                              s0000000.jpg, s0000000.cls, ...
    ROOT/train/                                      optional: shards, or Parquet files

Plain shards are tar files of any name, without ``nshards.txt``: all of one folder
in the order of their names, or a single one. Their labels may stand in ``.cls``,
``.json`` or ``.txt``, and templates may be missing.
"""

from __future__ import annotations

from pathlib import Path

from reliability.data.collection import Collection
from reliability.data.dataset import DataSet, Request
from reliability.data.labelled import Labelled, labelled_data_set
from reliability.data.parquet import ParquetImages
from reliability.data.prompts import find_prompts
from reliability.data.published_prompts import PLAIN_TEMPLATES
from reliability.data.shards import Shards
from reliability.errors import DataError

SHARD_COUNT_FILE = "nshards.txt"
SPLITS = ("test", "val", "validation")


def numbered_shards(folder: Path) -> tuple[Path, ...]:
    """The shards that ``nshards.txt`` promises, every one of which must exist."""
    count = _shard_count(folder / SHARD_COUNT_FILE)
    files = tuple(folder / f"{number}.tar" for number in range(count))
    for file in files:
        if not file.is_file():
            raise DataError(
                where=str(file),
                what=f"missing shard: {SHARD_COUNT_FILE} promises {count}",
                next="fetch the shard, or the whole folder again",
            )
    return files


def _shard_count(path: Path) -> int:
    if not path.is_file():
        raise DataError(
            where=str(path), what="no such file, so the number of shards is unknown", next="write it, such as: 1"
        )
    text = path.read_text(errors="replace").strip()
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise DataError(where=str(path), what="not a positive number of shards", got=repr(text), next="such as: 1")
    return int(text)


def _shards(folder: Path, class_names: tuple[str, ...]) -> Shards:
    """The shards of one folder, or the one that is named."""
    if folder.is_file():
        return Shards((folder,), class_names, plain=True)
    files = tuple(sorted(folder.glob("*.tar")))
    # A file named 0.tar is a numbered shard, whose count tells whether the set is whole.
    if (folder / SHARD_COUNT_FILE).is_file() or folder / "0.tar" in files:
        return Shards(numbered_shards(folder), class_names)
    return Shards(files, class_names, plain=True)


def _test_folder(root: Path) -> Path:
    """The evaluated folder or file: ROOT/test, or ROOT itself."""
    if root.is_file():
        return root
    if not root.is_dir():
        raise DataError(
            where=str(root), what="no such folder", next="name the folder that holds test/ and the class file"
        )
    for folder in (*(root / name for name in SPLITS), root):
        if (folder / SHARD_COUNT_FILE).is_file() or any(folder.glob("*.tar")):
            return folder
    raise DataError(
        where=str(root),
        what=f"no shards: neither test/{SHARD_COUNT_FILE} nor {SHARD_COUNT_FILE} nor any .tar file is here",
        got="an empty folder" if not any(root.iterdir()) else ", ".join(sorted(p.name for p in root.iterdir())[:8]),
        next="name the folder that holds test/, or the test folder itself",
    )


def train_collection(test: Path, class_names: tuple[str, ...]) -> Collection | None:
    """What lies in ``train`` beside the test folder, unless that is what is evaluated."""
    folder = test.parent / "train"
    if folder == test or not folder.is_dir():
        return None
    if any(folder.glob("*.tar")) or (folder / SHARD_COUNT_FILE).is_file():
        return _shards(folder, class_names)
    return ParquetImages(folder, len(class_names)) if any(folder.glob("*.parquet")) else None


def open_webdataset(request: Request) -> DataSet:
    """Tar shards, in CLIP_benchmark's layout or plain; no picture and no shard is read yet.

    The location is the folder with ``test/``, or that folder itself with the class
    files beside its shards or above it, or one tar file.

    Raises:
        UsageError: No location.
        DataError: No shards, or no usable class names or templates.
    """
    test = _test_folder(request.path("FOLDER"))
    beside = [test, test.parent] if test.is_dir() else [test.parent]
    numbered = test.is_dir() and (test / SHARD_COUNT_FILE).is_file()
    # The published layout always has templates: without them something has been lost.
    prompts = find_prompts(beside, request.prompts, templates=() if numbered else PLAIN_TEMPLATES)
    shards = _shards(test, prompts.class_names)
    train = train_collection(test, prompts.class_names) if test.is_dir() else None
    return labelled_data_set(request, Labelled(shards, prompts, train))
