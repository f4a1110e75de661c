"""Quantization-aware training: learned steps, trainable layers, and the loss."""
