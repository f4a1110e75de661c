from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from reliability.errors import UsageError
from reliability.quant.recipe import QatSettings, parse_recipe
from reliability.quant.recipe_file import load_recipes

GOOD = """
[[recipe]]
name = "w8a8-narrow"
base = "w8a8-percentile"
percentile = 99.9
range_images = 64

[[recipe]]
name = "trained.longer_2"
base = "w4a8-smoothquant+lsq"
alpha = 1
towers = "both"
seed = 3
[recipe.qat]
steps = 400
learning_rate = 1e-4
loss = "mse"
held_out = 0
"""
ONE = '[[recipe]]\nname = "mine"\nbase = "w8a8-minmax"\n'


@pytest.fixture
def written(tmp_path: Path) -> Callable[[str], Path]:
    """Write a recipe file and return its path."""

    def write(text: str) -> Path:
        path = tmp_path / "recipes.toml"
        path.write_text(text)
        return path

    return write


def test_settings_replace_those_of_the_base(written: Callable[[str], Path]) -> None:
    recipes = load_recipes(written(GOOD))
    assert list(recipes) == ["w8a8-narrow", "trained.longer_2"]
    narrow = replace(parse_recipe("w8a8-percentile"), name="w8a8-narrow", percentile=99.9, range_images=64)
    assert recipes["w8a8-narrow"] == narrow
    trained = recipes["trained.longer_2"]
    assert (trained.alpha, trained.towers, trained.seed, trained.method) == (1.0, "both", 3, "smoothquant+lsq")
    assert isinstance(trained.alpha, float)
    assert trained.qat == replace(QatSettings(), steps=400, learning_rate=1e-4, loss="mse")


def test_layers_can_be_left_in_float_by_declaration(written: Callable[[str], Path]) -> None:
    declared = load_recipes(written(ONE + 'float_layers = ["visual.conv1", "*.c_proj"]\n'))["mine"]
    names = ("visual.conv1", "visual.transformer.resblocks.0.mlp.c_proj", "visual.conv10", "visual.proj.linear")
    assert [declared.leaves_float(name) for name in names] == [True, True, False, False]
    other_order = load_recipes(written(ONE + 'float_layers = ["*.c_proj", "visual.conv1"]\n'))["mine"]
    assert declared.identity == other_order.identity != parse_recipe("w8a8-minmax").identity


@pytest.mark.parametrize("value", ['"visual.conv1"', "[]", '["a b"]', "[1]", '[""]'])
def test_declarations_that_are_no_list_of_names_are_refused(written: Callable[[str], Path], value: str) -> None:
    with pytest.raises(UsageError, match="'float_layers' must be a list of layers' names"):
        load_recipes(written(ONE + f"float_layers = {value}\n"))


def test_a_control_that_ends_in_float_has_no_layers_to_declare(written: Callable[[str], Path]) -> None:
    text = ONE.replace("w8a8-minmax", "w8a8-noise") + 'float_layers = ["visual.conv1"]\n'
    with pytest.raises(UsageError, match="w8a8-noise has no float_layers"):
        load_recipes(written(text))


def test_a_recipe_without_settings_shares_the_address_of_its_base(written: Callable[[str], Path]) -> None:
    assert load_recipes(written(ONE))["mine"].identity == parse_recipe("w8a8-minmax").identity


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "'recipe' is missing"),
        ("recipe = []", "no list of recipes"),
        ("[recipe]\nname = 'x'", "no list of recipes"),
        ("recipe = [3]", r"must be a table[\s\S]*recipe 1"),
        (ONE + "[recipes]", r"unknown key[\s\S]*did you mean recipe"),
        ("[[recipe]]\nbase = 'w8a8-minmax'", "'name' is missing"),
        ("[[recipe]]\nname = 'mine'", "'base' is missing"),
        ("[[recipe]]\nname = 3\nbase = 'w8a8-minmax'", "'name' must be a non-empty string"),
        ("[[recipe]]\nname = 'My one'\nbase = 'w8a8-minmax'", "lower-case letters"),
        ("[[recipe]]\nname = 'w8a8-*'\nbase = 'w8a8-minmax'", "lower-case letters"),
        ("[[recipe]]\nname = 'w8a8-minmax-s7'\nbase = 'w8a8-minmax'", "a meaning of its own"),
        ("[[recipe]]\nname = 'fp32'\nbase = 'w8a8-minmax'", "a meaning of its own"),
        ("[[recipe]]\nname = 'mine'\nbase = 'w8a8-minmx'", "did you mean w8a8-minmax"),
        ("[[recipe]]\nname = 'mine'\nbase = 'fp32'", "fp32 is the reference"),
        (ONE + ONE, r"taken by an earlier recipe[\s\S]*recipe 2"),
        (ONE + "range_image = 3", r"range_image[\s\S]*did you mean range_images"),
        (ONE + "range_images = 0", "whole number above 0"),
        (ONE + "range_images = true", "whole number above 0"),
        (ONE + "range_images = 5.5", "whole number above 0"),
        (ONE + "seed = -1", "whole number from 0"),
        (ONE + "towers = 'visual'", "one of vision, text, both"),
        (ONE + "towers = ['vision']", "one of vision, text, both"),
        (ONE + "alpha = 0.5", "w8a8-minmax has no alpha"),
        (ONE + "percentile = 99", "w8a8-minmax has no percentile"),
        (ONE + "[recipe.qat]\nsteps = 3", "w8a8-minmax trains nothing"),
        (ONE.replace("minmax", "smoothquant") + "alpha = 1.5", "a number from 0 to 1"),
        (ONE.replace("minmax", "smoothquant") + "alpha = nan", "a number from 0 to 1"),
        (ONE.replace("minmax", "percentile") + "percentile = 100", "above 50 and below 100"),
        (ONE.replace("minmax", "lsq") + "qat = 3", r"must be a table[\s\S]*\[recipe\.qat\]"),
        (ONE.replace("minmax", "lsq") + "[recipe.qat]\nstep = 3", "did you mean steps"),
        (ONE.replace("minmax", "lsq") + "[recipe.qat]\nsteps = 2.0", "'steps' must be a whole number above 0"),
        (ONE.replace("minmax", "lsq") + "[recipe.qat]\nlearning_rate = -1", "finite number above 0"),
        (ONE.replace("minmax", "lsq") + "[recipe.qat]\nlearning_rate = inf", "finite number above 0"),
        (ONE.replace("minmax", "lsq") + "[recipe.qat]\nloss = 3", "'loss' must be different ones of"),
        (ONE.replace("minmax", "lsq") + "[recipe.qat]\nheld_out = -0.1", "'held_out' must be a number from 0 to 0.5"),
        ("[[recipe", "not a TOML file"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(written: Callable[[str], Path], text: str, part: str) -> None:
    with pytest.raises(UsageError, match=part) as caught:
        load_recipes(written(text))
    assert "recipes.toml" in caught.value.where or "recipe '" in caught.value.where


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        load_recipes(tmp_path / "none.toml")
    (tmp_path / "binary.toml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="not a TOML file in UTF-8"):
        load_recipes(tmp_path / "binary.toml")
