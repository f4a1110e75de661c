"""The pytest plugin: options, cases, fixtures, and the report at the end.

Works with and without pytest-xdist: a worker attaches each case's record to its
test report as plain data, and the controller (or the only process) merges. What a
run needs is imported when the first claim is met, so that other suites pay nothing.
"""

from __future__ import annotations

import pytest

from reliability.plugin import cases, judging
from reliability.plugin.cluster import ClusterFill
from reliability.plugin.options import pytest_addoption
from reliability.plugin.reporter import RunReporter
from reliability.plugin.workers import scheduler_by_candidate

__all__ = ["claim", "pytest_addoption", "scheduler_by_candidate"]

claim = pytest.mark.claim
"""``@claim("name")`` marks a test as the statement that a threshold file's bounds refer to."""


def pytest_configure(config: pytest.Config) -> None:
    """Declare the markers, and bring in the other parts of the plugin."""
    config.addinivalue_line("markers", "claim(name): the statement that bounds of a threshold file refer to")
    config.addinivalue_line("markers", "gate: a case that can fail the run")
    config.addinivalue_line("markers", "observed: a case that is reported only")
    config.pluginmanager.register(cases, "reliability-cases")
    config.pluginmanager.register(judging, "reliability-judging")
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(RunReporter(config), "reliability-reporter")
        config.pluginmanager.register(ClusterFill(config), "reliability-cluster")
