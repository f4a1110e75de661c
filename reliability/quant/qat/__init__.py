"""Quantization-aware training: learned ranges and steps, trainable layers, losses, and the loop."""
