"""Who does a run's tasks: this process, processes of this machine, or a cluster."""
