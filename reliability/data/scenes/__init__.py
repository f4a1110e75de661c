"""Captioned pictures rendered from a seed: sample, render, caption."""
