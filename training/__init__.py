"""Training of the zoo, apart from the library: `make zoo` or `python -m training`."""
