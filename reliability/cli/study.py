"""``reliability study``: the seed study's claims on the models at hand."""

from __future__ import annotations

from pathlib import Path

import click

from reliability.errors import UsageError

MODELS = ("zoo:scenes-clean", "zoo:scenes-web")


@click.command()
@click.option("--reference", "models", multiple=True, help=f"a model, repeatable (default: {', '.join(MODELS)})")
@click.option("--data", default="scenes", show_default=True)
@click.option("--data-root", type=click.Path(path_type=Path), help="where data sets lie (default: the user's cache)")
@click.option("--limit", type=click.IntRange(1), help="pictures of each source (default: all)")
@click.option("--cache-dir", type=click.Path(path_type=Path), help="embeddings (default: the user's cache)")
@click.option("--out", type=click.Path(path_type=Path), default=Path("reports/study"), show_default=True)
def study(
    models: tuple[str, ...], data: str, data_root: Path | None, limit: int | None, cache_dir: Path | None, out: Path
) -> None:
    """Judge every claim of arXiv 2509.21173 and write OUT/report.md.

    The data need the tasks of the embedded scenes: id, ood/near, shift/*,
    spurious/background, and corruptions.
    """
    import platformdirs

    from reliability.data.registry import open_data
    from reliability.evaluate.cache import Cache
    from reliability.evaluate.engine import Engine
    from reliability.models.spec import parse_model
    from reliability.report.study import study_page
    from reliability.study.bench import StudyBench
    from reliability.study.run import judge_study

    names = models or MODELS
    specs = tuple(parse_model(name) for name in names)
    if len({spec.name for spec in specs}) < len(specs):
        raise UsageError(
            where="--reference", what="a model is named twice", got=", ".join(names), next="name each once"
        )
    cache = Cache(cache_dir or Path(platformdirs.user_cache_dir("quant-reliability")))
    bench = StudyBench(Engine(cache, open_data(data, data_root, limit)), specs)
    findings = judge_study(bench, lambda f: click.echo(f"{f.claim:>3}  {f.verdict:<12}  {f.subject}: {f.title}"))
    pictures = "all pictures" if limit is None else f"{limit:,} pictures of each source"
    made = f"Made by reliability study on {', '.join(names)}, {data}, {pictures}."
    out.mkdir(parents=True, exist_ok=True)
    (out / "report.md").write_text(study_page(findings, made), encoding="utf-8")
    click.echo(f"report: {out / 'report.md'}")
