"""Recipes on real kernels in the gate: judged as others, held against their simulation, refused in time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reliability.claims.cases import choose_recipes
from reliability.errors import UsageError
from reliability.quant.recipe import parse_recipe
from reliability.quant.recipe_file import load_recipes

Gate = Callable[..., Any]

PARITY = """
schema = 1
[defaults]
level = 0.95
min_images = 1
[run]
recipes = ["fp32"]
[[bound]]
claim = "kernel_parity"
applies = { task = "id" }
metric = ["top1", "embedding_cosine"]
relation = "equivalent"
margin = 0.2
gate = true
reason = "for tests"
[[bound]]
claim = "stored_size"
applies = { task = "id" }
metric = "stored_mib"
relation = "not_worse"
margin = 0.0
gate = true
reason = "for tests"
[[bound]]
claim = "speed"
applies = { task = "id" }
metric = "throughput_ratio"
relation = "at_least"
margin = 0.0
gate = false
reason = "for tests"
"""


def test_a_candidate_on_kernels_is_held_against_its_simulation_and_its_costs_are_reported(gate: Gate) -> None:
    run = gate("--recipes", "w8a8-minmax@torch-int8", bounds=PARITY)
    assert run.status == pytest.ExitCode.OK, run.output
    cases = {case["metric"]: case for case in run.record["cases"]}
    assert cases["embedding_cosine"]["method"].endswith("against w8a8-minmax")
    assert cases["embedding_cosine"]["candidate"]["estimate"] > 0.9999
    assert 0 < cases["stored_mib"]["candidate"]["estimate"] < cases["stored_mib"]["reference"]["estimate"]
    assert cases["throughput_ratio"]["candidate"]["estimate"] > 0
    text = (run.report / "report.md").read_text()
    assert "throughput_ratio" in text
    assert "MiB" in text


def test_parity_of_a_simulation_with_itself_is_no_claim(gate: Gate) -> None:
    run = gate("--recipes", "w8a8-minmax", "-k", "kernels_compute", bounds=PARITY)
    assert run.status == pytest.ExitCode.TESTS_FAILED
    assert 'apply the bound to recipes "*@*"' in run.output


def test_kernels_that_do_not_run_here_stop_the_run_before_any_case(gate: Gate) -> None:
    run = gate("--recipes", "w8a8-minmax,fp8-rtn@fp8", bounds=PARITY)
    assert run.status == pytest.ExitCode.USAGE_ERROR
    assert "run on cuda only" in run.output
    assert not (run.report / "report.json").exists()


def test_a_glob_finds_recipes_on_kernels_only_where_it_says_so() -> None:
    listed = ["w8a8-minmax", "w8a8-dynamic@torch-int8"]
    assert not [recipe.name for recipe in choose_recipes(["w8a8-*", "*"], listed) if "@" in recipe.name]
    found = {recipe.name for recipe in choose_recipes(["w8a8-dynamic@*"], listed)}
    assert found == {"w8a8-dynamic@torch-int8", "w8a8-dynamic@onnxruntime", "w8a8-dynamic@torchao"}


def test_a_recipe_of_ones_own_takes_a_backend_too() -> None:
    own = {"gentle": parse_recipe("w8a8-percentile")}
    (recipe,) = choose_recipes(["gentle@torch-int8"], [], own)
    assert (recipe.backend, recipe.simulated) == ("torch-int8", own["gentle"])
    with pytest.raises(UsageError, match="E4M3"):
        choose_recipes(["gentle@fp8"], [], own)


def test_a_recipe_file_leaves_kernels_to_where_the_recipe_is_named(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text('[[recipe]]\nname = "gentle"\nbase = "w8a8-percentile@torch-int8"\n')
    with pytest.raises(UsageError, match="write gentle@torch-int8 there"):
        load_recipes(file)
