from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from reliability.errors import QuantizationError
from reliability.quant.histograms import EntropyObserver, MseObserver, PercentileObserver
from reliability.quant.observers import ChannelObserver, EmaObserver, RangeObserver
from reliability.quant.quantizers import StaticQuantizer

OBSERVERS: dict[str, Callable[[str], Any]] = {
    "minmax": RangeObserver,
    "ema": EmaObserver,
    "percentile": PercentileObserver,
    "mse": lambda layer: MseObserver(layer, StaticQuantizer(8).preview),
    "entropy": lambda layer: EntropyObserver(layer, 128),
    "channel": ChannelObserver,
}


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


def test_channel_maxima_by_hand() -> None:
    observer = ChannelObserver("l")
    observer.update(torch.tensor([[[1.0, -5.0], [2.0, 0.0]]]))
    observer.update(torch.tensor([[-3.0, 4.0]]))
    assert observer.result().tolist() == [3.0, 5.0]


@pytest.mark.parametrize("make", OBSERVERS.values(), ids=OBSERVERS)
def test_an_observer_without_data_names_the_layer(make: Callable[[str], Any]) -> None:
    with pytest.raises(QuantizationError, match=r"no data[\s\S]*visual\.conv1"):
        make("visual.conv1").result()


@pytest.mark.parametrize("name", [name for name in OBSERVERS if name != "channel"])
def test_empty_input_is_no_data(name: str) -> None:
    observer = OBSERVERS[name]("l")
    observer.update(torch.empty(0, 4))
    with pytest.raises(QuantizationError, match="no data"):
        observer.result()
    for batch in (torch.tensor([[-1.0, 2.0]]), torch.empty(0, 4)):
        observer.update(batch)
    assert observer.result()[0] <= 0 < observer.result()[1]


@pytest.mark.parametrize("name", [name for name in OBSERVERS if name not in ("channel", "ema")])
@pytest.mark.parametrize("batches", [3, 64])
def test_ranges_do_not_depend_on_the_batch_split_or_order(name: str, batches: int) -> None:
    x = heavy_tailed(4096)
    once = shown(OBSERVERS[name]("l"), x, 1)
    assert shown(OBSERVERS[name]("l"), x, batches) == once
    assert shown(OBSERVERS[name]("l"), x.flip(0), batches) == once


@pytest.mark.parametrize("name", [name for name in OBSERVERS if name != "channel"])
@pytest.mark.parametrize("value", [0.0, 1e-44, 1.7, -3e-5, 1e37])
def test_a_constant_is_its_own_range_or_less(name: str, value: float) -> None:
    low, high = shown(OBSERVERS[name]("l"), torch.full((50,), value), 2)
    x = torch.tensor(value).item()
    assert min(x, 0.0) <= low <= high <= max(x, 0.0)
    if name not in ("mse", "entropy"):
        assert (low, high) == (x, x)


def test_moving_average_by_hand() -> None:
    observer = EmaObserver("l")
    for batch in ([-1.0, 4.0], [-3.0, 2.0], [1.0, 14.0]):
        observer.update(torch.tensor(batch))
    low, high = observer.result()
    # -1, then a tenth of the way to -3, then to 1; 4, then to 2, then to 14.
    assert low.item() == pytest.approx(-1.2 + 0.22)
    assert high.item() == pytest.approx(3.8 + 1.02)


@pytest.mark.parametrize("make", OBSERVERS.values(), ids=OBSERVERS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_a_value_that_is_not_finite_names_the_layer(make: Callable[[str], Any], bad: float) -> None:
    with pytest.raises(QuantizationError, match=r"NaN or infinite[\s\S]*visual\.conv1"):
        make("visual.conv1").update(torch.tensor([[1.0, bad, 2.0]]))
