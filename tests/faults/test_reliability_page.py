"""docs/reliability.md shows the table of planted faults as it is tested."""

from __future__ import annotations

from fault_table import FAULTS, table
from fault_world import HERE

PAGE = HERE.parents[1] / "docs" / "reliability.md"


def test_the_page_shows_every_fault_and_what_becomes_of_it() -> None:
    shown = PAGE.read_text().partition("<!-- faults -->\n")[2].partition("<!-- /faults -->")[0]
    assert shown.strip() == table(), f"write this between its marks:\n{table()}"


def test_there_are_many_faults_and_each_has_a_name_of_its_own() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(names) == len(set(names)) >= 40
