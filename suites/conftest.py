"""Spread the suites over workers so that cases of one model and recipe share one."""

import pytest


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Make ``-n N`` alone mean ``-n N --dist loadgroup``; a ``--dist`` that was asked for stays."""
    if getattr(config.option, "dist", "no") == "load":
        config.option.dist = "loadgroup"
