"""Proper scores: best in expectation for the model that states what it knows."""

from __future__ import annotations

from reliability.metrics.answers import Answers
from reliability.metrics.prepared import PerImage, mean_of
from reliability.metrics.temperature import register_with_temperature


@register_with_temperature(direction="lower", low=0.0, high=float("inf"), unit="nats")
def nll(answers: Answers) -> PerImage:
    """Mean negative log-likelihood of the label, in nats.

    Args:
        logits: [N, C], after the logit scale.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, or labels outside 0..C-1; or
            the sum over images is beyond the range of floats.

    Conventions:
        By log-softmax from logits, never as the logarithm of a probability, so a label
        the model thinks all but impossible costs its true, finite amount.

    >>> nll([[0.0, 800.0]], [0])
    800.0
    """
    return mean_of(answers.surprise)


@register_with_temperature(direction="lower", low=0.0, high=2.0, unit="squared probability")
def brier(answers: Answers) -> PerImage:
    """Brier score: squared distance of the probabilities to the label, summed over classes.

    Args:
        logits: [N, C], after the logit scale.
        labels: [N] in 0..C-1.

    Raises:
        UndefinedMetricError: Empty, non-finite or mismatched input, or labels outside 0..C-1.

    Conventions:
        A sum over classes, so it lies in [0, 2]; libraries that average over classes
        give this divided by C, and those for two classes that look at one of them, half.

    Source:
        Brier, Verification of forecasts expressed in terms of probability, 1950. No departure.

    >>> brier([[0.0, 0.0]], [0])
    0.5
    """
    return mean_of(answers.brier)
