"""Run a gate's cases over several range-setting draws, and write the margins that they ask for.

Nothing of the user's is changed: a proposal is a copy of the threshold file and a
diff beside it, for a person to read and to apply.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from io import StringIO
from pathlib import Path
from typing import Any

from reliability.claims.bounds import Proposed
from reliability.claims.cases import Case
from reliability.claims.judge import judge
from reliability.claims.proposal import Measured, Proposal, Terms, propose
from reliability.claims.proposal_file import Place, entries, proposed_files
from reliability.claims.runs import write_text
from reliability.errors import UndefinedMetricError, UsageError
from reliability.evaluate.running.efficiency import COSTS
from reliability.quant.recipe import FP32, Recipe
from reliability.session.gate import GateSession
from reliability.session.needs import all_cases
from reliability.session.options import Options
from reliability.types import Interval

STARTER = Path(str(files("reliability.starter") / "thresholds.toml.txt"))
"""What a proposal begins with where there is no threshold file: the bounds of ``reliability init``."""
DIFF_NAME, FIGURES_NAME = "proposal.diff", "measured.csv"

_COLUMNS = ("bound", "case", "draw", "pictures", "reference", "candidate", "harm", "lower", "upper", "outcome", "error")

Figures = Mapping[Place, Sequence[Measured]]
Progress = Callable[[Sequence[Case]], Iterable[Case]]


@dataclass(frozen=True)
class Written:
    """What a proposal left behind.

    Attributes:
        proposals: One for each ``[[bound]]``, in the order of the files.
        files: Proposed threshold files, the one that a run names first.
        diff: All changes, as ``git apply`` takes them.
        figures: Every figure that was measured, as CSV.
    """

    proposals: tuple[Proposal, ...]
    files: tuple[Path, ...]
    diff: Path
    figures: Path


def propose_margins(
    options: Options, *, draws: int, factor: float, loosen: str, out: Path, progress: Progress
) -> Written:
    """Measure what the bounds of a threshold file leave of room, and write what they could be.

    Args:
        options: As of a run; without a threshold file every margin, floor and the list of
            recipes is set anew, from the bounds that ``reliability init`` writes.
        draws: Of range-setting pictures, for each recipe.
        factor: What the largest limit of harm is multiplied by.
        loosen: Why bounds may be loosened; empty where none may.
        out: Folder of the proposal.
        progress: Hands cases on, one at a time.

    Raises:
        ReliabilityError: An option, the threshold file, the data or a model is at fault.
    """
    fresh = options.thresholds is None
    session = GateSession.open(replace(options, thresholds=STARTER) if fresh else options)
    floors = reference_figures(session) if fresh else {}
    if fresh:
        session.thresholds = replace(session.thresholds, floors=())  # they are about to be set
    terms = Terms(basis_of(session, draws, factor), loosen, fresh)
    return write_proposal(session, measure(session, draws, progress), terms, floors, out)


def measure(session: GateSession, draws: int, progress: Progress) -> Figures:
    """Judge every case of a plan, as its bound stands, under several draws of range-setting pictures.

    Args:
        session: Whose plan's cases are judged.
        draws: The recipe's own and those that follow; one for what draws nothing.
        progress: Hands the cases on, one at a time.

    Returns:
        File and index of a bound to its figures.

    Raises:
        ReliabilityError: A model, data or recipe is at fault. A figure that has no value is
            kept as such.
    """
    drawn = [one for case in all_cases(session) for one in _drawn(case, draws)]
    found: dict[Place, list[Measured]] = {}
    # Those of one candidate on one task follow one another: its embeddings are read once.
    for case in progress(sorted(drawn, key=_position)):
        found.setdefault((case.bound.file, case.bound.index), []).append(_measured(session, case))
    return found


def reference_figures(session: GateSession) -> dict[Place, Interval]:
    """For each floor, the figure of the reference that comes nearest to missing it; tasks that are not there lack."""
    found: dict[Place, Interval] = {}
    for model in session.plan.models:
        for floor in session.thresholds.floors_for(model.name):
            if floor.task in session.data.tasks:
                pair = session.engine.pair(model, FP32, session.data.task(floor.task))
                got, place = pair.harm(floor.metric, floor.score).reference, (floor.file, floor.index)
                worst = min if floor.relation == "at_least" else max
                found[place] = worst(found.get(place, got), got, key=lambda interval: interval.estimate)
    return found


def write_proposal(
    session: GateSession, figures: Figures, terms: Terms, floors: Mapping[Place, Interval], out: Path
) -> Written:
    """Write proposed threshold files, a diff and every figure into a folder.

    Args:
        session: Whose threshold file it is.
        figures: As :func:`measure` gives them.
        terms: What margins follow from.
        floors: As :func:`reference_figures` gives them, where floors are to be set too.
        out: Created if need be; an earlier proposal in it is replaced.

    Raises:
        UsageError: A file would be written over the one that it was proposed for.
        ThresholdError: A file is not written so that single values can be changed.
    """
    thresholds = session.plan.thresholds
    proposals = {
        place: propose(bound, figures.get(place, ()), terms) for place, bound in entries(thresholds.bounds).items()
    }
    made = proposed_files(thresholds, proposals, terms, floors)
    for file in made:
        _refuse_overwriting(out / file.path, file.name)
    for file in made:
        write_text(out / file.path, file.after)
    write_text(out / DIFF_NAME, "".join(file.diff for file in made))
    write_text(out / FIGURES_NAME, _csv(figures))
    paths = tuple(out / file.path for file in made)
    return Written(tuple(proposals.values()), paths, out / DIFF_NAME, out / FIGURES_NAME)


def basis_of(session: GateSession, draws: int, factor: float) -> Proposed:
    """What a proposal from this session was measured on."""
    return Proposed(
        data=session.data.name,
        references=tuple(model.shown for model in session.plan.models),
        recipes=tuple(recipe.name for recipe in session.plan.recipes),
        draws=draws,
        factor=factor,
        limit=session.options.limit,
        file="",
    )


def _drawn(case: Case, draws: int) -> list[Case]:
    recipe = case.recipe
    if not isinstance(recipe, Recipe) or not recipe.depends_on_draw or _refused(case):
        return [case]
    others = (replace(recipe, name=f"{recipe.name}-s{seed}", seed=seed) for seed in _seeds(recipe, draws)[1:])
    return [case, *(replace(case, recipe=other) for other in others)]


def _seeds(recipe: Recipe, draws: int) -> range:
    return range(recipe.seed, recipe.seed + draws)


def _draw(case: Case) -> int | None:
    return case.recipe.seed if isinstance(case.recipe, Recipe) and case.recipe.depends_on_draw else None


def _position(case: Case) -> tuple[str, str, str]:
    return case.model.name, case.recipe.name, case.task.name


def _measured(session: GateSession, case: Case) -> Measured:
    refused = _refused(case)
    if refused:
        return Measured(case.name, _draw(case), None, refused)
    try:
        bound = case.bound
        comparison = session.pair(case).harm(bound.metric, bound.score, level=bound.level)
        return Measured(case.name, _draw(case), judge(bound, comparison, case.name))
    except UndefinedMetricError as error:
        return Measured(case.name, _draw(case), None, f"{error.what}: {error.got}")


def _refused(case: Case) -> str:
    """Why a case is no ground for a margin; empty where it is."""
    if case.bound.metric in COSTS:
        return "what a model costs is a matter of the machine it runs on"
    if isinstance(case.recipe, Recipe) and case.recipe.backend:
        return "kernels may be held against their simulation, which only the claim's test knows"
    return ""


def _refuse_overwriting(target: Path, name: str) -> None:
    if target.resolve() == Path(name).resolve():
        raise UsageError(
            where=f"--out {target.parent}", what="a proposal never replaces the file that it was made for", got=name,
            next="name another folder, such as reports/proposal",
        )  # fmt: skip


def _csv(figures: Figures) -> str:
    text = StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(_COLUMNS)
    table.writerows(
        _row(f"{Path(file).name}:{i}", one) for (file, i), every in sorted(figures.items()) for one in every
    )
    return text.getvalue()


def _row(bound: str, found: Measured) -> list[Any]:
    draw = "" if found.draw is None else found.draw
    if found.verdict is None:
        return [bound, found.case, draw, *[""] * 7, found.error]
    got, judged = found.verdict.comparison, found.verdict.judged
    values = (got.reference.estimate, got.candidate.estimate, got.harm.estimate, judged.lower, judged.upper)
    return [bound, found.case, draw, got.n, *(repr(float(value)) for value in values), found.verdict.outcome, ""]
