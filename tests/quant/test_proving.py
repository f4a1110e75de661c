"""The coverage proof: counts and sizes by hand, rates against plain counting, and every fault seen."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from reliability.errors import UndefinedMetricError
from reliability.quant.affine import Grid
from reliability.quant.coverage import coverage
from reliability.quant.explicit import FusedProducts
from reliability.quant.formats.values import E2M1, Integers, Scales, Values
from reliability.quant.prepare import RangeData, prepare
from reliability.quant.proof import ALWAYS_FLOAT, Part, Proof
from reliability.quant.proving import prove
from reliability.quant.quantizers import DynamicQuantizer, StaticQuantizer
from reliability.quant.recipe import FP32, Recipe, parse_recipe
from reliability.quant.saturation import SaturationObserver, count_ends

WEIGHTS = 48 * 32 + 2 * 12 * 32**2 + 32 * 24
CHANNELS = 32 + 2 * (4 * 32 + 128 + 32) + 24
PER_IMAGE = 16 * 48 * 32 + 2 * 17 * 12 * 32**2 + 32 * 24
ATTENTION = 2 * 2 * 17 * 17 * 32


def small(name: str, **changes: Any) -> Recipe:
    return replace(parse_recipe(name), range_images=24, **changes)


def proof_of(vit: nn.Module, data: RangeData, recipe: Recipe) -> Proof:
    return prove(prepare(vit, recipe, data), vit, recipe, data)


@pytest.fixture
def candidate(vit: nn.Module, small_data: RangeData) -> Any:
    """W8A8 of the vision tower with its attention, to plant faults in."""
    return copy.deepcopy(prepare(vit, small("w8a8-minmax+attention+embeddings"), small_data))


def faults(candidate: Any, vit: nn.Module, data: RangeData) -> dict[str, str]:
    proof = prove(candidate, vit, small("w8a8-minmax+attention+embeddings"), data)
    return {part.name: part.fault for part in proof.faulty}


def test_shares_count_every_product_by_hand(vit: nn.Module, small_data: RangeData) -> None:
    plain, whole = (proof_of(vit, small_data, small(n)) for n in ("w8a8-minmax", "w8a8-minmax+attention"))
    assert plain.macs == whole.macs == PER_IMAGE + ATTENTION
    assert plain.quantized_share == PER_IMAGE / (PER_IMAGE + ATTENTION)
    assert whole.quantized_share == 1.0
    assert plain.declared_share == whole.declared_share == 1.0
    assert not plain.faulty + whole.faulty


def test_bits_and_sizes_are_summed_by_hand(vit: nn.Module, small_data: RangeData) -> None:
    proof = proof_of(vit, small_data, small("w4a8-minmax"))
    bits = 4 * WEIGHTS + 32 * CHANNELS
    assert proof.bits_per_weight == bits / WEIGHTS
    everything = sum(value.numel() for value in vit.state_dict().values())
    assert proof.float_size_bits == 32 * everything
    ranges = (1 + 2 * 6 + 1) * (32 + 8)
    assert proof.size_bits == 32 * (everything - WEIGHTS) + bits + ranges
    assert proof.size_mib == proof.size_bits / 8 / 2**20


@pytest.mark.parametrize(
    ("name", "code", "scale"), [("w4a16_g32-rtn", 4, 32), ("mxfp4-rtn", 4, 8), ("w8a8_g32_asym-minmax", 8, 40)]
)
def test_bits_per_weight_hold_scales_and_zero_points(
    vit: nn.Module, small_data: RangeData, name: str, code: int, scale: int
) -> None:
    # The patch embedding has 48 inputs for each of 32 channels, so that every second group is half full.
    groups = (WEIGHTS + 32 * 16) // 32
    assert proof_of(vit, small_data, small(name)).bits_per_weight == (code * WEIGHTS + scale * groups) / WEIGHTS


def test_tables_count_where_they_are_on_a_grid(vit: nn.Module, small_data: RangeData) -> None:
    plain, whole = (proof_of(vit, small_data, small(n)) for n in ("w8a8-minmax", "w8a8-minmax+embeddings"))
    rows, width = 17 + 1, 32
    assert plain.size_bits - whole.size_bits == rows * width * 32 - rows * (8 * width + 32)
    assert [part.name for part in whole.parts if part.kind == "table"] == [
        "visual.class_embedding", "visual.positional_embedding",
    ]  # fmt: skip


def test_what_is_left_in_float_is_said(vit: nn.Module, small_data: RangeData) -> None:
    share = f"{ATTENTION / (PER_IMAGE + ATTENTION):.1%}"
    said = proof_of(vit, small_data, small("w8a8-minmax")).left_float()
    assert said[0] == f"attention's own products ({share} of multiply-accumulates)"
    assert said[1].startswith("embedding tables (")
    assert said[-1] == ALWAYS_FLOAT
    assert proof_of(vit, small_data, small("w8a8-minmax+attention+embeddings")).left_float() == [ALWAYS_FLOAT]


def test_layers_that_a_recipe_leaves_in_float_are_no_fault_and_are_named(vit: nn.Module, small_data: RangeData) -> None:
    proof = proof_of(vit, small_data, small("w8a8-minmax", float_layers="visual.conv1 *.proj.linear"))
    assert proof.declared_share == 1.0
    assert not proof.faulty
    assert proof.quantized_share < 1.0
    assert proof.left_float()[0].startswith("visual.conv1, visual.proj.linear (")
    assert proof.bits_per_weight > 8.5


def test_the_reference_itself_declares_nothing_and_keeps_it(vit: nn.Module, small_data: RangeData) -> None:
    proof = prove(vit, vit, FP32, small_data)
    assert (proof.quantized_share, proof.declared_share, len(proof.faulty)) == (0.0, 1.0, 0)
    assert proof.bits_per_weight == 32.0
    assert proof.size_bits == proof.float_size_bits
    assert proof.left_float() == ["everything"]
    assert proof.towers == "both"


def test_a_control_that_ends_in_float_must_have_no_grid(vit: nn.Module, small_data: RangeData) -> None:
    control = small("w8a8-noise")
    quantized = prepare(vit, small("w8a8-minmax"), small_data)
    proof = prove(quantized, vit, control, small_data)
    assert {part.fault for part in proof.faulty} == {"quantized although declared float"}
    assert proof.declared_share < 0.2


def test_a_layer_left_in_float_is_a_fault_of_its_share(candidate: Any, vit: nn.Module, small_data: RangeData) -> None:
    candidate.visual.transformer.resblocks[1].mlp.c_fc = nn.Linear(32, 128)
    proof = prove(candidate, vit, small("w8a8-minmax+attention+embeddings"), small_data)
    assert [(part.name, part.fault) for part in proof.faulty] == [
        ("visual.transformer.resblocks.1.mlp.c_fc", "left in float")
    ]
    assert proof.declared_share == 1 - 17 * 32 * 128 / (PER_IMAGE + ATTENTION)
    assert proof.worst(1)[0].name == "visual.transformer.resblocks.1.mlp.c_fc"


def test_a_product_outside_of_layers_is_a_fault(candidate: Any, vit: Any, small_data: RangeData) -> None:
    del candidate.visual.proj
    candidate.visual.proj = vit.visual.proj
    assert faults(candidate, vit, small_data) == {"products outside of Linear and Conv2d layers": "left in float"}


def test_attention_left_in_float_is_a_fault(candidate: Any, vit: nn.Module, small_data: RangeData) -> None:
    candidate.visual.transformer.resblocks[0].attn.products = FusedProducts()
    assert faults(candidate, vit, small_data) == {"attention's own products": "left in float"}


@pytest.mark.parametrize("quantizer", ["conv1.activation", "transformer.resblocks.0.attn.products.probability"])
def test_an_observer_that_never_fired_is_a_fault(
    candidate: Any, vit: nn.Module, small_data: RangeData, quantizer: str
) -> None:
    candidate.visual.get_submodule(quantizer).scale.fill_(torch.nan)
    assert faults(candidate, vit, small_data) == {f"visual.{quantizer.rpartition('.')[0]}": "an observer never fired"}


def test_a_quantizer_that_is_passed_by_is_a_fault(candidate: Any, vit: nn.Module, small_data: RangeData) -> None:
    layer = candidate.visual.transformer.resblocks[0].mlp.c_fc
    layer.forward = lambda x: nn.functional.linear(x, layer.weight, layer.bias)
    assert faults(candidate, vit, small_data) == {"visual.transformer.resblocks.0.mlp.c_fc": "an observer never fired"}


def test_activations_left_in_float_are_a_fault(candidate: Any, vit: nn.Module, small_data: RangeData) -> None:
    candidate.visual.conv1.activation = nn.Identity()
    candidate.visual.transformer.resblocks[0].attn.products.value = nn.Identity()
    assert faults(candidate, vit, small_data) == {
        "visual.conv1": "left in float", "visual.transformer.resblocks.0.attn.products": "left in float",
    }  # fmt: skip
    recipe = small("w8a8-minmax+attention+embeddings")
    few = small_data.images[:1], small_data.tokens[:1]
    assert "visual.conv1" in coverage(candidate, *few, "vision", recipe).float_layers


@pytest.mark.parametrize("name", ["w4a8-minmax+attention+embeddings", "w8a6-minmax+attention+embeddings"])
def test_more_bits_than_declared_are_a_fault(candidate: Any, vit: nn.Module, small_data: RangeData, name: str) -> None:
    proof = prove(candidate, vit, small(name), small_data)
    assert {part.fault for part in proof.faulty} == {"codes of more bits than declared"}
    assert {part.kind for part in proof.faulty} == (
        {"layer", "table"} if name.startswith("w4") else {"layer", "attention"}
    )


def test_layers_with_widths_of_their_own_may_exceed_the_average(vit: nn.Module, small_data: RangeData) -> None:
    proof = proof_of(vit, small_data, small("w4a8-mixed"))
    assert not proof.faulty
    assert proof.bits_per_weight <= proof_of(vit, small_data, small("w4a8-minmax")).bits_per_weight


def test_a_layer_that_never_runs_is_a_fault(candidate: Any, vit: nn.Module, small_data: RangeData) -> None:
    idle = copy.deepcopy(candidate.visual.proj.linear)
    candidate.visual.spare = idle
    assert faults(candidate, vit, small_data) == {"visual.spare": "never run"}


@pytest.mark.parametrize(
    ("name", "fault"),
    [("visual.conv1.weight", 1.01), ("visual.positional_embedding", 1.01), ("visual.proj.linear.weight", 1.5)],
)
def test_a_weight_off_its_grid_is_a_fault(
    candidate: Any, vit: nn.Module, small_data: RangeData, name: str, fault: float
) -> None:
    candidate.get_parameter(name).mul_(fault)
    assert list(faults(candidate, vit, small_data)) == [name.removesuffix(".weight")]


def test_a_proof_survives_json_as_it_is(vit: nn.Module, small_data: RangeData) -> None:
    proof = proof_of(vit, small_data, small("w4a4-percentile+attention+embeddings-both"))
    assert Proof.from_dict(json.loads(json.dumps(proof.to_dict(), allow_nan=False))) == proof


def test_nothing_that_ran_no_product_has_a_share() -> None:
    idle = Proof("vision", 1, 8, 8, (Part("visual.proj", "layer", 0, True, True),))
    assert idle.faulty
    for figure in ("quantized_share", "declared_share"):
        with pytest.raises(UndefinedMetricError, match="no matrix product"):
            getattr(idle, figure)


def by_counting(values: Values, x: Tensor, scales: Scales) -> tuple[int, int]:
    """Saturated and clipped inputs, one by one, from the distance to the ends of the grid."""
    assert isinstance(values, Integers)
    grid, saturated, clipped = values.grid, 0, 0
    zero = 0.0 if scales.zero_point is None else float(scales.zero_point)
    for value in x.flatten().tolist():
        code = round(value / float(scales.scale)) + zero
        clipped += not grid.qmin <= code <= grid.qmax
        saturated += code >= grid.qmax or code < grid.qmin or (code == grid.qmin and grid.qmin != zero)
    return saturated, clipped


@pytest.mark.parametrize("zero_point", [None, 0, 3])
def test_rates_are_those_of_counting_one_by_one(zero_point: int | None) -> None:
    values = Integers(4, symmetric=zero_point is None)
    zero = None if zero_point is None else torch.tensor(float(zero_point))
    x, scales = torch.randn(500, generator=torch.Generator().manual_seed(0)), Scales(torch.tensor(0.125), zero)
    assert count_ends(values, x, scales) == by_counting(values, x, scales)
    assert 0 < count_ends(values, x, scales)[1] < count_ends(values, x, scales)[0] < 500


def test_minifloats_clip_beyond_their_largest_value() -> None:
    x = torch.tensor([0.0, 5.9, 6.0, 6.9, 7.1, -8.0])
    assert count_ends(E2M1, x, Scales(torch.tensor(1.0))) == (5, 2)


def test_static_ranges_clip_what_lies_outside_and_dynamic_ones_nothing() -> None:
    static = StaticQuantizer(8)
    static.set_range(torch.tensor(-1.0), torch.tensor(1.0))
    x = torch.linspace(-2, 2, 1001)[None]
    watched = [SaturationObserver(static), SaturationObserver(DynamicQuantizer(Integers(8), (-1,)))]
    for observer in watched:
        observer.update(x)
    assert watched[0].rates[1] == pytest.approx(0.5, abs=0.01)
    assert watched[1].rates == (pytest.approx(2 / 1001, abs=0.01), 0.0)
    assert Grid(8, False).qmin == 0


def test_a_narrow_percentile_clips_about_its_share(vit: nn.Module, small_data: RangeData) -> None:
    wide, narrow = (proof_of(vit, small_data, small("w8a8-percentile", percentile=p)) for p in (99.99, 95.0))
    assert wide.clipped < 0.01 < narrow.clipped
    first = next(part for part in narrow.parts if part.name == "visual.conv1")
    assert first.clipped == pytest.approx(0.1, abs=0.02)


def test_weight_only_recipes_have_no_rates(vit: nn.Module, small_data: RangeData) -> None:
    proof = proof_of(vit, small_data, small("w4a16-rtn"))
    assert {part.clipped for part in proof.parts} == {None}
    assert (proof.clipped, proof.saturated) == (0.0, 0.0)
    assert proof.worst(5) == []


def test_padding_after_the_end_of_text_does_not_enter_rates(vit: nn.Module, small_data: RangeData) -> None:
    recipe = small("w8a8-minmax+attention-text")
    model: Any = prepare(vit, recipe, small_data)
    model.token_embedding.weight.data[0] *= 1000
    clipped = prove(model, vit, recipe, small_data).clipped
    assert clipped < 0.01
