"""The page says what the report says, holds everything itself, and takes no name for markup."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reliability.claims.records import RecordError
from reliability.claims.runs import RunRecord
from reliability.errors import DataError, MissingExtraError
from reliability.report.html.page import SECTIONS, in_script, render, write_page
from reliability.report.html.script import inert

MakeCase = Callable[..., dict[str, Any]]
MakeRun = Callable[..., RunRecord]

HOSTILE = "<img src=x onerror=alert(1)></script><script>alert(2)</script><!-- {{ 7 * 7 }}"
LIBRARY = "window.vegaEmbed = () => Promise.resolve({finalize() {}});"
GRID = [0.0, 0.5, 1.0]
CURVES = {"reference": [0.1, 0.8, 1.0], "candidate": [0.0, 0.7, 1.0]}


class Parsed(HTMLParser):
    """Start tags with their attributes, the text of scripts, and all other text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self.words: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.scripts.append((dict(attrs), ""))

    def handle_data(self, data: str) -> None:
        if self.tags and self.tags[-1][0] == "script" and self.cdata_elem == "script":
            attributes, text = self.scripts[-1]
            self.scripts[-1] = (attributes, text + data)
        elif self.cdata_elem is None:
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    def data(self) -> Any:
        (found,) = (text for attributes, text in self.scripts if attributes.get("id") == "chart-data")
        return json.loads(found)


def nothing(task: str, ids: Any) -> dict[str, Any]:
    """Pictures of a source that knows none of them."""
    del task, ids
    return {}


def page_of(run: RunRecord, **options: Any) -> Parsed:
    return Parsed(render(run, run.results(), lambda: LIBRARY, **options))


def flips_of(name: str) -> dict[str, Any]:
    said = {"reference": {"answer": name, "confidence": 0.9}, "candidate": {"answer": "other", "confidence": 0.8}}
    counts = {"right_to_wrong": 3, "wrong_to_right": 0, "wrong_to_wrong": 1}
    return {"flips": {"counts": counts, "shown": [{"id": name, "label": name, **said}]}}


def test_verdicts_come_first_and_every_case_is_a_row(make_case: MakeCase, make_run: MakeRun) -> None:
    cases = [make_case(), make_case(0.05, recipe="w4a4-minmax"), make_case(task="ood/far", error="one class only")]
    page = page_of(make_run(*cases))
    text = page.text
    assert text.index("Stopped: 1 of 3 gates is broken, 1 ended in an error.") < text.index("Overview")
    rows = [attributes for tag, attributes in page.tags if tag == "tbody" and "data-outcome" in attributes]
    assert [row["data-outcome"] for row in rows] == ["broken", "error", "holds"]
    assert text.index("What does not hold") < text.index("one class only")
    for part in ("three times the largest drop", "thresholds/a.toml, bound 7", 'reliability explain "accuracy['):
        assert part in text


def test_a_partial_run_or_one_with_problems_says_so_and_is_not_called_good(
    make_case: MakeCase, make_run: MakeRun
) -> None:
    partial = page_of(make_run(make_case(), complete=False))
    assert "Partial run." in partial.text
    assert "No verdict" in partial.text
    assert ("header", {"class": "head inconclusive"}) in partial.tags
    assert ("header", {"class": "head holds"}) in page_of(make_run(make_case())).tags
    troubled = page_of(make_run(make_case(), problems=["a worker died"]))
    assert "a worker died" in troubled.text
    assert ("header", {"class": "head holds"}) not in troubled.tags


def test_a_run_without_any_case_is_still_a_page(make_run: MakeRun) -> None:
    page = page_of(make_run(complete=False, problems=["nothing was judged"]))
    assert "No verdict" in page.text or "Stopped" in page.text
    assert page.data() == []


def test_no_name_becomes_markup(make_case: MakeCase, make_run: MakeRun) -> None:
    plain, hostile = (
        page_of(
            make_run(
                make_case(
                    model=f"zoo:{name}", recipe=name, task=name, reason=name,
                    details={**flips_of(name), "groups": {name: {"reference": 0.5, "candidate": 0.4}}},
                ),
                make_case(recipe=name, metric="auroc", score="mcm",
                          details={"roc": {"false_acceptance": GRID, **CURVES}}),
                make_case(task=f"{name}/2", error=name),
                run={name: name, "nested": {name: [name]}}, notes=[name], problems=[name],
            ),
            pictures=nothing,
        )
        for name in ("harmless", HOSTILE)
    )  # fmt: skip
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert [sorted(attributes) for _, attributes in hostile.tags] == [
        sorted(attributes) for _, attributes in plain.tags
    ]
    assert hostile.text.count(HOSTILE) == plain.text.count("harmless") > 10
    assert HOSTILE in hostile.data()[0]["facets"]["recipe"]
    assert "49" not in {word for text in hostile.words for word in text.split()}


