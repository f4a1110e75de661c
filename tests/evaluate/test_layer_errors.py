"""Errors of layers: where a candidate departs from its reference, whatever coordinates its method uses."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from reliability.data.dataset import DataSet
from reliability.evaluate.comparison.breakdown import LayerError
from reliability.evaluate.engine import Engine
from reliability.evaluate.storage.cache import Cache
from reliability.models.spec import ModelSpec
from reliability.quant.recipe import Recipe, parse_recipe


def small(name: str) -> Recipe:
    return replace(parse_recipe(name), range_images=16)


@pytest.fixture
def errors_of(tmp_path: Path, data: DataSet, tiny: ModelSpec):
    engine = Engine(Cache(tmp_path / "cache"), data)

    def errors(name: str) -> dict[str, LayerError]:
        from reliability.evaluate.layer_errors import layer_errors

        return {error.name: error for error in layer_errors(engine, tiny, small(name))}

    return errors


def test_every_layer_of_the_recipe_s_tower_is_compared(errors_of) -> None:
    found = errors_of("w8a8-minmax")
    block = "visual.transformer.resblocks.0"
    names = {f"{block}.attn.{p}_proj" for p in ("q", "k", "v", "out")} | {f"{block}.mlp.c_fc", f"{block}.mlp.c_proj"}
    assert set(found) == names | {"visual.conv1", "visual.proj.linear"}
    assert all(error.sqnr_db is not None and error.sqnr_db > 20 for error in found.values())
    assert {error.basis for error in found.values()} == {"as it is"}


def test_fewer_bits_are_worse_in_every_layer(errors_of) -> None:
    eight, four = errors_of("w8a8-minmax"), errors_of("w4a4-minmax")
    assert eight.keys() == four.keys()
    assert all(four[name].sqnr_db < eight[name].sqnr_db - 6 for name in eight)


def test_both_towers_are_compared_where_both_are_quantized(errors_of) -> None:
    found = errors_of("w8a8-minmax-both")
    assert {name.partition(".")[0] for name in found} > {"visual"}
    assert all(error.sqnr_db is not None and error.sqnr_db > 20 for error in found.values())


def test_a_rotation_or_a_scale_of_channels_is_no_error(errors_of) -> None:
    plain = errors_of("w8a16-minmax")
    for name in ("w8a16-hadamard", "w8a8-smoothquant-auto", "w8a16-awq"):
        found = errors_of(name)
        assert {error.basis for error in found.values()} > {"as it is"}
        # Compared as they are, layers in other coordinates would have about as much noise as signal.
        assert all(error.sqnr_db > 20 for error in found.values()), {n: e.sqnr_db for n, e in found.items()}
    assert plain


def test_every_layer_is_found_below_the_modules_that_a_method_adds(errors_of) -> None:
    assert errors_of("w8a8-perchannel").keys() == errors_of("w8a8-minmax").keys()
