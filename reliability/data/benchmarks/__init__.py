"""Published benchmarks by name: where they lie, what they hold, and how they are read."""
