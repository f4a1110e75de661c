"""Images, captions and tasks, embedded and loaded."""
