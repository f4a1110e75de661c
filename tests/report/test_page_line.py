"""The page is written beside the report, or the run says which extra it lacks."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from reliability.claims.runs import RunRecord
from reliability.data.registry import open_data
from reliability.evaluate.storage.cache import Cache
from reliability.report.html import script
from reliability.session.page import page_line

MakeCase = Callable[..., dict[str, Any]]
MakeRun = Callable[..., RunRecord]


@pytest.fixture
def session(tmp_path: Path) -> Any:
    return SimpleNamespace(data=open_data("scenes", limit=20), engine=SimpleNamespace(cache=Cache(tmp_path / "cache")))


def flipped(make_case: MakeCase) -> dict[str, Any]:
    said = {"reference": {"answer": "red star", "confidence": 0.9}, "candidate": {"answer": "moon", "confidence": 0.8}}
    shown = [{"id": f"scenes/id/20/{i}", "label": "red star", **said} for i in (3, 7)]
    counts = {"right_to_wrong": 2, "wrong_to_right": 0, "wrong_to_wrong": 0}
    return make_case(details={"flips": {"counts": counts, "shown": shown}})


def test_it_says_where_the_page_is_which_shows_the_pictures_by_name(
    tmp_path: Path, session: Any, make_case: MakeCase, make_run: MakeRun
) -> None:
    line = page_line(tmp_path, make_run(flipped(make_case)), session)
    assert line == f"page: {tmp_path / 'report.html'}"
    assert (tmp_path / "report.html").read_text().count("data:image/webp;base64,") == 2


def test_the_chart_library_is_bundled_once_and_then_cached(
    tmp_path: Path, session: Any, make_case: MakeCase, make_run: MakeRun, bins: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled = []

    def bundle(snippet: str) -> str:
        del snippet
        bundled.append(1)
        return "const library = '</script>';"

    monkeypatch.setattr("vl_convert.javascript_bundle", bundle)
    run = make_run(make_case(metric="ece", details=bins))
    for _ in range(2):
        page_line(tmp_path, run, session)
    assert bundled == [1]
    assert r"const library = '<\/script>';" in (tmp_path / "report.html").read_text()


def test_without_the_extra_it_is_named_and_nothing_else_fails(
    tmp_path: Path, session: Any, make_case: MakeCase, make_run: MakeRun, bins: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lacking(package: str) -> str:
        raise ModuleNotFoundError(package)

    monkeypatch.setattr(script, "installed", lacking)
    line = page_line(tmp_path, make_run(make_case(metric="ece", details=bins)), session)
    assert line == 'no report.html: pip install "quant-reliability[html]"'
    assert not (tmp_path / "report.html").exists()
