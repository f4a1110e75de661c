"""A small real run of the gate into which one fault is planted, and what came of it."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch

from reliability.claims.judge import judge
from reliability.claims.records import case_record, error_record
from reliability.data.dataset import DataSet
from reliability.errors import ReliabilityError
from reliability.evaluate.running import candidates
from reliability.evaluate.running.candidates import Candidates
from reliability.models.openclip import ClipModel
from reliability.session import gate
from reliability.session.gate import GateSession
from reliability.session.log import RunLog
from reliability.session.options import Options

HERE = Path(__file__).parent
PICTURES = 200
"""Of every source."""

Results = dict[str, str]
"""Case, or ``run`` for what stopped the whole run, to its outcome; errors as ``Class: first line``."""


@dataclass(frozen=True)
class Fault:
    """One row of the table in docs/reliability.md.

    Attributes:
        name: What is wrong.
        where: What it is planted into.
        plant: Plants it.
        claim: Whose verdict shows it; ``run`` where the whole run is refused, ``report`` where the report is.
        outcome: ``broken``, or the class of the error that there must be.
        says: A part of the error's text.
        recipe: What is asked for, of ``recipes.toml``.
        tasks: What is judged.
        start: Which entries the cache holds before: the reference's, and the prepared candidate.
        part: The one part of the model that the proof of coverage must name.
    """

    name: str
    where: str
    plant: Callable[[World], None]
    claim: str
    outcome: str = "broken"
    says: str = ""
    recipe: str = "plain"
    tasks: tuple[str, ...] = ("id",)
    start: str = "prepared"
    part: str = ""


class World:
    """One run to be spoiled.

    Args:
        patch: Undone after the test.
        folder: Of this test.
        caches: Template caches by name.
        networks: Sound candidates by recipe, shared by all tests.
    """

    def __init__(
        self, patch: pytest.MonkeyPatch, folder: Path, caches: Path, networks: dict[str, Any], start: str = "prepared"
    ) -> None:
        self.patch, self.folder, self.networks = patch, folder, networks
        self.cache = folder / "cache"
        shutil.copytree(caches / start, self.cache)
        self.bounds = (HERE / "bounds.toml").read_text()
        self.settings: dict[str, Any] = {}
        self.edit_records: Callable[[list[dict[str, Any]]], list[dict[str, Any]]] = list

    def options(self, recipes: str) -> Options:
        """Options of this run."""
        path = self.folder / "bounds.toml"
        path.write_text(self.bounds.replace("RECIPES", json.dumps(recipes.split(","))))
        given: dict[str, Any] = {"limit": PICTURES, "recipe_file": HERE / "recipes.toml", "thresholds": path}
        given |= {"cache_dir": self.cache, "report_dir": self.folder / "report"}
        return Options(root=self.folder, **(given | self.settings))

    def run(self, recipes: str, tasks: Sequence[str], claims: Sequence[str] = ()) -> Results:
        """Judge the cases of some claims, or of all, on some tasks as the gate does."""
        results: Results = {}
        with _refusal(results, "run"):
            session = self.session = GateSession.open(self.options(recipes))
            names = sorted({bound.claim for bound in session.thresholds.bounds})
            session.claims.update(names)
            chosen = [case for name in names for case in session.plan.cases(name) if case.task.name in tasks]
            session.check_complete()
            chosen = [case for case in chosen if not claims or case.claim in claims]
            records = [_judged(session, case, results) for case in chosen]
            with _refusal(results, "report"):
                self._report(session, records, results)
        return results

    def faulty_parts(self) -> list[str]:
        """What the proof of coverage of the run's only recipe finds fault with."""
        case = self.session.plan.cases("coverage_faults")[0]
        return [part.name for part in self.session.engine.proof(case.model, case.recipe).faulty]

    def _report(self, session: GateSession, records: list[dict[str, Any]], results: Results) -> None:
        log = RunLog.start(self.options("plain"))
        for record in self.edit_records(records):
            log.add(record)
        planned = {record["case"] for record in records}
        self.patch.setattr(type(session.plan), "all_cases", lambda _: planned)
        self.patch.setattr("reliability.session.log.write_report", lambda _, run: run.results())
        self.patch.setattr("reliability.session.log.page_line", lambda *_: "")
        log.finish(session, ended=True)
        assert log.run is not None
        results["report"] = "; ".join(log.run.problems) or "whole"

    def spoil_network(self, fault: Callable[[Any], None]) -> None:
        """Plant a fault between what was prepared and what is run."""
        sound = Candidates.network

        def network(owner: Any, *arguments: Any) -> Any:
            clip = copy.deepcopy(sound(owner, *arguments))
            with torch.no_grad():
                fault(clip)
            return clip

        self.patch.setattr(Candidates, "network", network)

    def spoil_prepared(self, fault: Callable[[Any], None]) -> None:
        """Plant a fault into what preparation hands on, which is then stored."""

        def prepare(_: Any, recipe: Any, *__: Any) -> Any:
            clip = copy.deepcopy(self.networks[recipe.name])
            with torch.no_grad():
                fault(clip)
            return clip

        self.patch.setattr(candidates, "prepare", prepare)

    def spoil_reading(self, fault: Callable[[ClipModel], ClipModel]) -> None:
        """Let the candidate, not the reference, read its pictures or texts in a wrong way."""
        for name in ("embed_images", "embed_prompts"):
            sound = getattr(candidates, name)

            def embed(clip: Any, model: ClipModel, *rest: Any, sound: Any = sound) -> Any:
                return sound(clip, model if clip is model.clip else fault(model), *rest)

            self.patch.setattr(candidates, name, embed)

    def spoil_features(self, kind: str, fault: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Change what the candidate's embedding step gives; ``kind`` is ``images`` or ``prompts``."""
        sound = getattr(candidates, f"embed_{kind}")

        def embed(clip: Any, model: ClipModel, *rest: Any) -> Any:
            found = sound(clip, model, *rest)
            return found if clip is model.clip else fault(found)

        self.patch.setattr(candidates, f"embed_{kind}", embed)

    def spoil_data(self, fault: Callable[[DataSet], DataSet]) -> None:
        """Change the data set that both models see."""
        sound = gate.open_run_data
        self.patch.setattr(gate, "open_run_data", lambda *args: fault(sound(*args)))


def with_task(data: DataSet, name: str, **changes: Any) -> DataSet:
    """A data set with one task changed."""
    return replace(data, tasks={**data.tasks, name: replace(data.tasks[name], **changes)})


def _judged(session: GateSession, case: Any, results: Results) -> dict[str, Any]:
    names = (case.name, case.model.name, case.recipe.name, case.task.name)
    try:
        comparison = session.pair(case).harm(case.bound.metric, case.bound.score, level=case.bound.level)
        verdict = judge(case.bound, comparison, case=case.name)
    except ReliabilityError as error:
        results[case.name] = f"{type(error).__name__}: {error}"
        return error_record(*names, case.bound, str(error), 0.0)
    results[case.name] = verdict.outcome
    return case_record(*names, verdict, 0.0)


@contextmanager
def _refusal(results: Results, what: str) -> Iterator[None]:
    try:
        yield
    except ReliabilityError as error:
        results[what] = f"{type(error).__name__}: {error}"
