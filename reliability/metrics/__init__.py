"""Pure functions from embeddings, or scores and labels, to numbers."""
