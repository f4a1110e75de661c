"""``reliability export``: a candidate for another runtime."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from reliability.cli.options import EngineOptions, engine_options, find_recipe

if TYPE_CHECKING:
    from reliability.quant.recipe import Tower


@click.command()
@click.argument("source", metavar="DIR_OR_RECIPE")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="a folder, or FILE.onnx for one tower")
@click.option("--tower", type=click.Choice(["vision", "text", "both"]), help="default: both, or vision for a file")
@click.option("--reference", help="the FP32 model (default: that of DIR, or zoo:scenes-clean)")
@click.option("--checkpoint", type=click.Path(path_type=Path), help="weights for --reference open_clip:ARCH")
@click.option("--recipe-file", type=click.Path(path_type=Path), help="recipes of your own, in TOML")
@engine_options
def export(
    source: str, to: Path, tower: str | None, reference: str | None, checkpoint: Path | None,
    recipe_file: Path | None, options: EngineOptions,
) -> None:  # fmt: skip
    """Write a saved candidate, or a recipe applied to the reference, as ONNX graphs.

    Weights are int8 codes behind DequantizeLinear, activations pass QuantizeLinear and
    DequantizeLinear, all with the simulation's own scales and zero points. The recipe fp32
    gives the float model. Judge the files with --candidate NAME=onnx:DIR.
    """
    from reliability.evaluate.exporting import export_candidate
    from reliability.models.spec import parse_model
    from reliability.quant.saved_record import RECORD_FILE, read_record
    from reliability.session.options import DEFAULT_REFERENCE

    saved = Path(source) if (Path(source) / RECORD_FILE).exists() else None
    named = reference or (read_record(saved).reference["model"] if saved else DEFAULT_REFERENCE)
    towers: dict[str | None, tuple[Tower, ...]] = {"vision": ("vision",), "text": ("text",), "both": ("vision", "text")}
    chosen = towers[tower or ("vision" if to.suffix == ".onnx" else "both")]
    model = parse_model(named, checkpoint)
    made = export_candidate(options.engine(), model, saved or find_recipe(source, recipe_file), to, chosen)
    for part, path in made.files.items():
        click.echo(f"{path}: {part} tower of {model.text} under {made.recipe}, {path.stat().st_size / 2**20:.2f} MiB")
