"""From embeddings to figures of both models, the harm between them, and its limits; nothing here needs torch."""
