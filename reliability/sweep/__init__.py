"""Grids of evaluation runs: planned in a file, measured from cached embeddings, kept as Parquet."""
