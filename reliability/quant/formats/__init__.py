"""Number formats: the values of one element, the scale that elements share, and who shares it."""

from reliability.quant.formats.weights import WeightFormat, weight_format

__all__ = ["WeightFormat", "weight_format"]
