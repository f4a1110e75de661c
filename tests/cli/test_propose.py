"""``reliability propose``: measured over draws, written beside the user's file, judged with like any other."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reliability import proposing
from reliability.claims.bounds import Floor, ThresholdFile
from reliability.claims.judge import judge
from reliability.claims.reader import load_thresholds
from reliability.cli import main
from reliability.session.gate import GateSession
from reliability.session.options import Options

FILE = """\
schema = 1

[defaults]
level = 0.95
min_images = 40

[run]
recipes = ["w8a8-minmax"]

[[bound]]
claim = "accuracy"
applies = { task = "id" }
metric = "top1"
relation = "not_worse"
margin = 0.9  # wide
gate = true
reason = "none yet"

[[bound]]
claim = "ood_separation"
applies = { task = "ood/near" }
metric = "auroc"
score = ["mcm", "msp"]
relation = "not_worse"
margin = 0.0
gate = true
reason = "not a hair"

[[bound]]
claim = "speed"
applies = { task = "id" }
metric = "latency_ratio"
relation = "at_most"
margin = 1.0
gate = false
reason = "never slower"

[[bound]]
claim = "coverage"
applies = { task = "id" }
metric = "declared_share"
relation = "at_least"
margin = 1.0
gate = true
reason = "counted"
"""

Propose = Callable[..., Result]


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def propose(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Propose:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bounds.toml").write_text(FILE)

    def run(*arguments: str, data: str | None = "scenes:seed=1", draws: int = 2) -> Result:
        where = ["--data", data] if data else []
        options = ["--cache-dir", str(cache), "--limit", "60", "--draws", str(draws), *where]
        return CliRunner().invoke(main, ["propose", *options, *arguments])

    return run


def test_margins_follow_from_every_draw_and_the_file_of_the_user_stays(propose: Propose, tmp_path: Path) -> None:
    result = propose("--thresholds", "bounds.toml")
    assert result.exit_code == 0, result.output
    assert (tmp_path / "bounds.toml").read_text() == FILE
    out = tmp_path / "reports" / "proposal"
    rows = list(csv.DictReader((out / "measured.csv").open()))
    accuracy = [row for row in rows if row["bound"] == "bounds.toml:1"]
    assert [row["draw"] for row in accuracy] == ["0", "1"]
    assert len({row["candidate"] for row in rows if row["bound"] == "bounds.toml:2"}) == 4  # two draws, two scores
    proposed = load_thresholds(out / "bounds.toml")
    margins = {bound.claim: bound.margin for bound in proposed.bounds}
    largest = max(float(row["upper"]) for row in accuracy)
    assert 1.5 * largest <= margins["accuracy"] < 0.9
    assert margins["ood_separation"] == 0.0
    text = (out / "bounds.toml").read_text()
    assert "# proposal: tightened from 0.9: 2 of 2 figures hold at 0.9" in text
    assert "# proposal: kept, since" in text
    assert "tightened" in result.output
    assert "kept" in result.output


def test_a_proposal_is_judged_with_on_other_pictures(propose: Propose, cache: Path, tmp_path: Path) -> None:
    assert propose("--thresholds", "bounds.toml").exit_code == 0
    found = _judged(tmp_path / "reports" / "proposal" / "bounds.toml", cache, "scenes")
    assert found["accuracy[scenes-clean-w8a8-minmax-id-top1]"] == "holds"
    assert "coverage[scenes-clean-w8a8-minmax-id-declared_share]" in found


def _judged(thresholds: Path, cache: Path, data: str) -> dict[str, str]:
    session = GateSession.open(Options(root=Path(), thresholds=thresholds, cache_dir=cache, limit=60, data=data))
    cases = [case for claim in ("accuracy", "coverage") for case in session.plan.cases(claim)]
    return {
        case.name: judge(case.bound, session.pair(case).harm(case.bound.metric, case.bound.score)).outcome
        for case in cases
    }


def test_costs_and_figures_without_a_value_are_left_alone(propose: Propose, tmp_path: Path) -> None:
    (tmp_path / "bounds.toml").write_text(FILE.replace("min_images = 40", "min_images = 4000"))
    result = propose("--thresholds", "bounds.toml", draws=1)
    assert result.exit_code == 0, result.output
    text = (tmp_path / "reports" / "proposal" / "bounds.toml").read_text()
    assert "margin = 0.9  # wide" in text
    assert "# proposal: not measured: accuracy[scenes-clean-w8a8-minmax-id-top1]: too few images" in text
    assert "what a model costs is a matter of the machine" in text


def test_loosening_needs_a_reason_which_the_file_keeps(propose: Propose, tmp_path: Path) -> None:
    result = propose("--thresholds", "bounds.toml", "--loosen", "4 bits are worth it", "--out", "p")
    assert result.exit_code == 0, result.output
    bound = load_thresholds(tmp_path / "p" / "bounds.toml").bounds[1]
    assert bound.margin > 0
    assert bound.reason.startswith("not a hair; loosened from 0 to ")
    assert bound.reason.endswith(": 4 bits are worth it")


def test_an_empty_reason_is_none(propose: Propose) -> None:
    result = propose("--thresholds", "bounds.toml", "--loosen", "  ")
    assert result.exit_code == 1
    assert "a margin is loosened for a reason" in result.output


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
def test_the_diff_is_what_git_applies_in_the_folder_where_it_was_made(propose: Propose, tmp_path: Path) -> None:
    assert propose("--thresholds", "bounds.toml", draws=1).exit_code == 0
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "apply", "reports/proposal/proposal.diff"], cwd=tmp_path, check=True)
    assert (tmp_path / "bounds.toml").read_text() == (tmp_path / "reports" / "proposal" / "bounds.toml").read_text()


def test_without_a_file_a_first_one_is_proposed_with_floors_and_recipes(
    propose: Propose, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The starter asks for 1,000 pictures, which these are not.
    few = tmp_path / "starter.toml"
    few.write_text(proposing.STARTER.read_text().replace("min_images = 1000", "min_images = 40"))
    monkeypatch.setattr(proposing, "STARTER", few)
    result = propose("--recipes", "w8a8-minmax,w8a8-dynamic")
    assert result.exit_code == 0, result.output
    file: ThresholdFile = load_thresholds(tmp_path / "reports" / "proposal" / "thresholds.toml")
    assert file.recipes == ("w8a8-minmax", "w8a8-dynamic")
    assert {bound.claim for bound in file.bounds} == {"accuracy", "calibration_error", "ood_separation", "agreement"}
    assert all(bound.reason.startswith("proposed: ") for bound in file.bounds)
    floor: Floor = file.floors[0]
    assert 0.3 < floor.limit < 0.8
    assert file.proposed[0].draws == 2
    assert _judged(tmp_path / "reports" / "proposal" / "thresholds.toml", cache, "scenes")


def test_pictures_that_the_gate_judges_may_be_measured_on_but_never_silently(propose: Propose, tmp_path: Path) -> None:
    result = propose("--thresholds", "bounds.toml", data="scenes", draws=1)
    assert "the very pictures that the gate judges" in result.output
    proposed = tmp_path / "reports" / "proposal" / "bounds.toml"
    session = GateSession.open(Options(root=tmp_path, thresholds=proposed))
    assert any("no evidence" in note for note in session.notes)
    other = GateSession.open(Options(root=tmp_path, thresholds=proposed, data="scenes:seed=3"))
    assert not any("no evidence" in note for note in other.notes)


def test_the_user_s_own_data_are_not_measured_on_unless_named(propose: Propose, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.reliability]\ndata = "folder:mine"\n')
    result = propose("--thresholds", "bounds.toml", data=None)
    assert result.exit_code == 1
    assert "which pictures may margins be measured on?" in result.output


def test_the_user_s_file_is_never_replaced(propose: Propose, tmp_path: Path) -> None:
    result = propose("--thresholds", "bounds.toml", "--out", ".", draws=1)
    assert result.exit_code == 1
    assert "never replaces" in result.output
    assert (tmp_path / "bounds.toml").read_text() == FILE
    assert not (tmp_path / "proposal.diff").exists()
