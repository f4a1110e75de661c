"""What a GitHub workflow is told, and that nothing out of the data can tell it more."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reliability.claims.runs import RunRecord
from reliability.report.github import MOST_ANNOTATIONS, GitHub, command, fitting
from reliability.report.properties import properties

MakeCase = Callable[..., dict[str, Any]]
MakeRun = Callable[..., RunRecord]

EVIL = "a\n::add-mask::b\r\n##[error]c%0A::set-output name=x::y\x1b[2J\u2028::debug::z"


def test_a_command_stays_one_line_whatever_its_texts_hold() -> None:
    line = command("error", EVIL, title=EVIL, file="a,b:c")
    assert len(line.splitlines()) == 1
    assert line.startswith("::error title=a\\n%3A%3Aadd-mask%3A%3Ab")
    assert "file=a%2Cb%3Ac::" in line
    assert "\x1b" not in line
    assert "%250A" in line, "what looks like an escape in the data is none"


def test_output_is_silenced_by_a_token_that_it_cannot_hold() -> None:
    first, second = GitHub.of_environment({}), GitHub.of_environment({})
    assert first.silence() == [f"::stop-commands::{first.token}"]
    assert first.speak(None, None) == [f"::{first.token}::"]
    assert first.token != second.token
    assert re.fullmatch("[0-9a-f]{32}", first.token)


def test_the_worst_are_annotated_and_the_rest_is_counted(
    make_case: MakeCase, make_run: MakeRun, tmp_path: Path
) -> None:
    github = GitHub(None, tmp_path, "token")
    few = github.speak(make_run(make_case(0.5), make_case(task="x")), None)
    assert [line.partition(" ")[0] for line in few[1:]] == ["::error"]
    cases = [make_case(0.5, task=f"t{number}") for number in range(MOST_ANNOTATIONS + 5)]
    lines = github.speak(make_run(*cases), None)[1:]
    assert len(lines) == MOST_ANNOTATIONS
    assert lines[-1].endswith("::6 more are in the job summary and in the report.")


def test_a_bound_outside_the_checkout_is_named_but_not_placed(
    make_case: MakeCase, make_run: MakeRun, tmp_path: Path
) -> None:
    outside = GitHub(None, tmp_path, "token").speak(make_run(make_case(0.5)), None)[1]
    assert "file=" not in outside
    assert "thresholds/a.toml, bound 7" in outside
    inside = GitHub(None, Path.cwd(), "token").speak(make_run(make_case(0.5)), None)[1]
    assert "file=thresholds/a.toml,line=41," in inside


def test_a_summary_that_is_too_long_is_cut_at_a_line_and_says_so() -> None:
    text = "".join(f"line {number} \N{EM DASH}\n" for number in range(1000))
    cut = fitting(text, 3000)
    assert len(cut.encode()) < 3200
    assert "**Cut here:**" in cut
    kept = cut.partition("\n\n**Cut")[0].splitlines()
    assert kept == text.splitlines()[: len(kept)]
    assert fitting("short\n", 3000) == "short\n"


def test_properties_of_a_case_are_short_texts_that_xml_can_hold(make_case: MakeCase) -> None:
    names = dict(properties(make_case(metric="auroc", score="mcm", task="id\x1b")))
    assert names["score"] == "mcm"
    assert names["task"] == "id\\x1b"
    assert names["limits"] == "0.001 to 0.003"
    failed = dict(properties(make_case(error="one class only\n  where: labels")))
    assert failed["error"] == "one class only"
    assert "harm" not in failed
