"""Child processes: with limits of time and memory, and the one process that owns a workspace."""
