from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from reliability.errors import QuantizationError
from reliability.quant.observers import ChannelObserver, PercentileObserver, RangeObserver

OBSERVERS = [RangeObserver, PercentileObserver, ChannelObserver]


def heavy_tailed(count: int, seed: int = 0) -> Tensor:
    x = torch.randn(count, generator=torch.Generator().manual_seed(seed))
    return x.sign() * x.abs() ** 3


def shown(observer: RangeObserver, x: Tensor, batches: int) -> tuple[float, float]:
    for batch in x.chunk(batches):
        observer.update(batch)
    low, high = observer.result()
    return low.item(), high.item()


def test_min_max_are_the_ends() -> None:
    x = heavy_tailed(1000)
    assert shown(RangeObserver("l"), x, 7) == (x.min().item(), x.max().item())


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


@pytest.mark.parametrize("batches", [1, 3, 64])
def test_percentile_does_not_depend_on_the_batch_split_or_order(batches: int) -> None:
    x = heavy_tailed(4096)
    once = shown(PercentileObserver("l"), x, 1)
    assert shown(PercentileObserver("l"), x, batches) == once
    assert shown(PercentileObserver("l"), x.flip(0), batches) == once


def test_percentile_never_exceeds_what_was_seen() -> None:
    x = torch.full((50,), 1.7)
    assert shown(PercentileObserver("l"), x, 1) == (x[0].item(), x[0].item())
    low, high = shown(PercentileObserver("l"), torch.tensor([0.0, 0.0, -0.0]), 1)
    assert (low, high) == (0.0, 0.0)


def test_a_few_outliers_do_not_widen_a_percentile_range() -> None:
    x = torch.linspace(-1, 1, 50_001)
    low, high = shown(PercentileObserver("l"), torch.cat([x, torch.tensor([1e6, -1e6])]), 1)
    assert low == pytest.approx(-1, abs=0.01)
    assert high == pytest.approx(1, abs=0.01)


def test_negative_values_alone_have_their_upper_end_at_the_largest() -> None:
    x = -torch.linspace(1, 2, 1000)
    assert shown(PercentileObserver("l"), x, 1) == (-2.0, -1.0)


def test_channel_maxima_by_hand() -> None:
    observer = ChannelObserver("l")
    observer.update(torch.tensor([[[1.0, -5.0], [2.0, 0.0]]]))
    observer.update(torch.tensor([[-3.0, 4.0]]))
    assert observer.result().tolist() == [3.0, 5.0]


@pytest.mark.parametrize("make", OBSERVERS)
def test_an_observer_without_data_names_the_layer(make: type) -> None:
    with pytest.raises(QuantizationError, match=r"no data[\s\S]*visual\.conv1"):
        make("visual.conv1").result()


def test_empty_input_is_no_data() -> None:
    observer = RangeObserver("l")
    observer.update(torch.empty(0, 4))
    with pytest.raises(QuantizationError, match="no data"):
        observer.result()


@pytest.mark.parametrize("make", OBSERVERS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_value_that_is_not_finite_names_the_layer(make: type, bad: float) -> None:
    with pytest.raises(QuantizationError, match=r"NaN or infinite[\s\S]*visual\.conv1"):
        make("visual.conv1").update(torch.tensor([[1.0, bad, 2.0]]))
