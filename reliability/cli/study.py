"""``reliability study``: the seed study's claims on the models at hand."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reliability.errors import UsageError

if TYPE_CHECKING:
    from reliability.evaluate.filling.fill import Site
    from reliability.models.spec import ModelSpec
    from reliability.study.fill import Wanted
    from reliability.study.finding import Finding, Study

PLANS = (Path("plans/study.toml"), Path("plans/study-controls.toml"))
FINDINGS = "findings.json"


@click.command()
@click.option(
    "--plan", "plans", multiple=True, type=click.Path(path_type=Path),
    help=f"candidates and tasks, repeatable (default: {', '.join(map(str, PLANS))})",
)  # fmt: skip
@click.option("--reference", "models", multiple=True, help="a model, repeatable (default: as the plans say)")
@click.option("--data", help="in place of the plans' own")
@click.option("--data-root", type=click.Path(path_type=Path), help="where data sets lie (default: the user's cache)")
@click.option("--limit", type=click.IntRange(1), help="pictures of each source (default: all)")
@click.option("--cache-dir", type=click.Path(path_type=Path), help="embeddings (default: the user's cache)")
@click.option("--workers", type=click.IntRange(0), default=2, show_default=True, help="processes; 0 works in this one")
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("reports/study"), show_default=True, help="its folder"
)
@click.option("--redraw", is_flag=True, help=f"write the report again from OUT/{FINDINGS}, and judge nothing")
@click.option(
    "--tables", type=click.Path(path_type=Path), help="a page to write the tables into, such as docs/study.md"
)
def study(
    plans: tuple[Path, ...], models: tuple[str, ...], data: str | None, data_root: Path | None, limit: int | None,
    cache_dir: Path | None, workers: int, out: Path, redraw: bool, tables: Path | None,
) -> None:  # fmt: skip
    """Judge every claim of arXiv 2509.21173 and write OUT/report.md with its figures.

    The data need the tasks of the embedded scenes; a claim about others is reported as not applicable.
    """
    from reliability.report.study import write_report
    from reliability.report.study_tables import write_tables

    if redraw:
        found = _read(out / FINDINGS)
    else:
        root = data_root.resolve() if data_root else None
        found = _judged(plans or PLANS, models, data, _site(cache_dir, root, limit), workers)
        out.mkdir(parents=True, exist_ok=True)
        (out / FINDINGS).write_text(json.dumps(found.to_dict(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    click.echo(f"report: {write_report(out, found)}")
    if tables is not None:
        click.echo(f"tables: {write_tables(tables, found)}")


def _site(cache_dir: Path | None, data_root: Path | None, limit: int | None) -> Site:
    import platformdirs

    from reliability.evaluate.filling.fill import Site

    cache = cache_dir or Path(platformdirs.user_cache_dir("quant-reliability"))
    return Site(cache.resolve(), "", data_root, limit)


def _judged(plans: Sequence[Path], models: Sequence[str], data: str | None, site: Site, workers: int) -> Study:
    from reliability.evaluate.filling.workers.local import LocalWorkers
    from reliability.study.fill import fill
    from reliability.study.finding import ALL_MODELS
    from reliability.study.run import Assignment, judge_all, judge_assigned

    site, wanted = _wanted(plans, models, data, site)
    started = time.perf_counter()
    pool = LocalWorkers(workers)
    refused = fill(site, wanted, pool, _bar)
    filled = time.perf_counter()
    shares = [
        Assignment(model, tuple(one.recipe.name for one in wanted if one.model == model), tuple(known.items()))
        for model, known in refused.items()
    ]
    studies: dict[ModelSpec, Study] = {}
    for share, found in pool.each(judge_assigned, site, shares):
        studies[share.model] = found
        for finding in found.findings:
            click.echo(_line(finding))
    times = f"embedding {(filled - started) / 60:.1f} min, judging {(time.perf_counter() - filled) / 60:.1f} min"
    made = f"Made by reliability study on {', '.join(m.name for m in studies)}; {site.data}, {_pictures(site)}; "
    made += f"{len(wanted)} candidates of {', '.join(map(str, plans))}; {workers} processes: {times}."
    whole = judge_all([studies[share.model] for share in shares], made)
    for finding in (f for f in whole.findings if f.subject == ALL_MODELS):
        click.echo(_line(finding))
    return whole


def _wanted(plans: Sequence[Path], models: Sequence[str], data: str | None, site: Site) -> tuple[Site, list[Wanted]]:
    """Candidates with their tasks, each once, and the data they are on.

    Raises:
        UsageError: The plans name several data sets, or a model twice.
    """
    from reliability.study.fill import Wanted
    from reliability.sweep.grid import expand
    from reliability.sweep.plan import load_plan

    if len(set(models)) < len(models):
        raise UsageError(
            where="--reference", what="a model is named twice", got=", ".join(models), next="name each once"
        )
    tasks: dict[tuple[Any, Any], dict[str, None]] = {}
    sets: dict[str, None] = {}
    for path in plans:
        plan = load_plan(path)
        grids = [replace(g, models=tuple(models) or g.models, data=data or g.data) for g in plan.candidates]
        limit = site.limit or plan.limit
        for unit in expand(replace(plan, candidates=tuple(grids), limit=limit), site.data_root).units:
            sets[unit.data] = None
            tasks.setdefault((unit.model, unit.recipe), {})[unit.task] = None
    if len(sets) > 1:
        raise UsageError(
            where=", ".join(map(str, plans)), what="the study is about one data set", got=", ".join(sets),
            next="name one with --data",
        )  # fmt: skip
    found = [Wanted(model, recipe, tuple(names)) for (model, recipe), names in tasks.items()]
    return replace(site, data=next(iter(sets)), limit=limit), found


def _bar(steps: int) -> Callable[[], object]:
    from tqdm import tqdm

    bar: Any = tqdm(total=steps, unit="step", smoothing=0.1, mininterval=0.5, disable=not steps)
    return lambda: bar.update(1)


def _line(finding: Finding) -> str:
    return f"{finding.claim:>3}  {finding.verdict:<14}  {finding.subject}: {finding.title}"


def _pictures(site: Site) -> str:
    return "all pictures" if site.limit is None else f"{site.limit:,} pictures of each source"


def _read(path: Path) -> Study:
    """What an earlier run has found.

    Raises:
        UsageError: The file is not there, or is no such file.
    """
    from reliability.study.finding import Study

    try:
        return Study.from_dict(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            where=str(path), what="findings cannot be read", got=f"{type(error).__name__}: {error}",
            next="run reliability study once without --redraw",
        ) from error  # fmt: skip
