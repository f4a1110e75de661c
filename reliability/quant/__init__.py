"""Recipes and what they do to a CLIP; importing the package imports no torch."""
