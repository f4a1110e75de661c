"""A tiny CLIP in a zoo folder of its own, and a small data set held in memory.

This file imports no torch by itself: a test reads it in a process that must not.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reliability.data.dataset import DataSet
from reliability.models import zoo
from reliability.models.spec import ModelSpec, parse_model
from reliability.types import I64, U8, CaptionedImages, ImageBatch, Part, PromptSet, Task

CLASSES = ("red star", "blue star", "red ring", "blue ring")
TEMPLATES = ("a photo of a {c}", "the {c}")
PICTURES = 24
PREPROCESS = {"mean": [0.5] * 3, "std": [0.25] * 3, "interpolation": "bicubic", "resize_mode": "shortest"}


@dataclass
class Pictures:
    """Random pictures of four classes in turn; counts how often they are read."""

    name: str
    images: list[U8]
    version: int = 0
    reads: int = 0

    @property
    def identity(self) -> Mapping[str, Any]:
        return {"pictures": self.name, "version": self.version}

    @property
    def labels(self) -> I64:
        return np.arange(len(self.images)) % len(CLASSES)

    @property
    def ids(self) -> np.ndarray:
        return np.array([f"{self.name}/bild-ü-{i:02d}" for i in range(len(self.images))])

    def batches(self, size: int) -> Iterator[ImageBatch]:
        self.reads += 1
        groups = np.arange(len(self.images)) // 12
        for start in range(0, len(self.images), size):
            rows = slice(start, start + size)
            yield ImageBatch(self.images[rows], self.labels[rows], groups[rows], self.ids[rows])


@dataclass
class Captioned:
    """Range-setting data; counts its draws."""

    version: int = 0
    draws: int = 0

    def __call__(self, count: int, draw: int) -> CaptionedImages:
        self.draws += 1
        captions = [TEMPLATES[0].replace("{c}", CLASSES[i % len(CLASSES)]) for i in range(count)]
        return CaptionedImages(random_pictures(count, 100 + draw), captions, self.identity(count, draw))

    def identity(self, count: int, draw: int) -> Mapping[str, Any]:
        return {"captioned": self.version, "count": count, "draw": draw}


def random_pictures(count: int, seed: int) -> list[U8]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (32, 32, 3), dtype=np.uint8) for _ in range(count)]


def build_data() -> DataSet:
    """Tasks on every picture, on two classes in their own order, and on unfamiliar ones."""
    prompts = PromptSet(CLASSES, TEMPLATES)
    tasks = [
        Task("id", Part("pictures"), prompts),
        Task("shift/two", Part("pictures", labels=(3, 1)), PromptSet((CLASSES[3], CLASSES[1]), TEMPLATES)),
        Task("ood/near", Part("pictures", labels=(3, 2)), prompts, familiar=Part("pictures", labels=(0, 1))),
    ]
    sources = {"pictures": Pictures("pictures", random_pictures(PICTURES, 0))}
    return DataSet("memory", {task.name: task for task in tasks}, sources, Captioned())


def write_zoo_model(folder: Path, seed: int = 0) -> None:
    """A random CLIP of one layer per tower as the zoo model ``tiny``."""
    import torch
    from safetensors.torch import save_file

    from reliability.models.reduced_tokenizer import tokens_used
    from reliability.torchvision_shim import ensure_torchvision_imports

    torch.set_num_threads(1)
    ensure_torchvision_imports()
    from open_clip.model import CLIP

    words = tokens_used(template.replace("{c}", name) for template in TEMPLATES for name in CLASSES)
    text = {"context_length": 9, "width": 32, "heads": 2, "layers": 1, "vocab_size": len(words) + 3}
    vision = {"image_size": 32, "layers": 1, "width": 32, "head_width": 16, "patch_size": 8}
    torch.manual_seed(seed)
    clip = CLIP(embed_dim=16, vision_cfg=vision, text_cfg=text)
    config = {
        "model_cfg": {"embed_dim": 16, "vision_cfg": vision, "text_cfg": text},
        "preprocess_cfg": PREPROCESS,
        "token_ids": words,
    }
    (folder / "tiny.json").write_text(json.dumps(config))
    save_file({name: value.half() for name, value in clip.state_dict().items()}, folder / "tiny.safetensors")


@pytest.fixture(scope="session")
def zoo_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the tiny model; not to be changed."""
    folder = tmp_path_factory.mktemp("zoo")
    write_zoo_model(folder)
    return folder


@pytest.fixture
def tiny(zoo_model: Path, monkeypatch: pytest.MonkeyPatch) -> ModelSpec:
    monkeypatch.setattr(zoo, "FOLDER", zoo_model)
    return parse_model("zoo:tiny")


@pytest.fixture
def data() -> DataSet:
    return build_data()
