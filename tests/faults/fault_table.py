"""All planted faults, and their table as docs/reliability.md shows it."""

from __future__ import annotations

import faults_of_data
import faults_of_judging
import faults_of_models
import faults_of_numbers
from fault_world import Fault

FAULTS: tuple[Fault, ...] = (
    *faults_of_numbers.FAULTS,
    *faults_of_models.FAULTS,
    *faults_of_data.FAULTS,
    *faults_of_judging.FAULTS,
)


def table() -> str:
    """The rows of docs/reliability.md."""
    rows = [f"| {fault.name} | {fault.where} | {outcome(fault)}{_named(fault)} |" for fault in FAULTS]
    return "\n".join(["| fault | planted into | what becomes of it |", "|---|---|---|", *rows])


def outcome(fault: Fault) -> str:
    """What becomes of a fault, in words."""
    if fault.outcome == "broken":
        return f"`{fault.claim}` is broken"
    if fault.outcome == "holds":
        return f"computed again with a warning; `{fault.claim}` holds"
    if not fault.outcome.endswith("Error"):
        return " … ".join(filter(None, (f"the report says: {fault.outcome}", fault.says)))
    where = {"run": "the run is refused", "report": "the report is refused"}.get(fault.claim, f"`{fault.claim}` ends")
    return f"{where}: {fault.outcome}, “{fault.says}”"


def _named(fault: Fault) -> str:
    return "; the proof of coverage names the part" if fault.part else ""
