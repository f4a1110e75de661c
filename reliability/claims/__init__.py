"""Bounds, and verdicts by them."""
