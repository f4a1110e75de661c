"""``reliability pictures``: what a device needs to compute features elsewhere."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--data", default="scenes", show_default=True, help="the data set")
@click.option("--data-root", type=click.Path(path_type=Path), help="where data sets lie")
@click.option("--prompts", type=click.Path(path_type=Path), help="class names and templates of your own, in TOML")
@click.option("--limit", type=int, help="at most N pictures of each source, as in the gate's --limit")
@click.option("--task", "tasks", multiple=True, help="only the pictures of this task; may be repeated")
def pictures(
    folder: Path, data: str, data_root: Path | None, prompts: Path | None, limit: int | None, tasks: tuple[str, ...]
) -> None:
    """Write the pictures that tasks show into FOLDER, as PNG files with their ids.

    Compute their features wherever the model runs, and judge them with --embeddings DIR.
    """
    from reliability.data.hand_out import hand_out
    from reliability.data.registry import open_data

    written = hand_out(open_data(data, data_root, limit, prompts), tasks, folder)
    for source, count in written.items():
        click.echo(f"{folder / source}: {count} pictures, ids in {folder / source}.csv")
    click.echo(f"{folder / 'prompts.json'}: classes and templates of each task")
