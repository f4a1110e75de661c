"""Options in pyproject.toml: what the command line says wins, and what is not understood is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from reliability.errors import UsageError
from reliability.session.options import SETTINGS, Options

Run = Callable[..., Any]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Path]:
    """A folder with a table of options, which is the current one."""

    def make(table: str) -> Path:
        (tmp_path / "pyproject.toml").write_text(f"[tool.reliability]\n{table}\n")
        monkeypatch.chdir(tmp_path)
        return tmp_path

    return make


def test_every_setting_fills_an_option_and_every_option_but_two_has_a_setting() -> None:
    assert {field.name for field in fields(Options)} - {"root", "worker"} == {setting.target for setting in SETTINGS}


def test_every_kind_of_value_is_read(project: Callable[[str], Path]) -> None:
    root = project(
        """
        reference = "zoo:scenes-web"
        candidate = ["a=zoo:scenes-clean", "b=zoo:scenes-web"]
        recipes = ["w8a8-minmax", "w4a4-*"]
        skip-unreadable = 0
        torch-threads = 2
        untrusted = true
        inconclusive = "report"
        report-dir = "out"
        """
    )
    options = Options.of(root, {})
    assert options.references == ("zoo:scenes-web",)
    assert options.candidates == ("a=zoo:scenes-clean", "b=zoo:scenes-web")
    assert (options.recipes, options.skip_unreadable, options.threads) == ("w8a8-minmax,w4a4-*", 0, 2)
    assert (options.untrusted, options.inconclusive, options.report_dir) == (True, "report", Path("out"))
    assert options.data == "scenes"


def test_the_command_line_wins_option_by_option(project: Callable[[str], Path]) -> None:
    root = project('reference = ["zoo:a", "zoo:b"]\nlimit = 7\nrecipes = "fp32"')
    options = Options.of(root, {"reference": ["zoo:c"], "limit": None, "recipes": "w8a8-minmax", "untrusted": False})
    assert (options.references, options.limit, options.recipes) == (("zoo:c",), 7, "w8a8-minmax")


def test_zero_on_the_command_line_is_a_value(project: Callable[[str], Path]) -> None:
    root = project("skip-unreadable = 5")
    assert Options.of(root, {"skip-unreadable": None}).skip_unreadable == 5
    assert Options.of(root, {"skip-unreadable": 0}).skip_unreadable == 0


def test_paths_start_at_the_folder_of_the_file(project: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch) -> None:
    root = project(
        """
        thresholds = "bounds.toml"
        data = "folder:photos"
        candidate = ["mine=onnx:eye.onnx,text.onnx", "zoo:scenes-web"]
        embeddings = ["phone=features", "absent"]
        """
    )
    for name in ("photos", "features", "sub"):
        (root / name).mkdir()
    (root / "eye.onnx").touch()
    written = Options.of(root, {})
    assert (written.thresholds, written.data) == (Path("bounds.toml"), "folder:photos")
    monkeypatch.chdir(root / "sub")
    found = Options.of(root / "sub", {})
    assert (found.thresholds, found.data) == (Path("../bounds.toml"), "folder:../photos")
    assert found.candidates == ("mine=onnx:../eye.onnx,text.onnx", "zoo:scenes-web")
    assert found.embeddings == ("phone=../features", "absent")


def test_data_start_at_the_data_root_where_there_is_one(
    project: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = project('data = "folder:photos"')
    (root / "photos").mkdir()
    (root / "sub").mkdir()
    monkeypatch.chdir(root / "sub")
    assert Options.of(root, {"data-root": Path("/elsewhere")}).data == "folder:photos"
    project('data = "folder:photos"\ndata-root = "all"')
    monkeypatch.chdir(root / "sub")
    assert Options.of(root, {}).data_root == Path("../all")
    assert Options.of(root, {}).data == "folder:photos"


def test_the_nearest_file_counts_even_without_the_table(project: Callable[[str], Path]) -> None:
    root = project("limit = 7")
    assert Options.of(root / "deeper" / "still", {}).limit == 7
    (root / "nearer").mkdir()
    (root / "nearer" / "pyproject.toml").write_text('[project]\nname = "other"\n')
    assert Options.of(root / "nearer", {}).limit is None


FAULTS = {
    "unknown key": ('recipe = "fp32"', "unknown key", "recipe-file"),
    "underscore": ('cache_dir = "x"', "unknown key", "did you mean cache-dir"),
    "text for a number": ('limit = "7"', "whole number above 0", "'7'"),
    "zero": ("limit = 0", "whole number above 0", "limit = 1000"),
    "below zero": ("skip-unreadable = -1", "whole number from 0", "-1"),
    "truth for a number": ("skip-unreadable = true", "whole number from 0", "True"),
    "number for a text": ("thresholds = 3", "non-empty string", "3"),
    "text for a flag": ('untrusted = "yes"', "true or false", "'yes'"),
    "unknown choice": ('inconclusive = "pass"', "unknown inconclusive", "report"),
    "list with a number": ("candidate = [1]", "list of them", "[1]"),
}


@pytest.mark.parametrize(("table", "what", "hint"), FAULTS.values(), ids=FAULTS)
def test_what_is_not_understood_is_refused(project: Callable[[str], Path], table: str, what: str, hint: str) -> None:
    root = project(table)
    with pytest.raises(UsageError) as caught:
        Options.of(root, {})
    message = str(caught.value)
    assert "where: pyproject.toml, [tool.reliability]" in message
    assert what in message
    assert hint in message
    assert "next:" in message


def test_a_file_that_is_not_toml_is_refused(project: Callable[[str], Path]) -> None:
    with pytest.raises(UsageError, match="not a TOML file"):
        Options.of(project("limit ="), {})


def test_a_fault_in_the_table_stops_the_run_once(own_suite: Run, pytester: pytest.Pytester) -> None:
    own_suite("--collect-only")
    file = pytester.path / "pyproject.toml"
    file.write_text(file.read_text() + "\nlimits = 3\n")
    result = pytester.runpytest_inprocess("tests", "-p", "no:randomly")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    output = "\n".join([*result.outlines, *result.errlines])
    assert output.count("did you mean limit?") == 1
    assert "Traceback" not in output


def test_tests_without_claims_do_not_read_the_table(pytester: pytest.Pytester) -> None:
    (pytester.path / "pyproject.toml").write_text("[tool.reliability]\nnonsense = 3\n")
    pytester.makepyfile("def test_other(): pass")
    pytester.runpytest_inprocess("-p", "no:randomly").assert_outcomes(passed=1)


def test_the_help_lists_every_option(pytester: pytest.Pytester) -> None:
    shown = "\n".join(pytester.runpytest_inprocess("--help").outlines)
    assert "[tool.reliability]" in shown
    assert [f"--{setting.name}" for setting in SETTINGS if f"--{setting.name}" not in shown] == []
