"""A dataset as LLaMA-Factory's own code reads it: what of it would stop a run, and what would be trained otherwise than
it is shown.
"""
