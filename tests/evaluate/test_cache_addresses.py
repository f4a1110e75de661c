from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from reliability.data.dataset import DataSet
from reliability.evaluate import engine as engine_module
from reliability.evaluate.engine import Engine
from reliability.evaluate.storage.cache import Arrays, Job
from reliability.models import zoo
from reliability.models.spec import ModelSpec, parse_model
from reliability.quant.recipe import FP32, Recipe, parse_recipe
from reliability.types import PromptSet


def small(name: str) -> Recipe:
    return replace(parse_recipe(name), range_images=16)


W8 = small("w8a8-minmax")


class ComputingError(Exception):
    """Raised where embeddings would be computed."""


class Recorder:
    """In the place of a cache: notes addresses and computes nothing."""

    def get(self, jobs: Sequence[Job]) -> list[Arrays]:
        self.keys = [job.key for job in jobs]
        raise ComputingError


def keys(data: DataSet, model: ModelSpec, recipe: Recipe = FP32, **settings: Any) -> dict[str, str]:
    """Addresses of the features and heads that a pair on ``id`` needs."""
    recorder = Recorder()
    with suppress(ComputingError):
        Engine(recorder, data, **settings).pair(model, recipe, data.task("id"))
    return dict(zip(("image", "candidate image", "text", "candidate text"), recorder.keys, strict=True))


@dataclass(frozen=True)
class World:
    """What a result depends on, to be changed by a test."""

    data: DataSet
    folder: Path
    patch: pytest.MonkeyPatch


def other_weights(world: World) -> None:
    path = world.folder / "tiny.safetensors"
    blob = bytearray(path.read_bytes())
    blob[-1] ^= 1
    path.write_bytes(blob)
    # Some file systems tell times apart by milliseconds only.
    os.utime(path, ns=(1, 1))


def other_preprocessing(world: World) -> None:
    path = world.folder / "tiny.json"
    path.write_text(path.read_text().replace("bicubic", "bilinear"))


def other_pictures(world: World) -> None:
    world.data.sources["pictures"].version = 1


def other_prompts(**change: tuple[str, ...]) -> Callable[[World], None]:
    def apply(world: World) -> None:
        task = world.data.task("id")
        prompts = PromptSet(**{"class_names": task.prompts.class_names, "templates": task.prompts.templates, **change})
        world.patch.setitem(world.data.tasks, "id", replace(task, prompts=prompts))

    return apply


def other_code(world: World) -> None:
    world.patch.setattr(engine_module, "code_version", lambda *_: "another version of this library")


def other_torch(world: World) -> None:
    world.patch.setattr(engine_module, "installed", lambda _: "9.9")


@pytest.mark.parametrize(
    ("change", "moved"),
    [
        pytest.param(other_weights, {"image", "text"}, id="weights"),
        pytest.param(other_preprocessing, {"image", "text"}, id="preprocessing"),
        pytest.param(other_pictures, {"image"}, id="pictures"),
        pytest.param(other_prompts(templates=("a {c}",)), {"text"}, id="templates"),
        pytest.param(other_prompts(class_names=("red star", "blue star")), {"text"}, id="classes"),
        pytest.param(other_code, {"image", "text"}, id="code"),
        pytest.param(other_torch, {"image", "text"}, id="torch"),
    ],
)
def test_whatever_a_result_depends_on_gives_it_another_address(
    data: DataSet,
    zoo_model: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    change: Callable[[World], None],
    moved: set[str],
) -> None:
    world = World(data, shutil.copytree(zoo_model, tmp_path / "zoo"), monkeypatch)
    monkeypatch.setattr(zoo, "FOLDER", world.folder)
    model = parse_model("zoo:tiny")
    before = keys(data, model)
    assert keys(data, model) == before
    change(world)
    after = keys(data, model)
    assert {name for name in ("image", "text") if before[name] != after[name]} == moved


def test_settings_of_the_process_are_part_of_the_address(data: DataSet, tiny: ModelSpec) -> None:
    plain = keys(data, tiny)
    for settings in ({"threads": 2}, {"device": "cuda"}):
        assert not set(keys(data, tiny, **settings).values()) & set(plain.values())
    assert keys(data, tiny, device="cuda:0") == keys(data, tiny, device="cuda:1")


@pytest.mark.parametrize(
    "other",
    [
        small("w6a8-minmax"),
        small("w8a6-minmax"),
        small("w8a8-percentile"),
        small("w8a8-minmax-s1"),
        replace(W8, range_images=8),
    ],
    ids=lambda recipe: f"{recipe.name}-{recipe.range_images}",
)
def test_another_recipe_moves_the_candidate_alone(data: DataSet, tiny: ModelSpec, other: Recipe) -> None:
    first, second = keys(data, tiny, W8), keys(data, tiny, other)
    assert {name for name in first if first[name] != second[name]} == {"candidate image"}
    assert first["candidate text"] == first["text"]
    assert first["image"] == keys(data, tiny)["image"] != first["candidate image"]


def test_other_range_setting_data_move_the_candidate_alone(data: DataSet, tiny: ModelSpec) -> None:
    first = keys(data, tiny, W8)
    data.range_setting.version = 1
    second = keys(data, tiny, W8)
    assert {name for name in first if first[name] != second[name]} == {"candidate image"}


def test_two_names_of_one_recipe_share_an_address(data: DataSet, tiny: ModelSpec) -> None:
    assert keys(data, tiny, small("w8a8-smoothquant")) == keys(data, tiny, small("w8a8-smoothquant-a0.5"))
