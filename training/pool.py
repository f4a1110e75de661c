"""What a model of the zoo is trained on."""

from __future__ import annotations

from dataclasses import dataclass

from reliability.types import I64, U8


@dataclass(frozen=True)
class Pool:
    """Pictures to train on and pictures to watch progress with.

    Attributes:
        images: [N, S, S, 3] uint8.
        captions: N texts.
        class_names, templates: The zero-shot head.
        validation_images, validation_labels: Held out from training, never evaluated by a suite.
        flip: Whether a mirrored picture keeps its caption.
    """

    images: U8
    captions: list[str]
    class_names: tuple[str, ...]
    templates: tuple[str, ...]
    validation_images: U8
    validation_labels: I64
    flip: bool
