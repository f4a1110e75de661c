"""Files and names that people write: whatever stands there, the answer is a result or an error of our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

from hypothesis import example, given
from hypothesis import strategies as st
from making_input import damaged, survives, tables, toml, tried, values

from reliability.claims.bounds import Bound, Scope
from reliability.claims.judge import judge
from reliability.claims.reader import load_thresholds
from reliability.claims.records import case_record
from reliability.claims.runs import read_json
from reliability.data.prompt_file import read_prompt_file
from reliability.data.registry import KINDS as DATA
from reliability.data.registry import open_data
from reliability.models.spec import KINDS as MODELS
from reliability.models.spec import parse_candidate, parse_model
from reliability.quant.recipe import list_recipes, parse_recipe
from reliability.quant.recipe_file import load_recipes
from reliability.sweep.plan import load_plan
from reliability.types import Comparison, Interval, Relation

ROOT = Path(__file__).resolve().parents[2]
THRESHOLDS = (ROOT / "thresholds" / "embedded.toml").read_bytes()[:4000]
PLANS = sorted((ROOT / "plans").glob("*.toml"))
KNOWN = {"metric": {"top1", "ece", "auroc"}, "score": {"mcm"}}

_names = st.sampled_from(["top1", "ece", "auroc", "mcm", "id", "ood/*", "w8a8-*", "*", "noise"])
_bound = tables(
    ["claim", "applies", "metric", "score", "relation", "margin", "gate", "reason", "level", "min_images"],
    {
        "claim": _names, "metric": _names, "reason": _names, "gate": st.booleans(),
        "relation": st.sampled_from(get_args(Relation)), "margin": st.floats(0, 1), "level": st.floats(0.6, 0.99),
        "applies": tables(["model", "recipe", "task", "group"], {"task": _names, "recipe": _names}),
        "min_images": st.integers(1, 5000),
    },
)  # fmt: skip
_thresholds = tables(
    ["schema", "defaults", "run", "include", "bound", "floor", "group"],
    {
        "schema": st.just(1), "bound": st.lists(_bound, max_size=3), "include": st.just("bounds.toml"),
        "defaults": st.just({"level": 0.95, "min_images": 100}), "run": st.just({"recipes": ["fp32"]}),
    },
)  # fmt: skip


def _written(scratch: Path, name: str, content: bytes | str) -> Path:
    path = scratch / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogateescape"))
    return path


@tried
@given(st.one_of(_thresholds.map(toml), damaged(THRESHOLDS), st.binary(max_size=200)))
def test_threshold_files(scratch: Path, content: bytes | str) -> None:
    path = _written(scratch, "bounds.toml", content)
    survives(lambda: load_thresholds(path, KNOWN))


_recipe = tables(
    ["name", "base", "range_images", "seed", "towers", "alpha", "percentile", "float_layers", "qat"],
    {
        "name": st.sampled_from(["mine", "w8a8-mine"]), "base": st.sampled_from(sorted(list_recipes())),
        "range_images": st.integers(1, 600), "alpha": st.floats(0, 1), "towers": st.just("both"),
        "float_layers": st.just(["visual.*"]), "qat": st.just({"steps": 3}),
    },
)  # fmt: skip


@tried
@given(st.one_of(st.lists(_recipe, max_size=3).map(lambda r: toml({"recipe": r})), st.binary(max_size=200)))
def test_recipe_files(scratch: Path, content: bytes | str) -> None:
    path = _written(scratch, "recipes.toml", content)
    survives(lambda: load_recipes(path))


_words = st.sampled_from(
    [
        "w8a8",
        "w4a16",
        "w9a9",
        "fp32",
        "fp8",
        "mxfp4",
        "_g64",
        "_t",
        "_asym",
        "-",
        "+",
        "minmax",
        "mse",
        "gptq",
        "lsq",
        "smoothquant",
        "attention",
        "both",
        "text",
        "a0.5",
        "s3",
        "s-1",
        "auto",
        "@int8",
        "@",
        "tunescale",
    ]
)


@tried
@given(st.one_of(st.lists(_words, max_size=7).map("".join), st.lists(_words, max_size=6).map("-".join), st.text()))
def test_recipe_names(name: str) -> None:
    survives(lambda: parse_recipe(name))


_grid = tables(
    ["data", "models", "recipes", "towers", "draws"],
    {"models": st.just(["zoo:scenes-clean"]), "recipes": st.just(["w8a8-minmax"]), "draws": st.just([0, 1])},
)
_question = tables(
    ["tasks", "metrics", "scores", "limits"], {"tasks": _names, "metrics": _names, "limits": st.booleans()}
)
_plan = tables(
    ["schema", "limit", "level", "candidates", "questions"],
    {"schema": st.just(1), "candidates": st.lists(_grid, max_size=2), "questions": st.lists(_question, max_size=2)},
)


@tried
@given(st.one_of(_plan.map(toml), damaged(PLANS[0].read_bytes()[:3000])))
def test_plans(scratch: Path, content: bytes | str) -> None:
    path = _written(scratch, "plan.toml", content)
    survives(lambda: load_plan(path))


_prompts = tables(
    ["classes", "templates", "rename"],
    {"classes": st.lists(st.text(max_size=5), max_size=4), "templates": st.just(["a {c}"]), "rename": values},
)


@tried
@given(st.one_of(_prompts.map(toml), st.binary(max_size=200)))
def test_prompt_files(scratch: Path, content: bytes | str) -> None:
    path = _written(scratch, "prompts.toml", content)
    survives(lambda: read_prompt_file(path))


_odd = st.text(max_size=20) | st.sampled_from(
    ["", ".", "..", "/dev/null", "/", "a,b,c", "x=y", "\x00", "\ud800", "a" * 5000]
)
_untrusted_models = st.sampled_from(sorted(MODELS))


@tried
@given(st.tuples(_untrusted_models | _odd, st.sampled_from([":", "", "=", "::"]), _odd).map("".join))
@example("embeddings:/")
def test_model_strings(text: str) -> None:
    survives(lambda: parse_model(text, untrusted=True))
    survives(lambda: parse_candidate(text, untrusted=True))


@tried
@given(st.tuples(st.sampled_from(sorted(DATA)) | _odd, st.sampled_from([":", ""]), _odd | st.just("seed=7,count=9")))
@example(("folder", ":", "a" * 5000))
@example(("csv", ":", "\ud800"))
@example(("npy", ":", "\x00"))
def test_data_strings(scratch: Path, parts: tuple[str, str, str]) -> None:
    survives(lambda: open_data("".join(parts), scratch, limit=3))


def _report() -> bytes:
    interval = Interval(0.1, 0.05, 0.15, 0.95, 0.03)
    comparison = Comparison("top1", "", interval, interval, Interval(0.0, -0.01, 0.01, 0.95, 0.005), 500, 0)
    bound = Bound("accuracy", Scope(), "top1", "", "not_worse", 0.05, True, "r", 0.95, 100, "b.toml", 1)
    record = case_record("accuracy[x]", "m", "r", "id", judge(bound, comparison, "accuracy[x]"), 0.1)
    whole = {"schema": 1, "complete": True, "run": {}, "notes": [], "problems": [], "cases": [record]}
    return json.dumps(whole).encode()


REPORT = _report()


def _replaced(change: tuple[int, Any]) -> bytes:
    """A value somewhere in a case is another one."""
    whole = json.loads(REPORT)
    case = whole["cases"][0]
    case[sorted(case)[change[0] % len(case)]] = change[1]
    return json.dumps(whole).encode()


@tried
@given(st.one_of(damaged(REPORT), st.tuples(st.integers(0, 100), values).map(_replaced), values.map(json.dumps)))
@example(_replaced((sorted(json.loads(REPORT)["cases"][0]).index("seed"), None)))
def test_reports(scratch: Path, content: bytes | str) -> None:
    path = _written(scratch, "report.json", content)
    survives(lambda: read_json(path))
