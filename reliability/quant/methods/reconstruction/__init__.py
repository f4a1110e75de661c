"""Reconstruction: parts of a model learn their roundings together, by the error of what the part gives."""
