"""What a model refuses or the data lack is said; the shipped plans hold what claims ask; processes share the work."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from reliability.errors import ModelError, QuantizationError
from reliability.evaluate.running.need import Need
from reliability.models.spec import parse_model
from reliability.quant.recipe import parse_recipe
from reliability.study import fill as filling
from reliability.study.fill import Wanted, fill
from reliability.study.finding import ALL_MODELS, NOT_APPLICABLE
from reliability.study.names import SHIPPED
from reliability.study.run import CLAIMS, judge_all, judge_model
from reliability.sweep.grid import expand
from reliability.sweep.plan import load_plan

PLANS = Path(__file__).parents[2] / "plans"
FEW = 200
"""Pictures, where verdicts do not matter."""
ROTATIONS = tuple(name for name in SHIPPED if "hadamard" in name)


def same(_recipe, embeddings):
    return embeddings


def test_a_refusal_is_a_finding_with_its_reason_and_other_claims_go_on(planted):
    study = judge_model(planted(same, refuses=ROTATIONS, count=FEW))
    verdicts = {f.title: f for f in study.findings}
    refused = [f for f in verdicts.values() if f.verdict == NOT_APPLICABLE]
    assert {f.claim for f in refused} == {"5", "7c"}
    assert all("the tower has no blocks, got: none" in f.judged.meaning for f in refused)
    assert verdicts[CLAIMS[0].title].verdict != NOT_APPLICABLE
    assert not any("hadamard" in effect.name for effect in verdicts[CLAIMS[0].title].judged.effects)


def test_tasks_that_the_data_lack_are_told_claim_by_claim(planted):
    bench = planted(same, count=FEW)
    tasks = bench.engine.data.tasks
    for name in [name for name in tasks if name.startswith(("spurious", "noise", "shift", "ood"))]:
        del tasks[name]
    study = judge_model(bench)
    by_claim = {}
    for finding in study.findings:
        by_claim.setdefault(finding.claim, set()).add(finding.verdict)
    assert by_claim["5"] == by_claim["6"] == {NOT_APPLICABLE}
    assert NOT_APPLICABLE not in by_claim["2"] | by_claim["8"] | by_claim["7a"]
    assert any("no task spurious/background" in f.judged.meaning for f in study.findings)


def test_a_recipe_that_the_plan_does_not_hold_is_not_computed(planted):
    bench = planted(same, planned=("w8a8-minmax",), count=FEW)
    study = judge_model(bench)
    assert {recipe for recipe, _ in bench.engine.asked} == {"fp32", "w8a8-minmax"}
    assert any("the plan holds no such candidate" in f.judged.meaning for f in study.findings)


def test_the_shipped_plans_hold_every_candidate_and_task_that_a_claim_asks_for(planted):
    units = [u for name in ("study", "study-controls") for u in expand(load_plan(PLANS / f"{name}.toml")).units]
    held = {(u.recipe.name, u.task) for u in units if u.model.name == "scenes-web"}
    bench = planted(same, planned=tuple({recipe for recipe, _ in held}), count=FEW)
    study = judge_model(bench)
    assert all(f.verdict != NOT_APPLICABLE for f in study.findings)
    asked = {(recipe, task) for recipe, task in bench.engine.asked if recipe != "fp32"}
    assert asked <= held, asked - held
    planned = {"w8a8-minmax", "w4a8-minmax", "w8a8-lsq", "w4a8-lsq"}
    assert planned <= {recipe for recipe, _ in asked}


def test_all_models_are_joined_where_models_were_searched(planted):
    one = judge_model(planted(same, count=FEW))
    study = judge_all([one, one], "a test")
    joined = [f for f in study.findings if f.subject == ALL_MODELS]
    assert {f.claim for f in joined} == {"1", "2", "3", "4"}
    assert [f.claim for f in study.findings] == sorted(f.claim for f in study.findings)
    assert study.made_with == "a test"


class Hands:
    """Workers that do everything here."""

    def each(self, do, shared, items, *, on_device=False):  # noqa: ARG002 - as workers take it
        for item in items:
            yield item, do(shared, item)


@pytest.fixture
def faults(monkeypatch):
    """Needs that cannot be met, by kind and recipe; the others are noted."""
    met, failing = [], {}
    engine = SimpleNamespace(
        data=SimpleNamespace(tasks={"id": None}, task=lambda _: SimpleNamespace(part=SimpleNamespace(source="id"))),
        needs=lambda model, recipe, task: [Need("image", model, recipe, source="id")],  # noqa: ARG005
    )

    def meet(site, waves, workers):  # noqa: ARG001
        for need in waves[0]:
            met.append(need)
            yield need, failing.get((need.kind, need.candidate.name))

    monkeypatch.setattr(filling, "engine_at", lambda _: engine)
    monkeypatch.setattr(filling, "outstanding", lambda _, needs: [list(needs)])
    monkeypatch.setattr(filling, "meet", meet)
    return met, failing


def wanted(*names):
    model = parse_model("zoo:scenes-clean")
    return [Wanted(model, parse_recipe(name), ("id", "not/there")) for name in names]


def silent(_count):
    return lambda: None


def test_candidates_that_are_refused_are_not_embedded(faults):
    met, failing = faults
    failing["prepared", "w4a8-hadamard"] = QuantizationError(where="x", what="no blocks", next="y")
    refused = fill(None, wanted("w4a8-hadamard", "w4a8-minmax"), Hands(), silent)
    assert list(refused.values()) == [{"w4a8-hadamard": "no blocks"}]
    embedded = {(need.kind, need.candidate.name) for need in met if need.kind != "prepared"}
    assert embedded == {
        ("image", "w4a8-minmax"),
        ("layers", "w4a8-minmax"),
        ("layers", "fp32"),
        ("weights", "w4a8-minmax"),
    }


def test_faults_that_are_no_refusals_stop_the_study_and_unknown_layers_do_not(faults):
    _, failing = faults
    fault = ModelError(where="x", what="no blocks", next="y")
    failing["layers", "w4a8-minmax"] = fault
    assert fill(None, wanted("w4a8-minmax"), Hands(), silent)
    failing["image", "w4a8-minmax"] = fault
    with pytest.raises(ModelError):
        fill(None, wanted("w4a8-minmax"), Hands(), silent)
    failing["prepared", "w8a8-minmax"] = fault
    with pytest.raises(ModelError):
        fill(None, wanted("w8a8-minmax"), Hands(), silent)
