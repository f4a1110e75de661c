"""``reliability quantize``: apply a recipe and keep the result."""

from __future__ import annotations

from pathlib import Path

import click

from reliability.cli.options import EngineOptions, engine_options, find_recipe


@click.command()
@click.argument("model")
@click.argument("recipe")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="folder for the candidate")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="weights for MODEL open_clip:ARCH")
@click.option("--recipe-file", type=click.Path(path_type=Path), help="recipes of your own, in TOML")
@engine_options
def quantize(
    model: str, recipe: str, out: Path, checkpoint: Path | None, recipe_file: Path | None, options: EngineOptions
) -> None:
    """Apply RECIPE to MODEL and save the candidate.

    The folder gets candidate.safetensors and candidate.json. Judge it with
    pytest suites/ --reference MODEL --candidate NAME=saved:DIR.
    """
    from reliability.evaluate.saving import save_candidate
    from reliability.models.spec import parse_model

    record = save_candidate(options.engine(), parse_model(model, checkpoint), find_recipe(recipe, recipe_file), out)
    size_mib = sum(file.stat().st_size for file in out.iterdir()) / 2**20
    click.echo(f"{out}: {record.recipe.name} of {record.reference['model']}, {size_mib:.2f} MiB")
    click.echo(f"{record.coverage['share']:.1%} of the products with weights in its towers are quantized")
