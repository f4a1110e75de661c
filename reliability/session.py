"""One run of the gate: from options to plan and engine, and from records to report."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from threadpoolctl import threadpool_limits

from reliability.claims.bounds import ThresholdFile
from reliability.claims.cases import Case, Plan, choose_recipes
from reliability.claims.judge import check_floor
from reliability.claims.reader import load_thresholds
from reliability.claims.records import RunRecord
from reliability.data.registry import DataSet, open_data
from reliability.errors import ThresholdError, UsageError
from reliability.evaluate.cache import Cache
from reliability.evaluate.candidate import Candidate
from reliability.evaluate.code_version import code_version
from reliability.evaluate.compare import Pair, judgeable_metrics
from reliability.evaluate.engine import Engine
from reliability.evaluate.group import GroupPair
from reliability.evaluate.limits import REPLICATES
from reliability.metrics.scores import EMBEDDED, SCORES
from reliability.models.spec import ModelSpec, OwnCandidate, parse_candidate, parse_model
from reliability.quant.backends.registry import require_available
from reliability.quant.recipe import FP32
from reliability.quant.recipe_file import load_recipes
from reliability.report.markdown import write_report
from reliability.report.terminal import summary_lines
from reliability.types import TaskGroup
from reliability.versions import installed

DEFAULT_REFERENCE = "zoo:scenes-clean"
DEFAULT_THRESHOLDS = Path("thresholds/embedded.toml")
_RECORDED_VERSIONS = ("quant-reliability", "torch", "open_clip_torch", "numpy", "scipy", "pytest")


@dataclass(frozen=True)
class Options:
    """What a run was asked for; None and empty mean the default.

    Attributes:
        root: The folder that default paths are relative to.
        candidates, embeddings: Models of the user's own, and folders of features, each with
            ``NAME=`` before it where it is to have another name.
        untrusted: Whether models that run code of their own are refused.
        worker: The xdist worker's id, empty in the controller or without workers.
    """

    root: Path
    references: tuple[str, ...] = ()
    checkpoint: Path | None = None
    candidates: tuple[str, ...] = ()
    embeddings: tuple[str, ...] = ()
    untrusted: bool = False
    recipes: str | None = None
    recipe_file: Path | None = None
    data: str = "scenes"
    data_root: Path | None = None
    prompts: Path | None = None
    skip_unreadable: int = 0
    thresholds: Path | None = None
    report_dir: Path | None = None
    cache_dir: Path | None = None
    device: str = "cpu"
    threads: int = 1
    limit: int | None = None
    worker: str = ""

    @property
    def cache_folder(self) -> Path:
        """Where embeddings are kept."""
        import platformdirs

        return self.cache_dir or Path(platformdirs.user_cache_dir("quant-reliability"))


@dataclass
class GateSession:
    """What one process of a run works with.

    Attributes:
        device: Where this process computes.
        claims: Names of the claims that were collected.
        default_run: Whether recipes and data are those the threshold file is for,
            so that a bound which meets nothing is a mistake.
    """

    options: Options
    thresholds: ThresholdFile
    plan: Plan
    data: DataSet
    device: str
    default_run: bool
    claims: set[str] = field(default_factory=set)
    _floors_checked: set[str] = field(default_factory=set)
    _last: tuple[tuple[ModelSpec, Candidate, str, bool, bool], Pair | GroupPair] | None = None

    @classmethod
    def open(cls, options: Options) -> GateSession:
        """Read everything a run is made of; no picture is decoded and no model loaded.

        Raises:
            ReliabilityError: An option, the threshold file or the data is at fault.
        """
        scores = [score.name for score in SCORES.values() if score.needs <= EMBEDDED | {"training"}]
        known = {"metric": judgeable_metrics(), "score": scores}
        thresholds = load_thresholds(_short(options.thresholds or options.root / DEFAULT_THRESHOLDS), known)
        data = open_data(options.data, options.data_root, options.limit, options.prompts, options.skip_unreadable)
        models = tuple(
            parse_model(text, options.checkpoint, untrusted=options.untrusted)
            for text in options.references or (DEFAULT_REFERENCE,)
        )
        brought = _brought(options)
        wanted = options.recipes.split(",") if options.recipes else () if brought else thresholds.recipes
        own = load_recipes(options.recipe_file) if options.recipe_file else {}
        recipes = choose_recipes([name.strip() for name in wanted if name.strip()], thresholds.recipes, own)
        require_available(recipes, options.device)
        if not recipes and not brought:
            raise UsageError(
                where=thresholds.path, what="the run has no recipe", got=repr(options.recipes),
                next="list recipes under [run] in the threshold file, or name them with --recipes",
            )  # fmt: skip
        _check_distinct("--reference", models)
        _check_distinct("--candidate", (*recipes, *brought))
        plan = Plan(thresholds, models, (*recipes, *brought), data.tasks)
        return cls(options, thresholds, plan, data, _device(options), _is_default(options, data))

    @cached_property
    def engine(self) -> Engine:
        """Made on first use: collecting cases touches no cache.

        NumPy's matrix products get as many threads as torch, since their number can
        move a last bit, and must not follow from ``-n`` or from the machine.
        """
        threadpool_limits(self.options.threads)
        return Engine(Cache(self.options.cache_folder), self.data, self.device, self.options.threads)

    def pair(self, case: Case, *, against_simulation: bool = False) -> Pair | GroupPair:
        """Both models on a case's task or group of tasks, once the reference is known to be worth comparing with.

        Args:
            against_simulation: Whether a candidate on kernels is held against the same recipe
                in simulation, and not against the FP32 model.

        Raises:
            UsageError: There is no such simulation, or the case is about a group of tasks.
        """
        self._check_floors(case.model)
        fit = case.bound.score in SCORES and "training" in SCORES[case.bound.score].needs
        asked = (case.model, case.recipe, case.task.name, fit, against_simulation)
        # Cases are ordered so that those of one task follow one another.
        if self._last is None or self._last[0] != asked:
            self._last = (asked, self._simulated(case) if against_simulation else self._compared(case, fit))
        return self._last[1]

    def _simulated(self, case: Case) -> Pair:
        recipe, task = case.recipe, case.task
        if isinstance(recipe, OwnCandidate) or not recipe.backend or isinstance(task, TaskGroup):
            raise UsageError(
                where=case.name, what="only recipes on kernels are held against their simulation, one task at a time",
                got=f"recipe {recipe.name}, task {task.name}", next='apply the bound to recipes "*@*" and plain tasks',
            )  # fmt: skip
        return self.engine.pair(case.model, recipe, task, against=recipe.simulated)

    def _compared(self, case: Case, fit: bool) -> Pair | GroupPair:
        if isinstance(case.task, TaskGroup):
            return self.engine.group_pair(case.model, case.recipe, case.task)
        return self.engine.pair(case.model, case.recipe, case.task, fit=fit)

    def check_complete(self) -> None:
        """Every recipe is judged by something; on a default run every bound meets a case.

        Raises:
            UsageError, ThresholdError: Something would go unjudged.
        """
        self.plan.check_recipes_matched(self.claims)
        idle = self.thresholds.unmatched(self.plan.used)
        if self.default_run and idle:
            listed = "; ".join(f"bound {bound.index} ({bound.claim})" for bound in idle)
            raise ThresholdError(
                where=self.thresholds.path, what="a bound matches no case of the full run", got=listed,
                next="correct its claim or patterns, or remove it; a bound that judges nothing protects nothing",
            )  # fmt: skip

    def _check_floors(self, model: ModelSpec) -> None:
        """The baseline is gated too."""
        if model.name in self._floors_checked:
            return
        for floor in self.thresholds.floors_for(model.name):
            pair = self.engine.pair(model, FP32, self.data.task(floor.task))
            comparison = pair.harm(floor.metric, floor.score)
            check_floor(floor, comparison.reference.estimate, comparison.n)
        self._floors_checked.add(model.name)

    @property
    def notes(self) -> tuple[str, ...]:
        """What a report must say about the data, and about where the features of own candidates come from."""
        own = [candidate for candidate in self.plan.recipes if isinstance(candidate, OwnCandidate)]
        return (*self.data.notes, *(one.note(model.text) for one in own for model in self.plan.models))

    def describe(self) -> dict[str, Any]:
        """Settings of the run, for its record."""
        return {
            "references": {model.name: dict(model.identity) for model in self.plan.models},
            "recipes": {recipe.name: dict(recipe.identity) for recipe in self.plan.recipes},
            "data": self.data.name,
            "tasks": {name: task.card for name, task in self.data.tasks.items()},
            "thresholds": {"file": self.thresholds.path, "sha256": self.thresholds.digest},
            "limit": self.options.limit,
            "device": self.options.device,
            "torch_threads": self.options.threads,
            "bootstrap": {"replicates": REPLICATES, "seed": 0},
            "versions": {name: installed(name) for name in _RECORDED_VERSIONS},
            "code": code_version(""),
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        }


def _short(path: Path) -> Path:
    """The path as a person here would write it, so that messages and reports name no home folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _brought(options: Options) -> tuple[OwnCandidate, ...]:
    """The user's own candidates: models, and features computed elsewhere."""
    models = [parse_candidate(text, untrusted=options.untrusted) for text in options.candidates]
    texts = [_as_embeddings(text) for text in options.embeddings]
    return (*models, *(parse_candidate(text, option="--embeddings") for text in texts))


