"""Where results lie, and under which names: everything here is about files and keys."""
