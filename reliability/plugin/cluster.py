"""With ``--engine ray``, fills the cache once it is known what will be judged, and before anything is."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest

from reliability.errors import ReliabilityError
from reliability.plugin.cases import case_of
from reliability.plugin.options import has_session, read_options, session_of


class ClusterFill:
    """Lives in the controller, or in the only process."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._filled = False

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Without workers: the cases that were chosen."""
        if has_session(self._config) and not self._config.option.collectonly:
            self._fill({case.name for item in session.items if (case := case_of(item)) is not None})

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: Collection[str]) -> None:
        """With workers: what the first of them has chosen; all choose the same, and none has begun."""
        # A test's id ends with its case's, whose claim the controller does not know.
        self._fill({text.partition("[")[2].removesuffix("]") for text in ids})

    def _fill(self, chosen: Collection[str]) -> None:
        """Fill the cache for cases, by name or by the part of it in brackets.

        Raises:
            pytest.UsageError: There is no Ray, or no cluster.
        """
        if self._filled or read_options(self._config).engine != "ray":
            return
        self._filled = True
        try:
            from reliability.session.cluster import fill_through_ray
            from reliability.session.needs import all_cases

            session = session_of(self._config)
            cases = [case for case in all_cases(session) if case.name in chosen or case.id in chosen]
            if cases:
                fill_through_ray(session, cases, self._tell)
        except ReliabilityError as error:
            raise pytest.UsageError(str(error)) from error

    def _tell(self, line: str) -> None:
        terminal: Any = self._config.pluginmanager.getplugin("terminalreporter")
        if terminal is not None:
            terminal.write_line(line)
