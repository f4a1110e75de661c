"""``reliability explain``: everything about a case, from the record, the cache, and on request from models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from reliability.claims.judge import judge
from reliability.claims.records import case_record, error_record
from reliability.claims.runs import RunRecord, write_json
from reliability.cli import main
from reliability.evaluate.saving import save_candidate
from reliability.models.spec import parse_model
from reliability.quant.recipe import parse_recipe
from reliability.session.gate import GateSession
from reliability.session.needs import all_cases
from reliability.session.options import Options

FILE = """\
schema = 1
[defaults]
level = 0.95
min_images = 40
[run]
recipes = ["w4a4-minmax", "w8a8-minmax"]
[[group]]
name = "noises"
task = ["noise/gaussian_noise/3", "noise/frost/3"]
[[bound]]
claim = "accuracy"
applies = { task = "id" }
metric = "top1"
relation = "not_worse"
margin = 0.05
gate = true
reason = "for tests"
[[bound]]
claim = "ood_separation"
applies = { task = "ood/near" }
metric = "auroc"
score = "mcm"
relation = "not_worse"
margin = 0.0
gate = true
reason = "for tests"
[[bound]]
claim = "noise"
applies = { group = "noises" }
metric = "mean_corruption_accuracy"
relation = "not_worse"
margin = 0.05
gate = true
reason = "for tests"
"""
BROKEN = "accuracy[scenes-clean-w4a4-minmax-id-top1]"


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cache: Path) -> Path:
    """The report of a run of two recipes; the case of w8a8 on noise ended in an error."""
    monkeypatch.chdir(tmp_path)
    Path("bounds.toml").write_text(FILE)
    return judged(Options(root=Path(), thresholds=Path("bounds.toml"), limit=60, cache_dir=cache))


def judged(options: Options) -> Path:
    """The report of a run with such options."""
    session, records = GateSession.open(options), []
    for case in all_cases(session):
        names = (case.name, case.model.name, case.recipe.name, case.task.name)
        if case.claim == "noise" and case.recipe.name == "w8a8-minmax":
            records.append(error_record(*names, case.bound, "too few images\n  got: 3", 0.1))
            continue
        # Sixty pictures would leave a verdict open; a level so low settles it.
        bound = replace(case.bound, level=0.51)
        comparison = session.pair(case).harm(bound.metric, bound.score, level=bound.level)
        records.append(case_record(*names, judge(bound, comparison, case.name), 0.1))
    write_json(Path("reports/one/report.json"), RunRecord(session.describe(), records, complete=True))
    return Path("reports/one")


Explain = Callable[..., Result]


@pytest.fixture
def explain(run: Path, cache: Path) -> Explain:
    def call(case: str, *arguments: str, cached: Path = cache) -> Result:
        done = CliRunner().invoke(
            main, ["explain", case, "--report", str(run.parent), "--cache-dir", str(cached), *arguments]
        )
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done

    return call


def test_a_broken_case_is_taken_apart_from_the_cache_and_its_way_out_named(explain: Explain, run: Path) -> None:
    shown = explain(BROKEN)
    assert shown.exit_code == 0, shown.output
    for part in (
        f"broken: {BROKEN}",
        "51 % limits",
        "classes: ",
        "were right and are wrong",
        "candidate (confidence)",
        "images  ",
        "layers against the reference's own",
        "visual.transformer.resblocks.",
        "smallest change known to hold here: w8a8-minmax, at other bits",
        f"run: {run}",
    ):
        assert part in shown.output, part
    assert "0 faults" in shown.output or "not shown: coverage" in shown.output


def test_without_the_cache_the_record_is_shown_and_what_lacks_is_said(explain: Explain, tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    shown = explain(BROKEN, cached=empty)
    assert shown.exit_code == 0, shown.output
    assert f"broken: {BROKEN}" in shown.output
    assert "were right and are wrong" in shown.output  # the record of top-1 holds what changed
    assert "not everything is in the cache" in shown.output
    assert "--compute" in shown.output
    assert "classes: " not in shown.output
    assert not list(empty.rglob("*.bin"))


def test_without_the_threshold_file_the_record_is_shown_and_the_reason_said(explain: Explain) -> None:
    Path("bounds.toml").unlink()
    shown = explain(BROKEN)
    assert shown.exit_code == 0, shown.output
    assert f"broken: {BROKEN}" in shown.output
    assert "not shown: classes, pictures and layers:" in shown.output
    assert "bounds.toml" in shown.output


def test_a_case_on_unfamiliar_pictures_shows_both_sides_of_each_cutoff(explain: Explain) -> None:
    shown = explain("ood_separation[scenes-clean-w4a4-minmax-ood/near-auroc-mcm]")
    assert shown.exit_code == 0, shown.output
    assert "familiar, accepted" in shown.output
    assert "pictures accepted by mcm differently" in shown.output


def test_a_group_is_shown_by_corruption_and_an_error_record_as_one(explain: Explain) -> None:
    group = explain("noise[scenes-clean-w4a4-minmax-noises-mean_corruption_accuracy]")
    assert "gaussian_noise" in group.output
    assert "a group of tasks is taken apart by task" in group.output
    failed = explain("noise[scenes-clean-w8a8-minmax-noises-mean_corruption_accuracy]")
    assert failed.exit_code == 0, failed.output
    assert "error: noise[" in failed.output
    assert "got: 3" in failed.output
    assert "layers against the reference's own" in failed.output


def test_a_search_judges_recipes_near_by_until_one_holds(explain: Explain, monkeypatch: pytest.MonkeyPatch) -> None:
    import reliability.explaining as explaining

    ladder = [parse_recipe(name) for name in ("w2a2-minmax", "w8a8-minmax", "w8a8-mse")]
    monkeypatch.setattr(explaining, "neighbours", lambda recipe: ladder if recipe.name == "w4a4-minmax" else [])
    shown = explain(BROKEN, "--search")
    assert shown.exit_code == 0, shown.output
    assert "w2a2-minmax  broken" in shown.output
    assert "smallest change found to hold here: w8a8-minmax" in shown.output
    assert "pytest suites/ --recipes w8a8-minmax" in shown.output
    assert "w8a8-mse" not in shown.output
    fp32 = explain("accuracy[scenes-clean-w8a8-minmax-id-top1]", "--search")
    assert fp32.exit_code == 1
    assert "no recipes near this candidate" in fp32.output


def test_a_model_of_ones_own_is_found_again_by_the_option_of_its_run(
    explain: Explain, cache: Path, tmp_path: Path
) -> None:
    session = GateSession.open(Options(root=Path(), thresholds=Path("bounds.toml"), limit=60, cache_dir=cache))
    reference, recipe = parse_model("zoo:scenes-clean"), parse_recipe("w4a4-minmax")
    save_candidate(session.engine, reference, recipe, tmp_path / "mine")
    own = f"mine=saved:{tmp_path / 'mine'}"
    judged(Options(root=Path(), thresholds=Path("bounds.toml"), limit=60, cache_dir=cache, candidates=(own,)))
    case = "accuracy[scenes-clean-mine-id-top1]"
    shown = explain(case, "--candidate", own)
    assert shown.exit_code == 0, shown.output
    assert "classes: " in shown.output
    assert "candidate (confidence)" in shown.output
    without = explain(case)
    assert without.exit_code == 0, without.output
    assert "mine" in without.output.partition("not shown: classes, pictures and layers:")[2]


def test_a_case_that_no_run_judged_is_an_error(explain: Explain) -> None:
    shown = explain("accuracy[nothing]")
    assert shown.exit_code == 1
    assert "no run here judged this case" in shown.output
