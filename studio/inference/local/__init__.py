"""Models on this machine in memory: which there are, how they are loaded, and how several answer in one batch."""
