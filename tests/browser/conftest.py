"""A report with everything a page can show, opened from disk in headless Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reliability.claims.bounds import Bound, Scope
from reliability.claims.judge import judge
from reliability.claims.records import case_record, error_record
from reliability.claims.runs import RunRecord
from reliability.evaluate.storage.cache import Cache
from reliability.report.html.page import write_page
from reliability.report.html.script import chart_script
from reliability.types import Comparison, Interval

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Only where these tests are asked for: ``make test`` needs no browser."""
    del collection_path
    return None if any("browser" in str(argument) for argument in config.args) else True


def _interval(value: float, half: float = 0.001) -> Interval:
    return Interval(value, value - half, value + half, 0.95, half / 1.645)


def _curves(metric: str) -> dict[str, Any]:
    grid = np.linspace(0.0, 1.0, 41).round(4).tolist()
    both = {"reference": grid, "candidate": [value**1.2 for value in grid]}
    filled = [(k + 0.5) / 15 for k in range(15)]
    bins = {"count": [20] * 15, "confidence": filled, "accuracy": filled}
    spectrum = {"last_rank": [1, 2, 4], "reference": [0.5, 0.3, 0.2], "candidate": [0.6, 0.3, 0.1]}
    answers = {"reference": {"answer": "right", "confidence": 0.9}, "candidate": {"answer": HOSTILE, "confidence": 0.8}}
    flips = {
        "counts": {"right_to_wrong": 1, "wrong_to_right": 0, "wrong_to_wrong": 0},
        "shown": [{"id": "p/0", "label": "right", **answers}],
    }
    return {
        "top1": {"flips": flips},
        "ece": {"reliability": {"reference": bins, "candidate": bins}, "risk_coverage": {"coverage": grid, **both}},
        "auroc": {"roc": {"false_acceptance": grid, **both}},
        "effective_rank": {"spectrum": spectrum},
    }.get(metric, {})


def _case(claim: str, recipe: str, task: str, metric: str, harm: float, model: str = "small") -> dict[str, Any]:
    score = "mcm" if metric == "auroc" else ""
    bound = Bound(
        claim, Scope(), metric, score, "not_worse", 0.01, task != "shift/x", f"because {HOSTILE}", 0.95, 1000,
        "thresholds/a.toml", 7, 41,
    )  # fmt: skip
    name = f"{claim}[{model}-{recipe}-{task}-{metric}]"
    if harm > 1.0:
        return error_record(name, model, recipe, task, bound, "every score is the same\n  where: mcm", 0.1)
    better = metric in ("top1", "auroc")
    before, after = 0.9, 0.9 - harm if better else 0.9 + harm
    comparison = Comparison(
        metric, score, _interval(before), _interval(after), _interval(harm), 4000, 0, _curves(metric)
    )
    return case_record(name, model, recipe, task, judge(bound, comparison, name), 0.1)


def _cases() -> Iterator[dict[str, Any]]:
    for number, recipe in enumerate(("w8a8-minmax", "w4a8-minmax", "w4a4-minmax", HOSTILE)):
        harm = 0.004 * number
        yield _case("accuracy", recipe, "id", "top1", harm)
        yield _case("calibration_error", recipe, "id", "ece", harm)
        yield _case("ood_separation", recipe, "ood/near", "auroc", harm)
        yield _case("spectral_effective_rank", recipe, "id", "effective_rank", harm)
        yield _case("shift_accuracy", recipe, "shift/x", "top1", harm)
        yield from (_case("noise_accuracy", recipe, f"noise/fog/{level}", "top1", harm * level) for level in (1, 3, 5))
        yield _case("size", recipe, "id", "stored_mib", harm)
    yield _case("likelihood", "w4a4-minmax", "id", "nll", 9.0)


@pytest.fixture(scope="session")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``report.html`` of a run of all kinds of cases, charts and names."""
    cache = Cache(tmp_path_factory.mktemp("cache"))
    run = RunRecord({"seed": 0, HOSTILE: HOSTILE}, list(_cases()), True, [f"note {HOSTILE}"])
    pixels = np.arange(32 * 32 * 3, dtype=np.uint32).reshape(32, 32, 3).astype(np.uint8)

    def pictures(task: str, ids: Any) -> dict[str, Any]:
        del task
        return dict.fromkeys(ids, pixels)

    return write_page(tmp_path_factory.mktemp("run"), run, lambda: chart_script(cache), pictures)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Headless Chromium of this machine."""
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert found is not None, "no Chromium on this machine: make test-browser installs it where it can"
    with sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=found)
        yield started
        started.close()


@dataclass
class Opened:
    """A page and what it did that a reader does not see.

    Attributes:
        page: Playwright's.
        told: Console messages and uncaught errors.
        asked: Addresses it requested beside its own file.
    """

    page: Any
    told: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def open_page(browser: Any, page_file: Path) -> Iterator[Callable[..., Opened]]:
    """``open_page(width=390, color_scheme="dark")`` opens the report from disk."""
    contexts = []

    def opened(width: int = 1440, height: int = 900, fragment: str = "", **options: Any) -> Opened:
        context = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce", **options)
        contexts.append(context)
        found = Opened(context.new_page())
        address = page_file.as_uri()
        found.page.on("console", lambda message: found.told.append(message.text))
        found.page.on("pageerror", lambda error: found.told.append(str(error)))
        found.page.on("dialog", lambda dialog: (found.told.append(dialog.message), dialog.dismiss()))
        found.page.on("request", lambda r: found.asked.append(r.url) if r.url.partition("#")[0] != address else None)
        found.page.goto(address + fragment)
        return found

    yield opened
    for context in contexts:
        context.close()
