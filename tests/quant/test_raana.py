from __future__ import annotations

import copy
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from reliability.errors import UsageError
from reliability.quant.coverage import coverage
from reliability.quant.formats.weights import half_integer_format
from reliability.quant.layers import insert_quantizers
from reliability.quant.methods.raana import RaanaSettings, add_rotations, rotate, sensitivities
from reliability.quant.methods.rabitq import encode_rows
from reliability.quant.methods.rotation.inputs import OverlappingRotation, RotatedLinear, rotation_of
from reliability.quant.methods.rotation.matrices import factors
from reliability.quant.methods.rotation.modules import Rotation
from reliability.quant.methods.workbench import LayerBench, Workbench
from reliability.quant.prepare import RangeData, prepare, skeleton
from reliability.quant.recipe import Recipe, parse_recipe
from reliability.quant.surgery import check_parity, split_attention
from reliability.quant.towers import encode, gemm_layers


def small(name: str) -> Recipe:
    return replace(parse_recipe(name), range_images=24)


@torch.no_grad()
def embeddings(clip: nn.Module, data: RangeData) -> tuple[Tensor, Tensor]:
    return encode(clip, "vision", data.images), encode(clip, "text", data.tokens)


def rotated_bench(clip: nn.Module, data: RangeData, name: str) -> Workbench:
    recipe = small(name)
    explicit = split_attention(copy.deepcopy(clip), recipe.towers).requires_grad_(False)
    bench = Workbench(copy.deepcopy(explicit), explicit, recipe, data, lambda _: None)
    add_rotations(bench.model, recipe)
    rotate(bench)
    return bench


@pytest.mark.parametrize("bits", [1, 2, 3, 5, 8])
def test_codes_are_half_integers_whose_estimate_projects_onto_the_row(bits: int) -> None:
    rows = torch.randn(6, 96, generator=torch.Generator().manual_seed(bits))
    codes, scale = encode_rows(rows, bits)
    assert bool(((codes - 0.5) == (codes - 0.5).round()).all())
    assert float(codes.abs().max()) <= 2 ** (bits - 1) - 0.5
    assert len(codes.unique()) <= 2**bits
    made = scale * codes
    torch.testing.assert_close((made * rows).sum(dim=1), rows.double().square().sum(dim=1))


@pytest.mark.parametrize("bits", [1, 2, 3])
def test_the_factor_is_nearly_the_best_of_all(bits: int) -> None:
    rows = torch.randn(5, 24, generator=torch.Generator().manual_seed(0)).double()
    codes, _ = encode_rows(rows, bits)
    half = 2 ** (bits - 1)
    for row, code in zip(rows, codes, strict=True):
        # A code changes only where t |w| passes an integer.
        turns = torch.cat([torch.arange(1, half)[:, None] / row.abs(), torch.full((1, 24), 1e-9)]).flatten() + 1e-9
        every = torch.floor(turns[:, None] * row.abs()).clamp(max=half - 1) + 0.5
        best = float(F.cosine_similarity(every, row.abs()[None]).max())
        assert best >= float(F.cosine_similarity(code, row, dim=0)) - 1e-9
        assert float(F.cosine_similarity(code, row, dim=0)) > 0.998 * best


@pytest.mark.parametrize("bits", [1, 2])
def test_products_are_unbiased_over_rotations_and_least_squares_ones_are_not(bits: int) -> None:
    torch.manual_seed(0)
    x, w = torch.randn(64).double(), torch.randn(64).double() + torch.arange(64) / 20
    x = x + w / 2
    ours, shrunk = [], []
    for seed in range(250):
        turn = Rotation(64, (seed,))
        turned_x, turned_w = turn(x[None]), turn(w[None])
        codes, scale = encode_rows(turned_w, bits)
        product = float((turned_x * codes).sum())
        ours.append(float(scale) * product)
        shrunk.append(float((codes * turned_w).sum() / codes.square().sum()) * product)
    wanted = float((x * w).sum())
    mean, spread = torch.tensor(ours).mean(), torch.tensor(ours).std() / 250**0.5
    assert abs(float(mean) - wanted) < 4 * float(spread)
    assert float(torch.tensor(shrunk).mean()) < wanted - 6 * float(spread)


