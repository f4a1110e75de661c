"""From a model and pictures to embeddings; most of it needs torch."""
