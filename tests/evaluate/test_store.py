"""Places for results: a folder, and what fsspec reaches, behave alike."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest

from reliability.errors import CacheError, MissingExtraError, UsageError
from reliability.evaluate.storage.cache import Arrays, Cache, DamagedEntryWarning, Job
from reliability.evaluate.storage.store import Location, Store, location, open_store, resolved

fsspec = pytest.importorskip("fsspec")


@pytest.fixture(params=["folder", "memory", "file"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Location]:
    if request.param == "memory":
        url = f"memory://{uuid4().hex}/below"
        yield url
        fsspec.filesystem("memory").rm(url.rpartition("/")[0], recursive=True)
    else:
        yield tmp_path / "new" if request.param == "folder" else f"file://{tmp_path}/new"


@pytest.fixture
def store(place: Location) -> Store:
    store = open_store(place, "--out")
    store.publish("first", b"")
    return store


def test_what_was_published_is_read_and_listed(store: Store) -> None:
    store.publish("a/b/c.bin", b"\0one")
    store.publish("a/d.bin", b"two")
    assert store.read("a/b/c.bin") == b"\0one"
    assert store.read("first") == b""
    assert store.names() == {"first", "a/b/c.bin", "a/d.bin"}
    assert store.names("a") == {"b/c.bin", "d.bin"}


def test_a_file_that_is_not_there_is_none_and_a_folder_that_is_not_there_is_empty(store: Store) -> None:
    assert store.read("nothing") is None
    assert store.read("no/folder/nothing") is None
    assert store.names("no/folder") == set()


def test_a_file_is_replaced_as_a_whole(store: Store) -> None:
    store.publish("a.bin", b"a longer one")
    store.publish("a.bin", b"short")
    assert store.read("a.bin") == b"short"
    assert store.names() == {"first", "a.bin"}


def test_what_another_writes_meanwhile_is_listed(place: Location, store: Store) -> None:
    assert store.names() == {"first"}
    open_store(place, "--out").publish("a/second", b"2")
    assert store.names() == {"first", "a/second"}


def test_threads_that_publish_one_name_leave_one_whole_file(store: Store) -> None:
    contents = [bytes([number]) * 50_000 for number in range(8)]
    threads = [threading.Thread(target=store.publish, args=("a/one", content)) for content in contents]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert store.read("a/one") in contents
    assert store.names() == {"first", "a/one"}


def test_a_writer_that_dies_before_the_end_leaves_nothing_to_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"memory://{uuid4().hex}"
    store = open_store(url, "--out")

    def dies(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(fsspec.filesystem("memory")), "mv", dies)
        with pytest.raises(KeyboardInterrupt):
            store.publish("a/one", b"1")
    assert store.read("a/one") is None
    assert store.names() == set()
    store.publish("a/one", b"1")
    assert store.names() == {"a/one"}


def test_what_the_service_refuses_names_the_file_and_the_option(monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(f"memory://{uuid4().hex}", "--out")

    def refuses(*_: object, **__: object) -> None:
        raise RuntimeError("403 Forbidden")

    for method, call in (
        ("cat_file", lambda: store.read("a")),
        ("pipe_file", lambda: store.publish("a", b"")),
        ("find", store.names),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(type(fsspec.filesystem("memory")), method, refuses)
            with pytest.raises(CacheError, match=r"(?s)memory://.*RuntimeError: 403 Forbidden.*--out"):
                call()


def test_only_folders_have_locks(tmp_path: Path) -> None:
    for place, free in ((tmp_path, False), (f"memory://{uuid4().hex}", True)):
        one, other = (open_store(place, "--out") for _ in range(2))
        with one.claim("a/b.bin", blocking=True) as first, other.claim("a/b.bin", blocking=False) as second:
            assert (first, second) == (True, free)


@pytest.mark.parametrize("text", ["s3://bucket/cache", "memory://a", "gs://b"])
def test_urls_stay_as_they_were_written(text: str) -> None:
    assert location(text) == resolved(location(text)) == text


def test_everything_else_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert location("rows/new") == Path("rows/new")
    assert resolved(Path("rows")) == tmp_path.resolve() / "rows"


def test_an_unknown_kind_of_url_is_refused() -> None:
    with pytest.raises(UsageError, match=r"(?s)no such kind of URL.*--cache-dir|--cache-dir.*no such kind of URL"):
        Cache("nowhere://bucket")


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    with pytest.raises(MissingExtraError, match="such as s3fs for s3://"):
        Cache("s3://bucket/cache")
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtraError, match=r"quant-reliability\[remote\]"):
        Cache("memory://bucket")


def figures() -> Arrays:
    return {"image": np.arange(6, dtype=np.float32).reshape(2, 3), "ids": np.array(["a", "ü"])}


def never() -> Arrays:
    raise AssertionError("computed although the entry is there")


def test_an_entry_at_a_url_is_computed_once_and_noticed_when_damaged() -> None:
    url = f"memory://{uuid4().hex}"
    cache, job = Cache(url), Job({"of": 1}, figures)
    assert cache.lacking([job, Job({"of": 1}, never)]) == {job.key}
    (first,) = cache.get([job])
    (again,) = Cache(url).get([Job({"of": 1}, never)])
    for name, array in figures().items():
        np.testing.assert_array_equal(first[name], array)
        np.testing.assert_array_equal(again[name], array)
    assert cache.lacking([job]) == set()
    system = fsspec.filesystem("memory")
    (file,) = system.find(url)
    system.pipe_file(file, system.cat_file(file)[:-1] + b"?")
    with pytest.warns(DamagedEntryWarning, match="is damaged"):
        cache.get([job])
    cache.get([Job({"of": 1}, never)])
