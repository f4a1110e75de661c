"""What models and ranges were shown is held against what it must be."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from reliability.data.dataset import DataSet
from reliability.errors import DataError
from reliability.evaluate.running.pictures import (
    digests,
    require_another_draw,
    require_apart,
    require_same,
    require_unfamiliar,
)
from reliability.evaluate.running.shown import Shown
from reliability.evaluate.storage.cache import Cache
from reliability.quant.recipe import FP32, Recipe, parse_recipe
from reliability.types import Part

W8 = replace(parse_recipe("w8a8-minmax"), range_images=16)
OTHER_DRAW = replace(W8, name="other-draw", seed=1)


def numbers(*values: int) -> np.ndarray:
    return np.array(values, dtype=np.int64)


def test_a_digest_is_of_the_pixels_and_of_their_shape() -> None:
    flat = np.arange(24, dtype=np.uint8)
    found = digests(
        [flat.reshape(2, 4, 3), flat.reshape(4, 2, 3), flat.reshape(2, 4, 3)[:, ::-1], flat.reshape(2, 4, 3)]
    )
    assert found[0] == found[3]
    assert len(set(found.tolist())) == 3


@pytest.mark.parametrize(
    ("seen", "place"),
    [(numbers(1, 3, 2), 1), (numbers(1, 2), 2), (numbers(1, 2, 3, 4), 3)],
    ids=["mixed", "less", "more"],
)
def test_another_pass_that_differs_is_refused(seen: np.ndarray, place: int) -> None:
    with pytest.raises(DataError, match=f"some, picture {place}\n") as caught:
        require_same("some", numbers(1, 2, 3), seen)
    assert "gave other pixels" in caught.value.what
    require_same("some", numbers(1, 2, 3), numbers(1, 2, 3))


def test_a_picture_in_a_hundred_may_be_in_both_sets_and_more_may_not() -> None:
    familiar, unfamiliar = np.arange(200), np.arange(199, 399)
    require_unfamiliar("ood/near", unfamiliar, familiar)
    with pytest.raises(DataError, match=r"(?s)familiar and unfamiliar.*ood/near.*1.5%"):
        require_unfamiliar("ood/near", np.arange(197, 397), familiar)


def test_ranges_are_set_on_other_and_different_pictures() -> None:
    require_apart("w8", np.arange(100), np.arange(99, 300))
    with pytest.raises(DataError, match=r"(?s)also evaluated.*2.0% of 100"):
        require_apart("w8", np.arange(100), np.arange(98, 300))
    with pytest.raises(DataError, match=r"(?s)repeated.*49 different pictures of 100"):
        require_apart("w8", np.arange(100) % 49, numbers(1000))
    require_apart("w8", np.arange(100) % 50, numbers(1000))


def test_another_seed_draws_other_pictures() -> None:
    require_another_draw("w8", numbers(1, 2), numbers(2, 1))
    with pytest.raises(DataError, match="it is ignored"):
        require_another_draw("w8", numbers(1, 2), numbers(1, 2))


@dataclass
class Draws:
    """Range-setting data that ignore their seed if they are told to."""

    data: DataSet
    deaf: bool

    def identity(self, count: int, draw: int) -> dict[str, int]:
        return {"count": count, "draw": draw, "deaf": self.deaf}

    def __call__(self, count: int, draw: int) -> object:
        return self.data.range_setting(count, 0 if self.deaf else draw)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def checked(cache: Cache, data: DataSet, task: str, recipe: Recipe) -> None:
    labels = data.sources["pictures"].labels
    Shown(cache, data).check(data.task(task), recipe, {"part": labels, "familiar": labels})


@pytest.mark.parametrize("recipe", [FP32, W8, OTHER_DRAW], ids=lambda recipe: recipe.name)
@pytest.mark.parametrize("task", ["id", "shift/two", "ood/near"])
def test_sound_data_pass(cache: Cache, data: DataSet, task: str, recipe: Recipe) -> None:
    checked(cache, data, task, recipe)


def test_a_task_whose_classes_are_familiar_and_unfamiliar_is_refused(cache: Cache, data: DataSet) -> None:
    near = data.task("ood/near")
    spoiled = replace(data, tasks={**data.tasks, "ood/near": replace(near, part=Part("pictures", labels=(1, 2)))})
    with pytest.raises(DataError, match=r"(?s)familiar and unfamiliar.*50.0%"):
        checked(cache, spoiled, "ood/near", FP32)


def test_a_draw_that_ignores_its_seed_is_refused(cache: Cache, data: DataSet) -> None:
    checked(cache, replace(data, range_setting=Draws(data, deaf=False)), "id", OTHER_DRAW)
    deaf = replace(data, range_setting=Draws(data, deaf=True))
    checked(cache, deaf, "id", W8)
    with pytest.raises(DataError, match="it is ignored"):
        checked(cache, deaf, "id", OTHER_DRAW)
