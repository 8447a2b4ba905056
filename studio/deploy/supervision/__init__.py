"""Engines at work: their records on disk, their processes, and who looks after them."""
