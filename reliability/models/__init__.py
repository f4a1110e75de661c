"""Adapters that make one kind of model out of many."""
