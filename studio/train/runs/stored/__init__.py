"""What stands on disk of a run, typed: each file is what it should be, or told in one sentence."""
