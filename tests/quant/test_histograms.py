from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from reliability.quant.affine import Grid, asymmetric_parameters, fake_quantize
from reliability.quant.formats.values import E4M3
from reliability.quant.histograms import EntropyObserver, MseObserver, PercentileObserver, divergence
from reliability.quant.observers import RangeObserver
from reliability.quant.quantizers import StaticFloatQuantizer, StaticQuantizer


def heavy_tailed(count: int, seed: int = 0) -> Tensor:
    x = torch.randn(count, generator=torch.Generator().manual_seed(seed))
    return x.sign() * x.abs() ** 3


def shown(observer: RangeObserver, x: Tensor, batches: int = 1) -> tuple[float, float]:
    for batch in x.chunk(batches):
        observer.update(batch)
    low, high = observer.result()
    return low.item(), high.item()


def mse(bits: int) -> MseObserver:
    return MseObserver("l", StaticQuantizer(bits).preview)


def squared_error(x: Tensor, low: float, high: float, bits: int) -> float:
    grid = Grid(bits, symmetric=False)
    scale, zero = asymmetric_parameters(torch.tensor(low), torch.tensor(high), grid)
    return float((fake_quantize(x, scale, zero, grid) - x).double().square().sum())


@pytest.mark.parametrize("percentile", [99.0, 99.9, 99.99])
def test_percentile_is_the_order_statistic_up_to_a_bin(percentile: float) -> None:
    x = heavy_tailed(20_000)
    low, high = shown(PercentileObserver("l", percentile), x, 5)
    ordered = np.sort(x.numpy())
    allowed = int((1 - percentile / 100) * len(x))
    exact_low, exact_high = ordered[allowed], ordered[-1 - allowed]
    assert exact_high <= high <= exact_high * (1 + 1 / 512) + 1e-12
    assert exact_low * (1 + 1 / 512) - 1e-12 <= low <= exact_low
    assert int((x > high).sum()) <= allowed
    assert int((x < low).sum()) <= allowed


def test_percentile_never_exceeds_what_was_seen() -> None:
    x = torch.full((50,), 1.7)
    assert shown(PercentileObserver("l"), x) == (x[0].item(), x[0].item())
    low, high = shown(PercentileObserver("l"), torch.tensor([0.0, 0.0, -0.0]), 1)
    assert (low, high) == (0.0, 0.0)


def test_a_few_outliers_do_not_widen_a_percentile_range() -> None:
    x = torch.linspace(-1, 1, 50_001)
    low, high = shown(PercentileObserver("l"), torch.cat([x, torch.tensor([1e6, -1e6])]), 1)
    assert low == pytest.approx(-1, abs=0.01)
    assert high == pytest.approx(1, abs=0.01)


def test_negative_values_alone_have_their_upper_end_at_the_largest() -> None:
    x = -torch.linspace(1, 2, 1000)
    assert shown(PercentileObserver("l"), x) == (-2.0, -1.0)


@pytest.mark.parametrize("bits", [2, 3, 4, 6, 8])
@pytest.mark.parametrize("shape", ["symmetric", "mostly positive", "mostly negative"])
def test_the_range_of_least_error_is_nearly_the_best_of_all_ninety(bits: int, shape: str) -> None:
    x = heavy_tailed(20_000)
    x = {"symmetric": x, "mostly positive": F.gelu(x), "mostly negative": -F.gelu(x)}[shape]
    low, high = shown(mse(bits), x, 3)
    ends = [(float(x.min()) * (1 - k / 100), float(x.max()) * (1 - k / 100)) for k in range(90)]
    errors = [squared_error(x, *pair, bits) for pair in ends]
    assert squared_error(x, low, high, bits) <= 1.02 * min(errors)
    assert any(pair == pytest.approx((low, high)) for pair in ends)


def test_fewer_bits_want_a_narrower_range() -> None:
    x = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    widths = [high - low for low, high in (shown(mse(bits), x) for bits in (2, 3, 4, 6, 8))]
    assert widths == sorted(widths)
    assert widths[0] < 0.6 * widths[-1]


