"""The pytest plugin: options, cases, fixtures, and the report at the end.

Works with and without pytest-xdist: a worker attaches each case's record to its
test report as plain data, and the controller (or the only process) merges.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

from reliability.claims.cases import Case
from reliability.claims.judge import Verdict, judge
from reliability.claims.records import case_record, error_record
from reliability.errors import ReliabilityError, UsageError
from reliability.evaluate.compare import Pair
from reliability.evaluate.group import GroupPair
from reliability.session import GateSession, Options, RunLog
from reliability.types import Comparison

claim = pytest.mark.claim
"""``@claim("name")`` marks a test as the statement that a threshold file's bounds refer to."""

_SESSION = pytest.StashKey[GateSession]()
_FAULT = pytest.StashKey[ReliabilityError]()
_CASE_PAIR = pytest.StashKey["CasePair"]()
_PROPERTY = "reliability"


def _option(name: str, text: str, **settings: Any) -> tuple[str, dict[str, Any]]:
    return name, {"help": text, **settings}


_OPTIONS = (
    _option(
        "--reference",
        "FP32 model: zoo:NAME or open_clip:ARCH[/TAG]; may be repeated (default: zoo:scenes-clean)",
        action="append",
        metavar="MODEL",
    ),
    _option(
        "--checkpoint",
        "weights for --reference open_clip:ARCH: safetensors, or a torch file that loads with weights_only",
        type=Path,
        metavar="FILE",
    ),
    _option(
        "--candidate",
        "a model of your own to judge against the reference, [NAME=]saved:DIR, onnx:DIR, pt2:FILE, hf:DIR and "
        "others: see reliability list models; may be repeated; without --recipes only these are judged",
        action="append",
        metavar="MODEL",
    ),
    _option(
        "--embeddings",
        "features computed elsewhere to judge against the reference, [NAME=]DIR; may be repeated",
        action="append",
        metavar="DIR",
    ),
    _option(
        "--untrusted",
        "refuse models that run code of their own (python:, pt2:)",
        action="store_true",
        default=False,
    ),
    _option(
        "--recipes",
        "quantization recipes, comma-separated names or globs (default: those the threshold file lists)",
        metavar="NAMES",
    ),
    _option("--recipe-file", "recipes of your own, as [[recipe]] tables in TOML", type=Path, metavar="FILE"),
    _option(
        "--data",
        "scenes, folder:DIR, webdataset:DIR, a benchmark such as imagenet-a, suite:imagenet, and others: "
        "see reliability list data (default: scenes)",
        default="scenes",
    ),
    _option("--data-root", "where benchmarks lie, and where relative DIRs start", type=Path, metavar="DIR"),
    _option("--prompts", "class names and templates of your own, in TOML", type=Path, metavar="FILE"),
    _option(
        "--skip-unreadable",
        "leave out up to N pictures that do not decode, and say so in the report (default: 0)",
        type=int,
        default=0,
        metavar="N",
    ),
    _option("--thresholds", "bounds to judge by (default: thresholds/embedded.toml)", type=Path, metavar="FILE"),
    _option("--report-dir", "where the run's report goes (default: reports/<time>)", type=Path, metavar="DIR"),
    _option("--cache-dir", "where embeddings are kept (default: the user's cache folder)", type=Path, metavar="DIR"),
    _option("--torch-device", "cpu, cuda or cuda:N (default: cpu, the reference platform)", default="cpu"),
    _option("--torch-threads", "torch threads per process, whatever -n (default: 1)", type=int, default=1),
    _option("--limit", "at most N pictures of each source, to try things out", type=int, metavar="N"),
)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options, in one group."""
    group = parser.getgroup("reliability", "reliability of quantized CLIP models")
    for name, settings in _OPTIONS:
        group.addoption(name, **settings)


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers."""
    config.addinivalue_line("markers", "claim(name): the statement that bounds of a threshold file refer to")
    config.addinivalue_line("markers", "gate: a case that can fail the run")
    config.addinivalue_line("markers", "observed: a case that is reported only")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(RunReporter(config), "reliability-reporter")


def _session(config: pytest.Config) -> GateSession:
    """The run's session, made when the first claim is met, so that other test suites pay nothing."""
    if _SESSION not in config.stash:
        config.stash[_SESSION] = GateSession.open(_read_options(config))
    return config.stash[_SESSION]


