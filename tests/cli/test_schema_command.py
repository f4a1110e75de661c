"""``reliability schema``: the schema that editors read."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner

from reliability.claims.schema import COMMITTED
from reliability.cli import main


def test_the_schema_is_printed_and_nothing_else() -> None:
    shown = CliRunner().invoke(main, ["schema", "thresholds"])
    assert shown.exit_code == 0
    assert json.loads(shown.output) == json.loads(COMMITTED.read_text(encoding="utf-8"))


def test_it_can_be_written_to_a_file(tmp_path: Path) -> None:
    shown = CliRunner().invoke(main, ["schema", "thresholds", "--out", str(tmp_path / "a" / "t.schema.json")])
    assert shown.exit_code == 0, shown.output
    assert (tmp_path / "a" / "t.schema.json").read_bytes() == COMMITTED.read_bytes()
