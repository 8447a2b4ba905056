"""The serving engines, a file each: what each can serve, how it is started, when it is ready, and what its log says."""
