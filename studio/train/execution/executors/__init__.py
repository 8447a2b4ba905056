"""Who trains a run: a thread of the studio, or processes of their own (executor.py lists them)."""
