"""The models of the zoo as plans: tower, source of pictures, loss, length and seed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Statistics = tuple[list[float], list[float]]
"""Mean and standard deviation of the input per channel."""

EMBED_DIM = 128
TEXT_TOWER = {"context_length": 16, "width": 128, "heads": 4, "layers": 2}

VIT = {"image_size": 32, "layers": 4, "width": 128, "head_width": 32, "patch_size": 4}
RESNET = {"image_size": 32, "layers": [1, 1, 1, 1], "width": 18, "head_width": 18}
CONVNEXT = {
    "timm_model_name": "test_convnext2", "timm_model_pretrained": False, "timm_pool": "avg", "timm_proj": "linear",
    "image_size": 64,
}  # fmt: skip
"""ConvNeXt of 1, 2, 4 and 2 blocks of width 32 to 128: timm's next larger one, with its text tower, has 4.7 MB."""

SIGMOID_LOGITS = {"init_logit_scale": math.log(10.0), "init_logit_bias": -10.0}
"""SigLIP's start, at which every pair is taken for a wrong one."""

SCENES_STATISTICS: Statistics = ([0.45, 0.43, 0.42], [0.25, 0.25, 0.27])
CIFAR_STATISTICS: Statistics = ([0.491, 0.482, 0.447], [0.247, 0.243, 0.262])
IMAGENET_STATISTICS: Statistics = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


@dataclass(frozen=True)
class Schedule:
    """How long and how fast: linear warm-up, a plateau that may be empty, cosine decay to zero.

    Attributes:
        warmup: Steps until the peak rate.
        hold: Step at which the decay starts.
    """

    steps: int
    warmup: int
    hold: int
    batch: int = 128
    learning_rate: float = 1.5e-3
    weight_decay: float = 0.1

    def rate(self, step: int) -> float:
        """Learning rate of a step."""
        if step < self.warmup:
            return self.learning_rate * (step + 1) / self.warmup
        done = max(0, step - self.hold) / (self.steps - self.hold)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * done))


@dataclass(frozen=True)
class Plan:
    """One zoo model.

    Attributes:
        vision: open_clip's ``vision_cfg``.
        source: A key of :data:`training.sources.SOURCES`.
        statistics: Of the input.
        autocast: Train in bfloat16 where that is faster.
        logits: open_clip's initial logit scale and bias; a bias asks for the sigmoid loss.
    """

    vision: Mapping[str, Any]
    source: str
    schedule: Schedule
    statistics: Statistics
    autocast: bool = True
    seed: int = 0
    logits: Mapping[str, float] = field(default_factory=dict)

    def model_config(self, vocabulary_size: int) -> dict[str, Any]:
        """open_clip's ``model_cfg``, for a vocabulary of so many tokens with padding, start and end."""
        text = {**TEXT_TOWER, "vocab_size": vocabulary_size}
        return {"embed_dim": EMBED_DIM, "vision_cfg": dict(self.vision), "text_cfg": text, **self.logits}

    @property
    def preprocessing(self) -> dict[str, Any]:
        """open_clip's ``preprocess_cfg``."""
        mean, std = self.statistics
        return {"mean": mean, "std": std, "interpolation": "bicubic", "resize_mode": "shortest"}


_SCENES_VIT = Schedule(steps=3500, warmup=250, hold=1500)
_SCENES_SIGMOID = Schedule(steps=2400, warmup=250, hold=1000)
_SCENES_CONVNEXT = Schedule(steps=2500, warmup=150, hold=1000)
_CIFAR = Schedule(steps=3800, warmup=190, hold=190, batch=256, learning_rate=2e-3)
_TINY = Schedule(steps=2800, warmup=200, hold=1300, batch=256, learning_rate=2e-3)

PLANS: dict[str, Plan] = {
    "scenes-clean": Plan(VIT, "scenes-clean", _SCENES_VIT, SCENES_STATISTICS),
    "scenes-web": Plan(VIT, "scenes-web", _SCENES_VIT, SCENES_STATISTICS),
    "scenes-siglip": Plan(VIT, "scenes-web", _SCENES_SIGMOID, SCENES_STATISTICS, logits=SIGMOID_LOGITS),
    "scenes-convnext-clean": Plan(CONVNEXT, "scenes-clean", _SCENES_CONVNEXT, SCENES_STATISTICS),
    "scenes-convnext-web": Plan(CONVNEXT, "scenes-web", _SCENES_CONVNEXT, SCENES_STATISTICS),
    "photos": Plan(RESNET, "photos", _CIFAR, CIFAR_STATISTICS, autocast=False),
    "tiny-clean": Plan(CONVNEXT, "tiny-clean", _TINY, IMAGENET_STATISTICS),
    "tiny-web": Plan(CONVNEXT, "tiny-web", _TINY, IMAGENET_STATISTICS),
}
"""Name to plan; a new zoo model is one line here."""
