"""Paired resampling and limits; knows nothing of models or metrics."""
