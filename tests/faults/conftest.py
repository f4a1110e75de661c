"""Sound caches and candidates that every planted fault starts from."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from fault_world import HERE, World

from reliability.evaluate.running import candidates
from reliability.session.gate import GateSession

TASKS = ("id", "ood/near", "ood/far", "spurious/background")


@pytest.fixture(scope="session")
def networks() -> dict[str, Any]:
    """Sound candidates by recipe, filled as caches are made."""
    return {}


@pytest.fixture(scope="session")
def loaded() -> dict[Any, Any]:
    """References by specification, loaded once."""
    return {}


@pytest.fixture(autouse=True)
def _load_once(monkeypatch: pytest.MonkeyPatch, loaded: dict[Any, Any]) -> None:
    sound = candidates.load_reference

    def load(spec: Any) -> Any:
        key = (spec, str(spec.identity))
        if key not in loaded:
            loaded[key] = sound(spec)
        return loaded[key]

    monkeypatch.setattr(candidates, "load_reference", load)


@pytest.fixture(scope="session")
def caches(tmp_path_factory: pytest.TempPathFactory, networks: dict[str, Any]) -> Path:
    """Template caches: empty, with the reference's features, and with prepared candidates besides."""
    root = tmp_path_factory.mktemp("caches")
    (root / "empty").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        first = World(patch, tmp_path_factory.mktemp("reference"), root, networks, "empty")
        _open(first, "plain", lambda session: [session.engine.pair(*_float(session, task)) for task in TASKS])
        first.cache.rename(root / "reference")
        second = World(patch, tmp_path_factory.mktemp("prepared"), root, networks, "reference")
        for recipe in ("plain", "whole", "towers", "narrow"):
            _open(second, recipe, lambda session: _prepare(session, networks))
        second.cache.rename(root / "prepared")
    return root


def _open(world: World, recipe: str, use: Callable[[GateSession], object]) -> None:
    use(GateSession.open(world.options(recipe)))


def _float(session: GateSession, task: str) -> tuple[Any, ...]:
    from reliability.quant.recipe import FP32

    return session.plan.models[0], FP32, session.data.task(task)


def _prepare(session: GateSession, networks: dict[str, Any]) -> None:
    (model,), (recipe,) = session.plan.models, session.plan.recipes
    networks[recipe.name] = session.engine.loaded().network(model, recipe)


@pytest.fixture
def world(
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caches: Path,
    networks: dict[str, Any],
) -> World:
    """A run yet to be spoiled, from the template that the test asks for."""
    return World(monkeypatch, tmp_path, caches, networks, getattr(request, "param", "prepared"))


__all__ = ["HERE"]