def test_values_that_the_codes_hold_exactly_are_not_clipped() -> None:
    x = torch.arange(16.0).repeat(50)
    assert shown(mse(4), x) == (0.0, 15.0)


def test_least_error_of_a_float_format_hardly_clips() -> None:
    x = torch.randn(20_000, generator=torch.Generator().manual_seed(0))
    quantizer = StaticFloatQuantizer(E4M3)
    low, high = shown(MseObserver("l", quantizer.preview), x)
    wide, narrow = (
        float((quantizer.preview(x, *ends) - x).square().sum())
        for ends in ((x.min(), x.max()), (torch.tensor(low), torch.tensor(high)))
    )
    assert narrow <= wide * 1.02
    assert max(-low, high) > 0.4 * float(x.abs().max())


def test_divergence_by_hand() -> None:
    counts = torch.tensor([4, 0, 2, 2, 0, 8])
    # Two levels of two bins: 4 alone, then 2 and 2; what lies beyond joins the last bin.
    expected = (
        4 / 16 * np.log((4 / 16) / (4 / 8))
        + 2 / 16 * np.log((2 / 16) / (2 / 8))
        + 10 / 16 * np.log((10 / 16) / (2 / 8))
    )
    assert divergence(counts, 4, 2) == pytest.approx(expected)
    assert divergence(counts, 5, 2) == np.inf
    assert divergence(torch.tensor([3, 3, 5, 5]), 4, 2) == 0


def slow_entropy_cut(x: np.ndarray, levels: int, cuts: range) -> int:
    """The cut by loops over bins, from the same power-of-two histogram."""
    top = 2.0 ** np.frexp(np.abs(x).max())[1]
    counts = np.histogram(np.abs(x), bins=2048, range=(0, top))[0].astype(float)
    best = (np.inf, 0)
    for cut in cuts:
        clipped = counts[:cut].copy()
        clipped[-1] += counts[cut:].sum()
        merged = np.zeros(cut)
        for level in range(levels):
            inside = [i for i in range(cut) if i * levels // cut == level and counts[i] > 0]
            for i in inside:
                merged[i] = sum(counts[j] for j in inside) / len(inside)
        p, q = clipped / clipped.sum(), merged / counts[:cut].sum()
        with np.errstate(divide="ignore", invalid="ignore"):
            divergence = float(np.where(p > 0, p * np.log(p / q), 0).sum())
        best = min(best, (divergence, -cut))
    return -best[1]


def test_the_cut_of_least_divergence_matches_a_slow_second_implementation() -> None:
    x = heavy_tailed(3000)
    top = 2.0 ** float(torch.frexp(x.abs().max()).exponent)
    # From small to large, so that the histogram has to widen again and again.
    low, high = shown(EntropyObserver("l", 8), x[x.abs().argsort()], 20)
    used = int(x.abs().max() / top * 2048) + 1
    cuts = sorted(set(torch.linspace(8, used, 256).round().int().tolist()))
    expected = slow_entropy_cut(x.double().numpy(), 8, cuts) * top / 2048
    assert max(-low, high) == pytest.approx(expected)


def test_least_divergence_cuts_a_heavy_tail_and_keeps_a_flat_one() -> None:
    flat = torch.linspace(-1, 1, 40_000)
    assert shown(EntropyObserver("l", 128), flat) == (-1.0, 1.0)
    low, high = shown(EntropyObserver("l", 8), heavy_tailed(40_000))
    assert max(-low, high) < 0.5 * float(heavy_tailed(40_000).abs().max())


def test_a_cut_clips_both_ends_but_never_beyond_what_was_seen() -> None:
    x = torch.cat([torch.linspace(-0.1, 1, 10_000), torch.tensor([50.0])])
    low, high = shown(EntropyObserver("l", 8), x)
    assert low == pytest.approx(-0.1)
    assert 0.5 < high < 50
