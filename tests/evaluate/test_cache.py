from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reliability.errors import CacheError
from reliability.evaluate.storage.cache import Arrays, Cache, DamagedEntryWarning, Job

PAYLOAD = {"kind": "image", "model": {"name": "tiny", "weights": "ab"}, "count": 3}
FIGURES: Arrays = {
    "image": np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32),
    "labels": np.array([3, 1, -1, 0, 2]),
    "ids": np.array(["a", "bild/ü.png", "日本-07", "", "with space"]),
    "scale": np.array(4.5),
}

# Prints the figure and notes in a file that it was computed; "crash" dies half-way, without any clean-up.
CHILD = """
import os, sys, time
from pathlib import Path
import numpy as np
from reliability.evaluate.storage.cache import Cache, Job
root, log, mode = sys.argv[1:]
def compute():
    with open(log, "a") as file:
        file.write("computed\\n")
    if mode == "crash":
        os._exit(9)
    time.sleep(0.3)
    return {"figure": np.array([os.getpid()])}
print("ready", flush=True)
sys.stdin.readline()
print(Cache(Path(root)).get([Job({"shared": 1}, compute)])[0]["figure"][0])
"""


def figures() -> Arrays:
    return {name: array.copy() for name, array in FIGURES.items()}


def never() -> Arrays:
    raise AssertionError("computed although the entry is there")


def assert_same(got: Arrays, expected: Arrays) -> None:
    assert got.keys() == expected.keys()
    for name, array in expected.items():
        np.testing.assert_array_equal(got[name], array)
        assert got[name].shape == array.shape
        assert got[name].dtype.kind == array.dtype.kind


def files(root: Path, pattern: str) -> list[Path]:
    return sorted(path for path in root.rglob(pattern) if path.is_file())


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def run_child(cache: Cache, log: Path, mode: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHILD, str(cache.root), str(log), mode]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout.readline() == "ready\n"
    return child


@pytest.mark.parametrize(
    "array",
    [
        np.array([[0.1, -0.0], [np.inf, np.nan]], dtype=np.float32),
        np.array([np.nextafter(1.0, 2.0), 1e-320]),
        np.array([-1, 2**62]),
        np.array([0, 255], dtype=np.uint8),
        np.array([True, False]),
        np.array(2.5),
        np.array(True),
        np.zeros((0, 4), dtype=np.float32),
        np.arange(6).reshape(2, 3).T,
        np.array(["plain", "ünïcödé", "日本", "🙂", ""]),
        np.array([], dtype=np.str_),
        np.array(["", ""]),
    ],
    ids=lambda array: f"{array.dtype.str[1:]}-{array.shape}",
)
def test_arrays_come_back_bit_for_bit_cold_and_warm(cache: Cache, array: np.ndarray) -> None:
    for compute in (lambda: {"only": array}, never):
        got = cache.get([Job(PAYLOAD, compute)])[0]["only"]
        assert got.shape == array.shape
        assert got.dtype.kind == array.dtype.kind
        assert got.tolist() == array.tolist() or got.tobytes() == array.tobytes()


def test_an_entry_is_computed_once(cache: Cache) -> None:
    assert_same(cache.get([Job(PAYLOAD, figures)])[0], FIGURES)
    assert_same(cache.get([Job(PAYLOAD, never)])[0], FIGURES)
    assert_same(Cache(cache.root).get([Job(PAYLOAD, never)])[0], FIGURES)


def test_one_call_computes_an_entry_asked_for_twice_once(cache: Cache) -> None:
    first, other, again = cache.get(
        [Job(PAYLOAD, figures), Job({"other": 1}, lambda: {"x": np.zeros(1)}), Job(PAYLOAD, never)]
    )
    assert_same(first, FIGURES)
    assert_same(again, FIGURES)
    assert list(other) == ["x"]


def test_changing_what_was_handed_out_leaves_the_entry_alone(cache: Cache) -> None:
    cache.get([Job(PAYLOAD, figures)])[0]["labels"][:] = 7
    assert_same(cache.get([Job(PAYLOAD, never)])[0], FIGURES)


def flip(offset: int) -> Callable[[bytes], bytes]:
    def damage(blob: bytes) -> bytes:
        at = offset % len(blob)
        return blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :]

    return damage


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "magic": flip(1),
    "digest": flip(20),
    "header length": flip(36),
    "header": flip(60),
    "body": flip(-1),
    "truncated body": lambda blob: blob[:-7],
    "truncated header": lambda blob: blob[:50],
    "only magic": lambda blob: blob[:4],
    "empty": lambda _: b"",
    "longer": lambda blob: blob + b"\0",
    "another file": lambda _: b"\x89PNG" * 40,
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE)
def test_a_damaged_entry_is_noticed_and_computed_again(cache: Cache, damage: Callable[[bytes], bytes]) -> None:
    cache.get([Job(PAYLOAD, figures)])
    (entry,) = files(cache.root, "*.bin")
    entry.write_bytes(damage(entry.read_bytes()))
    with pytest.warns(DamagedEntryWarning, match=f"{entry.name} is damaged"):
        assert_same(cache.get([Job(PAYLOAD, figures)])[0], FIGURES)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(cache.get([Job(PAYLOAD, never)])[0], FIGURES)


