"""Pictures and labels in tar files, read in place: nothing is unpacked.

A sample is the members that share a key. Its label stands in ``key.cls``; in
plain shards also in ``key.json`` (``label`` or ``cls``) or, as a number or a class
name, in ``key.txt``.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from reliability.data.collection import Index, Pending
from reliability.data.decode import decode_rgb
from reliability.data.fingerprint import file_sha256
from reliability.errors import DataError
from reliability.types import I64, U8

IMAGE_SUFFIXES = ("jpg", "jpeg", "png", "webp")
LABEL_SUFFIXES = ("cls", "json", "txt")
"""Where plain shards hold labels; the first that a sample has counts."""

MAX_MEMBER_BYTES = 64 * 1024 * 1024
"""A picture that declares more is refused before any of it is read."""

_MAX_LABEL_BYTES = 1024 * 1024
_JSON_KEYS = ("label", "cls")


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
    """The pictures of some tar files, in file and member order.

    Attributes:
        files: Read in this order.
        class_names: Labels lie below their number; plain shards may write a name instead.
        plain: Labels may stand in any of ``LABEL_SUFFIXES``, and folders are part of a
            key. CLIP_benchmark's shards have ``.cls`` labels only, and flat keys.
    """

    files: tuple[Path, ...]
    class_names: tuple[str, ...]
    plain: bool = False

    @property
    def identity(self) -> Mapping[str, Any]:
        """Content hash of every shard; class names too where labels may be written in words."""
        found: dict[str, Any] = {"kind": "webdataset", "shards": [file_sha256(file) for file in self.files]}
        return found | {"plain": True, "class_names": self.class_names} if self.plain else found

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """Every picture with its label; tar headers and labels are read, pictures are not."""
        members = tuple(member for file in self.files for member in self._scan(file))
        if not members:
            raise DataError(
                where=str(self.files[0].parent),
                what="the shards hold no picture",
                next="add key.jpg and key.cls members",
            )
        return members

    @cached_property
    def index(self) -> Index:
        """Names such as ``0/s0000017``, and labels."""
        ids = [f"{member.shard.stem}/{member.key}" for member in self.members]
        return Index(np.array(ids), np.array([member.label for member in self.members], dtype=np.int64))

    def pending(self, rows: I64) -> Iterator[Pending]:
        """The pictures at increasing rows, read but not decoded; each shard is opened once."""
        wanted = (self.members[row] for row in rows)
        for shard, members in groupby(wanted, key=lambda member: member.shard):
            with shard.open("rb") as file:
                for member in members:
                    file.seek(member.offset)
                    yield partial(decode_rgb, io.BytesIO(file.read(member.size)), where=member.where)

    def read(self, rows: I64) -> Iterator[U8]:
        """Decode the pictures at increasing rows, one at a time."""
        return (picture() for picture in self.pending(rows))

    def _scan(self, shard: Path) -> Iterator[Member]:
        """Pair pictures and labels by key, in the order of the pictures."""
        images: dict[str, tarfile.TarInfo] = {}
        labels: dict[str, dict[str, int]] = {}
        try:
            with tarfile.open(shard, "r:") as tar:
                for info in tar:
                    key, suffix = self._split(info.name, shard)
                    if suffix in IMAGE_SUFFIXES:
                        _register(images, key, _checked(info, shard), shard)
                    elif suffix in self._label_suffixes:
                        _register(labels.setdefault(key, {}), suffix, self._label(tar, info, shard), shard, key)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise DataError(
                where=str(shard),
                what="not a readable tar file",
                got=f"{type(error).__name__}: {error}",
                next="fetch the shard again",
            ) from error
        _require_pairs(images.keys(), labels.keys(), shard, self._label_suffixes)
        for key, info in images.items():
            written = labels[key]
            label = next(written[suffix] for suffix in LABEL_SUFFIXES if suffix in written)
            yield Member(shard, key, info.offset_data, info.size, label)

    @property
    def _label_suffixes(self) -> tuple[str, ...]:
        return LABEL_SUFFIXES if self.plain else ("cls",)

    def _split(self, name: str, shard: Path) -> tuple[str, str]:
        """Key and suffix of a member."""
        folder, _, base = name.rpartition("/")
        key, _, suffix = base.partition(".")
        if self.plain and (name.startswith("/") or ".." in name.split("/")):
            raise DataError(
                where=f"{shard}:{name}", what="a member's path leads out of the archive",
                next="do not trust this file; fetch it from its publisher",
            )  # fmt: skip
        return (f"{folder}/{key}" if self.plain and folder.strip("./") else key), suffix.lower()

    def _label(self, tar: tarfile.TarFile, info: tarfile.TarInfo, shard: Path) -> int:
        file = tar.extractfile(_checked(info, shard))
        content = file.read(_MAX_LABEL_BYTES) if file else b""
        written = _from_json(content) if info.name.lower().endswith(".json") else content.decode("utf-8", "replace")
        text = written.strip()[:64]
        if text.isascii() and text.isdigit() and int(text) < len(self.class_names):
            return int(text)
        if self.plain and text in self.class_names:
            return self.class_names.index(text)
        raise DataError(
            where=f"{shard}:{info.name}",
            what="label outside the classes",
            got=repr(text),
            next=f"a label is a whole number, 0..{len(self.class_names) - 1}, as there are "
            f"{len(self.class_names)} class names" + (", or one of the names" if self.plain else ""),
        )


def _from_json(content: bytes) -> str:
    """The label in a sample's JSON, empty where there is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    value = next((found[key] for key in _JSON_KEYS if key in found), "") if isinstance(found, dict) else found
    return str(value) if isinstance(value, int | str) and not isinstance(value, bool) else ""


def _register(found: dict[str, Any], key: str, value: Any, shard: Path, sample: str = "") -> None:
    if key in found:
        where = f"{shard}:{sample or key}"
        raise DataError(where=where, what="this key stands twice in the shard", next="remove one of them")
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


def _require_pairs(images: Any, labels: Any, shard: Path, suffixes: tuple[str, ...]) -> None:
    wanted = " or ".join(f".{suffix}" for suffix in suffixes)
    for key in sorted(images ^ labels):
        lacking = f"no {wanted} label for this picture" if key in images else f"no picture for this {wanted} label"
        raise DataError(where=f"{shard}:{key}", what=lacking, next="store key.jpg (or png, webp) and key.cls together")
