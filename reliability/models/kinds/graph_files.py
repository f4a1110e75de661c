"""Models that are a graph file for each tower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from reliability.errors import ModelError
from reliability.models.record import BOTH, Asked, ModelSpec, Tower
from reliability.models.sidecar import SIDECAR


def find_graphs(
    kind: str, asked: Asked, names: Mapping[str, Sequence[str]], packages: tuple[str, ...], beside: str = ""
) -> ModelSpec:
    """A specification from a folder or from files.

    Args:
        kind: Of the model.
        asked: ``DIR``, or ``VISUAL[,TEXT]``.
        names: Tower to the names that its file may have in a folder.
        packages: What runs it.
        beside: Suffix of a second file that belongs to each, such as ``.bin``.

    Raises:
        ModelError: A file is not there, or a folder has none for pictures.
    """
    given = Path(asked.rest)
    found = _in_folder(asked, given, names) if given.is_dir() else dict(zip(BOTH, asked.files(), strict=False))
    files = list(found.values())
    files += [path.with_suffix(beside) for path in found.values() if beside and path.with_suffix(beside).exists()]
    # Large weights of an ONNX graph lie in a file of their own.
    data = [path.with_name(f"{path.name}.data") for path in found.values()]
    files += [path for path in data if path.exists()]
    sidecar = next(iter(found.values())).parent / SIDECAR
    files += [sidecar] if sidecar.exists() else []
    name = given.name if given.is_dir() else next(iter(found.values())).stem
    return ModelSpec(kind, name, asked.rest, towers=tuple(found), files=tuple(files), packages=packages)


def _in_folder(asked: Asked, folder: Path, names: Mapping[str, Sequence[str]]) -> dict[Tower, Path]:
    found: dict[Tower, Path] = {}
    for tower in BOTH:
        path = next((folder / name for name in names[tower] if (folder / name).is_file()), None)
        if path is not None:
            found[tower] = path
    if not found:
        raise ModelError(
            where=asked.where, what="the folder holds no tower", got=str(folder),
            next=f"call its files {names['vision'][0]} and {names['text'][0]}, or name them as VISUAL,TEXT",
        )  # fmt: skip
    return found
