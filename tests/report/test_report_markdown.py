"""The report says what happened, worst first, and nothing in it can be read as more than it is."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reliability.claims.records import RecordError
from reliability.claims.runs import RunRecord
from reliability.report.headline import headline
from reliability.report.markdown import render, write_report

MakeCase = Callable[..., dict[str, Any]]
MakeRun = Callable[..., RunRecord]


def text_of(run: RunRecord) -> str:
    return render(run, run.results()).replace("\N{NO-BREAK SPACE}", " ")


def rows(text: str) -> list[list[str]]:
    """Cells of every table row, split at pipes that are not escaped."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


@pytest.fixture
def broken(make_case: MakeCase) -> dict[str, Any]:
    return make_case(0.0172, 0.0034, recipe="w4a4-minmax", task="ood/near", metric="auroc", score="mcm")


@pytest.fixture
def straddling(make_case: MakeCase) -> dict[str, Any]:
    return make_case(0.007, 0.005, recipe="w4a4-minmax", task="noise/gaussian_noise/3")


@pytest.fixture
def failed(make_case: MakeCase) -> dict[str, Any]:
    return make_case(task="ood/far", error="every score is the same\n  where: mcm")


def test_the_headline_counts_what_stops(
    make_case: MakeCase, make_run: MakeRun, broken: Any, straddling: Any, failed: Any
) -> None:
    holds, observed = make_case(), make_case(0.5, task="shift/x", gate=False)

    def said(*cases: Any, **changes: Any) -> str:
        run = make_run(*cases, **changes)
        return headline(run, run.results())

    assert said(holds) == "The one gate holds."
    assert said(holds, make_case(task="x")) == "All 2 gates hold."
    assert said(holds, observed) == "The one gate holds."
    assert said(holds, broken) == "Stopped: 1 of 2 gates is broken."
    stopped = "Stopped: 1 of 4 gates is broken, 1 is inconclusive, 1 ended in an error."
    assert said(holds, broken, straddling, failed) == stopped
    assert said(holds, make_case(task="o", gate=False, error="no")) == "Stopped: 1 observed claim ended in an error."


def test_only_a_whole_run_may_say_that_gates_hold(make_case: MakeCase, make_run: MakeRun) -> None:
    partial, troubled = make_run(make_case(), complete=False), make_run(make_case(), problems=["a worker died"])
    empty, ungated = make_run(), make_run(make_case(gate=False))
    for run in (partial, troubled, empty, ungated):
        assert not re.match("All|The one", headline(run, run.results()))
        assert "all gates hold" not in text_of(run)
    assert "**Partial run.**" in text_of(partial).split("## ")[0]
    assert "a worker died" in text_of(troubled)
    assert "Partial run" not in text_of(make_run(make_case()))


def test_what_stops_comes_first_and_is_explained(
    make_case: MakeCase, make_run: MakeRun, broken: Any, straddling: Any, failed: Any
) -> None:
    text = text_of(make_run(make_case(), broken, straddling, failed))
    places = [text.index(part) for part in ("# Reliability", "Stopped:", "### Broken (1)", "### Error (1)")]
    places += [text.index(part) for part in ("### Inconclusive (1)", "## Gates", "## Settings", "## Words")]
    assert places == sorted(places)
    assert (
        "auroc (mcm): reference 90.00 %, candidate 88.28 %, harm +1.72 pp (95 % limits 1.38 pp to 2.06 pp), "
        "allowed is at most 1.00 pp; 4,000 images, paired, seed 0." in text
    )
    assert "thresholds/a.toml, bound 7: three times the largest drop" in text
    assert "about 12,000 would settle it" in text
    assert "  every score is the same\n    where: mcm" in text
    assert 'Next: `reliability explain "accuracy[scenes-clean-w4a4-minmax-ood/near-auroc-mcm]"`' in text


def test_the_verdict_table_has_percents_limits_and_worst_first(
    make_case: MakeCase, make_run: MakeRun, broken: Any, failed: Any
) -> None:
    table = rows(text_of(make_run(make_case(), broken, failed)).split("## Gates")[1])
    assert table[0][4:] == ["reference", "candidate", "harm [limits]", "allowed", "verdict"]
    assert table[2][3:] == [
        "auroc (mcm)", "90.00 %", "88.28 %", "+1.72 pp [+1.38, +2.06]", "≤ 1.00 pp", "**broken**",
    ]  # fmt: skip
    assert table[3][4:] == ["—", "—", "—", "≤ 1.00 pp", "**error**"]
    assert table[4][8] == "holds"


def test_nats_stay_nats(make_case: MakeCase, make_run: MakeRun) -> None:
    text = text_of(make_run(make_case(0.002, 0.001, metric="nll")))
    assert "| +0.0020 [+0.0010, +0.0030] |" in text
    assert "0.9020" in text


