"""The figures of a unit, from both models' embeddings: arithmetic alone.

What a reference scores on a task is the same beside every candidate, so it is
measured once for all of them that follow one another.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from reliability.errors import UndefinedMetricError
from reliability.evaluate.comparison.compare import Pair
from reliability.evaluate.comparison.inputs import INPUTS, Asked, Side
from reliability.metrics.kinds import KINDS, Kind
from reliability.metrics.registry import Metric, get, value_of
from reliability.sweep.grid import Question


@dataclass(frozen=True)
class Figure:
    """One evaluation run's outcome.

    Attributes:
        images: That entered.
        reference, candidate, harm: None where the metric has no value, and then ``undefined`` says why.
        lower, upper: One-sided limits of the harm, where the plan asks for them.
    """

    question: Question
    images: int
    reference: float | None = None
    candidate: float | None = None
    harm: float | None = None
    lower: float | None = None
    upper: float | None = None
    undefined: str | None = None


@dataclass
class Measurer:
    """Measures units, remembering what references scored.

    Attributes:
        level: Of limits.
        keep: So many reference values are remembered.
    """

    level: float
    keep: int = 20_000
    _known: OrderedDict[tuple[Any, ...], float] = field(default_factory=OrderedDict)
    _reference: tuple[tuple[Any, ...], Side] | None = None

    def figures(self, pair: Pair, questions: Sequence[Question], reference: tuple[Any, ...]) -> Iterator[Figure]:
        """One figure for each question, in an order of their own.

        Args:
            pair: Both models on the task that the questions are about.
            questions: Of metrics that fit the task.
            reference: What tells this reference and task from others.
        """
        pair = replace(pair, reference=self._same(pair.reference, reference))
        order = sorted(questions, key=lambda q: (get(q.metric).kind, q.score))
        for (kind, score), group in groupby(order, key=lambda q: (get(q.metric).kind, q.score)):
            yield from self._of_one_kind(pair, kind, score, list(group), reference)

    def _same(self, side: Side, key: tuple[Any, ...]) -> Side:
        """The side as it was beside the candidate before, with what was worked out of it then."""
        key = (*key, side.fit is not None)
        if self._reference is None or self._reference[0] != key:
            self._reference = (key, side)
        return self._reference[1]

    def _of_one_kind(
        self, pair: Pair, kind: Kind, score: str, questions: list[Question], reference: tuple[Any, ...]
    ) -> Iterator[Figure]:
        """Metrics that take the same inputs, which are read once."""
        try:
            inputs = INPUTS[kind](Asked(pair.task, pair.reference, pair.candidate, score))
            candidate = KINDS[kind].read("sweep", *inputs.candidate)
        except UndefinedMetricError as error:
            yield from (_undefined(question, error) for question in questions)
            return
        read_reference = _once(lambda: KINDS[kind].read("sweep", *inputs.reference))
        images = sum(inputs.sizes)
        for question in questions:
            metric = get(question.metric)
            try:
                if question.limits:
                    yield self._with_limits(pair, question)
                    continue
                key = (*reference, question.metric, question.score)
                first = self._remembered(key, lambda: _value(metric, read_reference()))  # noqa: B023 - called at once
                second = _value(metric, candidate)
                yield Figure(question, images, first, second, metric.harm(first, second))
            except UndefinedMetricError as error:
                yield _undefined(question, error, images)

    def _with_limits(self, pair: Pair, question: Question) -> Figure:
        found = pair.harm(question.metric, question.score, level=self.level)
        values = found.reference.estimate, found.candidate.estimate, found.harm.estimate
        return Figure(question, found.n, *values, found.harm.lower, found.harm.upper)

    def _remembered(self, key: tuple[Any, ...], measure: Callable[[], float]) -> float:
        if key in self._known:
            self._known.move_to_end(key)
            return self._known[key]
        value = self._known[key] = measure()
        if len(self._known) > self.keep:
            self._known.popitem(last=False)
        return value


def _value(metric: Metric, read: Iterable[Any]) -> float:
    return value_of(metric.name, metric.prepare(*read))


def _once(read: Callable[[], tuple[Any, ...]]) -> Callable[[], tuple[Any, ...]]:
    """The same, read when it is first asked for."""
    kept: list[tuple[Any, ...]] = []

    def ask() -> tuple[Any, ...]:
        if not kept:
            kept.append(read())
        return kept[0]

    return ask


def _undefined(question: Question, error: UndefinedMetricError, images: int = 0) -> Figure:
    return Figure(question, images, undefined=f"{error.where}: {error.what}")
