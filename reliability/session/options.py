"""What a run is asked for: on the command line, in ``[tool.reliability]``, or by default."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from reliability.evaluate.storage.store import Location, location
from reliability.toml_tables import Entry, read_toml

DEFAULT_REFERENCE = "zoo:scenes-clean"
DEFAULT_THRESHOLDS = (Path("thresholds/embedded.toml"), Path("tests/reliability/thresholds.toml"))
"""The first that is there; the second is what ``reliability init`` writes."""
PYPROJECT = "pyproject.toml"
_SPEC = re.compile(r"(?P<kind>(?:[^=/]*=)?(?:[a-z0-9_-]+:)?)(?P<places>.*)", re.DOTALL)

Kind = Literal["text", "models", "data", "names", "path", "place", "count", "whole", "share", "flag", "choice"]
"""What an option holds. ``models`` may be repeated, ``names`` is a list or commas, a ``place`` is a path or a URL,
``count`` is above 0, ``whole`` from 0, ``share`` a number from 0."""


@dataclass(frozen=True)
class Setting:
    """One option, ``--name`` on the command line and ``name = ...`` in pyproject.toml.

    Attributes:
        name: Without dashes before it.
        kind: What it holds.
        help: One sentence or two.
        metavar: What stands for the value in the help.
        field: Of :class:`Options`.
        choices: Of a ``choice``.
    """

    name: str
    kind: Kind
    help: str
    metavar: str = ""
    field: str = ""
    choices: tuple[str, ...] = ()

    @property
    def target(self) -> str:
        """The field of :class:`Options` that it fills."""
        return self.field or self.name.replace("-", "_")


SETTINGS = (
    Setting(
        "reference", "models",
        f"FP32 model: zoo:NAME or open_clip:ARCH[/TAG]; may be repeated (default: {DEFAULT_REFERENCE})",
        "MODEL", "references",
    ),
    Setting(
        "checkpoint", "path",
        "weights for --reference open_clip:ARCH: safetensors, or a torch file that loads with weights_only", "FILE",
    ),
    Setting(
        "candidate", "models",
        "a model of your own to judge against the reference, [NAME=]saved:DIR, onnx:DIR, pt2:FILE, hf:DIR and "
        "others: see reliability list models; may be repeated; without --recipes only these are judged",
        "MODEL", "candidates",
    ),
    Setting(
        "embeddings", "models",
        "features computed elsewhere to judge against the reference, [NAME=]DIR; may be repeated", "DIR",
    ),
    Setting("untrusted", "flag", "refuse models that run code of their own (python:, pt2:)"),
    Setting(
        "recipes", "names",
        "quantization recipes, comma-separated names or globs (default: those the threshold file lists)", "NAMES",
    ),
    Setting("recipe-file", "path", "recipes of your own, as [[recipe]] tables in TOML", "FILE"),
    Setting(
        "data", "data",
        "scenes, folder:DIR, webdataset:DIR, a benchmark such as imagenet-a, suite:imagenet, and others: "
        "see reliability list data (default: scenes)", "DATA",
    ),
    Setting("data-root", "path", "where benchmarks lie, and where relative DIRs start", "DIR"),
    Setting("prompts", "path", "class names and templates of your own, in TOML", "FILE"),
    Setting("tasks", "path", "tasks of your own beside those of --data, as [[task]] tables in TOML", "FILE"),
    Setting(
        "skip-unreadable", "whole",
        "leave out up to N pictures that do not decode, and say so in the report (default: 0)", "N",
    ),
    Setting("thresholds", "path", f"bounds to judge by (default: {' or '.join(map(str, DEFAULT_THRESHOLDS))})", "FILE"),
    Setting("report-dir", "path", "where the run's report goes (default: reports/<time>)", "DIR"),
    Setting(
        "cache-dir", "place",
        "where embeddings are kept, a folder or a URL such as s3://bucket/cache (default: the user's cache folder)",
        "PLACE",
    ),
    Setting("torch-device", "text", "cpu, cuda or cuda:N (default: cpu, the reference platform)", "DEVICE", "device"),
    Setting("torch-threads", "count", "torch threads per process, whatever -n (default: 1)", "N", "threads"),
    Setting(
        "engine", "choice", "who embeds what is not cached: this machine, or a Ray cluster (default: local)",
        choices=("local", "ray"),
    ),
    Setting(
        "ray-address", "text", "of a cluster for --engine ray, such as auto (default: this machine alone)", "ADDRESS",
    ),
    Setting("gpus", "share", "share of a GPU for each task of --engine ray, such as 0.25 (default: 0)", "F"),
    Setting("limit", "count", "at most N pictures of each source, to try things out", "N"),
    Setting(
        "inconclusive", "choice",
        "what an inconclusive gate does: fail the run, or be reported only (default: fail)",
        choices=("fail", "report"),
    ),
    Setting("github", "flag", "annotate the pull request and write the job summary, in a GitHub workflow"),
)  # fmt: skip
"""Every option; a new one is an entry here and a field of :class:`Options`."""


@dataclass(frozen=True)
class Options:
    """What a run was asked for; None and empty mean the default.

    Attributes:
        root: The folder that default paths are relative to.
        candidates, embeddings: Models of the user's own, and folders of features, each with
            ``NAME=`` before it where it is to have another name.
        untrusted: Whether models that run code of their own are refused.
        worker: The xdist worker's id, empty in the controller or without workers.
    """

    root: Path
    references: tuple[str, ...] = ()
    checkpoint: Path | None = None
    candidates: tuple[str, ...] = ()
    embeddings: tuple[str, ...] = ()
    untrusted: bool = False
    recipes: str | None = None
    recipe_file: Path | None = None
    data: str = "scenes"
    data_root: Path | None = None
    prompts: Path | None = None
    tasks: Path | None = None
    skip_unreadable: int = 0
    thresholds: Path | None = None
    report_dir: Path | None = None
    cache_dir: Location | None = None
    device: str = "cpu"
    threads: int = 1
    engine: str = "local"
    ray_address: str = ""
    gpus: float = 0.0
    limit: int | None = None
    inconclusive: str = "fail"
    github: bool = False
    worker: str = ""

    @classmethod
    def of(cls, root: Path, given: Mapping[str, Any], worker: str = "") -> Options:
        """What the command line says, then what pyproject.toml says, then the defaults.

        Args:
            root: Where pyproject.toml is looked for, and in the folders above.
            given: Values of the command line by the name of the setting; None, False and
                empty ones say nothing.
            worker: See above.

        Raises:
            UsageError: The table in pyproject.toml has an unknown key, or a value of another type.
        """
        said = {name: value for name, value in given.items() if says_something(value)}
        values = read_pyproject(root, said) | said
        typed = {s.target: _tidy(s, values[s.name]) for s in SETTINGS if s.name in values}
        return cls(root=root, worker=worker, **typed)

    @property
    def cache_folder(self) -> Location:
        """Where embeddings are kept."""
        import platformdirs

        return self.cache_dir or Path(platformdirs.user_cache_dir("quant-reliability"))


def says_something(value: object) -> bool:
    """Whether an option was given; 0 is a value like any other."""
    return value is not None and value is not False and value not in ([], ())


def read_pyproject(root: Path, said: Collection[str] = ()) -> dict[str, Any]:
    """Values of ``[tool.reliability]`` by the name of the setting, paths as seen from the current folder.

    Args:
        root: The nearest pyproject.toml counts, here or in a folder above.
        said: Settings that the command line decides.

    Raises:
        UsageError: Not TOML, an unknown key, or a value of another type.

    Conventions:
        Relative paths start at the file's folder. So do files and folders that stand in a
        model or in data, if they are there; where there is a ``data-root``, data start there.
    """
    file = next((folder / PYPROJECT for folder in (root, *root.parents) if (folder / PYPROJECT).is_file()), None)
    table = read_toml(file)[0].get("tool", {}).get("reliability") if file is not None else None
    if file is None or table is None:
        return {}
    known = {setting.name: setting for setting in SETTINGS}
    entry = Entry.of(table, f"{os.path.relpath(file)}, [tool.reliability]", known)
    values = {name: _READERS[known[name].kind](entry, known[name]) for name in table}
    rooted = "data-root" in values or "data-root" in said
    kept = {"data"} if rooted else set()
    return {name: v if name in kept else _from_folder(known[name].kind, v, file.parent) for name, v in values.items()}


def _whole(entry: Entry, setting: Setting) -> int:
    value = entry.required(setting.name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise entry.error(f"{setting.name!r} must be a whole number from 0", repr(value), f"write {setting.name} = 0")
    return value


_READERS: Mapping[Kind, Callable[[Entry, Setting], Any]] = {
    "text": lambda entry, setting: entry.text(setting.name),
    "data": lambda entry, setting: entry.text(setting.name),
    "path": lambda entry, setting: Path(entry.text(setting.name)).expanduser(),
    "place": lambda entry, setting: location(entry.text(setting.name)),
    "models": lambda entry, setting: entry.texts(setting.name),
    "names": lambda entry, setting: ",".join(entry.texts(setting.name)),
    "count": lambda entry, setting: entry.count(setting.name),
    "whole": _whole,
    "share": lambda entry, setting: entry.number(setting.name),
    "flag": lambda entry, setting: entry.flag(setting.name),
    "choice": lambda entry, setting: entry.choice(setting.name, setting.choices),
}


def _from_folder(kind: Kind, value: Any, folder: Path) -> Any:
    """A value as it must read in the current folder."""
    if isinstance(value, Path):
        return value if value.is_absolute() else Path(os.path.relpath(folder / value))
    if kind == "data":
        return _spec_from(folder, value)
    return tuple(_spec_from(folder, text) for text in value) if kind == "models" else value


def _spec_from(folder: Path, text: str) -> str:
    """``NAME=kind:FILE,FILE`` with the files that are there, or the folder, found from the current folder."""
    match = _SPEC.fullmatch(text)
    assert match is not None, "every text is a specification"
    places = [
        os.path.relpath(folder / part) if part and (folder / part).exists() else part
        for part in match["places"].split(",")
    ]
    return match["kind"] + ",".join(places)


def _tidy(setting: Setting, value: Any) -> Any:
    return tuple(value) if setting.kind == "models" else value
