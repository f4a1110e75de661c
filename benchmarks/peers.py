"""Packages that are compared with and never needed: installed by ``make bench`` beside the environment."""

from __future__ import annotations

import sys
from pathlib import Path

PEERS = Path(__file__).resolve().parents[1] / ".cache" / "oracles"


def make_importable() -> None:
    """Put them behind everything else, so that nothing else is taken from there."""
    if str(PEERS) not in sys.path:
        sys.path.append(str(PEERS))