@pytest.mark.parametrize(
    ("relation", "margin", "shown"),
    [
        ("improves", 0.0, "< 0"),
        ("equivalent", 0.01, "± 1.00 pp"),
        ("differs", 0.0, "≠ 0"),
        ("at_least", 0.8, "candidate ≥ 80.00 %"),
        ("at_most", 0.95, "candidate ≤ 95.00 %"),
    ],
)
def test_every_relation_has_its_sign(
    make_case: MakeCase, make_run: MakeRun, relation: str, margin: float, shown: str
) -> None:
    row = rows(text_of(make_run(make_case(relation=relation, margin=margin))).split("## Gates")[1])[2]
    assert row[7] == shown
    assert ("[88.80, 90.80]" in row[5]) == relation.startswith("at_")


def test_a_limit_just_over_the_margin_is_shown_as_more(make_case: MakeCase, make_run: MakeRun) -> None:
    text = text_of(make_run(make_case(0.008, 0.002004)))
    assert "+1.0004]" in text
    assert "≤ 1.0000 pp" in text


def test_observed_claims_stand_apart(make_case: MakeCase, make_run: MakeRun) -> None:
    gates, observed = text_of(make_run(make_case(), make_case(0.3, task="shift/x", gate=False))).split("## Observed")
    assert "shift/x" not in gates.split("## Gates")[1]
    assert "**broken**" in observed.split("## Settings")[0]


HOSTILE = 'a|b <script>x</script> `tick` ![p](http://e.x/p.png) *b*\n# head\n| fake | row |\n```\n"q" $x$'


def test_names_and_reasons_cannot_break_out_of_the_page(make_case: MakeCase, make_run: MakeRun) -> None:
    plain = make_run(make_case(0.5), make_case(task="e", error="x"), run={"data": "d"}, notes=["n"], problems=["p"])
    hostile = make_run(
        make_case(0.5, model=HOSTILE, recipe=HOSTILE, task=HOSTILE, reason=HOSTILE, score=HOSTILE),
        make_case(model=HOSTILE, task="e", error=f"{HOSTILE}\n````\n# head"),
        run={HOSTILE: {HOSTILE: HOSTILE}},
        notes=[HOSTILE],
        problems=[HOSTILE],
    )
    text = text_of(hostile)
    fenced = re.compile(r"^  (`{5,})text\n.*?^  \1\n", re.MULTILINE | re.DOTALL)
    assert len(fenced.findall(text)) == 1
    open_text = re.sub(r"(`+)(?!`).+?(?<!`)\1(?!`)", "", fenced.sub("", text))
    for danger in ("<script", "![p]", "*b*", "\n# head", "\n| fake", "```", "http://e"):
        assert danger not in open_text
    assert {len(row) for row in rows(fenced.sub("", text))} == {len(row) for row in rows(text_of(plain))}


def test_settings_and_words_are_listed(make_case: MakeCase, make_run: MakeRun) -> None:
    run = {
        "device": "cpu",
        "limit": None,
        "versions": {"torch": "2.13.0"},
        "weights": {"a": {"sha256": "ff", "n": [1]}},
    }
    table = rows(text_of(make_run(make_case(), run=run, notes=["pictures are rendered"])).split("## Notes")[1])
    assert ["device", "cpu"] in table
    assert ["limit", "not set"] in table
    assert ["versions: torch", "2.13.0"] in table
    assert ["weights: a", "sha256: ff, n: 1"] in table
    words = {row[0] for row in table}
    assert {"harm", "inconclusive", "top1"} <= words
    assert "auroc" not in words


def test_a_folder_is_written_whole(tmp_path: Path, make_case: MakeCase, make_run: MakeRun, bins: Any) -> None:
    run = make_run(make_case(), make_case(0.05, metric="ece", details=bins))
    path = write_report(tmp_path / "run", run)
    assert path == tmp_path / "run" / "report.md"
    assert RunRecord.from_dict(json.loads((tmp_path / "run" / "report.json").read_text())).to_dict() == run.to_dict()
    linked = re.findall(r"!\[[^\]]*\]\((figures/[^)]+)\)", path.read_text(encoding="utf-8"))
    assert [p.name for p in sorted((tmp_path / "run" / "figures").iterdir())] == sorted(Path(p).name for p in linked)
    assert len(linked) == 2
    again = write_report(tmp_path / "run", run).read_bytes()
    assert again == path.read_bytes()


def test_a_planted_contradiction_leaves_no_report(
    tmp_path: Path, make_run: MakeRun, broken: dict[str, Any], straddling: dict[str, Any]
) -> None:
    for planted in ({**broken, "outcome": "holds"}, {**straddling, "settles_at_n": None}):
        with pytest.raises(RecordError, match="contradicts its own figures"):
            write_report(tmp_path, make_run(planted))
    assert list(tmp_path.iterdir()) == []
