"""The scripts of the example are run as a user runs them, not collected."""

collect_ignore = ["gate_your_own"]
