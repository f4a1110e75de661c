"""One run of the gate: from options to plan and engine, and from records to report."""
