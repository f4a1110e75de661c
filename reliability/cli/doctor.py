"""``reliability doctor``: what is here, and how to get the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
from tabulate import tabulate

_PACKAGES = {
    "torch": "running models",
    "torchvision": "preprocessing, torchvision: data",
    "open_clip_torch": "models, ImageNet's class names",
    "pyarrow": "parquet: data",
    "scipy": "torchvision:SVHN and Flowers102",
    "onnx": "reliability export",
    "onnxscript": "reliability export",
    "onnxruntime": "onnx: candidates",
    "openvino": "openvino: candidates",
    "transformers": "hf: models",
    "torchao": "pt2: candidates that torchao made",
}
"""Distribution to what needs it."""


@click.command()
@click.option("--data-root", type=click.Path(path_type=Path), help="where data sets lie (default: the user's cache)")
def doctor(data_root: Path | None) -> None:
    """Show which data sets and optional packages are here, and how to get the others."""
    from reliability.data.benchmarks.inventory import inventory
    from reliability.data.benchmarks.registry import benchmark_root

    root = benchmark_root(data_root)
    entries = inventory(root)
    click.echo(f"data root: {root}\n")
    rows = [(e.spec, e.state, e.holds, e.size, e.licence) for e in entries]
    click.echo(_table(rows, ["--data", "state", "pictures", "on disk", "licence"]))
    steps = [(e.spec, e.where, e.next) for e in entries if e.next]
    click.echo("\n" + _table(steps, ["not here", "goes to", "how to get it, or what is wrong"]))
    click.echo("\n" + _table(_extras(), ["package", "version", "for"]))


def _table(rows: Sequence[Sequence[object]], headers: list[str]) -> str:
    return tabulate([[str(cell) for cell in row] for row in rows], headers, disable_numparse=True)


def _extras() -> list[tuple[str, str, str]]:
    found = [(name, _version(name), use) for name, use in _PACKAGES.items()]
    return [*found, ("GPU", _gpu(), "--torch-device cuda")]


def _version(package: str) -> str:
    from importlib.metadata import PackageNotFoundError

    from reliability.versions import installed

    try:
        return installed(package)
    except PackageNotFoundError:
        return "missing"


def _gpu() -> str:
    try:
        import torch
    except ImportError:
        return "torch is missing"
    return torch.cuda.get_device_name() if torch.cuda.is_available() else "none"
