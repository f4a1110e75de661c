"""One name for all the embeddings that a run reads, so that a CI system can keep them together."""

from __future__ import annotations

import hashlib

from reliability.session.gate import GateSession
from reliability.session.needs import all_cases, needs_of

_DIGITS = 16


def cache_key_of(session: GateSession) -> str:
    """``CODE-CONTENT``: digests of the code and versions alone, and of every entry that a whole run reads.

    Conventions:
        Nothing is computed, but stored pictures and weights are read to know what they are.
    """
    engine = session.engine
    content = sorted({engine.job(need).key for need in needs_of(session, all_cases(session))})
    return f"{_digest([engine.version])}-{_digest(content)}"


def _digest(texts: list[str]) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:_DIGITS]
