"""Measurements behind the figures in the documentation; run by `make bench`."""
