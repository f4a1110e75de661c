"""Options of the command line, and the session that they open."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from reliability.evaluate.storage.store import location
from reliability.session.options import SETTINGS, Options, Setting

if TYPE_CHECKING:
    from reliability.session.gate import GateSession

_SESSION = pytest.StashKey["GateSession"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options, in one group; each may also stand in pyproject.toml."""
    about = "reliability of quantized CLIP models; also as name = ... under [tool.reliability] in pyproject.toml"
    group = parser.getgroup("reliability", about)
    for setting in SETTINGS:
        group.addoption(f"--{setting.name}", help=setting.help, default=None, **_form(setting))


def _form(setting: Setting) -> dict[str, Any]:
    """How argparse reads a setting."""
    if setting.kind == "flag":
        return {"action": "store_true"}
    if setting.kind == "choice":
        return {"choices": setting.choices}
    if setting.kind == "models":
        return {"action": "append", "metavar": setting.metavar}
    kinds = {"path": Path, "place": location, "count": int, "whole": int, "share": float}
    return {"type": kinds.get(setting.kind, str), "metavar": setting.metavar}


def read_options(config: pytest.Config) -> Options:
    """What the run was asked for.

    Raises:
        UsageError: The table in pyproject.toml is at fault.
    """
    given = {setting.name: config.getoption(f"--{setting.name}") for setting in SETTINGS}
    return Options.of(config.rootpath, given, getattr(config, "workerinput", {}).get("workerid", ""))


def has_session(config: pytest.Config) -> bool:
    """Whether a claim has been met."""
    return _SESSION in config.stash


def session_of(config: pytest.Config) -> GateSession:
    """The run's session, made when the first claim is met.

    Raises:
        ReliabilityError: Something that was asked for is at fault.
    """
    if _SESSION not in config.stash:
        from reliability.plugin.screen import progress_of
        from reliability.session.gate import GateSession

        session = GateSession.open(read_options(config))
        session.progress = progress_of(config)
        config.stash[_SESSION] = session
    return config.stash[_SESSION]
