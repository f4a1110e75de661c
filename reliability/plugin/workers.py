"""Which xdist worker runs which case."""

from __future__ import annotations

from typing import Any

import pytest

from reliability.errors import ReliabilityError
from reliability.plugin.options import session_of


def scheduler_by_candidate(config: pytest.Config, log: Any) -> Any:
    """An xdist scheduler that keeps the cases of one model and recipe on one worker.

    Candidates are loaded once that way. For ``-n N`` and ``--dist loadgroup``; None, which
    leaves the choice to xdist, for any other ``--dist``. xdist's own ``loadgroup`` writes
    groups into node ids, which pytest 9 no longer lets it do.
    """
    if config.getoption("dist") not in ("load", "loadgroup"):
        return None
    from xdist.scheduler import LoadScopeScheduling

    try:
        groups = session_of(config).plan.worker_groups()
    except ReliabilityError:
        return None  # The workers meet the same error and report it once.

    class ByCandidate(LoadScopeScheduling):  # type: ignore[misc]
        def _split_scope(self, nodeid: str) -> str:
            found = [group for start, group in groups.items() if f"[{start}" in nodeid]
            return max(found, key=len, default=nodeid)

    return ByCandidate(config, log)
