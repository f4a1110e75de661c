"""The list of scores: one function and one decorator each.

What a score needs is the names of its function's parameters: what it does not
name, it cannot see. That matters most for the logit scale: "maximum softmax
probability" of raw cosines and of scaled logits rank images differently and go
by the same name in some benchmarks.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache, wraps
from typing import Any

import numpy as np

from reliability.errors import UsageError
from reliability.metrics.checks import refuse
from reliability.metrics.entry_points import load_entry_points, require_new
from reliability.metrics.registry import lookup
from reliability.metrics.scores.evidence import Evidence, Shape, Training, missing, read_evidence, read_training, shapes
from reliability.types import F64

Scorer = Callable[..., F64]


@dataclass(frozen=True)
class Score:
    """A per-image score.

    Attributes:
        name: As written in threshold files.
        fn: An :class:`~reliability.metrics.scores.evidence.Evidence`, or the arguments that
            make one, to scores [N] float64. Where ``needs`` names ``training``, it refuses:
            use what ``fit`` returns.
        fit: A :class:`~reliability.metrics.scores.evidence.Training` to such a function, for
            any number of image sets. A score that is not fitted returns ``fn``, whatever it is given.
        needs: What it needs beyond cosines and the logit scale: fields of the evidence, and ``training``.
        uses_logit_scale: Whether scores depend on the logit scale.
        summary: One sentence.
    """

    name: str
    fn: Scorer
    fit: Callable[[Training | None], Scorer]
    needs: frozenset[str]
    uses_logit_scale: bool
    summary: str


SCORES: dict[str, Score] = {}
"""Those of this package, and of others once one was asked for: see :func:`all_scores`."""


def get_score(name: str) -> Score:
    """The score of that name.

    Raises:
        UsageError: There is none; close matches are named.

    >>> get_score("knn").needs == {"features", "training"}
    True
    """
    _load()
    return lookup(SCORES, name, "score")


def all_scores() -> tuple[Score, ...]:
    """Every registered score, by name."""
    _load()
    return tuple(SCORES[name] for name in sorted(SCORES))


@lru_cache(maxsize=1)
def _load() -> None:
    """Import what other packages add; the modules of this one are imported with it."""
    load_entry_points("reliability.scores")


def score(compute: Callable[..., F64]) -> Scorer:
    """Register a score of the images alone.

    The decorated function takes some fields of the evidence, by name, as they
    were read and checked, and returns scores [N]. What the module then exports
    is :attr:`Score.fn`.
    """
    name, takes = compute.__name__, _parameters(compute)
    fn = wraps(compute)(_scorer(name, compute, takes))
    fn.__signature__ = inspect.signature(Evidence).replace(return_annotation="F64")  # type: ignore[attr-defined]
    _add(name, fn, lambda _: fn, takes, takes, compute)
    return fn


def fitted_score(*takes: str) -> Callable[[Callable[..., Scorer]], Callable[[Training | None], Scorer]]:
    """Register a score that is fitted on in-distribution images first.

    The decorated function takes some fields of the training set, by name, and
    returns a function of the fields of the evidence that ``takes`` names. What
    the module then exports is :attr:`Score.fit`.
    """

    def decorate(prepare: Callable[..., Scorer]) -> Callable[[Training | None], Scorer]:
        name, learns = prepare.__name__, _parameters(prepare)

        @wraps(prepare)
        def fit(training: Training | None) -> Scorer:
            if not isinstance(training, Training):
                raise missing(name, "training", type(training).__name__)
            values = read_training(name, training)
            fitted_at = values["logit_scale"] if "logit_scale" in takes else None
            return _scorer(name, prepare(**_some(values, learns)), takes, shapes(values, "training."), fitted_at)

        def fn(*_: Any, **__: Any) -> F64:
            raise missing(name, "training")

        del fit.__wrapped__  # or its signature would show as the inner function's
        _add(name, fn, fit, (*takes, "training"), (*takes, *learns), prepare)
        return fit

    return decorate


def _scorer(
    name: str,
    compute: Callable[..., F64],
    takes: Iterable[str],
    trained: Mapping[str, Shape] | None = None,
    fitted_at: float | None = None,
) -> Scorer:
    def fn(*inputs: Any, **named: Any) -> F64:
        values = read_evidence(name, _evidence(inputs, named), takes, trained)
        if fitted_at is not None and values["logit_scale"] != fitted_at:
            raise UsageError(
                where=f"{name}: logit_scale", what="a score must be fitted and used at one logit scale",
                got=f"fitted at {fitted_at}, used at {values['logit_scale']}", next="fit it for each model apart",
            )  # fmt: skip
        scores = compute(**_some(values, takes))
        refuse(name, "image", scores, ~np.isfinite(scores), "it has no finite value here", "look at this image's input")
        return scores

    return fn


def _evidence(inputs: tuple[Any, ...], named: dict[str, Any]) -> Evidence:
    if len(inputs) == 1 and not named and isinstance(inputs[0], Evidence):
        return inputs[0]
    return Evidence(*inputs, **named)


def _parameters(function: Callable[..., Any]) -> tuple[str, ...]:
    return tuple(inspect.signature(function).parameters)


def _some(values: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: values[name] for name in names}


def _add(
    name: str,
    fn: Scorer,
    fit: Callable[[Training | None], Scorer],
    takes: Iterable[str],
    sees: Iterable[str],
    documented: Callable[..., Any],
) -> None:
    needs = frozenset(takes) - {"cosines", "logit_scale"}
    before = SCORES.get(name)
    require_new("score", name, before and (before.fit if "training" in before.needs else before.fn), documented)
    summary = (documented.__doc__ or name).partition("\n")[0]
    SCORES[name] = Score(name, fn, fit, needs, "logit_scale" in sees, summary)
