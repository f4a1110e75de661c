"""Spread the suites over workers so that the cases of one model and recipe share one."""

import pytest

from reliability.plugin import scheduler_by_candidate


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    """Schedule by candidate under plain ``-n N``; a ``--dist`` that was asked for stays."""
    return scheduler_by_candidate(config, log) if config.getoption("dist") == "load" else None
