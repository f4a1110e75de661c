"""Class names and templates as published with CLIP, for sets that bring none along.

ImageNet's names and 80 templates are those of the installed open_clip. They are
read from its file alone: importing the package would import torch.
"""

from __future__ import annotations

import importlib.util
import runpy
from functools import lru_cache
from pathlib import Path

from reliability.errors import DataError, MissingExtraError
from reliability.types import PromptSet

PLAIN_TEMPLATES = ("a photo of a {c}.",)
"""For sets without templates of their own."""

CIFAR_TEMPLATES = (
    "a photo of a {c}.",
    "a blurry photo of a {c}.",
    "a low contrast photo of a {c}.",
    "a photo of a big {c}.",
    "a photo of a small {c}.",
    "a photo of the {c}.",
)

WATERBIRDS = PromptSet(("landbird", "waterbird"), PLAIN_TEMPLATES)


@lru_cache(maxsize=1)
def imagenet_wnids() -> tuple[str, ...]:
    """The 1,000 WordNet ids of ImageNet's classes, sorted, which is their label order."""
    return tuple((Path(__file__).parent / "imagenet_wnids.txt").read_text().split())


@lru_cache(maxsize=1)
def imagenet_prompts() -> PromptSet:
    """All 1,000 classes in label order, with 80 templates.

    Two names stand twice, "missile" and "sunglasses", as in every published figure.

    Raises:
        MissingExtraError: open_clip is not installed.
        DataError: Its file has changed beyond recognition.
    """
    file = _open_clip_file()
    try:
        published = runpy.run_path(str(file))
        names = tuple(str(name) for name in published["IMAGENET_CLASSNAMES"])
        templates = tuple(str(template("{c}")) for template in published["OPENAI_IMAGENET_TEMPLATES"])
    except Exception as error:
        # Another release may have moved or changed anything.
        raise _changed(file, f"{type(error).__name__}: {error}") from error
    if len(names) != len(imagenet_wnids()) or not templates or not all("{c}" in text for text in templates):
        raise _changed(file, f"{len(names)} names and {len(templates)} templates")
    return PromptSet(names, templates)


def _open_clip_file() -> Path:
    spec = importlib.util.find_spec("open_clip")
    if spec is None or spec.origin is None:
        raise MissingExtraError(
            where="ImageNet's class names", what="they are read from open_clip", next="pip install open_clip_torch"
        )
    return Path(spec.origin).with_name("zero_shot_metadata.py")


def _changed(file: Path, got: str) -> DataError:
    return DataError(
        where=str(file), what="this open_clip does not hold ImageNet's names and templates where they are looked for",
        got=got, next="install open_clip_torch 3.3, or give the names with classnames.txt or --prompts",
    )  # fmt: skip


def imagenet_names(wnids: tuple[str, ...]) -> PromptSet:
    """The head of some of ImageNet's classes, in the order given.

    Raises:
        DataError: An id is none of ImageNet's.
    """
    label = {wnid: number for number, wnid in enumerate(imagenet_wnids())}
    unknown = [wnid for wnid in wnids if wnid not in label]
    if unknown:
        raise DataError(
            where="class folders", what="not a WordNet id of an ImageNet class", got=", ".join(unknown[:5]),
            next="remove the folder, or open the set with --data folder:DIR and class names of its own",
        )  # fmt: skip
    whole = imagenet_prompts()
    return PromptSet(tuple(whole.class_names[label[wnid]] for wnid in wnids), whole.templates)
