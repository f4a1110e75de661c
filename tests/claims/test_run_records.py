"""Records survive JSON unchanged, and one that contradicts itself is refused."""

from __future__ import annotations

import json
import math
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reliability.claims.bounds import Bound
from reliability.claims.judge import judge
from reliability.claims.records import RecordError, case_record, error_record, load_case
from reliability.claims.runs import RunRecord, read_json, write_json
from reliability.types import Comparison, Interval

MakeBound = Callable[..., Bound]
MakeComparison = Callable[..., Comparison]
NAMES = ("zoo:scenes-clean", "w8a8-minmax", "id")


@pytest.fixture
def record(make_bound: MakeBound, make_comparison: MakeComparison) -> dict[str, Any]:
    verdict = judge(make_bound(), make_comparison(0.1 + 0.2 - 0.3, 1 / 300, 0.01 - 1e-9), "accuracy[a]")
    return case_record("accuracy[a]", *NAMES, verdict, 0.25)


@pytest.fixture
def failed(make_bound: MakeBound) -> dict[str, Any]:
    return error_record("accuracy[b]", *NAMES, make_bound(index=8), "one class only", 0.1)


def run_of(*cases: dict[str, Any], **changes: Any) -> RunRecord:
    return RunRecord(**{"run": {"seed": 0}, "cases": cases, "complete": True, **changes})


def test_a_case_has_the_promised_keys_and_plain_values(record: dict[str, Any]) -> None:
    assert set(record) == {
        *("case", "claim", "model", "recipe", "task", "metric", "score", "gate", "outcome", "relation", "margin"),
        *("level", "bound", "reference", "candidate", "harm", "n", "seed", "method", "settles_at_n", "smallest_effect"),
        *("details", "error", "seconds"),
    }
    assert record["outcome"] == "holds"
    assert record["bound"]["index"] == 7
    assert record["error"] is None


def test_numpy_numbers_become_plain_ones_that_workers_can_send(
    make_bound: MakeBound, make_comparison: MakeComparison
) -> None:
    comparison = make_comparison(n=np.int64(4000), details={"bins": (np.float64(0.5), 1)})
    made = case_record("a", *NAMES, judge(make_bound(), comparison), 0.0)
    assert type(made["n"]) is int
    assert type(made["details"]["bins"]) is list
    assert all(type(value) is float for value in made["harm"].values())


def test_an_error_has_no_figures_and_counts_as_error(failed: dict[str, Any]) -> None:
    assert failed["outcome"] == "error"
    assert failed["error"] == "one class only"
    for key in ("reference", "candidate", "harm", "n", "seed", "method", "settles_at_n", "smallest_effect"):
        assert failed[key] is None


def test_json_gives_back_every_float_exactly(tmp_path: Path, record: dict[str, Any], failed: dict[str, Any]) -> None:
    run = run_of(failed, record, notes=["small"], problems=["slow"], complete=False)
    write_json(tmp_path / "deep" / "report.json", run)
    again = read_json(tmp_path / "deep" / "report.json")
    assert list(again.cases) == [record, failed]
    assert again.to_dict() == run.to_dict()
    assert load_case(again.cases[0]).verdict == load_case(record).verdict
    assert (tmp_path / "deep").joinpath("report.json").read_text().endswith("}\n")


def test_the_order_of_arrival_does_not_show(tmp_path: Path, record: dict[str, Any], failed: dict[str, Any]) -> None:
    write_json(tmp_path / "a.json", run_of(record, failed))
    write_json(tmp_path / "b.json", run_of(failed, record))
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_failed_write_leaves_the_old_file_and_no_draft(tmp_path: Path, record: dict[str, Any]) -> None:
    write_json(tmp_path / "report.json", run_of(record))
    before = (tmp_path / "report.json").read_bytes()
    for bad in (math.nan, math.inf, object()):
        with pytest.raises(RecordError, match="JSON cannot hold"):
            write_json(tmp_path / "report.json", run_of(record, run={"value": bad}))
    assert (tmp_path / "report.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, object()])
def test_details_that_are_not_plain_are_refused(
    make_bound: MakeBound, make_comparison: MakeComparison, bad: object
) -> None:
    verdict = judge(make_bound(), make_comparison(details={"x": [bad]}))
    with pytest.raises(RecordError, match="JSON cannot hold"):
        case_record("a", *NAMES, verdict, 0.0)


def set_in(*path: str, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(record: dict[str, Any]) -> None:
        for key in path[:-1]:
            record = record[key]
        record[path[-1]] = to

    return change


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (set_in("outcome", to="broken"), "contradicts its own figures"),
        (set_in("outcome", to="passed"), "contradicts its own figures"),
        (set_in("harm", "upper", to=0.02), "contradicts its own figures"),
        (set_in("margin", to=0.0), "contradicts its own figures"),
        (set_in("smallest_effect", to=0.5), "contradicts its own figures"),
        (set_in("settles_at_n", to=10), "contradicts its own figures"),
        (set_in("gate", to="yes"), "contradicts its own figures"),
        (set_in("error", to="but it failed"), "never both or neither"),
        (set_in("outcome", to="error"), "never both or neither"),
        (set_in("n", to=999), "cannot be judged"),
        (set_in("harm", "estimate", to=math.nan), "cannot be judged"),
        (set_in("candidate", "estimate", to=0.2), "cannot be judged"),
        (set_in("relation", to="better"), "cannot be judged"),
        (set_in("harm", to=None), "wrong type"),
        (set_in("harm", "median", to=0.1), "wrong type"),
        (set_in("bound", "color", to="red"), "wrong type"),
        (set_in("model", to=3), "wrong type"),
        (set_in("extra", to=3), "missing or unknown keys"),
        (lambda record: record.pop("seed"), "missing or unknown keys"),
    ],
)
def test_a_damaged_record_is_refused_by_name(
    record: dict[str, Any], damage: Callable[[dict[str, Any]], None], told: str
) -> None:
    planted = json.loads(json.dumps(record))
    damage(planted)
    with pytest.raises(RecordError, match=told) as caught:
        load_case(planted)
    assert caught.value.where == "accuracy[a]"


def test_an_error_with_figures_contradicts_itself(record: dict[str, Any], failed: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match="contradicts"):
        load_case({**failed, "harm": record["harm"]})
    with pytest.raises(RecordError, match="never both or neither"):
        load_case({**failed, "error": None})


def test_two_records_of_one_case_are_refused(record: dict[str, Any]) -> None:
    with pytest.raises(RecordError, match="two records of one case"):
        run_of(record, record).results()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"schema": 3, "run": {}, "notes": [], "cases": [], "complete": true, "problems": []}',
        '{"schema": 1, "run": {}, "notes": [], "cases": {}, "complete": true, "problems": []}',
    ],
)
def test_a_file_that_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(RecordError):
        read_json(tmp_path / "report.json")


def test_a_missing_report_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecordError, match=r"report\.json"):
        read_json(tmp_path / "report.json")


def test_a_stored_verdict_explains_itself_again(record: dict[str, Any]) -> None:
    verdict = load_case(json.loads(json.dumps(record))).verdict
    assert verdict is not None
    assert verdict.explain().startswith("holds: accuracy[a]")


def test_record_errors_cross_process_borders() -> None:
    error = RecordError(where="a", what="b", got=Interval(0, 0, 0, 0.95, 0), next="d")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
