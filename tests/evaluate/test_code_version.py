from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from reliability.evaluate.storage import code_version as module
from reliability.evaluate.storage.code_version import code_version


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    (tmp_path / "quant" / "deep").mkdir(parents=True)
    (tmp_path / "quant" / "deep" / "a.py").write_text("one")
    (tmp_path / "types.py").write_text("two")
    monkeypatch.setattr(module, "_PACKAGE", tmp_path)
    code_version.cache_clear()
    yield tmp_path
    code_version.cache_clear()


def fresh(*parts: str) -> str:
    code_version.cache_clear()
    return code_version(*parts)


def test_content_and_names_of_the_parts_count_and_nothing_else(package: Path) -> None:
    first = fresh("quant", "types.py")
    assert fresh("types.py", "quant") == first
    (package / "quant" / "notes.md").write_text("words")
    (package / "other.py").write_text("elsewhere")
    assert fresh("quant", "types.py") == first
    (package / "quant" / "deep" / "a.py").write_text("ONE")
    changed = fresh("quant", "types.py")
    (package / "quant" / "deep" / "a.py").rename(package / "quant" / "deep" / "b.py")
    assert len({first, changed, fresh("quant", "types.py"), fresh("quant"), fresh("types.py")}) == 5
