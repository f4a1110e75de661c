"""The list of metrics: one function and one ``@register`` line each."""

from __future__ import annotations

import difflib
import importlib
import inspect
import math
import pkgutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any, Literal, TypeVar

import numpy as np

import reliability.metrics
from reliability.errors import UsageError
from reliability.metrics import checks
from reliability.metrics.prepared import Prepared
from reliability.types import F64, Direction

Kind = Literal["classification", "separation", "grouped", "agreement"]

_Value = TypeVar("_Value", float, F64)

_READERS: dict[str, Callable[..., tuple[Any, ...]]] = {
    "classification": checks.read_classification,
    "separation": checks.read_separation,
    "grouped": checks.read_grouped,
    "agreement": checks.read_agreement,
}


@dataclass(frozen=True)
class Metric:
    """A metric with what others need to know about it.

    Attributes:
        name: As written in threshold files.
        kind: Which inputs it takes:
            ``classification`` (logits [N, C], labels [N]),
            ``separation`` (scores_id [N], scores_ood [M]; higher = more in-distribution),
            ``grouped`` (logits, labels, groups [N]),
            ``agreement`` (reference_logits, candidate_logits, labels).
        direction: Whether higher or lower is better, or neither.
        low, high: The range it lies in.
        unit: Of its values; rates are a "fraction".
        fn: The inputs to a Python float.
        weighted: The same inputs to a :class:`~reliability.metrics.prepared.Prepared`,
            which gives the metric of B resamples from their image weights.
        summary: One sentence.
    """

    name: str
    kind: Kind
    direction: Direction
    low: float
    high: float
    unit: str
    fn: Callable[..., float]
    weighted: Callable[..., Prepared]
    summary: str

    def harm(self, reference: _Value, candidate: _Value) -> _Value:
        """How much worse the candidate is: positive when worse; candidate minus reference if neither way is."""
        return reference - candidate if self.direction == "higher" else candidate - reference


_METRICS: dict[str, Metric] = {}


def register(
    kind: Kind, *, direction: Direction, low: float, high: float, unit: str
) -> Callable[[Callable[..., Prepared]], Callable[..., float]]:
    """Make a metric of a function that prepares one.

    The decorated function receives inputs that were read and checked for its
    kind, and returns a ``Prepared``. What the module then exports under that
    name is the plain function from inputs to a float. The name of the function
    is the metric's name and the first line of its docstring the summary.

    Args:
        kind, direction, low, high, unit: See :class:`Metric`.
    """

    def decorate(prepare: Callable[..., Prepared]) -> Callable[..., float]:
        name, read = prepare.__name__, _READERS[kind]

        def weighted(*inputs: Any, **named: Any) -> Prepared:
            return prepare(*read(name, *inputs, **named))

        @wraps(prepare)
        def fn(*inputs: Any, **named: Any) -> float:
            prepared = weighted(*inputs, **named)
            value = float(prepared(*(np.ones((1, n), dtype=np.uint8) for n in prepared.sizes))[0])
            if not math.isfinite(value):
                raise checks.undefined(name, "result", "it has no finite value here", value, "check the input's size")
            return value

        fn.__signature__ = inspect.signature(prepare).replace(return_annotation="float")  # type: ignore[attr-defined]
        summary = (prepare.__doc__ or name).partition("\n")[0]
        _METRICS[name] = Metric(name, kind, direction, low, high, unit, fn, weighted, summary)
        return fn

    return decorate


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
    """Import every module of the package, so that no metric is missing for want of an import."""
    for module in pkgutil.iter_modules(reliability.metrics.__path__):
        importlib.import_module(f"reliability.metrics.{module.name}")
