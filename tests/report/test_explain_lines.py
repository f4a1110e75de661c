"""An explanation says all that is known of a case, and shows nothing that acts on a terminal."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from reliability.claims.explained import Again, Attempt, Known, Missing, known_to_hold
from reliability.claims.records import CaseResult, load_case
from reliability.evaluate.comparison.breakdown import Breakdown, FeatureError, LayerError, Share
from reliability.quant.proof import Part, Proof
from reliability.report.explain import MOST_CLASSES, MOST_LAYERS, attempt_lines, explain_lines, known_lines

Make = Callable[..., dict[str, Any]]

CHANGED = {
    "counts": {"right_to_wrong": 3, "wrong_to_right": 1, "wrong_to_wrong": 0},
    "shown": [
        {"id": "id/7", "label": "red star", "reference": {"answer": "red star", "confidence": 0.91},
         "candidate": {"answer": "red ring", "confidence": 0.52}},
    ],
}  # fmt: skip
CLASSES = (Share("red star", 100, 0.9, 0.8), Share("blue star", 100, 0.7, 0.7), Share("ring", 50, 0.5, 0.52))
FEATURES = (FeatureError("images", 23.4567, 0.9978), FeatureError("texts", None, 1.0))
LAYERS = (
    LayerError("visual.a", 31.0, "as it is"), LayerError("visual.b", 12.5, "best rotation"),
    LayerError("visual.c", None, "as it is"),
)  # fmt: skip
PROOF = Proof("vision", 8, 10, 40, (Part("visual.a", "layer", 100, True, True, weights=5, bits=20),))
AGAIN = Again(Breakdown(CLASSES, (), CHANGED, FEATURES), LAYERS, PROOF)


def result_of(record: dict[str, Any]) -> CaseResult:
    return load_case(record)


def text_of(record: dict[str, Any], again: Again | None = None) -> str:
    return "\n".join(explain_lines(result_of(record), again))


def test_the_record_alone_gives_figures_groups_and_changed_pictures(make_case: Make) -> None:
    groups = {"sand": {"reference": 0.9, "candidate": 0.8}}
    text = text_of(make_case(0.05, details={"groups": groups, "flips": CHANGED}))
    assert text.startswith("broken: accuracy[scenes-clean-w8a8-minmax-id-top1]")
    assert "95 % limits 0.0490 to 0.0510" in text
    assert "reference 0.9000, candidate 0.8500" in text
    assert "thresholds/a.toml, bound 7: three times the largest drop" in text
    assert ["sand", "0.9000", "0.8000", "-0.1000"] in [line.split() for line in text.splitlines()]
    assert "3 were right and are wrong, 1 were wrong and are right" in text
    assert "red star (0.9100)" in text
    assert "red ring (0.5200)" in text
    assert "next: reliability explain" not in text


def test_everything_that_can_be_had_again_is_shown(make_case: Make) -> None:
    text = text_of(make_case(0.05), AGAIN)
    rows = [line.split() for line in text.splitlines()]
    assert "3 classes: 1 lost right answers, 1 gained some, 1 kept their number" in text
    assert ["red", "star", "100", "0.9000", "0.8000", "-10"] in rows
    assert not any(row[:2] == ["blue", "star"] for row in rows)
    assert ["images", "23.5", "dB", "0.997800"] in rows
    assert ["texts", "equal", "1.000000"] in rows
    assert ["visual.b", "12.5", "dB", "best", "rotation"] in rows
    assert rows.index(["visual.b", "12.5", "dB", "best", "rotation"]) < rows.index(
        ["visual.a", "31.0", "dB", "as", "it", "is"]
    )
    assert "100 multiply-accumulates (vision), 100.00 % quantized" in text
    assert "not shown" not in text


def test_long_lists_are_cut_to_the_largest(make_case: Make) -> None:
    classes = tuple(Share(f"c{n}", 100, 0.9, 0.9 - n / 100) for n in range(30, 0, -1))
    layers = tuple(LayerError(f"l{n}", float(n), "as it is") for n in range(40))
    text = text_of(make_case(), replace(AGAIN, breakdown=Breakdown(classes, (), {}, FEATURES), layers=layers))
    lines = [line.split()[0] for line in text.splitlines() if line.strip()]
    assert [line for line in lines if line[0] == "c" and line[1:].isdigit()] == [
        f"c{30 - n}" for n in range(MOST_CLASSES)
    ]
    assert [line for line in lines if line[0] == "l" and line[1:].isdigit()] == [f"l{n}" for n in range(MOST_LAYERS)]


def test_pictures_of_an_ood_task_change_sides_of_a_cutoff(make_case: Make) -> None:
    changed = {"score": "mcm", "counts": {"familiar": 4, "unfamiliar": 9}, "shown": []}
    sides = (Share("familiar, accepted", 400, 0.95, 0.95), Share("unfamiliar, accepted", 300, 0.4, 0.43))
    text = text_of(make_case(), replace(AGAIN, breakdown=Breakdown((), sides, changed, FEATURES)))
    assert (
        "pictures accepted by mcm differently: 4 familiar ones changed sides, 9 unfamiliar ones changed sides" in text
    )
    assert ["unfamiliar,", "accepted", "300", "0.4000", "0.4300"] in [line.split() for line in text.splitlines()]


def test_an_error_is_shown_whole_and_what_lacks_is_said_once(make_case: Make) -> None:
    missing = Missing("not everything is in the cache; run with --compute")
    text = text_of(make_case(error="too few images\n  got: 3"), Again(missing, missing, missing))
    assert "error: accuracy[scenes-clean-w8a8-minmax-id-top1]" in text
    assert "    got: 3" in text
    assert text.count("not everything is in the cache") == 1
    assert "not shown: classes and pictures and layers and coverage" in text


def test_nothing_from_data_or_records_acts_on_the_terminal(make_case: Make) -> None:
    evil = "\x1b[2J\u202ered\r"
    flips = {"counts": {"right_to_wrong": 1}, "shown": [
        {"id": evil, "label": evil, "reference": {"answer": evil, "confidence": 0.5},
         "candidate": {"answer": evil, "confidence": 0.5}},
    ]}  # fmt: skip
    breakdown = Breakdown((Share(evil, 10, 0.9, 0.5),), (Share(evil, 1, 1.0, 1.0),), flips, FEATURES)
    again = Again(breakdown, (LayerError(evil, 1.0, "as it is"),), Missing(evil))
    records = make_case(task=evil, reason=evil, details={"groups": {evil: {"reference": 1.0, "candidate": 0.5}}})
    for lines in (
        explain_lines(result_of(records), again),
        explain_lines(result_of(make_case(task=evil, error=f"a\n{evil}"))),
        known_lines([Known(evil, True, 1, 1)]),
        attempt_lines([Attempt(evil, None, evil)]),
    ):
        assert all(line.isprintable() for line in lines), lines


def test_recipes_that_hold_are_listed_the_smallest_change_first_with_their_gates(make_case: Make) -> None:
    cases = [
        make_case(0.05, recipe="w4a8-minmax"), make_case(recipe="w8a8-minmax"), make_case(recipe="w4a8-gptq"),
        make_case(0.05, recipe="w4a8-gptq", task="b"), make_case(0.05, recipe="w4a8-mse"), make_case(recipe="fp32"),
        make_case(recipe="w4a8-lsq", model="zoo:other"), make_case(recipe="my-own"),
    ]  # fmt: skip
    results = [result_of(case) for case in cases]
    known = known_to_hold(results[0], results)
    assert known == [Known("w4a8-gptq", True, 2, 1), Known("w8a8-minmax", False, 1, 1)]
    lines = known_lines(known)
    assert lines[0] == "smallest change known to hold here: w4a8-gptq, at the same bits"
    assert "--search" in known_lines([])[0]


@pytest.mark.parametrize("harm", [0.002, 0.05])
def test_a_search_shows_every_attempt_and_what_to_do_next(make_case: Make, harm: float) -> None:
    verdicts = [result_of(make_case(one)).verdict for one in (0.05, harm)]
    attempts = [
        Attempt("w4a4-mse", verdicts[0]),
        Attempt("w4a4-gptq", None, "no range"),
        Attempt("w4a4-lsq", verdicts[1]),
    ]
    lines = attempt_lines(attempts)
    assert [line.split()[:2] for line in lines[2:-1]] == [
        ["w4a4-mse", "broken"], ["w4a4-gptq", "error"], ["w4a4-lsq", "holds" if harm < 0.01 else "broken"]
    ]  # fmt: skip
    assert ("--recipes w4a4-lsq" in lines[-1]) == (harm < 0.01)
