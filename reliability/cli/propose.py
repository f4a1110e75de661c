"""``reliability propose``: margins from what several range-setting draws show, for a person to apply."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reliability.cli.session_options import DATA, MODELS, PLACES, session_options

if TYPE_CHECKING:
    from reliability.claims.cases import Case
    from reliability.proposing import Written
    from reliability.session.options import Options

EMBEDDED = "scenes"
VALIDATION = "scenes:seed=1"
"""Embedded pictures that the gate does not judge."""


@click.command()
@session_options(
    *MODELS, *DATA, *PLACES,
    data=f"pictures to measure on, other ones than the gate judges (default: {VALIDATION} where that is {EMBEDDED})",
    thresholds="the file to propose margins for (default: none, and a first one is proposed)",
)  # fmt: skip
@click.option(
    "--draws", type=click.IntRange(1), default=3, show_default=True, help="range-setting draws of each recipe"
)
@click.option(
    "--factor", type=click.FloatRange(1.0), default=1.5, show_default=True,
    help="margins are the largest limit of harm times this",
)  # fmt: skip
@click.option("--loosen", metavar="WHY", help="also loosen margins, for this reason, which the file records")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("reports/proposal"),
    show_default=True,
    help="folder of the files",
)
def propose(given: Mapping[str, Any], draws: int, factor: float, loosen: str | None, out: Path) -> None:
    """Propose margins for a threshold file, and write them beside a diff into --out.

    Every case is judged under several draws of range-setting pictures. Without --thresholds a
    first file is proposed. Margins that would loosen a bound are refused without --loosen "why".
    Measure on other pictures than those that the gate judges: --data scenes:seed=1, or a
    validation split of yours.
    """
    from reliability.claims.wording import inert
    from reliability.errors import UsageError
    from reliability.proposing import propose_margins

    why = (loosen or "").strip()
    if loosen is not None and not why:
        raise UsageError(
            where="--loosen", what="a margin is loosened for a reason", got=repr(loosen),
            next='write why, for those who will read the file: --loosen "4 bits save half of the memory"',
        )  # fmt: skip
    options, judged = _options(given)
    written = propose_margins(options, draws=draws, factor=factor, loosen=why, out=out, progress=_progress)
    click.echo("\n".join(proposal_lines(written)))
    if options.data == judged:
        click.echo(
            f"\nmeasured on {inert(judged)}, the very pictures that the gate judges: that these margins hold there is "
            "no evidence, and reports of such a run will say so"
        )
    where = "" if options.data == judged else f" --data {inert(judged)}"
    click.echo(
        f"\nto apply:  git apply {written.diff}\nto try:    pytest suites/ --thresholds {written.files[0]}{where}"
    )


def _options(given: Mapping[str, Any]) -> tuple[Options, str]:
    """What to run, and the data that the gate judges by default.

    Raises:
        UsageError: The gate judges data of the user's own, and none were named to measure on.
    """
    from reliability.errors import UsageError
    from reliability.session.options import Options

    usual = Options.of(Path.cwd(), {name: value for name, value in given.items() if name != "data"})
    if "data" not in given and usual.data.partition(":")[0] != EMBEDDED:
        raise UsageError(
            where="--data", what="which pictures may margins be measured on?", got=f"the gate judges {usual.data}",
            next="name others, such as a validation split; margins measured on the pictures they judge prove nothing",
        )  # fmt: skip
    return Options.of(Path.cwd(), {"data": VALIDATION, **given}), usual.data


def proposal_lines(written: Written) -> list[str]:
    """One row per bound, and where the files are."""
    from tabulate import tabulate

    from reliability.claims.wording import figure_name, inert

    rows = [
        [
            f"{Path(p.bound.file).name.removesuffix('.txt')}:{p.bound.index}", inert(p.bound.claim),
            figure_name(p.bound.metric, p.bound.score), p.bound.relation, f"{p.bound.margin:g}", p.margin or "",
            p.action, p.measured[0].removeprefix(p.action).lstrip(",: "),
        ]
        for p in written.proposals
    ]  # fmt: skip
    header = ["bound", "claim", "figure", "relation", "margin", "proposed", "what", "because"]
    return [
        *tabulate(rows, header, tablefmt="simple", disable_numparse=True).splitlines(),
        "",
        *(f"proposed: {path}" for path in written.files),
        f"diff:     {written.diff}",
        f"figures:  {written.figures}",
    ]


def _progress(cases: Sequence[Case]) -> Iterable[Case]:
    from tqdm import tqdm

    found: Iterable[Case] = tqdm(cases, unit="case", leave=False, disable=None)
    return found
