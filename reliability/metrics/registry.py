"""The list of metrics: one function and one ``@register`` line each."""

from __future__ import annotations

import difflib
import importlib
import pkgutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

import reliability.metrics
from reliability.errors import UsageError
from reliability.metrics import checks
from reliability.metrics.entry_points import load_entry_points, require_new
from reliability.metrics.kinds import KINDS, Kind
from reliability.metrics.prepared import Prepared
from reliability.types import F64, Direction

_Value = TypeVar("_Value", float, F64)


@dataclass(frozen=True)
class Metric:
    """A metric with what others need to know about it.

    Attributes:
        name: As written in threshold files.
        kind: Which inputs it takes and checks; a key of :data:`~reliability.metrics.kinds.KINDS`.
        direction: Whether higher or lower is better, or neither.
        low, high: The range it lies in.
        unit: Of its values; rates are a "fraction".
        defined: When it has a value, beyond what its kind demands of the inputs; may be empty.
        fn: The inputs to a Python float, or to a small array.
        prepare: Inputs that were read already to what the metric is computed from.
        weighted: The inputs to a :class:`~reliability.metrics.prepared.Prepared`, which gives
            the metric of B resamples from their image weights; None if it cannot be resampled,
            and then no bound can judge it.
        depends_on_size: Whether a resample's value may differ from that of the images it
            repeats: the estimate corrects for the sample's size, or a resample keeps
            something of the whole set, such as its range or its gallery.
        summary: One sentence.
    """

    name: str
    kind: Kind
    direction: Direction
    low: float
    high: float
    unit: str
    defined: str
    fn: Callable[..., Any]
    prepare: Callable[..., Any]
    weighted: Callable[..., Prepared] | None
    depends_on_size: bool
    summary: str

    def harm(self, reference: _Value, candidate: _Value) -> _Value:
        """How much worse the candidate is: positive when worse; candidate minus reference if neither way is."""
        return reference - candidate if self.direction == "higher" else candidate - reference


_METRICS: dict[str, Metric] = {}


def register(
    kind: Kind,
    *,
    direction: Direction,
    low: float,
    high: float,
    unit: str,
    defined: str = "",
    depends_on_size: bool = False,
) -> Callable[[Callable[..., Prepared]], Callable[..., float]]:
    """Make a metric of a function that prepares one.

    The decorated function receives what the kind's reader made of the inputs,
    and returns a ``Prepared``. What the module then exports under that name is
    the plain function from the kind's inputs to a float. The name of the
    function is the metric's name and the first line of its docstring the
    summary; the docstring describes the exported function.

    Args:
        kind, direction, low, high, unit, defined, depends_on_size: See :class:`Metric`.
    """

    def decorate(prepare: Callable[..., Prepared]) -> Callable[..., float]:
        name, read = _new_name(prepare), KINDS[kind].read

        def weighted(*inputs: Any, **named: Any) -> Prepared:
            return prepare(*read(name, *inputs, **named))

        fn = _exported(prepare, kind, lambda *inputs: value_of(name, prepare(*inputs)))
        _METRICS[name] = Metric(
            name, kind, direction, low, high, unit, defined, fn, prepare, weighted, depends_on_size, _summary(prepare)
        )
        return fn

    return decorate


