"""``embeddings:DIR``: features computed elsewhere, such as on a phone.

A folder has ``images/SOURCE.safetensors`` or ``.npz`` for each picture source of the data set,
with ``ids`` and ``image`` [N, D], and may have ``text.safetensors`` or ``.npz`` with
``class_names`` and ``text`` [C, D] (one feature per class) and ``logit_scale``. Nothing is ever
unpickled: in safetensors, strings are the UTF-8 bytes of a JSON list, uint8.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reliability.errors import DataError, ModelError
from reliability.models.record import Asked, ModelSpec, Tower

Arrays = dict[str, NDArray[Any]]
_SUFFIXES = (".safetensors", ".npz")
_SHOWN = 3


def parse(asked: Asked) -> ModelSpec:
    """Find the files of a folder."""
    folder = asked.folder()
    # No deeper than the layout goes: what was named may be anything, a whole disk even.
    pictures = [path for path in (folder / "images").rglob("*") if path.suffix in _SUFFIXES]
    files = tuple(sorted([*pictures, *(path for path in folder.glob("*") if path.suffix in _SUFFIXES)]))
    if not pictures:
        raise ModelError(
            where=asked.where, what="the folder holds no features of pictures", got=str(folder),
            next="put them into images/SOURCE.safetensors or images/SOURCE.npz, with ids and image",
        )  # fmt: skip
    towers: tuple[Tower, ...] = ("vision", "text") if _find(folder / "text") else ("vision",)
    # A spec's files are only hashed here; loading finds them by name again.
    return ModelSpec("embeddings", folder.resolve().name, str(folder), towers=towers, files=files)


def image_features(spec: ModelSpec, source: str, ids: NDArray[np.str_]) -> NDArray[np.float32]:
    """Features of a source's pictures, in the order of ``ids``.

    Args:
        spec: Of kind ``embeddings``.
        source: Name of the picture source.
        ids: Names of the pictures, as the data set has them.

    Raises:
        DataError: The source has no file, a picture has no row, or a name is there twice.
    """
    arrays, path = _read(Path(spec.architecture) / "images" / source, f"pictures of source {source}")
    names, rows = _strings(arrays, "ids", path), _matrix(arrays, "image", path)
    if len(names) != len(rows):
        raise _bad(path, "each picture has one id and one row", f"{len(names)} ids, {len(rows)} rows")
    place = {name: row for row, name in enumerate(names)}
    if len(place) != len(names):
        raise _bad(path, "a picture's id is there twice", f"{len(names) - len(place)} repeated ids")
    missing = [name for name in ids.tolist() if name not in place]
    if missing:
        shown = ", ".join(missing[:_SHOWN])
        raise _bad(path, "pictures of the data set have no features", f"{len(missing)} of {len(ids)}, such as {shown}")
    return rows[[place[name] for name in ids.tolist()]]


def text_features(spec: ModelSpec, class_names: tuple[str, ...]) -> Arrays:
    """Features of classes by name, of unit length, and the logit scale if there is one.

    Raises:
        DataError: A class has no row, or the shapes do not fit.
    """
    arrays, path = _read(Path(spec.architecture) / "text", "texts")
    names, rows = _strings(arrays, "class_names", path), _matrix(arrays, "text", path)
    if len(names) != len(rows) or len(set(names)) != len(names):
        raise _bad(path, "each class has one name and one row", f"{len(set(names))} names, {len(rows)} rows")
    place = {name: row for row, name in enumerate(names)}
    missing = [name for name in class_names if name not in place]
    if missing:
        got = f"{len(missing)} of {len(class_names)} classes, such as {', '.join(missing[:_SHOWN])}"
        raise _bad(path, "classes of the task have no features", got)
    chosen = rows[[place[name] for name in class_names]]
    norm = np.linalg.norm(chosen.astype(np.float64), axis=1, keepdims=True)
    if not (norm > 0).all():
        raise _bad(path, "a class's features are all 0", class_names[int(np.argmin(norm))])
    found: Arrays = {"text": (chosen / norm).astype(np.float32)}
    if "logit_scale" in arrays:
        scale = float(arrays["logit_scale"].reshape(-1)[0])
        if not 0 < scale < float("inf"):
            raise _bad(path, "the logit scale is a positive number", scale)
        found["logit_scale"] = np.array([scale])
    return found


def _find(stem: Path) -> Path | None:
    # Names of sources have dots in them, which with_suffix would cut off.
    return next((path for suffix in _SUFFIXES if (path := stem.parent / (stem.name + suffix)).is_file()), None)


def _read(stem: Path, what: str) -> tuple[Arrays, Path]:
    path = _find(stem)
    if path is None:
        raise _bad(stem, f"there are no features for the {what}", "no such file")
    try:
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return dict(archive), path
        from safetensors.numpy import load

        return load(path.read_bytes()), path
    except Exception as error:
        # NumPy and safetensors raise types of several families for damaged files, and ValueError for pickles.
        raise _bad(path, "the file cannot be read", f"{type(error).__name__}: {error}") from error


def _strings(arrays: Arrays, name: str, path: Path) -> list[str]:
    array = _get(arrays, name, path)
    try:
        found = json.loads(array.tobytes()) if array.dtype == np.uint8 else array.tolist()
    except ValueError as error:
        raise _bad(path, f"{name} is no JSON list of strings", str(error)) from error
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found):
        raise _bad(path, f"{name} must be strings", f"{array.dtype} {array.shape}")
    return found


def _matrix(arrays: Arrays, name: str, path: Path) -> NDArray[np.float32]:
    array = _get(arrays, name, path)
    if array.ndim != 2 or array.dtype.kind != "f" or not np.isfinite(array).all():
        raise _bad(path, f"{name} must be a finite float matrix [N, D]", f"{array.dtype} {array.shape}")
    return array.astype(np.float32)


def _get(arrays: Arrays, name: str, path: Path) -> NDArray[Any]:
    if name not in arrays:
        raise _bad(path, f"the file has no array {name!r}", ", ".join(sorted(arrays)) or "nothing")
    return arrays[name]


def _bad(path: Path, what: str, got: object) -> DataError:
    return DataError(where=str(path), what=what, got=got, next="see docs/own_model.md for what the folder holds")