def test_a_bit_more_quarters_the_squared_error() -> None:
    rows = torch.randn(64, 256, generator=torch.Generator().manual_seed(1)).double()
    errors = []
    for bits in range(1, 8):
        codes, scale = encode_rows(rows, bits)
        errors.append(float((rows - scale * codes).square().mean()))
    assert all(0.15 < after / before < 0.36 for before, after in pairwise(errors)), errors


def test_a_row_of_zeros_stays_one_for_all_that_matters() -> None:
    codes, scale = encode_rows(torch.zeros(1, 8), 3)
    assert float((scale * codes).abs().max()) < 1e-29
    assert float(scale) > 0


def test_half_integers_snap_to_the_middle_of_their_cell() -> None:
    form = half_integer_format(2)
    weight = torch.tensor([[-9.0, -1.2, -0.1, 0.1, 1.2, 9.0]])
    scales = form.scales(weight)
    assert float(scales.scale) == 6.0
    made = form.snap(weight, scales)
    assert made.tolist() == [[-9.0, -3.0, -3.0, 3.0, 3.0, 9.0]]
    assert form.steps_off(made, scales) == 0.0
    assert form.steps_off(made + 1.5, scales) == pytest.approx(0.25)
    assert form.storage_bits(torch.Size([3, 10])) == 3 * (20 + 32)


@pytest.mark.parametrize("size", [32, 48, 92, 4304])
def test_rotations_of_inputs_are_orthogonal_and_mix_everything(size: int) -> None:
    turn = rotation_of(size, (0, 1))
    assert isinstance(turn, OverlappingRotation) == (factors(size).blocks > 1)
    rows = torch.eye(size, dtype=torch.float64) if size < 1000 else torch.randn(4, size, dtype=torch.float64)
    turned = turn(rows)
    torch.testing.assert_close(turned @ turned.T, rows @ rows.T)
    spike = torch.zeros(1, size, dtype=torch.float64)
    spike[0, 0] = 1.0
    assert float(turn(spike).abs().max()) < 0.3
    assert int((turn(spike) != 0).sum()) > 0.7 * size


@pytest.mark.parametrize("name", ["w4a16-raana-both", "w8a8-raana-text"])
def test_rotation_is_exact_in_floating_point(vit: nn.Module, small_data: RangeData, name: str) -> None:
    bench = rotated_bench(vit, small_data, name)
    check_parity(vit, bench.model, small_data.images, small_data.tokens)
    wrapped = [module for module in bench.model.modules() if isinstance(module, RotatedLinear)]
    linears = [m for m in gemm_layers(bench.reference, bench.recipe.towers).values() if isinstance(m, nn.Linear)]
    assert len(wrapped) == len(linears)


def test_queries_keys_and_values_share_a_rotation_and_other_seeds_have_others(
    vit: nn.Module, small_data: RangeData
) -> None:
    def signs(name: str, layer: str) -> Tensor:
        model = rotated_bench(vit, small_data, name).model
        return model.get_submodule(f"visual.transformer.resblocks.{layer}").rotation.signs  # type: ignore[union-attr, return-value]

    query, key, other = (signs("w4a16-raana", f"{layer}_proj") for layer in ("0.attn.q", "0.attn.k", "1.attn.q"))
    assert torch.equal(query, key)
    assert not torch.equal(query, other)
    assert not torch.equal(query, signs("w4a16-raana-s1", "0.attn.q_proj"))