def register_plain(
    kind: Kind, *, direction: Direction, low: float, high: float, unit: str, defined: str = ""
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Make a metric of a function that computes a float or a small array, and is never resampled.

    Args:
        kind, direction, low, high, unit, defined: See :class:`Metric`; every element of an
            array lies in the range.
    """

    def decorate(compute: Callable[..., Any]) -> Callable[..., Any]:
        name = _new_name(compute)
        fn = _exported(compute, kind, lambda *inputs: _finite(name, compute(*inputs)))
        _METRICS[name] = Metric(
            name, kind, direction, low, high, unit, defined, fn, compute, None, False, _summary(compute)
        )
        return fn

    return decorate


def _new_name(function: Callable[..., Any]) -> str:
    """The function's name, which no other metric may have."""
    name = function.__name__
    require_new("metric", name, _METRICS[name].prepare if name in _METRICS else None, function)
    return name


def _exported(inner: Callable[..., Any], kind: Kind, compute: Callable[..., Any]) -> Callable[..., Any]:
    name = inner.__name__

    @wraps(inner)
    def fn(*inputs: Any, **named: Any) -> Any:
        return compute(*KINDS[kind].read(name, *inputs, **named))

    fn.__signature__ = KINDS[kind].python  # type: ignore[attr-defined]
    return fn


def value_of(name: str, prepared: Prepared) -> float:
    """A prepared metric on the images as they are.

    Raises:
        UndefinedMetricError: It has no finite value there.
    """
    return float(_finite(name, prepared(*(np.ones((1, n), dtype=np.uint8) for n in prepared.sizes))[0]))


def _finite(name: str, value: Any) -> Any:
    numbers: NDArray[Any] = np.asarray(value)
    if not np.isfinite(numbers).all():
        raise checks.undefined(name, "result", "it has no finite value here", value, "check the input's size")
    return value


def _summary(function: Callable[..., Any]) -> str:
    return (function.__doc__ or function.__name__).partition("\n")[0]


def measure(names: Sequence[str], *inputs: Any, **named: Any) -> dict[str, Any]:
    """Several metrics of one kind, reading the inputs once.

    Args:
        names: Of metrics that take the same inputs.
        inputs, named: As each metric's ``fn`` takes them. Logits are passed over once,
            however many metrics are asked for.

    Raises:
        UsageError: An unknown name, no name, or metrics of different kinds.
        UndefinedMetricError: As each metric.

    >>> measure(["top1", "nll"], [[0.0, 0.0], [0.0, 0.0]], [0, 1])
    {'top1': 0.5, 'nll': 0.6931471805599453}
    """
    chosen = [get(name) for name in names]
    kinds = {metric.kind for metric in chosen}
    if len(kinds) != 1:
        raise UsageError(
            where="measure: names", what="all metrics must take the same inputs",
            got=", ".join(f"{m.name} ({m.kind})" for m in chosen) or "no names", next="call measure once for each kind",
        )  # fmt: skip
    read = KINDS[kinds.pop()].read(" and ".join(names), *inputs, **named)
    return {
        m.name: value_of(m.name, m.prepare(*read)) if m.weighted else _finite(m.name, m.prepare(*read)) for m in chosen
    }


def get(name: str) -> Metric:
    """The metric of that name.

    Raises:
        UsageError: There is none; close matches are named.

    >>> get("ece").direction
    'lower'
    """
    _load()
    return lookup(_METRICS, name, "metric")


def all_metrics() -> tuple[Metric, ...]:
    """Every registered metric, by name."""
    _load()
    return tuple(_METRICS[name] for name in sorted(_METRICS))


_Entry = TypeVar("_Entry")


def lookup(entries: dict[str, _Entry], name: str, what: str) -> _Entry:
    """An entry of a registry, or a UsageError that names the close matches."""
    if name not in entries:
        close = _close_matches(name, entries)
        raise UsageError(
            where=f"{what} name",
            what=f"unknown {what}",
            got=name,
            next=f"did you mean {close}?" if close else f"choose one of {', '.join(sorted(entries))}",
        )
    return entries[name]


def _close_matches(name: str, known: Iterable[str]) -> str:
    return " or ".join(difflib.get_close_matches(str(name), known, n=3, cutoff=0.5))


@lru_cache(maxsize=1)
def _load() -> None:
    """Import every module of the package and what others add, so that no metric is missing for want of an import."""
    for module in pkgutil.iter_modules(reliability.metrics.__path__):
        importlib.import_module(f"reliability.metrics.{module.name}")
    load_entry_points("reliability.metrics")
