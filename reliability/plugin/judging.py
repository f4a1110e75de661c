"""Fixtures of a claim, and what its test report carries."""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, Any

import pytest

from reliability.errors import ReliabilityError, UsageError
from reliability.plugin.cases import case_of
from reliability.plugin.options import session_of

if TYPE_CHECKING:
    from reliability.claims.cases import Case
    from reliability.claims.judge import Verdict
    from reliability.evaluate.comparison.compare import Pair
    from reliability.evaluate.comparison.group import GroupPair
    from reliability.evaluate.comparison.group_inputs import GroupSide
    from reliability.evaluate.comparison.inputs import Side
    from reliability.types import Comparison

RECORD = "reliability"
"""Attribute of a test report that holds a case's record."""

_CASE_PAIR = pytest.StashKey["CasePair"]()
_RECORDED = pytest.StashKey[bool]()
_PROPERTIES = pytest.StashKey[list[tuple[str, str]]]()


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
        from reliability.claims.judge import judge

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
        session = session_of(request.config)
        made = CasePair(case, session.pair(case, against_simulation=against_simulation))
        request.node.stash[_CASE_PAIR] = made
        return made

    return _compare


@pytest.fixture
def reference(request: pytest.FixtureRequest, compare: Callable[..., CasePair]) -> Side | GroupSide:
    """What the FP32 model makes of the case's pictures: ``reference.part`` has features, logits, labels and ids."""
    return compare(_required_case(request)).pair.reference


@pytest.fixture
def candidate(request: pytest.FixtureRequest, compare: Callable[..., CasePair]) -> Side | GroupSide:
    """What the quantized model makes of the same pictures, in the same order."""
    return compare(_required_case(request)).pair.candidate


def _required_case(request: pytest.FixtureRequest) -> Case:
    case = case_of(request.node)
    if case is None:
        raise UsageError(
            where=request.node.nodeid, what="this fixture is about the case of a claim", got="a test without one",
            next='write @claim("name") above the test and give it the argument `case`',
        )  # fmt: skip
    return case


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach a case's record to its report, and say what a failure means in place of a traceback."""
    report = yield
    case = case_of(item)
    if case is None or (report.when != "call" and not report.failed):
        return report
    if report.when == "teardown" and _RECORDED in item.stash:
        return report  # The case has its record; pytest fails the run.
    from reliability.report.properties import properties

    record = _judged(report, case, item, call)
    item.stash[_RECORDED] = True
    # An attribute of its own travels between workers as it is; properties become text in JUnit's XML.
    setattr(report, RECORD, record)
    _set_properties(item, properties(record))
    return report


def _set_properties(item: pytest.Item, pairs: list[tuple[str, str]]) -> None:
    """Give them to the reports that follow, in place of those of an earlier run of the test; JUnit reads the last."""
    before = item.stash.get(_PROPERTIES, [])
    item.user_properties[:] = [*(pair for pair in item.user_properties if pair not in before), *pairs]
    item.stash[_PROPERTIES] = pairs


def _judged(report: pytest.TestReport, case: Case, item: pytest.Item, call: pytest.CallInfo[None]) -> dict[str, Any]:
    from reliability.claims.records import case_record, error_record

    error = call.excinfo.value if call.excinfo is not None else None
    made = item.stash.get(_CASE_PAIR, None)
    verdict = made.verdict if made is not None else None
    seconds = call.stop - call.start
    names = (case.name, case.model.name, case.recipe.name, case.task.name)
    if verdict is not None and (error is None or isinstance(error, AssertionError)):
        if error is not None:
            _shape_report(report, case, verdict, session_of(item.config).options.inconclusive)
        return case_record(*names, verdict, seconds)
    if isinstance(error, ReliabilityError):
        report.longrepr = f"{case.name}  error\n{error}"
    report.outcome = "failed"
    return error_record(*names, case.bound, _said(error), seconds)


def _said(error: BaseException | None) -> str:
    """What a record says of an error; one that is not ours may have no words, such as a want of memory."""
    if error is None:
        return "the test ended without a verdict"
    return str(error) if isinstance(error, ReliabilityError) else f"{type(error).__name__}: {error}".strip(": ")


def _shape_report(report: pytest.TestReport, case: Case, verdict: Verdict, inconclusive: str) -> None:
    """A broken gate fails with its explanation; what is only observed or reported is marked."""
    reported = verdict.outcome == "inconclusive" and inconclusive == "report"
    if case.bound.gate and not reported:
        report.longrepr = verdict.explain()
        return
    report.outcome = "skipped"
    report.wasxfail = f"{'reported' if case.bound.gate else 'observed'}: {verdict.outcome}"
