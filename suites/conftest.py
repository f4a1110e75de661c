"""Spread the suites over workers so that the cases of one model and recipe share one."""

import pytest

from reliability.plugin import scheduler_by_candidate


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> object | None:
    """Schedule by candidate under ``-n N`` and ``--dist loadgroup``; any other ``--dist`` stays as it is."""
    return scheduler_by_candidate(config, log)
