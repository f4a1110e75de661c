"""The tables of the coverage proof: nothing that is not as declared can be overlooked or rounded away."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from reliability.claims.records import RecordError
from reliability.claims.runs import RunRecord
from reliability.quant.proof import ALWAYS_FLOAT, Part, Proof
from reliability.report.explain import explain_lines
from reliability.report.markdown import render

MakeCase = Callable[..., dict[str, Any]]
MakeRun = Callable[..., RunRecord]

MIB = 8 * 2**20
SOUND = (
    Part("visual.conv1", "layer", 4_000_000, True, True, weights=100, bits=825, saturated=0.01, clipped=0.002),
    Part("visual.proj", "layer", 5_999_999, True, True, weights=100, bits=825, saturated=0.0, clipped=0.0),
    Part("attention's own products", "attention", 500_000, False, False),
    Part("visual.class_embedding", "table", 0, False, False, weights=10, bits=320),
)
FAULTY = Part("visual.m|p", "layer", 1, False, True, weights=100, bits=3200)


def proof(*more: Part) -> dict[str, Any]:
    return Proof("vision", 128, 3 * MIB, 12 * MIB, (*SOUND, *more)).to_dict()


def rows(text: str) -> list[list[str]]:
    found = [re.split(r"(?<!\\)\|", line)[1:-1] for line in text.splitlines() if line.startswith("|")]
    return [[cell.replace("\N{NO-BREAK SPACE}", " ").strip() for cell in row] for row in found]


@pytest.fixture
def report(make_run: MakeRun) -> Callable[..., str]:
    def made(*cases: dict[str, Any]) -> str:
        run = make_run(*cases)
        return render(run, run.results())

    return made


def test_a_candidate_has_one_row_with_what_ran_and_what_is_left(
    report: Callable[..., str], make_case: MakeCase
) -> None:
    text = report(make_case(details={"coverage": proof()}), make_case(task="x", details={"coverage": proof()}))
    (row,) = [row for row in rows(text) if "10,499,999" in row]
    assert row[2:10] == ["10,499,999", "95.24 %", "100.00 %", "0", "0.20 %", "1.00 %", "8.25", "3.00 (12.00)"]
    assert row[10] == (
        "attention's own products (4.8% of multiply-accumulates); embedding tables (0.00 MiB); " + ALWAYS_FLOAT
    )


def test_one_product_in_ten_million_left_in_float_does_not_look_like_all(
    report: Callable[..., str], make_case: MakeCase
) -> None:
    text = report(make_case(details={"coverage": proof(FAULTY)}))
    (row,) = [row for row in rows(text) if "10,500,000" in row]
    assert row[4] == "99.99999 %"
    assert row[5] == "1"


def test_faults_come_first_among_the_worst_layers_and_are_escaped(
    report: Callable[..., str], make_case: MakeCase
) -> None:
    found = rows(report(make_case(details={"coverage": proof(FAULTY)})))
    layers = [row for row in found if row[1].startswith("visual.")]
    assert layers[0] == ["w8a8-minmax", r"visual.m\|p", "1", "float", "left in float", "\N{EM DASH}", "\N{EM DASH}"]
    assert [row[1] for row in layers[1:]] == ["visual.conv1"]


def test_a_recipe_on_a_backend_is_said_to_be_shown_by_its_simulation(
    report: Callable[..., str], make_case: MakeCase
) -> None:
    texts = [report(make_case(recipe=f"w8a8-dynamic{b}", details={"coverage": proof()})) for b in ("", "@torch-int8")]
    assert ["simulation whose codes" in text for text in texts] == [False, True]


def test_without_a_proof_there_is_no_section(report: Callable[..., str], make_case: MakeCase) -> None:
    assert "What ran quantized" not in report(make_case())


def test_explain_names_every_fault_however_many(make_case: MakeCase, make_run: MakeRun) -> None:
    more = [Part(f"visual.layer{i}", "layer", 10, False, True) for i in range(9)]
    (result,) = make_run(make_case(details={"coverage": proof(*more)})).results()
    text = "\n".join(explain_lines(result))
    assert all(f"visual.layer{i} " in text for i in range(9))
    assert "9 faults" in text
    assert "3.00 MiB (FP32 12.00)" in text


@pytest.mark.parametrize(
    "spoil", [lambda p: p.pop("parts"), lambda p: p["parts"][0].pop("macs"), lambda p: p["parts"].clear()]
)
def test_a_damaged_proof_is_refused(report: Callable[..., str], make_case: MakeCase, spoil: Callable[..., Any]) -> None:
    stored = {**proof(), "parts": [dict(part) for part in proof()["parts"]]}
    spoil(stored)
    with pytest.raises(RecordError, match="coverage proof cannot be read"):
        report(make_case(details={"coverage": stored}))