def _read_options(config: pytest.Config) -> Options:
    values = {name: config.getoption(name) for name, _ in _OPTIONS}
    return Options(
        references=tuple(values["--reference"] or ()),
        checkpoint=values["--checkpoint"],
        candidates=tuple(values["--candidate"] or ()),
        embeddings=tuple(values["--embeddings"] or ()),
        untrusted=values["--untrusted"],
        recipes=values["--recipes"],
        recipe_file=values["--recipe-file"],
        data=values["--data"],
        data_root=values["--data-root"],
        prompts=values["--prompts"],
        skip_unreadable=values["--skip-unreadable"],
        thresholds=values["--thresholds"],
        report_dir=values["--report-dir"],
        cache_dir=values["--cache-dir"],
        device=values["--torch-device"],
        threads=values["--torch-threads"],
        limit=values["--limit"],
        root=config.rootpath,
        worker=getattr(config, "workerinput", {}).get("workerid", ""),
    )


def _claim_name(definition: pytest.Item) -> str | None:
    """The claim a test states, or None for a test that states none.

    Raises:
        UsageError: It states several, or the mark has no name.
    """
    marks = list(definition.iter_markers("claim"))
    if not marks:
        return None
    if len(marks) > 1 or len(marks[0].args) != 1:
        raise UsageError(
            where=definition.nodeid,
            what="a test states exactly one claim, by name",
            got=[mark.args for mark in marks],
            next='write @claim("name") once',
        )
    return str(marks[0].args[0])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Turn a claim into one case per model, recipe, task and bound."""
    if "case" not in metafunc.fixturenames or not metafunc.definition.get_closest_marker("claim"):
        return
    try:
        metafunc.parametrize("case", [_parameter(case) for case in _cases(metafunc)])
    except ReliabilityError as error:
        # Raised here, pytest would show it once per module and with a traceback.
        metafunc.config.stash.setdefault(_FAULT, error)
        metafunc.parametrize("case", [])


def _cases(metafunc: pytest.Metafunc) -> list[Case]:
    name = _claim_name(metafunc.definition)
    session = _session(metafunc.config)
    if name is None:
        return []
    session.claims.add(name)
    return session.plan.cases(name)


def _parameter(case: Case) -> Any:
    weight = pytest.mark.gate if case.bound.gate else pytest.mark.observed
    return pytest.param(case, id=case.id, marks=weight)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Before anything is deselected: every recipe is judged, and on a full run every bound is used."""
    # A claim without a case leaves one placeholder behind that pytest would skip;
    # nothing may be skipped silently, and the checks below say what went unjudged.
    items[:] = [item for item in items if _is_real(item)]
    items.sort(key=_position)
    fault = config.stash.get(_FAULT, None) or _incomplete(config)
    if fault is None:
        return
    items.clear()
    if hasattr(config, "workeroutput"):
        config.workeroutput[_PROPERTY] = str(fault)
        return
    raise pytest.UsageError(str(fault)) from fault


def _incomplete(config: pytest.Config) -> ReliabilityError | None:
    """What a run of whole folders would leave unjudged."""
    names_files = any(Path(str(argument).partition("::")[0]).suffix == ".py" for argument in config.args)
    if _SESSION not in config.stash or names_files:
        return None
    try:
        config.stash[_SESSION].check_complete()
    except ReliabilityError as error:
        return error
    return None


def _is_real(item: pytest.Item) -> bool:
    states_claim = item.get_closest_marker("claim") is not None
    return not states_claim or _case(item) is not None


def _position(item: pytest.Item) -> tuple[str, str]:
    """Claims run grouped by model, recipe and task; other tests first and in their own order."""
    case = _case(item)
    return ("", "") if case is None else (case.worker_group, case.task.name)


def _case(item: pytest.Item) -> Case | None:
    callspec = getattr(item, "callspec", None)
    found = callspec.params.get("case") if callspec is not None else None
    return found if isinstance(found, Case) else None


