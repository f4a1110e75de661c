"""How often limits cover what they should: simulated and real pairs of models with a known truth."""
