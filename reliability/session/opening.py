"""From options to what a run is made of; no picture is decoded and no model loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from reliability.claims.bounds import ThresholdFile
from reliability.claims.breakable import require_breakable
from reliability.claims.cases import choose_recipes
from reliability.claims.names import nameable
from reliability.claims.reader import load_thresholds
from reliability.data.registry import DataSet
from reliability.errors import UsageError
from reliability.evaluate.filling.fill import Site
from reliability.evaluate.running.candidate import Candidate
from reliability.evaluate.storage.store import resolved
from reliability.models.spec import ModelSpec, OwnCandidate, parse_candidate
from reliability.quant.backends.registry import require_available
from reliability.quant.recipe import Recipe
from reliability.quant.recipe_file import load_recipes
from reliability.session.options import DEFAULT_THRESHOLDS, Options


def read_thresholds(options: Options) -> ThresholdFile:
    """The threshold file, whose metrics and scores must be known.

    Raises:
        ThresholdError: It cannot be judged by, or nothing could break one of its bounds.
        UsageError: None was named, and there is none where one is by default.
    """
    # Without a configuration file pytest's root folder can be one far above.
    places = (folder / path for folder in (options.root, Path.cwd()) for path in DEFAULT_THRESHOLDS)
    path = options.thresholds or next((place for place in places if place.is_file()), None)
    if path is None:
        raise UsageError(
            where=str(_short(options.root)), what="there is no threshold file to judge by",
            got=f"no --thresholds, and no {' or '.join(map(str, DEFAULT_THRESHOLDS))}",
            next="name one with --thresholds FILE, or as thresholds under [tool.reliability] in pyproject.toml; "
            "reliability init writes one to start from",
        )  # fmt: skip
    found = load_thresholds(_short(path), nameable())
    require_breakable(found.bounds)
    return found


def open_run_data(options: Options) -> DataSet:
    """The data of a run, with the user's own tasks."""
    return site_of(options).open()


def site_of(options: Options) -> Site:
    """Where a run works, for processes on any machine that has this folder."""
    return Site(
        resolved(options.cache_folder), options.data, options.data_root, options.limit, options.prompts,
        options.skip_unreadable, options.tasks, options.device, options.threads, Path.cwd(),
    )  # fmt: skip


def read_recipes(options: Options, thresholds: ThresholdFile, default: Sequence[str]) -> tuple[Recipe, ...]:
    """Those that were asked for, or a default; kernels that some need are there.

    Raises:
        UsageError: A name that is no recipe, a glob that matches none, or kernels that do not run here.
    """
    wanted = options.recipes.split(",") if options.recipes else default
    own = load_recipes(options.recipe_file) if options.recipe_file else {}
    recipes = choose_recipes([name.strip() for name in wanted if name.strip()], thresholds.recipes, own)
    require_available(recipes, options.device)
    return recipes


def _short(path: Path) -> Path:
    """The path as a person here would write it, so that messages and reports name no home folder."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def own_candidates(options: Options) -> tuple[OwnCandidate, ...]:
    """The user's own candidates: models, and features computed elsewhere."""
    models = [parse_candidate(text, untrusted=options.untrusted) for text in options.candidates]
    texts = [_as_embeddings(text) for text in options.embeddings]
    return (*models, *(parse_candidate(text, option="--embeddings") for text in texts))


def _as_embeddings(text: str) -> str:
    """``[NAME=]DIR`` in the words of ``--candidate``."""
    name, equals, folder = text.partition("=")
    return f"{name}=embeddings:{folder}" if equals else f"embeddings:{text}"


def check_distinct(option: str, models: Sequence[ModelSpec | Candidate]) -> None:
    """Refuse two models of one name."""
    names = [model.name for model in models]
    if len(set(names)) < len(names):
        raise UsageError(
            where=option, what="a model is named twice", got=", ".join(names),
            next="name each model once; a candidate's name can be given: NAME=saved:DIR",
        )  # fmt: skip


def device_of(options: Options) -> str:
    """The device of this process: of several GPUs, worker k takes GPU k modulo their number.

    With a cluster it is that of its machines: here is only judged.

    Raises:
        UsageError: No such device here.
    """
    if options.device == "cpu" or options.engine == "ray":
        return options.device
    import torch

    kind, _, index = options.device.partition(":")
    count = torch.cuda.device_count()
    if kind != "cuda" or not (index.isdecimal() or not index) or int(index or 0) >= count:
        raise UsageError(
            where=f"--torch-device {options.device}",
            what="no such device on this machine",
            got=f"{count} CUDA devices",
            next="use cpu, cuda or cuda:N with N below that number",
        )
    return options.device if index else f"cuda:{int(options.worker.removeprefix('gw') or 0) % count}"