class CasePair:
    """Both models on a case's task, and the verdict by the case's bound.

    Attributes:
        pair: For claims that need more than one figure.
        verdict: Set by :meth:`judge`.
    """

    def __init__(self, case: Case, pair: Pair | GroupPair) -> None:
        self.case, self.pair = case, pair
        self.comparison: Comparison | None = None
        self.verdict: Verdict | None = None

    def harm(self, metric: str, score: str = "") -> Comparison:
        """Paired harm under any metric, at the bound's level."""
        return self.pair.harm(metric, score, level=self.case.bound.level)

    def judge(self) -> Verdict:
        """Judge the bound's own metric; the verdict is false unless it holds."""
        bound = self.case.bound
        self.comparison = self.harm(bound.metric, bound.score)
        self.verdict = judge(bound, self.comparison, case=self.case.name)
        return self.verdict


@pytest.fixture
def compare(request: pytest.FixtureRequest) -> Callable[..., CasePair]:
    """``compare(case)`` gives both models on the case's task, from the cache or computed.

    With ``against_simulation=True`` a candidate on kernels is held against its own simulation.
    """

    def _compare(case: Case, *, against_simulation: bool = False) -> CasePair:
        session = _session(request.config)
        made = CasePair(case, session.pair(case, against_simulation=against_simulation))
        request.node.stash[_CASE_PAIR] = made
        return made

    return _compare


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach a case's record to its report, and say what a failure means in place of a traceback."""
    report = yield
    case = _case(item)
    if case is None or (report.when != "call" and not report.failed):
        return report
    error = call.excinfo.value if call.excinfo is not None else None
    made = item.stash.get(_CASE_PAIR, None)
    verdict = made.verdict if made is not None else None
    seconds = call.stop - call.start
    if verdict is not None and (error is None or isinstance(error, AssertionError)):
        record = case_record(case.name, case.model.name, case.recipe.name, case.task.name, verdict, seconds)
        _shape_report(report, case, verdict, failed=error is not None)
    else:
        text = str(error) if error is not None else "the test ended without a verdict"
        record = error_record(case.name, case.model.name, case.recipe.name, case.task.name, case.bound, text, seconds)
        if isinstance(error, ReliabilityError):
            report.longrepr = f"{case.name}  error\n{error}"
        report.outcome = "failed"
    report.user_properties.append((_PROPERTY, record))
    return report


def _shape_report(report: pytest.TestReport, case: Case, verdict: Verdict, *, failed: bool) -> None:
    """A broken gate fails with its explanation; an observed claim that does not hold is only marked."""
    if not failed:
        return
    if case.bound.gate:
        report.longrepr = verdict.explain()
    else:
        report.outcome = "skipped"
        report.wasxfail = f"observed: {verdict.outcome}"


def scheduler_by_candidate(config: pytest.Config, log: Any) -> Any:
    """An xdist scheduler that keeps the cases of one model and recipe on one worker.

    Candidates are loaded once that way. xdist's own ``loadgroup`` writes groups into
    node ids, which pytest 9 no longer lets it do.
    """
    from xdist.scheduler import LoadScopeScheduling

    try:
        groups = _session(config).plan.worker_groups()
    except ReliabilityError:
        return None  # The workers meet the same error and report it once.

    class ByCandidate(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            found = [group for start, group in groups.items() if f"[{start}" in nodeid]
            return max(found, key=len, default=nodeid)

    return ByCandidate(config, log)


class RunReporter:
    """Lives in the controller, or in the only process: gathers records and writes the report."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._log: RunLog | None = None
        self._fault: str | None = None

    @pytest.hookimpl(optionalhook=True)
    def pytest_testnodedown(self, node: Any) -> None:
        """A worker that could not collect says why; all workers say the same."""
        self._fault = self._fault or getattr(node, "workeroutput", {}).get(_PROPERTY)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Keep a finished case's record, on disk at once so that a crash loses nothing."""
        for name, record in report.user_properties:
            if name == _PROPERTY and isinstance(record, dict):
                if self._log is None:
                    self._log = RunLog.start(_read_options(self._config))
                self._log.add(record)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Write the report of whatever has been judged."""
        if self._fault is not None:
            session.exitstatus = pytest.ExitCode.USAGE_ERROR
        if self._log is not None:
            ended = int(session.exitstatus) in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED)
            self._log.finish(_session(self._config), ended=ended)

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """A few lines at the end, and where the report is."""
        if self._fault is not None:
            terminalreporter.write_line(f"ERROR: {self._fault}", red=True)
        if self._log is None or self._config.get_verbosity() < 0:
            return
        terminalreporter.section("reliability")
        for line in self._log.summary_lines():
            terminalreporter.write_line(line)
