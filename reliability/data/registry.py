"""Open a data set by its specification: ``kind:location``, or the name of a benchmark.

A new kind is a function ``(Request) -> DataSet`` and one entry of ``KINDS``. For
labelled pictures in yet another layout the function only supplies a
:class:`reliability.data.collection.Collection` and prompts to
:func:`reliability.data.labelled.labelled_data_set`. A new benchmark is one entry
of :data:`reliability.data.benchmarks.registry.BENCHMARKS`.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from reliability.data.benchmarks.registry import BENCHMARKS, open_benchmark, open_suite
from reliability.data.csv_table import open_csv
from reliability.data.dataset import DataSet, RangeSetting, Request, unknown
from reliability.data.folder import open_folder
from reliability.data.npy import open_npy
from reliability.data.parquet import open_parquet
from reliability.data.prompt_file import read_prompt_file
from reliability.data.prompted import with_prompts
from reliability.data.scenes.tasks import open_scenes
from reliability.data.torchvision import open_torchvision
from reliability.data.webdataset import open_webdataset
from reliability.errors import UsageError

__all__ = ["KINDS", "DataSet", "RangeSetting", "open_data"]


@dataclass(frozen=True)
class Kind:
    """A way for pictures to lie on disk, or to be made.

    Attributes:
        summary: One line for lists.
        open: Opens a request without decoding a picture.
    """

    summary: str
    open: Callable[[Request], DataSet]


def _open_scenes(request: Request) -> DataSet:
    return open_scenes(request.location, request.root, request.limit)


KINDS: dict[str, Kind] = {
    "scenes": Kind("scenes, or scenes:seed=7,count=20000: the embedded sets, rendered from a seed.", _open_scenes),
    "folder": Kind("folder:DIR, one folder of pictures per class, as of ImageFolder.", open_folder),
    "webdataset": Kind("webdataset:DIR, tar shards in CLIP_benchmark's layout or plain.", open_webdataset),
    "parquet": Kind("parquet:DIR, image bytes and labels, as on the Hugging Face hub.", open_parquet),
    "npy": Kind("npy:DIR, arrays of pictures and labels, as of CIFAR-10.1 and CIFAR-10-C.", open_npy),
    "csv": Kind("csv:FILE, a table of paths, labels and groups, as of Waterbirds.", open_csv),
    "torchvision": Kind("torchvision:NAME, a set that torchvision publishes.", open_torchvision),
    "suite": Kind("suite:imagenet or suite:cifar10, all benchmarks below the data root.", open_suite),
    **{name: Kind(f"{benchmark.tasks}: {benchmark.holds}.", open_benchmark) for name, benchmark in BENCHMARKS.items()},
}
"""Kind, or name of a benchmark, to opener."""


def open_data(
    spec: str,
    root: Path | None = None,
    limit: int | None = None,
    prompts: Path | None = None,
    skip_unreadable: int = 0,
) -> DataSet:
    """Open a data set without decoding a picture.

    Args:
        spec: Such as ``scenes``, ``folder:DIR``, ``torchvision:CIFAR10`` or ``imagenet-a``.
        root: Where relative locations start, benchmarks lie and downloads go.
        limit: Keeps at most that many pictures of every source; part of its identity.
        prompts: TOML file with class names and templates of the user's own.
        skip_unreadable: Leaves out up to that many evaluated pictures that do not
            decode; they are looked for once, and named in the notes.

    Raises:
        UsageError: Unknown kind, a location that is missing or too many, a limit below 1,
            or a negative number of pictures to leave out.
        DataError: The folder is not what the kind expects, or the prompts cannot be used.
    """
    kind, _, location = spec.partition(":")
    if kind not in KINDS:
        raise unknown("kind of data", kind, KINDS, where=f"--data {spec}")
    if limit is not None and limit < 1:
        raise UsageError(where="--limit", what="a limit is at least 1", got=limit, next="leave it out to keep all")
    if skip_unreadable < 0:
        raise UsageError(
            where="--skip-unreadable", what="a number of pictures is at least 0", got=skip_unreadable,
            next="leave it out to skip none",
        )  # fmt: skip
    _check_possible(location, spec)
    own = read_prompt_file(prompts) if prompts is not None else None
    request = Request(spec, location, root, limit, own, skip_unreadable)
    return with_prompts(KINDS[kind].open(request), own)


def _check_possible(location: str, spec: str) -> None:
    """Refuse what no file system can hold, so that nobody below has to expect it."""
    try:
        os.stat(location)
    except ValueError as error:  # a null byte, or half a character
        raise _impossible(spec, error) from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _impossible(spec, error) from error


def _impossible(spec: str, error: Exception) -> UsageError:
    return UsageError(
        where="--data", what="a location that no file can have", got=f"{spec!a:.80}: {type(error).__name__}",
        next="name a folder or file that is here",
    )  # fmt: skip
