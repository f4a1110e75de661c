"""What is wrong never passes: every planted fault ends as the table in docs/reliability.md says."""

from __future__ import annotations

import pytest
from fault_table import FAULTS
from fault_world import Fault, World


@pytest.mark.parametrize(
    ("world", "fault"),
    [(fault.start, fault) for fault in FAULTS],
    ids=[fault.name for fault in FAULTS],
    indirect=["world"],
)
def test_a_planted_fault_ends_as_the_table_says(world: World, fault: Fault) -> None:
    fault.plant(world)
    # One claim shows a fault; a report is made of several.
    claims = () if fault.claim in ("run", "report") else (fault.claim,)
    results = world.run(fault.recipe, fault.tasks, claims)
    found = {case: result for case, result in results.items() if case.partition("[")[0] == fault.claim}
    assert found, f"nothing was judged of {fault.claim}: {results}"
    for case, result in found.items():
        assert result.startswith(fault.outcome), f"{case}: {result}"
        assert fault.says in result, f"{case}: {result}"
    if fault.part:
        assert world.faulty_parts() == [fault.part]


@pytest.mark.parametrize("recipe", ["plain", "whole", "towers", "smooth", "fp32"])
def test_a_candidate_without_a_fault_holds(world: World, recipe: str) -> None:
    results = world.run(recipe, ("id",))
    assert results.pop("report") == "whole"
    assert set(results.values()) == {"holds"}, results


def test_a_candidate_without_a_fault_holds_on_every_task(world: World) -> None:
    results = world.run("plain", ("id", "ood/near", "ood/far", "spurious/background"))
    assert results.pop("report") == "whole"
    assert set(results.values()) == {"holds"}, results
