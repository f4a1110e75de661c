"""Frozen records that the layers hand to one another; NumPy only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
Strings = NDArray[np.str_]

Direction = Literal["higher", "lower", "neither"]
Relation = Literal["not_worse", "improves", "equivalent", "at_least", "at_most", "differs", "not_better", "worsens"]
Outcome = Literal["holds", "broken", "inconclusive"]


@dataclass(frozen=True)
class ImageBatch:
    """Some pictures of a source, in the source's own order.

    Attributes:
        images: RGB uint8 arrays [H, W, 3]; sizes may differ.
        labels: [B] class in the source's own numbering, -1 where it has none.
        groups: [B] group number, -1 where the source has no groups.
        ids: [B] stable names, unique within the source.
    """

    images: list[U8]
    labels: I64
    groups: I64
    ids: Strings


class ImageSource(Protocol):
    """A set of pictures that can be read in batches, any number of times.

    Attributes:
        name: Readable, unique within a data set, such as ``"id"``.
        identity: What the pixels depend on, JSON-serialisable. Two sources with
            the same identity yield the same pictures; it is part of cache keys.
    """

    @property
    def name(self) -> str:
        """Unique within a data set."""
        ...

    @property
    def identity(self) -> Mapping[str, Any]:
        """What the pixels depend on."""
        ...

    def batches(self, size: int) -> Iterator[ImageBatch]:
        """All pictures in the source's order, ``size`` at a time."""
        ...


@dataclass(frozen=True)
class PromptSet:
    """A zero-shot head in words: class names and templates with ``{c}`` for the class."""

    class_names: tuple[str, ...]
    templates: tuple[str, ...]

    def texts(self, index: int) -> list[str]:
        """All prompts of one class."""
        return [template.replace("{c}", self.class_names[index]) for template in self.templates]


@dataclass(frozen=True)
class Part:
    """Pictures of one source, perhaps only some of its classes.

    Attributes:
        source: Name of the image source.
        labels: Source labels that belong, in the order of the task's classes
            (they become 0, 1, ...); None keeps every picture and its label.
    """

    source: str
    labels: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Task:
    """An evaluation set with a role.

    Attributes:
        name: ``id``, ``ood/near``, ``ood/far``, ``shift/<name>``,
            ``noise/<corruption>/<severity>``, ``spurious/<name>`` or ``retrieval/<name>``.
        part: The pictures it is about.
        prompts: The zero-shot head.
        familiar: For ``ood/*``: the in-distribution pictures to tell them from.
        group_names: For ``spurious/*``: names of the groups 0, 1, ...
        card: One sentence on what the set stands for.
        fit: Familiar pictures that no task evaluates, for scores that are fitted; None
            where there are none.
        matches: For ``retrieval/*`` whose ``prompts`` are the texts: for each picture of ``part``,
            in its order, the rows of ``prompts.class_names`` that are true of it, at least one.
            A text may be true of several pictures.
    """

    name: str
    part: Part
    prompts: PromptSet
    familiar: Part | None = None
    group_names: tuple[str, ...] = ()
    card: str = ""
    fit: Part | None = None
    matches: tuple[tuple[int, ...], ...] = ()

    @property
    def role(self) -> str:
        """The name up to the first slash."""
        return self.name.partition("/")[0]


@dataclass(frozen=True)
class TaskGroup:
    """Several tasks of the same pictures, judged together.

    Attributes:
        name: As the threshold file calls it.
        tasks: Such as the same pictures under several corruptions, in the data set's order.
        clean: The task that shows these pictures, and perhaps more, as they are; None
            where nothing that is judged asks for it.
    """

    name: str
    tasks: tuple[Task, ...]
    clean: Task | None = None


@dataclass(frozen=True)
class CaptionedImages:
    """Range-setting data: N pictures with a caption each, never evaluation images."""

    images: list[U8]
    captions: list[str]
    identity: Mapping[str, Any]


@dataclass(frozen=True)
class Features:
    """What one image tower made of one source; the row order is the source's.

    Attributes:
        image: [N, D] float32, not normalised.
        labels, groups: [N] as in :class:`ImageBatch`.
        ids: [N] picture names.
    """

    image: F32
    labels: I64
    groups: I64
    ids: Strings


@dataclass(frozen=True)
class Embeddings:
    """One model on one part of a task: all that scores and metrics need.

    Attributes:
        image: [N, D] float32 image features, not normalised.
        text: [C, D] float32 unit text features, prompt ensembles averaged after normalisation.
        logit_scale: Multiplies cosines to give logits.
        labels: [N] class 0..C-1, -1 for pictures of no class in the head.
        groups: [N] group number, -1 where there are none.
        ids: [N] picture names, the pairing key.
    """

    image: F32
    text: F32
    logit_scale: float
    labels: I64
    groups: I64
    ids: Strings

    @cached_property
    def cosines(self) -> F64:
        """[N, C] float64 cosine of each picture and class."""
        image = self.image.astype(np.float64)
        norm = np.linalg.norm(image, axis=1, keepdims=True)
        return (image / np.where(norm > 0, norm, 1.0)) @ self.text.astype(np.float64).T

    @cached_property
    def logits(self) -> F64:
        """[N, C] float64 cosines times the logit scale."""
        return self.logit_scale * self.cosines


@dataclass(frozen=True)
class Interval:
    """An estimate with one-sided limits, each at ``level`` (so together at 2 * level - 1).

    Attributes:
        estimate: The value on the images as they are.
        lower, upper: One-sided limits.
        level: Confidence of each limit, such as 0.95.
        standard_error: Of the estimate, over images.
    """

    estimate: float
    lower: float
    upper: float
    level: float
    standard_error: float


@dataclass(frozen=True)
class Comparison:
    """Reference and candidate on the same images under one metric.

    Attributes:
        metric, score: Names; ``score`` is empty where the metric needs none.
        reference, candidate: The metric of each model, with limits.
        harm: How much worse the candidate is, in the metric's unit: positive when worse
            (candidate minus reference for a metric whose direction is "neither").
        n: Images that entered.
        seed: Of the resampling.
        details: What a report needs to draw it, JSON-serialisable.
        method: How the limits came about, such as ``"Tango score limits"``.
    """

    metric: str
    score: str
    reference: Interval
    candidate: Interval
    harm: Interval
    n: int
    seed: int
    details: Mapping[str, Any] = field(default_factory=dict)
    method: str = ""
