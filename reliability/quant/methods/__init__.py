"""One module per quantization method, and the registry that names them."""
