"""Real kernels: recipes run by low-precision arithmetic instead of simulated in float32."""
