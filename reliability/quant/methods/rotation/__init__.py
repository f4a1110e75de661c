"""Orthogonal rotations: Hadamard matrices of many orders, the modules that apply them, and how towers take them up."""
