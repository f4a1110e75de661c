"""The ``reliability`` command: what there is to choose from, and how a figure came about."""

from reliability.cli.commands import main

__all__ = ["main"]
