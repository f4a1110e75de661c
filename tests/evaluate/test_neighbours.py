"""Recipes near another: the same size first, and only ones that make sense."""

from __future__ import annotations

import pytest

from reliability.evaluate.neighbours import nearness, neighbours
from reliability.quant.recipe import FP32, parse_recipe


def near(name: str) -> list[str]:
    return [recipe.name for recipe in neighbours(parse_recipe(name))]


def test_better_methods_at_the_same_bits_come_before_more_bits() -> None:
    found = near("w4a4-minmax")
    same = [name for name in found if name.startswith("w4a4-")]
    assert found[: len(same)] == same
    assert [name for name in same if name.split("-")[1] in ("mse", "smoothquant", "gptq", "hadamard", "lsq")] == [
        "w4a4-mse", "w4a4-smoothquant", "w4a4-gptq", "w4a4-hadamard", "w4a4-lsq"
    ]  # fmt: skip
    # Wider activations store nothing more, so they come before wider weights.
    assert found[len(same) :] == ["w4a6-minmax", "w4a8-minmax", "w6a6-minmax", "w6a8-minmax", "w8a8-minmax"]


def test_what_is_already_up_the_ladder_is_not_gone_down_again() -> None:
    assert near("w2a6-lsq") == ["w2a6-hadamard+lsq", "w2a8-lsq", "w6a6-lsq", "w6a8-lsq", "w8a8-lsq"]


def test_towers_seed_and_what_is_quantized_beside_layers_stay_in_grammatical_order() -> None:
    found = near("w4a8-minmax+attention+tunescale-both-s2")
    assert all(name.endswith("+tunescale-both-s2") and "attention" in name for name in found)
    assert "w4a8-mse+attention+gptq+tunescale-both-s2" in found


def test_a_scale_per_channel_is_the_first_step_from_one_per_tensor() -> None:
    assert near("w8a8_t-minmax")[0] == "w8a8-minmax"


def test_weight_only_recipes_have_weight_only_neighbours() -> None:
    assert {"w4a16-hqq", "w4a16-gptq", "w4a16-awq"} <= set(near("w4a16-minmax"))
    assert not any("smoothquant" in name or "lsq" in name for name in near("w4a16-minmax"))


@pytest.mark.parametrize(
    "name", ["w4a4-minmax", "w4a8_g64-smoothquant-a0.75-text", "mxfp4-rtn", "fp8-rtn", "w8a8-raana"]
)
def test_no_neighbour_is_the_recipe_itself_or_comes_twice(name: str) -> None:
    found = near(name)
    assert name not in found
    assert len(set(found)) == len(found)


def test_fp32_and_kernels_have_none() -> None:
    assert list(neighbours(FP32)) == []
    assert list(neighbours(parse_recipe("w8a8-dynamic@torch-int8"))) == []


def test_the_nearest_recipe_has_the_same_bits_then_the_fewest_then_the_least_effort() -> None:
    of = parse_recipe("w4a8-minmax")
    others = [parse_recipe(n) for n in ("w8a8-minmax", "w4a8-lsq", "w4a8-mse", "w6a8-minmax", "w4a16-minmax")]
    ordered = sorted(others, key=lambda other: nearness(of, other))
    assert [recipe.name for recipe in ordered] == ["w4a8-mse", "w4a8-lsq", "w4a16-minmax", "w6a8-minmax", "w8a8-minmax"]