def test_sensitivities_are_the_product_of_three_norms(vit: nn.Module, small_data: RangeData) -> None:
    recipe = small("w4a16-raana-both")
    explicit = split_attention(copy.deepcopy(vit)).requires_grad_(False)
    model = copy.deepcopy(explicit)
    layers = insert_quantizers(model, recipe)
    bench = LayerBench(model, explicit, recipe, small_data, lambda _: None, layers, explicit)
    found = sensitivities(bench, RaanaSettings(pairs=12, batch=12))
    assert list(found) == list(layers)
    layer = explicit.get_submodule("visual.proj.linear")
    taken: list[Tensor] = []
    hook = layer.register_forward_pre_hook(lambda _, inputs: taken.append(inputs[0]))
    images, texts = embeddings(explicit, RangeData(small_data.images[:12], small_data.tokens[:12]))
    hook.remove()
    images.requires_grad_()
    scale = explicit.get_parameter("logit_scale").exp()
    logits = scale * F.normalize(images, dim=1) @ F.normalize(texts, dim=1).T
    right = torch.arange(12)
    loss = 12 * (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2
    gradient = torch.autograd.grad(loss, images)[0]
    weight = layer.get_parameter("weight")
    expected = gradient.norm() / images.numel() ** 0.5 * taken[0].norm() / 12**0.5 * weight.norm() / 32**0.5
    assert found["visual.proj.linear"] == pytest.approx(float(expected), rel=1e-4)
    assert all(value > 0 for value in found.values())
    assert all(parameter.grad is None for parameter in explicit.parameters())


@pytest.mark.parametrize("name", ["w3a16-raana-both", "w4a8-raana", "w2a16-raana+biascorr"])
def test_it_fits_the_size_and_is_closer_than_rounding_to_nearest(
    vit: nn.Module, small_data: RangeData, name: str
) -> None:
    recipe = small(name)
    nearest = prepare(vit, small(name.replace("raana", "rtn")), small_data)
    prepared = prepare(vit, recipe, small_data)
    layers = [layer for layer in gemm_layers(prepared, recipe.towers).values() if hasattr(layer, "weight_bits")]
    budget = sum(half_integer_format(recipe.weight_bits).storage_bits(layer.weight.shape) for layer in layers)
    stored = sum(layer.format.storage_bits(layer.weight.shape) for layer in layers)  # type: ignore[union-attr, operator]
    assert 0.9 * budget < stored <= budget
    # Two towers share one budget, so that only their sum need be smaller.
    ours, theirs = (
        sum(
            float((got - wanted).square().sum() / wanted.square().sum())
            for wanted, got in zip(embeddings(vit, small_data), embeddings(model, small_data), strict=True)
        )
        for model in (prepared, nearest)
    )
    assert ours < theirs
    assert coverage(prepared, small_data.images[:1], small_data.tokens[:1], recipe.towers).complete


def test_it_is_repeatable_and_restored_bit_for_bit(vit: nn.Module, small_data: RangeData) -> None:
    recipe = small("w3a8-percentile+raana-both")
    first, again, restored = prepare(vit, recipe, small_data), prepare(vit, recipe, small_data), skeleton(vit, recipe)
    restored.load_state_dict(first.state_dict())
    for model in (again, restored):
        for expected, got in zip(embeddings(first, small_data), embeddings(model, small_data), strict=True):
            assert torch.equal(expected, got)


def test_convolutions_are_coded_without_a_rotation(resnet: nn.Module, tokens: Tensor) -> None:
    data = RangeData(torch.randn(24, 3, 32, 32, generator=torch.Generator().manual_seed(1)), tokens)
    with torch.no_grad():
        wanted = resnet.encode_image(data.images)  # type: ignore[operator]
        got = prepare(resnet, small("w6a16-raana"), data).encode_image(data.images)  # type: ignore[operator]
    assert float(F.cosine_similarity(wanted, got).mean()) > 0.98


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("w4a16_g64-raana", "codes of its own"),
        ("w8a8-raana@torch-int8", "half-integers"),
        ("w4a16_asym-raana", "codes of its own"),
        ("mxfp4-raana", "codes of its own"),
        ("w4a8-hadamard+raana", "adds nothing"),
        ("w4a8-smoothquant+raana", "smoothquant has balanced"),
        ("w4a8-mixed+raana", "of its own choice"),
        ("w4a8-raana+lsq", "order in which they run|rounding"),
    ],
)
def test_senseless_names_are_refused(name: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        parse_recipe(name)
