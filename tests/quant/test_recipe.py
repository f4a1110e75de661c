from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reliability.errors import UsageError
from reliability.quant.recipe import FP32, SCHEMES, list_recipes, parse_recipe

GRAMMAR = re.compile(
    r"fp32|w[2-8]a[2-8]-(minmax|percentile|dynamic|lsq)(-text|-both)?(-s\d+)?"
    r"|w[2-8]a16-minmax(-text|-both)?(-s\d+)?"
    r"|w[2-8]a[2-8]-smoothquant(-a[01](\.\d+)?)?(-text|-both)?(-s\d+)?"
)


def test_a_full_name_is_read_part_by_part() -> None:
    recipe = parse_recipe("w4a8-smoothquant-a0.75-both-s3")
    assert (recipe.weight_bits, recipe.activation_bits, recipe.alpha) == (4, 8, 0.75)
    assert (recipe.towers, recipe.seed, recipe.method) == ("both", 3, "smoothquant")
    assert (recipe.activation, recipe.range_setting) == ("static", "minmax")


def test_defaults_are_the_vision_tower_and_seed_zero() -> None:
    recipe = parse_recipe("w8a8-percentile")
    assert (recipe.towers, recipe.seed, recipe.range_setting, recipe.method) == ("vision", 0, "percentile", "rtn")
    assert recipe.quantizes("vision")
    assert not recipe.quantizes("text")


def test_weight_only_leaves_activations_alone() -> None:
    recipe = parse_recipe("w4a16-minmax-text")
    assert (recipe.activation, recipe.range_setting, recipe.towers) == ("none", "none", "text")


def test_fp32_is_the_identity_control() -> None:
    assert parse_recipe("fp32") is FP32
    assert FP32.is_float
    assert not FP32.quantizes("vision")


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("w9a8-minmax", "w9a8"),
        ("w1a8-minmax", "w1a8"),
        ("w08a8-minmax", "w08a8"),
        ("w8a12-minmax", "w8a12"),
        ("W8A8-minmax", "W8A8"),
        ("w8a8", "nothing"),
        ("w8a8-", "nothing"),
        ("w8a8-minmx", "minmx"),
        ("w8a8-minmax-", "suffix"),
        ("w8a8-minmax-vision", "vision"),
        ("w8a8-minmax-a0.5", "a0.5"),
        ("w8a8-smoothquant-a1.5", "a1.5"),
        ("w8a8-smoothquant-a.5", "a.5"),
        ("w8a8-smoothquant-both-a0.5", "a0.5"),
        ("w8a8-minmax-s1-both", "both"),
        ("w8a8-minmax-s-1", "s"),
        ("w8a8-minmax-s01", "s01"),
        ("w8a8-minmax-both-text", "text"),
        ("w4a16-smoothquant", "w4a16"),
        ("w4a16-lsq", "w4a16"),
        ("w4a16-dynamic", "w4a16"),
        ("w4a16-percentile", "w4a16"),
        ("fp32-both", "fp32"),
        ("fp16", "fp16"),
        ("", "nothing"),
    ],
)
def test_a_wrong_name_is_refused_and_the_part_named(name: str, part: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_recipe(name)
    assert re.search(part, str(caught.value))
    assert repr(name) in caught.value.where
    assert "grammar" in caught.value.next


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(UsageError, match="did you mean w8a8-minmax"):
        parse_recipe("w8a8-minmx")


@pytest.mark.parametrize("name", list_recipes())
def test_every_listed_recipe_parses_and_has_a_card(name: str) -> None:
    assert parse_recipe(name).name == name
    assert list_recipes()[name]


def test_every_scheme_names_a_registered_method() -> None:
    from reliability.quant.methods.registry import METHODS

    assert {scheme.method for scheme in SCHEMES.values()} <= set(METHODS)


def test_identity_ignores_spelling_and_tells_settings_apart() -> None:
    spelled = parse_recipe("w8a8-smoothquant-a0.50-s0").identity
    assert spelled == parse_recipe("w8a8-smoothquant").identity
    names = ["w8a8-minmax", "w8a8-percentile", "w8a8-dynamic", "w8a8-lsq", "w4a8-minmax", "w8a4-minmax", "w8a16-minmax"]
    names += ["w8a8-minmax-both", "w8a8-minmax-s1", "w8a8-smoothquant", "w8a8-smoothquant-a0.6", "fp32"]
    identities = {json.dumps(dict(parse_recipe(name).identity), sort_keys=True) for name in names}
    assert len(identities) == len(names)
    base = parse_recipe("w8a8-minmax")
    assert replace(base, range_images=7).identity != base.identity


@given(st.from_regex(GRAMMAR, fullmatch=True))
def test_what_the_grammar_allows_parses_unless_a_number_is_out_of_form(name: str) -> None:
    try:
        recipe = parse_recipe(name)
    except UsageError:
        # An independent pattern is looser about numbers alone: alpha above 1, zeros in front, huge seeds.
        assert re.search(r"-a1\.\d*[1-9]|-s0\d|-s\d{10}|[^\x00-\x7f]", name)
    else:
        assert recipe.name == name


@given(st.text(alphabet="wa2468160-minaxplsqtboh.s", max_size=24))
def test_whatever_parses_is_in_the_grammar(name: str) -> None:
    try:
        parse_recipe(name)
    except UsageError:
        return
    assert GRAMMAR.fullmatch(name)


def test_recipes_are_read_without_torch() -> None:
    code = "import sys, reliability.quant.recipe as r; r.parse_recipe('w8a8-minmax'); sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
