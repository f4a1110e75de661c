"""What holds for every test: no network, and one thread for each process.

What a run needs it is given; what it is not given it does not fetch.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

# Before anything loads a BLAS, in this process and in those that it starts: as many workers as there are cores, each
# with as many threads, spend most of their time waiting for one another.
os.environ["OMP_NUM_THREADS"] = "1"

with suppress(ImportError):
    # It loads once per process, and a run within a test would make Python forget that it has.
    import vl_convert  # noqa: F401


class NetworkUsedError(RuntimeError):
    """Something asked for another machine."""


def _is_here(address: Any) -> bool:
    """Whether an address is of this machine, as Ray's and test runners' own connections are."""
    if not isinstance(address, tuple):
        return True
    try:
        return ipaddress.ip_address(str(address[0])).is_loopback or str(address[0]) == socket.gethostbyname(
            socket.gethostname()
        )
    except (ValueError, OSError):
        return str(address[0]) in ("localhost", "")


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> Iterator[None]:
    """Refuse connections to other machines, in this process and, by what hub clients read, in its children."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if not _is_here(address):
            raise NetworkUsedError(f"a test tried to connect to {address}")
        connect(self, address)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", guarded)
        for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
            patch.setitem(os.environ, name, "1")
        yield
