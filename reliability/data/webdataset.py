"""The webdataset layout of CLIP_benchmark: tar shards of ``key.jpg`` and ``key.cls``.

::

    ROOT/classnames.txt                              one name per line, label order
    ROOT/zeroshot_classification_templates.txt       {c} stands for the class
    ROOT/test/nshards.txt                            the number of shards
    ROOT/test/0.tar ...                              s0000000.jpg, s0000000.cls, ...
    ROOT/train/                                      optional: shards, or Parquet files

Shards are read in place: nothing is unpacked, and a picture's bytes are read
when it is its turn.
"""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from reliability.data.collection import Collection, Index
from reliability.data.dataset import DataSet
from reliability.data.decode import decode_rgb
from reliability.data.fingerprint import file_sha256
from reliability.data.labelled import labelled_data_set
from reliability.data.parquet import ParquetImages
from reliability.data.prompts import read_prompts
from reliability.errors import DataError, UsageError
from reliability.types import I64, U8

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp")
MAX_MEMBER_BYTES = 64 * 1024 * 1024
"""A picture or label that declares more is refused before any of it is read."""

SHARD_COUNT_FILE = "nshards.txt"


@dataclass(frozen=True)
class Member:
    """Where one picture's bytes lie: ``size`` bytes at ``offset`` of ``shard``."""

    shard: Path
    key: str
    offset: int
    size: int
    label: int

    @property
    def where(self) -> str:
        """File and member, for messages."""
        return f"{self.shard}:{self.key}"


@dataclass(frozen=True)
class Shards:
    """The pictures of all shards of one folder, in shard and member order.

    Attributes:
        folder: Holds ``nshards.txt`` and ``0.tar`` to ``N-1.tar``.
        classes: Number of classes; labels lie below it.
    """

    folder: Path
    classes: int

    @cached_property
    def files(self) -> tuple[Path, ...]:
        """The shards that ``nshards.txt`` promises, every one of which must exist."""
        count = _shard_count(self.folder / SHARD_COUNT_FILE)
        files = tuple(self.folder / f"{number}.tar" for number in range(count))
        for file in files:
            if not file.is_file():
                raise DataError(
                    where=str(file),
                    what=f"missing shard: {SHARD_COUNT_FILE} promises {count}",
                    next="fetch the shard, or the whole folder again",
                )
        return files

    @property
    def identity(self) -> Mapping[str, Any]:
        """Content hash of every shard."""
        return {"kind": "webdataset", "shards": [file_sha256(file) for file in self.files]}

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """Every picture with its label; tar headers and labels are read, pictures are not."""
        members = tuple(member for file in self.files for member in _scan(file, self.classes))
        if not members:
            raise DataError(
                where=str(self.folder), what="the shards hold no picture", next="add key.jpg and key.cls members"
            )
        return members

    @cached_property
    def index(self) -> Index:
        """Names such as ``0/s0000017``, and labels."""
        ids = [f"{member.shard.stem}/{member.key}" for member in self.members]
        return Index(np.array(ids), np.array([member.label for member in self.members], dtype=np.int64))

    def read(self, rows: I64) -> Iterator[U8]:
        """Decode the pictures at increasing rows, opening each shard once."""
        wanted = (self.members[row] for row in rows)
        for shard, members in groupby(wanted, key=lambda member: member.shard):
            with shard.open("rb") as file:
                for member in members:
                    file.seek(member.offset)
                    yield decode_rgb(io.BytesIO(file.read(member.size)), where=member.where)


def _shard_count(path: Path) -> int:
    if not path.is_file():
        raise DataError(
            where=str(path), what="no such file, so the number of shards is unknown", next="write it, such as: 1"
        )
    text = path.read_text(errors="replace").strip()
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise DataError(where=str(path), what="not a positive number of shards", got=repr(text), next="such as: 1")
    return int(text)


