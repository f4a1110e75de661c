"""Pre-training sources: pools of pictures and captions, each with its zero-shot head.

A source is what models of the zoo differ in. Everything comes from training
splits and seeds; `validation` shares neither with the evaluation tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reliability.data.parquet import read_parquet_images
from reliability.data.scenes.captions import CLEAN, PROMPT_TEMPLATES, WEB, CaptionNoise, captions
from reliability.data.scenes.render import render
from reliability.data.scenes.sample import sample
from reliability.data.scenes.vocabulary import fine_class_names

IMAGE_SIZE = 32


@dataclass(frozen=True)
class Pool:
    """Pictures to train on and pictures to watch progress with.

    Attributes:
        images: [N, 32, 32, 3] uint8.
        captions: N texts.
        class_names, templates: The zero-shot head.
        validation_images, validation_labels: Held out from training, never evaluated by a suite.
        flip: Whether a mirrored picture keeps its caption.
    """

    images: NDArray[np.uint8]
    captions: list[str]
    class_names: tuple[str, ...]
    templates: tuple[str, ...]
    validation_images: NDArray[np.uint8]
    validation_labels: NDArray[np.int64]
    flip: bool


def _scenes(seed: int, count: int, noise: CaptionNoise) -> Pool:
    train = sample("zoo-train", seed, np.arange(count))
    watch = sample("zoo-validation", seed, np.arange(2000))
    return Pool(
        images=render(train, IMAGE_SIZE),
        captions=captions(train, noise),
        class_names=fine_class_names(),
        templates=PROMPT_TEMPLATES,
        validation_images=render(watch, IMAGE_SIZE),
        validation_labels=watch.fine_label,
        flip=False,
    )


def scenes_clean(seed: int, _: Path) -> Pool:
    """A small curated set: every caption right, every picture seen many times."""
    return _scenes(seed, 8_000, CLEAN)


def scenes_web(seed: int, _: Path) -> Pool:
    """A large scraped set: words missing and wrong, every picture seen a few times."""
    return _scenes(seed, 250_000, WEB)


def photos(seed: int, root: Path) -> Pool:
    """CIFAR-10's train split; 2,000 of its pictures watch progress and are not trained on."""
    folder = root / "cifar10"
    images, labels = read_parquet_images(folder / "train")
    names = tuple((folder / "classnames.txt").read_text().split())
    templates = tuple((folder / "zeroshot_classification_templates.txt").read_text().splitlines())
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    train, watch = order[2000:], order[:2000]
    which = rng.integers(len(templates), size=len(train))
    texts = [templates[t].format(c=names[y]) for t, y in zip(which, labels[train], strict=True)]
    return Pool(images[train], texts, names, templates, images[watch], labels[watch], flip=True)


SOURCES: dict[str, Callable[[int, Path], Pool]] = {
    "scenes-clean": scenes_clean,
    "scenes-web": scenes_web,
    "photos": photos,
}
"""Name to pool builder ``(seed, data root) -> Pool``; a new source is one function and one line."""
