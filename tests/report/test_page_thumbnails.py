"""Changed answers: the most harmful first, as many as a page has room for, small enough to travel."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from PIL import Image

from reliability.claims.runs import RunRecord
from reliability.report.html.thumbnails import MOST, SIDE_PX, data_uri, flip_groups

MakeCase = Callable[..., dict[str, Any]]
MakeRun = Callable[..., RunRecord]


def flips(count: int) -> dict[str, Any]:
    said = {"reference": {"answer": "star", "confidence": 0.9}, "candidate": {"answer": "moon", "confidence": 0.8}}
    shown = [{"id": f"p/{i}", "label": "star", **said} for i in range(count)]
    return {"flips": {"counts": {"right_to_wrong": 40, "wrong_to_right": 2, "wrong_to_wrong": 1}, "shown": shown}}


def black(task: str, ids: Sequence[str]) -> dict[str, Any]:
    del task
    return dict.fromkeys(ids, np.zeros((8, 8, 3), np.uint8))


def nowhere(task: str, ids: Sequence[str]) -> dict[str, Any]:
    del task, ids
    return {}


def picture(uri: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))


def test_small_pictures_keep_every_pixel_and_large_ones_shrink() -> None:
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)
    assert np.array_equal(np.asarray(picture(data_uri(small)).convert("RGB")), small)
    large = rng.integers(0, 256, (300, 600, 3), dtype=np.uint8)
    assert picture(data_uri(large)).size == (SIDE_PX, SIDE_PX // 2)
    assert len(data_uri(large)) < 12_000


def test_a_page_has_room_for_so_many_pictures_shared_by_the_candidates(make_case: MakeCase, make_run: MakeRun) -> None:
    cases = [
        make_case(recipe=f"r{recipe}", task=f"t{task}", details=flips(12)) for recipe in range(6) for task in range(3)
    ]
    groups, faults = flip_groups(make_run(*cases).results(), black)
    assert faults == []
    assert sum(len(group.flips) for group in groups) == MOST
    assert [group.result.recipe for group in groups] == [f"r{i}" for i in range(6)]
    assert groups[0].total == 43


def test_the_worst_verdict_of_a_candidate_is_shown_first(make_case: MakeCase, make_run: MakeRun) -> None:
    cases = [make_case(task="a", details=flips(12)), make_case(0.5, task="z", details=flips(12))]
    groups, _ = flip_groups(make_run(*cases).results(), black)
    assert [group.result.task for group in groups] == ["z", "a"]


def test_answers_keep_their_words_and_confidence_without_a_picture(make_case: MakeCase, make_run: MakeRun) -> None:
    for pictures in (None, nowhere):
        ((group,), _) = flip_groups(make_run(make_case(details=flips(1))).results(), pictures)
        (flip,) = group.flips
        assert flip.image == ""
        assert (flip.reference.answer, flip.reference.right, flip.candidate.right) == ("star", True, False)
        assert flip.candidate.confidence == pytest.approx(0.8)


def test_a_case_without_changes_shows_nothing(make_case: MakeCase, make_run: MakeRun) -> None:
    cases = [make_case(details=flips(0)), make_case(task="x", error="none"), make_case(task="y")]
    assert flip_groups(make_run(*cases).results(), black) == ([], [])
