"""A reliability gate for quantized CLIP models."""
