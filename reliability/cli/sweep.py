"""``reliability sweep``: many candidates, tasks and metrics at once, kept as rows."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from reliability.evaluate.storage.store import Location, location, resolved

if TYPE_CHECKING:
    from reliability.evaluate.filling.workers.workers import Workers


@click.command()
@click.argument("plan", type=click.Path(path_type=Path))
@click.option("--out", type=location, metavar="PLACE", required=True, help="of rows, a folder or a URL, new or begun")
@click.option("--workers", type=click.IntRange(0), default=2, show_default=True, help="processes; 0 works in this one")
@click.option("--cache-dir", type=location, metavar="PLACE", help="embeddings (default: the user's cache)")
@click.option("--data-root", type=click.Path(path_type=Path), help="where data sets lie (default: the user's cache)")
@click.option("--torch-device", default="cpu", show_default=True, help="cpu or cuda")
@click.option("--engine", type=click.Choice(["local", "ray"]), default="local", show_default=True, help="who computes")
@click.option("--ray-address", default="", help="of a cluster, such as auto (default: this machine alone)")
@click.option("--gpus", type=click.FloatRange(0), default=0.0, help="share of a GPU for each embedding of --engine ray")
@click.option("--count", is_flag=True, help="only say how many runs the plan asks for")
def sweep(
    plan: Path,
    out: Location,
    workers: int,
    cache_dir: Location | None,
    data_root: Path | None,
    torch_device: str,
    engine: str,
    ray_address: str,
    gpus: float,
    count: bool,
) -> None:
    """Measure every run of PLAN and keep each as a row at --out.

    A sweep that was stopped, however, goes on where it was when it is started again.
    """
    import platformdirs

    from reliability.sweep.describe import described
    from reliability.sweep.grid import expand
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
    place = Place(resolved(out), resolved(cache), root, read.limit, read.level, torch_device, folder=Path.cwd())
    rows = run_sweep(read, grid, place, _workers(engine, workers, ray_address, gpus), _progress)
    click.echo(f'{rows:,} runs in {out}; ask: reliability query {out} "SELECT count(*) FROM runs"')


def _workers(engine: str, count: int, address: str, gpus: float) -> Workers:
    if engine == "ray":
        from reliability.evaluate.filling.workers.ray_cluster import RayWorkers

        return RayWorkers(address, gpus)
    from reliability.evaluate.filling.workers.local import LocalWorkers

    return LocalWorkers(count)


def _progress(counted: str, total: int, found: int) -> Any:
    """A bar with rate and time left."""
    from tqdm import tqdm

    return tqdm(total=total, initial=found, unit=counted, unit_scale=total > 10_000, smoothing=0.1, mininterval=0.5)
