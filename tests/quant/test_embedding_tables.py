from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from reliability.errors import QuantizationError
from reliability.quant.affine import Grid, channel_amax, fake_quantize, symmetric_scale
from reliability.quant.coverage import coverage
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.recipe import Recipe, parse_recipe
from reliability.quant.tables import TableGrid, grid_of, insert_table_grids, tables

NAMES = {"token_embedding.weight", "positional_embedding", "visual.positional_embedding", "visual.class_embedding"}


def small(name: str) -> Recipe:
    recipe = replace(parse_recipe(name), range_images=24)
    return replace(recipe, qat=replace(recipe.qat, steps=2, batch=8)) if recipe.qat else recipe


def grids(clip: nn.Module) -> dict[str, TableGrid | None]:
    return {name: grid_of(owner, attribute) for name, owner, attribute in tables(clip, "both")}


def test_all_tables_of_both_towers_are_found(vit: nn.Module, resnet: nn.Module) -> None:
    assert {name for name, _, _ in tables(vit, "both")} == NAMES
    assert {name for name, _, _ in tables(vit, "vision")} == {n for n in NAMES if n.startswith("visual.")}
    assert {name for name, _, _ in tables(resnet, "vision")} == {"visual.attnpool.positional_embedding"}


def test_every_row_is_rounded_by_its_own_scale(vit: nn.Module, small_data: RangeData) -> None:
    prepared: Any = prepare(vit, small("w4a8-embeddings-both"), small_data)
    table: Any = vit.get_parameter("token_embedding.weight")
    grid = Grid(4, symmetric=True)
    scale = symmetric_scale(channel_amax(table), grid)
    assert torch.equal(prepared.token_embedding.weight_grid.scale, scale)
    assert torch.equal(prepared.token_embedding.weight, fake_quantize(table, scale, None, grid))
    assert prepared.visual.class_embedding_grid.scale.shape == (1, 1)
    assert len(prepared.visual.class_embedding.unique()) <= 15


@pytest.mark.parametrize(
    "name",
    ["w8a8-embeddings", "w4a8_t-embeddings-text", "w4a16_g32_asym-embeddings-both", "mxfp4-embeddings-both",
     "nvfp4-embeddings-both", "w8a8-minmax+embeddings+lsq-both"],
)  # fmt: skip
def test_tables_are_restored_bit_for_bit_and_proved(vit: nn.Module, small_data: RangeData, name: str) -> None:
    recipe = small(name)
    prepared, restored = prepare(vit, recipe, small_data), skeleton(vit, recipe)
    restored.load_state_dict(prepared.state_dict())
    with torch.no_grad():
        for tower, batch in (("image", small_data.images), ("text", small_data.tokens)):
            assert torch.equal(getattr(prepared, f"encode_{tower}")(batch), getattr(restored, f"encode_{tower}")(batch))
    here = {n: grid is not None for n, grid in grids(prepared).items()}
    assert here == {n: recipe.quantizes("vision" if n.startswith("visual.") else "text") for n in NAMES}
    assert coverage(prepared, small_data.images[:1], small_data.tokens[:1], recipe.towers, recipe).complete


def test_snapping_what_lies_on_the_grid_changes_nothing(vit: nn.Module, small_data: RangeData) -> None:
    prepared = prepare(vit, small("w3a8_asym-embeddings-both"), small_data)
    for _, owner, attribute in tables(prepared, "both"):
        grid = grid_of(owner, attribute)
        assert grid is not None
        table = owner._parameters[attribute]
        torch.testing.assert_close(grid(table), table, rtol=1e-6, atol=1e-7)


def test_training_moves_tables_in_float_and_they_end_on_their_grid(vit: nn.Module, small_data: RangeData) -> None:
    trained, still = (
        prepare(vit, small(n), small_data) for n in ("w8a8-minmax+embeddings+lsq", "w8a8-minmax+embeddings")
    )
    name = "visual.positional_embedding"
    assert not torch.equal(trained.get_parameter(name), still.get_parameter(name))
    assert len(trained.get_parameter(name)[0].unique()) <= 255


def test_the_word_leaves_layers_as_they_were(vit: nn.Module, small_data: RangeData) -> None:
    plain, more = (
        prepare(vit, small(n), small_data).state_dict() for n in ("w8a8-minmax-both", "w8a8-embeddings-both")
    )
    assert set(more) - set(plain) == {f"{name}_grid.scale" for name in NAMES}
    assert all(torch.equal(more[name], value) for name, value in plain.items() if name not in NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_a_table_off_its_grid_is_caught(vit: nn.Module, small_data: RangeData, name: str) -> None:
    recipe = small("w8a8-embeddings-both")
    prepared = prepare(vit, recipe, small_data)
    prepared.get_parameter(name).view(-1)[0] += 0.4 * float(grids(prepared)[name].scale.view(-1)[0])  # type: ignore[union-attr]
    proof = coverage(prepared, small_data.images[:1], small_data.tokens[:1], "both", recipe)
    assert proof.off_grid == (name,)
    with pytest.raises(QuantizationError, match="off their grid"):
        proof.require_complete("here")


def test_a_table_that_stays_in_float_although_the_recipe_names_it_is_caught(
    vit: nn.Module, small_data: RangeData
) -> None:
    proof = coverage(
        prepare(vit, small("w8a8-minmax"), small_data), small_data.images[:1], small_data.tokens[:1], "vision",
        small("w8a8-embeddings"),
    )  # fmt: skip
    assert proof.float_extras == ("visual.class_embedding", "visual.positional_embedding")
    assert not proof.complete


def test_towers_without_tables_are_refused() -> None:
    clip = nn.Module()
    clip.visual = nn.Sequential(nn.Linear(3, 3))
    with pytest.raises(QuantizationError, match="no embedding tables"):
        insert_table_grids(clip, parse_recipe("w8a8-embeddings"))
