"""From models and tasks to cached embeddings and paired comparisons."""
