"""``reliability sweep``: many candidates, tasks and metrics at once, kept as rows."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="folder of rows, new or begun")
@click.option("--workers", type=click.IntRange(0), default=2, show_default=True, help="processes; 0 works in this one")
@click.option("--cache-dir", type=click.Path(path_type=Path), help="embeddings (default: the user's cache)")
@click.option("--data-root", type=click.Path(path_type=Path), help="where data sets lie (default: the user's cache)")
@click.option("--torch-device", default="cpu", show_default=True)
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True)
@click.option("--ray-address", default="", help="of a cluster, such as auto (default: this machine alone)")
@click.option("--gpus", type=click.FloatRange(0), default=0.0, help="share of a GPU for each task of --engine ray")
@click.option("--count", is_flag=True, help="only say how many runs the plan asks for")
def sweep(
    plan: Path,
    out: Path,
    workers: int,
    cache_dir: Path | None,
    data_root: Path | None,
    torch_device: str,
    engine: str,
    ray_address: str,
    gpus: float,
    count: bool,
) -> None:
    """Measure every run of PLAN and keep each as a row below --out.

    A sweep that was stopped, however, goes on where it was when it is started again.
    """
    import platformdirs

    from reliability.sweep.cluster import Cluster, run_on_ray
    from reliability.sweep.describe import described
    from reliability.sweep.grid import expand
    from reliability.sweep.local import run_here
    from reliability.sweep.plan import load_plan
    from reliability.sweep.run import run_sweep
    from reliability.sweep.work import Place

    read = load_plan(plan)
    grid = expand(read, data_root)
    click.echo(described(grid))
    if count:
        return
    cache = cache_dir or Path(platformdirs.user_cache_dir("quant-reliability"))
    root = data_root.resolve() if data_root else None
    place = Place(out.resolve(), cache.resolve(), root, read.limit, read.level, torch_device)
    here, there = partial(run_here, workers=workers), partial(run_on_ray, cluster=Cluster(ray_address, gpus))
    rows = run_sweep(read, grid, place, here if engine == "local" else there, _progress)
    click.echo(f'{rows:,} runs in {out}; ask: reliability query {out} "SELECT count(*) FROM runs"')


def _progress(total: int, found: int) -> Any:
    from tqdm import tqdm

    return tqdm(total=total, initial=found, unit="run", unit_scale=True, smoothing=0.1)
