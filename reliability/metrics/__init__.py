"""Pure functions from embeddings, or scores and labels, to numbers.

``reliability.metrics.get("ece").fn(logits, labels)`` computes one metric,
``measure(["ece", "nll"], logits, labels)`` several in one pass over the logits;
``register`` adds one, which ``mean_of`` or ``PerImage`` prepares.
"""

from reliability.metrics.prepared import PerImage, mean_of
from reliability.metrics.registry import all_metrics, get, measure, register

__all__ = ["PerImage", "all_metrics", "get", "mean_of", "measure", "register"]