def test_a_crash_while_computing_leaves_nothing_behind(cache: Cache) -> None:
    def crash() -> Arrays:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.get([Job(PAYLOAD, crash)])
    assert [path.suffix for path in files(cache.root, "*")] in ([], [".lock"])
    assert_same(cache.get([Job(PAYLOAD, figures)])[0], FIGURES)


def test_a_full_disk_is_an_error_and_leaves_no_partial_file(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full)
        with pytest.raises(CacheError, match=r"(?s)cannot be written.*No space left.*--cache-dir"):
            cache.get([Job(PAYLOAD, figures)])
    assert [path.suffix for path in files(cache.root, "*")] in ([], [".lock"])
    assert_same(cache.get([Job(PAYLOAD, figures)])[0], FIGURES)


def test_a_process_that_dies_while_computing_frees_the_entry(cache: Cache, tmp_path: Path) -> None:
    log = tmp_path / "log"
    child = run_child(cache, log, "crash")
    child.communicate("\n", timeout=20)
    assert child.returncode == 9
    assert log.read_text() == "computed\n"
    assert not files(cache.root, "*.bin")
    assert_same(cache.get([Job({"shared": 1}, figures)])[0], FIGURES)


def test_two_processes_compute_an_entry_once(cache: Cache, tmp_path: Path) -> None:
    log = tmp_path / "log"
    children = [run_child(cache, log, "work") for _ in range(2)]
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    first, second = (child.communicate(timeout=20)[0] for child in children)
    assert first == second
    assert log.read_text() == "computed\n"


def test_an_entry_that_another_worker_computes_is_left_for_last(cache: Cache) -> None:
    begun, second_done, order = threading.Event(), threading.Event(), []

    def slow_first() -> Arrays:
        begun.set()
        order.append("first waited in vain" if not second_done.wait(10) else "first")
        return {"n": np.array([1])}

    def second() -> Arrays:
        order.append("second")
        second_done.set()
        return {"n": np.array([2])}

    other = threading.Thread(target=cache.get, args=([Job({"job": 1}, slow_first)],))
    other.start()
    assert begun.wait(10)
    got = cache.get([Job({"job": 1}, never), Job({"job": 2}, second)])
    other.join(10)
    assert order == ["second", "first"]
    assert [int(arrays["n"][0]) for arrays in got] == [1, 2]


def test_waiting_for_another_worker_ends_in_an_error(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reliability.evaluate.storage.store.LOCK_TIMEOUT_S", 0.05)
    begun, done = threading.Event(), threading.Event()

    def hang() -> Arrays:
        begun.set()
        done.wait(10)
        return {"n": np.array([1])}

    other = threading.Thread(target=cache.get, args=([Job(PAYLOAD, hang)],))
    other.start()
    try:
        assert begun.wait(10)
        with pytest.raises(CacheError, match=r"(?s)another process.*still held.*hangs"):
            cache.get([Job(PAYLOAD, never)])
    finally:
        done.set()
        other.join(10)


@pytest.mark.parametrize("path", [("kind",), ("model", "name"), ("model", "weights"), ("count",)], ids=".".join)
def test_the_key_depends_on_every_field(path: tuple[str, ...]) -> None:
    changed = json.loads(json.dumps(PAYLOAD))
    owner = changed
    for name in path[:-1]:
        owner = owner[name]
    owner[path[-1]] = "another"
    assert Job(changed, never).key != Job(PAYLOAD, never).key
    del owner[path[-1]]
    assert Job(changed, never).key != Job(PAYLOAD, never).key


def test_the_key_does_not_depend_on_the_order_of_fields_nor_on_the_process() -> None:
    backwards = {"count": 3, "model": {"weights": "ab", "name": "tiny"}, "kind": "image"}
    canonical = b'{"count":3,"kind":"image","model":{"name":"tiny","weights":"ab"}}'
    assert Job(backwards, never).key == Job(PAYLOAD, never).key == hashlib.sha256(canonical).hexdigest()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), np.float32(1), object()])
def test_a_payload_that_json_cannot_hold_is_refused(cache: Cache, value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        cache.get([Job({"alpha": value}, never)])


@pytest.mark.parametrize("below", [(), ("sub", "folder")])
def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path, below: tuple[str, ...]) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CacheError, match=r"(?s)cannot be created.*--cache-dir"):
        Cache(tmp_path.joinpath("file", *below))


def test_a_folder_that_cannot_take_an_entry_is_an_error(cache: Cache) -> None:
    # Root may write anywhere, so a file in the way stands for a folder without permission.
    (cache.root / Job(PAYLOAD, never).key[:2]).write_text("in the way")
    with pytest.raises(CacheError, match="--cache-dir"):
        cache.get([Job(PAYLOAD, figures)])
