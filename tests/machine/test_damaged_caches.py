"""Whatever becomes of a cache's files, figures stay those of an undisturbed run, or the error has a name."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import signal
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from reliability.errors import CacheError
from reliability.evaluate.storage.cache import Arrays, Cache, DamagedEntryWarning, Job

PAYLOAD = {"kind": "image", "weights": "ab"}


def rows() -> Arrays:
    return {"image": np.arange(12, dtype=np.float32).reshape(4, 3), "ids": np.array(["a", "b", "ü", "d"])}


def job() -> Job:
    return Job(PAYLOAD, rows)


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.fixture
def entry(cache: Cache) -> Path:
    cache.get([job()])
    (path,) = Path(cache.root).rglob("*.bin")
    return path


def assert_healed(cache: Cache) -> None:
    with pytest.warns(DamagedEntryWarning, match="is damaged and is computed again"):
        (found,) = cache.get([job()])
    assert found["image"].tobytes() == rows()["image"].tobytes()
    assert found["ids"].tolist() == rows()["ids"].tolist()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cache.get([Job(PAYLOAD, dict)])


def test_every_flipped_byte_of_an_entry_is_noticed(cache: Cache, entry: Path) -> None:
    whole = entry.read_bytes()
    for place in range(len(whole)):
        bits = 1 << place % 8
        entry.write_bytes(whole[:place] + bytes([whole[place] ^ bits]) + whole[place + 1 :])
        assert_healed(cache)


def test_every_truncation_of_an_entry_is_noticed(cache: Cache, entry: Path) -> None:
    whole = entry.read_bytes()
    for length in range(len(whole)):
        entry.write_bytes(whole[:length])
        assert_healed(cache)


def test_a_whole_entry_of_something_else_is_noticed(cache: Cache, entry: Path) -> None:
    other = Job({**PAYLOAD, "weights": "cd"}, lambda: {"image": np.zeros((4, 3), np.float32), "ids": rows()["ids"]})
    cache.get([other])
    entry.write_bytes((Path(cache.root) / other.key[:2] / f"{other.key}.bin").read_bytes())
    assert_healed(cache)


def _signed(body: bytes) -> bytes:
    import hashlib

    return b"QRC1" + hashlib.sha256(body).digest() + body


FORGED = {
    "nothing": b"",
    "a length beyond its end": (1 << 60).to_bytes(8, "little"),
    "no JSON": (4).to_bytes(8, "little") + b"\xff\xff\xff\xff",
    "JSON without metadata": (2).to_bytes(8, "little") + b"{}",
    "metadata that is no table": (18).to_bytes(8, "little") + b'{"__metadata__":3}',
    "deep JSON": (200_000).to_bytes(8, "little") + b"[" * 200_000,
}


@pytest.mark.parametrize("body", FORGED.values(), ids=FORGED)
def test_an_entry_with_a_good_checksum_and_a_bad_content_is_noticed(cache: Cache, entry: Path, body: bytes) -> None:
    entry.write_bytes(_signed(body))
    assert_healed(cache)


def test_processes_that_write_one_entry_at_once_leave_it_whole(cache: Cache, entry: Path) -> None:
    """Without locks, as on a folder of another machine whose locks do not work."""
    whole, store = entry.read_bytes(), cache._store
    name = entry.relative_to(cache.root).as_posix()
    torn: list[int] = []

    def write() -> None:
        for _ in range(50):
            store.publish(name, whole)

    def read() -> None:
        for _ in range(200):
            content = store.read(name)
            if content != whole:
                torn.append(len(content or b""))

    threads = [threading.Thread(target=work) for work in (write, write, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not torn
    assert not list(Path(cache.root).rglob(".partial-*"))


def test_half_written_files_of_killed_processes_are_cleared_away(cache: Cache, entry: Path) -> None:
    writer = (
        "import sys, os; from pathlib import Path; from reliability.evaluate.storage.store import open_store\n"
        "os.replace = lambda *_: os.kill(os.getpid(), 9)\n"
        "open_store(Path(sys.argv[1]), '--cache-dir').publish(sys.argv[2], b'x' * 1000)\n"
    )
    name = entry.relative_to(cache.root).as_posix()
    for _ in range(2):
        subprocess.run([sys.executable, "-c", writer, str(cache.root), name], check=False)
        assert len(list(Path(cache.root).rglob(".partial-*"))) == 1
    entry.unlink()
    cache.get([job()])
    assert not list(Path(cache.root).rglob(".partial-*"))


@pytest.mark.parametrize("moment", [0, 4_000_000_000], ids=["1970", "2096"])
def test_a_clock_that_jumps_changes_nothing(cache: Cache, entry: Path, moment: int) -> None:
    whole = entry.read_bytes()
    for path in Path(cache.root).rglob("*"):
        os.utime(path, (moment, moment))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        (found,) = cache.get([Job(PAYLOAD, dict)])
    assert found["image"].tobytes() == rows()["image"].tobytes()
    assert entry.read_bytes() == whole


def test_a_full_disk_is_named_and_its_run_can_be_repeated(small_disk: Path) -> None:
    cache = Cache(small_disk / "cache")
    large = Job({"large": 1}, lambda: {"image": np.zeros((300, 300), np.float32)})
    with pytest.raises(CacheError, match=r"(?s)cannot be written.*No space left.*--cache-dir"):
        cache.get([large])
    assert not list(small_disk.rglob(".partial-*"))
    (found,) = cache.get([job()])
    assert found["image"].tobytes() == rows()["image"].tobytes()


def test_a_cache_that_cannot_be_written_serves_what_it_holds(small_disk: Path) -> None:
    cache = Cache(small_disk / "cache")
    cache.get([job()])
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    (found,) = Cache(small_disk / "cache").get([Job(PAYLOAD, dict)])
    assert found["image"].tobytes() == rows()["image"].tobytes()
    with pytest.raises(CacheError, match=r"(?s)Read-only file system.*--cache-dir"):
        cache.get([Job({"other": 1}, rows)])


@pytest.fixture
def file_limit() -> Iterator[Callable[[int], None]]:
    """Files may grow to so many bytes, as where a quota is used up."""
    before, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


def test_a_quota_that_is_used_up_is_named_and_its_run_can_be_repeated(
    cache: Cache, file_limit: Callable[[int], None]
) -> None:
    file_limit(100)
    with pytest.raises(CacheError, match=r"(?s)cannot be written.*File too large"):
        cache.get([job()])
    assert not list(Path(cache.root).rglob(".partial-*"))
    file_limit(resource.RLIM_INFINITY if resource.getrlimit(resource.RLIMIT_FSIZE)[1] < 0 else 1 << 30)
    (found,) = cache.get([job()])
    assert found["image"].tobytes() == rows()["image"].tobytes()


def test_a_worker_that_runs_out_of_memory_leaves_nothing_behind(cache: Cache) -> None:
    def too_much() -> Arrays:
        raise MemoryError

    with pytest.raises(MemoryError):
        cache.get([Job(PAYLOAD, too_much)])
    assert not list(Path(cache.root).rglob("*.bin"))
    (found,) = cache.get([job()])
    assert found["image"].tobytes() == rows()["image"].tobytes()


HOLDER = """
import sys, time
from pathlib import Path
from reliability.evaluate.storage.cache import Cache, Job
def compute():
    print("holding", flush=True)
    time.sleep(60)
