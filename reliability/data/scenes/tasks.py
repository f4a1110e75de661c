"""The embedded tasks: scenes with a role each."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reliability.data.corruptions.corruption import SEVERITIES
from reliability.data.corruptions.registry import CORRUPTIONS
from reliability.data.corruptions.source import CorruptedSource
from reliability.data.dataset import DataSet
from reliability.data.scenes.captions import OPENINGS, PROMPT_TEMPLATES
from reliability.data.scenes.retrieval import caption_head
from reliability.data.scenes.sets import SOURCES, combined
from reliability.data.scenes.source import SceneRangeSetting, SceneSource
from reliability.data.scenes.variant import read_variant
from reliability.data.scenes.vocabulary import COLOURS, SHAPES, fine_class_names, held_out_labels
from reliability.types import ImageSource, Part, PromptSet, Task

NOISE_COUNT = 1000
"""Pictures of ``id`` that each corruption damages."""

GROUP_NAMES = ("common", "counter")

HELD_OUT = held_out_labels()
KEPT = tuple(label for label in range(len(fine_class_names())) if label not in HELD_OUT)

PROMPTS = PromptSet(fine_class_names(), PROMPT_TEMPLATES)
KEPT_PROMPTS = PromptSet(tuple(fine_class_names()[label] for label in KEPT), PROMPT_TEMPLATES)
SHAPE_PROMPTS = PromptSet(SHAPES, tuple(f"{opening} {colour} {{c}}." for opening in OPENINGS for colour in COLOURS))
COLOUR_PROMPTS = PromptSet(
    tuple(COLOURS), tuple(f"{opening} {{c}} {shape}." for opening in OPENINGS for shape in SHAPES)
)
"""Coarse heads average over the other word, since trained captions nearly always hold both."""


FAMILIAR = Part("id")


def _plain(name: str, source: str, card: str, prompts: PromptSet = PROMPTS) -> Task:
    return Task(name, Part(source), prompts, card=card)


def _unfamiliar(name: str, source: str, card: str, prompts: PromptSet = PROMPTS, familiar: Part = FAMILIAR) -> Task:
    return Task(name, Part(source), prompts, familiar, card=card, fit=Part("fit", familiar.labels))


def _grouped(name: str, source: str, card: str) -> Task:
    return Task(name, Part(source), PROMPTS, group_names=GROUP_NAMES, card=card)


CLEAN_TASKS: tuple[Task, ...] = (
    _plain("id", "id", "Scenes as in training: a coloured shape on a familiar background."),
    _unfamiliar(
        "ood/near", "near", "Scenes with shapes that no training picture shows, to be told from familiar ones."
    ),
    _unfamiliar(
        "ood/far", "far", "No known object: bare backgrounds, unseen textures, noise, and lit blobs without a shape."
    ),
    _plain(
        "shift/unseen_backgrounds", "unseen_backgrounds",
        "Known shapes and colours on backgrounds that no training picture shows.",
    ),
    _grouped(
        "spurious/background", "spurious",
        "Shapes that stood on one background 95 % of the time in training, now on it or off it at even odds.",
    ),
    _plain("id/shapes", "shapes", "The pictures of id under coarse labels: which of the 12 shapes.", SHAPE_PROMPTS),
    _plain("id/colours", "colours", "The pictures of id under coarse labels: which of the 10 colours.", COLOUR_PROMPTS),
    _unfamiliar(
        "ood/near/unseen_colours", "unseen_colours",
        "Known shapes in colours that no training picture shows, such as brown and lime.",
    ),
    _unfamiliar(
        "ood/near/held_out_pairs", "held_out_pairs",
        "Pairs of a known colour and a known shape that the prompts leave out, told from all other pairs. "
        "Unseen by models trained on scenes-pairs; other models have seen these pairs and only lack their names.",
        KEPT_PROMPTS, Part("id", KEPT),
    ),
    _unfamiliar("ood/far/backgrounds", "backgrounds", "Familiar backgrounds with nothing on them."),
    _unfamiliar("ood/far/textures", "textures", "Textures that are no background of any scene, in random colours."),
    _unfamiliar("ood/far/noise", "noise", "Noise of pixels, grey noise, clouds of colour and mosaics."),
    _unfamiliar(
        "ood/far/glyphs", "glyphs",
        "Letters and digits, lit, coloured and shadowed as shapes are, on familiar backgrounds.",
    ),
    _unfamiliar("ood/far/blobs", "blobs", "Lit, coloured and shadowed lumps without a shape on familiar backgrounds."),
    _unfamiliar(
        "ood/full_spectrum/near", "near",
        "Unseen shapes, to be told from familiar scenes of which half are shifted: a shift is no reason to refuse.",
        familiar=Part("full_spectrum"),
    ),
    _unfamiliar(
        "ood/full_spectrum/far", "far",
        "No known object, to be told from familiar scenes of which half are shifted.", familiar=Part("full_spectrum"),
    ),
    _plain(
        "shift/sketch", "sketch", "Pencil sketches without colour or background: which of the 12 shapes.", SHAPE_PROMPTS
    ),
    _plain("shift/silhouette", "silhouette", "Black shapes against the light: which of the 12 shapes.", SHAPE_PROMPTS),
    _plain("shift/low_light", "low_light", "Scenes in 35 to 55 % of the light, under a noisier sensor."),
    _plain(
        "shift/unseen_palette", "unseen_palette",
        "The known colours in faded pigments that no training picture shows.",
    ),
    _plain("shift/scale", "scale", "A camera further away: objects of about half the size they have in training."),
    _plain("shift/crop", "crop", "A camera that cuts objects: 20 to 40 % of their diameter lies beyond the edge."),
    _plain(
        "shift/rotation", "rotation",
        "A turned camera: objects at any angle, where training stays within 25 degrees.",
    ),
    _plain(
        "shift/renderer", "renderer",
        "Another renderer: a hard lamp, deep shadows, gloss, soft edges, gamma-encoded values, no sensor noise.",
    ),
    _plain(
        "shift/held_out_pairs", "held_out_pairs",
        "Pairs of colour and shape that the source scenes-pairs leaves out, with their names among the prompts: "
        "composition for models trained on it, familiar pictures for all others.",
    ),
    _plain("id/common", "common", "Tied shapes on their own background, the common half of common_counter."),
    _plain(
        "shift/counter", "counter",
        "The objects of id/common, each on the background another shape is tied to: its counterpart.",
    ),
    _grouped(
        "spurious/common_counter", "common_counter",
        "Every object twice, on the background its shape is tied to (common) and on another shape's (counter).",
    ),
    _grouped(
        "spurious/every_shape", "every_shape",
        "All shapes on or off the background that scenes-spurious ties them to. For models of other sources eight of "
        "the twelve shapes are a control.",
    ),
)  # fmt: skip


def _noise_task(source: CorruptedSource) -> Task:
    return _plain(
        f"noise/{source.corruption}/{source.severity}", source.name,
        f"The first pictures of id under {source.corruption.replace('_', ' ')} of severity {source.severity}.",
    )  # fmt: skip


def _retrieval_task(source: SceneSource) -> Task:
    prompts, matches = caption_head(source.scenes(np.arange(source.count)))
    return Task(
        "retrieval/captions", Part(source.name), prompts, matches=matches,
        card="Pictures by captions and captions by pictures; a caption is right for every picture it is true of.",
    )  # fmt: skip


def open_scenes(location: str, root: Path | None, limit: int | None) -> DataSet:  # noqa: ARG001 - rendered, not stored
    """The embedded data set.

    Args:
        location: Empty, or another seed or size: ``seed=7``, ``count=20000``, ``seed=7,count=500``.
        root: Not used.
        limit: Keeps the first pictures of every source.

    Raises:
        UsageError: The location is none of these.
    """
    variant = read_variant(location)
    clean = [source if limit is None else source.first(limit) for source in variant.apply(SOURCES)]
    by_name = {source.name: source for source in clean}
    damaged = by_name["id"].first(variant.count or NOISE_COUNT)
    noisy = [CorruptedSource(damaged, corruption, severity) for corruption in CORRUPTIONS for severity in SEVERITIES]
    sources: list[ImageSource] = [*clean, *combined(clean), *noisy]
    tasks = [*CLEAN_TASKS, _retrieval_task(by_name["retrieval"]), *map(_noise_task, noisy)]
    return DataSet(
        name=f"scenes:{location}" if location else "scenes",
        tasks={task.name: task for task in tasks},
        sources={source.name: source for source in sources},
        range_setting=SceneRangeSetting(),
    )