@given(st.recursive(st.text() | st.integers() | st.none(), lambda v: st.lists(v) | st.dictionaries(st.text(), v)))
def test_data_in_a_script_reads_back_and_cannot_end_it(value: Any) -> None:
    text = in_script(value)
    assert json.loads(text) == value
    assert not set("<>&\u2028\u2029") & set(text)


@pytest.mark.parametrize("sign", ["</script>", "</SCRIPT >", "<!-- -->"])
def test_a_library_cannot_end_its_own_element(sign: str) -> None:
    script = f'const text = "{sign}";'
    safe = inert(script)
    assert "</script" not in safe.lower()
    assert "<!--" not in safe
    # The backslash is one that a string in JavaScript drops.
    assert safe.replace("\\/", "/").replace("\\!", "!") == script


def test_everything_is_inside_and_only_known_scripts_may_run(make_case: MakeCase, make_run: MakeRun, bins: Any) -> None:
    page = page_of(make_run(make_case(metric="ece", details=bins)))
    for tag, attributes in page.tags:
        for name in ("src", "href", "srcset", "action", "data"):
            assert re.match(r"#|data:|$", attributes.get(name) or ""), (tag, attributes)
    assert "link" not in {tag for tag, _ in page.tags}
    (policy,) = (a["content"] or "" for tag, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    runs = [text for attributes, text in page.scripts if attributes.get("type") in (None, "text/plain")]
    digests = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in runs]
    assert len(digests) == 2
    assert all(f"'sha256-{digest}'" in policy for digest in digests)
    assert "@import" not in (Path(__file__).parents[2] / "reliability/report/html/style.css").read_text()


def test_each_chart_has_a_figure_a_description_and_data(make_case: MakeCase, make_run: MakeRun, bins: Any) -> None:
    page = page_of(make_run(make_case(metric="ece", details=bins), make_case(metric="ece", task="far", details=bins)))
    figures = [attributes for tag, attributes in page.tags if tag == "figure"]
    assert [figure["data-chart"] for figure in figures] == ["0", "1"]
    described = [attributes["aria-label"] for _, attributes in page.tags if attributes.get("role") == "img"]
    assert all(text and "confident" in text for text in described)
    for chart in page.data():
        assert set(chart) == {"spec", "rows", "columns", "facets"}
        assert all(set(chart["columns"]) <= set(row) for row in chart["rows"])
    assert SECTIONS["reliability"][0] in page.text


def test_no_library_travels_with_a_page_that_draws_nothing(make_case: MakeCase, make_run: MakeRun) -> None:
    def refuse() -> str:
        raise AssertionError("asked for")

    run = make_run(make_case())
    assert "text/plain" not in render(run, run.results(), refuse)


def test_the_same_run_gives_the_same_page_and_replaces_an_old_one(
    tmp_path: Path, make_case: MakeCase, make_run: MakeRun, bins: Any
) -> None:
    run = make_run(make_case(metric="ece", details=bins))
    first = write_page(tmp_path, run, lambda: LIBRARY).read_bytes()
    assert write_page(tmp_path, run, lambda: LIBRARY).read_bytes() == first
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(
    "details",
    [
        {"roc": {"false_acceptance": GRID}},
        {"roc": {"false_acceptance": GRID, "reference": [0.1], "candidate": [0.1]}},
        {"roc": []},
        {"reliability": {"reference": {}, "candidate": {}}},
        {"risk_coverage": {"coverage": GRID, "reference": "abc", "candidate": [0, 0, 0]}},
        {"flips": {"counts": {}, "shown": [{"id": "a"}]}},
    ],
)
def test_what_cannot_be_drawn_is_an_error_that_names_the_case(
    make_case: MakeCase, make_run: MakeRun, details: dict[str, Any]
) -> None:
    with pytest.raises(RecordError) as caught:
        page_of(make_run(make_case(details=details)))
    assert caught.value.where == "accuracy[scenes-clean-w8a8-minmax-id-top1]"


def test_pictures_that_cannot_be_read_are_a_note_and_no_failure(make_case: MakeCase, make_run: MakeRun) -> None:
    def lost(task: str, ids: Any) -> Any:
        del ids
        raise DataError(where=task, what="unreadable image", next="repair it")

    page = page_of(make_run(make_case(details=flips_of("a star"))), pictures=lost)
    assert "pictures of id cannot be shown: unreadable image" in page.text
    assert "3 right before, wrong now" in page.text


@pytest.mark.parametrize("package", ["jinja2"])
def test_a_missing_package_is_named_with_its_extra(
    monkeypatch: pytest.MonkeyPatch, make_case: MakeCase, make_run: MakeRun, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingExtraError, match=r"quant-reliability\[html\]"):
        page_of(make_run(make_case()))


def test_making_pages_loads_neither_torch_nor_a_drawing_library_before_it_must() -> None:
    script = "import sys, reliability.report.html.page, reliability.report.html.script; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert "reliability.report.html.page" in loaded
    assert not {"torch", "matplotlib", "vl_convert", "altair", "jinja2", "pytest"} & set(loaded)
