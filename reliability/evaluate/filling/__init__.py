"""Making, beforehand and by several workers, what comparisons will read."""
