"""The pictures that changed their answer, small enough to travel inside the page."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image

from reliability.claims.records import CaseResult, RecordError
from reliability.errors import ReliabilityError
from reliability.report.headline import worst_first
from reliability.types import U8

MOST = 48
"""Pictures on one page."""
FEWEST = 4
"""Pictures of one candidate, however many there are."""
SIDE_PX = 96
_SMOOTH_FROM_PX = 64
"""Pictures smaller than this are stored as they are; larger ones compress."""

Pictures = Callable[[str, Sequence[str]], Mapping[str, U8]]
"""Gives pictures of a task by name, as many as can be had."""

KINDS = {
    "right_to_wrong": "right before, wrong now",
    "wrong_to_right": "wrong before, right now",
    "wrong_to_wrong": "wrong before, wrong otherwise now",
}


@dataclass(frozen=True)
class Answer:
    """What one model said of a picture, and how sure it was of it."""

    answer: str
    confidence: float
    right: bool


@dataclass(frozen=True)
class Flip:
    """One picture that the two models answer differently.

    Attributes:
        name: Of the picture.
        image: As a data URI; empty where the picture could not be had.
        label: What it shows.
    """

    name: str
    image: str
    label: str
    reference: Answer
    candidate: Answer


@dataclass(frozen=True)
class FlipGroup:
    """The changed answers of one candidate on one task.

    Attributes:
        result: The case that brought them.
        counts: In words to number, the most harmful first.
        flips: The most telling ones.
    """

    result: CaseResult
    counts: Mapping[str, int]
    flips: tuple[Flip, ...]

    @property
    def total(self) -> int:
        """How many answers changed."""
        return sum(self.counts.values())


def flip_groups(results: Sequence[CaseResult], pictures: Pictures | None) -> tuple[list[FlipGroup], list[str]]:
    """For each candidate the task with the worst verdict, and then others while there is room.

    Returns:
        The groups, and what went wrong with the pictures.

    Raises:
        RecordError: What a case brought is not what it should be.
    """
    chosen = _chosen(_with_flips(results))
    groups, faults = [], []
    for result, stored in chosen:
        try:
            found = pictures(result.task, [flip["id"] for flip in stored]) if pictures is not None else {}
        except (ReliabilityError, OSError) as error:
            found = {}
            faults.append(f"pictures of {result.task} cannot be shown: {str(error).splitlines()[0]}")
        groups.append(_group(result, stored, found))
    return groups, list(dict.fromkeys(faults))


def _with_flips(results: Sequence[CaseResult]) -> dict[tuple[str, str], list[CaseResult]]:
    """Cases that brought changed answers, by candidate, worst verdict first, one of each task."""
    found: dict[tuple[str, str], dict[str, CaseResult]] = {}
    for result in worst_first(results):
        if result.verdict is not None and result.verdict.comparison.details.get("flips", {}).get("shown"):
            found.setdefault((result.model, result.recipe), {}).setdefault(result.task, result)
    return {candidate: list(by_task.values()) for candidate, by_task in found.items()}


def _chosen(found: Mapping[tuple[str, str], list[CaseResult]]) -> list[tuple[CaseResult, list[Any]]]:
    share = max(FEWEST, MOST // max(len(found), 1))
    left, chosen = MOST, []
    for cases in found.values():
        room = min(share, left)
        for result in cases:
            stored = _stored(result)["shown"][:room]
            if stored:
                chosen.append((result, stored))
            room, left = room - len(stored), left - len(stored)
    return chosen


def _stored(result: CaseResult) -> Mapping[str, Any]:
    assert result.verdict is not None, "only judged cases bring answers"
    flips: Mapping[str, Any] = result.verdict.comparison.details["flips"]
    return flips


def _group(result: CaseResult, stored: Sequence[Any], found: Mapping[str, U8]) -> FlipGroup:
    try:
        counts = {words: int(_stored(result)["counts"][kind]) for kind, words in KINDS.items()}
        flips = tuple(_flip(flip, found) for flip in stored)
    except (KeyError, TypeError, ValueError) as error:
        raise RecordError(
            where=result.case, what="its changed answers cannot be shown", got=f"{type(error).__name__}: {error}",
            next="run the suites again to rebuild the record",
        ) from error  # fmt: skip
    return FlipGroup(result, counts, flips)


def _flip(stored: Mapping[str, Any], found: Mapping[str, U8]) -> Flip:
    label = str(stored["label"])
    answers = [
        Answer(str(said["answer"]), float(said["confidence"]), said["answer"] == label)
        for said in (stored["reference"], stored["candidate"])
    ]
    image = found.get(stored["id"])
    return Flip(str(stored["id"]), "" if image is None else data_uri(image), label, *answers)


def data_uri(image: U8) -> str:
    """A picture of at most :data:`SIDE_PX` a side, as WebP; small ones without loss."""
    picture = Image.fromarray(image)
    picture.thumbnail((SIDE_PX, SIDE_PX))
    small = max(picture.size) < _SMOOTH_FROM_PX
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", lossless=small, quality=70, method=2)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()
