"""From claims to cases: one test per model, recipe, task and bound."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reliability.errors import ReliabilityError, UsageError
from reliability.plugin.options import has_session, session_of

if TYPE_CHECKING:
    from reliability.claims.cases import Case

FAULT = "reliability-fault"
"""Key under which a worker tells the controller why it collected nothing."""

_FAULT = pytest.StashKey[ReliabilityError]()
_NARROWED = ("lf", "ignore", "ignore_glob")
"""Options that keep pytest from collecting whole files."""


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
    session = session_of(metafunc.config)
    session.claims.add(name)
    return session.plan.cases(name)


def _claim_name(definition: pytest.Item) -> str:
    """The claim a test states.

    Raises:
        UsageError: It states several, or the mark has no name.
    """
    marks = list(definition.iter_markers("claim"))
    if len(marks) > 1 or len(marks[0].args) != 1:
        raise UsageError(
            where=definition.nodeid,
            what="a test states exactly one claim, by name",
            got=[mark.args for mark in marks],
            next='write @claim("name") once',
        )
    return str(marks[0].args[0])


def _parameter(case: Case) -> Any:
    weight = pytest.mark.gate if case.bound.gate else pytest.mark.observed
    return pytest.param(case, id=case.id, marks=weight)


@pytest.hookimpl(wrapper=True)
def pytest_pycollect_makeitem() -> Generator[None, Any, Any]:
    """Drop what pytest puts in the place of a claim without a case, and would skip.

    Nothing may be skipped silently: the checks of the whole collection say what went unjudged.
    """
    made = yield
    return [one for one in made if not _is_placeholder(one)] if isinstance(made, list) else made


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> Generator[None]:
    """Check before anything is deselected, and order after everything was shuffled."""
    fault = config.stash.get(_FAULT, None) or _incomplete(config) or _unreportable(config)
    if fault is not None:
        config.stash[_FAULT] = fault
        items.clear()
        if not hasattr(config, "workeroutput"):
            raise pytest.UsageError(str(fault)) from fault
        config.workeroutput[FAULT] = str(fault)
    yield
    items.sort(key=_position)


def fault_of(config: pytest.Config) -> str | None:
    """What kept this process from collecting anything."""
    fault = config.stash.get(_FAULT, None)
    return str(fault) if fault is not None else None


def _incomplete(config: pytest.Config) -> ReliabilityError | None:
    """What a run of whole folders would leave unjudged."""
    names_files = any(Path(str(argument).partition("::")[0]).suffix == ".py" for argument in config.args)
    narrowed = any(config.getoption(name, default=None) for name in _NARROWED)
    if not has_session(config) or names_files or narrowed:
        return None
    try:
        session_of(config).check_complete()
    except ReliabilityError as error:
        return error
    return None


def _unreportable(config: pytest.Config) -> ReliabilityError | None:
    """Why no report could be written; an earlier one makes way for this run's."""
    if not has_session(config) or config.option.collectonly:
        return None
    from reliability.session.report_folder import make_way

    try:
        make_way(session_of(config).options)
    except ReliabilityError as error:
        return error
    return None


def _is_placeholder(made: pytest.Item | pytest.Collector) -> bool:
    return isinstance(made, pytest.Item) and bool(made.get_closest_marker("claim")) and case_of(made) is None


def _position(item: pytest.Item) -> tuple[str, str]:
    """Claims run grouped by model, recipe and task; other tests first and in their own order."""
    case = case_of(item)
    return ("", "") if case is None else (case.worker_group, case.task.name)


def case_of(item: pytest.Item) -> Case | None:
    """The case that a test judges, if it states a claim."""
    if item.get_closest_marker("claim") is None:
        return None
    from reliability.claims.cases import Case

    callspec = getattr(item, "callspec", None)
    found = callspec.params.get("case") if callspec is not None else None
    return found if isinstance(found, Case) else None
