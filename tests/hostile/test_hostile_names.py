"""Names that come with data stay text: in messages, reports, queries and threshold files."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from reliability.errors import DataError, ReliabilityError
from reliability.report.escape import block, code, escape

NAMES = {
    "terminal": "\x1b[2J\x1b]0;owned\x07\x9b31m",
    "carriage return": "good\rbad",
    "line": "x\n  next:  run rm -rf",
    "right to left": "\u202egnp.exe",
    "null": "a\0b",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_an_error_shows_a_name_that_a_terminal_would_obey_as_text(name: str) -> None:
    shown = str(DataError(where=f"folder/{name}", what="unreadable image", got=name, next="repair it"))
    assert all(letter.isprintable() or letter == "\n" for letter in shown)
    assert [line for line in shown.splitlines() if line.startswith("  next:")] == ["  next:  repair it"]


def test_an_error_keeps_the_words_of_other_languages() -> None:
    shown = str(DataError(where="Bilder/日本-ü.png", what="unreadable image", got="ñ", next="repair it"))
    assert "Bilder/日本-ü.png" in shown


@pytest.mark.parametrize(
    "name",
    ["<script>alert(1)</script>", "![x](http://e.x/p.png)", "[a](javascript:alert(1))", "a|b", "`x`", "http://e.x"],
)
def test_names_are_not_interpreted_in_markdown(name: str) -> None:
    shown = escape(name)
    assert "<script" not in shown
    assert "](" not in shown.replace("\\](", "").replace("\\]", "")
    assert "http://" not in shown
    assert "|" not in shown.replace("\\|", "")


def test_names_cannot_close_a_block_or_a_code_span() -> None:
    assert block("```\n# heading\n```").startswith("````text\n")
    assert code("a`b``c").startswith("```")


def test_names_cannot_reach_a_query(tmp_path: Path) -> None:
    pytest.importorskip("duckdb")
    pq = pytest.importorskip("pyarrow.parquet")
    import pyarrow as pa

    from reliability.sweep.query import query

    name, out = "x'; DROP VIEW runs; --", tmp_path / "quo'te; "
    (out / "rows" / "part").mkdir(parents=True)
    pq.write_table(pa.table({"recipe": [name, "plain"], "harm": [1.0, 2.0]}), out / "rows" / "part" / "a.parquet")
    assert query(out, "SELECT harm FROM runs WHERE recipe = ?", [name]).rows == [(1.0,)]
    assert len(query(out, "SELECT * FROM runs").rows) == 2
    with pytest.raises(ReliabilityError):
        query(out, "SELECT * FROM read_csv('/etc/passwd')")


def test_a_network_is_out_of_reach_in_tests() -> None:
    import socket

    with socket.socket() as opened, pytest.raises(RuntimeError, match="tried to connect"):
        opened.connect(("192.0.2.1", 80))


def test_a_default_run_asks_for_no_network(tmp_path: Path) -> None:
    """Collecting and loading the embedded model in a process where any connection ends it."""
    script = (
        "import socket, sys\n"
        "def refuse(*_): print('network', flush=True); sys.exit(9)\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from reliability.models.spec import parse_model\n"
        "from reliability.models.loading import load_reference\n"
        "load_reference(parse_model('zoo:scenes-clean'))\n"
        "from reliability.data.registry import open_data\n"
        "next(iter(open_data('scenes', limit=2).sources['id'].batches(2)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=tmp_path, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_reports_are_written_with_the_modes_that_the_user_set(tmp_path: Path) -> None:
    from reliability.claims.runs import write_text

    before = os.umask(0o027)
    try:
        write_text(tmp_path / "report" / "report.md", "text")
    finally:
        os.umask(before)
    assert (tmp_path / "report" / "report.md").stat().st_mode & 0o777 == 0o640
    assert (tmp_path / "report").stat().st_mode & 0o777 == 0o750
