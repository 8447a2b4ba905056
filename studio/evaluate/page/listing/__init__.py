"""The evaluations there are: their list, the head of one, those of a run."""
