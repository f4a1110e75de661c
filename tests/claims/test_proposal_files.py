"""A proposal is a file that the reader takes, and a diff that git applies; the user's own file is left alone."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from reliability.claims.bounds import Bound, Proposed, ThresholdFile
from reliability.claims.proposal import Action, Proposal, Terms
from reliability.claims.proposal_file import FRESH_NAME, entries, proposed_files
from reliability.claims.reader import load_thresholds
from reliability.errors import UsageError
from reliability.types import Interval

MAIN = """\
#:schema x.json
# Ours.
schema = 1
include = "parts/more.toml"

[defaults]
level = 0.95
min_images = 1000

[run]
recipes = ["w8a8-minmax"]

[[floor]]
model = "*"
task = "id"
metric = "top1"
at_least = 0.5
reason = "far above guessing"

[[floor]]
model = "*"
task = "elsewhere"
metric = "top1"
at_least = 0.5
reason = "not here"

[[bound]]
claim = "accuracy"
metric = ["top1", "ece"]
relation = "not_worse"
margin = 0.010  # pp
gate = true
reason = "what users notice"

[[bound]]
claim = "gain"
metric = "top1"
relation = "improves"
gate = false
reason = "the study's"
"""
MORE = """\
schema = 1
[defaults]
level = 0.95
min_images = 1000

[[bound]]
claim = "noise"
metric = "top1"
relation = "not_worse"
margin = 0.020
gate = true
reason = "more of it"
"""
TERMS = Terms(Proposed('scenes:seed=1,"x"', ("zoo:a",), ("w8a8-minmax", "w4a4-mse"), 3, 1.5, 60, ""))
FRESH = Terms(TERMS.basis, fresh=True)


@pytest.fixture
def thresholds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ThresholdFile:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t" / "parts").mkdir(parents=True)
    (tmp_path / "t" / "main.toml").write_text(MAIN)
    (tmp_path / "t" / "parts" / "more.toml").write_text(MORE)
    return load_thresholds(Path("t/main.toml"))


def proposal(bound: Bound, action: Action = "tightened", margin: str | None = "0.0042") -> Proposal:
    reason = f"{bound.reason}; {action}" if margin else None
    return Proposal(bound, action, margin, reason, (f"{action} from {bound.margin:g}", "measured"))


def test_margins_and_reasons_change_in_place_and_every_file_stays_loadable(
    thresholds: ThresholdFile, tmp_path: Path
) -> None:
    found = entries(thresholds.bounds)
    assert [bound.claim for bound in found.values()] == ["noise", "accuracy", "gain"]
    proposals = {
        place: proposal(b, margin=None if b.relation == "improves" else "0.0042") for place, b in found.items()
    }
    made = proposed_files(thresholds, proposals, TERMS, {})
    for file in made:
        (tmp_path / "out" / file.path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "out" / file.path).write_text(file.after)
    again = load_thresholds(tmp_path / "out" / "main.toml")
    assert [(b.claim, b.metric, b.margin) for b in again.bounds] == [
        ("noise", "top1", 0.0042), ("accuracy", "top1", 0.0042), ("accuracy", "ece", 0.0042), ("gain", "top1", 0.0)
    ]  # fmt: skip
    assert again.bounds[1].reason == "what users notice; tightened"
    assert again.bounds[3].reason == "the study's"
    assert "# proposal: tightened from 0.01\n# proposal: measured\nmargin = 0.0042  # pp\n" in made[0].after
    assert (tmp_path / "t" / "main.toml").read_text() == MAIN


def test_a_file_says_what_its_margins_were_measured_on_once(thresholds: ThresholdFile, tmp_path: Path) -> None:
    made = proposed_files(thresholds, {}, TERMS, {})[0]
    (tmp_path / "t" / "main.toml").write_text(made.after)
    again = load_thresholds(Path("t/main.toml"))
    (proposed,) = again.proposed
    assert proposed == Proposed(
        *(getattr(TERMS.basis, name) for name in vars(TERMS.basis) if name != "file"), "t/main.toml"
    )
    assert again.notes_on('scenes:seed=1,"x"')[0].startswith("margins of t/main.toml were proposed on scenes:seed=1")
    assert again.notes_on("scenes") == ()
    twice = proposed_files(again, {}, TERMS, {})[0]
    assert twice.after == made.after
    assert twice.diff == ""


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
@pytest.mark.parametrize("ending", ["\n", ""], ids=["with a last line end", "without"])
def test_git_applies_the_diff(thresholds: ThresholdFile, tmp_path: Path, ending: str) -> None:
    main = tmp_path / "t" / "main.toml"
    main.write_text(MAIN.rstrip("\n") + ending)
    proposals = {place: proposal(b, margin=None if b.relation == "improves" else "0.0042")
                 for place, b in entries(thresholds.bounds).items()}  # fmt: skip
    made = proposed_files(thresholds, proposals, TERMS, {})
    (tmp_path / "p.diff").write_text("".join(file.diff for file in made))
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "apply", "p.diff"], cwd=tmp_path, check=True)
    assert main.read_text() == made[0].after
    assert (tmp_path / "t" / "parts" / "more.toml").read_text() == next(
        f for f in made if f.path.name == "more.toml"
    ).after


def test_a_first_file_keeps_what_was_measured_and_sets_floors_below_the_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("start.toml").write_text(MAIN.replace('include = "parts/more.toml"\n', ""))
    thresholds = load_thresholds("start.toml")
    found = entries(thresholds.bounds)
    actions: list[Action] = ["set", "not measured"]
    margins = ["0.0042", None]
    proposals = {place: proposal(b, a, m) for (place, b), a, m in zip(found.items(), actions, margins, strict=True)}
    reference = {("start.toml", 1): Interval(0.72, 0.705, 0.735, 0.95, 0.009)}
    (made,) = proposed_files(thresholds, proposals, FRESH, reference)
    assert (made.path, made.before) == (Path(FRESH_NAME), "")
    assert "--- /dev/null" in made.diff
    Path(FRESH_NAME).write_text(made.after)
    again = load_thresholds(FRESH_NAME)
    assert [b.claim for b in again.bounds] == ["accuracy", "accuracy"]
    assert [(f.task, f.limit) for f in again.floors] == [("id", 0.69)]
    assert again.recipes == ("w8a8-minmax", "w4a4-mse")


def test_a_file_from_outside_the_first_one_s_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("t").mkdir()
    Path("more.toml").write_text(MORE)
    Path("t/main.toml").write_text(MAIN.replace("parts/more.toml", "../more.toml"))
    thresholds = load_thresholds("t/main.toml")
    with pytest.raises(UsageError, match="outside of its own folder"):
        proposed_files(thresholds, {p: proposal(b) for p, b in entries(thresholds.bounds[:1]).items()}, TERMS, {})
