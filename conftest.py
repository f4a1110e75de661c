"""Plugins of the project's own tests; pytest wants them named at the root."""

pytest_plugins = ["pytester"]
