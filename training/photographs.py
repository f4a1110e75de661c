"""Photographs with captions made of their classes: clean ones, and ones as the web writes them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from reliability.data.benchmarks.benchmark import Benchmark
from reliability.data.benchmarks.registry import BENCHMARKS
from reliability.errors import DataError
from reliability.types import I64, U8, PromptSet
from training.pool import Pool

WATCHED = 2000
"""Pictures of the train split that watch progress and are not trained on."""

_ALT_TEXTS = ("untitled image", "photo 0412", "click to enlarge", "new picture")


@dataclass(frozen=True)
class NameNoise:
    """How a caption source departs from the truth; rates lie in [0, 1].

    Attributes:
        wrong_name: A uniformly drawn other class is named.
        alt_text: The caption says nothing about the picture.
    """

    wrong_name: float = 0.0
    alt_text: float = 0.0


CLEAN = NameNoise()
WEB = NameNoise(wrong_name=0.2, alt_text=0.2)


def photo_captions(labels: I64, prompts: PromptSet, noise: NameNoise, rng: np.random.Generator) -> list[str]:
    """One caption per picture: a drawn template, filled with a class name.

    Args:
        labels: [N] classes.
        prompts: Their names, and the templates.
        noise: Departures from the truth, drawn independently per picture.
        rng: Where draws come from. The templates are those of clean captions of the
            same generator, whatever the noise.
    """
    which = rng.integers(len(prompts.templates), size=len(labels))
    happens = {name: rng.random(len(labels)) < rate for name, rate in vars(noise).items()}
    other = rng.integers(1, len(prompts.class_names), size=len(labels))
    named = np.where(happens["wrong_name"], (labels + other) % len(prompts.class_names), labels)
    empty = rng.integers(len(_ALT_TEXTS), size=len(labels))
    texts = [prompts.texts(int(label))[template] for label, template in zip(named, which, strict=True)]
    return [
        _ALT_TEXTS[alt] if missing else text
        for text, alt, missing in zip(texts, empty, happens["alt_text"], strict=True)
    ]


def photograph_pool(images: U8, labels: I64, prompts: PromptSet, noise: NameNoise, seed: int) -> Pool:
    """A pool of photographs, of which some are set aside to watch progress."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(images))
    train, watch = order[WATCHED:], order[:WATCHED]
    return Pool(
        images=images[train],
        captions=photo_captions(labels[train], prompts, noise, rng),
        class_names=prompts.class_names,
        templates=prompts.templates,
        validation_images=images[watch],
        validation_labels=labels[watch],
        flip=True,
    )


def tiny_imagenet(root: Path) -> tuple[U8, NDArray[np.int64], PromptSet]:
    """Train pictures of the 160 classes that models may see, [N, 64, 64, 3], with labels and prompts.

    Raises:
        DataError: The set is not below the root, or has no train split.
    """
    benchmark: Benchmark = BENCHMARKS["tinyimagenet"]
    found = benchmark.training(benchmark.require(root))
    if found is None:
        raise DataError(
            where=str(root / benchmark.places[0]), what="no train split beside the test split",
            next="add train/ with shards or Parquet files",
        )  # fmt: skip
    labels = found.collection.index.labels
    return np.stack(list(found.collection.read(np.arange(len(labels))))), labels, found.prompts
