"""Metrics and scores of other packages: found by entry point, when the registry is asked and not before."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from reliability.errors import UsageError
from reliability.metrics import registry
from reliability.metrics.entry_points import load_entry_points, require_new
from reliability.metrics.scores import SCORES
from reliability.metrics.scores import registry as score_registry

MODULE = '''
from reliability.metrics import mean_of, register
from reliability.metrics.scores import score


@register("classification", direction="lower", low=0.0, high=1.0, unit="fraction")
def {name}(answers):
    """Share of pictures that are answered wrongly."""
    return mean_of((~answers.correct).astype(float))


@score
def {name}_score(cosines):
    """The largest cosine, once more."""
    return cosines.max(axis=1)
'''

Package = Callable[..., None]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Package]:
    """``package("acme", module=TEXT)`` is installed in a folder that this process looks into."""
    registry.all_metrics(), score_registry.all_scores()
    metrics, scores = dict(registry._METRICS), dict(SCORES)

    def install(name: str, text: str) -> None:
        (tmp_path / f"{name}_extras.py").write_text(text)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        groups = ("reliability.metrics", "reliability.scores")
        (info / "entry_points.txt").write_text("".join(f"[{group}]\nmine = {name}_extras\n" for group in groups))
        for cached in (registry._load, score_registry._load):
            cached.cache_clear()

    monkeypatch.syspath_prepend(str(tmp_path))
    yield install
    for name in [name for name in sys.modules if name.endswith("_extras")]:
        del sys.modules[name]
    for kept, now in ((metrics, registry._METRICS), (scores, SCORES)):
        now.clear()
        now.update(kept)


def test_a_metric_and_a_score_are_there_once_they_are_asked_for(package: Package) -> None:
    package("acme", MODULE.format(name="acme_errors"))
    assert "acme_extras" not in sys.modules
    found = registry.get("acme_errors")
    assert found.fn([[1.0, 0.0], [1.0, 0.0]], [0, 1]) == 0.5
    assert score_registry.get_score("acme_errors_score").fn([[0.1, 0.3]], 1.0).tolist() == [0.3]
    assert "acme_errors" in {metric.name for metric in registry.all_metrics()}
    assert "acme_errors_score" in {score.name for score in score_registry.all_scores()}


def test_a_package_that_cannot_be_imported_is_named(package: Package) -> None:
    package("broken", "import nothing_of_this_name")
    with pytest.raises(UsageError) as caught:
        registry.get("ece")
    message = str(caught.value)
    assert "broken, entry point reliability.metrics: mine = broken_extras" in message
    assert "ModuleNotFoundError" in message
    assert "mend or uninstall broken" in message


def test_the_name_of_another_metric_is_refused(package: Package) -> None:
    registry.get("top1")
    package("thief", MODULE.format(name="top1"))
    with pytest.raises(UsageError, match=r"another metric has this name") as caught:
        registry.get("ece")
    assert "reliability.metrics.accuracy.top1 and thief_extras.top1" in str(caught.value)


def test_the_same_function_may_be_registered_again_after_a_second_import() -> None:
    require_new("metric", "mine", test_a_package_that_cannot_be_imported_is_named, _twin())
    with pytest.raises(UsageError):
        require_new("score", "mine", len, max)


def _twin() -> object:
    """A function that is called like another one, as after a second import of its module."""

    def other() -> None:
        """Nothing."""

    other.__module__ = test_a_package_that_cannot_be_imported_is_named.__module__
    other.__qualname__ = test_a_package_that_cannot_be_imported_is_named.__qualname__
    return other


def test_a_group_that_nobody_serves_is_no_error() -> None:
    load_entry_points("reliability.nothing-of-this-name")
