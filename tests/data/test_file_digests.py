"""Content digests of many files, remembered between runs."""

from __future__ import annotations

import hashlib
import json
import os

import pytest

from reliability.data import fingerprint
from reliability.data.fingerprint import content_digests
from reliability.errors import DataError


@pytest.fixture
def folder(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(name.encode() * 100)
    return tmp_path


def expected(folder, names):
    return [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]


def forget():
    """As a new process would begin."""
    fingerprint._known.cache_clear()


def test_digests_are_those_of_the_contents_in_the_order_of_the_names(folder):
    assert content_digests(folder, ["c", "a"]) == expected(folder, ["c", "a"])


def test_a_changed_file_is_read_again(folder):
    content_digests(folder, ["a", "b"])
    (folder / "a").write_bytes(b"z" * 100)
    os.utime(folder / "a", ns=(1, 1))
    assert content_digests(folder, ["a", "b"]) == expected(folder, ["a", "b"])


def test_a_later_run_does_not_read_large_folders_again(folder, monkeypatch):
    monkeypatch.setattr(fingerprint, "REMEMBERED_BYTES", 1)
    before = content_digests(folder, ["a", "b"])
    forget()
    monkeypatch.setattr(fingerprint, "_digest", lambda *_: pytest.fail("read again"))
    assert content_digests(folder, ["b", "a"]) == before[::-1]


def test_small_folders_leave_no_file_behind(folder):
    before = set(fingerprint.memory_folder().glob("*"))
    content_digests(folder, ["a", "b"])
    assert set(fingerprint.memory_folder().glob("*")) == before


@pytest.mark.parametrize("content", ["", "{", "[]", json.dumps({"a": "x"}), json.dumps({"a": [1]})])
def test_a_damaged_memory_is_forgotten(folder, monkeypatch, content):
    monkeypatch.setattr(fingerprint, "REMEMBERED_BYTES", 1)
    content_digests(folder, ["a"])
    fingerprint._memory(folder).write_text(content)
    forget()
    assert content_digests(folder, ["a"]) == expected(folder, ["a"])


def test_a_memory_that_cannot_be_written_only_costs_time(folder, monkeypatch):
    monkeypatch.setattr(fingerprint, "REMEMBERED_BYTES", 1)
    monkeypatch.setattr(fingerprint, "memory_folder", lambda: folder / "a" / "below a file")
    assert content_digests(folder, ["b"]) == expected(folder, ["b"])


def test_a_missing_file_is_an_error_that_names_it(folder):
    with pytest.raises(DataError, match=r"cannot be read[\s\S]*/q"):
        content_digests(folder, ["a", "q"])
