"""A whole run's results as JSON, written in one step and read back with suspicion."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from reliability.claims.records import CaseResult, as_record, damaged, load_case

SCHEMA = 2
"""Written; described in docs/report.md."""
READ = (1, 2)
"""Read: the first had fewer details, and nothing else."""

_RUN_KEYS = {"schema", "run", "notes", "cases", "complete", "problems"}


@dataclass(frozen=True)
class RunRecord:
    """A whole run.

    Attributes:
        run: Versions, options, hardware, hashes: names to plain values or dicts of them.
        cases: Records of :func:`reliability.claims.records.case_record`, in any order.
        complete: Whether everything the threshold file asks for was judged.
        notes: What a reader should know.
        problems: What went wrong outside the cases; any of them stops a release.
    """

    run: Mapping[str, Any]
    cases: Sequence[Mapping[str, Any]]
    complete: bool
    notes: Sequence[str] = ()
    problems: Sequence[str] = ()
    schema: int = field(default=SCHEMA, init=False)

    def results(self) -> list[CaseResult]:
        """The cases, checked, by model, recipe, claim, task and figure.

        Raises:
            RecordError: A record is damaged, or two records are of one case.
        """
        results = sorted((load_case(record) for record in self.cases), key=_order)
        _refuse_duplicates(result.case for result in results)
        return results

    def to_dict(self) -> dict[str, Any]:
        """Plain data, the cases checked and in the order of :meth:`results`."""
        cases = [as_record(result) for result in self.results()]
        lists = {"notes": list(self.notes), "problems": list(self.problems), "cases": cases}
        return {"schema": self.schema, "complete": self.complete, "run": dict(self.run), **lists}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], where: str = "run record") -> RunRecord:
        """The inverse of :meth:`to_dict`.

        Raises:
            RecordError: The data are not a run record of this schema.
        """
        if not isinstance(data, Mapping) or set(data) != _RUN_KEYS or data["schema"] not in READ:
            raise damaged(where, f"not a run record of schema {' or '.join(map(str, READ))}", str(data)[:120])
        kinds = {"run": Mapping, "cases": list, "notes": list, "problems": list, "complete": bool}
        wrong = [key for key, kind in kinds.items() if not isinstance(data[key], kind)]
        if wrong:
            raise damaged(where, "a value of the wrong type", ", ".join(wrong))
        run = cls(data["run"], data["cases"], data["complete"], data["notes"], data["problems"])
        run.results()
        return run


def write_json(path: Path, run: RunRecord) -> None:
    """Write a run in one step, so that a reader never sees half of it.

    Conventions:
        Keys are sorted, and every float is written so that it reads back as itself.

    Raises:
        RecordError: A record is damaged, or holds NaN, an infinity or something JSON has no form for.
    """
    try:
        text = json.dumps(run.to_dict(), indent=1, sort_keys=True, allow_nan=False, ensure_ascii=False)
    except (ValueError, TypeError) as error:
        raise damaged(str(path), "a value that JSON cannot hold", str(error)) from error
    write_text(path, text + "\n")


def read_json(path: Path) -> RunRecord:
    """Read and check what :func:`write_json` wrote.

    Raises:
        RecordError: The file is missing, is not JSON or is not a run record.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise damaged(str(path), "the report cannot be read", str(error)) from error
    return RunRecord.from_dict(data, str(path))


def write_text(path: Path, text: str) -> None:
    """Replace a text file in one step (UTF-8, ``\\n`` line ends)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not a temporary file of the system's: that one would be readable by its owner alone.
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with draft.open("w", encoding="utf-8", newline="\n") as file:
            file.write(text)
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def _order(result: CaseResult) -> tuple[str, ...]:
    bound = result.bound
    return (result.model, result.recipe, bound.claim, result.task, bound.metric, bound.score, result.case)


def _refuse_duplicates(cases: Iterable[str]) -> None:
    seen: set[str] = set()
    for case in cases:
        if case in seen:
            raise damaged(case, "two records of one case", case, "merge each worker's records once")
        seen.add(case)