def _as_embeddings(text: str) -> str:
    """``[NAME=]DIR`` in the words of ``--candidate``."""
    name, equals, folder = text.partition("=")
    return f"{name}=embeddings:{folder}" if equals else f"embeddings:{text}"


def _check_distinct(option: str, models: Sequence[ModelSpec | Candidate]) -> None:
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise UsageError(
            where=option, what="a model is named twice", got=", ".join(names),
            next="name each model once; a candidate's name can be given: NAME=saved:DIR",
        )  # fmt: skip


def _is_default(options: Options, data: DataSet) -> bool:
    """Whether every bound should meet something: nothing was chosen by hand, and no set is missing."""
    chosen = options.recipes is not None or options.candidates or options.embeddings
    return not chosen and not data.missing


def _device(options: Options) -> str:
    """The device of this process: of several GPUs, worker k takes GPU k modulo their number.

    Raises:
        UsageError: No such device here.
    """
    if options.device == "cpu":
        return "cpu"
    import torch

    kind, _, index = options.device.partition(":")
    count = torch.cuda.device_count()
    if kind != "cuda" or not (index.isdecimal() or not index) or int(index or 0) >= count:
        raise UsageError(
            where=f"--torch-device {options.device}",
            what="no such device on this machine",
            got=f"{count} CUDA devices",
            next="use cpu, cuda or cuda:N with N below that number",
        )
    return options.device if index else f"cuda:{int(options.worker.removeprefix('gw') or 0) % count}"


