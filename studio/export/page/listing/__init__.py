"""The exports there are: their list, one of them, those of a run."""
