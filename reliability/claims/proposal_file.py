"""A threshold file with proposals in it, beside the one it was made from."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from reliability.claims.bounds import Bound, Proposed, ThresholdFile
from reliability.claims.keys import WITHOUT_MARGIN
from reliability.claims.proposal import Proposal, Terms
from reliability.claims.toml_text import TomlText, rows_of, toml_list, toml_string
from reliability.errors import UsageError
from reliability.types import Interval

FRESH_NAME = "thresholds.toml"
"""Of a file that is proposed where there was none."""

_PROVENANCE = "# What margins above were measured on. A run on the same pictures says so: it would be no evidence.\n"

Place = tuple[str, int]
"""File and index of a bound or floor."""


@dataclass(frozen=True)
class ProposedFile:
    """One file of a proposal.

    Attributes:
        name: Of the file that it was made from, as the user gave it.
        path: Below the proposal's folder.
        before: Its text; empty where there was none.
        after: The proposed text.
    """

    name: str
    path: Path
    before: str
    after: str

    @property
    def diff(self) -> str:
        """What ``git apply`` takes, from the folder that ``name`` starts in; empty where nothing changes."""
        shown = self.name.removeprefix("/")
        old = f"a/{shown}" if self.before else "/dev/null"
        rows = difflib.unified_diff(rows_of(self.before), rows_of(self.after), old, f"b/{shown}")
        return "".join(row if row.endswith("\n") else f"{row}\n\\ No newline at end of file\n" for row in rows)


def entries(bounds: Sequence[Bound]) -> dict[Place, Bound]:
    """One bound for each entry of a file: those of several metrics or scores stand in one."""
    return {place: next(group) for place, group in groupby(bounds, key=lambda bound: (bound.file, bound.index))}


def proposed_files(
    thresholds: ThresholdFile,
    proposals: Mapping[Place, Proposal],
    terms: Terms,
    floors: Mapping[Place, Interval],
) -> list[ProposedFile]:
    """The files of a proposal: the one that a run names, and those it includes.

    Args:
        thresholds: As they stand.
        proposals: For entries of the files.
        terms: What they were made by.
        floors: The reference's own figure where floors are to be set too, that is without
            a file of the user's.

    Raises:
        ThresholdError: A file is not written so that single values can be changed.
        UsageError: A file is included from outside of the first one's folder.
    """
    names = dict.fromkeys([thresholds.path, *(file for file, _ in proposals)])
    return [_file(name, thresholds, proposals, terms, floors) for name in names]


def _file(
    name: str,
    thresholds: ThresholdFile,
    proposals: Mapping[Place, Proposal],
    terms: Terms,
    floors: Mapping[Place, Interval],
) -> ProposedFile:
    before = Path(name).read_bytes().decode("utf-8")
    document = TomlText(before, name)
    for (file, index), proposal in proposals.items():
        if file == name:
            _put(document, index, proposal, terms.fresh)
    if terms.fresh:
        _put_floors(document, thresholds, floors)
        document.replace("run", 1, "recipes", toml_list(terms.basis.recipes))
    main = name == thresholds.path
    if main and any(earlier.file == name for earlier in thresholds.proposed):
        document.remove("proposed", 1)
    after = document.result(_provenance(terms.basis) if main else "")
    if terms.fresh:
        return ProposedFile(FRESH_NAME, Path(FRESH_NAME), "", after)
    return ProposedFile(name, _path_beside(thresholds.path, name), before, after)


def _put(document: TomlText, index: int, proposal: Proposal, fresh: bool) -> None:
    if proposal.action == "not measured" and fresh:
        document.remove("bound", index)
        return
    # A relation without a margin still says what was measured.
    key = "relation" if proposal.bound.relation in WITHOUT_MARGIN else "margin"
    document.replace("bound", index, key, proposal.margin, proposal.measured)
    if proposal.reason is not None:
        document.replace("bound", index, "reason", toml_string(proposal.reason))


def _put_floors(document: TomlText, thresholds: ThresholdFile, floors: Mapping[Place, Interval]) -> None:
    """Floors at what the reference reaches, less as much again as its limit lies below it."""
    for floor in thresholds.floors:
        reached = floors.get((floor.file, floor.index))
        if reached is None:
            document.remove("floor", floor.index)
            continue
        limit = reached.lower if floor.relation == "at_least" else reached.upper
        far = 2 * limit - reached.estimate
        rounded = (math.floor if floor.relation == "at_least" else math.ceil)(100 * far) / 100
        words = (f"the reference has {reached.estimate:.4f}, limit {limit:.4f}",)
        document.replace("floor", floor.index, floor.relation, f"{rounded:.2f}", words)


def _path_beside(main: str, name: str) -> Path:
    """Where a file lies as the main one sees it, so that includes find it in a proposal's folder too."""
    folder, path = Path(main).parent.resolve(), Path(name).resolve()
    if not path.is_relative_to(folder):
        raise UsageError(
            where=main, what="it includes a file outside of its own folder, which a proposal would not find", got=name,
            next="propose margins for that file by itself, or move it beside this one",
        )  # fmt: skip
    return path.relative_to(folder)


def _provenance(basis: Proposed) -> str:
    rows = [
        "[proposed]",
        f"data = {toml_string(basis.data)}",
        f"references = {toml_list(basis.references)}",
        f"recipes = {toml_list(basis.recipes)}",
        f"draws = {basis.draws}",
        f"factor = {float(basis.factor)}",
        *([f"limit = {basis.limit}"] if basis.limit is not None else []),
    ]
    return _PROVENANCE + "\n".join(rows) + "\n"