@dataclass
class RunLog:
    """Records of finished cases, in the controller.

    Attributes:
        folder: The run's report folder; ``cases.jsonl`` grows there case by case.
    """

    folder: Path
    started: float
    records: list[dict[str, Any]] = field(default_factory=list)
    run: RunRecord | None = None

    @classmethod
    def start(cls, options: Options) -> RunLog:
        """Create the report folder."""
        stamp = time.strftime("%Y%m%d-%H%M%S") + f"-{os.getpid()}"
        folder = options.report_dir or options.root / "reports" / stamp
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "cases.jsonl").write_text("")
        return cls(folder, time.time())

    def add(self, record: dict[str, Any]) -> None:
        """Keep a record and append it to the log on disk."""
        self.records.append(record)
        with (self.folder / "cases.jsonl").open("a") as file:
            file.write(json.dumps(record) + "\n")

    def finish(self, session: GateSession, *, ended: bool) -> None:
        """Write ``report.json``, ``report.md`` and the figures.

        A case of the threshold file that left no record, whether deselected, lost with
        a worker or never reached, makes the run partial.
        """
        planned = session.plan.all_cases()
        missing = sorted(planned - {record["case"] for record in self.records})
        problems = [] if ended else ["the run was interrupted"]
        if missing:
            problems.append(f"{len(missing)} of {len(planned)} cases were not judged, such as {missing[0]}")
        described = session.describe() | {"seconds": round(time.time() - self.started, 1)}
        self.run = RunRecord(
            run=described, notes=session.notes, cases=self.records, complete=not problems, problems=problems
        )
        write_report(self.folder, self.run)

    def summary_lines(self) -> list[str]:
        """Short table of the run and the report's path."""
        lines = summary_lines(self.run) if self.run is not None else []
        return [*lines, f"report: {self.folder / 'report.md'}"]
