"""Simulated candidates in the formats of other runtimes."""
