"""Pure functions from embeddings, or scores and labels, to numbers.

``reliability.metrics.get("ece").fn(logits, labels)`` computes one metric,
``measure(["ece", "nll"], logits, labels)`` several in one pass over the logits.
"""

from reliability.metrics.registry import all_metrics, get, measure

__all__ = ["all_metrics", "get", "measure"]
