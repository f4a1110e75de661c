"""Kinds of models, one module each; reading a name imports no torch."""