def _scan(shard: Path, classes: int) -> Iterator[Member]:
    """Pair pictures and labels by key, in the order of the pictures."""
    images: dict[str, tarfile.TarInfo] = {}
    labels: dict[str, int] = {}
    try:
        with tarfile.open(shard, "r:") as tar:
            for info in tar:
                key, _, suffix = info.name.rpartition("/")[2].partition(".")
                suffix = suffix.lower()
                if suffix in IMAGE_SUFFIXES:
                    _register(images, key, _checked(info, shard), shard)
                elif suffix == "cls":
                    _register(labels, key, _label(tar, _checked(info, shard), shard, classes), shard)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(
            where=str(shard),
            what="not a readable tar file",
            got=f"{type(error).__name__}: {error}",
            next="fetch the shard again",
        ) from error
    _require_pairs(images.keys(), labels.keys(), shard)
    for key, info in images.items():
        yield Member(shard, key, info.offset_data, info.size, labels[key])


def _register(found: dict[str, Any], key: str, value: Any, shard: Path) -> None:
    if key in found:
        raise DataError(where=f"{shard}:{key}", what="this key stands twice in the shard", next="remove one of them")
    found[key] = value


def _checked(info: tarfile.TarInfo, shard: Path) -> tarfile.TarInfo:
    """Refuse links, devices, sparse files and absurd sizes."""
    where = f"{shard}:{info.name}"
    if not info.isreg() or info.issparse():
        raise DataError(where=where, what="not a plain file", next="store pictures and labels as plain members")
    if info.size > MAX_MEMBER_BYTES:
        raise DataError(
            where=where,
            what=f"a member may hold at most {MAX_MEMBER_BYTES} bytes",
            got=f"{info.size} declared",
            next="store smaller pictures; nothing was read",
        )
    return info


def _label(tar: tarfile.TarFile, info: tarfile.TarInfo, shard: Path, classes: int) -> int:
    file = tar.extractfile(info)
    text = file.read(64).decode("ascii", errors="replace").strip() if file else ""
    if not text.isdigit() or int(text) >= classes:
        raise DataError(
            where=f"{shard}:{info.name}",
            what="label outside the classes",
            got=repr(text),
            next=f"a label is a whole number, 0..{classes - 1}, as the class file has {classes} lines",
        )
    return int(text)


def _require_pairs(images: Any, labels: Any, shard: Path) -> None:
    for key in sorted(images ^ labels):
        lacking = "no .cls label for this picture" if key in images else "no picture for this .cls label"
        raise DataError(where=f"{shard}:{key}", what=lacking, next="store key.jpg (or png, webp) and key.cls together")


def _test_folder(root: Path) -> Path:
    """The folder of evaluated shards: ROOT/test, or ROOT itself."""
    if not root.is_dir():
        raise DataError(
            where=str(root), what="no such folder", next="name the folder that holds test/ and the class file"
        )
    for folder in (root / "test", root):
        if (folder / SHARD_COUNT_FILE).is_file() or any(folder.glob("*.tar")):
            return folder
    raise DataError(
        where=str(root),
        what=f"no shards: neither test/{SHARD_COUNT_FILE} nor {SHARD_COUNT_FILE} is here",
        got="an empty folder" if not any(root.iterdir()) else ", ".join(sorted(p.name for p in root.iterdir())[:8]),
        next="name the folder that holds test/, or the test folder itself",
    )


def _train_collection(test: Path, classes: int) -> Collection | None:
    """What lies in ``train`` beside the test folder, unless that is what is evaluated."""
    folder = test.parent / "train"
    if folder == test:
        return None
    if (folder / SHARD_COUNT_FILE).is_file():
        return Shards(folder, classes)
    return ParquetImages(folder, classes) if any(folder.glob("*.parquet")) else None


def open_webdataset(location: str, root: Path | None, limit: int | None) -> DataSet:
    """A data set in CLIP_benchmark's layout; no picture and no shard is read yet.

    Args:
        location: The folder with ``test/``, or that folder itself with the class files
            beside its shards or above it.
        root: Where a relative location starts; None is the working directory.
        limit: Keeps that many evaluated pictures, drawn by name.

    Raises:
        UsageError: No location.
        DataError: No shards, or no usable class names or templates.
    """
    if not location:
        raise UsageError(where="--data", what="webdataset needs a folder", next="--data webdataset:FOLDER")
    test = _test_folder(Path(os.path.abspath((root or Path()) / location)))
    prompts = read_prompts([test, test.parent])
    shards = Shards(test, len(prompts.class_names))
    _ = shards.files  # a missing shard is reported before anything runs
    return labelled_data_set(f"webdataset:{location}", shards, _train_collection(test, shards.classes), prompts, limit)