Cache(Path(sys.argv[1])).get([Job({"kind": "image", "weights": "ab"}, compute)])
"""


def test_waiting_for_a_hanging_process_ends_and_names_it(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reliability.evaluate.storage.store.LOCK_TIMEOUT_S", 0.2)
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(cache.root)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "holding\n"
        began = time.monotonic()
        with pytest.raises(CacheError, match=rf"still held by process {holder.pid} on "):
            cache.get([job()])
        assert time.monotonic() - began < 10
    finally:
        holder.kill()
        holder.wait()
    (found,) = cache.get([job()])
    assert found["image"].tobytes() == rows()["image"].tobytes()


def test_a_folder_without_locks_is_named(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def without(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr(fcntl, "flock", without)
    with pytest.raises(CacheError, match=r"(?s)cannot be locked.*No locks available.*--cache-dir"):
        cache.get([job()])


def test_entries_are_for_their_owner_alone_and_links_are_not_followed_when_written(cache: Cache, entry: Path) -> None:
    assert entry.stat().st_mode & 0o077 == 0
    target = Path(cache.root).parent / "elsewhere"
    target.write_bytes(b"untouched")
    entry.unlink()
    entry.symlink_to(target)
    with pytest.warns(DamagedEntryWarning):
        cache.get([job()])
    assert target.read_bytes() == b"untouched"
    assert not entry.is_symlink()
