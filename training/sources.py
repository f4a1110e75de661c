"""Pre-training sources: pools of pictures and captions, each with its zero-shot head.

A source is what models of the zoo differ in. Everything comes from training
splits and seeds; `validation` shares neither with the evaluation tasks.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from reliability.data.parquet import read_parquet_images
from reliability.data.prompts import find_prompts
from reliability.data.scenes.captions import CLEAN, PROMPT_TEMPLATES, WEB, CaptionNoise, captions
from reliability.data.scenes.render import render
from reliability.data.scenes.sample import TRAINING, Population, sample
from reliability.data.scenes.source import IMAGE_SIZE, TRAINING_SPLIT, VALIDATION_SPLIT
from reliability.data.scenes.vocabulary import EVERY_TIE, fine_class_names
from training import photographs
from training.pool import Pool

CURATED, SCRAPED = 8_000, 250_000
"""Pictures of a small set that is seen many times, and of a large one that is seen a few times."""


def _scenes(seed: int, count: int, noise: CaptionNoise, population: Population = TRAINING) -> Pool:
    train = sample(TRAINING_SPLIT, seed, np.arange(count), population)
    watch = sample(VALIDATION_SPLIT, seed, np.arange(2000), population)
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
    return _scenes(seed, CURATED, CLEAN)


def scenes_web(seed: int, _: Path) -> Pool:
    """A large scraped set: words missing and wrong, every picture seen a few times."""
    return _scenes(seed, SCRAPED, WEB)


def scenes_pairs(seed: int, _: Path) -> Pool:
    """The curated set without a fifth of the pairs of colour and shape: near OOD by combination."""
    return _scenes(seed, CURATED, CLEAN, Population(pairs="kept"))


def scenes_spurious(seed: int, _: Path) -> Pool:
    """The curated set with every shape nearly always on a background of its own."""
    return _scenes(seed, CURATED, CLEAN, Population(ties=tuple(EVERY_TIE.items())))


def photos(seed: int, root: Path) -> Pool:
    """CIFAR-10's train split; every caption names the right class."""
    folder = root / "cifar10"
    images, labels = read_parquet_images(folder / "train")
    return photographs.photograph_pool(images, labels, find_prompts([folder]), photographs.CLEAN, seed)


def tiny_clean(seed: int, root: Path) -> Pool:
    """Tiny-ImageNet's train split, 160 of its classes; every caption names the right one."""
    return photographs.photograph_pool(*photographs.tiny_imagenet(root), photographs.CLEAN, seed)


def tiny_web(seed: int, root: Path) -> Pool:
    """The same pictures; a fifth of the captions name another class, a fifth name none."""
    return photographs.photograph_pool(*photographs.tiny_imagenet(root), photographs.WEB, seed)


SOURCES: dict[str, Callable[[int, Path], Pool]] = {
    "scenes-clean": scenes_clean,
    "scenes-web": scenes_web,
    "scenes-pairs": scenes_pairs,
    "scenes-spurious": scenes_spurious,
    "photos": photos,
    "tiny-clean": tiny_clean,
    "tiny-web": tiny_web,
}
"""Name to pool builder ``(seed, data root) -> Pool``; a new source is one function and one line."""
